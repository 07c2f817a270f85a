"""What training minimises: Eq. 2 of the paper for every row, and the auxiliary terms that need a rig or phone times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from unitalker.annotations.base import Annotation
from unitalker.config.train import LossSettings
from unitalker.models.frontend import mel_filters
from unitalker.models.mini import MiniEncoder
from unitalker.models.unitalker import UniTalker
from unitalker.training.batches import WARPS, Batch, Group

Figures = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""Name of a loss → the sum over rows and their number, both without gradient."""


class Objective(nn.Module):
    """The model with its loss: a batch in, the loss of its rows out.

    Every row (a clip or crop) counts alike, as the mean over its own frames. The loss is the sum over the batch's rows
    divided by `batch.whole`, so a step's loss does not depend on how its rows are spread over batches and processes.
    """

    def __init__(
        self, model: UniTalker, phones: int, annotations: Mapping[str, Annotation], config: LossSettings
    ) -> None:
        super().__init__()
        self.model, self.annotations, self.config = model, dict(annotations), config
        self.phone_head = nn.Linear(model.encoder.size, max(phones, 1))
        self.phone_head.requires_grad_(config.phone_weight > 0)
        if isinstance(model.encoder, MiniEncoder):
            mels = model.encoder.config.mels
            warped = torch.stack([torch.as_tensor(mel_filters(mels, warp=w)) for w in WARPS])
            self.register_buffer("warped", warped, persistent=False)

    def names(self) -> list[str]:
        """Names of all losses that `forward` may tell."""
        closure = [f"{n}.closure" for n, a in self.annotations.items() if a.gap is not None]
        phones = ["phones"] if self.config.phone_weight else []
        return [*self.annotations, *(closure if self.config.closure_weight else []), *phones]

    def forward(self, batch: Batch) -> tuple[torch.Tensor, Figures]:
        """Loss (a number) of a batch, and the sums of its parts for the log."""
        features = self.features(batch)
        codes = self.codes(features, batch)
        figures: Figures = {}
        with torch.autocast(features.device.type, enabled=False):
            total = torch.zeros((), device=features.device)
            for group, predicted in zip(batch.groups, codes, strict=True):
                total = total + self._group_loss(group, predicted.float(), figures)
        if self.config.phone_weight:
            total = total + self.config.phone_weight * self._phone_loss(features, batch.phones, figures)
        return total * (0.0 if batch.idle else 1 / batch.whole), {} if batch.idle else figures

    def features(self, batch: Batch) -> torch.Tensor:
        """Encoder features (B, T50, F), each row through its own vocal-tract warp where the encoder knows one."""
        encoder = self.model.encoder
        if isinstance(encoder, MiniEncoder) and batch.warp is not None:
            place = torch.arange(encoder.config.mels, device=batch.hole.device) / encoder.config.mels
            heard = (place < batch.hole[:, :1]) | (place >= batch.hole[:, 1:])
            assert isinstance(self.warped, torch.Tensor)
            filters = self.warped[batch.warp] * heard[:, None, :]
            return encoder(batch.samples, batch.lengths, filters=filters)
        return self.model.features(batch.samples, batch.frames, batch.lengths)

    def codes(self, features: torch.Tensor, batch: Batch) -> list[torch.Tensor]:
        """Codes (b, F, K) of every group, the decoder run once for all rows where heads share its states."""
        before = self.model.config.adaptor == "before_transformer"
        counts = batch.frames if before else self.model.encoder.counts(batch.lengths)
        identity = self.model.embed(batch.identity)
        if self.model.config.decoder.kind == "autoregressive":
            return [self._fed_back(g, features, identity, batch, counts) for g in batch.groups]
        hidden = self.model.hidden(features, identity, batch.fps, batch.frames, counts=counts)
        return [self.model.heads[g.annotation](hidden[g.rows, : g.codes.shape[1]]) for g in batch.groups]

    def _fed_back(
        self, group: Group, features: torch.Tensor, identity: torch.Tensor, batch: Batch, counts: torch.Tensor
    ) -> torch.Tensor:
        """Codes (b, F, K) of one group by a decoder that reads a head's own motion back."""
        name, rows, own = group.annotation, group.rows, group.rows.cpu()
        place = {"fps": batch.fps[own], "frames": batch.frames[own], "counts": counts[own]}
        true = {name: group.codes}
        return self.model.codes(features[rows], identity[rows], names=[name], true=true, **place)[name]

    def _group_loss(self, group: Group, codes: torch.Tensor, figures: Figures) -> torch.Tensor:
        annotation = self.annotations[group.annotation]
        error = annotation.loss(codes, group.codes, group.mask, group.residual)
        rows = _row_means(error, group.valid) * group.weight
        _count(figures, group.annotation, rows)
        if self.config.closure_weight and annotation.gap is not None:
            closure = _row_means(closure_error(codes, group, annotation.gap), group.valid) * group.closure
            _count(figures, f"{group.annotation}.closure", closure)
            rows = rows + self.config.closure_weight * closure
        return rows.sum()

    def _phone_loss(self, features: torch.Tensor, labels: torch.Tensor, figures: Figures) -> torch.Tensor:
        """Sum over rows of the mean cross entropy where phones are known."""
        count = min(features.shape[1], labels.shape[1])
        logits, labels = self.phone_head(features[:, :count]).float(), labels[:, :count]
        error = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-1, reduction="none")
        known = (labels >= 0).float()
        rows = _row_means(error, known)
        _count(figures, "phones", rows, known.any(1))
        return rows.sum()


def closure_error(codes: torch.Tensor, group: Group, gap: np.ndarray) -> torch.Tensor:
    """(b, F) squared gap between the lips that the truth lacks, in fifths of the usual opening, where the truth shuts.

    A frame counts by exp(−(true gap / a fifth of the opening)²): regression to the mean never opens a closed mouth.
    """
    reader = torch.as_tensor(gap, dtype=torch.float32, device=codes.device)
    fifth = group.opening[:, None] / 5
    true = ((group.codes @ reader) / fifth).clamp(min=0)
    excess = F.relu((codes @ reader) / fifth - true)
    return torch.exp(-true.square()) * excess.square().clamp(max=25)


def _row_means(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """(b, F) → (b,): mean over each row's valid frames; zero for a row without any."""
    return (values * valid).sum(1) / valid.sum(1).clamp(min=1)


def _count(figures: Figures, name: str, rows: torch.Tensor, counted: torch.Tensor | None = None) -> None:
    """Add rows (b,) to a loss's sum; counted: (b,) bool, those that have this loss at all."""
    rows = rows.detach()
    number = (torch.ones_like(rows) if counted is None else counted.to(rows)).sum()
    before = figures.get(name)
    total = rows.sum()
    figures[name] = (total, number) if before is None else (before[0] + total, before[1] + number)


class Meter:
    """Running means of named losses, for the log; the sums stay on the device until they are asked for."""

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.names = tuple(names)
        self.sums = torch.zeros(len(self.names), 2, dtype=torch.float64, device=device)

    def add(self, figures: Figures) -> None:
        """Count a batch."""
        for name, pair in figures.items():
            self.sums[self.names.index(name)] += torch.stack(pair)

    def means(self, sums: torch.Tensor | None = None) -> dict[str, float]:
        """Means since the last `clear`, of the names that came. sums: those of all processes instead of one's own."""
        both = (self.sums if sums is None else sums).tolist()
        return {n: total / count for n, (total, count) in zip(self.names, both, strict=True) if count}

    def clear(self) -> None:
        """Begin anew."""
        self.sums.zero_()
