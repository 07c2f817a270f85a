"""Faults of single frames: frozen, repeated, trembling; and the jumps that missing ones leave, which slip.py judges."""

from __future__ import annotations

import numpy as np

from unitalker.evaluation.metrics import sample_at

STILL = 1e-6
"""A step below this share of a lively step is none."""
LIVELY = 90.0
"""Percentile of the steps that counts as a lively one."""
AROUND_S = 0.1
"""Seconds before and after a frame within which the sound must let the mouth move."""
MOVES = 0.25
"""Share of the predicted mouth's deviation that counts as moving."""
QUIET = 20.0
"""Percentile of the third differences that tells the noise: talking adds to the others."""
AGREED = 70.0
"""Percentile of the numbers of a frame that tells how far all of them jump: a blink or a plosive moves fewer."""
LEAST_OFF = 0.02
"""Share of a number's deviation that a large step of it has at least, however often it rests."""
LONG_S = 0.1
"""Seconds of unchanged frames that are a freeze; shorter ones are repeated frames."""


def faults(some: np.ndarray, fps: float, heard: tuple[np.ndarray, float] | None) -> dict[str, float]:
    """Measures of frames (T, C), see measures.py. heard: the mouth opening that the sound suggests and its fps."""
    steps = np.sqrt(np.square(np.diff(some, axis=0), dtype=np.float64).sum(1))
    lively = float(np.percentile(steps, LIVELY))
    talking = _talking(len(some), fps, heard)[1:]
    same = steps <= STILL * lively
    out = _unchanged(some, same, talking, fps)
    return out | {"jitter_share": _jitter(some), "moving_share": float((~same).mean())}


def _talking(count: int, fps: float, heard: tuple[np.ndarray, float] | None) -> np.ndarray:
    """(T,) where the sound lets the mouth move; everywhere without a prediction."""
    if heard is None:
        return np.ones(count, bool)
    curve, rate = heard
    times = np.arange(count)[:, None] / fps + np.linspace(-AROUND_S, AROUND_S, 9)
    nearby = sample_at(np.asarray(curve, np.float64), rate, times.reshape(-1)).reshape(times.shape)
    return np.ptp(nearby, axis=1) > MOVES * max(float(curve.std()), 1e-6)


def _unchanged(some: np.ndarray, same: np.ndarray, talking: np.ndarray, fps: float) -> dict[str, float]:
    """Longest freeze with moving sound, when it begins, and the share of such frames repeated singly. A pose that the
    face comes back to exactly is a rest that the capture knows, no freeze."""
    longest, begins, repeated = 0, 0, 0
    found = runs(same)
    poses = [some[first].tobytes() for first, _ in found]
    for (first, last), pose in zip(found, poses, strict=True):
        loud = int(talking[first:last].sum())
        if (last - first) / fps < LONG_S:
            repeated += loud
        elif loud > longest and poses.count(pose) == 1 and some[first].any():
            longest, begins = loud, first
    share = repeated / max(int(talking.sum()), 1)
    return {"frozen_s": longest / fps, "frozen_at_s": begins / fps, "repeated_share": share}


def runs(marked: np.ndarray) -> list[tuple[int, int]]:
    """(first, one after the last) of each run of True in (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _jitter(some: np.ndarray) -> float:
    """Deviation of the noise from frame to frame over that of the motion. White noise of variance σ² has third
    differences of variance 20 σ², smooth motion hardly any; the quiet fifth of the frames tells them apart."""
    if len(some) < 8:
        return 0.0
    third = np.square(np.diff(some, 3, axis=0), dtype=np.float64).sum(1)
    power = some.var(0, dtype=np.float64).sum()
    return float(np.sqrt(np.percentile(third, QUIET) / 20 / power)) if power > 0 else 0.0


def jumps(some: np.ndarray) -> np.ndarray:
    """(T,) how far most numbers of frames (T, C) jump at once: the step to each frame against the mean of the steps
    before and behind it, over the number's own large ones, as a logarithm. -1 where nothing can be said, and where a
    freeze ends."""
    out = np.full(len(some), -1.0, np.float32)
    deviation = some.std(0, dtype=np.float64)
    moving = some[:, deviation > 1e-3 * deviation.max()].astype(np.float64)
    if len(some) < 8 or not moving.shape[1]:
        return out
    step = np.diff(moving, axis=0)
    off = np.abs(step[1:-1] - (step[:-2] + step[2:]) / 2)
    lively = np.median(off, axis=0) > 0
    enough = lively.sum() >= 3
    off, moving = (off[:, lively], moving[:, lively]) if enough else (off, moving)
    usual = np.maximum(np.percentile(off, LIVELY, axis=0), LEAST_OFF * moving.std(0))
    shares = (off + 1e-9) / (usual + 1e-9)
    held = np.abs(step[:-2]).max(1) <= STILL * np.abs(step).max()
    out[2:-1] = np.where(held, -1.0, np.percentile(np.log(shares), AGREED, axis=1))
    return out
