"""The two openings of the face drawn as curves: the lips and the eyelids (right-hand half, mm, seen from ahead).

Only the character's left half (x ≥ 0) is drawn; `mesh.mirror` makes the other.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

MOUTH_Y = -67.5  # height of the line between the lips at the middle
MOUTH_WIDTH = 24.5  # half width of the mouth, to its corner
BORDER_WIDTH = 26.8  # half width of the red of the lips
EYE = np.array([31.0, -0.5, -0.8])  # centre of the left eyeball
EYE_RADIUS = 13.2
CORNER_IN = np.array([17.9, -2.9])  # inner eye corner
CORNER_OUT = np.array([44.0, -0.6])  # outer eye corner

_contact = PchipInterpolator([0, 4, 10, 18, 24.5], [-68.0, -67.7, -67.1, -67.4, -68.1])
_upper_border = PchipInterpolator(
    [0, 3, 6.2, 12, 18, 23, 26.8], [-60.6, -59.7, -59.2, -60.9, -63.6, -66.5, -68.2]
)
_lower_border = PchipInterpolator([0, 6, 12, 18, 23, 26.8], [-78.6, -78.2, -76.5, -73.2, -70.2, -68.2])
_lid_upper = PchipInterpolator([0, 0.12, 0.3, 0.52, 0.75, 0.92, 1], [0, 2.8, 5.2, 6.0, 5.0, 2.4, 0])
_lid_lower = PchipInterpolator([0, 0.12, 0.3, 0.58, 0.8, 0.93, 1], [0, -0.9, -2.4, -3.7, -3.0, -1.3, 0])


def contact(x: np.ndarray) -> np.ndarray:
    """Height of the line where the lips meet, at |x| mm from the middle."""
    return _contact(np.clip(np.abs(x), 0, 24.5))


def lip_border(x: np.ndarray, upper: bool) -> np.ndarray:
    """Height of the edge of the red of the lips."""
    return (_upper_border if upper else _lower_border)(np.clip(np.abs(x), 0, BORDER_WIDTH))


def lid_edge(s: np.ndarray, upper: bool) -> np.ndarray:
    """Points (N, 2) of the eyelid's edge; s runs 0…1 from the inner to the outer corner."""
    line = CORNER_IN + np.asarray(s)[:, None] * (CORNER_OUT - CORNER_IN)
    return line + np.stack([0 * s, (_lid_upper if upper else _lid_lower)(s)], -1)
