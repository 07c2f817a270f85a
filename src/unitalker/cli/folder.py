"""`unitalker data import folder`: its flags, and the summary of what was found, made up or cut."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from unitalker.cli.corpus import report
from unitalker.cli.progress import bar
from unitalker.errors import ConfigError

KIND = "folder"
NAME = Parameter(
    help="folder: name of the annotation, the output's name by default; arkit52 takes weights into that layout."
)
FPS = Parameter(
    help="folder: frames a second of motion that does not carry it; else fps.txt in the folder. Corpora that are used at "
    "several rates take it too."
)
UNIT = Parameter(help="folder: unit of vertices; u is one of their own.")
NAMES = Parameter(help="folder: file with the names of nameless weights, one a line; else names.txt in it.")
LIPS = Parameter(help="folder: file with the numbers of the lip vertices, from 0; else lips.txt in it.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FolderChoices:
    """What the files of an ordinary folder do not say."""

    annotation: Annotated[str | None, NAME] = None
    fps: Annotated[float | None, FPS] = None
    unit: Annotated[Literal["m", "cm", "mm", "u"] | None, UNIT] = None
    names: Annotated[Path | None, NAMES] = None
    lips: Annotated[Path | None, LIPS] = None


def check_unused(kind: str, choices: FolderChoices) -> None:
    """Raises ConfigError where a corpus is given a flag that only ordinary folders need."""
    given = [name for name, value in asdict(choices).items() if value is not None and name != "fps"]
    if given:
        raise ConfigError(f"--{given[0]} is for `data import {KIND}`; {kind} says that itself.")


def import_plain(source: Path, output: Path, choices: FolderChoices) -> int:
    """Import an ordinary folder with a bar, and tell what became of it. Gives the exit code."""
    from unitalker.data.importers.folder import FolderOptions, import_folder
    from unitalker.export import read

    options = FolderOptions(**asdict(choices))
    with bar("Importing", 1.0) as tell:

        def step(done: int, total: int) -> None:
            tell(done / total, ())

        made = import_folder(source, output, options, read=read, progress=step)
    return report([made])
