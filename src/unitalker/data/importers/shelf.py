"""The files of a folder of takes: each motion with the sound that belongs to it, whatever folders they lie in."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from unitalker.data.importers.corpus import spelt
from unitalker.data.importers.folder_faces import splits
from unitalker.data.importers.folder_files import ROOMS, SOUND, SPEAKER, Pair
from unitalker.errors import DataError


@dataclass
class Shelf:
    """Files by their name, "anna/take1": folders without audio/ and motion/, and the stem, in composed Unicode.

    problems: a sentence for each file that has its name from another one. used: sounds that a take has.
    """

    root: Path
    motion: dict[str, Path] = field(default_factory=dict)
    sound: dict[str, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    used: set[Path] = field(default_factory=set)

    def sound_of(self, name: str, stems: Iterable[str] = ()) -> Path | None:
        """The sound of a motion: of its own name, else of one of the stems, in its folder, else the only one of such a
        stem anywhere. None where there is none."""
        place = name.rpartition("/")[0]
        own = name.rpartition("/")[2]
        near = [name, *(f"{place}/{stem}" if place else stem for stem in stems)]
        found = next((self.sound[n] for n in near if n in self.sound), None)
        if found is None:
            for stem in (own, *stems):
                far = [p for n, p in self.sound.items() if n.rpartition("/")[2] == stem]
                if len(far) == 1:
                    found = far[0]
                    break
        if found is not None:
            self.used.add(found)
        return found

    def claim(self, name: str) -> None:
        """Count as used the sounds of a motion that cannot be used: those of its folder whose name its own begins with."""
        place, _, stem = name.rpartition("/")
        for heard, path in self.sound.items():
            where, _, start = heard.rpartition("/")
            if where == place and stem.startswith(start) and not stem[len(start) : len(start) + 1].isalnum():
                self.used.add(path)

    def alone(self) -> list[str]:
        """A note of sounds that no take has, if there are any."""
        left = sorted(str(p.relative_to(self.root)) for p in self.sound.values() if p not in self.used)
        more = f" and {len(left) - 8} more" if len(left) > 8 else ""
        return [f"Sounds without motion, not used: {', '.join(left[:8])}{more}."] if left else []


def look(root: Path, suffixes: Collection[str]) -> Shelf:
    """The sounds under `root`, and the files of these suffixes; hidden ones are left out. Raises DataError where `root` is
    no folder."""
    if not root.is_dir():
        raise DataError(f"There is no folder {root}.")
    shelf = Shelf(root)
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        inside, suffix = path.relative_to(root), path.suffix.lower()
        if any(part.startswith(".") for part in inside.parts):
            continue
        kind = shelf.motion if suffix in suffixes else shelf.sound if suffix in SOUND else None
        if kind is None:
            continue
        first = kind.setdefault(name_of(inside), path)
        if first is not path:
            shelf.problems.append(
                f"{inside} was not used: {first.relative_to(root)} is of the same take {name_of(inside)!r}; keep one of "
                "them."
            )
    return shelf


def name_of(inside: Path) -> str:
    """A file's name among takes, from its path inside the folder."""
    parts = [part for part in inside.parts[:-1] if part.lower() not in ROOMS]
    return spelt("/".join([*parts, inside.stem]))


def subject_of(name: str) -> str:
    """Whose take this is: the folder that it lies in, the outermost one; else one speaker for all."""
    return name.split("/")[0] if "/" in name else SPEAKER


def split_of(names: dict[str, str]) -> dict[str, str]:
    """Take → split, of take → subject: 8 : 1 : 1 of each subject's takes, as ordinary folders are split."""
    nowhere = Path()
    return splits([Pair(name, name, subject, nowhere, nowhere) for name, subject in names.items()], None)
