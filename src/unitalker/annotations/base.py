"""Annotation: the only place that knows what the numbers of one frame mean.

Three kinds: blendshape weights of a rig, vertices of a mesh topology (predicted through a PCA basis) and
FLAME parameters. A head predicts `codes` (…, head_dim); `decode` turns codes into the annotation's `values`
(…, dim), `encode` goes back, `vertices` gives the mesh where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from unitalker.errors import AnnotationError, unknown
from unitalker.motion import Motion

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Annotation:
    """A convention for the numbers of one frame.

    name: how heads, files and the CLI call it.
    fps: frames a second that its motion has by default.
    unit: what one value is ("weight", "m", "mm", "u", "flame").
    names: channel names, one a value.
    axes: the space of vertices, "+X left, +Y up, +Z front" unless said otherwise.
    regions: name → vertex indices.
    templates: identity → (V, 3) neutral vertices in `unit`, or of numbers without a mesh (dim,) what is added to every
    frame; the first is the default.
    head_weight: λ of the paper's Eq. 2, the weight of the error in head space beside the vertex error.
    gap: (head_dim,) centimetres between the lips per unit of each code, for training's closure term; None where no
    rig tells it. Not part of the card.
    """

    name: str
    fps: float
    unit: str
    names: tuple[str, ...]
    axes: str = "+X left, +Y up, +Z front"
    regions: Mapping[str, np.ndarray] = field(default_factory=dict)
    templates: Mapping[str, np.ndarray] = field(default_factory=dict)
    head_weight: float = 1e-4
    gap: np.ndarray | None = field(default=None, compare=False, repr=False)

    kind = "none"

    @property
    def dim(self) -> int:
        """Values per frame."""
        return len(self.names)

    @property
    def head_dim(self) -> int:
        """Numbers per frame that a head predicts."""
        return self.dim

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Values (T, dim) → codes (T, head_dim) float32."""
        return self._checked(values, self.dim)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes (T, head_dim) → values (T, dim) float32."""
        return self._checked(codes, self.head_dim)

    def vertices(self, values: np.ndarray, template: np.ndarray | None = None) -> np.ndarray:
        """Values (T, dim) → vertices (T, V, 3) in metres or the annotation's unit; error where there is no mesh."""
        raise AnnotationError(
            f"The annotation {self.name!r} has no mesh of its own; give a rig to pose instead."
        )

    def loss(
        self,
        predicted: torch.Tensor,
        true: torch.Tensor,
        mask: torch.Tensor | None = None,
        residual: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Eq. 2 per frame: vertex MSE + λ · head MSE for codes (…, head_dim); returns (…).

        mask: (head_dim,) or broadcastable zeros for channels whose truth is unknown. residual: (…) energy of the true
        frames outside the annotation's basis, the sum of squares over all coordinates in unit². It does not depend on
        the prediction: with it the vertex MSE is exact, without it exact up to that constant. Kinds whose codes are
        the whole frame (weights, FLAME numbers) have nothing outside and do not look at it.
        """
        raise NotImplementedError

    @property
    def has_lips(self) -> bool:
        """Whether `lips` can be asked for."""
        return False

    def lips(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (…, head_dim) → displacements (…, L, 3) of the lip vertices from the resting (template) face.

        What lip vertex errors need, without the other vertices; equal to the lip rows of what `decode` gives. In the
        annotation's unit, in metres for weights and FLAME. Raises AnnotationError where no lips are known.
        """
        raise AnnotationError(
            f"The annotation {self.name!r} knows no lips: its card needs the region 'lips' (vertices, FLAME with its "
            "model) or lip shapes (weights)."
        )

    def rest(self) -> np.ndarray:
        """Codes (head_dim,) of the resting face."""
        return self.encode(np.zeros((1, self.dim), np.float32))[0]

    def template(self, name: str | None = None) -> np.ndarray | None:
        """Neutral vertices by identity name (default: the first); None where the annotation has none."""
        if not self.templates:
            return None
        if name is None:
            return next(iter(self.templates.values()))
        if name not in self.templates:
            raise AnnotationError(unknown(f"template of {self.name!r}", name, self.templates))
        return self.templates[name]

    def added(self, name: str | None = None) -> np.ndarray | None:
        """(dim,) numbers that go onto every decoded frame of an identity, of the first where it has none of its own; None
        for meshes, whose motion is told beside the neutral face."""
        found = self.template(name if name in self.templates else None)
        return found if found is not None and found.ndim == 1 else None

    def motion(self, values: np.ndarray, fps: float, **facts: Any) -> Motion:
        """Wrap values (T, dim) as a Motion of this annotation. `facts`: identity, provenance, template."""
        return Motion(values=values, names=self.names, fps=fps, annotation=self.name, unit=self.unit, **facts)

    def card(self) -> dict[str, Any]:
        """The JSON half of the annotation's card."""
        return {
            "name": self.name,
            "kind": self.kind,
            "fps": self.fps,
            "unit": self.unit,
            "axes": self.axes,
            "head_weight": self.head_weight,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The npz half of the card: regions and templates (kinds add their own)."""
        out = {f"region.{k}": np.asarray(v, np.int32) for k, v in self.regions.items()}
        out |= {f"template.{k}": np.asarray(v, np.float32) for k, v in self.templates.items()}
        return out

    def _checked(self, values: np.ndarray, width: int) -> np.ndarray:
        values = np.asarray(values, np.float32)
        if values.ndim != 2 or values.shape[1] != width:
            raise AnnotationError(
                f"The annotation {self.name!r} takes frames of {width} numbers, not an array of shape {values.shape}."
            )
        return values


def quadratic(delta: torch.Tensor, gram: torch.Tensor) -> torch.Tensor:
    """Δ G Δᵀ along the last axis: the squared vertex error of a code error Δ (…, K) under the Gram matrix G (K, K)."""
    with full_precision(delta):
        return ((delta @ gram) * delta).sum(-1)


def full_precision(tensor: torch.Tensor) -> AbstractContextManager[object]:
    """Autocast off where `tensor` lives: vertex errors are small differences, which 16 bits do not hold."""
    import torch

    return torch.autocast(tensor.device.type, enabled=False)


def index_like(columns: np.ndarray, tensor: torch.Tensor) -> torch.Tensor:
    """Column numbers as an index on the device of `tensor`."""
    import torch

    return torch.as_tensor(columns, device=tensor.device)


class Constant:
    """An array that losses read, as a tensor: made once for each device and precision it is asked for."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = np.ascontiguousarray(array)
        self._made: dict[tuple[torch.device, torch.dtype], torch.Tensor] = {}

    def like(self, tensor: torch.Tensor) -> torch.Tensor:
        """The array on the device and in the precision of `tensor`."""
        import torch

        key = (tensor.device, tensor.dtype)
        if key not in self._made:
            self._made[key] = torch.as_tensor(self._array, dtype=tensor.dtype, device=tensor.device)
        return self._made[key]
