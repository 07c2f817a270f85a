"""What the two parts of 3D-ETF share: a sound and weights of ARKit's 52 shapes (T, 52) under one name, 30 frames a second.

3D-ETF is EmoTalk's fit of blendshapes to HDTF and RAVDESS. Copies lie as `HDTF/audio/*.wav` with `HDTF/blendshape/*.npy`,
or as the paper's release names them, `train/<name>.wav` beside `train/<name>.npy`; files are paired by their names in
whatever folders of such a copy. Channels are in alphabetical order. Weights below 0 or above 1 are kept and told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from unitalker.annotations.released.cards import card_of
from unitalker.annotations.released.sets import ANNOTATIONS
from unitalker.audio import probe
from unitalker.data.importers.corpus import Corpus, Imported, Options, Progress, Take, spelt, write_corpus
from unitalker.data.importers.expected import Expected
from unitalker.data.importers.folder_files import SOUND
from unitalker.data.importers.rows import Frames, open_rows, steps
from unitalker.data.importers.weights import Range
from unitalker.errors import AudioError, ConfigError, DataError

ANNOTATION = ANNOTATIONS["3DETF_blendshape_weight"]
LICENCE = "3D-ETF: research only, by its authors' agreement; the voices under the terms of their own corpora"
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Names of folders in copies that are split already → our splits."""
NO_MOTION = ("id_template",)
MEASURED, RATE_SHARE = 20, 0.03
"""Takes whose frames a second are measured, and the share by which their median may differ."""

Named = Callable[[str], tuple[str, str] | None]
"""A take's name → its subject and its split, None for a name that the corpus does not have."""


@dataclass
class Copy:
    """The files of a copy by (split folder or "", name). problems: what is told of files that cannot be paired."""

    root: Path
    motion: dict[tuple[str, str], Path] = field(default_factory=dict)
    sound: dict[tuple[str, str], Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def write(
    expected: Expected,
    part: str,
    named: Named,
    source: Path,
    out: Path,
    options: Options,
    progress: Progress | None,
) -> Imported:
    """Write the dataset `out` from a copy of one part of 3D-ETF, or of the whole. part: the folder's name in it.

    Raises DataError where nothing is found, or where the frames are not 30 a second and `--fps` does not say so.
    """
    copy = look(_root(source, part))
    pairs = sorted(set(copy.motion) & set(copy.sound))
    if not pairs:
        raise DataError(
            f"{copy.root} has no sound with weights of the same name; it should hold audio/*.wav and blendshape/*.npy, "
            "or both side by side."
        )
    fps, seen = _rate(copy, pairs, expected.fps, options.fps), Range()
    card = card_of(ANNOTATION)
    corpus = Corpus(
        out.name, expected, card, (), fps=fps, notes=["", ""], problems=[*copy.problems, *alone(copy)]
    )
    takes, own = [], any(folder for folder, _ in pairs)
    for folder, name in pairs:
        who = named(name)
        if who is None:
            corpus.problems.append(f"{name} was left out: this is no name of {expected.source}.")
            continue
        key = (folder, name)
        motion = partial(_frames, copy.motion[key], partial(seen.watch, notes=corpus.notes, place=1))
        takes.append(Take(name, who[0], SPLITS.get(folder, who[1]), copy.sound[key], motion))
    corpus.takes = takes
    people = len({take.subject for take in takes})
    how = "the copy's own folders" if own else "8 : 1 : 1 by name, as docs/datasets.md says"
    corpus.notes[0] = (
        f"Sequences: {len(takes)} of {expected.sequences}; subjects: {people} of {expected.people}; split by {how}."
    )
    return write_corpus(corpus, out, progress)


def _root(source: Path, part: str) -> Path:
    """The part's folder in a copy of the whole, else the folder itself."""
    for pattern in ("*", "*/*"):
        for path in sorted(source.glob(pattern)):
            if path.is_dir() and part in path.name.casefold():
                return path
    return source


def look(root: Path) -> Copy:
    """The files of a copy."""
    copy = Copy(root)
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        folder = next((p.casefold() for p in path.relative_to(root).parts if p.casefold() in SPLITS), "")
        suffix, name = path.suffix.casefold(), spelt(path.stem)
        kind = copy.motion if suffix == ".npy" else copy.sound if suffix in SOUND else None
        if kind is None or name in NO_MOTION:
            continue
        first = kind.setdefault((folder, name), path)
        if first != path:
            copy.problems.append(
                f"{path.relative_to(root)} was left out: {first.relative_to(root)} has its name already."
            )
    return copy


def alone(copy: Copy) -> list[str]:
    """A sentence for each file without its partner."""
    out = []
    for key in sorted(set(copy.motion) ^ set(copy.sound)):
        path, lacks = (
            (copy.motion[key], "sound") if key in copy.motion else (copy.sound[key], "weights (.npy)")
        )
        out.append(f"{key[1]} was left out: {path.relative_to(copy.root)} has no {lacks} of the same name.")
    return out


def _rate(copy: Copy, pairs: list[tuple[str, str]], usual: float, told: float | None) -> float:
    """Frames a second of a copy. Raises DataError where it is not the usual one and nobody told so."""
    if told is not None:
        if not 1 <= told <= 240:
            raise ConfigError(f"--fps must lie between 1 and 240, not be {told:g}.")
        return told
    found = []
    for key in pairs[:: max(1, len(pairs) // MEASURED)]:
        try:
            seconds = probe(copy.sound[key]).seconds
            found += [len(_opened(copy.motion[key])) / seconds] if seconds else []
        except (AudioError, DataError):
            continue
    middle = float(np.median(found)) if found else usual
    if abs(middle / usual - 1) > RATE_SHARE:
        raise DataError(
            f"{copy.root} has about {middle:.4g} frames for a second of sound, not {usual:g}. If the copy is at another "
            f"frame rate, say it: --fps {round(middle)}."
        )
    return usual


def _frames(path: Path, watch: Callable[[Frames], Frames]) -> Frames:
    """The weights of a file; how far they go is watched."""
    weights = _opened(path)
    return watch(Frames(len(weights), partial(_blocks, weights)))


def _opened(path: Path) -> np.ndarray:
    """Memory-mapped weights (T, 52), stored by rows or by columns. Raises DataError for another file."""
    try:
        weights = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as fault:
        open_rows(path)
        raise DataError(f"{path} is not a readable npy array: {fault}.") from None
    if weights.dtype.kind not in "fiu" or weights.ndim != 2 or not len(weights):
        raise DataError(
            f"{path} should hold weights (frames, {ANNOTATION.dim}), not {weights.dtype} {weights.shape}."
        )
    if weights.shape[1] != ANNOTATION.dim:
        raise DataError(f"{path} has {weights.shape[1]} numbers a frame, not {ANNOTATION.dim}.")
    return weights


def _blocks(weights: np.ndarray) -> Iterator[np.ndarray]:
    for start, stop in steps(*weights.shape):
        yield np.array(weights[start:stop], np.float32)
