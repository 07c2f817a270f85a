"""Importers: one file per corpus, each turning the corpus as published into our dataset folders.

An importer is `run(source folder, output folder) -> the dataset folders written`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from unitalker.errors import DataError, unknown

Importer = Callable[[Path, Path], list[Path]]

IMPORTERS: dict[str, str] = {
    "grid": "unitalker.data.importers.grid:import_grid",
    "facegood": "unitalker.data.importers.facegood:import_facegood",
}


def importer(kind: str) -> Importer:
    """The importer of one kind of corpus, loaded when asked for. Raises DataError for an unknown kind."""
    if kind not in IMPORTERS:
        raise DataError(unknown("importer", kind, IMPORTERS))
    module, function = IMPORTERS[kind].split(":")
    return getattr(import_module(module), function)
