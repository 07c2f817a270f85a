"""BEAT's face files: {"names": […], "frames": [{"weights": […], "time": s}, …]}, many megabytes of JSON read bit by bit.

A file is read twice: once to check every frame and learn when it stands, once to put the weights on an even clock. Of the
whole file only the times are in memory. Frames stand where their time stamps say, not where they come in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.annotations.layouts import channel_key
from unitalker.data.importers.json_stream import parts
from unitalker.data.importers.rows import LONGEST_FILL, Frames
from unitalker.errors import DataError

ROWS = 1024
"""Frames in a block."""
SAME_TIME = 0.002
"""A frame this near to a tick of the clock, in seconds, is taken as it is; others lie between two frames."""
OTHER_CLOCK = 1.0
"""Seconds: a first time stamp later than this, or before the start by as much, is of another clock than the sound's."""


def _blocks(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of times (n,) in seconds and weights (n, D) as stored. Raises DataError for a frame that is none."""
    rows: list[list[float]] = []
    times: list[float] = []
    first, width = 0, 0
    for key, frame in parts(path, ("frames",)):
        if key != "frames":
            continue
        if not isinstance(frame, dict) or not isinstance(frame.get("weights"), list) or "time" not in frame:
            raise DataError(f"{path}: frame {first + len(rows)} has no weights and time.")
        width = width or len(frame["weights"])
        if len(frame["weights"]) != width:
            raise DataError(
                f"{path}: frame {first + len(rows)} has {len(frame['weights'])} weights, the ones before {width}."
            )
        rows.append(frame["weights"])
        times.append(frame["time"])
        if len(rows) == ROWS:
            yield _numbers(path, times, rows, first)
            first, rows, times = first + ROWS, [], []
    if rows:
        yield _numbers(path, times, rows, first)


def _numbers(
    path: Path, times: list[float], rows: list[list[float]], first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both as numbers. Raises DataError for others, and for NaN and infinite ones."""
    try:
        stamps, weights = np.array(times, np.float64), np.array(rows, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{path}: a frame from {first} on holds something else than numbers.") from None
    good = np.isfinite(stamps) & np.isfinite(weights.astype(np.float32)).all(1)
    if not good.all():
        raise DataError(
            f"{path}: NaN or infinite numbers, the first in frame {first + int(np.argmin(good))}."
        )
    return stamps, weights.astype(np.float32)


@dataclass(frozen=True)
class FaceFile:
    """A face file that was read once. columns: stored column of each wanted channel. times: (T,) seconds on the sound's
    clock, ascending; shift: what was taken off the stamps. notes: what was found."""

    path: Path
    columns: tuple[int, ...]
    times: np.ndarray
    shift: float
    notes: tuple[str, ...]


def look(path: Path, wanted: tuple[str, ...]) -> FaceFile:
    """Read a file for its names and times. Raises DataError for broken JSON, frames that do not fit the names, names that
    are doubled or missing, and time that goes back."""
    names: list[Any] = []
    found: list[np.ndarray] = []
    width = 0
    for key, value in _values_and_blocks(path):
        if key == "names" and isinstance(value, list):
            names = value
        elif key == "frames":
            found.append(value[0])
            width = value[1].shape[1]
    notes: list[str] = []
    columns = _columns(path, names, wanted, notes)
    if width != len(names):
        raise DataError(f"{path} has {len(names)} names and {width} weights a frame.")
    times, shift = _clock(path, np.concatenate(found), notes)
    return FaceFile(path, columns, times, shift, tuple(notes))


def _values_and_blocks(path: Path) -> Iterator[tuple[str, Any]]:
    """The names, then blocks of frames. Raises DataError where either is missing."""
    names = next((value for key, value in parts(path, ("frames",)) if key == "names"), None)
    if not isinstance(names, list) or not names:
        raise DataError(f"{path} has no names, so nobody knows which weight is which.")
    yield "names", names
    empty = True
    for block in _blocks(path):
        empty = False
        yield "frames", block
    if empty:
        raise DataError(f"{path} has no frames.")


def _columns(path: Path, names: list[Any], wanted: tuple[str, ...], notes: list[str]) -> tuple[int, ...]:
    """Stored columns of the wanted channels, by name."""
    keys = [channel_key(str(name)) for name in names]
    twice = sorted(key for key, times in Counter(keys).items() if times > 1)
    if twice:
        raise DataError(f"{path} names {', '.join(twice)} twice, so its weights cannot be told apart.")
    missing = [name for name in wanted if name not in keys]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing[:4])}{', …' * (len(missing) > 4)} of its names.")
    others = [str(name) for name, key in zip(names, keys, strict=True) if key not in wanted]
    if others:
        notes.append(f"channels beside the {len(wanted)} were left out: {', '.join(others[:8])}.")
    return tuple(keys.index(name) for name in wanted)


def _clock(path: Path, stamps: np.ndarray, notes: list[str]) -> tuple[np.ndarray, float]:
    """Ascending times on the sound's clock, and what was taken off them."""
    back = np.flatnonzero(np.diff(stamps) < 0)
    if len(back):
        raise DataError(
            f"{path}: time goes back at frame {back[0] + 1}, from {stamps[back[0]]:.3f} to {stamps[back[0] + 1]:.3f} s."
        )
    kept = np.concatenate([[True], np.diff(stamps) > 0])
    if not kept.all():
        notes.append(f"{int((~kept).sum())} frames that repeat a time stamp were left out.")
    shift = float(stamps[0]) if abs(stamps[0]) > OTHER_CLOCK else 0.0
    if shift:
        notes.append(
            f"its time begins at {shift:.3f} s, of another clock; the first frame was put at the start."
        )
    return stamps[kept] - shift, shift


@dataclass(frozen=True)
class Stretch:
    """Frames first … last, in ticks of the clock since the sound's start, between which no gap is too long to be filled."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


def stretches(times: np.ndarray, fps: float, cut: float | None = None) -> list[Stretch]:
    """A file's frames as stretches of at least two: cut at gaps of more than 0.2 s, and at `cut` seconds.

    Where the first frame stands less than 0.2 s after the sound's start, it holds from the start on.
    """
    made = []
    for run in np.split(times, np.flatnonzero(np.diff(times) > LONGEST_FILL) + 1):
        first = int(np.ceil((run[0] - SAME_TIME) * fps))
        last = int(np.floor((run[-1] + SAME_TIME) * fps))
        first = 0 if first <= LONGEST_FILL * fps and not made else max(first, 0)
        middle = None if cut is None else round(cut * fps)
        if middle is not None and first < middle <= last:
            made += [Stretch(first, middle - 1), Stretch(middle, last)]
        else:
            made.append(Stretch(first, last))
    return [stretch for stretch in made if len(stretch) >= 2]


def _between(times: np.ndarray, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which frame lies before each moment (N,), and how far the moment is on the way to the next one, 0 for a frame that
    stands there."""
    low = np.clip(np.searchsorted(times, ticks + SAME_TIME, side="right") - 1, 0, len(times) - 1)
    high = np.minimum(low + 1, len(times) - 1)
    away, apart = ticks - times[low], times[high] - times[low]
    share = np.where((away <= SAME_TIME) | (apart <= 0), 0.0, away / np.where(apart > 0, apart, 1))
    return low, np.clip(share, 0, 1)


def stretch_frames(file: FaceFile, stretch: Stretch, fps: float, notes: tuple[str, ...] = ()) -> Frames:
    """The frames of a stretch on an even clock, and what was filled."""
    ticks = np.arange(stretch.first, stretch.last + 1) / fps
    filled = int((_between(file.times, ticks)[1] > 0).sum())
    held = int((ticks < file.times[0] - SAME_TIME).sum())
    told = [*notes]
    if held:
        told.append(f"the first frame stands at {file.times[0]:.3f} s and was held before.")
    if filled:
        inside = file.times[(file.times >= ticks[0] - 1 / fps) & (file.times <= ticks[-1] + 1 / fps)]
        rate = 1 / float(np.median(np.diff(inside))) if len(inside) > 1 else fps
        told.append(
            f"{filled} of {len(stretch)} frames lie between time stamps ({rate:.4g} a second) and were interpolated."
        )
    source = partial(_sampled, file.path, file.columns, file.shift, stretch, fps)
    return Frames(len(stretch), source, tuple(told))


def _sampled(
    path: Path, columns: tuple[int, ...], shift: float, stretch: Stretch, fps: float
) -> Iterator[np.ndarray]:
    """Blocks (n, D) of a stretch, read from the file again."""
    times, rows = np.zeros(0), np.zeros((0, len(columns)), np.float32)
    tick = stretch.first
    for stamps, weights in _blocks(path):
        ascending = np.concatenate([times[-1:], stamps - shift])
        kept = np.diff(ascending, prepend=-np.inf)[-len(stamps) :] > 0
        times = np.concatenate([times[-1:], (stamps - shift)[kept]])
        rows = np.concatenate([rows[-1:], weights[kept][:, columns]])
        ready = min(int(np.floor((times[-1] + SAME_TIME) * fps)), stretch.last)
        if ready >= tick:
            low, share = _between(times, np.arange(tick, ready + 1) / fps)
            high, part = np.minimum(low + 1, len(times) - 1), share[:, None].astype(np.float32)
            yield rows[low] + part * (rows[high] - rows[low])
            tick = ready + 1
        if tick > stretch.last:
            return
