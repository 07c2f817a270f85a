"""FLAME annotation: 413 numbers a frame (300 shape, 100 expression, 3 jaw, 6 rotation, 3 translation, 1 scale).

A head predicts the numbers that move (`active`); the others are constant in a clip and take their resting value.
The published heads predict all of them, as they are (`relative=False`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from unitalker.annotations.base import Annotation, full_precision, index_like
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
    alone. rows: the model's vertices that the loss looks at (the face region); empty means all. relative: codes are
    differences from rest; else they are the numbers themselves. error_metres: metres in the length that vertex errors
    count in: a centimetre here, a metre in the release.
    """

    active: tuple[int, ...] = ()
    model: FlameModel | None = field(default=None, compare=False)
    rows: tuple[int, ...] = ()
    relative: bool = True
    error_metres: float = 0.01

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

    @cached_property
    def _origin(self) -> np.ndarray:
        """(413,) the numbers that codes of zero stand for."""
        return self.resting_values() if self.relative else np.zeros(self.dim, np.float32)

    def rest(self) -> np.ndarray:
        """See Annotation.rest."""
        return (self.resting_values() - self._origin)[self._columns]

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Values (T, 413) → the active numbers (T, head_dim), as differences from rest or as they are."""
        return (self._checked(values, self.dim) - self._origin)[:, self._columns]

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes (T, head_dim) → all 413 numbers; inactive ones at rest, or 0 where codes are the numbers themselves."""
        codes = self._checked(codes, self.head_dim)
        values = np.tile(self._origin, (len(codes), 1))
        values[:, self._columns] += codes
        return values

    def vertices(self, values: np.ndarray, template: np.ndarray | None = None) -> np.ndarray:
        """Values (T, 413) → vertices (T, V, 3) in metres by linear blend skinning; needs the FLAME model."""
        if self.model is None:
            raise AnnotationError(f"The annotation {self.name!r} has no FLAME model; its vertices need one.")
        return self.model.vertices(self._checked(values, self.dim))

    @cached_property
    def _layers(self) -> dict[tuple[bool, torch.device, torch.dtype], FlameLayer]:
        return {}

    def _layer(self, lips: bool, like: torch.Tensor) -> FlameLayer:
        """The skinning layer of the loss's rows, or of the lips, on the device and in the precision of `like`."""
        from unitalker.annotations.flame_layer import FlameLayer

        assert self.model is not None
        key = (lips, like.device, like.dtype)
        if key not in self._layers:
            rows = self.regions["lips"] if lips else np.array(self.rows, int) if self.rows else None
            self._layers[key] = FlameLayer(self.model, rows).to(like.device, like.dtype)
        return self._layers[key]

    def _skinned(self, codes: torch.Tensor, lips: bool = False) -> torch.Tensor:
        """Codes (…, head_dim) → displacements (…, R, 3) in metres from rest of the face or the lips, differentiable."""
        numbers = codes.new_zeros(*codes.shape[:-1], self.dim)
        numbers[..., index_like(self._columns, codes)] = codes
        layer = self._layer(lips, codes)
        with full_precision(codes):
            return layer(numbers) - layer.template

    def with_model(self, model: FlameModel) -> FlameAnnotation:
        """The same numbers over a FLAME model. Raises AnnotationError where rows or regions lie outside its mesh."""
        count = len(model.v_template)
        for name, rows in {"rows": self.rows, **self.regions}.items():
            if len(rows) and not 0 <= np.min(rows) <= np.max(rows) < count:
                raise AnnotationError(
                    f"The card of {self.name!r} tells vertices up to {np.max(rows)} ({name}), the FLAME model has {count}; "
                    "give the model that the card's vertices are counted on."
                )
        return replace(self, model=model)

    @property
    def has_lips(self) -> bool:
        """Whether there is a FLAME model with a region "lips"."""
        return self.model is not None and "lips" in self.regions

    def lips(self, codes: torch.Tensor) -> torch.Tensor:
        """See Annotation.lips; only the lip vertices are skinned."""
        return self._skinned(codes, lips=True) if self.has_lips else super().lips(codes)

    def loss(
        self,
        predicted: torch.Tensor,
        true: torch.Tensor,
        mask: torch.Tensor | None = None,
        residual: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean squared vertex error of the face region (after skinning) over `error_metres`² + λ · mean squared number
        error."""
        if mask is not None:
            predicted = true + (predicted - true) * mask
        numbers = (predicted - true).square().mean(-1)
        if self.model is None:
            return numbers
        gap = (self._skinned(predicted) - self._skinned(true)) / self.error_metres
        return gap.square().mean((-1, -2)) + self.head_weight * numbers

    def card(self) -> dict[str, Any]:
        """See Annotation.card; adds the channel names, the active columns, what codes are relative to, the unit of errors."""
        own = {"names": list(self.names), "active": list(self.active), "relative": self.relative}
        own["error_metres"] = self.error_metres
        return super().card() | own

    def arrays(self) -> dict[str, np.ndarray]:
        """See Annotation.arrays; adds the vertices that the loss looks at."""
        return super().arrays() | ({"rows": np.array(self.rows, np.int32)} if self.rows else {})
