"""Meshes of any number of vertices that move like a face: the built-in head's skin, and smaller copies of it within.

Left and right of such a face mirror each other, as those of the head do; triangles join the outermost skin.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from unitalker.data.likes.talk import NAMES
from unitalker.rig import builtin_head

SHELL = 0.997
"""Size of each copy of the skin beside the one around it."""


class Face:
    """A made-up person of `count` vertices. size: the longest side of the face in the corpus's unit."""

    def __init__(self, count: int, size: float, rng: np.random.Generator) -> None:
        rig = builtin_head()
        self.skin = skin = np.sort(np.asarray(rig.regions["face"]))
        part = _both_sides(rig.vertices[skin], count % len(skin))
        self.rows = np.concatenate([np.tile(skin, count // len(skin)), skin[part]])
        span = np.ptp(rig.vertices[skin], axis=0).max()
        self.factor = size / span * (1 + 0.05 * rng.standard_normal(3))
        middle = (rig.vertices[skin].min(0) + rig.vertices[skin].max(0)) / 2
        shells = SHELL ** (np.arange(count) // len(skin))
        self.template = ((rig.vertices[self.rows] - middle) * shells[:, None] * self.factor).astype(
            np.float32
        )

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

    def write_ply(self, path: Path) -> None:
        """The neutral face and the triangles of its outermost skin as a PLY file."""
        faces = np.asarray(builtin_head().faces)
        faces = np.searchsorted(self.skin, faces[np.isin(faces, self.skin).all(1)])
        rows = np.empty(len(faces), [("count", "u1"), ("corners", "<i4", (3,))])
        rows["count"], rows["corners"] = 3, faces
        places = "".join(f"property float {axis}\n" for axis in "xyz")
        head = f"element vertex {len(self.template)}\n{places}element face {len(faces)}\n"
        head = f"ply\nformat binary_little_endian 1.0\n{head}property list uchar int vertex_indices\nend_header\n"
        path.write_bytes(head.encode("ascii") + self.template.astype("<f4").tobytes() + rows.tobytes())

    def write_regions(self, folder: Path, lips: int, upper_face: int) -> None:
        """CodeTalker's lists of so many vertices around the mouth and the brows: lve.txt and fdd.txt."""
        folder.mkdir(exist_ok=True)
        for file, region, count in (("lve", "lips", lips), ("fdd", "brows", upper_face)):
            (folder / f"{file}.txt").write_text(", ".join(map(str, self.nearest(region, count))))

    def nearest(self, region: str, count: int) -> np.ndarray:
        """The `count` vertices that are nearest to the middle of a region of the head, ascending."""
        rig = builtin_head()
        middle = rig.vertices[np.asarray(rig.regions[region])].mean(0)
        away = np.linalg.norm(rig.vertices[self.rows] - middle, axis=1)
        return np.sort(np.argsort(away, kind="stable")[:count])


def _both_sides(vertices: np.ndarray, count: int) -> np.ndarray:
    """Numbers of `count` of the vertices (V, 3) of a face that mirrors itself, always both of a pair."""
    x, y, z = vertices.T
    order = np.lexsort((z, y, np.abs(x)))
    middle, left, right = (order[side[order]] for side in (x == 0, x > 0, x < 0))
    alone = min(count, len(middle))
    alone -= (count - alone) % 2
    return np.concatenate([middle[:alone], np.column_stack([left, right]).ravel()[: count - alone]])
