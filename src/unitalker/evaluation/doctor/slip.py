"""Where a clip's offset changes: frames that are missing or too many, or clocks that run differently.

A clip is split at every place in turn, each part takes the lag at which it agrees best with its sound, and the best
split is compared with the best single lag of the whole, in nats as offset.py counts them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitalker.evaluation.doctor.offset import GRID, INDEPENDENT, SEARCH_S, Ear, Trace

PART_S = 1.0
"""Each part is at least this long."""
LEAST_S = 0.08
"""Changes below this are none."""


@dataclass(frozen=True)
class Slip:
    """change_s: offset of the second part minus the first's. at_s: where. gain: nats by which two lags explain the clip
    better than one. match: as in Estimate, each part at its own lag."""

    change_s: float
    at_s: float
    gain: float
    match: float


def slip(ear: Ear, trace: Trace, search_s: float = SEARCH_S) -> Slip | None:
    """The likeliest change of offset in a clip; None for one too short to have two parts."""
    part = round(PART_S * GRID)
    if len(trace) < 2 * part + 2:
        return None
    most = round(search_s * GRID)
    splits = np.arange(part, len(trace) - part)
    before, after, whole = _agreement(ear, trace, most, splits)
    first, second = before.argmax(0), after.argmax(0)
    gain = INDEPENDENT * len(trace) / GRID * (before.max(0) + after.max(0) - whole)
    gain = np.where(np.abs(second - first) >= LEAST_S * GRID, gain, 0.0)
    best = int(np.argmax(gain))
    at, lags = int(splits[best]), (int(first[best]) - most, int(second[best]) - most)
    return Slip((lags[1] - lags[0]) / GRID, at / GRID, float(gain[best]), _match(ear, trace, at, lags))


def _agreement(ear: Ear, trace: Trace, most: int, splits: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Agreement (2 · most + 1, splits) of each lag before and after each split, and the best of the whole clip.

    A part's agreement is its weighted correlation times its share of what the sound does, pair by pair, so that parts
    add up to the whole where they agree, and silence counts for nothing.
    """
    a, b = trace.motion @ ear.face, trace.heard @ ear.sound
    padded = np.pad(a, ((most, most), (0, 0)))
    heard = np.cumsum(b * b, axis=0)
    share = heard[splits] / np.maximum(heard[-1], 1e-12)
    before, after, whole = [], [], 0.0
    for start in range(2 * most + 1):
        moved = padded[start : start + len(b)]
        both, felt = np.cumsum(moved * b, axis=0), np.cumsum(moved * moved, axis=0)
        before.append(_part(both[splits], felt[splits], heard[splits], share) @ ear.weights)
        rest = [x[-1] - x[splits] for x in (both, felt, heard)]
        after.append(_part(rest[0], rest[1], rest[2], 1 - share) @ ear.weights)
        whole = max(whole, float(_part(both[-1], felt[-1], heard[-1], 1.0) @ ear.weights))
    return np.stack(before), np.stack(after), whole


def _part(both: np.ndarray, felt: np.ndarray, heard: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    return share * both / np.sqrt(np.maximum(felt * heard, 1e-12))


def _match(ear: Ear, trace: Trace, at: int, lags: tuple[int, int]) -> float:
    """Weighted correlation of the pairs with each part of the motion moved by its own lag."""
    moved = np.arange(len(trace)) + np.where(np.arange(len(trace)) < at, lags[0], lags[1])
    inside = (moved >= 0) & (moved < len(trace))
    a, b = trace.motion[moved[inside]] @ ear.face, trace.heard[inside] @ ear.sound
    a, b = a - a.mean(0), b - b.mean(0)
    r = (a * b).sum(0) / np.sqrt(np.maximum((a * a).sum(0) * (b * b).sum(0), 1e-20))
    return float(r @ ear.weights / max(float(ear.weights.sum()), 1e-9))
