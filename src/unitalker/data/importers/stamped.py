"""Weights at stamped times → weights on an even clock that begins with the sound.

Frame t of the clock stands at t / fps seconds of the sound. Rows that are even, but for the rounding of their stamps, keep
their rate; uneven ones are first interpolated linearly at their usual spacing. What is not at the clock's rate, or not at
its moments, is read by the filter of views_resample.py; what is at both is kept bit by bit. Rows lie in a temporary file,
so memory does not grow with a take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from unitalker.data.importers.corpus import Take
from unitalker.data.importers.rows import LONGEST_FILL, Frames
from unitalker.data.views_resample import ROLL_OFF, read_blocks
from unitalker.errors import DataError

ROWS = 1024
"""Rows that are read or moved at a time."""
SAME_TIME = 0.002
"""A stamp this near to an even moment, in seconds, was one before it was rounded."""
NEAR_RATE = 1e-4
"""Share by which two frame rates differ that are one."""


class Table:
    """Rows of `width` float32 in a temporary file, which goes with the object. Slices read them. low, high: the range of
    all numbers."""

    def __init__(self, width: int) -> None:
        self.shape = (0, width)
        self.low, self.high = np.inf, -np.inf
        self._file: Any = TemporaryFile(prefix="unitalker-")  # noqa: SIM115 - open as long as the table

    def __len__(self) -> int:
        return self.shape[0]

    def add(self, rows: np.ndarray) -> None:
        """Append rows (n, width)."""
        if len(rows):
            self.low, self.high = min(self.low, float(rows.min())), max(self.high, float(rows.max()))
        self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(rows, "<f4").tobytes())
        self.shape = (len(self) + len(rows), self.shape[1])

    def __getitem__(self, part: slice) -> np.ndarray:
        """Rows start … stop, (n, width) float32."""
        start, stop, _ = part.indices(len(self))
        row = 4 * self.shape[1]
        self._file.seek(start * row)
        held = self._file.read(max(0, stop - start) * row)
        return np.frombuffer(held, "<f4").reshape(-1, self.shape[1])


class Even:
    """Rows at even times, interpolated linearly between those of a table at `times` (N,)."""

    def __init__(self, table: Table, times: np.ndarray, even: np.ndarray) -> None:
        self.table, self.times, self.even = table, times, even
        self.shape = (len(even), table.shape[1])

    def __len__(self) -> int:
        return len(self.even)

    def __getitem__(self, part: slice) -> np.ndarray:
        """Rows start … stop, (n, width) float32."""
        wanted = self.even[part]
        above = np.clip(np.searchsorted(self.times, wanted, side="right"), 1, len(self.times) - 1)
        first, last = int(above[0]) - 1, int(above[-1]) + 1
        rows, below = self.table[first:last], above - 1
        share = (wanted - self.times[below]) / (self.times[above] - self.times[below])
        share = np.clip(share, 0, 1)[:, None].astype(np.float32)
        return rows[below - first] * (1 - share) + rows[above - first] * share


@dataclass(frozen=True)
class Stretch:
    """Rows first … last of a take, between which no gap is too long to be filled. start, end: seconds of the sound that
    they stand at. rate: rows a second. even: whether they are evenly spaced. missing: rows that short gaps lack."""

    first: int
    last: int
    start: float
    end: float
    rate: float
    even: bool
    missing: int = 0

    def moved(self, seconds: float) -> Stretch:
        """The same rows, standing later."""
        return replace(self, start=self.start + seconds, end=self.end + seconds)

    def ticks(self, fps: float) -> tuple[int, int]:
        """First and last frame of the clock that these rows tell; none before the sound."""
        first = max(0, int(np.ceil(self.start * fps - SAME_TIME * fps)))
        return first, int(np.floor(self.end * fps + SAME_TIME * fps))


def stretches(times: np.ndarray, rate: float | None = None, even: bool | None = None) -> list[Stretch]:
    """Ascending times (N,) in seconds, cut where more than LONGEST_FILL seconds lie between two rows, and where the
    rows would be fewer than two. rate, even: of all rows, where the caller knows better than rounded stamps tell."""
    made = []
    for run in np.split(np.arange(len(times)), np.flatnonzero(np.diff(times) > LONGEST_FILL) + 1):
        if len(run) < 2:
            continue
        own = times[run]
        usual = rate or _rate(own)
        steps = np.round(np.diff(own) * usual)
        missing = int(np.maximum(steps - 1, 0).sum())
        level = missing == 0 and (_is_even(own, usual) if even is None else even)
        made.append(Stretch(int(run[0]), int(run[-1]), float(own[0]), float(own[-1]), usual, level, missing))
    return made


def _rate(times: np.ndarray) -> float:
    """Rows a second: of the whole where it is even, else by the middle step."""
    whole = (len(times) - 1) / float(times[-1] - times[0])
    return whole if _is_even(times, whole) else 1 / float(np.median(np.diff(times)))


def _is_even(times: np.ndarray, rate: float) -> bool:
    return bool(np.abs(times[0] + np.arange(len(times)) / rate - times).max() < SAME_TIME)


@dataclass(frozen=True)
class Stamped:
    """A take of which the times are known. spans: its unbroken pieces, on the sound's clock. motion: opens the frames of a
    piece by its number. seconds: of the sound, None if it does not say. notes: what was found. apart: see `Take`."""

    name: str
    subject: str
    split: str
    sound: Path
    seconds: float | None
    spans: tuple[Stretch, ...]
    motion: Callable[[int], Frames]
    notes: tuple[str, ...] = ()
    apart: bool = False

    def takes(self, fps: float) -> list[Take]:
        """A take, or one for each piece, with its own stretch of sound; none where nothing stands within the sound."""
        told, made = self.notes, []
        if len(self.spans) > 1:
            told += (f"gaps of more than {LONGEST_FILL:g} s cut it into {len(self.spans)} clips.",)
        for n, span in enumerate(self.spans):
            first, last = span.ticks(fps)
            if last <= first:
                continue
            name = self.name if len(self.spans) == 1 else f"{self.name}_{n:02d}"
            stop = (last + 1) / fps
            whole = n == len(self.spans) - 1 or self.seconds is None or stop > self.seconds
            motion = partial(self._noted, n, () if made else told)
            ends = None if whole else stop
            start = first / fps
            made.append(
                Take(name, self.subject, self.split, self.sound, motion, start, ends, apart=self.apart)
            )
        return made

    def _noted(self, number: int, notes: tuple[str, ...]) -> Frames:
        frames = self.motion(number)
        return Frames(frames.count, frames.blocks, (*notes, *frames.notes))


def on_clock(table: Table, times: np.ndarray, stretch: Stretch, fps: float) -> Frames:
    """The rows of a stretch, which `table` and `times` (seconds of the sound) hold alone, at `fps` frames a second.

    What the filter adds beyond the range of the table's own numbers is cut.
    """
    first, last = stretch.ticks(fps)
    count, notes = last - first + 1, []
    rows: Table | Even = table
    if not stretch.even:
        even = times[0] + np.arange(int((times[-1] - times[0]) * stretch.rate + 1e-6) + 1) / stretch.rate
        rows = Even(table, times, even)
        if stretch.missing:
            notes.append(f"{stretch.missing} frames are missing in short gaps and were interpolated.")
        else:
            notes.append("its time stamps are uneven: rows were interpolated at their usual spacing.")
    where = (np.arange(first, last + 1) / fps - times[0]) * stretch.rate
    whole = np.round(where)
    same = abs(stretch.rate / fps - 1) < NEAR_RATE
    if same and np.abs(where - whole).max() < SAME_TIME * fps:
        return Frames(count, lambda: _kept(rows, np.clip(whole, 0, len(rows) - 1).astype(int)), tuple(notes))
    if not same:
        notes.append(f"{stretch.rate:.5g} frames a second were read at {fps:g}.")
    else:
        notes.append("its frames stand between those of the sound's clock and were read there.")
    cutoff = ROLL_OFF * fps / stretch.rate if fps < (1 - NEAR_RATE) * stretch.rate else 1.0
    held: Any = rows

    def read() -> Iterator[np.ndarray]:
        for block in read_blocks(held, np.clip(where, 0, len(rows) - 1), cutoff):
            yield np.clip(block, table.low, table.high)

    return Frames(count, read, tuple(notes))


def even_frames(table: Table, rate: float, fps: float) -> Frames:
    """Rows of a table at `rate`, the first with the sound, at `fps` frames a second. Raises DataError for fewer than two."""
    if len(table) < 2:
        raise DataError(f"it has {len(table)} frames; at least 2 are needed.")
    times = np.arange(len(table)) / rate
    return on_clock(table, times, Stretch(0, len(table) - 1, 0.0, float(times[-1]), rate, True), fps)


def _kept(rows: Table | Even, places: np.ndarray) -> Iterator[np.ndarray]:
    """The rows at `places`, which do not decrease, in blocks."""
    for start in range(0, len(places), ROWS):
        part = places[start : start + ROWS]
        yield rows[int(part[0]) : int(part[-1]) + 1][part - part[0]]


def changed(frames: Frames, change: Callable[[np.ndarray], np.ndarray], *notes: str) -> Frames:
    """The same frames, each block changed."""
    return Frames(frames.count, lambda: map(change, frames.blocks()), (*frames.notes, *notes))
