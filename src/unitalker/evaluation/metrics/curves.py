"""Measures on curves: sampling at other times, pooled correlation, lags, loudness, energies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unitalker.errors import DataError

LAGS = np.arange(-12, 13) / 100.0
"""Lags tried, seconds: ±120 ms in steps of 10 ms. Positive: the prediction is late."""
LOUDNESS_WINDOW = 0.050


def sample_at(values: np.ndarray, fps: float, times: np.ndarray) -> np.ndarray:
    """Values (T, …) of frames at t / fps seconds, read at `times` (N,), interpolated, the ends held."""
    if not len(values):
        raise DataError("A motion without frames cannot be sampled; give one frame or more.")
    where = np.clip(np.asarray(times, np.float64) * fps, 0, len(values) - 1)
    low = np.floor(where).astype(int)
    high = np.minimum(low + 1, len(values) - 1)
    part = (where - low).reshape(-1, *[1] * (values.ndim - 1)).astype(values.dtype)
    return values[low] * (1 - part) + values[high] * part


def pooled_correlation(truth: Sequence[np.ndarray], predicted: Sequence[np.ndarray]) -> float:
    """Pearson r over all clips together after each clip's mean is removed from both sides.

    truth, predicted: one (T,) curve a clip, of equal length. Between -1 and 1; 0 where one side never moves.
    """
    a = np.concatenate([np.asarray(t, np.float64) - np.mean(t) for t in truth])
    b = np.concatenate([np.asarray(p, np.float64) - np.mean(p) for p in predicted])
    if a.shape != b.shape:
        raise DataError(
            f"Truth has {len(a)} frames but the prediction {len(b)}; sample it at the truth's times."
        )
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 1e-12 else 0.0


def best_lag(
    truth: Sequence[np.ndarray],
    fps: float,
    predicted: Sequence[np.ndarray],
    predicted_fps: Sequence[float],
    lags: np.ndarray = LAGS,
) -> tuple[float, float]:
    """(lag in s, r): the common lag for which prediction(t + lag) has the highest pooled r with truth(t); 0 and 0
    where one side never moves."""
    times = [np.arange(len(t)) / fps for t in truth]
    scores = []
    for lag in lags:
        moved = [sample_at(p, f, t + lag) for p, f, t in zip(predicted, predicted_fps, times, strict=True)]
        scores.append(pooled_correlation(truth, moved))
    if not any(scores):
        return 0.0, 0.0
    best = int(np.argmax(scores))
    return float(lags[best]), scores[best]


def loudness(samples: np.ndarray, times: np.ndarray, rate: int = 16000) -> np.ndarray:
    """Root of the RMS of the 50 ms around each time (N,): sqrt(sqrt(mean(x²))), zeros beyond the ends."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(np.asarray(samples, np.float64)))])
    middle = np.round(np.asarray(times) * rate).astype(int)
    half = round(LOUDNESS_WINDOW * rate / 2)
    low, high = (np.clip(middle + d, 0, len(samples)) for d in (-half, half))
    return np.sqrt(np.sqrt(np.maximum(energy[high] - energy[low], 0) / (2 * half)))


def twin_energy(clean: np.ndarray, noisy: np.ndarray) -> float:
    """Energy of the difference of two motions (T, D) of one sentence over the clean one's: Σ(a−b)² / Σa²."""
    energy = float(np.square(clean, dtype=np.float64).sum())
    if energy == 0:
        raise DataError("The clean motion never leaves rest, so a ratio to its energy has no meaning.")
    return float(np.square(clean - noisy, dtype=np.float64).sum()) / energy


def amplitude(truth: Sequence[np.ndarray], predicted: Sequence[np.ndarray]) -> float:
    """Standard deviation within clips of the prediction over the truth's, (T,) a clip; 1 is as lively."""
    power = [float(np.concatenate([x - x.mean() for x in side]).std()) for side in (truth, predicted)]
    return power[1] / power[0] if power[0] > 0 else float("nan")
