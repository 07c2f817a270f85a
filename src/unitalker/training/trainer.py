"""The trainer: decoder warm-up, then everything; a log, averaged weights, checkpoints that resume exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from unitalker.annotations.base import Annotation
from unitalker.config import TrainConfig, UniTalkerConfig
from unitalker.errors import ConfigError
from unitalker.models import checkpoint
from unitalker.models.unitalker import UniTalker
from unitalker.training import optimisation
from unitalker.training.batches import Batch
from unitalker.training.clips import Clips
from unitalker.training.crops import Crops
from unitalker.training.distributed import Processes, from_environment
from unitalker.training.losses import Meter, Objective
from unitalker.training.optimisation import Average, Precision
from unitalker.training.runfolder import RunFolder
from unitalker.training.sources import Source
from unitalker.training.starting import load_encoder, transfer
from unitalker.training.stopping import Stop

Report = Callable[[int, dict[str, float]], None]
ROADS = {"crops": Crops, "clips": Clips}


class Trainer:
    """Trains one model on sources. steps: of the run; warm_up: those with the encoder frozen; step: done so far."""

    def __init__(
        self,
        config: TrainConfig,
        model_config: UniTalkerConfig,
        sources: Sequence[Source],
        annotations: Mapping[str, Annotation],
        phones: int,
        folder: Path,
    ) -> None:
        self.config, self.annotations = config, dict(annotations)
        self.processes: Processes = from_environment()
        self.device = optimisation.pick_device(config.device, self.processes.local)
        self.processes.join(self.device)
        self.folder = RunFolder(folder, self.processes.chief)
        torch.manual_seed(config.seed)
        self.model = UniTalker(model_config).to(self.device)
        self.fixed = {n for n, p in self.model.named_parameters() if not p.requires_grad}
        self.objective = Objective(self.model, phones, self.annotations, config).to(self.device)
        share = (self.processes.rank, self.processes.count)
        road = ROADS[config.batching]
        self.batches = road(sources, self.annotations, model_config.identities, config, share)
        self.steps = config.steps or self.batches.steps_of(config.epochs or 1)
        self.warm_up = self.batches.steps_of(config.warmup_epochs or 0) if config.warmup_steps is None else config.warmup_steps  # fmt: skip
        self.average = Average(self.model, config.ema)
        self.precision = Precision(config.precision, self.device)
        self.meter = Meter(self.objective.names(), self.device)
        self.heard = 0.0
        self.step = 0
        self._start_stage()

    def _start_stage(self) -> None:
        """Fresh optimiser for the stage that the step lies in: decoder warm-up, or everything that is not frozen by
        the settings or by the model itself (a pre-trained encoder's convolutional feature extractor)."""
        still = optimisation.frozen_parts(self.config, warming=self.step < self.warm_up)
        for part, name, parameter in optimisation.parts(self.model):
            parameter.requires_grad_(part not in still and name not in self.fixed)
        self.trained = [p for p in self.objective.parameters() if p.requires_grad]
        self.optimiser = optimisation.optimiser(self.config, self.trained, self.device)
        self.parallel: nn.Module | None = self.processes.wrap(self.objective, self.device)

    def run(self, report: Report | None = None, workers: int = 1, until: float = math.inf) -> None:
        """Train to the last step, or until the clock time `until` (time.time() seconds), or until the process is asked
        to stop (SIGINT, SIGTERM); then write the checkpoint. The log gets a line every `log_steps` and one at the end.
        """
        self.folder.begin(
            self.config, self.step, {"device": str(self.device), "processes": self.processes.count}
        )
        count = self.config.accumulate
        loader = DataLoader(
            self.batches,
            batch_size=None,
            sampler=range(self.step * count, self.steps * count),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_quiet_worker,
            generator=torch.Generator().manual_seed(self.config.seed),
        )
        with Stop() as stop:
            for batches in zip(*[iter(loader)] * count, strict=True):
                self._train_step(batches)
                if self._after_step(report, stop.asked or time.time() > until):
                    break
        self._finish(report)

    def _train_step(self, batches: Sequence[Batch]) -> None:
        if self.step == self.warm_up and self.step:
            self._start_stage()
        self.objective.train()
        rate = self.learning_rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        for part, batch in enumerate(batches):
            self._backward(batch, part, last=part == len(batches) - 1)
        self._move()
        self.average.update(self.step)
        self.step += 1

    def _backward(self, batch: Batch, part: int, last: bool) -> None:
        """Add a batch's gradients. What dropout draws is a function of seed, step, batch and process."""
        place = (self.config.seed, self.step, part, self.processes.rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        module = self.parallel
        assert module is not None
        with self.processes.exchange(module, now=last):
            with self.precision.autocast():
                loss, figures = module(batch.to(self.device))
            self.precision.scaler.scale(loss * self.processes.count).backward()
        self.meter.add(figures)
        self.heard += 0.0 if batch.idle else batch.seconds

    def _move(self) -> None:
        """One step of the optimiser. Raises ConfigError where gradients are not finite."""
        scaler = self.precision.scaler
        scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.trained, self.config.clip_norm or math.inf)
        if not scaler.is_enabled() and not torch.isfinite(norm):
            raise ConfigError(
                f"The loss is not finite at step {self.step}; lower --lr (now {self.config.lr})."
            )
        scaler.step(self.optimiser)
        scaler.update()

    def learning_rate(self, step: int) -> float:
        """Rate of a step."""
        return optimisation.learning_rate(self.config, step, self.steps, self.warm_up)

    def _after_step(self, report: Report | None, stop: bool) -> bool:
        """Log and save where it is time to; whether the run stops here."""
        if self.step % self.config.log_steps == 0:
            self._log(report)
        if self.step % self.config.checkpoint_steps == 0 and self.step < self.steps:
            self.save()
        return self.processes.any(stop, self.device)

    def _log(self, report: Report | None) -> None:
        figures = self.meter.means(self.processes.sum(self.meter.sums)) | {
            "lr": self.learning_rate(self.step)
        }
        self.folder.log(self.step, figures)
        self.meter.clear()
        if report and self.processes.chief:
            report(self.step, figures)

    def _finish(self, report: Report | None) -> None:
        """The last lines and files; the process parts from the others."""
        if self.step >= self.steps and bool(self.processes.sum(self.meter.sums).any()):
            self._log(report)
        elif report and self.processes.chief:
            report(self.step, self.meter.means())
        self.save()
        self.parallel = None
        self.processes.leave()

    def save(self) -> None:
        """Write the checkpoint and the averaged model, each whole."""
        state: dict[str, Any] = {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.tensors if self.config.ema else {},
            "phone_head": self.objective.phone_head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.precision.scaler.state_dict(),
            "losses": self.processes.sum(self.meter.sums),
        }
        self.folder.save_state(state)
        self.folder.save_model("model", self.averaged(), self.annotations)

    def resume(self) -> bool:
        """Go on from the folder's checkpoint; False where there is none."""
        state = self.folder.load_state()
        if state is None:
            return False
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.average.load(state["average"])
        self.objective.phone_head.load_state_dict(state["phone_head"])
        self._start_stage()
        if self.step != self.warm_up:
            self.optimiser.load_state_dict(state["optimiser"])
        self.precision.scaler.load_state_dict(state["scaler"])
        if self.processes.chief:
            self.meter.sums.copy_(state["losses"])
        return True

    def begin_with(self, run: Path) -> list[str]:
        """Start from another run's averaged weights, identities by name.

        Returns the names of the tensors that start fresh.
        """
        fresh = transfer(checkpoint.load(run / "model").model, self.model)
        self.average.restart()
        return fresh

    def load_encoder(self) -> None:
        """Begin with the published weights of a pre-trained encoder. Raises ModelError where they can't be had."""
        load_encoder(self.model)
        self.average.restart()

    def averaged(self) -> UniTalker:
        """A copy of the model with the averaged weights, in evaluation mode, on the CPU."""
        copy = UniTalker(self.model.config)
        copy.load_state_dict(self.average.tensors)
        return copy.eval()


def _quiet_worker(_: int) -> None:
    """Data workers leave an interruption to the process that trains."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
