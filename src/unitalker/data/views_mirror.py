"""Which vertex of a face is which one's mirror image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unitalker.errors import DataError

TOLERANCE = 0.01
"""A mirror image may be so far from its vertex's partner, in shares of the face's size."""
MOST = 2048
"""Vertices at most that are paired off one by one, which takes time by their square."""
MAP = "a file with the number of each vertex's partner, from 0"
TIE = 0.01
"""What the neighbours' places count beside a vertex's own."""


def symmetric_map(vertices: np.ndarray, faces: np.ndarray | None = None) -> np.ndarray:
    """(V,) int: for each vertex (V, 3) the one in its place after left and right (x) change sides.

    Partners are the nearest vertices of the face reflected at the middle of its width; where several lie in one place
    the triangles' neighbours (F, 3) tell them apart. The map is its own inverse. Raises DataError where it is not: a
    face that is not symmetric, or a pose that is turned.
    """
    from scipy.spatial import KDTree

    size = float(np.ptp(vertices, axis=0).max())
    middle = (vertices[:, 0].min() + vertices[:, 0].max()) / 2
    centred = np.asarray(vertices, np.float64) - [middle, 0, 0]
    about = np.concatenate([centred, TIE * _neighbours(centred, faces)], axis=1)
    reflected = about * ([-1, 1, 1] * (about.shape[1] // 3))
    partner = np.asarray(KDTree(about).query(reflected)[1])
    _check_away(about[partner] - reflected, TOLERANCE * size)
    clashing = int((partner[partner] != np.arange(len(partner))).sum())
    if clashing > MOST:
        raise DataError(
            f"{clashing} of {len(vertices)} vertices have no partner of their own on the other side of the face; give "
            f"--mirror-map, {MAP}."
        )
    _pair(partner, np.flatnonzero(partner[partner] != np.arange(len(partner))), about, reflected)
    _check_away(about[partner] - reflected, TOLERANCE * size)
    return partner


def _check_away(away: np.ndarray, limit: float) -> None:
    """Raises DataError for vertices, the first three numbers of a row, whose partner's place is farther away."""
    far = np.abs(away[:, :3]).max(axis=1) > limit
    if far.any():
        raise DataError(
            f"{int(far.sum())} of {len(far)} vertices have no partner on the other side of the face; give --mirror-map, "
            f"{MAP}."
        )


def _pair(partner: np.ndarray, open_: np.ndarray, about: np.ndarray, reflected: np.ndarray) -> None:
    """Pair those vertices off, each with the nearest one that is still free, in `partner` itself."""
    free = list(open_)
    while free:
        one = free[0]
        other = free[int(np.argmin(np.square(about[free] - reflected[one]).sum(axis=1)))]
        partner[one], partner[other] = other, one
        free = [i for i in free if i not in (one, other)]


def _neighbours(vertices: np.ndarray, faces: np.ndarray | None) -> np.ndarray:
    """(V, 3) mean of the vertices that share a triangle with each one, or (V, 0) without triangles."""
    if faces is None or not len(faces):
        return np.zeros((len(vertices), 0))
    total, count = np.zeros_like(vertices), np.zeros(len(vertices))
    for turn in range(3):
        corner, others = faces[:, turn], faces[:, [turn - 1, turn - 2]]
        np.add.at(total, corner, vertices[others].sum(1))
        np.add.at(count, corner, 2)
    count = count[:, None]
    return np.where(count > 0, total / np.maximum(count, 1), vertices)


def read_map(path: Path, count: int) -> np.ndarray:
    """A map from a file: .npy (V,) or text, for each vertex its partner's number from 0 on.

    Raises DataError for one that is not its own inverse over `count` vertices.
    """
    try:
        if path.suffix == ".npy":
            found = np.load(path, allow_pickle=False).astype(np.int64)
        else:
            found = np.array(path.read_text(encoding="utf-8").replace(",", " ").split(), np.int64)
    except (OSError, ValueError, EOFError) as fault:
        raise DataError(f"{path} is no list of vertex numbers: {fault}.") from None
    inside = found.shape == (count,) and bool(((found >= 0) & (found < count)).all())
    if not inside or (found[found] != np.arange(count)).any():
        raise DataError(
            f"{path} should hold {count} vertex numbers from 0 on, each the other's partner (a middle one its own)."
        )
    return found
