"""Levels: how loud the sound is, where sound and weights are cut off, what the sides of the face do."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from unitalker.annotations.layouts import channel_key, mirrored_name
from unitalker.evaluation.doctor.frames import runs

BLOCK_S = 0.05
LOUD = 95.0
"""Percentile of the blocks that tells how loud a clip is."""
FLAT_SAMPLES, FLAT_FRAMES, FLATS = 3, 2, 2
"""A cut sound stays at its peak for so many samples; a cut weight for so many frames, so many times."""
MOVING = 0.02
"""Standard deviation from which on a weight is looked at."""
RESTS = 0.005
"""Mean of a weight up to which it is at rest."""
FULL = 0.999
"""A weight from here on is at its bound."""
MARGIN = 0.05
"""How far outside 0 … 1 a weight may lie."""
MOUTH = re.compile(r"^(jaw|mouth)", re.IGNORECASE)
ANGLE = re.compile(r"(Yaw|Pitch|Roll)$")
GAZE = re.compile(r"^eyeLook", re.IGNORECASE)


def of_sound(samples: np.ndarray, rate: int) -> dict[str, float]:
    """Loudness and share of cut samples of (N,) mono sound."""
    block = max(1, round(BLOCK_S * rate))
    whole = len(samples) // block * block
    blocks = samples[:whole].reshape(-1, block) if whole else samples[None]
    power = np.square(blocks, dtype=np.float64).mean(1)
    loud = 10 * np.log10(max(float(np.percentile(power, LOUD)), 1e-12))
    peak = float(np.abs(samples).max())
    cut = np.abs(samples) >= peak - 1.5 / 32768
    flat = sum(b - a for a, b in runs(cut) if b - a >= FLAT_SAMPLES) if peak > 0.01 else 0
    return {"loudness_dbfs": loud, "clipped_sound_share": flat / len(samples)}


def of_weights(values: np.ndarray, names: Sequence[str]) -> tuple[dict[str, float], str]:
    """Range and cut peaks of weights (T, D), and the channel that is cut most."""
    face = [i for i, n in enumerate(names) if not ANGLE.search(n)]
    weights = np.asarray(values[:, face], np.float32)
    outside = ((weights < -MARGIN) | (weights > 1 + MARGIN)).any(1)
    cut, worst = _cut(values, names, _speaking(names, face))
    measured = {
        "lowest_weight": float(weights.min()),
        "highest_weight": float(weights.max()),
        "out_of_range_share": float(outside.mean()),
        "clipped_motion_share": cut,
    }
    return measured, worst


def _cut(values: np.ndarray, names: Sequence[str], columns: list[int]) -> tuple[float, str]:
    """Share of frames at a cut peak, and the channel: of those cut off at 1 the worst, else the median of all that
    move, for single channels may rest at a peak of their own."""
    moving = [i for i in columns if values[:, i].std() > MOVING]
    if not moving:
        return 0.0, ""
    shares = np.array([_flat(values[:, i]) for i in moving])
    full = np.where([values[:, i].max() >= FULL for i in moving], shares, 0.0)
    worst = moving[int(np.argmax(full if full.any() else shares))]
    return float(full.max() if full.any() else np.median(shares)), names[worst]


def _speaking(names: Sequence[str], face: list[int]) -> list[int]:
    """Columns of jaw and mouth; all of the face where names do not tell."""
    return [i for i in face if MOUTH.match(names[i])] or face


def _flat(curve: np.ndarray) -> float:
    """Share of frames in runs at the very peak of a curve, where it comes back to it often enough."""
    found = [b - a for a, b in runs(curve >= curve.max() - 1e-6) if b - a >= FLAT_FRAMES]
    return sum(found) / len(curve) if len(found) >= FLATS else 0.0


def side_pairs(names: Sequence[str]) -> list[tuple[int, int]]:
    """Columns of each channel of the left side and its partner of the right; gaze, which is no trait, is left out."""
    column = {n: i for i, n in enumerate(names)}
    found = []
    for name, left in column.items():
        other = mirrored_name(name)
        if other in column and other != name and _is_left(name, other) and not GAZE.match(name):
            found.append((left, column[other]))
    return found


def _is_left(name: str, other: str) -> bool:
    return channel_key(name) < channel_key(other)


def sides(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(P,) of each pair of channels how much further the left one is open than the right one over the frames, as a share
    of both together: -1 … 1, 0 where both are at rest."""
    pairs = side_pairs(names)
    left, right = (np.array([np.maximum(values[:, pair[k]], 0).mean() for pair in pairs]) for k in (0, 1))
    moves = np.maximum(left, right) > RESTS
    return np.where(moves, (left - right) / np.maximum(left + right, 1e-9), 0.0)


def gaze_agreement(values: np.ndarray, names: Sequence[str]) -> float | None:
    """Whether the eyes turn together, −1 … 1: what turns one outwards turns the other inwards, so mean correlation of
    out and in across the eyes less that within an eye, halved; below 0 where channels changed places. None where the
    eyes do not turn or are not told."""
    column = {channel_key(n): i for i, n in enumerate(names)}
    wanted = [f"eyeLook{way}{side}" for way in ("Out", "In") for side in ("Left", "Right")]
    if any(name not in column for name in wanted):
        return None
    turns = np.asarray(values[:, [column[name] for name in wanted]], np.float64)
    if turns.std(0).min() < MOVING / 2:
        return None
    r = np.asarray(np.corrcoef(turns.T))
    return float(r[0, 3] + r[1, 2] - r[0, 2] - r[1, 3]) / 4
