"""Rig: a mesh with named blendshapes, its regions, landmarks and materials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from unitalker.errors import RigError, unknown
from unitalker.motion import by_name


@dataclass(frozen=True)
class Material:
    """A run of triangles `faces[start:stop]` with one look. colour: linear RGB in [0, 1]; roughness in [0, 1]."""

    name: str
    colour: tuple[float, float, float]
    start: int
    stop: int
    roughness: float = 0.6


@dataclass(frozen=True)
class Rig:
    """A head that blendshape weights can drive.

    Space: right-handed, metres, +Y up, +Z out of the face, +X to the character's left (glTF's axes).
    vertices: (V, 3) float32 neutral. faces: (F, 3) int32, counter-clockwise from outside.
    shape_names / shapes: K names and (K, V, 3) float32 displacements at weight 1.
    identity_names / identity_shapes: the same for face forms (may be empty).
    regions: name → vertex indices ("lips", "mouth", "upper_face", "skin", "eyes", "teeth", "tongue", …).
    landmarks: name → vertex index ("upper_lip_inner", "lower_lip_inner", "mouth_corner_left", …).
    materials: in face order, together covering every triangle.
    colours: (V, 3) optional vertex tints that multiply the material's colour.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    shape_names: tuple[str, ...]
    shapes: np.ndarray
    regions: Mapping[str, np.ndarray] = field(default_factory=dict)
    landmarks: Mapping[str, int] = field(default_factory=dict)
    materials: tuple[Material, ...] = ()
    identity_names: tuple[str, ...] = ()
    identity_shapes: np.ndarray | None = None
    colours: np.ndarray | None = None
    licence: str = ""

    def __post_init__(self) -> None:
        count = len(self.vertices)
        if self.vertices.shape != (count, 3) or count == 0:
            raise RigError(f"Rig {self.name!r} needs (V, 3) vertices, not {self.vertices.shape}.")
        if self.shapes.shape != (len(self.shape_names), count, 3):
            raise RigError(
                f"Rig {self.name!r} names {len(self.shape_names)} shapes over {count} vertices, "
                f"but its shapes are {self.shapes.shape}."
            )
        if self.faces.size and (self.faces.min() < 0 or self.faces.max() >= count):
            raise RigError(f"Rig {self.name!r} has triangles that point outside its {count} vertices.")

    def weights(self, values: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """(T, D) named weights → (T, K) in this rig's shape order; names it lacks are left out, absent ones are 0."""
        return by_name(values, names, self.shape_names)

    def pose(self, weights: np.ndarray) -> np.ndarray:
        """Vertices (T, V, 3) for weights (T, K) in `shape_names` order, or (V, 3) for (K,)."""
        flat = self.shapes.reshape(len(self.shape_names), -1)
        moved = np.asarray(weights, np.float32) @ flat
        return self.vertices + moved.reshape(*np.shape(weights)[:-1], -1, 3)

    def shape(self, name: str) -> np.ndarray:
        """(V, 3) displacement of one shape. Raises RigError for an unknown name."""
        if name not in self.shape_names:
            raise RigError(unknown("shape", name, self.shape_names))
        return self.shapes[self.shape_names.index(name)]
