"""What both ways of making batches share: the sources, the table of identities, and who a row is animated as."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset as TorchDataset

from unitalker.annotations.base import Annotation
from unitalker.config import TrainConfig
from unitalker.training.sources import PackedClip, Source

REST_PIVOT = 0.4
"""Share of resting sounds that are the pivot's."""


class Road(TorchDataset):
    """`self[i]` is batch i of the run, whatever was asked before, in whatever process.

    A step is `accumulate` batches in a row. share: this process's number and how many there are; each makes every
    n-th row of a batch.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        annotations: dict[str, Annotation],
        identities: Sequence[str],
        config: TrainConfig,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.config, self.share = config, share
        self.sources = list(sources)
        self.faces = [s for s in self.sources if not s.rest]
        self.rest = {name: a.rest() for name, a in annotations.items()}
        self.row = {name: i for i, name in enumerate(identities)}
        self.pivot = len(identities)

    def identity(self, clip: PackedClip, face: Source, rest: bool, rng: np.random.Generator) -> int:
        """Row of the identity table for a clip; the pivot by chance, and for who is not in the table."""
        if rng.random() < (REST_PIVOT if rest else self.config.pivot):
            return self.pivot
        name = face.identity(face.clips[rng.integers(len(face.clips))]) if rest else clip.identity
        return self.row.get(name, self.pivot)
