"""Sequences of FLAME parameters with their sound: npz with named arrays, or npy (T, D) as published methods write them.

Known without names, by their numbers a frame: 53 (50 expression, 3 jaw; 3DMEAD), 56 (50, 6 pose; TFHP), 103 (100, 3 jaw), 106
(100, 6 pose; ARTalk), 156 (100 shape, 50 expression, 6 pose; DEEPTalk, MEAD-3D), 413 (all). A pose is the head's rotation, then
the jaw. They become FLAME_2020_parameters; heads predict expression and jaw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from unitalker.annotations.flame import DIM, ROTATION
from unitalker.audio import probe
from unitalker.data.importers.corpus import Corpus, Imported, Options, Progress, Take, write_corpus
from unitalker.data.importers.expected import Expected
from unitalker.data.importers.flame_npz_files import Sequence, look, numbers
from unitalker.data.importers.flame_numbers import CARD
from unitalker.data.importers.rows import Frames
from unitalker.data.importers.shelf import Shelf, split_of, subject_of
from unitalker.data.importers.shelf import look as files
from unitalker.data.importers.stamped import changed, even_frames
from unitalker.data.importers.weights import RATES, checked_rate, usual_rate
from unitalker.data.views_resample import FILTER
from unitalker.errors import DataError, UniTalkerError

FACTS = Expected("flame-npz", CARD.name, "flame", 25.0, DIM, source="sequences of FLAME parameters")


@dataclass(frozen=True)
class Found:
    """A sequence with its sound and its frames a second."""

    name: str
    sequence: Sequence
    sound: Path
    fps: float


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out` from the sequences under `source`. Raises DataError where none can be used."""
    shelf = files(source, (".npz", ".npy"))
    problems = [*shelf.problems]
    found = list(_found(shelf, checked_rate(options.fps), problems))
    if not found:
        raise DataError(problems[0] if problems else f"{source} holds no npz or npy files.")
    fps = options.fps or usual_rate((one.fps, one.sequence.frames) for one in found)
    split = split_of({one.name: subject_of(one.name) for one in found})
    takes = [
        Take(
            one.name,
            subject_of(one.name),
            split[one.name],
            one.sound,
            partial(_frames, one.sequence, one.fps, fps),
        )
        for one in found
    ]
    corpus = Corpus(out.name, FACTS, CARD, takes, fps=fps)
    corpus.problems = problems
    corpus.notes = [
        f"Sequences: {len(found)}, all at {fps:g} frames a second here; filter: {FILTER}.",
        *_held(found),
        "Heads predict expression and jaw; vertices need a FLAME model of your own (the setting `flame`).",
        *shelf.alone(),
    ]
    return [write_corpus(corpus, out, progress)]


def _found(shelf: Shelf, given: float | None, problems: list[str]) -> Iterator[Found]:
    """The sequences that can be read and have a sound; all else is told."""
    for name, path in shelf.motion.items():
        try:
            sequence = look(path)
            sound = shelf.sound_of(name, _stems(name))
            if sound is None:
                raise DataError(f"{path.name} has no sound or film of its name; the voice is needed.")
            yield Found(name, sequence, sound, _rate(sequence, sound, given))
        except UniTalkerError as fault:
            shelf.claim(name)
            problems.append(f"{name} was left out: {fault}")


def _stems(name: str) -> tuple[str, ...]:
    """The stem without what tools append to it."""
    stem = name.rpartition("/")[2]
    return tuple(
        stem[: -len(end)] for end in ("_flame", "_param", "_params", "_exp") if stem.lower().endswith(end)
    )


def _rate(sequence: Sequence, sound: Path, given: float | None) -> float:
    """Frames a second that the file tells, else those that are given. Raises DataError without either."""
    fps = sequence.fps if sequence.fps is not None else given
    if fps is None:
        seconds = probe(sound).seconds
        about = f"; by its sound it has about {sequence.frames / seconds:.3g}" if seconds else ""
        raise DataError(f"{sequence.path} does not say its frames a second{about}. Give --fps.")
    if not RATES[0] <= fps <= RATES[1]:
        raise DataError(
            f"{sequence.path}: fps must lie between {RATES[0]:g} and {RATES[1]:g}, not be {fps:g}."
        )
    return fps


def _held(found: list[Found]) -> list[str]:
    """A note for each of FLAME's parts that some sequences lack, and of arrays that have no place."""
    notes = []
    for kind in ("shape", "jaw", "rotation", "translation"):
        lack = sum(kind not in one.sequence.holds for one in found)
        if lack:
            notes.append(f"{lack} of {len(found)} sequences have no {kind}: it rests there.")
    unused = sorted({name for one in found for name in one.sequence.unused})
    return [
        *notes,
        *(
            [f"Left out, since the 413 numbers have no place for them: {', '.join(unused)}."]
            if unused
            else []
        ),
    ]


def _frames(sequence: Sequence, rate: float, fps: float) -> Frames:
    """The 413 numbers of a sequence at `fps`."""
    frames = even_frames(numbers(sequence), rate, fps)
    return frames if rate == fps or "rotation" not in sequence.holds else changed(frames, _upright)


def _upright(block: np.ndarray) -> np.ndarray:
    """The same frames, the two columns of the rotation (interpolated number by number) of unit length and square again."""
    first, second = block[:, ROTATION][:, :3], block[:, ROTATION][:, 3:]
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    second = second - (first * second).sum(1, keepdims=True) * first
    second = second / np.linalg.norm(second, axis=1, keepdims=True)
    return np.concatenate([block[:, : ROTATION.start], first, second, block[:, ROTATION.stop :]], axis=1)
