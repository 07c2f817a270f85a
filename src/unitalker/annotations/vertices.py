"""Vertex annotations: displacements of a mesh topology over a neutral template, predicted through a PCA basis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from unitalker.annotations.base import Annotation, Constant, full_precision, index_like
from unitalker.annotations.pca import Basis
from unitalker.errors import AnnotationError

if TYPE_CHECKING:
    import torch

HEAD_WEIGHT = 0.01
"""λ of Eq. 2 for PCA coefficients in the mesh's unit, the release's."""


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

    def with_basis(self, basis: Basis) -> VertexAnnotation:
        """The topology predicted through a PCA basis. Codes are coefficients over its scale, so λ is times scale²."""
        return replace(self, basis=basis, head_weight=HEAD_WEIGHT * basis.scale**2)

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
        self,
        predicted: torch.Tensor,
        true: torch.Tensor,
        mask: torch.Tensor | None = None,
        residual: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Vertex MSE + λ · code MSE per frame, without making vertices. See Annotation.loss.

        True codes c are what `encode` gives, c = (x − mean) Cᵀ / scale; with Δ = predicted − c, G = C Cᵀ and the part
        r of x outside the basis, the squared error over all coordinates is

            |scale Δ C − r|² = scale² (Δ G Δᵀ + 2 Δ (G − I) cᵀ) + |r|²

        which for orthonormal components (G = I) is scale² |Δ|² + |r|². A mean is on both sides and drops out.
        """
        delta = predicted - true
        if mask is not None:
            delta = delta * mask
        gram = None if self.basis is None else self._gram
        size = 1.0 if self.basis is None else self.basis.scale**2
        if gram is None:
            energy = size * delta.square().sum(-1)
        else:
            whole, excess = (part.like(delta) for part in gram)
            with full_precision(delta):
                energy = size * (delta * (delta @ whole + 2 * true @ excess)).sum(-1)
        if residual is not None:
            energy = energy + residual
        return energy / self.dim + self.head_weight * delta.square().mean(-1)

    @cached_property
    def _gram(self) -> tuple[Constant, Constant] | None:
        """G and G − I of a basis that is not orthonormal."""
        gram = None if self.basis is None else self.basis.gram
        return None if gram is None else (Constant(gram), Constant(gram - np.eye(len(gram))))

    @property
    def has_lips(self) -> bool:
        """Whether the topology has a region "lips"."""
        return "lips" in self.regions

    @cached_property
    def _lip_columns(self) -> np.ndarray:
        return (3 * np.asarray(self.regions["lips"], np.int64)[:, None] + np.arange(3)).ravel()

    @cached_property
    def _lips(self) -> tuple[Constant, Constant]:
        """Lip rows of the basis: what one code moves (K, 3L), and the mean (3L,)."""
        assert self.basis is not None
        columns = self._lip_columns
        moved = self.basis.components[:, columns] * self.basis.scale
        return Constant(moved), Constant(self.basis.mean[columns])

    def lips(self, codes: torch.Tensor) -> torch.Tensor:
        """See Annotation.lips; the mean is in it, the template is not."""
        if not self.has_lips:
            return super().lips(codes)
        if self.basis is None:
            return codes[..., index_like(self._lip_columns, codes)].unflatten(-1, (-1, 3))
        shapes, mean = (part.like(codes) for part in self._lips)
        with full_precision(codes):
            return (codes @ shapes + mean).unflatten(-1, (-1, 3))

    def card(self) -> dict[str, Any]:
        """See Annotation.card; adds the vertex count, the metres in a unit and the code scale."""
        extra = {"vertices": self.dim // 3, "metres": self.metres}
        return super().card() | extra | ({} if self.basis is None else {"code_scale": self.basis.scale})

    def arrays(self) -> dict[str, np.ndarray]:
        """See Annotation.arrays; adds the basis and the triangles."""
        out = super().arrays()
        if self.basis is not None:
            parts = {"pca.mean": self.basis.mean, "pca.components": self.basis.components}
            out |= {name: np.asarray(part, np.float32) for name, part in parts.items()}
        return out | ({} if self.faces is None else {"faces": np.asarray(self.faces, np.int32)})
