"""How good a model is on the validation clips while it trains: lip vertex error, without ever making a mesh."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from unitalker.annotations.base import Annotation
from unitalker.config import TrainConfig
from unitalker.errors import ConfigError
from unitalker.training.batches import Group
from unitalker.training.clips import Clips
from unitalker.training.distributed import Processes
from unitalker.training.loading import load
from unitalker.training.losses import Objective
from unitalker.training.optimisation import Precision
from unitalker.training.sources import Source

SCORE = "val.score"
"""Mean over datasets of their error relative to a resting face's: 1 is a face that never moves, 0 the truth."""
SECONDS = 120.0
"""Sound in a batch of validation, padding with it."""


def errors(annotation: Annotation, codes: torch.Tensor, group: Group) -> torch.Tensor:
    """(b, F) error of codes (b, F, K): the largest squared distance of a lip vertex (what LVE averages), in unit².

    Where an annotation knows no lips, its loss.
    """
    if not annotation.has_lips:
        return annotation.loss(codes, group.codes, group.mask)
    if group.mask is not None:
        codes = group.codes + (codes - group.codes) * group.mask
    gap = annotation.lips(codes) - annotation.lips(group.codes)
    return gap.square().sum(-1).amax(-1)


@dataclass
class Best:
    """The best score so far, and how many validations came after it."""

    score: float = math.inf
    waited: int = 0

    def take(self, score: float) -> bool:
        """Note a score; whether it is the best."""
        better = score < self.score
        self.score, self.waited = (score, 0) if better else (self.score, self.waited + 1)
        return better


class Validation:
    """The validation clips of a run's datasets, each once, under its subject's identity (the pivot's where it never
    trained).

    Raises ConfigError where no dataset has any.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        annotations: Mapping[str, Annotation],
        identities: Sequence[str],
        config: TrainConfig,
        processes: Processes,
    ) -> None:
        self.sources = [replace(s, repeat=1.0) for s in sources if not s.rest]
        if not self.sources:
            raise ConfigError(
                "No dataset has clips for validation (split 'val'); set validate_steps, validate_epochs and patience to null."
            )
        changes = {"pivot": 0.0, "accumulate": 1, "balance": "repeat", "batch_seconds": SECONDS, "seed": 0}
        share = (processes.rank, processes.count)
        self.clips = Clips(
            self.sources, dict(annotations), identities, config.model_copy(update=changes), share
        )
        self.processes, self.annotations = processes, annotations

    def measure(self, objective: Objective, precision: Precision, workers: int = 0) -> dict[str, float]:
        """Figures of the model that the objective holds: val.<dataset>.lve in unit² (.loss without lips), val.score.

        LVE as in the paper: the mean over all frames of a dataset's clips.
        """
        sums = torch.zeros(len(self.sources), 3, dtype=torch.float64, device=precision.device)
        objective.eval()
        with torch.no_grad():
            for batch in load(self.clips, range(self.clips.steps_of(1)), workers):
                if not batch.idle:
                    moved = batch.to(precision.device)
                    with precision.autocast():
                        codes = objective.codes(objective.features(moved), moved)
                    for group, predicted in zip(moved.groups, codes, strict=True):
                        self._add(sums, group, predicted.float())
        return self._figures(self.processes.sum(sums))

    def _add(self, sums: torch.Tensor, group: Group, predicted: torch.Tensor) -> None:
        """Add the rows of a group to the sums of their datasets: error, a resting face's error, frames."""
        annotation = self.annotations[group.annotation]
        rest = torch.as_tensor(annotation.rest(), device=predicted.device).expand_as(group.codes)
        parts = (
            errors(annotation, predicted, group),
            errors(annotation, rest, group),
            torch.ones_like(group.valid),
        )
        rows = torch.stack([(part * group.valid).sum(1) for part in parts], 1)
        sums.index_add_(0, group.source, rows.double())

    def _figures(self, sums: torch.Tensor) -> dict[str, float]:
        figures, relative = {}, []
        for source, (error, rest, frames) in zip(self.sources, sums.tolist(), strict=True):
            assert source.annotation is not None
            kind = "lve" if source.annotation.has_lips else "loss"
            figures[f"val.{source.dataset.name}.{kind}"] = error / max(frames, 1.0)
            relative.append(error / max(rest, 1e-30))
        return figures | {SCORE: sum(relative) / len(relative)}
