"""FLAME annotation: 413 numbers a frame (300 shape, 100 expression, 3 jaw, 6 rotation, 3 translation, 1 scale).

A head predicts the numbers that move (`active`); the others are constant in a clip and take their resting value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.annotations.flame import REST_ROTATION, ROTATION, SCALE
from unitalker.errors import AnnotationError

if TYPE_CHECKING:
    import torch

    from unitalker.annotations.flame import FlameModel
    from unitalker.annotations.flame_layer import FlameLayer


@dataclass(frozen=True)
class FlameAnnotation(Annotation):
    """FLAME parameters. active: indices of the numbers that a head predicts; empty means all of them.

    model: the FLAME model for vertices and for the vertex part of the loss; without it the loss is over the numbers
    alone. rows: the model's vertices that the loss looks at (the face region); empty means all.
    """

    active: tuple[int, ...] = ()
    model: FlameModel | None = field(default=None, compare=False)
    rows: tuple[int, ...] = ()

    kind = "flame"

    @property
    def head_dim(self) -> int:
        """How many numbers move."""
        return len(self.active) or self.dim

    @cached_property
    def _columns(self) -> np.ndarray:
        return np.array(self.active or range(self.dim), int)

    def resting_values(self) -> np.ndarray:
        """The 413 numbers of the mean face at rest: zeros, no rotation, scale 1."""
        values = np.zeros(self.dim, np.float32)
        values[ROTATION] = REST_ROTATION
        values[SCALE] = 1.0
        return values

    def rest(self) -> np.ndarray:
        """See Annotation.rest."""
        return np.zeros(self.head_dim, np.float32)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Values (T, 413) → difference from rest of the active numbers (T, head_dim)."""
        return (self._checked(values, self.dim) - self.resting_values())[:, self._columns]

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes (T, head_dim) → all 413 numbers, inactive ones at rest."""
        codes = self._checked(codes, self.head_dim)
        values = np.tile(self.resting_values(), (len(codes), 1))
        values[:, self._columns] += codes
        return values

    def vertices(self, values: np.ndarray, template: np.ndarray | None = None) -> np.ndarray:
        """Values (T, 413) → vertices (T, V, 3) in metres by linear blend skinning; needs the FLAME model."""
        if self.model is None:
            raise AnnotationError(f"The annotation {self.name!r} has no FLAME model; its vertices need one.")
        return self.model.vertices(self._checked(values, self.dim))

    @cached_property
    def _layer(self) -> FlameLayer:
        from unitalker.annotations.flame_layer import FlameLayer

        assert self.model is not None
        return FlameLayer(self.model, np.array(self.rows, int) if self.rows else None)

    def _skinned(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (…, head_dim) → face vertices (…, R, 3) in centimetres, differentiable."""
        numbers = codes.new_zeros(*codes.shape[:-1], self.dim)
        numbers[..., torch_index(self._columns, codes)] = codes
        return 100 * self._layer(numbers)

    def loss(
        self, predicted: torch.Tensor, true: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Mean squared vertex error of the face region in cm² (after skinning) + λ · mean squared number error."""
        if mask is not None:
            predicted = true + (predicted - true) * mask
        numbers = (predicted - true).square().mean(-1)
        if self.model is None:
            return numbers
        gap = self._skinned(predicted) - self._skinned(true)
        return gap.square().mean((-1, -2)) + self.head_weight * numbers

    def card(self) -> dict[str, Any]:
        """See Annotation.card; adds the channel names and the active columns."""
        return super().card() | {"names": list(self.names), "active": list(self.active)}


def torch_index(columns: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """Column numbers as an index tensor on the device of `like`."""
    import torch

    return torch.as_tensor(columns, device=like.device)
