"""Importers: one file per corpus, each turning the corpus as it is found in the wild into our dataset folders.

A corpus's module has `run(source, out, options, progress) -> the datasets written` and `EXPECTED`, what its authors say
it holds. What they share is in corpus.py, rows.py, regions.py and vertices_npy.py; docs/datasets.md is for users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from unitalker.data.importers.expected import Expected  # a module, whose name here is then the function's
from unitalker.errors import ConfigError, DataError, unknown

if TYPE_CHECKING:
    from unitalker.data.importers.corpus import Imported, Options, Progress

Importer = Callable[[Path, Path], "list[Path]"]


@dataclass(frozen=True)
class Kind:
    """An importer. module: its file. takes: fields of Options that it heeds. plain: the name of its function, where that
    takes source and output alone and gives where they were written. file: it turns a file into a file. several: it makes
    a folder for each of several datasets."""

    module: str
    takes: tuple[str, ...] = ()
    plain: str = ""
    file: bool = False
    several: bool = False


IMPORTERS: dict[str, Kind] = {
    "grid": Kind("grid", plain="import_grid"),
    "facegood": Kind("facegood", plain="import_facegood", several=True),
    "folder": Kind("folder", plain="import_folder"),
    "biwi": Kind("biwi", takes=("regions",)),
    "vocaset": Kind("vocaset", takes=("regions", "split", "fps")),
    "multiface": Kind("multiface", takes=("regions",)),
    "beat": Kind("beat"),
    "beat2": Kind("beat2"),
    "talkshow": Kind("talkshow"),
    "3detf-hdtf": Kind("hdtf", takes=("fps",)),
    "3detf-ravdess": Kind("ravdess", takes=("fps",)),
    "unitalker-v1": Kind("release", takes=("regions", "fps", "preparation"), several=True),
    "livelink": Kind("livelink", takes=("fps",)),
    "audio2face": Kind("audio2face", takes=("fps",)),
    "mediapipe": Kind("mediapipe_json", takes=("fps", "neutral")),
    "flame-npz": Kind("flame_npz", takes=("fps",)),
    "flame": Kind("flame", plain="import_flame", file=True),
}


def known_kind(kind: str) -> Kind:
    """The importer of that name. Raises DataError with the nearest names for an unknown one."""
    if kind not in IMPORTERS:
        from unitalker.data.likes import LIKES, reader

        if kind in LIKES:
            raise DataError(
                f"{kind} is a layout of `data synthesize --like`, no importer; `data import {reader(kind)}` reads it."
            )
        raise DataError(unknown("importer", kind, IMPORTERS, limit=20, like=0.65))
    return IMPORTERS[kind]


def import_corpus(
    kind: str, source: Path, out: Path, options: Options | None = None, progress: Progress | None = None
) -> list[Imported]:
    """Turn a corpus into datasets. Raises DataError for an unknown kind and a corpus of which nothing can be used,
    ConfigError for an option that the kind does not heed."""
    from unitalker.data.importers.corpus import Imported, Options
    from unitalker.data.placing import check_free

    found, given = known_kind(kind), options or Options()
    for field in fields(Options):
        if getattr(given, field.name) is not None and field.name not in found.takes:
            heeding = [name for name, other in IMPORTERS.items() if field.name in other.takes]
            raise ConfigError(f"--{field.name} is for {', '.join(heeding)}; {kind} says that itself.")
    if not (found.file or found.several):
        check_free(out)
    module = import_module(f"unitalker.data.importers.{found.module}")
    if not found.plain:
        if out.resolve().is_relative_to(source.resolve()):
            raise DataError(f"{out} lies in {source}; write the dataset to another place.")
        return module.run(source, out, given, progress)
    made = getattr(module, found.plain)(source, out)
    folders = made if isinstance(made, list) else [made]
    return [Imported(one) if isinstance(one, Path) else one for one in folders]


def importer(kind: str) -> Importer:
    """The importer of one kind of corpus, as (source, output) → the dataset folders. Raises DataError as `known_kind`."""
    known_kind(kind)
    return lambda source, out: [made.folder for made in import_corpus(kind, Path(source), Path(out))]


def expected(kind: str, name: str = "") -> Expected | None:
    """What the authors of a corpus say it holds, None for kinds without such a table. name: of the dataset, where a corpus
    gives several."""
    table = getattr(import_module(f"unitalker.data.importers.{known_kind(kind).module}"), "EXPECTED", None)
    return table.get(name) if isinstance(table, Mapping) else table
