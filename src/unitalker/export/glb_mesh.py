"""Moving meshes as morph targets: the motion's own principal directions, so that glTF can carry it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from unitalker.export.base import at_rest
from unitalker.motion import Motion
from unitalker.rig.rig import Rig

ROWS = 800
"""Frames, spread over the motion, that the directions are taken from."""

TARGETS = 96
"""Most morph targets that are written; a head that predicts through a PCA basis needs one more than its size."""

CLOSE = 1e-5
"""Root mean square distance, in metres, that may stay unexplained by the directions."""


def morphs(motion: Motion, rig: Rig) -> tuple[Rig, np.ndarray, float]:
    """A vertex motion as shapes and weights (T, K) of a rig, and the error that is left (RMS, metres).

    rig: gives triangles and materials; it must have the motion's vertices. The shapes are the leading left
    singular directions of the displacements (uncentred), each scaled so that its weights stay within [-1, 1].
    Raises ExportError for another number of vertices.
    """
    rest, scale = at_rest(motion, rig)
    count = len(rest)
    directions = _directions(motion.values[:: -(-len(motion) // ROWS)] * scale, count)
    weights, left = _project(motion.values, scale, directions)
    size = np.maximum(np.abs(weights).max(axis=0), 1e-12)
    shapes = (directions * size[:, None]).reshape(-1, count, 3).astype(np.float32)
    names = tuple(f"motion{k}" for k in range(len(shapes)))
    posed = replace(
        rig, vertices=rest, shape_names=names, shapes=shapes, identity_names=(), identity_shapes=None
    )
    return posed, weights / size, left


def _directions(rows: np.ndarray, count: int) -> np.ndarray:
    """(K, 3V) orthonormal directions, the strongest first, by the Gram matrix of the rows (N, 3V)."""
    gram = rows.astype(np.float64) @ rows.T.astype(np.float64)
    power, vectors = np.linalg.eigh(gram)
    power, vectors = np.maximum(power[::-1], 0), vectors[:, ::-1]
    unexplained = power.sum() - np.cumsum(power)
    keep = int(np.argmax(unexplained <= CLOSE**2 * count * len(rows) / 4)) + 1
    keep = max(1, min(keep, TARGETS, int((power > power[0] * 1e-10).sum())))
    raw = (vectors[:, :keep].T @ rows) / np.sqrt(np.maximum(power[:keep, None], 1e-30))
    return np.linalg.qr(raw.T)[0].T


def _project(values: np.ndarray, scale: np.float32, directions: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights (T, K) of the directions, and the root mean square distance per vertex that they leave."""
    weights = np.empty((len(values), len(directions)))
    left = 0.0
    for start in range(0, len(values), ROWS):
        block = values[start : start + ROWS] * scale
        weights[start : start + ROWS] = block @ directions.T
        rest = block - weights[start : start + ROWS] @ directions
        left += float(np.square(rest).sum())
    return weights, float(np.sqrt(left / max(1, len(values) * values.shape[1] / 3)))
