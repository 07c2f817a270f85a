"""Confidence intervals by drawing sequences with replacement."""

from __future__ import annotations

import numpy as np

from unitalker.evaluation.metrics.registry import Fold

RESAMPLES, LEVEL = 1000, 0.95


def draws(sequences: int, seed: int = 0, count: int = RESAMPLES) -> np.ndarray:
    """(count, sequences) how often each sequence is drawn; each row sums to `sequences`. The same for the same seed."""
    return np.random.default_rng(seed).multinomial(sequences, np.full(sequences, 1 / sequences), size=count)


def interval(sums: np.ndarray, fold: Fold, drawn: np.ndarray) -> tuple[float, float]:
    """Percentile interval (95 %) of a figure over sequences drawn with replacement.

    sums: (S, k) a row of sums for each sequence; fold: what makes a figure of sums (see metrics.registry); drawn: (R, S)
    as `draws` gives. A sequence is drawn whole, with all its frames and styles, since its frames are not independent.
    NaN for a single sequence.
    """
    if len(sums) < 2:
        return float("nan"), float("nan")
    figures = fold(drawn @ np.asarray(sums, np.float64))
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(figures, (tail, 100 - tail)) if np.isfinite(figures).any() else (np.nan,) * 2
    return float(low), float(high)
