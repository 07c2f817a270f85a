"""Phones of a recording from its text: the phone classifier that training learns beside the face, and Viterbi.

Speech synthesis gives the phone sequence of a text, the classifier's posteriors say where in the recording each phone
lies. So recordings without captured motion become training data: `visemes.perform` moves the face along the times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unitalker.config import FEATURE_RATE
from unitalker.errors import DataError

PAUSE_COST = 4.0
"""Log-probability paid for a pause where the text suggests none."""
PRIOR_POWER = 0.5


@dataclass(frozen=True)
class Alignment:
    """phones: (start s, end s, symbol), pauses as "". score: mean log posterior of the chosen path, per frame."""

    phones: list[tuple[float, float, str]]
    score: float


def align(
    posteriors: np.ndarray, prior: np.ndarray, symbols: Sequence[str], rows: Sequence[int]
) -> Alignment:
    """Best monotone path of phone `symbols` (classes `rows`, pauses "" among them) through posteriors (T, C).

    posteriors: log-probabilities at 50 Hz; class 0 is the pause. prior: (C,) probabilities of the classes. Raises
    DataError where the text has more phones than the recording has frames.
    """
    names, classes, entry = _states(symbols, rows)
    frames = len(posteriors)
    if sum(bool(n) for n in names) > frames:
        raise DataError(
            f"The text has more phones than the recording's {frames} frames of 20 ms; is it another's?"
        )
    likely = posteriors - PRIOR_POWER * np.log(np.maximum(prior, 1e-5))
    path = _viterbi(likely[:, classes], np.array([bool(n) for n in names]), np.array(entry))
    score = float(posteriors[np.arange(frames), np.array(classes)[path]].mean())
    edges = np.flatnonzero(np.diff(path)) + 1
    starts, ends = np.r_[0, edges], np.r_[edges, frames]
    phones = [(s / FEATURE_RATE, e / FEATURE_RATE, names[path[s]]) for s, e in zip(starts, ends, strict=True)]
    return Alignment(phones, score)


def _states(symbols: Sequence[str], rows: Sequence[int]) -> tuple[list[str], list[int], list[float]]:
    """Pause, phone, pause, phone, …, pause; the cost of a pause is 0 where the text has one."""
    names, classes, entry = [""], [0], [0.0]
    pending = False
    for symbol, row in zip(symbols, rows, strict=True):
        if not symbol:
            pending = True
            continue
        if len(names) > 1:
            entry[-1] = 0.0 if pending else PAUSE_COST
        pending = False
        names += [symbol, ""]
        classes += [row, 0]
        entry += [0.0, PAUSE_COST]
    entry[-1] = 0.0
    return names, classes, entry


def _viterbi(likely: np.ndarray, phone: np.ndarray, entry: np.ndarray) -> np.ndarray:
    """State per frame. From a state one may stay, go to the next, or from a phone over the pause to the next phone."""
    frames, states = likely.shape
    best = np.full(states, -np.inf)
    best[:2] = likely[0, :2]
    back = np.zeros((frames, states), np.int8)
    for t in range(1, frames):
        choices = np.full((3, states), -np.inf)
        choices[0] = best
        choices[1, 1:] = best[:-1]
        choices[2, 2:] = np.where(phone[2:], best[:-2], -np.inf)
        choices[1:] -= entry
        back[t] = choices.argmax(0)
        best = choices.max(0) + likely[t]
    path = np.zeros(frames, int)
    path[-1] = states - 1 if best[-1] >= best[-2] else states - 2
    for t in range(frames - 1, 0, -1):
        path[t - 1] = path[t] - back[t, path[t]]
    return path
