"""Blendshape annotations: weights of named shapes, with an optional basis that turns weight error into vertex error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from unitalker.annotations.base import Annotation, quadratic
from unitalker.errors import AnnotationError

if TYPE_CHECKING:
    import torch

    from unitalker.rig.rig import Rig


@dataclass(frozen=True)
class BlendshapeAnnotation(Annotation):
    """Weights w of shapes B (Eq. 3: vertices = mean + Σ w_k B_k), each usually in [0, 1].

    gram: (D, D) float32, B W Bᵀ / n over the rig that the weights drive, n = number of coordinates and W optional
    vertex weights; so Δ gram Δᵀ is the mean squared vertex error. Zeros where no rig is known.
    bounds: lowest and highest weight that `decode` lets through.
    """

    gram: np.ndarray | None = None
    bounds: tuple[float, float] = (0.0, 1.0)

    kind = "blendshapes"

    def __post_init__(self) -> None:
        if self.gram is not None and self.gram.shape != (self.dim, self.dim):
            raise AnnotationError(
                f"The Gram matrix of {self.name!r} must be {self.dim} x {self.dim}, not {self.gram.shape}."
            )

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes are the weights; they are clipped to `bounds`."""
        return np.clip(self._checked(codes, self.dim), *self.bounds)

    @cached_property
    def _gram(self) -> torch.Tensor:
        import torch

        gram = np.zeros((self.dim, self.dim), np.float32) if self.gram is None else self.gram
        return torch.as_tensor(gram, dtype=torch.float32)

    def loss(
        self, predicted: torch.Tensor, true: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Δ gram Δᵀ + λ · mean Δ², Δ masked."""
        delta = predicted - true
        if mask is not None:
            delta = delta * mask
        return quadratic(delta, self._gram.to(delta)) + self.head_weight * delta.square().mean(-1)

    def card(self) -> dict[str, Any]:
        """See Annotation.card; adds the channel names and bounds."""
        return super().card() | {"names": list(self.names), "bounds": list(self.bounds)}

    def arrays(self) -> dict[str, np.ndarray]:
        """See Annotation.arrays; adds `gram`."""
        return super().arrays() | ({} if self.gram is None else {"gram": np.asarray(self.gram, np.float32)})


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
