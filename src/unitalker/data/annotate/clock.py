"""Numbers tracked at a video's own times, read on the motion's clock: frame t at t / fps seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitalker.data.annotate.shots import Shot
from unitalker.data.views_resample import ROLL_OFF, read_at

STAMP = 0.002
"""Time stamps that lie so near to even ones (in seconds) were even ones before they were rounded."""


@dataclass(frozen=True)
class OnClock:
    """Frames first, first + 1, … of the clock. values: (T, D); pose: (T, 6) or None; bridged: (start, end) in seconds
    of stretches without a face; confidence: share of pictures with a face times the mean of the tracker's scores."""

    first: int
    values: np.ndarray
    pose: np.ndarray | None
    bridged: tuple[tuple[float, float], ...]
    confidence: float


def on_clock(shot: Shot, fps: float) -> OnClock:
    """A shot at `fps` frames a second.

    Pictures without a face are interpolated linearly between their neighbours, uneven times linearly on even ones of
    the usual spacing, and those are read at the clock's times by the filter of `views_resample`.
    """
    times = np.array(shot.times)
    found = np.array([one is not None for one in shot.seen])
    seen = [one for one in shot.seen if one is not None]
    rate, even = even_times(times)
    first, last = int(np.ceil(times[0] * fps - 1e-3)), int(np.floor(times[-1] * fps + 1e-3))
    where = np.clip((np.arange(first, last + 1) / fps - times[0]) * rate, 0, len(even) - 1)
    cutoff = ROLL_OFF * fps / rate if fps < 0.99 * rate else 1.0

    def read(rows: list[np.ndarray]) -> np.ndarray:
        table = np.array(rows, np.float64)
        columns = [np.interp(even, times[found], table[:, k]) for k in range(table.shape[1])]
        return read_at(np.stack(columns, axis=1).astype(np.float32), where, cutoff)

    poses = [one.pose for one in seen if one.pose is not None]
    scores = [one.score for one in seen if one.score is not None]
    return OnClock(
        first,
        read([one.values for one in seen]),
        read(_unwound(poses)) if len(poses) == len(seen) else None,
        _stretches(times, found),
        float(found.mean()) * (float(np.mean(scores)) if scores else 1.0),
    )


def even_times(times: np.ndarray) -> tuple[float, np.ndarray]:
    """Rate and even times (M,) from the first of `times` (N,) to the last.

    Times that are even but for rounding keep their number; others get their median spacing.
    """
    rate = (len(times) - 1) / (times[-1] - times[0])
    even = times[0] + np.arange(len(times)) / rate
    if np.abs(even - times).max() < STAMP:
        return rate, times
    rate = 1 / float(np.median(np.diff(times)))
    return rate, times[0] + np.arange(int((times[-1] - times[0]) * rate + 1e-6) + 1) / rate


def _unwound(poses: list[np.ndarray]) -> list[np.ndarray]:
    """Poses whose angles do not leap by whole turns."""
    if not poses:
        return poses
    table = np.array(poses)
    table[:, :3] = np.unwrap(table[:, :3], axis=0)
    return list(table)


def _stretches(times: np.ndarray, found: np.ndarray) -> tuple[tuple[float, float], ...]:
    """(first, last) time of each run of pictures without a face."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], found.astype(int), [1]])))
    return tuple(
        (round(float(times[a]), 3), round(float(times[b - 1]), 3))
        for a, b in zip(edges[0::2], edges[1::2], strict=True)
    )
