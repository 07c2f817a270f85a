"""PCA basis of vertex motion: Eq. 1 of the paper, vertices = codes @ components + mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from unitalker.errors import AnnotationError

ORTHONORMAL = 1e-5
"""Largest error of C Cᵀ − I that still counts as orthonormal."""


@dataclass(frozen=True)
class Basis:
    """mean (D,), components (K, D); codes are divided by `scale` so that they have unit-size spread.

    scale: one number, the root mean square of all codes: it keeps the metric (no whitening per component) and
    only sets the size of the numbers that a head predicts. Components of other makers need not be orthonormal; codes
    are dot products with them all the same, as in the paper's release.
    """

    mean: np.ndarray
    components: np.ndarray
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.components.ndim != 2 or self.components.shape[1] != self.mean.shape[0]:
            raise AnnotationError(
                f"A PCA basis needs components (K, D) over a mean (D,), not {self.components.shape} "
                f"over {self.mean.shape}."
            )

    @property
    def size(self) -> int:
        """Number of components K."""
        return self.components.shape[0]

    @cached_property
    def gram(self) -> np.ndarray | None:
        """(K, K) float64 dot products of the components; None where they are orthonormal. Computed once."""
        gram = np.zeros((self.size, self.size))
        for start in range(0, self.components.shape[1], 4096):
            part = self.components[:, start : start + 4096].astype(np.float64)
            gram += part @ part.T
        return None if np.abs(gram - np.eye(self.size)).max(initial=0.0) <= ORTHONORMAL else gram

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Displacements (T, D) → codes (T, K)."""
        return (values - self.mean) @ self.components.T / self.scale

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes (T, K) → displacements (T, D)."""
        return (codes * self.scale) @ self.components + self.mean


def fit_basis(blocks: Iterable[np.ndarray], size: int, tolerance: float = 1e-7) -> Basis:
    """PCA of the rows of `blocks` (each (n, D)) by the exact Gram matrix of a running orthonormal factor.

    Every block is folded into a factor of at most 4·size rows (merge and truncate SVD, Ross et al. 2008), so memory
    is bounded whatever the number of frames. Components with less than `tolerance` of the energy are dropped.
    The mean is zero: displacement zero is the resting face, and a basis without offset keeps rest exactly at rest.
    """
    factor: np.ndarray | None = None
    rows = 0
    for block in blocks:
        block = np.asarray(block, np.float32)
        rows += len(block)
        stack = block if factor is None else np.concatenate([factor, block])
        factor = _truncate(stack, 4 * size)
    if factor is None or rows == 0:
        raise AnnotationError("A PCA basis needs at least one frame of motion; none was given.")
    turned, energy = _principal(factor)
    keep = (energy > tolerance * energy.sum()) & (np.arange(len(energy)) < size)
    if not keep.any():
        raise AnnotationError("A PCA basis needs motion, but every frame given is at rest.")
    components = turned[keep] / np.sqrt(energy[keep, None])
    scale = float(np.sqrt(energy[keep].sum() / rows / keep.sum()))
    return Basis(np.zeros(factor.shape[1], np.float32), components.astype(np.float32), scale)


def _truncate(rows: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` rows with (nearly) the same energy in every direction as `rows`."""
    return rows if len(rows) <= limit else _principal(rows)[0][:limit].astype(np.float32)


def _principal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, D) turned so that they are orthogonal, most energy first, and the energies (n,)."""
    wide = rows.astype(np.float64)
    energy, vectors = np.linalg.eigh(wide @ wide.T)
    return vectors[:, ::-1].T @ wide, np.maximum(energy[::-1], 0.0)
