"""Every figure of an evaluation by name: title, unit, formula, where it comes from, and how it is read off sums of clips.

Reports, JSON files and docs/evaluation.md are made of this list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unitalker.evaluation.metrics.curves import LAGS

Fold = Callable[[np.ndarray], np.ndarray]
"""Sums (…, k) → figures (…); NaN where there is nothing to divide by."""


def ratio(sums: np.ndarray) -> np.ndarray:
    """First sum over the second."""
    return np.divide(
        sums[..., 0], sums[..., 1], out=np.full(sums.shape[:-1], np.nan), where=sums[..., 1] != 0
    )


def absolute(sums: np.ndarray) -> np.ndarray:
    """Size of the ratio."""
    return np.abs(ratio(sums))


def _by_lag(sums: np.ndarray) -> np.ndarray:
    """(…, lags) pooled correlation at each lag from moments (…, 3 · lags)."""
    product, truth, made = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, len(LAGS)), -2, 0)
    scale = np.sqrt(truth * made)
    return np.divide(product, scale, out=np.zeros_like(product), where=scale > 1e-12)


def best_r(sums: np.ndarray) -> np.ndarray:
    """Correlation at the lag where it is highest."""
    return _by_lag(sums).max(-1)


def lag_ms(sums: np.ndarray) -> np.ndarray:
    """That lag in milliseconds, positive where the prediction is late; NaN where one side never moves."""
    found = _by_lag(sums)
    return np.where(found.any(-1), 1000 * LAGS[found.argmax(-1)], np.nan)


def lively(sums: np.ndarray) -> np.ndarray:
    """Standard deviation within clips of the prediction over the truth's, without lag."""
    _, truth, made = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, len(LAGS)), -2, 0)
    middle = len(LAGS) // 2
    return np.sqrt(ratio(np.stack([made[..., middle], truth[..., middle]], -1)))


@dataclass(frozen=True)
class Metric:
    """One figure. unit: {u} stands for the protocol's unit of length. region: whose mask it needs, "" for all vertices.

    pooling: what a figure is a mean of (frames, clips, phones), or "correlation" over all frames of all clips.
    better: which way is better. sums: the row of sums that `fold` reads.
    """

    name: str
    title: str
    unit: str
    region: str
    pooling: str
    better: str
    formula: str
    source: str
    sums: str
    fold: Fold = ratio


LIPS, UPPER, OPENING, JAW, ALL = "lips", "upper_face", "opening", "jaw", ""
_CODETALKER = "published script of CodeTalker"
_TABLE = "UniTalker, Tab. 2"

METRICS: tuple[Metric, ...] = (
    Metric(
        "lve", "LVE", "{u}²", LIPS, "frames", "lower",
        "mean over frames of the maximum over lip vertices of the squared distance |x̂ − x|²",
        f"{_CODETALKER}; {_TABLE}", "lve",
    ),
    Metric(
        "lvd", "LVD (LVE not squared)", "{u}", LIPS, "frames", "lower",
        "mean over frames of the maximum over lip vertices of |x̂ − x|",
        "published code of UniTalker; not EMAGE's LVD, a difference of velocities", "lvd",
    ),
    Metric(
        "lve_over_rest", "LVE over a resting face's", "ratio", LIPS, "frames", "lower",
        "LVE over the LVE of a face that never moves; 1 is no better than rest", "this project", "over_rest",
    ),
    Metric(
        "mve", "MVE", "{u}", ALL, "frames", "lower",
        "mean over frames and all vertices of |x̂ − x|", _TABLE, "mve",
    ),
    Metric(
        "ufve", "UFVE", "{u}", UPPER, "frames", "lower",
        "mean over frames and upper-face vertices of |x̂ − x|", _TABLE, "ufve",
    ),
    Metric(
        "fdd", "FDD (signed)", "{u}²", UPPER, "clips", "nearer to 0",
        "mean over clips of D(truth) − D(prediction), D = mean over upper-face vertices of the standard deviation over "
        "time of |displacement|²; positive: too little motion",
        f"{_CODETALKER}; {_TABLE}", "fdd",
    ),
    Metric(
        "fdd_absolute", "FDD (absolute)", "{u}²", UPPER, "clips", "lower",
        "absolute value of the signed FDD", "as printed in papers' tables", "fdd", absolute,
    ),
    Metric(
        "fdd_clips", "FDD (mean of absolute values)", "{u}²", UPPER, "clips", "lower",
        "mean over clips of |D(truth) − D(prediction)|", "published script of FaceDiffuser", "fdd_clips",
    ),
    Metric(
        "mod", "MOD", "{u}", OPENING, "frames", "lower",
        "mean over frames of the absolute difference of the mouth's opening, the distance between the inner lips' middles",
        "StreamingTalker's tables; the vertices are told by the mask, papers have their own", "mod",
    ),
    Metric(
        "opening_r", "opening, r", "r", OPENING, "correlation", "higher",
        "Pearson r of the mouth's opening over all frames, each clip's mean removed, at the one lag in ±120 ms where it is "
        "highest", "this project", "opening", best_r,
    ),
    Metric(
        "opening_lag_ms", "opening, lag", "ms", OPENING, "correlation", "nearer to 0",
        "that lag; positive: the prediction is late", "this project", "opening", lag_ms,
    ),
    Metric(
        "opening_amplitude", "opening, amplitude over truth's", "ratio", OPENING, "correlation", "nearer to 1",
        "standard deviation of the opening within clips, prediction over truth", "this project", "opening", lively,
    ),
    Metric(
        "jaw_r", "jaw, r", "r", JAW, "correlation", "higher",
        "Pearson r of jawOpen over all frames, each clip's mean removed, at the lag in ±120 ms where it is highest",
        "this project", "jaw", best_r,
    ),
    Metric(
        "jaw_lag_ms", "jaw, lag", "ms", JAW, "correlation", "nearer to 0",
        "that lag; positive: the prediction is late", "this project", "jaw", lag_ms,
    ),
    Metric(
        "closure", "bilabial closure recall", "share", OPENING, "phones", "higher",
        "share of p, b and m during which (±40 ms) the opening over that at rest falls to 20 % of the clip's 95th "
        "percentile", "after visual-speech papers; the windows are this project's", "closure",
    ),
    Metric(
        "closure_truth", "the same of the truth", "share", OPENING, "phones", "",
        "closure recall of the captured motion", "this project", "closure_truth",
    ),
    Metric(
        "open", "open vowels open", "share", OPENING, "phones", "higher",
        "share of open vowels during which that opening exceeds 30 % of the percentile; lips that never part close on every "
        "bilabial and open on no vowel", "this project", "open",
    ),
    Metric(
        "open_truth", "the same of the truth", "share", OPENING, "phones", "",
        "open vowels of the captured motion", "this project", "open_truth",
    ),
    Metric(
        "jitter", "jitter", "{u}/s³", LIPS, "frames", "near the truth's",
        "mean over frames and lip vertices of the jerk |third difference| · fps³",
        "Yi et al., TransPose, 2021", "jitter",
    ),
    Metric(
        "jitter_truth", "jitter of the truth", "{u}/s³", LIPS, "frames", "",
        "the same of the captured motion", "Yi et al., TransPose, 2021", "jitter_truth",
    ),
    Metric(
        "velocity_mean", "velocity means, difference", "{u}/s", ALL, "clips", "lower",
        "mean over clips and vertices of the absolute difference of the mean speed over time", "maps of UniTalker, Fig. 6",
        "velocity_mean",
    ),
    Metric(
        "velocity_std", "velocity deviations, difference", "{u}/s", ALL, "clips", "lower",
        "the same of the standard deviation of the speed over time", "maps of UniTalker, Fig. 6", "velocity_std",
    ),
    Metric(
        "diversity", "diversity", "{u}", ALL, "clips", "",
        "mean over clips and pairs of styles of the mean vertex distance between predictions of one sound",
        "FaceDiffuser", "diversity",
    ),
)  # fmt: skip
"""In the order of reports."""
