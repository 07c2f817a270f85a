"""How late a face moves against its sound: correlation of the motion with what the sound alone predicts.

Loudness leads or follows the mouth by the phone, so a predictor that hears phones is compared with instead. Two stages:

1. A few curves of the mouth (gap, jaw, rounding, pressing) in the motion and in the prediction: their mean correlation
   over lags gives each clip a first offset.
2. Over all clips, moved to their first offsets, canonical correlation analysis (Hotelling 1936) finds what of the
   prediction says most about what of the motion, whatever the annotation. Each clip is then measured with what the
   other clips taught, so no clip vouches for itself.

With canonical correlations ρₖ of unit-variance pairs, the log likelihood of a lag is n Σₖ ρₖ/(1−ρₖ²) rₖ(lag) up to a
constant, n being the independent samples in the clip; normalised over the lags searched it is a posterior, whose peak
is the offset, whose spread is its uncertainty and whose mass within 20 ms of the peak is the confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GRID = 50.0
"""Samples a second of the curves that are compared."""
BAND = (1.0, 12.0)
"""Hertz: slower is mood and drift of a tracker, faster is noise."""
SEARCH_S, FINE_S, NEAR_S = 0.6, 0.002, 0.020
"""Lags searched (±), step of the posterior, and what counts as the same lag; seconds."""
SHORTEST_S = 1.0
"""Clips below this are not measured."""
INDEPENDENT = 3.0
"""Independent samples in a second of speech. Below 2 · bandwidth: neighbouring phones err together."""
FOLDS, ROUNDS, PAIRS, RIDGE = 4, 3, 8, 1e-2
LEAST_CLIPS, LEAST_S = 8, 60.0
"""Clips and seconds from which on the second stage is taken."""
LEAST_RHO, MOST_RHO = 0.15, 0.98


@dataclass(frozen=True)
class Trace:
    """A clip on the grid, band-passed, n samples. motion (n, C), heard (n, H): what is known of the face and what the
    sound predicts; mouth, heard_mouth (n, M): the same few curves of both."""

    motion: np.ndarray
    heard: np.ndarray
    mouth: np.ndarray
    heard_mouth: np.ndarray

    def part(self, first: int, last: int) -> Trace:
        """Samples first … last."""
        cut = slice(first, last)
        return Trace(self.motion[cut], self.heard[cut], self.mouth[cut], self.heard_mouth[cut])

    def __len__(self) -> int:
        return len(self.motion)


@dataclass(frozen=True)
class Estimate:
    """offset_s: motion minus sound, positive where the face is late. confidence: 0 … 1, that it lies within 20 ms.
    spread_s: standard deviation of the posterior. match: correlation at the peak, weighted over the pairs."""

    offset_s: float
    confidence: float
    spread_s: float
    match: float


def on_grid(values: np.ndarray, fps: float, seconds: float) -> np.ndarray:
    """Curves (T, C) at t / fps → (n, C) float32 on the grid over the first `seconds`, band-passed without delay
    and brought to unit power, so that a clip in another unit teaches the others nothing wrong."""
    from scipy.signal import butter, sosfiltfilt

    where = np.clip(np.arange(int(seconds * GRID)) * (fps / GRID), 0, len(values) - 1)
    low = where.astype(int)
    part = (where - low)[:, None].astype(np.float32)
    sampled = values[low] * (1 - part) + values[np.minimum(low + 1, len(values) - 1)] * part
    sections = butter(2, BAND, "band", fs=GRID, output="sos")
    passed = sosfiltfilt(
        sections, sampled.astype(np.float64), axis=0, padlen=min(len(sampled) - 1, round(GRID))
    )
    power = float(np.sqrt(np.square(passed).sum(1).mean()))
    return (passed / max(power, 1e-9)).astype(np.float32)


def correlations(a: np.ndarray, b: np.ndarray, search_s: float = SEARCH_S) -> np.ndarray:
    """(2L + 1, C) Pearson r of a(t + lag) with b(t) for curves (n, C); lags −search … search in steps of the grid.
    Pairs of which one side is still give 0."""
    most = min(round(search_s * GRID), len(a) - 2)
    out = np.zeros((2 * most + 1, a.shape[1]))
    for row, lag in enumerate(range(-most, most + 1)):
        x, y = a[max(lag, 0) : len(a) + min(lag, 0)], b[max(-lag, 0) : len(b) - max(lag, 0)]
        x, y = x - x.mean(0, dtype=np.float64), y - y.mean(0, dtype=np.float64)
        power = (x * x).sum(0) * (y * y).sum(0)
        out[row] = np.where(power > 1e-20, (x * y).sum(0) / np.sqrt(np.maximum(power, 1e-20)), 0.0)
    return out


def estimate(r: np.ndarray, weights: np.ndarray, seconds: float) -> Estimate:
    """Posterior of the lag for correlations (2L + 1, K) of K pairs, each with the weight ρ/(1−ρ²)."""
    from scipy.interpolate import CubicSpline

    most = (len(r) - 1) // 2
    coarse = np.arange(-most, most + 1) / GRID
    lags = np.arange(-most / GRID, most / GRID + FINE_S / 2, FINE_S)
    score = CubicSpline(coarse, r @ weights)(lags)
    likely = np.exp(INDEPENDENT * seconds * (score - score.max()))
    likely /= likely.sum()
    at = float(lags[np.argmax(likely)])
    near = float(likely[np.abs(lags - at) <= NEAR_S + FINE_S / 4].sum())
    spread = float(np.sqrt((likely * (lags - at) ** 2).sum()))
    return Estimate(at, near, spread, float(score.max() / max(weights.sum(), 1e-9)))


def first_estimate(trace: Trace, search_s: float = SEARCH_S) -> Estimate:
    """Offset by the mouth's own curves, those that move on both sides; each counts by its correlation at the peak."""
    alive = (trace.mouth.std(0) > 1e-7) & (trace.heard_mouth.std(0) > 1e-7)
    if not alive.any():
        return Estimate(0.0, 0.0, search_s, 0.0)
    r = correlations(trace.mouth[:, alive], trace.heard_mouth[:, alive], search_s)
    rho = np.clip(r[np.argmax(r.mean(1))], LEAST_RHO, MOST_RHO)
    return estimate(r, rho / (1 - rho**2) / len(rho), len(trace) / GRID)


@dataclass(frozen=True)
class Ear:
    """What a dataset teaches: motion @ face and heard @ sound (…, K) are K pairs that go together, with canonical
    correlations rho (K,), 0 where they are too faint to count."""

    face: np.ndarray
    sound: np.ndarray
    rho: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """(K,) ρ/(1−ρ²)."""
        return self.rho / (1 - self.rho**2)

    @classmethod
    def fit(cls, traces: Sequence[Trace], offsets_s: Sequence[float]) -> Ear:
        """Canonical pairs of all traces, each moved by its offset."""
        moved = [_aligned(t, round(o * GRID)) for t, o in zip(traces, offsets_s, strict=True)]
        a, b = (np.concatenate([pair[side] for pair in moved]).astype(np.float64) for side in (0, 1))
        left, right = _whitening(a), _whitening(b)
        u, rho, v = np.linalg.svd(left.T @ (a.T @ b / len(a)) @ right)
        count = min(PAIRS, len(rho))
        rho = np.where(rho < LEAST_RHO, 0.0, np.minimum(rho, MOST_RHO))[:count]
        return cls(left @ u[:, :count], right @ v[:count].T, rho)

    def estimate(self, trace: Trace, search_s: float = SEARCH_S) -> Estimate:
        """Offset of a clip."""
        r = correlations(trace.motion @ self.face, trace.heard @ self.sound, search_s)
        return estimate(r, self.weights, len(trace) / GRID)


def estimates(traces: Sequence[Trace], search_s: float = SEARCH_S) -> tuple[list[Estimate], list[Ear | None]]:
    """Offset of every clip, and the ear that each was measured with: None for the first stage alone, which is all that
    small datasets get."""
    found = [first_estimate(t, search_s) for t in traces]
    ears: list[Ear | None] = [None] * len(traces)
    if len(traces) < LEAST_CLIPS or sum(map(len, traces)) < LEAST_S * GRID:
        return found, ears
    for _ in range(ROUNDS):
        sure = np.array([e.confidence for e in found])
        trusted = np.flatnonzero(sure >= np.quantile(sure, 1 / 3))
        taught = [_fold(traces, found, trusted, fold) for fold in range(FOLDS)]
        ears = [taught[i % FOLDS] for i in range(len(traces))]
        found = [
            ear.estimate(t, search_s) if ear else e for ear, t, e in zip(ears, traces, found, strict=True)
        ]
    return found, ears


def _fold(traces: Sequence[Trace], found: Sequence[Estimate], trusted: np.ndarray, fold: int) -> Ear | None:
    others = [i for i in trusted if i % FOLDS != fold]
    if not others:
        return None
    return Ear.fit([traces[i] for i in others], [found[i].offset_s for i in others])


def _aligned(trace: Trace, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Motion and heard curves of equal length with the motion moved `lag` samples earlier."""
    count = len(trace)
    return trace.motion[max(lag, 0) : count + min(lag, 0)], trace.heard[max(-lag, 0) : count - max(lag, 0)]


def _whitening(x: np.ndarray, keep: float = 0.995) -> np.ndarray:
    """(C, K) such that x @ it has unit variance without correlation, in the directions that hold most of the energy;
    the ridge keeps faint ones small."""
    powers, axes = np.linalg.eigh(x.T @ x / len(x))
    powers, axes = powers[::-1], axes[:, ::-1]
    total = powers.sum()
    if total <= 0:
        return axes[:, :1]
    count = int(np.searchsorted(np.cumsum(powers) / total, keep)) + 1
    return axes[:, :count] / np.sqrt(powers[:count] + RIDGE * total / len(powers))
