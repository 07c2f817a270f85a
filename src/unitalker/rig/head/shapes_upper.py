"""Eye, brow, cheek-squint and nose shapes: displacements in mm over the head at rest."""

from __future__ import annotations

import numpy as np

from unitalker.rig.head import layout
from unitalker.rig.head import outlines as line
from unitalker.rig.head.body import Body, rotate_x
from unitalker.rig.head.shapes_mouth import bump

_UPPER_FOLLOW = np.array([1.0, 0.98, 0.92, 0.8, 0.66, 0.47, 0.22, 0.0])  # by eye ring
_LOWER_FOLLOW = np.array([1.0, 0.92, 0.78, 0.62, 0.5, 0.36, 0.17, 0.0])
_CLEARANCE = 0.7  # mm that a lid keeps over the eyeball
UP_DEGREES, DOWN_DEGREES, ASIDE_DEGREES = 22.0, 26.0, 30.0


def _elevation(points: np.ndarray) -> np.ndarray:
    return np.arctan2(points[:, 1] - line.EYE[1], points[:, 2] - line.EYE[2])


def lids(body: Body, upper: float, lower: float) -> np.ndarray:
    """Left eyelids moved by shares of the eye's opening: upper 1 brings the upper lid to the lower one's place.

    Negative shares open the eye wider. With upper + lower = 1 both edges meet in one line.
    """
    left = body.rest[:, 0] > 0
    first = left & (body.kind == 2) & (body.ring == 0)
    high, low, radius = (np.zeros(layout.LID_COLUMNS) for _ in range(3))
    elevation, far = _elevation(body.rest), np.hypot(*(body.rest - line.EYE)[:, 1:].T)
    column = body.column.astype(int).clip(0)
    for side, store in ((1, high), (-1, low)):
        at = first & ((body.side == side) | (body.side == 0))
        store[column[at]] = elevation[at]
    radius[column[first]] = 0.0
    np.add.at(radius, column[first], far[first])
    radius /= np.bincount(column[first], minlength=layout.LID_COLUMNS)
    gap = high - low
    out = np.zeros_like(body.rest)
    for side, share, follow in ((1, upper, _UPPER_FOLLOW), (-1, lower, _LOWER_FOLLOW)):
        at = left & np.isin(body.kind, (2, 4)) & (body.side == side)
        ring = body.ring.astype(int).clip(0, len(follow) - 1)
        weight = np.where(body.kind == 4, 1.0, follow[ring])
        angle = side * share * gap[column] * weight
        moved = rotate_x(body.rest, line.EYE, angle)
        meet = np.where((body.kind == 2) & (body.ring == 0), 1.0, 0.0) * max(0.0, upper + lower) ** 4
        pull = 1 + meet * np.clip(radius[column] / np.maximum(far, 1e-6) - 1, -0.2, 0.2)
        moved[:, 1:] = line.EYE[1:] + (moved - line.EYE)[:, 1:] * pull[:, None]
        out[at] = (_clear_of_eye(moved) - body.rest)[at]
    return out


def _clear_of_eye(points: np.ndarray) -> np.ndarray:
    """Points pushed out to at least the lid's clearance over the left eyeball."""
    off = points - line.EYE
    length = np.linalg.norm(off, axis=1, keepdims=True)
    least = line.EYE_RADIUS + _CLEARANCE
    return np.where(length < least, line.EYE + off / np.maximum(length, 1e-9) * least, points)


def gaze(body: Body, up: float, left: float) -> np.ndarray:
    """The left eyeball turned by degrees up and towards the character's left."""
    at = body.tagged("eye") & (body.rest[:, 0] > 0)
    a, b = np.radians(-up), np.radians(left)
    moved = rotate_x(body.rest, line.EYE, a)
    x, z = moved[:, 0] - line.EYE[0], moved[:, 2] - line.EYE[2]
    turned = np.stack(
        [np.cos(b) * x + np.sin(b) * z, moved[:, 1] - line.EYE[1], -np.sin(b) * x + np.cos(b) * z], -1
    )
    return np.where(at[:, None], turned + line.EYE - body.rest, 0.0)


def _eye_shapes(body: Body) -> dict[str, np.ndarray]:
    """Left-eye shapes by their name without the side."""
    squint = lids(body, 0.22, 0.30) + _one(body, (32, -20, 8), (13, 8, 16), (0.0, 2.0, 0.8))
    return {
        "eyeBlink": lids(body, 0.88, 0.12),
        "eyeSquint": squint,
        "eyeWide": lids(body, -0.28, -0.10) + _one(body, (30, 17, 10), (13, 6, 16), (0, 1.2, 0)),
        "eyeLookUp": gaze(body, UP_DEGREES, 0) + lids(body, -0.16, 0.03),
        "eyeLookDown": gaze(body, -DOWN_DEGREES, 0) + lids(body, 0.46, -0.12),
        "eyeLookIn": gaze(body, 0, -ASIDE_DEGREES),
        "eyeLookOut": gaze(body, 0, ASIDE_DEGREES),
    }


def _one(body: Body, centre: tuple, width: tuple, move: tuple) -> np.ndarray:
    """A one-sided push that leaves the lids' edges alone and never crosses the middle."""
    edge = np.isin(body.kind, (2, 4)) & (body.ring < 3)
    out = bump(body, centre, width, move, both=False) * body.left(12.0)
    return np.where(edge[:, None], 0.0, out)


def _brow_and_nose(body: Body) -> dict[str, np.ndarray]:
    """Left brow, cheek and nose shapes by their name without the side."""
    down = _one(body, (17, 17, 18), (11, 7.5, 16), (-2.6, -6.4, 1.0)) + _one(
        body, (37, 19, 10), (12, 7.5, 16), (-0.6, -4.0, 0.2)
    )
    squint = _one(body, (36, -24, 8), (14, 10, 18), (0.4, 4.2, 2.2)) + lids(body, 0.02, 0.24)
    sneer = (
        _one(body, (13, -39, 26), (6.5, 8, 14), (0.8, 5.4, 0.6))
        + _one(body, (9, -14, 20), (6, 9, 14), (0.0, 1.6, 1.0))
        + _one(body, (22, -50, 20), (8, 8, 14), (0.0, 3.4, 1.0))
        + _one(body, (12, 13, 18), (8, 6, 14), (-0.8, -1.8, 0.4))
    )
    return {
        "browDown": down,
        "browOuterUp": _one(body, (39, 19, 8), (15, 11, 18), (0.2, 7.6, -0.4)),
        "cheekSquint": squint,
        "noseSneer": sneer,
    }


def upper_shapes(body: Body) -> dict[str, np.ndarray]:
    """All eye, brow, cheek-squint and nose shapes by ARKit name, (V, 3) in mm."""
    out = {}  # "in" is towards the nose for both eyes, so a mirrored movement keeps its name
    for name, one in (_eye_shapes(body) | _brow_and_nose(body)).items():
        out[f"{name}Left"], out[f"{name}Right"] = one, body.mirror(one)
    inner = _one(body, (12, 19, 18), (11, 11, 18), (0.4, 8.6, -0.2))
    out["browInnerUp"] = inner + body.mirror(inner)
    return out
