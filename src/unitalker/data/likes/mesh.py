"""Meshes of any number of vertices that move like a face: vertices of the built-in head, taken again and again."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from unitalker.data.likes.talk import NAMES
from unitalker.rig import builtin_head


class Face:
    """A made-up person of `count` vertices. size: the longest side of the face in the corpus's unit."""

    def __init__(self, count: int, size: float, rng: np.random.Generator) -> None:
        rig = builtin_head()
        skin = np.sort(np.asarray(rig.regions["face"]))
        self.rows = skin[np.arange(count) % len(skin)]
        span = np.ptp(rig.vertices[skin], axis=0).max()
        self.factor = size / span * (1 + 0.05 * rng.standard_normal(3))
        base = rig.vertices[self.rows] + 1e-4 * rng.standard_normal((count, 3))
        self.template = ((base - base.mean(0)) * self.factor).astype(np.float32)

    @cached_property
    def _shapes(self) -> np.ndarray:
        """(52, V, 3) what each weight moves."""
        rig = builtin_head()
        order = [rig.shape_names.index(name) for name in NAMES]
        return (rig.shapes[order][:, self.rows] * self.factor).astype(np.float32)

    def vertices(self, weights: np.ndarray) -> np.ndarray:
        """(T, 3V) positions for weights (T, 52)."""
        used = np.flatnonzero(weights.any(0))
        return self.template.reshape(-1) + weights[:, used] @ self._shapes[used].reshape(len(used), -1)

    def nearest(self, region: str, count: int) -> np.ndarray:
        """The `count` vertices that are nearest to the middle of a region of the head, ascending."""
        rig = builtin_head()
        middle = rig.vertices[np.asarray(rig.regions[region])].mean(0)
        away = np.linalg.norm(rig.vertices[self.rows] - middle, axis=1)
        return np.sort(np.argsort(away, kind="stable")[:count])
