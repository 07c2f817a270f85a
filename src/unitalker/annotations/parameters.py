"""FLAME annotation: 413 numbers a frame (300 shape, 100 expression, 3 jaw, 6 rotation, 3 translation, 1 scale).

A head predicts the numbers that move (`active`); the others are constant in a clip and take their resting value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from unitalker.annotations.base import Annotation

if TYPE_CHECKING:
    import torch

    from unitalker.annotations.flame import FlameModel

REST_ROTATION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""No rotation: the first two columns of the identity matrix."""


@dataclass(frozen=True)
class FlameAnnotation(Annotation):
    """FLAME parameters. active: indices of the numbers that a head predicts; empty means all of them.

    model: needed for vertices and for the vertex part of the loss; without it the loss is over the numbers alone.
    """

    active: tuple[int, ...] = ()
    model: FlameModel | None = field(default=None, compare=False)

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
        values[403:409] = REST_ROTATION
        values[412] = 1.0
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

    def loss(self, predicted: torch.Tensor, true: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Mean squared error of the numbers (and of the face's vertices once a FLAME model is given)."""
        delta = predicted - true if mask is None else (predicted - true) * mask
        return delta.square().mean(-1)

    def card(self) -> dict[str, Any]:
        """See Annotation.card; adds the channel names and the active columns."""
        return super().card() | {"names": list(self.names), "active": list(self.active)}
