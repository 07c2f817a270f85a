"""Small tools for triangle meshes: parts with tags, mirroring, joining, grids and soft spreading."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Part:
    """A piece of the head. tags: name → (V,) numbers; faces carry the name of their material each."""

    vertices: np.ndarray
    faces: np.ndarray
    material: np.ndarray
    tags: dict[str, np.ndarray] = field(default_factory=dict)
    tint: np.ndarray | None = None

    def colours(self) -> np.ndarray:
        """(V, 3) tints, white where none is set."""
        return np.ones_like(self.vertices) if self.tint is None else self.tint


def mirrored(part: Part, tolerance: float = 1e-6) -> Part:
    """The part with its mirror image at x → -x; vertices on the middle plane are shared."""
    middle = np.abs(part.vertices[:, 0]) < tolerance
    count = len(part.vertices)
    twin = np.arange(count)
    twin[~middle] = count + np.arange(int((~middle).sum()))
    flipped = part.vertices[~middle] * np.array([-1.0, 1.0, 1.0])
    return Part(
        np.concatenate([part.vertices, flipped]),
        np.concatenate([part.faces, twin[part.faces][:, [0, 2, 1]]]),
        np.concatenate([part.material, part.material]),
        {k: np.concatenate([v, v[~middle]]) for k, v in part.tags.items()},
        None if part.tint is None else np.concatenate([part.tint, part.tint[~middle]]),
    )


def joined(parts: list[Part]) -> Part:
    """One part of several, unconnected; a tag that a part lacks is -1 there."""
    start = np.cumsum([0] + [len(p.vertices) for p in parts])
    keys = sorted({k for p in parts for k in p.tags})
    tags = {k: np.concatenate([p.tags.get(k, np.full(len(p.vertices), -1)) for p in parts]) for k in keys}
    return Part(
        np.concatenate([p.vertices for p in parts]),
        np.concatenate([p.faces + s for p, s in zip(parts, start, strict=False)]),
        np.concatenate([p.material for p in parts]),
        tags,
        np.concatenate([p.colours() for p in parts]),
    )


def grid_faces(rows: int, columns: int, wrap: bool = False) -> np.ndarray:
    """Triangles of a rows × columns grid of vertices in row order; `wrap` joins the last column to the first."""
    index = np.arange(rows * columns).reshape(rows, columns)
    if wrap:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, 1:].ravel(), index[1:, :-1].ravel()
    return np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])


def fan(centre: int, ring: np.ndarray) -> np.ndarray:
    """Triangles from one vertex to a closed ring."""
    return np.stack([np.full(len(ring), centre), ring, np.roll(ring, -1)], -1)


def normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit vertex normals (V, 3), weighted by area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    out = np.zeros_like(vertices, dtype=float)
    for k in range(3):
        np.add.at(out, faces[:, k], cross)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def mirror_twins(vertices: np.ndarray, group: np.ndarray) -> np.ndarray:
    """For each vertex the one at its mirror place (itself on the middle plane), looked for in the same group."""
    from scipy.spatial import KDTree

    out = np.empty(len(vertices), int)
    for g in np.unique(group):
        here = np.nonzero(group == g)[0]
        _, near = KDTree(vertices[here]).query(vertices[here] * np.array([-1.0, 1.0, 1.0]))
        out[here] = here[near]
    return out
