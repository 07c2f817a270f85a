"""What the smooth base surface lacks: eyelids, nose wings and nostrils, philtrum, the lips' form.

Each function takes points (N, 3) in mm of the left half and returns the moved points. Widths and depths in mm.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from unitalker.rig.head import layout
from unitalker.rig.head import outlines as line
from unitalker.rig.head.layout import Half
from unitalker.rig.head.surface import bell, smoothstep

LID_THICKNESS = 1.5
_NECK_CUT = -136.0  # below this height the neck is pressed to an almost level end
_DEPTH_UPPER = (-3.8, -1.8, 0.3, 1.3, 0.8, 0.1)  # forward displacement of the lip rings at the middle
_DEPTH_LOWER = (-3.8, -2.0, 0.2, 1.3, 0.8, -0.2)


def lid_distance(points: np.ndarray) -> np.ndarray:
    """Distance (N,) in the front view from the eye's opening; points far behind get a large number."""
    s = np.linspace(0, 1, 120)
    edge = np.concatenate([line.lid_edge(s, True), line.lid_edge(s, False)])
    away, _ = KDTree(edge).query(points[:, :2])
    return np.where(points[:, 2] > -30, away, 1e3)


def _lid_sphere(points: np.ndarray) -> np.ndarray:
    """Height z (N,) of a ball a lid's thickness over the eye, continued as a cone outside."""
    radius = line.EYE_RADIUS + LID_THICKNESS
    off = np.hypot(points[:, 0] - line.EYE[0], points[:, 1] - line.EYE[1])
    near = np.minimum(off, 12.4)
    return line.EYE[2] + np.sqrt(radius**2 - near**2) - 1.1 * (off - near)


def eyelids(points: np.ndarray) -> np.ndarray:
    """Lay the lids on the eyeball and fold the upper one."""
    out = points.copy()
    away = lid_distance(points)
    x, y = points[:, 0] - line.EYE[0], points[:, 1] - line.EYE[1]
    ball = _lid_sphere(points) + 3.6 * bell((points[:, 0] - 17.0) / 3.5, (y + 2.6) / 4.0)
    upper = smoothstep(y, -2.0, 2.0)
    stick = 1 - smoothstep(away, 1.5, 10.5)
    out[:, 2] += stick * (ball - points[:, 2])
    fold = upper * bell((away - 3.7) / 0.9) * smoothstep(np.abs(x + 0.5), 15.5, 6.0)
    hood = upper * bell((away - 6.3) / 1.9) * smoothstep(np.abs(x - 2.0), 18.0, 6.0)
    bag = (1 - upper) * (0.45 * bell((away - 2.4) / 1.2) - 0.5 * bell((away - 6.5) / 1.8)) * bell(x / 10.0)
    out[:, 2] += -1.0 * fold + 1.0 * hood + bag
    return out


def nose(points: np.ndarray) -> np.ndarray:
    """Wings, the groove around them, nostrils and a softer tip."""
    out = points.copy()
    x, y, z = points.T
    front = smoothstep(z, 0.0, 12.0)
    wing = bell((x - 14.5) / 3.2, (y + 42.5) / 4.0) * front
    out += wing[:, None] * np.array([2.2, 0.0, 2.0])
    groove = bell((x - 20.5) / 1.7, (y + 40.5) / 6.0) * front
    out[:, 2] -= 1.5 * groove
    tip = bell(x / 7.0, (y + 37.0) / 5.5) * smoothstep(z, 30.0, 44.0)
    out += tip[:, None] * np.array([0.0, 0.3, 0.8])
    hole = bell((x - 7.4) / 2.6, (y + 46.2) / 2.0) * smoothstep(z, 18.0, 30.0)
    out += hole[:, None] * np.array([0.3, 4.2, -4.6])
    sill = bell((x - 9.5) / 4.0, (y + 50.0) / 1.6) * front
    out[:, 2] += 0.9 * sill
    return out


def philtrum(points: np.ndarray) -> np.ndarray:
    """The groove between nose and upper lip with its two ridges."""
    out = points.copy()
    x, y, z = points.T
    along = smoothstep(y, -61.0, -57.5) * smoothstep(y, -48.5, -52.0) * smoothstep(z, 20, 28)
    out[:, 2] += along * (0.7 * bell((x - 5.2) / 1.7) - 1.1 * bell(x / 2.6))
    return out


def lips(points: np.ndarray, half: Half) -> np.ndarray:
    """Roll the red of the lips in to the line where they meet; both contact lines end in the same place."""
    out = points.copy()
    t = np.clip(half.column, 0, None) / layout.LIP_COLUMNS
    inner = (half.kind == 1) & (half.ring < len(layout.LIP_PARTS))
    size = 1 - 0.72 * t**2.2
    ring = np.clip(half.ring, 0, len(layout.LIP_PARTS) - 1)
    upper, lower = np.array(_DEPTH_UPPER)[ring], np.array(_DEPTH_LOWER)[ring]
    middle = 0.5 * (upper + lower)
    depth = np.where(half.side > 0, upper, np.where(half.side < 0, lower, middle)) * size
    out[:, 2] += np.where(inner, depth, 0.0)
    tubercle = np.where(inner & (half.side > 0), bell(points[:, 0] / 3.5), 0.0)
    out[:, 2] += 0.5 * tubercle * (ring > 0)
    corner = bell(
        (points[:, 0] - line.MOUTH_WIDTH - 0.6) / 3.2, (points[:, 1] - line.contact(np.array(30.0))) / 3.0
    )
    out[:, 2] -= 1.6 * corner * smoothstep(points[:, 2], -5, 5)
    first = (half.kind == 1) & (half.ring == 0)
    for column in range(layout.LIP_COLUMNS):
        pair = np.nonzero(first & (half.column == column))[0]
        out[pair] = out[pair].mean(axis=0)
    return out


def sculpt(points: np.ndarray, half: Half) -> np.ndarray:
    """All features on the base surface."""
    out = eyelids(nose(philtrum(points)))
    out = lips(out, half)
    low = out[:, 1] < _NECK_CUT
    out[low, 1] = _NECK_CUT + 0.25 * (out[low, 1] - _NECK_CUT)
    out[half.azimuth < 1e-6, 0] = 0.0
    out[half.azimuth > 180 - 1e-6, 0] = 0.0
    return out
