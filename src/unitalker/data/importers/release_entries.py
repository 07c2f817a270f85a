"""The lists of the paper's data release, train.json, val.json and test.json, and the sequences that they name.

A list is `{"info": {"id_list": […]}, "data": [{"annot_path", "audio_path", "id", "annot_type", "dataset", "fps"}, …]}`.
Its files lie in the list's folder; a path that leads out of it, by its name or by a link, is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from unitalker.annotations.released.files import read_json
from unitalker.annotations.released.folder import LISTS, safe_names
from unitalker.annotations.released.sets import SETS, ReleasedAnnotation, ReleasedSet
from unitalker.audio import probe, stream
from unitalker.config import SAMPLE_RATE
from unitalker.data.importers.corpus import Corpus, Sound, Take
from unitalker.data.importers.rows import Frames, NpyRows, displacements, open_rows, steps
from unitalker.errors import AudioError, DataError, ModelError

STEPS = {25.0: 1, 30.0: 1, 60.0: 2, 100.0: 4}
"""Frames a second that the published code knows → every how many frames it takes."""
LONGEST, SHORTEST = 20.0, 0.5
"""Seconds to which the published code cuts sequences, and under which it drops them."""
RATES = (1.0, 1000.0)


@dataclass
class Lists:
    """What a folder's lists hold. entries: (split, entry). subjects: names by number. total: seconds, as they say."""

    entries: list[tuple[str, Any]] = field(default_factory=list)
    subjects: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)

    def notes(self, people: int) -> list[str]:
        """What is to be told of subjects that are counted elsewhere."""
        if not self.subjects or len(self.subjects) == people:
            return []
        return [
            f"The lists name {len(self.subjects)} subjects, but there are {people}; they are called by number."
        ]


@dataclass(frozen=True)
class Part:
    """A folder of the release. place: resolved. names: of the subjects by number. faces: (S, dim) as in the file."""

    known: ReleasedSet
    annotation: ReleasedAnnotation
    place: Path
    names: tuple[str, ...]
    faces: np.ndarray | None


@dataclass(frozen=True)
class Entry:
    """A sequence that a list names, whose form was checked."""

    name: str
    split: str
    motion: Path
    sound: Path
    subject: int
    fps: float
    dataset: str


def read_lists(place: Path) -> Lists:
    """The lists of a folder; one that is broken is told."""
    lists = Lists()
    for file in LISTS:
        path = place / file
        if not path.is_file():
            continue
        try:
            held = read_json(path)
        except (ModelError, RecursionError) as fault:
            lists.problems.append(f"{file} was left out: {fault}")
            continue
        if not isinstance(held, dict) or not isinstance(held.get("data"), list):
            lists.problems.append(f"{file} was left out: {path} holds no list 'data' of sequences.")
            continue
        info = held.get("info")
        named = info.get("id_list") if isinstance(info, dict) else None
        if not lists.subjects and isinstance(named, list) and named:
            lists.subjects = safe_names(named)
        lists.entries += [(path.stem, entry) for entry in held["data"]]
    return lists


@dataclass(frozen=True)
class Reader:
    """How sequences are prepared. release: as the published code does it. fps: frames a second that are asked for."""

    release: bool = False
    fps: float | None = None

    def takes(self, part: Part, lists: Lists, corpus: Corpus) -> float:
        """Give the corpus the sequences of a folder; what cannot be used is told in it. Gives the frames a second."""
        entries = []
        for number, (split, raw) in enumerate(lists.entries):
            try:
                entries.append(_entry(part, split, raw))
            except DataError as fault:
                corpus.problems.append(f"{_called(raw, split, number)} was left out: {fault}")
        fps = self._rate([entry.fps for entry in entries], part.annotation.fps)
        found: list[Take] = []
        changed: Counter[str] = Counter()
        for entry in entries:
            try:
                take = self._take(part, entry, fps, changed)
            except (DataError, AudioError) as fault:
                corpus.problems.append(f"{entry.name} was left out: {fault}")
                continue
            found += [take] if take is not None else []
        corpus.takes = found
        strange = sorted({entry.dataset for entry in entries} - {part.known.id})
        corpus.notes += [f"{part.known.id}: {text} ({count})." for text, count in changed.items() if count]
        if strange:
            corpus.notes.append(f"{part.known.id}: some sequences say that they are of {', '.join(strange)}.")
        return fps

    def _rate(self, stored: Sequence[float], usual: float) -> float:
        """Frames a second of the dataset: what is asked for, or what most sequences can be brought to by leaving out
        frames."""
        if self.fps is not None:
            return self.fps
        made = [fps / STEPS.get(fps, 1) if self.release else fps for fps in stored]
        counts = Counter(made)
        fitting = {fps: sum(n for other, n in counts.items() if other % fps == 0) for fps in counts}
        return max(fitting, key=lambda fps: (fitting[fps], fps), default=usual)

    def _take(self, part: Part, entry: Entry, fps: float, changed: Counter[str]) -> Take | None:
        """A sequence, None where the release drops it. Raises DataError for a frame rate that does not fit."""
        if self.release and entry.fps not in STEPS:
            raise DataError(
                f"it has {entry.fps:g} frames a second; the release's preparation knows {', '.join(f'{f:g}' for f in STEPS)}."
            )
        if entry.fps % fps:
            raise DataError(f"it has {entry.fps:g} frames a second, of which {fps:g} cannot be taken evenly.")
        step, sound = int(entry.fps / fps), _sound(entry.sound)
        changed[f"of {entry.fps:g} frames a second 1 in {step} is taken, {fps:g}"] += step > 1
        changed["sounds stored as arrays, which are written as FLAC"] += not isinstance(sound, Path)
        motion = partial(_frames, part, entry, step, None)
        if self.release:
            heard, moved = _length(entry.sound), -(-len(_rows(part, entry)) // step) / fps
            seconds = min(heard, moved, LONGEST)
            if seconds < SHORTEST:
                changed[f"dropped, being shorter than {SHORTEST:g} s, as the release does"] += 1
                return None
            changed[f"cut to {LONGEST:g} s, as the release does"] += min(heard, moved) > LONGEST
            motion, samples = (
                partial(_frames, part, entry, step, round(seconds * fps)),
                round(seconds * SAMPLE_RATE),
            )
            sound = sound if samples == round(heard * SAMPLE_RATE) else partial(_cut, sound, samples)
        return Take(entry.name, part.names[entry.subject], entry.split, sound, motion)


def _called(raw: Any, split: str, number: int) -> str:
    """What a list's entry is called in sentences."""
    name = raw.get("annot_path") if isinstance(raw, dict) else None
    return name[:120] if isinstance(name, str) else f"entry {number} of {split}.json"


def _entry(part: Part, split: str, raw: Any) -> Entry:
    """An entry of a list with its files found. Raises DataError that says what is wrong with it."""
    if not isinstance(raw, dict):
        raise DataError(f"it should be an object, not {type(raw).__name__}.")
    kind = raw.get("annot_type")
    if kind != part.annotation.name:
        raise DataError(f"its annotation is {kind!r}; {part.known.id} has {part.annotation.name}.")
    subject, fps, dataset = raw.get("id"), raw.get("fps"), str(raw.get("dataset", part.known.id))
    if type(subject) is not int or not 0 <= subject < len(part.names):
        raise DataError(
            f"its id is {subject!r}; the {len(part.names)} subjects are 0 to {len(part.names) - 1}."
        )
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not RATES[0] <= fps <= RATES[1]:
        raise DataError(f"its fps is {fps!r}, which is no number of frames a second.")
    scales = {known.id: known.scale for known in SETS}
    if scales.get(dataset) != part.known.scale:
        raise DataError(f"it says that it is of {dataset!r}, whose unit is not that of {part.known.id}.")
    motion, sound = (_file(part.place, raw.get(key), key) for key in ("annot_path", "audio_path"))
    name = PurePosixPath(raw["annot_path"]).with_suffix("").as_posix()
    return Entry(name, split, motion, sound, subject, float(fps), dataset)


def _file(place: Path, relative: Any, key: str) -> Path:
    """A file that a list names. Raises DataError for one that is missing or lies outside the folder."""
    if not isinstance(relative, str) or not relative or "\0" in relative:
        raise DataError(f"its {key} is {relative!r}, which is no file's name.")
    try:
        path = (place / relative).resolve()
        inside, there = path.is_relative_to(place), path.is_file()
    except (OSError, ValueError, RuntimeError):  # too long, no text, a link that goes round
        raise DataError(f"its {key} is {relative[:80]!r}, which is no file's name.") from None
    if not inside:
        raise DataError(f"its {key} points outside the folder: {relative!r}.")
    if not there:
        raise DataError(f"its {key} {relative!r} is missing.")
    return path


def _rows(part: Part, entry: Entry) -> NpyRows:
    rows = open_rows(entry.motion)
    if rows.width != part.annotation.dim:
        raise DataError(f"{entry.motion} has {rows.width} numbers a frame, not {part.annotation.dim}.")
    return rows


def _frames(part: Part, entry: Entry, step: int, count: int | None) -> Frames:
    """The motion of a sequence: every step-th frame, `count` of them or all; vertices over the subject's face."""
    rows, vertices = _rows(part, entry), part.annotation.kind == "vertices"
    frames = -(-len(rows) // step)
    count = frames if count is None else min(count, frames)
    if vertices:
        assert part.faces is not None
        blocks = displacements(rows, part.faces[entry.subject], step).blocks
    else:
        blocks = partial(_blocks, rows, step)
    whole = step == 1 and count == len(rows) and rows.kind.kind == "f"
    return Frames(count, blocks, file=entry.motion if whole else None, positions=vertices)


def _blocks(rows: NpyRows, step: int) -> Iterator[np.ndarray]:
    for start, stop in steps(-(-len(rows) // step), rows.width * step):
        yield rows.read(start * step, min(stop * step, len(rows)))[::step].astype(np.float32)


def _length(path: Path) -> float:
    """Seconds of a sound. Raises AudioError or DataError."""
    if path.suffix.casefold() == ".npy":
        return len(_array(path)) / SAMPLE_RATE
    seconds = probe(path).seconds
    return sum(map(len, stream(path))) / SAMPLE_RATE if seconds is None else seconds


def _sound(path: Path) -> Sound:
    """What gives the samples of a file."""
    return partial(_array, path) if path.suffix.casefold() == ".npy" else path


def _array(path: Path) -> np.ndarray:
    """Samples (N,) float32 of an npy file at 16 kHz. Raises DataError for another array."""
    try:
        samples = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as fault:
        raise DataError(f"{path} is not a readable npy array: {fault}.") from None
    if samples.size != max(samples.shape, default=0) or samples.dtype.kind not in "fi":
        raise DataError(f"{path} should hold samples (N,), not {samples.dtype} {samples.shape}.")
    full = 1.0 if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max) + 1
    heard = np.array(samples.reshape(-1), np.float32) / np.float32(full)
    if not np.isfinite(heard).all():
        raise DataError(f"{path} holds NaN or infinite samples.")
    return heard


def _cut(sound: Sound, samples: int) -> np.ndarray:
    """The first samples of a sound."""
    if not isinstance(sound, Path):
        return sound()[:samples]
    parts: list[np.ndarray] = []
    for block in stream(sound):
        parts.append(block)
        if sum(map(len, parts)) >= samples:
            break
    return np.concatenate(parts)[:samples]
