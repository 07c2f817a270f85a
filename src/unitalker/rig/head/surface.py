"""The head's smooth base surface: a spline of measured radii over a field of rays.

Every direction of the field has two numbers: `azimuth` (degrees, 0 at the nose, positive to the character's left,
180 at the back) and `level` (mm; on the face simply the height over the eyes). Rays start on an axis inside the
head, fan out over the crown and tip downwards under the chin, so that each meets the skin once.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.interpolate import RectBivariateSpline

from unitalker.rig.head.sections import AZIMUTHS, LEVELS, RADII

CROWN = 170.0  # level of the pole on top of the head
COLLAR = -157.0  # level where the neck ends
AXIS_DEPTH = -85.0  # z of the axis, mm behind the eyes
_CAP = 45.0  # above this level the rays fan out over the crown
_TILT = 31.0  # degrees by which rays point down under the chin
Curve = np.ndarray | float


def smoothstep(x: Curve, low: Curve = 0.0, high: Curve = 1.0) -> np.ndarray:
    """0 below `low`, 1 above `high`, 3t² - 2t³ between. `low` may exceed `high` (then it falls)."""
    t = np.clip((np.asarray(x, float) - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def bell(*terms: np.ndarray) -> np.ndarray:
    """Gaussian exp(-Σ t²/2) of offsets already divided by their widths."""
    return np.exp(-0.5 * sum(np.square(t) for t in terms))


def _soft(x: np.ndarray, width: float = 5.0) -> np.ndarray:
    return width * np.logaddexp(0.0, x / width)


def rays(level: np.ndarray, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions (N, 3) of the rays at (N,) levels and azimuths in degrees."""
    level, theta = np.asarray(level, float), np.radians(azimuth)
    over = np.clip(_soft(level - _CAP) / (CROWN - _CAP), 0.0, 1.0)
    lift = np.radians(90.0 * over - _TILT * smoothstep(level, -70.0, -130.0))
    height = level - _soft(level - _CAP) + _soft(-78.0 - level) - _soft(-124.0 - level)
    origin = np.stack([0 * level, height, AXIS_DEPTH + 0 * level], -1)
    direction = np.stack([np.cos(lift) * np.sin(theta), np.sin(lift), np.cos(lift) * np.cos(theta)], -1)
    return origin, direction


@cache
def _radius() -> RectBivariateSpline:
    angles = np.concatenate([-AZIMUTHS[:0:-1], AZIMUTHS])
    table = np.concatenate([RADII[:, :0:-1], RADII], axis=1)
    return RectBivariateSpline(LEVELS[::-1], angles, table[::-1], s=0)


def point(level: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Points (N, 3) of the base surface in mm, eyes at the origin's height."""
    origin, direction = rays(level, azimuth)
    return origin + direction * _radius()(level, azimuth, grid=False)[:, None]


def locate(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level and azimuth of the front surface point seen at (x, y) mm from straight ahead (Newton steps)."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    level, azimuth = y.copy(), np.degrees(np.arcsin(np.clip(x / 105.0, -0.95, 0.95)))
    step = 0.05
    for _ in range(12):
        here = point(level, azimuth)
        d_level = (point(level + step, azimuth) - here)[:, :2] / step
        d_angle = (point(level, azimuth + step) - here)[:, :2] / step
        off = np.stack([x, y], -1) - here[:, :2]
        det = d_level[:, 0] * d_angle[:, 1] - d_level[:, 1] * d_angle[:, 0]
        det = np.where(np.abs(det) < 1e-3, 1e-3, det)
        go_level = (off[:, 0] * d_angle[:, 1] - off[:, 1] * d_angle[:, 0]) / det
        go_angle = (d_level[:, 0] * off[:, 1] - d_level[:, 1] * off[:, 0]) / det
        level = level + np.clip(go_level, -8, 8)
        azimuth = azimuth + np.clip(go_angle, -8, 8)
    return level, azimuth


def unroll(level: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Plane coordinates (N, 2) that keep small shapes: the crown is the origin, the neck an outer circle.

    The half head (azimuth 0…180) becomes a half disc, convex, so that a Delaunay triangulation of it is a mesh.
    """
    level, theta = np.asarray(level, float), np.radians(azimuth)
    lift = np.clip((level - _CAP) / (CROWN - _CAP), 0.0, 1.0) * (np.pi / 2)
    radius = np.where(level > _CAP, np.tan((np.pi / 2 - lift) / 2), np.exp((_CAP - level) / 95.0))
    return np.stack([radius * np.cos(theta), radius * np.sin(theta)], -1)
