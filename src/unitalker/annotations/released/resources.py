"""The release's `resources` folder: triangles, lip vertices and the rigs that its weights drive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unitalker.annotations.released.files import read_array, read_arrays, read_triangles
from unitalker.annotations.released.sets import ReleasedAnnotation
from unitalker.errors import ModelError

MESHES, ARRAYS = "obj_template", "binary_resources"
FLAME_VERTICES = 5023


@dataclass(frozen=True)
class Resources:
    """The unpacked resources.zip. Files that are not in it are done without. Raises ModelError for another folder."""

    root: Path

    def __post_init__(self) -> None:
        if not (self.root / ARRAYS).is_dir() and not (self.root / MESHES).is_dir():
            raise ModelError(
                f"{self.root} is not the release's resources folder: it has neither {ARRAYS} nor {MESHES}."
            )

    def faces(self, known: ReleasedAnnotation) -> np.ndarray | None:
        """(F, 3) triangles of a vertex annotation's mesh."""
        path = self.root / MESHES / f"{known.name}.obj"
        return read_triangles(path, known.dim // 3) if path.is_file() else None

    def lips(self, known: ReleasedAnnotation, vertices: int) -> np.ndarray | None:
        """(L,) ascending lip vertices of a mesh of so many vertices."""
        return self._indices(known.lips, vertices)

    def rows(self, known: ReleasedAnnotation, vertices: int) -> np.ndarray | None:
        """(R,) ascending vertices that the release's loss looks at, of a mesh of so many vertices."""
        return self._indices(known.rows, vertices)

    def _indices(self, file: str, vertices: int) -> np.ndarray | None:
        path = self.root / ARRAYS / file
        if not file or not path.is_file():
            return None
        numbers = read_array(path).ravel()
        rows = np.unique(numbers.astype(np.int64))
        if not len(rows) or (numbers % 1).any() or rows[0] < 0 or rows[-1] >= vertices:
            raise ModelError(f"{path} does not hold indices of a mesh of {vertices} vertices.")
        return rows

    def shapes(self, known: ReleasedAnnotation) -> np.ndarray | None:
        """(D, V, 3) what each weight at 1 adds to the vertices of the annotation's rig."""
        path = self.root / ARRAYS / known.rig
        if not known.rig or not path.is_file():
            return None
        (shapes,) = read_arrays(path, ("blendshape",))
        if len(shapes) != known.dim or shapes.size % (3 * known.dim):
            raise ModelError(
                f"{path} holds shapes {shapes.shape}; {known.dim} of three numbers a vertex were due."
            )
        return shapes.reshape(known.dim, -1, 3)
