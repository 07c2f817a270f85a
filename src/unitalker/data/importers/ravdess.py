"""The RAVDESS part of 3D-ETF: 24 actors, 60 spoken takes each, named by seven numbers of which the last is the actor.

Of `03-01-06-02-01-02-24` the numbers are: form, way of speaking, emotion (06), its strength (02), sentence (01),
repetition (02), actor (24).
"""

from __future__ import annotations

import hashlib
import re
from itertools import product
from pathlib import Path

from unitalker.data.importers import etf
from unitalker.data.importers.corpus import UNUSED, Imported, Options, Progress
from unitalker.data.importers.expected import Expected

ACTORS = tuple(f"{i:02d}" for i in range(1, 25))
NEUTRAL = "01"
"""The one emotion that was not spoken strongly."""
EXPECTED = Expected(
    corpus="3detf-ravdess",
    annotation=etf.ANNOTATION.name,
    unit="weight",
    fps=30.0,
    width=52,
    subjects=ACTORS,
    clips={"train": 1152, "val": 144, "test": 144},
    sequences=1440,
    people=24,
    hours=1.48,
    licence=etf.LICENCE,
    source="3D-ETF, RAVDESS",
)
TAKE = re.compile(
    r"\d{2}[-_](?P<way>\d{2})[-_](?P<what>\d{2}[-_]\d{2}[-_]\d{2}[-_]\d{2})[-_](?P<actor>\d{2})"
)
SPOKEN = "01"


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out`. Raises DataError where nothing can be used."""
    return [etf.write(EXPECTED, "ravdess", named, source, out, options, progress)]


def named(name: str) -> tuple[str, str] | None:
    """Actor and split of a take, None for other names; sung takes, which the paper does not use, are in no split."""
    match = TAKE.fullmatch(name)
    if match is None or match["actor"] not in ACTORS:
        return None
    what = match["what"].replace("_", "-")
    return match["actor"], split_of(match["actor"], what) if match["way"] == SPOKEN else UNUSED


def split_of(actor: str, what: str) -> str:
    """Split of a take such as "06-02-01-02" of an actor: of the 60 in the order of their SHA-256, 6 are test and 6 val."""
    order = sorted(SENTENCES, key=lambda n: hashlib.sha256(f"{n}-{actor}".encode()).hexdigest())
    if what not in order:
        return UNUSED
    place = order.index(what)
    return "test" if place < 6 else "val" if place < 12 else "train"


def _sentences() -> tuple[str, ...]:
    numbers = (range(1, 9), range(1, 3), range(1, 3), range(1, 3))
    names = ["-".join(f"{n:02d}" for n in four) for four in product(*numbers)]
    return tuple(n for n in names if not n.startswith(f"{NEUTRAL}-02"))


SENTENCES = _sentences()
"""The 60 takes of an actor: emotion, strength, sentence, repetition."""
