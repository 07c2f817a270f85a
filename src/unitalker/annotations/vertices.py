"""Vertex annotations: displacements of a mesh topology over a neutral template, predicted through a PCA basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.annotations.pca import Basis
from unitalker.errors import AnnotationError

if TYPE_CHECKING:
    import torch


def vertex_names(count: int) -> tuple[str, ...]:
    """Channel names of `count` vertices: v0.x, v0.y, v0.z, v1.x, …"""
    return tuple(f"v{i}.{axis}" for i in range(count) for axis in "xyz")


@dataclass(frozen=True)
class VertexAnnotation(Annotation):
    """Displacements (T, 3·V) over a template; codes are PCA coefficients of `basis`.

    faces: (F, 3) triangles of the topology. metres: metres in one `unit`.
    """

    basis: Basis | None = None
    faces: np.ndarray | None = None
    metres: float = 1.0

    kind = "vertices"

    def __post_init__(self) -> None:
        if self.dim % 3:
            raise AnnotationError(
                f"The vertex annotation {self.name!r} has {self.dim} channels: not a multiple of 3."
            )
        if self.basis is not None and self.basis.mean.shape[0] != self.dim:
            raise AnnotationError(
                f"The PCA basis of {self.name!r} is over {self.basis.mean.shape[0]} numbers, "
                f"the annotation has {self.dim}."
            )

    @property
    def head_dim(self) -> int:
        """Number of principal components, or every coordinate for a head without PCA ("vanilla")."""
        return self.dim if self.basis is None else self.basis.size

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Displacements (T, 3V) → coefficients (T, K)."""
        values = self._checked(values, self.dim)
        return values if self.basis is None else self.basis.encode(values)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Coefficients (T, K) → displacements (T, 3V)."""
        codes = self._checked(codes, self.head_dim)
        return codes if self.basis is None else self.basis.decode(codes)

    def vertices(self, values: np.ndarray, template: np.ndarray | None = None) -> np.ndarray:
        """Displacements (T, 3V) + template (V, 3) (default: the first) → (T, V, 3) in `unit`."""
        base = self.template() if template is None else template
        if base is None:
            raise AnnotationError(
                f"The annotation {self.name!r} has no template; give one of {self.dim // 3} vertices."
            )
        return base + self._checked(values, self.dim).reshape(len(values), -1, 3)

    def loss(
        self, predicted: torch.Tensor, true: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Vertex MSE + λ · code MSE per frame, without making vertices: with orthonormal components and one mean on
        both sides, the squared vertex error is scale² · |Δ|² plus the true frame's energy outside the basis, a
        constant."""
        square = (predicted - true).square()
        size = 1.0 if self.basis is None else self.basis.scale**2
        return square.sum(-1) * (size / self.dim) + self.head_weight * square.mean(-1)

    def card(self) -> dict[str, Any]:
        """See Annotation.card; adds the vertex count, the metres in a unit and the code scale."""
        extra = {"vertices": self.dim // 3, "metres": self.metres}
        return super().card() | extra | ({} if self.basis is None else {"code_scale": self.basis.scale})

    def arrays(self) -> dict[str, np.ndarray]:
        """See Annotation.arrays; adds the basis and the triangles."""
        out = super().arrays()
        if self.basis is not None:
            out |= {"pca.mean": self.basis.mean.astype(np.float32), "pca.components": self.basis.components}
        return out | ({} if self.faces is None else {"faces": np.asarray(self.faces, np.int32)})
