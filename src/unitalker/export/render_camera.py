"""The camera of the renderer: where the head stands on the picture, worked out once from the neutral face."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from unitalker.errors import ExportError, unknown
from unitalker.rig.rig import Rig

VIEWS: dict[str, float] = {"front": 0.0, "three_quarter": 35.0, "side": 90.0}
"""Name → degrees that the camera walks from straight ahead towards the character's left."""

_FIELD_DEGREES = 20.0
_MARGIN = 0.06


@dataclass(frozen=True)
class Camera:
    """A pin-hole camera that looks at `centre` from `distance` metres.

    turn: (3, 3) float32, world axes to view axes (x right, y up, z to the viewer). focal: pixels.
    """

    turn: np.ndarray
    centre: np.ndarray
    distance: float
    focal: float
    middle: float

    def turned(self, vectors: np.ndarray) -> np.ndarray:
        """(V, 3) in world axes → (3, V) in view axes. Plain sums: BLAS threads cost more than these do."""
        x, y, z = np.ascontiguousarray(vectors.T)
        return np.stack([a * x + b * y + c * z for a, b, c in self.turn])

    def project(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertices (V, 3) in metres → x, y in pixels (y down) and nearness (1 / m), each (V,) float32."""
        seen = self.turned(vertices - self.centre)
        near = 1.0 / np.maximum(self.distance - seen[2], 1e-3 * self.distance)
        scale = self.focal * near
        return self.middle + scale * seen[0], self.middle - scale * seen[1], near


def frame_head(rig: Rig, size: int, view: str) -> Camera:
    """The camera that fits the rig's neutral and open-mouthed head into size × size pixels.

    Raises ExportError for a view that is not in VIEWS.
    """
    if view not in VIEWS:
        raise ExportError(unknown("view", view, VIEWS))
    angle = math.radians(VIEWS[view])
    turn = np.array(
        [[math.cos(angle), 0, -math.sin(angle)], [0, 1, 0], [math.sin(angle), 0, math.cos(angle)]], np.float32
    )
    points = _extent(rig)
    centre = (points.min(0) + points.max(0)) / 2
    distance = float(np.ptp(points, axis=0).max()) / 2 / math.tan(math.radians(_FIELD_DEGREES / 2))
    rough = Camera(turn, centre, distance, 1.0, 0.0)
    x, y, near = rough.project(points)
    return _centred(rough, x, y, near, size)


def _extent(rig: Rig) -> np.ndarray:
    """Points of the neutral face and, where the rig can open its jaw, of the open mouth."""
    neutral = np.asarray(rig.vertices, np.float32)
    if "jawOpen" not in rig.shape_names:
        return neutral
    return np.concatenate([neutral, neutral + rig.shape("jawOpen")])


def _centred(rough: Camera, x: np.ndarray, y: np.ndarray, near: np.ndarray, size: int) -> Camera:
    """The rough camera moved sideways and zoomed so that the points fill the picture but for the margin."""
    middle_x, middle_y = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
    depth = 1.0 / float(near.mean())
    shift = np.array([middle_x * depth, -middle_y * depth, 0.0], np.float32)
    moved = Camera(rough.turn, rough.centre + rough.turn.T @ shift, rough.distance, 1.0, 0.0)
    points_x, points_y = x - middle_x, y - middle_y
    widest = 2 * max(float(np.abs(points_x).max()), float(np.abs(points_y).max()))
    return Camera(moved.turn, moved.centre, moved.distance, size * (1 - 2 * _MARGIN) / widest, size / 2)
