"""What VOCASET's two layouts share: what it holds, its splits, and its frame rate."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from unitalker.data.importers.corpus import UNUSED, Corpus
from unitalker.data.importers.expected import Expected
from unitalker.errors import ConfigError

VERTICES, SENTENCES = 5023, 40
TRAIN = tuple(
    f"FaceTalk_{number}_TA"
    for number in (
        "170728_03272",
        "170904_00128",
        "170725_00137",
        "170915_00223",
        "170811_03274",
        "170913_03279",
        "170904_03276",
        "170912_03278",
    )
)
VAL = ("FaceTalk_170811_03275_TA", "FaceTalk_170908_03277_TA")
TEST = ("FaceTalk_170809_00138_TA", "FaceTalk_170731_00024_TA")
SPLITS = {
    "unitalker": {"train": 384, "val": 48, "test": 48},
    "faceformer": {"train": 320, "val": 40, "test": 40},
}
"""Way to split → sequences of each split, as published."""
MISSING = "FaceTalk_170809_00138_TA_sentence32"
"""The sequence that no copy has."""
HELD = {
    "unitalker": SPLITS["unitalker"] | {"train": 383},
    "faceformer": SPLITS["faceformer"] | {"test": 39},
}
"""Way to split → sequences that a whole copy has."""
EXPECTED = Expected(
    corpus="vocaset",
    annotation="FLAME_5023_vertices",
    unit="m",
    fps=60.0,
    width=3 * VERTICES,
    subjects=TRAIN + VAL + TEST,
    clips=HELD["unitalker"],
    ways=HELD,
    missing=(MISSING,),
    licence="VOCASET: non-commercial research, on registration at voca.is.tue.mpg.de",
    source="VOCASET",
)
TAKE = re.compile(r"(?P<subject>.+)_(?P<sequence>sentence(?P<number>[0-9]{2}))")
RATES = (60.0, 30.0)
"""Frames a second that a dataset can have: all frames, or every second one."""


def split_of(way: str, subject: str, number: int) -> str:
    """Split of a sentence (1–40) of a subject."""
    if subject not in EXPECTED.subjects or not 1 <= number <= SENTENCES:
        return UNUSED
    if way == "faceformer":
        if subject in TRAIN:
            return "train"
        return UNUSED if number <= 20 else "val" if subject in VAL else "test"
    names = [f"{subject}_sentence{i:02d}" for i in range(1, SENTENCES + 1)]
    place = sorted(names, key=lambda n: hashlib.sha256(n.encode()).hexdigest()).index(names[number - 1])
    return "test" if place < 4 else "val" if place < 8 else "train"


def set_rate(corpus: Corpus, stored: float, wanted: float | None) -> int:
    """Set the dataset's frame rate; gives every how many frames are taken."""
    fps = wanted or stored
    if fps > stored:
        raise ConfigError(f"--fps is {fps:g}, but this copy has {stored:g} frames a second; leave it out.")
    step = round(stored / fps)
    corpus.fps = fps
    corpus.card = replace(corpus.card, fps=fps)
    corpus.notes.append(
        f"Every second frame was taken: {stored:g} fps became {fps:g}."
        if step == 2
        else f"All frames, at {fps:g} fps."
    )
    return step
