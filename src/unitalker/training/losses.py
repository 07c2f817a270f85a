"""What training minimises: Eq. 2 of the paper for every row, and the auxiliary terms that need a rig or phone times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from unitalker.annotations.base import Annotation
from unitalker.config.train import LossSettings
from unitalker.models.baselines.own import Heard, OwnDecoder
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
        phones = ["phones"] if self.config.phone_weight else []
        if isinstance(self.model.decoder, OwnDecoder):
            terms = [f"{n}.{term}" for n in self.annotations for term in self.model.decoder.losses]
            return [*self.annotations, *terms, *phones]
        closure = [f"{n}.closure" for n, a in self.annotations.items() if a.gap is not None]
        return [*self.annotations, *(closure if self.config.closure_weight else []), *phones]

    def forward(self, batch: Batch) -> tuple[torch.Tensor, Figures]:
        """Loss (a number) of a batch, and the sums of its parts for the log."""
        features = self.features(batch)
        figures: Figures = {}
        if isinstance(self.model.decoder, OwnDecoder):
            total = self._own_loss(self.model.decoder, features, batch, figures)
        else:
            codes = self.codes(features, batch)
            with torch.autocast(features.device.type, enabled=False):
                total = torch.zeros((), device=features.device)
                for group, predicted in zip(batch.groups, codes, strict=True):
                    total = total + self._group_loss(group, predicted.float(), figures)
        if self.config.phone_weight and features.shape[1]:
            total = total + self.config.phone_weight * self._phone_loss(features, batch.phones, figures)
        return total * (0.0 if batch.idle else 1 / batch.whole), {} if batch.idle else figures

    def features(self, batch: Batch) -> torch.Tensor:
        """Encoder features (B, T50, F), each row through its own vocal-tract warp where the encoder knows one; none
        (B, 0, F) for a decoder that hears nothing."""
        encoder = self.model.encoder
        if not self.model.from_sound:
            return batch.samples.new_zeros(len(batch.samples), 0, encoder.size)
        if isinstance(encoder, MiniEncoder) and batch.warp is not None:
            place = torch.arange(encoder.config.mels, device=batch.hole.device) / encoder.config.mels
            heard = (place < batch.hole[:, :1]) | (place >= batch.hole[:, 1:])
            assert isinstance(self.warped, torch.Tensor)
            filters = self.warped[batch.warp] * heard[:, None, :]
            return encoder(batch.samples, batch.lengths, filters=filters)
        return self.model.features(batch.samples, batch.frames, batch.lengths)

    def codes(self, features: torch.Tensor, batch: Batch) -> list[torch.Tensor]:
        """Codes (b, F, K) of every group, the decoder run once for all rows where heads share its states."""
        counts, decoder = self._counts(batch), self.model.decoder
        identity = self.model.embed(batch.identity)
        if isinstance(decoder, OwnDecoder):
            return [
                self._own_codes(decoder, g, self._heard(g, features, batch), identity) for g in batch.groups
            ]
        if self.model.config.decoder.kind == "autoregressive":
            return [self._fed_back(g, features, identity, batch, counts) for g in batch.groups]
        hidden = self.model.hidden(features, identity, batch.fps, batch.frames, counts=counts)
        return [self.model.heads[g.annotation](hidden[g.rows, : g.codes.shape[1]]) for g in batch.groups]

    def _counts(self, batch: Batch) -> torch.Tensor:
        """Features (B,) that are each row's own."""
        before = self.model.config.adaptor == "before_transformer"
        return batch.frames if before else self.model.encoder.counts(batch.lengths)

    def _heard(self, group: Group, features: torch.Tensor, batch: Batch) -> Heard:
        """What a decoder with heads of its own hears of a group's rows."""
        own, frames = group.rows.cpu(), batch.frames
        if not features.shape[1]:
            return Heard(features[group.rows], frames[own], torch.zeros_like(frames[own]), batch.fps[own])
        counts = self._counts(batch)[own]
        heard = self.model.heard(features[group.rows], batch.fps[own], frames[own], counts)
        return replace(heard, samples=batch.samples[group.rows], lengths=batch.lengths[own])

    def _own_codes(
        self, decoder: OwnDecoder, group: Group, heard: Heard, identity: torch.Tensor
    ) -> torch.Tensor:
        """Codes (b, F, K) of one group as at inference; of a decoder that hears nothing, what it makes of the true ones."""
        if decoder.from_sound:
            return decoder.codes(heard, identity[group.rows], group.annotation)
        made, _ = decoder.terms(heard, identity[group.rows], group.annotation, group.codes, group.mask)
        assert made is not None
        return made

    def _own_loss(
        self, decoder: OwnDecoder, features: torch.Tensor, batch: Batch, figures: Figures
    ) -> torch.Tensor:
        """Sum over rows of the losses that a baseline's decoder owns; Eq. 2 of its codes goes into the log alone."""
        identity = self.model.embed(batch.identity)
        total = torch.zeros((), device=features.device)
        for group in batch.groups:
            name, heard = group.annotation, self._heard(group, features, batch)
            made, terms = decoder.terms(heard, identity[group.rows], name, group.codes, group.mask)
            for term, error in terms.items():
                rows = _row_means(error.float(), group.valid) * group.weight
                _count(figures, f"{name}.{term}", rows)
                total = total + rows.sum()
            if made is not None:
                error = self.annotations[name].loss(
                    made.detach().float(), group.codes, group.mask, group.residual
                )
                _count(figures, name, _row_means(error, group.valid) * group.weight)
        return total

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
