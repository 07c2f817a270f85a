"""What importers of weights share: one frame rate for all takes, channels by name, and what is told of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.layouts import layout
from unitalker.data.importers.rows import Frames
from unitalker.data.importers.stamped import changed
from unitalker.errors import ConfigError, DataError
from unitalker.motion import by_name

RATES = (1.0, 240.0)
HEAD_WEIGHT = 1e-4
"""λ of the paper's Eq. 2 for weights, as its release sets it."""


def arkit52(fps: float) -> BlendshapeAnnotation:
    """The names and unit of the built-in annotation, which is all that a dataset tells of it; what errors on the head's
    lips need is made by those who measure them."""
    return BlendshapeAnnotation("arkit52", fps, "weight", layout("arkit52").names)


def checked_rate(fps: float | None) -> float | None:
    """The frames a second that a user asks for. Raises ConfigError for ones out of range."""
    if fps is not None and not RATES[0] <= fps <= RATES[1]:
        raise ConfigError(f"--fps must lie between {RATES[0]:g} and {RATES[1]:g}, not be {fps:g}.")
    return fps


def usual_rate(rates: Iterable[tuple[float, int]]) -> float:
    """The whole number of frames a second nearest to most rows, of (rate, rows) of each take."""
    seen: Counter[int] = Counter()
    for rate, rows in rates:
        seen[max(1, round(rate))] += rows
    return float(seen.most_common(1)[0][0])


def known_note(known: Sequence[str], names: Sequence[str]) -> list[str]:
    """A note of channels that not every take has, if there are any."""
    lost = [name for name in names if name not in known]
    if not lost:
        return []
    return [f"Channels that not every take has, kept out of losses: {', '.join(lost)}."]


def numbers(path: Path, rows: Sequence[Any], first: int, width: int) -> np.ndarray:
    """Lists of numbers as (n, width) float32. first: the frame of the first one, for errors. Raises DataError for lists
    of another length, for other things than numbers, and for NaN and infinite ones."""
    for place, row in enumerate(rows, first):
        if not isinstance(row, list) or len(row) != width:
            what = f"{len(row)} numbers" if isinstance(row, list) else repr(row)[:40]
            raise DataError(f"{path}: frame {place} has {what}, not {width} numbers.")
    try:
        values = np.array(rows, np.float64).reshape(-1, width).astype(np.float32)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{path}: a frame from {first} on holds something else than numbers.") from None
    good = np.isfinite(values).all(1)
    if not good.all():
        raise DataError(
            f"{path}: NaN or infinite numbers, the first in frame {first + int(np.argmin(good))}."
        )
    return values


def spread(frames: Frames, have: Sequence[str], want: Sequence[str], *notes: str) -> Frames:
    """Frames in another order of channels; those that are not there are 0."""
    return changed(frames, lambda block: by_name(block, have, want), *notes)


@dataclass
class Range:
    """How far weights leave 0 … 1, over the takes seen."""

    takes: int = 0
    outside: int = 0
    low: float = 0.0
    high: float = 1.0

    def see(self, low: float, high: float) -> None:
        """Count a take whose weights reach from low to high."""
        self.takes += 1
        self.outside += low < 0 or high > 1
        self.low, self.high = min(self.low, low), max(self.high, high)

    def watch(self, frames: Frames, notes: list[str], place: int) -> Frames:
        """The same frames; when they have been read, `text` stands at a place among the notes."""

        def blocks() -> Iterator[np.ndarray]:
            low, high = 0.0, 1.0
            try:
                for block in frames.blocks():
                    low, high = min(low, float(block.min())), max(high, float(block.max()))
                    yield block
            finally:  # whoever has frames enough reads no further
                self.see(low, high)
                notes[place] = self.text()

        return Frames(frames.count, blocks, frames.notes)

    def text(self) -> str:
        """A sentence on what was seen."""
        if not self.outside:
            return "All weights lie in 0 … 1."
        reach = f"from {self.low:.3g} to {self.high:.3g}"
        return f"Weights leave 0 … 1 in {self.outside} of {self.takes} sequences, {reach}: they are kept as they are."
