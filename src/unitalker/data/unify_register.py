"""Which place on one face mesh is which vertex of another: non-rigid registration, and correspondences as files.

The target mesh is bent onto the source: a similarity transform by trimmed iterative closest points, then displacements
that pull every vertex to its nearest place on the source of like normal while neighbours move alike (a membrane, ever softer).
Where both meshes say which vertices are lips, lips go to lips. Each bent vertex then gets the triangle that it lies on.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from unitalker.errors import DataError
from unitalker.files import atomic

RIGID_STEPS, KEPT, SAMPLE = 60, 0.6, 4000
STIFFNESS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
STEPS = 4
ROUNDS = 2
"""How often the mesh is bent: what is found tells a better similarity transform to begin again with."""
ALIKE = 0.5
"""Least cosine between the normals of a vertex and its goal."""
NEAR, ROUGHLY = 32, 8
"""Nearest source triangles that are looked at, in the end and while the mesh bends."""


FADE = (0.005, 0.015)
"""Metres from the source at which a target vertex begins to stay, and at which it does not move."""


@dataclass(frozen=True)
class Surface:
    """A face mesh in metres: vertices (V, 3), triangles (F, 3), and the numbers of its lip vertices, perhaps none."""

    vertices: np.ndarray
    faces: np.ndarray
    lips: np.ndarray

    @property
    def size(self) -> float:
        """Diagonal of the box around the mesh."""
        return float(np.linalg.norm(np.ptp(self.vertices, axis=0)))

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """(V, 3) unit normals of the mesh with other vertices; zeros where there is no triangle."""
        a, b, c = (vertices[self.faces[:, k]] for k in range(3))
        total = np.zeros_like(vertices)
        for k in range(3):
            np.add.at(total, self.faces[:, k], np.cross(b - a, c - a))
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)


@dataclass(frozen=True)
class Correspondence:
    """For each target vertex the source triangle that it lies on.

    corners: (V, 3) source vertices. weights: (V, 3), rows summing to 1. turn: (3, 3) what a source displacement is
    multiplied by (rotation and size). away: (V,) metres between a bent target vertex and its place; farther than FADE
    a vertex has nothing on the source that it could follow, and stays.
    """

    corners: np.ndarray
    weights: np.ndarray
    turn: np.ndarray
    away: np.ndarray

    def carry(self, displacements: np.ndarray) -> np.ndarray:
        """Source displacements (T, S, 3) → target displacements (T, V, 3)."""
        out = np.zeros((len(displacements), len(self.corners), 3), np.float32)
        for k in range(3):
            out += displacements[:, self.corners[:, k]] * self.weights[:, k, None].astype(np.float32)
        follows = np.clip((FADE[1] - self.away) / (FADE[1] - FADE[0]), 0, 1).astype(np.float32)
        return out @ self.turn.T.astype(np.float32) * follows[:, None]

    def save(self, path: Path) -> None:
        """Write an npz file, whole or not at all."""
        with atomic(path, DataError) as draft, draft.open("wb") as file:
            np.savez(file, corners=self.corners, weights=self.weights, turn=self.turn, away=self.away)


def read_correspondence(path: Path, source: int, target: int) -> Correspondence:
    """From an npz file: `corners` and `weights` (target, 3), or `index` (target,), and perhaps `turn` (3, 3).

    Raises DataError for numbers that do not fit meshes of so many vertices.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            found = {key: data[key] for key in data.files}
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as fault:
        raise DataError(f"{path} is no npz file of a correspondence: {fault}.") from None
    if "index" in found:
        found["corners"] = np.repeat(found["index"].reshape(-1, 1), 3, axis=1)
        found["weights"] = np.tile([1.0, 0.0, 0.0], (len(found["corners"]), 1))
    corners, weights = found.get("corners", np.zeros(0)), found.get("weights", np.zeros(0))
    turn, away = found.get("turn", np.eye(3)), found.get("away", np.zeros(target))
    fits = corners.shape == weights.shape == (target, 3) and turn.shape == (3, 3) and away.shape == (target,)
    if not fits or corners.min() < 0 or corners.max() >= source or np.abs(weights.sum(1) - 1).max() > 1e-3:
        raise DataError(
            f"{path} should hold corners and weights of shape ({target}, 3): vertex numbers under {source}, and weights "
            f"that sum to 1; or index ({target},)."
        )
    return Correspondence(corners.astype(np.int64), weights, turn, away)


def register(source: Surface, target: Surface) -> Correspondence:
    """The correspondence of two faces in metres that look the same way (+Y up, +Z out of the face)."""
    found = _fitted(source, target, *_similarity(source, target))
    for _ in range(ROUNDS - 1):
        near = found.away < FADE[0]
        places = (source.vertices[found.corners] * found.weights[:, :, None]).sum(1)
        found = _fitted(source, target, *_umeyama(places[near], target.vertices[near]))
    return found


def _fitted(
    source: Surface, target: Surface, size: float, turn: np.ndarray, shift: np.ndarray
) -> Correspondence:
    """The correspondence after bending the target onto the source, which a similarity transform has placed."""
    placed = size * source.vertices @ turn.T + shift
    bent = _bend(target, source, placed)
    corners, weights, away = _on_triangles(bent, placed, source.faces, NEAR)
    return Correspondence(corners, weights, size * turn, away)


def _similarity(source: Surface, target: Surface) -> tuple[float, np.ndarray, np.ndarray]:
    """Size, rotation (3, 3) and shift (3,) of the source onto the target.

    Points of the smaller mesh and their nearest ones on the other, of which the nearest KEPT count.
    """
    from scipy.spatial import KDTree

    small, large = (source, target) if source.size < target.size else (target, source)
    rng = np.random.default_rng(0)
    points = small.vertices[rng.permutation(len(small.vertices))[:SAMPLE]]
    size, turn, shift = 1.0, np.eye(3), _middle(large) - _middle(small)
    tree = KDTree(large.vertices)
    for _ in range(RIGID_STEPS):
        away, nearest = (np.asarray(part) for part in tree.query(size * points @ turn.T + shift))
        kept = np.argsort(away)[: int(KEPT * len(points))]
        size, turn, shift = _umeyama(points[kept], large.vertices[nearest[kept]])
    if small is source:
        return size, turn, shift
    return 1 / size, turn.T, -shift @ turn / size


def _middle(surface: Surface) -> np.ndarray:
    """The middle of the lips, or of the whole mesh."""
    return surface.vertices[surface.lips].mean(0) if len(surface.lips) else surface.vertices.mean(0)


def _umeyama(one: np.ndarray, other: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Size, rotation, shift that bring points (N, 3) nearest to others (Umeyama 1991)."""
    middle, goal = one.mean(0), other.mean(0)
    left, strength, right = np.linalg.svd((other - goal).T @ (one - middle))
    sign = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    turn = (left * sign) @ right
    size = float((strength * sign).sum() / np.square(one - middle).sum())
    return size, turn, goal - size * turn @ middle


def _bend(target: Surface, source: Surface, placed: np.ndarray) -> np.ndarray:
    """(V, 3) target vertices drawn onto the placed source, stiff at first."""
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import splu

    laplacian, normals = _laplacian(target), source.normals(placed)
    bent = target.vertices.copy()
    reach = 0.1 * float(np.ptp(target.vertices, axis=0).max())
    for stiffness in STIFFNESS:
        for _ in range(STEPS):
            goal, fits = _goals(target, source, bent, placed, normals)
            pull = (fits & (np.linalg.norm(goal - bent, axis=1) < reach)).astype(float)
            system = diags_array(pull + 1e-6) + stiffness * laplacian
            wish = pull[:, None] * (goal - target.vertices)
            bent = target.vertices + splu(system.tocsc()).solve(wish)
        reach = max(reach / 2, 0.02 * float(np.ptp(target.vertices, axis=0).max()))
    return bent


def _goals(
    target: Surface, source: Surface, bent: np.ndarray, placed: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) nearest places on the source, for lips the nearest lip vertex, and whether the normals agree."""
    from scipy.spatial import KDTree

    corners, weights, _ = _on_triangles(bent, placed, source.faces, ROUGHLY)
    if len(target.lips) and len(source.lips):
        near = np.asarray(KDTree(placed[source.lips]).query(bent[target.lips])[1])
        corners[target.lips], weights[target.lips] = source.lips[near][:, None], (1, 0, 0)
    goals, towards = ((values[corners] * weights[:, :, None]).sum(1) for values in (placed, normals))
    return goals, (target.normals(bent) * towards).sum(1) > ALIKE


def _laplacian(surface: Surface):
    """(V, V) sparse graph Laplacian of the triangles' edges."""
    from scipy.sparse import coo_array, diags_array

    count = len(surface.vertices)
    edges = np.concatenate([surface.faces[:, [0, 1]], surface.faces[:, [1, 2]], surface.faces[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    both = np.concatenate([edges, edges[:, ::-1]])
    joined = coo_array((np.ones(len(both)), both.T), shape=(count, count)).tocsr()
    return diags_array(joined.sum(axis=1)) - joined


def _on_triangles(
    points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, near: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners (P, 3), weights (P, 3) and distance (P,) of the nearest places on a mesh."""
    from scipy.spatial import KDTree

    middles = vertices[faces].mean(1)
    candidates = np.asarray(KDTree(middles).query(points, k=min(near, len(faces)))[1]).reshape(
        len(points), -1
    )
    best = (np.zeros((len(points), 3), np.int64), np.zeros((len(points), 3)), np.full(len(points), np.inf))
    for column in candidates.T:
        corners = faces[column]
        weights = _place(points, vertices[corners])
        away = np.linalg.norm((vertices[corners] * weights[:, :, None]).sum(1) - points, axis=1)
        nearer = away < best[2]
        for kept, new in zip(best, (corners, weights, away), strict=True):
            kept[nearer] = new[nearer]
    return best


def _place(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(P, 3) weights of the places on triangles (P, 3, 3) below points (P, 3), held within the triangle."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    u, v, w = b - a, c - a, points - a
    uu, uv, vv = (u * u).sum(1), (u * v).sum(1), (v * v).sum(1)
    uw, vw = (u * w).sum(1), (v * w).sum(1)
    area = np.maximum(uu * vv - uv * uv, 1e-30)
    one, two = (vv * uw - uv * vw) / area, (uu * vw - uv * uw) / area
    held = np.clip(np.stack([1 - one - two, one, two], axis=1), 0, None)
    return held / held.sum(axis=1, keepdims=True)
