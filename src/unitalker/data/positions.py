"""Vertices stored as they are, read as displacements: the neutral face is taken away from what is asked for, when it is."""

from __future__ import annotations

from typing import Any

import numpy as np

SUFFIX = ".positions.npy"
"""How the names of motion files end that hold vertices (T, V, 3) and not displacements over the subject's template."""


class Displacements:
    """Vertices (T, 3V), memory-mapped, as displacements (T, 3V) float32 over a flat template (3V,).

    To be read like an array of rows: slices of rows are as lazy as the whole, all else is computed.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, stored: np.ndarray, template: np.ndarray) -> None:
        self._stored, self._template = stored, template.astype(np.float32, copy=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(T, 3V)."""
        rows, width = self._stored.shape
        return rows, width

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return Displacements(self._stored[key], self._template)
        columns = key[1] if isinstance(key, tuple) and len(key) > 1 else slice(None)
        return np.asarray(self._stored[key], np.float32) - self._template[columns]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        moved = np.array(self._stored, np.float32)
        moved -= self._template
        return moved if dtype is None else moved.astype(dtype, copy=False)
