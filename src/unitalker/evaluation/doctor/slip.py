"""Where a clip's offset changes: frames that are missing or too many, or clocks that run differently.

A clip is split at every place in turn, each part takes the lag at which it agrees best with its sound, and the best
split is compared with the best single lag of the whole, in nats as offset.py counts them. One lag of the two, like the
single one, is likely the dataset's usual one; any other costs OTHER nats. And where frames are missing the whole face
jumps from one frame to the next (frames.jumps), which alone proves little and says well where to look: each deviation
by which a jump is above the largest ones of the other clips counts JUMP nats. Frames that were added are not so told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitalker.evaluation.doctor.offset import GRID, INDEPENDENT, SEARCH_S, Ear, Trace

SHORTEST_S, PART_S, EDGE_S = 1.5, 0.4, 0.12
"""Clips below the first are not examined; each part is at least as long as the second; at the very ends nothing jumps."""
LEAST_S = 0.08
"""Changes below this are none."""
USUAL_S, OTHER = 0.06, 7.0
"""How much clips in time differ from the usual offset, and what it costs to be anywhere else."""
JUMP, LOW, HIGH = 2.5, -2.0, 6.0
"""Nats for a deviation of a jump, and the deviations that count at least and at most."""
NEAR_S = 0.045
"""How exactly split and jump must be in one place."""
ADDED = 10.0
"""Nats that a change to a later motion, which no jump can bear out, must gain beyond one to an earlier motion."""


@dataclass(frozen=True)
class Slip:
    """change_s: offset of the second part minus the first's, 0 where the jump alone tells. at_s: where. gain: nats by
    which two lags and the jump explain the clip better than one lag. match: as in Estimate, each part at its own lag."""

    change_s: float
    at_s: float
    gain: float
    match: float


def slip(
    ear: Ear, trace: Trace, jumps: np.ndarray, fps: float, usual_s: float = 0.0, search_s: float = SEARCH_S
) -> Slip | None:
    """The likeliest change of offset in a clip; None for one that is too short. jumps: (T,) of the frames at `fps`, in
    deviations from the largest of other clips. usual_s: the dataset's offset."""
    if len(trace) < SHORTEST_S * GRID:
        return None
    most, part = round(search_s * GRID), round(PART_S * GRID)
    splits = np.arange(part, len(trace) - part)
    gain, first, second = _gain(_agreement(ear, trace, most, splits), len(trace) / GRID, usual_s)
    added = int(np.argmax(np.where(second > first, gain, -np.inf)))
    lost = np.where(second < first, gain, -OTHER)
    times = np.arange(len(jumps)) / fps
    inside = (times >= EDGE_S) & (times <= times[-1] - EDGE_S)
    found = _near(np.interp(times * GRID, splits, lost, -OTHER, -OTHER), fps)
    total = found + JUMP * np.clip(np.where(inside, jumps, LOW), LOW, HIGH)
    place = int(np.argmax(total))
    if found[place] <= -OTHER and total[place] >= gain[added] - ADDED:
        return Slip(0.0, place / fps, float(total[place]), 1.0)
    best, score = added, float(gain[added] - ADDED)
    if total[place] >= score:
        near = np.abs(splits / GRID - place / fps) <= NEAR_S + 1 / GRID
        best, score = int(np.argmax(np.where(near, lost, -np.inf))), float(total[place])
    lags = (int(first[best]) - most, int(second[best]) - most)
    match = _match(ear, trace, int(splits[best]), lags)
    return Slip((lags[1] - lags[0]) / GRID, float(splits[best]) / GRID, score, match)


def _gain(
    agreement: tuple[np.ndarray, np.ndarray, np.ndarray], seconds: float, usual_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nats by which two lags explain more than one, at each split, at least −OTHER; and places of the two lags."""
    before, after, whole = (INDEPENDENT * seconds * part for part in agreement)
    most = (len(whole) - 1) // 2
    away = np.arange(-most, most + 1) / GRID - usual_s
    usual = np.logaddexp(-0.5 * np.square(away / USUAL_S), -OTHER)
    one = float((whole + usual).max())
    first, second = before + usual[:, None], after + usual[:, None]
    begun, ended = first.max(0) + after.max(0), before.max(0) + second.max(0)
    lags = np.where(begun >= ended, (first.argmax(0), after.argmax(0)), (before.argmax(0), second.argmax(0)))
    gain = np.maximum(begun, ended) - OTHER - one
    changed = np.abs(lags[1] - lags[0]) >= LEAST_S * GRID
    return np.where(changed, np.maximum(gain, -OTHER), -OTHER), lags[0], lags[1]


def _near(values: np.ndarray, fps: float) -> np.ndarray:
    """The largest value within NEAR_S of each frame."""
    from scipy.ndimage import maximum_filter1d

    return maximum_filter1d(values, 2 * round(NEAR_S * fps) + 1)


def _agreement(
    ear: Ear, trace: Trace, most: int, splits: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Agreement (2 · most + 1, splits) of each lag before and after each split, and (2 · most + 1,) of the whole.

    A part's agreement is its weighted correlation times its share of what the sound does, pair by pair, so that parts
    add up to the whole where they agree, and silence counts for nothing.
    """
    a, b = trace.motion @ ear.face, trace.heard @ ear.sound
    padded = np.pad(a, ((most, most), (0, 0)))
    heard = np.cumsum(b * b, axis=0)
    share = heard[splits] / np.maximum(heard[-1], 1e-12)
    before, after, whole = [], [], []
    for start in range(2 * most + 1):
        moved = padded[start : start + len(b)]
        both, felt = np.cumsum(moved * b, axis=0), np.cumsum(moved * moved, axis=0)
        before.append(_part(both[splits], felt[splits], heard[splits], share) @ ear.weights)
        rest = [x[-1] - x[splits] for x in (both, felt, heard)]
        after.append(_part(rest[0], rest[1], rest[2], 1 - share) @ ear.weights)
        whole.append(_part(both[-1], felt[-1], heard[-1], 1.0) @ ear.weights)
    return np.stack(before), np.stack(after), np.array(whole)


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
