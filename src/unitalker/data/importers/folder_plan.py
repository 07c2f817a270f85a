"""What will be made of a user's folder, decided and checked before anything is written."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from unitalker.annotations import builtin
from unitalker.annotations.layouts import channel_key, layout
from unitalker.annotations.vertices import vertex_names
from unitalker.data.importers.folder_faces import SPLITS, Neutral, given_neutral, indices, splits
from unitalker.data.importers.folder_files import LENGTHS, Pair, Read, Take, look, read_take
from unitalker.errors import DataError, UniTalkerError, unknown


@dataclass(frozen=True)
class FolderOptions:
    """What the files do not say. annotation: name of the convention (default: the output's, in plain letters); a built-in weight layout
    such as arkit52 takes the weights by name. fps: frames a second of motion that does not carry it. unit: of vertices.
    names: file with the names of nameless weights. lips: file with the lip vertices' numbers."""

    annotation: str | None = None
    fps: float | None = None
    unit: str | None = None
    names: Path | None = None
    lips: Path | None = None


class Plan:
    """A folder's clips and their common facts. Raises DataError for a folder that cannot be used.

    fps, unit, names, width (numbers per frame) and mesh (vertices, or weights) hold for all clips. frames: clip name →
    frames in its file. neutral: subject → template, where a file gives one. splits: clip name → split. regions: vertex
    numbers by name. notes: the summary, line by line; problems: a sentence for each pair that is left out.
    """

    def __init__(self, source: Path, dataset: str, options: FolderOptions, read: Read | None) -> None:
        self.source, self.options, self.read = source, options, read
        self.found = look(source)
        self.pairs = self.found.pairs
        self.dataset, self.name = dataset, options.annotation or _plain(dataset)
        self.notes: list[str] = []
        self.problems = [*self.found.twice]
        self.frames: dict[str, int] = {}
        _check_name(self.name)
        first = self._check_takes()
        self.mesh, self.width = first.names is None, first.width
        self.names = first.names or vertex_names(first.width // 3)
        self.unit = self._unit(first) if self.mesh else "weight"
        told = self.found.extras.get("split.json")
        self.splits = splits(self.found.pairs if told else self.pairs, told)
        self.neutral = self._templates() if self.mesh else {}
        self.regions = self._regions() if self.mesh else {}
        if self.layout and not self.known:
            raise DataError(f"No channel of {source} is one of {self.name}'s; give another --annotation.")
        self._note_files()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Those of whom there is a pair that can be used."""
        return tuple(dict.fromkeys(p.subject for p in self.pairs))

    def leave_out(self, pair: Pair, fault: Exception) -> None:
        """Go on without a pair, and tell why."""
        self.pairs = tuple(p for p in self.pairs if p is not pair)
        self.problems.append(f"{pair.name} was left out: {fault}")

    @property
    def layout(self) -> bool:
        """Whether the weights go into a built-in layout, by name."""
        return self.name in builtin.WEIGHTS

    @cached_property
    def known(self) -> tuple[str, ...]:
        """Channels of the built-in layout that the folder has."""
        have = {channel_key(name) for name in self.names}
        return tuple(name for name in layout(self.name).names if channel_key(name) in have)

    def take(self, pair: Pair) -> Take:
        """The motion of a pair, memory-mapped where its file allows."""
        mesh = self.options.unit is not None or any("template." in place for place in self.found.extras)
        return read_take(pair.motion, self._given_names, mesh, self.read)

    @cached_property
    def _given_names(self) -> tuple[str, ...] | None:
        path = self.options.names or self.found.extras.get("names.txt")
        if path is None:
            return None
        if not path.is_file():
            raise DataError(f"There is no file {path} with names of weights.")
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        return tuple(line.strip() for line in text.splitlines() if line.strip())

    def _check_takes(self) -> Take:
        """One of the takes; all others are of its kind, width, channels and frame rate, as most in the folder are.
        Raises DataError where none can be read, or none is like most others."""
        takes: list[tuple[Pair, Take, float]] = []
        faults = []
        for pair in self.pairs:
            try:
                take = self.take(pair)
                takes.append((pair, take, self._fps(pair, take)))
            except (UniTalkerError, OSError) as fault:
                faults.append(fault)
                self.leave_out(pair, fault)
        if not takes:
            raise faults[0]
        first = next(
            (one for one in takes if 2 * sum(_unlike(one, t) is None for t in takes) > len(takes)), takes[0]
        )
        for one in takes:
            fault = _unlike(first, one)
            if fault is not None and 2 * sum(_unlike(first, t) is None for t in takes) <= len(takes):
                raise fault
            if fault is not None:
                self.leave_out(one[0], fault)
            self.frames[one[0].name] = len(one[1].values)
        self.fps = first[2]
        return first[1]

    def _fps(self, pair: Pair, take: Take) -> float:
        given, path = self.options.fps, self.found.extras.get("fps.txt")
        if given is None and path is not None:
            try:
                given = float(path.read_text())
            except ValueError:
                raise DataError(f"{path} should hold one number, the frames a second.") from None
        if given is not None and not 1 <= given <= 1000:
            raise DataError(f"The frames a second must lie between 1 and 1000, not {given:g}.")
        if take.fps is not None and given is not None and abs(take.fps - given) > 1e-3 * given:
            raise DataError(f"{pair.motion} says {take.fps:g} frames a second, not {given:g}.")
        fps = take.fps or given
        if fps is None:
            raise DataError(
                f"{pair.motion} does not say its frames a second; give --fps, or put them in fps.txt."
            )
        return float(fps)

    def _unit(self, first: Take) -> str:
        unit = self.options.unit or first.unit
        if unit is None:
            self.notes.append("No --unit was given: vertices are taken to be in a unit of their own, u.")
        elif unit not in LENGTHS:
            raise DataError(unknown("unit", unit, LENGTHS))
        elif self.options.unit and first.unit and self.options.unit != first.unit:
            raise DataError(f"{self.pairs[0].motion} is in {first.unit}, not in {self.options.unit}.")
        return unit or "u"

    def _templates(self) -> dict[str, Neutral]:
        out = {}
        for subject in self.subjects:
            neutral = given_neutral(self.found.extras, subject, self.source)
            if neutral is None:
                continue
            if neutral.vertices.size != self.width:
                raise DataError(
                    f"{neutral.about} has {len(neutral.vertices)} vertices, the motion has {self.width // 3}."
                )
            out[subject] = neutral
        return out

    def _regions(self) -> dict[str, np.ndarray]:
        extras = self.found.extras
        files = {
            "lips": self.options.lips or extras.get("lips.txt"),
            "upper_face": extras.get("upper_face.txt"),
        }
        missing = [path for path in files.values() if path is not None and not path.is_file()]
        if missing:
            raise DataError(f"There is no file {missing[0]} with vertex numbers.")
        if files["lips"] is None:
            self.notes.append("No lips.txt: lip errors (LVE, LVD) are taken over all vertices.")
        count = self.width // 3
        given = {name: indices(path, count) for name, path in files.items() if path is not None}
        return {"lips": np.arange(count, dtype=np.int32)} | given

    def _note_files(self) -> None:
        found = self.found
        self.problems += [f"{name} was left out: it has no partner of the same stem." for name in found.alone]
        if found.other:
            self.notes.append(f"Of no known kind, so not looked at: {_some(found.other)}.")
        count = {s: [self.splits[p.name] for p in self.pairs].count(s) for s in SPLITS}
        how = "split.json" if "split.json" in found.extras else "8:1:1 by clip of each subject"
        self.notes.append(f"{', '.join(f'{n} {s}' for s, n in count.items())} ({how}).")


def _plain(name: str) -> str:
    """A folder's name as an annotation's: accents and other letters become plain ones or `_`."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in letters) or "face"


def _check_name(name: str) -> None:
    if not name.replace("-", "a").replace("_", "a").isalnum() or not name.isascii():
        raise DataError(
            f"An annotation's name has letters, digits, - and _ alone, unlike {name!r}; give --annotation."
        )
    if name in builtin.NAMES and name not in builtin.WEIGHTS:
        raise DataError(f"{name!r} is a built-in annotation of another face; give another --annotation.")


def _unlike(first: tuple[Pair, Take, float], other: tuple[Pair, Take, float]) -> DataError | None:
    """Why two takes cannot be of one dataset, None where they can."""
    (one, a, fps), (two, b, rate) = first, other
    if (a.names is None) != (b.names is None):
        kinds = ["vertices" if t.names is None else "weights" for t in (a, b)]
        return DataError(
            f"{one.motion} holds {kinds[0]}, but {two.motion} {kinds[1]}; make a dataset of each."
        )
    if b.names is None and a.width != b.width:
        counts = f"{one.motion} has {a.width // 3} vertices, but {two.motion} {b.width // 3}"
        return DataError(f"{counts}: not one topology.")
    if b.names is not None and (strange := sorted(set(b.names) ^ set(a.names or ()))):
        return DataError(
            f"{one.motion} and {two.motion} differ in the channel {strange[0]!r}; all need the same."
        )
    if abs(fps - rate) > 1e-3 * fps:
        told = f"{one.name} has {fps:g}, {two.name} has {rate:g}"
        return DataError(f"A dataset's motion runs at one frame rate, but {told}; make a dataset of each.")
    return None


def _some(names: Sequence[str], limit: int = 12) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
