"""PCA basis of vertex motion: Eq. 1 of the paper, vertices = codes @ components + mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from unitalker.errors import AnnotationError

ORTHONORMAL = 1e-5
"""Largest error of C Cᵀ − I that still counts as orthonormal."""
OVERSAMPLING = 64
"""Directions that a fit looks at beyond those asked for."""
PASSES = 3
"""How often a fit with one power iteration goes through the motion."""

Centre = Literal["mean", "rest"]
"""What a basis is about: the mean frame (Eq. 1 of the paper), or rest, displacement zero."""


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


def fit_basis(
    blocks: Iterable[np.ndarray],
    size: int,
    *,
    centre: Centre = "rest",
    tolerance: float = 1e-12,
    powers: int = 1,
    seed: int = 0,
) -> Basis:
    """PCA of the rows of `blocks` (each (n, D)), read `powers` + 2 times, in memory that the frames do not add to.

    A randomised range finder with power iterations and a small eigenproblem (Halko, Martinsson and Tropp, "Finding
    structure with randomness", SIAM Review 53, 2011, Algorithms 4.4 and 5.3), for rows X that are never together:

        1. sketch   Y = G X, G (l, n) of random normal numbers, l = size + OVERSAMPLING
        2. power    Q = orthonormal rows of Y; Y = Q XᵀX − s Q; `powers` times
        3. turn     Q = orthonormal rows of Y; V = eigenvectors of Q XᵀX Qᵀ; components = Vᵀ Q

    Each line is one pass. The shift s, half the smallest eigenvalue of Q XᵀX Qᵀ, leaves the directions as they are and
    tells those apart whose energies are close (Feng, Yu and Xie, "dashSVD", ACM TOMS 50, 2024). Q comes from
    Householder's QR: components are orthonormal also where the motion has fewer directions than asked for. Where
    frames or coordinates number at most l, the result is the full SVD's. Memory: two blocks and four arrays (l, D) of
    float32.

    blocks: gone through several times: a list, or an object whose iteration starts anew; a generator is kept whole.
    centre: "mean" subtracts the mean frame (Eq. 1 of the paper); "rest" subtracts nothing, so that displacement zero
    has code zero and a resting face stays exactly at rest.
    tolerance: components with at most this share of the energy are dropped; float32 tells nothing below 1e-12.
    Raises AnnotationError for motion that is empty, everywhere at rest, or not finite.
    """
    blocks = list(blocks) if isinstance(blocks, Iterator) else blocks
    sketch, mean, frames = _sketch(blocks, size + OVERSAMPLING, seed)
    if centre == "rest":
        mean = np.zeros_like(mean)
    span = _orthonormal(sketch)
    for _ in range(powers):
        span = _orthonormal(_power(blocks, mean, span))
    energy, turn = _turn(blocks, mean, span)
    keep = (energy > tolerance * energy.sum()) & (np.arange(len(energy)) < size)
    if not keep.any():
        raise AnnotationError("A PCA basis needs motion, but every frame given is at rest.")
    components = turn[:, keep].T.astype(np.float32) @ span
    return Basis(mean, components, float(np.sqrt(energy[keep].sum() / frames / keep.sum())))


def _sketch(blocks: Iterable[np.ndarray], size: int, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Random mixtures (l, D) of the frames, l at most `size` and D; the mean frame (D,); the number of frames."""
    rng = np.random.default_rng(seed)
    mixed, total, frames = np.zeros((0, 0), np.float32), np.zeros(0), 0
    for block in blocks:
        block = np.asarray(block, np.float32)
        if not frames:
            count = min(size, block.shape[1])
            mixed, total = np.zeros((count, block.shape[1]), np.float32), np.zeros(block.shape[1])
        weights = rng.standard_normal((len(block), len(mixed)), np.float32)
        mixed += weights.T @ block
        total += block.sum(0, dtype=np.float64)
        frames += len(block)
    if not frames:
        raise AnnotationError("A PCA basis needs at least one frame of motion; none was given.")
    if not np.isfinite(mixed).all():
        raise AnnotationError("A PCA basis needs finite numbers, but the motion holds NaN or infinity.")
    return mixed, (total / frames).astype(np.float32), frames


def _power(blocks: Iterable[np.ndarray], mean: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Q XᵀX − s Q for orthonormal rows Q (l, D), X about the mean."""
    image = np.zeros_like(span)
    for block in _about(blocks, mean):
        image += (block @ span.T).T @ block
    within = (span @ image.T).astype(np.float64)
    shift = max(0.0, float(np.linalg.eigvalsh((within + within.T) / 2)[0]) / 2)
    image -= np.float32(shift) * span
    return image


def _turn(blocks: Iterable[np.ndarray], mean: np.ndarray, span: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies (l,) of X about the mean along its principal directions within the span, largest first, and these
    directions as columns (l, l)."""
    gram = np.zeros((len(span), len(span)))
    for block in _about(blocks, mean):
        codes = (block @ span.T).astype(np.float64)
        gram += codes.T @ codes
    energy, vectors = np.linalg.eigh(gram)
    return energy[::-1], vectors[:, ::-1]


def _about(blocks: Iterable[np.ndarray], mean: np.ndarray) -> Iterator[np.ndarray]:
    """The blocks as float32, less the mean."""
    still = not mean.any()
    for block in blocks:
        yield np.asarray(block, np.float32) if still else np.subtract(block, mean, dtype=np.float32)


def _orthonormal(rows: np.ndarray) -> np.ndarray:
    """Orthonormal rows of the same span (l, D), l at most D. Overwrites `rows`."""
    from scipy.linalg import qr

    factor = qr(rows.T, overwrite_a=True, mode="economic", check_finite=False)[0]
    return np.asarray(factor).T
