"""NVIDIA Audio2Face's weights as JSON: {exportFps, trackPath, numPoses, numFrames, facsNames, weightMat}, with the sound.

`facsNames` are ARKit's (52, perhaps with shapes of a tongue), or the 46 of Audio2Face's own faces; the first become arkit52,
the others an annotation of the dataset's own. `weightMat` has a row a frame. The sound has the JSON's name, or the name in
`trackPath`, whose folders are those of another computer and are not followed. Joints are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.layouts import channel_key, layout
from unitalker.data.importers.corpus import Corpus, Imported, Options, Progress, Take, write_corpus
from unitalker.data.importers.expected import Expected
from unitalker.data.importers.json_stream import parts
from unitalker.data.importers.rows import Frames
from unitalker.data.importers.shelf import Shelf, look, split_of, subject_of
from unitalker.data.importers.stamped import Table, even_frames
from unitalker.data.importers.weights import (
    HEAD_WEIGHT,
    RATES,
    Range,
    arkit52,
    checked_rate,
    known_note,
    numbers,
    spread,
    usual_rate,
)
from unitalker.data.views_resample import FILTER
from unitalker.errors import DataError, UniTalkerError

ARKIT = layout("arkit52").names
FACTS = Expected("audio2face", "arkit52", "weight", 30.0, len(ARKIT), source="NVIDIA Audio2Face exports")
OWN = "audio2face_{}"
"""Name of the annotation of other names, by their number."""
BONES = ("joints", "rotations", "translations")
HEAD = ("exportFps", "trackPath", "numPoses", "numFrames", "facsNames")
"""What is kept of a file beside its weights; whatever else it holds is read over."""
ROWS = 512


class NoExport(Exception):
    """A JSON file of something else."""


@dataclass(frozen=True)
class Export:
    """What stands at the head of a file. names: as they are spelt; track: name of the sound without
    folders and ending; frames: as it says."""

    path: Path
    names: tuple[str, ...]
    fps: float
    track: str
    frames: int

    @property
    def keys(self) -> tuple[str, ...]:
        """One spelling of the names."""
        return tuple(map(channel_key, self.names))

    @property
    def arkit(self) -> bool:
        """Whether most names are ARKit's, or most of ARKit's are there."""
        return 2 * len(set(self.keys) & set(ARKIT)) >= min(len(self.names), len(ARKIT))


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out` from the exports under `source`, of the kind of names that most have. Raises DataError where
    none can be used."""
    shelf = look(source, (".json",))
    problems, notes = [*shelf.problems], []
    found = list(_exports(shelf, checked_rate(options.fps), problems, notes))
    if not found:
        raise DataError(
            problems[0] if problems else f"{source} holds no JSON of Audio2Face (facsNames, weightMat)."
        )
    names = _names([export for _, export, _ in found])
    fps = options.fps or usual_rate((export.fps, export.frames) for _, export, _ in found)
    corpus = Corpus(out.name, FACTS, _card(names, fps), (), fps=fps)
    corpus.own_card, corpus.problems = names != ARKIT, problems
    split = split_of({name: subject_of(name) for name, _, _ in found})
    takes, known = [], set(names)
    watch = partial(Range().watch, notes=corpus.notes, place=0)
    for name, export, sound in found:
        strange = _strange(export, names)
        if strange:
            problems.append(f"{name} was left out: {strange}")
            continue
        known &= set(export.keys if names == ARKIT else names)
        motion = partial(_motion, export, names, fps, watch)
        takes.append(Take(name, subject_of(name), split[name], sound, motion))
    there = tuple(n for n in names if n in known)
    corpus.known = there if len(there) < len(names) else None
    corpus.notes += [
        "",
        f"Names: {'ARKit' if names == ARKIT else 'of their own'}, {len(names)}; {fps:g} frames a second; filter: {FILTER}.",
        *known_note(there, names),
        *notes,
        *shelf.alone(),
    ]
    corpus.takes = takes
    return [write_corpus(corpus, out, progress)]


def _exports(
    shelf: Shelf, fps: float | None, problems: list[str], notes: list[str]
) -> Iterator[tuple[str, Export, Path]]:
    """Name, head and sound of each file that is an export; all else is told."""
    for name, path in shelf.motion.items():
        try:
            export = _head(path, fps)
            sound = shelf.sound_of(name, (export.track,) if export.track else ())
            if sound is None:
                raise DataError(
                    f"{path.name} has no sound of its name{f' or {export.track!r}' * bool(export.track)}; put it beside it."
                )
        except NoExport:
            notes.append(
                f"{path.relative_to(shelf.root)} is no export of Audio2Face, so it was not looked at."
            )
        except UniTalkerError as fault:
            shelf.claim(name)
            problems.append(f"{name} was left out: {fault}")
        else:
            yield name, export, sound


def _head(path: Path, given: float | None) -> Export:
    """A file up to its weights, and on where something is missing by then. Raises NoExport, DataError."""
    held: dict[str, Any] = {}
    rows = False
    for key, value in parts(path, ("weightMat",)):
        rows = rows or key == "weightMat"
        if rows and {"facsNames", "exportFps"} <= set(held):
            break
        if key in HEAD:
            held[key] = value
    if not rows and "facsNames" not in held:
        raise NoExport
    names = held.get("facsNames")
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(n, str) and n.isprintable() for n in names)
    ):
        raise DataError(f"{path} has no list facsNames, so nobody knows which weight is which.")
    twice = [n for n, count in Counter(map(channel_key, names)).items() if count > 1]
    if twice:
        raise DataError(f"{path} names {twice[0]} twice, so its weights cannot be told apart.")
    if not rows:
        raise DataError(f"{path} has no frames in weightMat.")
    fps = held.get("exportFps", given)
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not RATES[0] <= fps <= RATES[1]:
        said = "does not say its exportFps; give --fps" if fps is None else f"has the exportFps {fps!r}"
        raise DataError(f"{path} {said}.")
    track = PureWindowsPath(str(held.get("trackPath") or "")).stem
    frames = held.get("numFrames")
    return Export(path, tuple(names), float(fps), track, frames if isinstance(frames, int) else 1)


def _names(exports: list[Export]) -> tuple[str, ...]:
    """The channels of the dataset: ARKit's, or the names of most exports with others."""
    arkit = sum(export.arkit for export in exports)
    if 2 * arkit >= len(exports):
        return ARKIT
    return Counter(export.names for export in exports if not export.arkit).most_common(1)[0][0]


def _strange(export: Export, names: tuple[str, ...]) -> str:
    """Why an export is not of the dataset's kind; nothing where it is."""
    if names == ARKIT:
        return (
            ""
            if export.arkit
            else f"its names ({', '.join(export.names[:3])}, …) are not ARKit's, as most here are."
        )
    lost = sorted(set(names) ^ set(export.names))
    return f"it and most others differ in the channel {lost[0]!r}." if lost else ""


def _card(names: tuple[str, ...], fps: float) -> Annotation:
    """The built-in annotation of ARKit's names, or a new one whose errors are of the weights alone."""
    if names == ARKIT:
        return arkit52(fps)
    return BlendshapeAnnotation(
        OWN.format(len(names)), fps, "weight", names, bounds=None, head_weight=HEAD_WEIGHT
    )


def _motion(export: Export, names: tuple[str, ...], fps: float, watch: Any) -> Frames:
    """The weights of an export at `fps`. Raises DataError for rows that do not fit."""
    table, rows, others, bones = Table(len(export.names)), [], {}, set()

    def store() -> None:
        table.add(numbers(export.path, rows, len(table), len(export.names)))
        rows.clear()

    for key, row in parts(export.path, ("weightMat",)):
        if key == "weightMat":
            rows.append(row)
        elif key in HEAD:
            others[key] = row
        elif key in BONES and row:
            bones.add(key)
        if len(rows) == ROWS:
            store()
    store()
    notes = []
    for key, count in (("numFrames", len(table)), ("numPoses", len(export.names))):
        if others.get(key, count) != count:
            notes.append(f"its {key} is {others[key]!r}, but {count} are there; these were used.")
    have = export.keys if names == ARKIT else export.names
    left = [name for name, key in zip(export.names, have, strict=True) if key not in names]
    if left:
        more = ", …" * (len(left) > 4)
        notes.append(f"{len(left)} shapes beside ARKit's were left out: {', '.join(left[:4])}{more}.")
    if bones:
        notes.append(f"its {', '.join(sorted(bones))} were left out.")
    return watch(spread(even_frames(table, export.fps, fps), have, names, *notes))
