"""Blendshape annotations: weights of named shapes, with an optional basis that turns weight error into vertex error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from unitalker.annotations.base import Annotation, Constant, full_precision, quadratic
from unitalker.errors import AnnotationError

if TYPE_CHECKING:
    import torch

    from unitalker.rig.rig import Rig


@dataclass(frozen=True)
class BlendshapeAnnotation(Annotation):
    """Weights w of shapes B (Eq. 3: vertices = mean + Σ w_k B_k), each usually in [0, 1].

    gram: (D, D) float32, B W Bᵀ / n over the rig that the weights drive, n = number of coordinates and W optional
    vertex weights; so Δ gram Δᵀ is the mean squared vertex error. Zeros where no rig is known.
    bounds: lowest and highest weight that `decode` lets through; None: as predicted.
    lip_shapes: (D, L, 3) metres that each weight at 1 moves the lip vertices of that rig; None where no rig is known.
    """

    gram: np.ndarray | None = None
    bounds: tuple[float, float] | None = (0.0, 1.0)
    lip_shapes: np.ndarray | None = None

    kind = "blendshapes"

    def __post_init__(self) -> None:
        if self.gram is not None and self.gram.shape != (self.dim, self.dim):
            raise AnnotationError(
                f"The Gram matrix of {self.name!r} must be {self.dim} x {self.dim}, not {self.gram.shape}."
            )
        if self.lip_shapes is not None and (
            self.lip_shapes.ndim != 3 or self.lip_shapes.shape[::2] != (self.dim, 3)
        ):
            raise AnnotationError(
                f"The lip shapes of {self.name!r} must be {self.dim} x vertices x 3, not {self.lip_shapes.shape}."
            )

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes are the weights; they are clipped to `bounds`."""
        codes = self._checked(codes, self.dim)
        return codes if self.bounds is None else np.clip(codes, *self.bounds)

    @cached_property
    def _gram(self) -> Constant:
        return Constant(np.zeros((self.dim, self.dim)) if self.gram is None else self.gram)

    def loss(
        self,
        predicted: torch.Tensor,
        true: torch.Tensor,
        mask: torch.Tensor | None = None,
        residual: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Δ gram Δᵀ + λ · mean Δ², Δ masked."""
        delta = predicted - true
        if mask is not None:
            delta = delta * mask
        return quadratic(delta, self._gram.like(delta)) + self.head_weight * delta.square().mean(-1)

    @property
    def has_lips(self) -> bool:
        """Whether the lip shapes of a rig are known."""
        return self.lip_shapes is not None

    @cached_property
    def _lips(self) -> Constant:
        assert self.lip_shapes is not None
        return Constant(self.lip_shapes.reshape(self.dim, -1))

    def lips(self, codes: torch.Tensor) -> torch.Tensor:
        """See Annotation.lips; the weights are clipped as in `decode`."""
        if not self.has_lips:
            return super().lips(codes)
        weights = codes if self.bounds is None else codes.clamp(*self.bounds)
        with full_precision(codes):
            return (weights @ self._lips.like(codes)).unflatten(-1, (-1, 3))

    def card(self) -> dict[str, Any]:
        """See Annotation.card; adds the channel names and bounds (null: none)."""
        bounds = None if self.bounds is None else list(self.bounds)
        return super().card() | {"names": list(self.names), "bounds": bounds}

    def arrays(self) -> dict[str, np.ndarray]:
        """See Annotation.arrays; adds `gram` and `lip_shapes`."""
        own = {"gram": self.gram, "lip_shapes": self.lip_shapes}
        return super().arrays() | {k: np.asarray(v, np.float32) for k, v in own.items() if v is not None}


def rig_gram(rig: Rig, names: tuple[str, ...], lip_weight: float = 1.0, unit: float = 1.0) -> np.ndarray:
    """(D, D) Gram matrix of the rig's shapes in the order of `names` (absent ones are zero rows), per coordinate.

    lip_weight: factor on the squared error of the lip vertices. unit: metres in one unit of length.
    """
    count = len(rig.vertices)
    weight = np.ones(count, np.float32)
    lips = rig.regions.get("lips")
    if lips is not None:
        weight[np.asarray(lips)] = lip_weight
    column = {n: i for i, n in enumerate(rig.shape_names)}
    basis = np.zeros((len(names), count, 3), np.float32)
    for row, name in enumerate(names):
        if name in column:
            basis[row] = rig.shapes[column[name]] / unit
    weighted = (basis * weight[:, None]).reshape(len(names), -1).astype(np.float64)
    return (weighted @ basis.reshape(len(names), -1).T.astype(np.float64) / (3 * weight.sum())).astype(
        np.float32
    )
