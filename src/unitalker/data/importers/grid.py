"""GRID corpus, one speaker, with ARKit weights that a face tracker read from the video at 25 fps.

Source folder: `grid_s1.npz` (clip, arkit_mp (N, T, 52), names, valid, align, fps) and `audio/<clip>.flac`.
The tracker's weights have a resting value that differs from clip to clip, so each clip is taken relative to
the median of its silent frames and clipped to [0, 1]. Measured over all 899 clips, jawOpen follows the root
of the 50 ms loudness envelope best at +10 ms, less than a frame, so sound and motion are left as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from unitalker.config import SAMPLE_RATE
from unitalker.data.importers.corpus import BROKEN_SECONDS, Imported
from unitalker.data.importers.writing import Clips, ImportedClip, read_arrays, read_speech, write_dataset
from unitalker.errors import DataError
from unitalker.motion import by_name

ALIGN_UNITS = 25000.0  # units of the corpus's word timings in one second
SILENT_WORDS = ("sil", "sp")
EDGE_BEFORE, EDGE_AFTER = 0.12, 0.10  # seconds beside a word that are no rest
DEVELOPMENT_CLIPS = 100
# Channels whose numbers carry speech: movement within a clip has a standard deviation of 0.02 or more, and a
# linear regression on log-mel frames finds it on unseen clips, r from 0.24 (mouthPress) to 0.86 (jawOpen).
# The tracker hardly moves mouthFunnel, mouthUpperUp, mouthLowerDown, cheekPuff, noseSneer and the rest of the
# mouth; blinks and gaze move, but speech does not tell when.
KNOWN = ("jawOpen", "mouthClose", "mouthPucker", "mouthPressLeft", "mouthPressRight", "mouthRollUpper")

Word = tuple[float, float, str]


def import_grid(source: Path, out: Path) -> list[Imported]:
    """Write the corpus in `source` as one dataset of annotation "arkit52" in `out`.

    The last 100 clips by name are the split "val". A clip whose sound or numbers cannot be used is left out and told.
    Raises DataError when the numbers of all clips are missing, or none can be used.
    """
    source, out = Path(source), Path(out)
    if not (source / "grid_s1.npz").is_file():
        raise DataError(
            f"{source} has no file grid_s1.npz; this corpus is a folder with grid_s1.npz (weights that were tracked from "
            "the videos) and audio/<clip>.flac, as docs/datasets.md says."
        )
    stored = read_arrays(
        source / "grid_s1.npz", ("clip", "arkit_mp", "names", "valid", "align", "fps", "transcript")
    )
    names = arkit52_names()
    fps = float(stored["fps"])
    facts = {
        "name": "grid",
        "annotation": "arkit52",
        "fps": fps,
        "unit": "weight",
        "names": list(names),
        "known": list(KNOWN),
        "subjects": ["s1"],
        "licence": "CC BY 4.0, GRID corpus (Cooke, Barker, Cunningham, Shao 2006); tracked from its video",
        "source": "GRID speaker 1, video tracked with the MediaPipe face landmarker",
        "notes": _notes(stored["valid"]),
    }
    return [write_dataset(out, facts, _clips(source, stored, names, fps))]


def arkit52_names() -> tuple[str, ...]:
    """Channel names of the annotation "arkit52"."""
    from unitalker.annotations.layouts import layout

    return layout("arkit52").names


def parse_words(line: str) -> list[Word]:
    """All entries of an alignment line `0 23750 sil|23750 29500 bin|…` as (start s, end s, word)."""
    try:
        rows = [entry.split() for entry in line.split("|")]
        return [(int(start) / ALIGN_UNITS, int(end) / ALIGN_UNITS, word) for start, end, word in rows]
    except ValueError as problem:
        raise DataError(
            f"The word timings {line[:60]!r} are not 'start end word|…' rows: {problem}."
        ) from problem


def rest_frames(words: Sequence[Word], frames: int, fps: float) -> np.ndarray:
    """(frames,) bool: silent frames, from 0.10 s after the word before to 0.12 s before the next."""
    times = np.arange(frames) / fps
    rest = np.zeros(frames, bool)
    for index, (start, end, word) in enumerate(words):
        if word in SILENT_WORDS:
            first = start + (EDGE_AFTER if index else 0.0)
            last = end - (EDGE_BEFORE if index < len(words) - 1 else 0.0)
            rest |= (times >= first) & (times <= last)
    return rest


def fill_gaps(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(T, D) with the frames that are not valid interpolated between their valid neighbours (ends held)."""
    if valid.all():
        return values
    good = np.flatnonzero(valid)
    if not len(good):
        raise DataError("A clip has no frame in which the tracker found the face.")
    times = np.arange(len(values))
    return np.stack([np.interp(times, good, values[good, k]) for k in range(values.shape[1])], axis=1)


def relative_to_rest(values: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(T, D) minus the median of the `rest` frames, clipped to [0, 1]."""
    if not rest.any():
        raise DataError("A clip has no silent frame, so its resting face is unknown.")
    return np.clip(values - np.median(values[rest], axis=0), 0.0, 1.0)


def _clips(source: Path, stored: dict[str, np.ndarray], names: tuple[str, ...], fps: float) -> Clips:
    order = sorted(range(len(stored["clip"])), key=lambda i: str(stored["clip"][i]))
    development = set(order[-DEVELOPMENT_CLIPS:])
    for i in order:
        split = "val" if i in development else "train"
        yield str(stored["clip"][i]), partial(_clip, source, stored, i, split, names, fps)


def _clip(
    source: Path, stored: dict[str, np.ndarray], i: int, split: str, names: tuple[str, ...], fps: float
) -> ImportedClip:
    clip, valid = str(stored["clip"][i]), stored["valid"][i]
    words = parse_words(str(stored["align"][i]))
    values = fill_gaps(stored["arkit_mp"][i].astype(np.float32), valid)
    moved = relative_to_rest(values, rest_frames(words, len(values), fps) & valid)
    spoken = [w for w in words if w[2] not in SILENT_WORDS]
    path = source / "audio" / f"{clip}.flac"
    samples = read_speech(path)
    if (over := len(values) / fps - len(samples) / SAMPLE_RATE) > BROKEN_SECONDS:
        raise DataError(f"its motion is {over:.2f} s longer than its sound {path}, which is not whole.")
    return ImportedClip(
        id=clip,
        subject="s1",
        split=split,
        samples=samples,
        values=by_name(moved, [str(n) for n in stored["names"]], names),
        text=" ".join(w[2] for w in spoken),
        words=spoken,
    )


def _notes(valid: np.ndarray) -> list[str]:
    lost = ~valid.astype(bool)
    return [
        "Each clip is relative to the median of its silent frames, clipped to [0, 1].",
        f"{int(lost.sum())} frames in {int(lost.any(1).sum())} clips, in which the tracker saw no face, are "
        "interpolated or held.",
        f"The last {DEVELOPMENT_CLIPS} clips by name are the development split.",
        "Channels that the tracker lacks are 0.",
    ]
