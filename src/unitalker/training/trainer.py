"""The trainer: decoder warm-up, then everything; averaged weights; checkpoints that resume exactly."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from unitalker.annotations.base import Annotation
from unitalker.config import TrainConfig, UniTalkerConfig
from unitalker.errors import ConfigError
from unitalker.files import atomic
from unitalker.models import checkpoint
from unitalker.models.frontend import mel_filters
from unitalker.models.mini import MiniEncoder
from unitalker.models.unitalker import UniTalker
from unitalker.training.batches import WARPS, Batch, Batches, Group
from unitalker.training.pack import Source

Report = Callable[[int, dict[str, float]], None]


@dataclass
class Losses:
    """Running means of what a step costs, by annotation, for the log."""

    sums: dict[str, float]
    counts: dict[str, int]

    def add(self, name: str, value: float) -> None:
        """Count one value."""
        self.sums[name] = self.sums.get(name, 0.0) + value
        self.counts[name] = self.counts.get(name, 0) + 1

    def flush(self) -> dict[str, float]:
        """Means since the last flush."""
        out = {k: self.sums[k] / self.counts[k] for k in self.sums}
        self.sums.clear()
        self.counts.clear()
        return out


class Trainer:
    """Trains one model on packed sources. The run folder holds config, metrics.jsonl, checkpoint and the model."""

    def __init__(
        self,
        config: TrainConfig,
        model_config: UniTalkerConfig,
        sources: Sequence[Source],
        annotations: Mapping[str, Annotation],
        phones: int,
        folder: Path,
    ) -> None:
        self.config, self.folder = config, folder
        self.annotations = dict(annotations)
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.model = UniTalker(model_config)
        self.frozen = {n for n, p in self.model.encoder.named_parameters() if not p.requires_grad}
        self.phone_head = nn.Linear(self.model.encoder.size, max(phones, 1))
        self.batches = Batches(sources, self.annotations, model_config.identities, config)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.step = 0
        self.losses = Losses({}, {})
        if isinstance(self.model.encoder, MiniEncoder):
            mels = self.model.encoder.config.mels
            self.warped = torch.stack([torch.as_tensor(mel_filters(mels, warp=w)) for w in WARPS])
        self._start_stage()

    def _start_stage(self) -> None:
        """Fresh optimiser for the stage that the step lies in: decoder warm-up, or everything but what the encoder
        keeps frozen by itself (a pre-trained encoder's convolutional feature extractor)."""
        warm = self.step < self.config.warmup_steps
        for name, parameter in self.model.encoder.named_parameters():
            parameter.requires_grad_(not warm and name not in self.frozen)
        chosen = [p for p in [*self.model.parameters(), *self.phone_head.parameters()] if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            chosen, lr=self.config.lr, betas=(0.9, 0.98), weight_decay=self.config.weight_decay
        )

    def learning_rate(self, step: int) -> float:
        """Rate of a step: a ramp over the first 2 % of a stage, then constant or half a cosine down to 2 %."""
        first = self.config.warmup_steps if step >= self.config.warmup_steps else 0
        total = max(1, self.config.steps - self.config.warmup_steps)
        ramp = min(1.0, (step - first + 1) / max(1, total // 50))
        if self.config.schedule == "constant" or step < self.config.warmup_steps:
            return self.config.lr * ramp
        done = (step - first) / total
        return self.config.lr * ramp * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))

    def run(self, report: Report | None = None, workers: int = 1, until: float = math.inf) -> None:
        """Train to the last step, or until the clock time `until` (time.time() seconds), then write the checkpoint.

        The log gets a line every 50 steps and one at the end.
        """
        order = range(self.step, self.config.steps)
        loader = DataLoader(
            self.batches,
            batch_size=None,
            sampler=order,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            generator=torch.Generator().manual_seed(self.config.seed),
        )
        for batch in loader:
            if self.step == self.config.warmup_steps and self.step:
                self._start_stage()
            self._train_step(batch)
            self.step += 1
            if self.step % 50 == 0:
                self._log(report)
            if self.step % self.config.checkpoint_steps == 0:
                self.save()
            if time.time() > until:
                break
        if self.losses.sums:
            self._log(report)
        self.save()

    def _train_step(self, batch: Batch) -> None:
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate(self.step)
        loss = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        chosen = [p for g in self.optimiser.param_groups for p in g["params"]]
        norm = nn.utils.clip_grad_norm_(chosen, self.config.clip_norm)
        if not torch.isfinite(norm):
            raise ConfigError(
                f"The loss is not finite at step {self.step}; lower --lr (now {self.config.lr})."
            )
        self.optimiser.step()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value, 1 - decay)

    def features(self, batch: Batch) -> torch.Tensor:
        """Encoder features (B, T50, F), each crop through its own vocal-tract warp where the encoder knows one."""
        encoder = self.model.encoder
        if isinstance(encoder, MiniEncoder):
            place = torch.arange(encoder.config.mels) / encoder.config.mels
            heard = (place < batch.hole[:, :1]) | (place >= batch.hole[:, 1:])
            return encoder(batch.samples, filters=self.warped[batch.warp] * heard[:, None, :])
        return encoder(batch.samples)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Eq. 2 over every group, relative to a resting face's, plus the auxiliary phone loss."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bf16):
            features = self.features(batch)
            identity = self.model.embed(batch.identity)
            shared = None
            if self.model.config.adaptor == "after_decoder":
                shared = self.model.decoder(features, identity)
            total = torch.zeros(())
            for group in batch.groups:
                total = total + self._group_loss(group, features, identity, shared) * len(group.rows)
            total = total / len(batch.identity)
            if self.config.phone_weight and (batch.phones >= 0).any():
                total = total + self.config.phone_weight * self._phone_loss(features, batch.phones)
        return total

    def _group_loss(
        self, group: Group, features: torch.Tensor, identity: torch.Tensor, shared: torch.Tensor | None
    ) -> torch.Tensor:
        frames = group.codes.shape[1]
        if shared is not None:
            hidden = self.model.adapt(shared[group.rows], group.fps, frames, 0)
        else:
            hidden = self.model.hidden(features[group.rows], identity[group.rows], group.fps, frames)
        codes = self.model.heads[group.annotation](hidden).float()
        annotation = self.annotations[group.annotation]
        error = annotation.loss(codes, group.codes, group.mask)
        weight = group.valid * group.weight[:, None]
        loss = (error * weight).sum() / group.valid.sum().clamp(min=1)
        self.losses.add(group.annotation, float(loss.detach()))
        if self.config.closure_weight and annotation.gap is not None:
            loss = loss + self.config.closure_weight * self._closure_loss(codes, group, annotation.gap)
        return loss

    def _closure_loss(self, codes: torch.Tensor, group: Group, gap: np.ndarray) -> torch.Tensor:
        """Squared gap between the lips that the truth does not have, in fifths of the usual opening, where it shuts.

        A frame counts by exp(−(true gap / a fifth of the opening)²): regression to the mean never opens a closed mouth.
        """
        reader = torch.as_tensor(gap, dtype=torch.float32)
        fifth = group.opening[:, None] / 5
        true = (group.codes @ reader) / fifth
        excess = F.relu((codes @ reader) / fifth - true.clamp(min=0))
        shut = torch.exp(-true.clamp(min=0).square()) * group.valid * group.closure[:, None]
        loss = (shut * excess.square().clamp(max=25)).sum() / group.valid.sum().clamp(min=1)
        self.losses.add(f"{group.annotation}.closure", float(loss.detach()))
        return loss

    def _phone_loss(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        count = min(features.shape[1], labels.shape[1])
        logits = self.phone_head(features[:, :count]).float()
        loss = F.cross_entropy(logits.flatten(0, 1), labels[:, :count].flatten(), ignore_index=-1)
        self.losses.add("phones", float(loss.detach()))
        return loss

    def averaged(self) -> UniTalker:
        """A copy of the model with the averaged weights, in evaluation mode."""
        copy = UniTalker(self.model.config)
        copy.load_state_dict(self.average)
        return copy.eval()

    def _log(self, report: Report | None) -> None:
        figures = self.losses.flush() | {"lr": self.learning_rate(self.step)}
        line = json.dumps(
            {"step": self.step, "time": time.time()} | {k: round(v, 6) for k, v in figures.items()}
        )
        with (self.folder / "metrics.jsonl").open("a") as log:
            log.write(line + "\n")
        if report:
            report(self.step, figures)

    def save(self) -> None:
        """Write the checkpoint and the averaged model, each whole."""
        state: dict[str, Any] = {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average,
            "phone_head": self.phone_head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
        }
        with atomic(self.folder / "checkpoint.pt") as draft:
            torch.save(state, draft)
        checkpoint.save(self.folder / "model", self.averaged(), self.annotations)
        with atomic(self.folder / "train.json") as draft:
            draft.write_text(json.dumps(self.config.model_dump(mode="json"), indent=1))

    def begin_with(self, run: Path) -> list[str]:
        """Start from another run's averaged weights: all tensors of the same name and shape, identities by name.

        Returns the names of the tensors that start fresh.
        """
        old = checkpoint.load(run / "model").model
        tensors, fresh = old.state_dict(), []
        mine = self.model.state_dict()
        rows = {n: i for i, n in enumerate(old.config.identities)}
        with torch.no_grad():
            for key, value in mine.items():
                if key == "decoder.identity.weight":
                    value[-1] = tensors[key][-1]
                    for i, name in enumerate(self.model.config.identities):
                        value[i] = tensors[key][rows.get(name, -1)]
                elif key in tensors and tensors[key].shape == value.shape:
                    value.copy_(tensors[key])
                else:
                    fresh.append(key)
        self.average = {k: v.detach().clone() for k, v in mine.items()}
        return fresh

    def load_encoder(self) -> None:
        """Begin with the published weights of a pre-trained encoder. Raises ModelError where they can't be had."""
        if not isinstance(self.model.encoder, MiniEncoder):
            self.model.encoder.load_pretrained()
            self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def resume(self) -> bool:
        """Go on from the folder's checkpoint; False where there is none."""
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return False
        state = torch.load(path, weights_only=True)
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        self.phone_head.load_state_dict(state["phone_head"])
        self._start_stage()
        if self.step != self.config.warmup_steps:
            self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
        return True
