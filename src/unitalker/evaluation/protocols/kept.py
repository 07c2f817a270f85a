"""What pictures need beside figures: the face that was measured, and the mouth's opening of every sequence on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile

import numpy as np

from unitalker.data.dataset import Clip, Dataset
from unitalker.evaluation.faces import Face
from unitalker.evaluation.metrics.streams import ClipMeter, Regions

IN_MEMORY = 8_000_000
"""Bytes of curves beyond which they lie in a temporary file."""


class Store:
    """Float32 arrays by name, in memory while they are small, then in a temporary file."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        self._places: dict[str, tuple[int, tuple[int, ...]]] = {}

    def __setitem__(self, name: str, values: np.ndarray) -> None:
        self._places[name] = self._file.seek(0, 2), values.shape
        self._file.write(np.ascontiguousarray(values, np.float32).tobytes())

    def __getitem__(self, name: str) -> np.ndarray:
        start, shape = self._places[name]
        self._file.seek(start)
        return np.frombuffer(self._file.read(4 * int(np.prod(shape))), np.float32).reshape(shape)

    def __contains__(self, name: str) -> bool:
        return name in self._places


@dataclass
class Kept:
    """The dataset, how its frames are measured, the clips measured by id, and their openings (1 + styles, T), the truth
    first, in the face's unit, where there is an opening."""

    dataset: Dataset
    face: Face
    regions: Regions
    clips: dict[str, Clip] = field(default_factory=dict)
    openings: Store = field(default_factory=Store)

    def add(self, clip: Clip, meter: ClipMeter) -> None:
        """Take a clip that was measured."""
        self.clips[clip.id] = clip
        sides = (meter.truth, *meter.predictions)
        if all(side.gaps for side in sides):
            self.openings[clip.id] = np.stack([side.gap for side in sides])
