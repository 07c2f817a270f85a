"""Importers: one file per corpus, each turning the corpus as published into our dataset folders.

An importer is `run(source folder, output folder) -> the dataset folders written`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unitalker.errors import DataError, unknown

Importer = Callable[[Path, Path], list[Path]]


def import_grid(source: Path, out: Path) -> list[Path]:
    """GRID speaker with tracked ARKit weights; see importers/grid.py."""
    from unitalker.data.importers.grid import import_grid as run

    return run(source, out)


def import_facegood(source: Path, out: Path) -> list[Path]:
    """FACEGOOD Audio2Face recordings; see importers/facegood.py."""
    from unitalker.data.importers.facegood import import_facegood as run

    return run(source, out)


def import_folder(source: Path, out: Path) -> list[Path]:
    """An ordinary folder of sound and motion that says everything in its files; see importers/folder.py."""
    from unitalker.data.importers.folder import import_folder as run

    return [run(source, out).folder]


IMPORTERS: dict[str, Importer] = {
    "grid": import_grid,
    "facegood": import_facegood,
    "folder": import_folder,
}


def importer(kind: str) -> Importer:
    """The importer of one kind of corpus. Raises DataError with the nearest names for an unknown kind."""
    if kind not in IMPORTERS:
        raise DataError(unknown("importer", kind, IMPORTERS))
    return IMPORTERS[kind]
