"""The mouth as one curve: which vertices tell its opening, and how two openings differ."""

from __future__ import annotations

import numpy as np

from unitalker.errors import DataError
from unitalker.evaluation.metrics.curves import LAGS, sample_at
from unitalker.rig.lips import GAUGE_VERTICES, MIDDLE

Pair = tuple[np.ndarray, np.ndarray]
"""Vertices of the upper and of the lower lip between which the mouth opens."""


def inner_lips(template: np.ndarray, lips: np.ndarray, moved: np.ndarray) -> Pair:
    """The three vertices of the upper and of the lower lip that face each other in the middle of the mouth.

    template: (V, 3) neutral face. lips: (L,) its lip vertices. moved: (n, L, 3) displacements of the lips in some frames.
    The mouth's width is the longest direction of the lips. Near its middle, the lower lip is what moves by more than half
    of the largest way in the direction of most motion; its nearest vertices to the other lip are taken. No axis of the
    dataset is assumed. Raises DataError where the lips do not part.
    """
    face = np.asarray(template, np.float64)[lips]
    across = np.linalg.svd(face - face.mean(0), full_matrices=False)[2][0]
    place = face @ across
    half = MIDDLE * np.ptp(place)
    middle = np.flatnonzero(np.abs(place - (place.min() + place.max()) / 2) <= half)
    some = np.asarray(moved, np.float64)[:, middle]
    way = np.linalg.svd((some - some.mean(0)).reshape(-1, 3), full_matrices=False)[2][0]
    reach = (some @ way).std(0) if len(middle) else np.zeros(0)
    falls = reach > 0.5 * reach.max(initial=0)
    upper, lower = middle[~falls], middle[falls]
    if min(len(upper), len(lower)) < GAUGE_VERTICES:
        raise DataError(
            f"The lips do not part in the motion looked at: {len(upper)} vertices of one and {len(lower)} of the other lip "
            f"near the middle; {GAUGE_VERTICES} of each are needed."
        )
    height = face @ way
    down = 1.0 if height[lower].mean() > height[upper].mean() else -1.0
    return (
        lips[np.sort(upper[np.argsort(-down * height[upper], kind="stable")[:GAUGE_VERTICES]])],
        lips[np.sort(lower[np.argsort(down * height[lower], kind="stable")[:GAUGE_VERTICES]])],
    )


def opening(vertices: np.ndarray, pair: Pair) -> np.ndarray:
    """Mouth opening of vertices (T, V, 3): distance between the mean positions of the pair, (T,), u."""
    upper, lower = pair
    return np.linalg.norm(vertices[:, upper].mean(1) - vertices[:, lower].mean(1), axis=1)


def opening_difference(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """MOD of each frame (T,): |opening of truth − opening of prediction|, u; both (T,).

    The mean over all frames is the mouth-opening difference of StreamingTalker's tables, whose vertex pair is its own.
    """
    return np.abs(np.asarray(truth) - np.asarray(predicted))


def moments(truth: np.ndarray, predicted: np.ndarray, fps: float, lags: np.ndarray = LAGS) -> np.ndarray:
    """(3, lags) sums Σab, Σaa, Σbb of one clip's curves (T,) at each lag, each side without its mean.

    a: truth at t; b: prediction at t + lag. Added over clips they give the pooled correlation at every lag.
    """
    times = np.arange(len(truth)) / fps
    a = np.asarray(truth, np.float64)
    a = a - a.mean()
    late = np.stack([sample_at(np.asarray(predicted, np.float64), fps, times + lag) for lag in lags])
    b = late - late.mean(1, keepdims=True)
    return np.stack([b @ a, np.full(len(lags), a @ a), np.square(b).sum(1)])
