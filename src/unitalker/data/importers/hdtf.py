"""The HDTF part of 3D-ETF: talking heads of videos from the web, each video a subject's, whole or in pieces.

`RD_Radio11_000` is the subject RD_Radio11 in the video's take 000; `RD_Radio11_000_02` the third piece of it. Copies of
the authors' own archive hold 179 whole takes; the paper counts 2039 pieces.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from unitalker.data.importers import etf
from unitalker.data.importers.corpus import Imported, Options, Progress
from unitalker.data.importers.expected import Expected

EXPECTED = Expected(
    corpus="3detf-hdtf",
    annotation=etf.ANNOTATION.name,
    unit="weight",
    fps=30.0,
    width=52,
    sequences=2039,
    people=141,
    hours=5.49,
    licence=etf.LICENCE,
    source="3D-ETF, HDTF",
)
TAKE = re.compile(r"(?P<subject>.+?)(?:_\d{3})?(?P<piece>_\d{2})?")
OTHER = re.compile(r"\d{2}(?:[-_]\d{2}){6}")
"""Names of the other part's takes."""


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out`. Raises DataError where nothing can be used."""
    return [etf.write(EXPECTED, "hdtf", named, source, out, options, progress)]


def named(name: str) -> tuple[str, str] | None:
    """Subject and split of a take, None for the name of one of the other part."""
    match = None if OTHER.fullmatch(name) else TAKE.fullmatch(name)
    return None if match is None else (match["subject"], split_of(name))


def split_of(name: str) -> str:
    """Split of a take by the SHA-256 of its name, so that it does not depend on what a copy lacks: about 8 of 10 train,
    1 val, 1 test."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
    return "train" if share < 0.8 else "val" if share < 0.9 else "test"
