"""Measures on captured ARKit motion: how well weights move the lips of a rig, beside loudness alone.

All curves are weights by ARKit name. Lip measures are linear in the weights, so a `LipGauge` reads them off
the rig's shapes once and never poses the mesh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from unitalker.errors import DataError
from unitalker.evaluation.metrics import LAGS, best_lag, loudness, pooled_correlation, sample_at
from unitalker.evaluation.metrics.phones import AFTER, BEFORE, closures
from unitalker.motion import Motion, by_name
from unitalker.rig.lips import lip_gap
from unitalker.rig.rig import Rig

Word = tuple[float, float, str]

_STARTS = "bin blue by place please b p"
_OPEN = "red white green at lay again now soon nine two three eight a i o k y"
BILABIAL_STARTS, BILABIAL_ENDS = frozenset(_STARTS.split()), frozenset("m")
OPEN_VOWELS = frozenset(_OPEN.split())
START_WINDOW = (-0.100, 0.100)  # seconds around the start of a word that begins with closed lips
END_WINDOW = (-0.140, 0.060)  # seconds around the end of a word that ends with closed lips


@dataclass(frozen=True)
class Case:
    """One clip to score. truth and prediction: motions with ARKit names, each with its fps.

    samples: mono sound (N,) at 16 kHz. words: (start, end, word) in seconds, where known.
    """

    id: str
    truth: Motion
    prediction: Motion
    samples: np.ndarray
    words: Sequence[Word] = field(default=())

    @property
    def times(self) -> np.ndarray:
        """Seconds of the truth's frames, (T,)."""
        return np.arange(len(self.truth)) / self.truth.fps


@dataclass(frozen=True)
class LipGauge:
    """What the weights do to a rig's lips.

    names: the rig's K shapes. gap: (K,) centimetres between the lips at weight 1. lips: (K, 3L) mm of lip
    vertices.
    """

    names: tuple[str, ...]
    gap: np.ndarray
    lips: np.ndarray

    @classmethod
    def of(cls, rig: Rig) -> LipGauge:
        """Gauge of a rig in metres: mean height of three upper inner vertices minus three lower ones."""
        gap = lip_gap(rig)
        lips = 1000.0 * rig.shapes[:, np.asarray(rig.regions["lips"])].reshape(len(rig.shape_names), -1)
        return cls(rig.shape_names, gap.astype(np.float64), lips.astype(np.float32))

    def weights(self, values: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """(T, D) weights by name → (T, K) in the gauge's order; absent channels are 0."""
        return by_name(values, names, self.names)

    def gap_cm(self, motion: Motion) -> np.ndarray:
        """Opening between the lips over that at rest, centimetres, (T,)."""
        return self.weights(motion.values, motion.names) @ self.gap


def common_lag(cases: Sequence[Case], channel: str = "jawOpen") -> tuple[float, float]:
    """(lag, r) of the group: the lag in ±120 ms at which `channel` fits best; positive: prediction late."""
    return best_lag(
        [c.truth.channel(channel) for c in cases],
        _one_fps(cases),
        [c.prediction.channel(channel) for c in cases],
        [c.prediction.fps for c in cases],
    )


def loudness_alone(cases: Sequence[Case], curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """(lag, r) of the loudness envelope itself against one truth curve a clip, by the rule of one lag."""
    scores = [pooled_correlation(curves, [loudness(c.samples, c.times + lag) for c in cases]) for lag in LAGS]
    best = int(np.argmax(scores))
    return float(LAGS[best]), scores[best]


def channel_correlations(cases: Sequence[Case], names: Sequence[str], lag: float) -> dict[str, float]:
    """Pooled r of each channel at one lag; channels that the truth never moves are left out."""
    out = {}
    for name in names:
        truth = [c.truth.channel(name) for c in cases]
        if max(float(t.std()) for t in truth) < 1e-6:
            continue
        moved = [sample_at(c.prediction.channel(name), c.prediction.fps, c.times + lag) for c in cases]
        out[name] = pooled_correlation(truth, moved)
    return out


def word_scores(gap: np.ndarray, fps: float, words: Sequence[Word]) -> dict[str, tuple[int, int]]:
    """{"closure": (met, words), "open": (met, words)} of one clip's lip gap (T,).

    Closure: the gap falls to 20 % of the clip's 95th percentile in the window of a bilabial. Open: it exceeds
    30 % somewhere in the middle half of a word with an open vowel. Words after the last frame are not counted.
    """
    return closures(gap, fps, phones_of_words(words))


def phones_of_words(words: Sequence[Word]) -> list[Word]:
    """Words whose bilabials and open vowels are known, as phones in the time in which `word_scores` looks for them."""
    found: list[Word] = []
    for start, end, word in words:
        if word in BILABIAL_STARTS:
            found.append((start + START_WINDOW[0] + BEFORE, start + START_WINDOW[1] - AFTER, "b"))
        elif word in BILABIAL_ENDS:
            found.append((end + END_WINDOW[0] + BEFORE, end + END_WINDOW[1] - AFTER, "m"))
        if word in OPEN_VOWELS:
            quarter = (end - start) / 4
            found.append((start + quarter, end - quarter, "a"))
    return found


def word_recall(gaps: Sequence[np.ndarray], cases: Sequence[Case]) -> dict[str, float | int]:
    """Bilabial closure recall and share of vowels open over all clips; gaps (T,) at the truth's frames."""
    total = {"closure": [0, 0], "open": [0, 0]}
    for gap, case in zip(gaps, cases, strict=True):
        for name, counts in word_scores(gap, case.truth.fps, case.words).items():
            total[name] = [a + b for a, b in zip(total[name], counts, strict=True)]
    out: dict[str, float | int] = {}
    for name, (hit, count) in total.items():
        if count:
            out |= {name: hit / count, f"{name}_words": count}
    return out


def lip_errors(cases: Sequence[Case], gauge: LipGauge, lag: float = 0.0) -> dict[str, float]:
    """LVE on the rig, mm²: max over lip vertices of the squared distance, mean over all frames.

    Also as a ratio to a resting face and to a jaw driven by the loudness, with the gain per clip that fits
    the truth's lip vertices best (least squares).
    """
    jaw = gauge.lips[gauge.names.index("jawOpen")].astype(np.float64)
    sums, frames = np.zeros(3), 0
    for case in cases:
        truth = gauge.weights(case.truth.values, case.truth.names)
        moved = sample_at(case.prediction.values, case.prediction.fps, case.times + lag)
        target = truth @ gauge.lips
        envelope = loudness(case.samples, case.times)
        power = float(envelope @ envelope) * float(jaw @ jaw)
        gain = max(float(envelope @ (target @ jaw)) / power, 0.0) if power > 0 else 0.0
        jawed = np.outer(gain * envelope, jaw)
        predicted = gauge.weights(moved, case.prediction.names) @ gauge.lips
        for i, guess in enumerate((predicted, np.zeros_like(target), jawed)):
            delta = (target - guess).reshape(len(target), -1, 3)
            sums[i] += np.square(delta).sum(2).max(1).sum()
        frames += len(truth)
    ours, rest, jawed = sums / frames
    return {
        "lve_mm2": float(ours),
        "lve_over_rest": float(ours / rest) if rest > 0 else float("nan"),
        "lve_over_loudness_jaw": float(ours / jawed) if jawed > 0 else float("nan"),
    }


def rest_jaw(motions: Mapping[str, Motion]) -> dict[str, float]:
    """Mean jawOpen of each motion made from a sound without speech (silence, noise, music); 0 is closed."""
    return {name: float(motion.channel("jawOpen").mean()) for name, motion in motions.items()}


def _one_fps(cases: Sequence[Case]) -> float:
    rates = {c.truth.fps for c in cases}
    if len(rates) != 1:
        raise DataError(f"One group of clips needs one frame rate of the truth, not {sorted(rates)}.")
    return rates.pop()
