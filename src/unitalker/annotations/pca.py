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
SPANS = 5
"""Spans that a fit looks at: of random mixtures, and of the powers after it."""
CLEAN, ROUNDS = 1e-6, 5
"""Largest dot product of rows of two spans, and how often it is tried for."""

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
    tolerance: float = 1e-9,
    seed: int = 0,
) -> Basis:
    """PCA of the rows of `blocks` (each (n, D)), in a few passes and in memory that the frames do not add to.

    A randomised range finder (Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 53, 2011,
    Sections 4.5 and 5) that keeps the spans of all its power iterations (randomised block Krylov: Musco and Musco,
    NeurIPS 2015). For rows X that are never together, about the mean:

        Q1 = orthonormal rows of G X, G random normal, (w, n)                   one pass
        Zi = Qi XᵀX;  Qi+1 = orthonormal rows of Zi less its part in Q1 … Qi    one pass each
        Q = all SPANS of them;  V = eigenvectors of T = Q XᵀX Qᵀ;  components = Vᵀ Q

    T is known from the Zi but for one block on its diagonal, for which there is a last pass: as in Lanczos's method only
    neighbouring spans meet in it.

    Q has almost twice as many rows as are asked for. The span of the last power alone, as wide, would cost more for the
    same energy where the spectrum is flat, as that of noise is. Where Q reaches as many rows as there are frames or
    coordinates, the result is the full SVD's. The rows of Q are orthonormal also where the motion has fewer directions.
    Memory: a block, Q, the components and four arrays (w, D) of float32.

    blocks: gone through `passes` times: a list, or an object whose iteration starts anew; a generator is kept whole.
    centre: "mean" subtracts the mean frame (Eq. 1 of the paper); "rest" subtracts nothing, so that displacement zero
    has code zero and a resting face stays exactly at rest.
    tolerance: components with at most this share of the energy are dropped; float32 tells nothing below 1e-9.
    Raises AnnotationError for motion that is empty, everywhere at rest, or not finite.
    """
    blocks = list(blocks) if isinstance(blocks, Iterator) else blocks
    rng = np.random.default_rng(seed)
    sketch, mean, frames = _sketch(blocks, size, centre, rng)
    span, within = _spans(blocks, mean, sketch, _shape(size, len(mean))[1], rng)
    energy, turn = np.linalg.eigh(within, UPLO="U")
    energy, turn = energy[::-1], turn[:, ::-1]
    keep = (energy > tolerance * energy.clip(0).sum()) & (np.arange(len(energy)) < size)
    if not keep.any():
        raise AnnotationError("A PCA basis needs motion, but every frame given is at rest.")
    components = turn[:, keep].T.astype(np.float32) @ span
    return Basis(mean, components, float(np.sqrt(energy[keep].sum() / frames / keep.sum())))


def passes(size: int, dim: int) -> int:
    """How often `fit_basis` reads motion of `dim` coordinates for `size` components."""
    return 1 + _shape(size, dim)[1]


def _shape(size: int, dim: int) -> tuple[int, int]:
    """Rows of one span, and the number of spans; where they would fill the space, the space itself."""
    width = size // 3 + 30
    return (width, SPANS) if width * SPANS < dim else (dim, 1)


def _sketch(
    blocks: Iterable[np.ndarray], size: int, centre: Centre, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, int]:
    """Random mixtures (w, D) of the frames about the mean, this mean (D,) or zeros, the number of frames."""
    mixed, total, drawn, frames = np.zeros((0, 0), np.float32), np.zeros(0), np.zeros(0), 0
    for block in blocks:
        block = np.asarray(block, np.float32)
        if not frames:
            width, dim = _shape(size, block.shape[1])[0], block.shape[1]
            mixed, total, drawn = np.zeros((width, dim), np.float32), np.zeros(dim), np.zeros(width)
        weights = rng.standard_normal((len(mixed), len(block)), np.float32)
        mixed += weights @ block
        total += np.ones(len(block), np.float32) @ block
        drawn += weights.sum(1, dtype=np.float64)
        frames += len(block)
    if not frames:
        raise AnnotationError("A PCA basis needs at least one frame of motion; none was given.")
    if not np.isfinite(mixed).all():
        raise AnnotationError("A PCA basis needs finite numbers, but the motion holds NaN or infinity.")
    mean = (total / frames * (centre == "mean")).astype(np.float32)
    return mixed - np.outer(drawn.astype(np.float32), mean), mean, frames


def _spans(
    blocks: Iterable[np.ndarray], mean: np.ndarray, sketch: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Q (count · w, D) from the sketch (w, D), and the upper half of Q XᵀX Qᵀ."""
    width = len(sketch)
    span = np.zeros((width * count, len(mean)), np.float32)
    within = np.zeros((len(span), len(span)))
    span[:width] = _directions(sketch)[0]
    for stop in range(width, len(span), width):
        last, after = slice(stop - width, stop), slice(stop, stop + width)
        image, within[last, last] = _image(blocks, mean, span[last])
        span[after] = _beyond(span[:stop], image, rng)
        within[last, after] = image @ span[after].T
    within[-width:, -width:] = _energies(blocks, mean, span[-width:])
    return span, within


def _image(blocks: Iterable[np.ndarray], mean: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q XᵀX (w, D) and Q XᵀX Qᵀ (w, w) for rows Q (w, D), X the frames about the mean."""
    image, offset, total = np.zeros_like(rows), rows @ mean, np.zeros(len(rows))
    within = np.zeros((len(rows), len(rows)))
    for block in blocks:
        block = np.asarray(block, np.float32)
        codes = block @ rows.T - offset
        image += codes.T @ block
        total += codes.sum(0, dtype=np.float64)
        within += _gram(codes)
    return image - np.outer(total.astype(np.float32), mean), within


def _energies(blocks: Iterable[np.ndarray], mean: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The second of `_image` alone."""
    offset, within = rows @ mean, np.zeros((len(rows), len(rows)))
    for block in blocks:
        within += _gram(np.asarray(block, np.float32) @ rows.T - offset)
    return within


def _gram(codes: np.ndarray) -> np.ndarray:
    wide = codes.astype(np.float64)
    return wide.T @ wide


def _beyond(span: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Orthonormal rows of what `rows` (w, D) add to the orthonormal `span`; random ones where that is only rounding.

    Rows that hardly leave the span need their part in it taken away more than once.
    """
    rounding = np.finfo(np.float32).eps * np.linalg.norm(rows)
    found, size = _directions(rows - (rows @ span.T) @ span)
    empty = size <= rounding
    found[empty] = rng.standard_normal((empty.sum(), found.shape[1]), np.float32) / np.sqrt(found.shape[1])
    for _ in range(ROUNDS):
        part = found @ span.T
        if np.abs(part).max() < CLEAN:
            break
        found = _directions(found - part @ span)[0]
    return found


def _directions(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal directions (w, D) of `rows`, w at most D, orthonormal, and their sizes, largest first.

    In that order the energies of small directions do not drown in the rounding of large ones. Overwrites `rows`.
    """
    from scipy.linalg import qr

    factor, small, *_ = map(np.asarray, qr(rows.T, overwrite_a=True, mode="economic", check_finite=False))
    turn, size, _ = np.linalg.svd(small)
    return turn.T @ factor.T, size
