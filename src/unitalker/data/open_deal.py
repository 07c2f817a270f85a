"""Who goes where in the open benchmark: every sound into one set and one split, by rules that need nothing but names
and the motion's own pauses.

Sets: `grid` (tracked weights), `facegood` (the captured rig's 116 channels), `head` and `mesh` (vertices of two
topologies, driven by the captured weights of clips that no other set has).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unitalker.errors import DataError

SETS = ("grid", "facegood", "head", "mesh")
SPLITS = ("train", "val", "test")
UNUSED = "unused"
"""Split of words between two splits and of clips that are broken: in the folders, but not trained on nor measured."""

STEM = 4
"""Letters of a clip's name that stand for its first four words: clips that share them share set and split."""
SALT = "unitalker-open-1/"
GRID_SHARES = (
    ("grid", "train", 0.54), ("grid", "val", 0.06), ("grid", "test", 0.10),
    ("head", "train", 0.08), ("head", "val", 0.03), ("head", "test", 0.07),
    ("mesh", "train", 0.04), ("mesh", "val", 0.02), ("mesh", "test", 0.06),
)  # fmt: skip
"""Set, split, and share of the GRID sentences."""
RECORDINGS = {"1114_2_01": "facegood", "1114_2_02": "facegood", "1114_2_03": "mesh"}
"""FACEGOOD recording → its set."""
UNFIT = {
    "bbizzn": "the motion slips by 380 ms",
    "brwa4p": "no face in the first 0.24 s",
    "bwbt8p": "face and sound do not belong together",
    "lrarzn": "no face in the first 0.16 s",
    "pbwx1s": "no face in the first 0.32 s",
    "prbd1s": "the motion slips by 500 ms",
    "prii9a": "no face in the first 0.16 s",
    "sbbh4p": "no face in the first 0.24 s",
    "srah5s": "face and sound do not belong together",
    "sran9s": "no face in the first 0.16 s",
    "srwi5a": "face and sound do not belong together",
    "srbu7s": "the motion is 220 ms late",
    "swwc5s": "the motion is 178 ms late",
}
"""GRID clips that `data doctor` found broken or far out of step: they are unused."""

STILL = 1e-6
PAUSE_FRAMES = 5
"""Frames of zeros in every channel that end a word: 0.17 s."""
WORDS = (("train", 16), (UNUSED, 1), ("val", 5), (UNUSED, 1), ("test", 8), (UNUSED, 1))
"""Splits of a recording's words in turn, over and over: 32 words, about 36 s."""
LONGEST = 5.0
"""Seconds of a clip of several words at most."""


@dataclass(frozen=True)
class Stretch:
    """Frames first … last of a recording, whole words and the halves of the pauses around them, and their split."""

    first: int
    last: int
    split: str


def grid_home(clip: str) -> tuple[str, str]:
    """(set, split) of a GRID clip, by a hash of its first four words: no other clip counts. Broken ones are unused."""
    digest = hashlib.sha256((SALT + clip[:STEM]).encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    reached = np.cumsum([share for _, _, share in GRID_SHARES])
    name, split, _ = GRID_SHARES[min(int((place >= reached).sum()), len(GRID_SHARES) - 1)]
    return name, UNUSED if clip.split("_")[0] in UNFIT else split


def recording_home(recording: str) -> str:
    """Set of a FACEGOOD recording. Raises DataError for one that the benchmark does not know."""
    if recording not in RECORDINGS:
        raise DataError(
            f"The benchmark has no place for the recording {recording!r}; it is made of {', '.join(RECORDINGS)}."
        )
    return RECORDINGS[recording]


def word_edges(still: np.ndarray) -> list[int]:
    """Frames between which words lie, from 0 to T: the middles of pauses. still: (T,) bool."""
    turns = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(int), [0]])))
    starts, stops = turns[0::2], turns[1::2]
    inner = (stops - starts >= PAUSE_FRAMES) & (starts > 0) & (stops < len(still))
    return [0, *((starts + stops) // 2)[inner].tolist(), len(still)]


def stretches(edges: Sequence[int], fps: float) -> list[Stretch]:
    """The clips of a recording: neighbouring words of one split together, LONGEST seconds at most.

    edges: as `word_edges` gives them. A word that is longer by itself stays whole.
    """
    turn = [split for split, count in WORDS for _ in range(count)]
    found: list[Stretch] = []
    for number, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        split = turn[number % len(turn)]
        before = found[-1] if found else None
        if before and before.split == split and last - before.first <= LONGEST * fps:
            found[-1] = Stretch(before.first, last, split)
        else:
            found.append(Stretch(first, last, split))
    return found


def few(ids: Sequence[str]) -> set[str]:
    """An eighth of the clips, two at least, by a hash of their names: for trying things out."""
    order = sorted(ids, key=lambda name: hashlib.sha256((SALT + name).encode()).hexdigest())
    return set(order[: max(2, len(order) // 8)])
