"""The mouth as one curve: which vertices tell its opening, how the opening differs, whether it shuts on p, b and m."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unitalker.errors import DataError
from unitalker.evaluation.metrics.curves import LAGS, sample_at
from unitalker.rig.lips import GAUGE_VERTICES, MIDDLE

BILABIALS = frozenset("pbm")
OPEN_PHONES = frozenset("aɑæɐʌɔɒ") | {"aɪ", "aʊ"} | {"aa", "ae", "ah", "ao", "aw", "ay"}
"""Vowels with an open jaw, in IPA and in ARPABET without stress."""
BEFORE, AFTER = 0.040, 0.040
"""Seconds around a bilabial in which the lips may shut."""
CLOSED, OPEN, LARGE = 0.20, 0.30, 95.0
"""Shares of the clip's 95th percentile gap: below the first lips are shut, above the second they are open."""

Timed = Sequence[tuple[float, float, str]]
"""(start, end, symbol) in seconds."""
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


def closures(gap: np.ndarray, fps: float, phones: Timed) -> dict[str, tuple[int, int]]:
    """{"closure": (met, phones), "open": (met, phones)} of one clip's gap (T,), the opening over that at rest.

    Closure recall: the share of p, b and m within whose time (±40 ms) the gap falls under 20 % of the clip's 95th
    percentile. Open recall: the share of open vowels within whose time it exceeds 30 %. Read both together: lips that never
    part shut on every bilabial. After the bilabial accuracies of visual-speech papers; the windows are ours.
    """
    times, large = np.arange(len(gap)) / fps, np.percentile(gap, LARGE)
    shut, wide = [0, 0], [0, 0]
    for start, end, symbol in phones:
        plain = symbol.casefold().lstrip("ˈˌ").rstrip("012ːʰ")
        if plain in BILABIALS:
            shut[0] += bool(_within(gap, times, start - BEFORE, end + AFTER).min() < CLOSED * large)
            shut[1] += 1
        elif plain in OPEN_PHONES:
            wide[0] += bool(_within(gap, times, start, end).max() > OPEN * large)
            wide[1] += 1
    return {"closure": (shut[0], shut[1]), "open": (wide[0], wide[1])}


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


def _within(gap: np.ndarray, times: np.ndarray, start: float, end: float) -> np.ndarray:
    """The gap from start to end, at least the frame nearest to the middle."""
    inside = (times >= start - 1e-6) & (times <= end + 1e-6)
    return gap[inside] if inside.any() else gap[[np.argmin(np.abs(times - (start + end) / 2))]]
