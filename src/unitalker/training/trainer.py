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

from unitalker.annotations.base import Annotation
from unitalker.config import TrainConfig, UniTalkerConfig
from unitalker.errors import ConfigError, DivergedError, ModelError
from unitalker.models import checkpoint
from unitalker.models.unitalker import UniTalker
from unitalker.training import optimisation
from unitalker.training.batches import Batch
from unitalker.training.clips import Clips
from unitalker.training.crops import Crops
from unitalker.training.distributed import Processes, from_environment
from unitalker.training.loading import load
from unitalker.training.losses import Meter, Objective
from unitalker.training.optimisation import Average, Precision
from unitalker.training.runfolder import RunFolder
from unitalker.training.sources import Source
from unitalker.training.starting import load_encoder, settle_pivot, transfer
from unitalker.training.stopping import Stop
from unitalker.training.validation import SCORE, Best, Validation

Report = Callable[[int, dict[str, float]], None]
Say = Callable[[str], None]
ROADS = {"crops": Crops, "clips": Clips}
AGREED = 8
"""Steps between which several processes ask one another whether to stop."""


class Trainer:
    """Trains one model on sources. steps: of the run; warm_up: those with the encoder frozen; step: done so far.

    asked: whether a signal stopped it.
    """

    def __init__(
        self,
        config: TrainConfig,
        model_config: UniTalkerConfig,
        sources: Sequence[Source],
        annotations: Mapping[str, Annotation],
        phones: int,
        folder: Path,
        validation: Sequence[Source] = (),
        say: Say | None = None,
    ) -> None:
        self.config, self.annotations = config, dict(annotations)
        self.processes: Processes = from_environment()
        _check_batch(config, self.processes.count)
        self.device = optimisation.pick_device(config.device, self.processes.local)
        self.processes.join(self.device)
        self.folder = RunFolder(folder, self.processes.chief)
        self.say: Say = say if say and self.processes.chief else _silent
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
        self.best = Best()
        self.validation = None
        if config.validate_steps or config.validate_epochs:
            names = model_config.identities
            self.validation = Validation(validation, self.annotations, names, config, self.processes)
        self.step = 0
        self.report: Report = _silent
        self.workers = 0
        self.asked = False
        if config.compile:
            optimisation.compile_parts(self.model)
        self._start_stage()

    def _start_stage(self) -> None:
        """Fresh optimiser for the stage that the step lies in: decoder warm-up, or everything that is not frozen by
        the settings or by the model itself (a pre-trained encoder's convolutional feature extractor)."""
        still = optimisation.frozen_parts(self.config, warming=self.step < self.warm_up)
        for part, name, parameter in optimisation.parts(self.model):
            parameter.requires_grad_(part not in still and name not in self.fixed)
        self.trained = [p for p in self.objective.parameters() if p.requires_grad]
        self.optimiser = optimisation.optimiser(self.config, self.trained)
        self.parallel: nn.Module | None = self.processes.wrap(self.objective, self.device)

    def run(self, report: Report | None = None, workers: int = 1, until: float = math.inf) -> None:
        """Train to the last step, or until the clock time `until` (time.time() seconds), or until validation gets no
        better, or until the process is asked to stop (SIGINT, SIGTERM); then write the checkpoint.

        report is called with every line of the log: one every `log_steps`, one for each validation, one at the end.
        """
        facts = {"device": str(self.device), "processes": self.processes.count}
        self.folder.begin(self.config, self.step, facts)
        self.report, self.workers = report or _silent, workers
        count = self.config.accumulate
        numbers = range(self.step * count, 0 if self.tired else self.steps * count)
        prepared = load(self.batches, numbers, workers, pinned=self.device.type == "cuda")
        with Stop() as stop:
            for batches in zip(*[prepared] * count, strict=True):
                self._train_step(batches)
                self._after_step()
                if self._stops(stop, until):
                    break
        self._finish()

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

    def _move(self) -> None:
        """One step of the optimiser. Raises DivergedError where gradients are not finite."""
        scaler = self.precision.scaler
        scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.trained, self.config.clip_norm or math.inf)
        if not scaler.is_enabled() and not torch.isfinite(norm):
            raise DivergedError(
                f"The loss is not finite at step {self.step}; lower --lr (now {self.config.lr})."
            )
        scaler.step(self.optimiser)
        scaler.update()

    def learning_rate(self, step: int) -> float:
        """Rate of a step."""
        return optimisation.learning_rate(self.config, step, self.steps, self.warm_up)

    def _after_step(self) -> None:
        """Log, measure and save where it is time to."""
        if self.step % self.config.log_steps == 0:
            self._log()
        if self._validates():
            self._validate()
        if self.step % self.config.checkpoint_steps == 0 and self.step < self.steps:
            self.save()

    def _stops(self, stop: Stop, until: float) -> bool:
        """Whether the run ends after this step; several processes agree on it every few steps."""
        if self.tired or (self.processes.count > 1 and self.step % AGREED):
            return self.tired
        self.asked = self.processes.any(stop.asked, self.device)
        if self.asked:
            self.say(
                f"Asked to stop: the state after step {self.step} is saved, the same command goes on with it."
            )
            return True
        return self.processes.any(time.time() > until, self.device)

    @property
    def tired(self) -> bool:
        """Whether validation has not become better for as long as the settings wait."""
        return self.config.patience is not None and self.best.waited >= self.config.patience

    @property
    def ended(self) -> bool:
        """Whether the run is over: it came to its last step, or validation got no better."""
        return self.step >= self.steps or self.tired

    def _log(self) -> None:
        means = self.meter.means(self.processes.sum(self.meter.sums))
        self.meter.clear()
        self._tell(means | {"lr": self.learning_rate(self.step)})

    def _tell(self, figures: dict[str, float]) -> None:
        self.folder.log(self.step, figures)
        if self.processes.chief:
            self.report(self.step, figures)

    def _validates(self) -> bool:
        steps, epochs = self.config.validate_steps, self.config.validate_epochs
        if self.validation is None or self.step == self.steps:
            return self.validation is not None
        if steps is not None:
            return self.step % steps == 0
        done = self.batches.epochs_done(self.step)
        return done is not None and done % (epochs or 1) == 0

    def _validate(self) -> None:
        """Measure the averaged weights; the best so far are kept in best/."""
        assert self.validation is not None
        self._settle()
        with self.average.applied():
            figures = self.validation.measure(self.objective, self.precision, self.workers)
            if self.best.take(figures[SCORE]):
                self.folder.save_model("best", self.model, self.annotations)
        self._tell(figures)
        if self.tired:
            self.say(
                f"No better validation in the last {self.best.waited}: stopped after step {self.step}; best/ has a score of "
                f"{self.best.score:.4g} (1: a face that never moves)."
            )

    def _finish(self) -> None:
        """The last lines and files; the process parts from the others."""
        if self.ended and bool(self.processes.sum(self.meter.sums).any()):
            self._log()
        elif not self.ended and self.processes.chief:
            self.report(self.step, self.meter.means())
        self.save()
        self.folder.close()
        self.parallel = None
        self.processes.leave()

    def _settle(self) -> None:
        """Without crops of the pivot, its row is the mean of the identities."""
        if not self.config.pivot:
            settle_pivot(self.average.tensors)

    def save(self) -> None:
        """Write the checkpoint and the averaged model, each whole."""
        self._settle()
        state: dict[str, Any] = {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.tensors if self.config.ema else {},
            "phone_head": self.objective.phone_head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.precision.scaler.state_dict(),
            "losses": self.processes.sum(self.meter.sums),
            "best": [self.best.score, self.best.waited],
        }
        self.folder.save_state(state)
        with self.average.applied():
            self.folder.save_model("model", self.model, self.annotations)

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
            self._load_optimiser(state["optimiser"])
        self.precision.scaler.load_state_dict(state["scaler"])
        self.best = Best(*state["best"])
        if self.processes.chief:
            self.meter.sums.copy_(state["losses"])
        return True

    def _load_optimiser(self, state: dict[str, Any]) -> None:
        """Raises ConfigError for the state of another number of tensors than now train."""
        try:
            self.optimiser.load_state_dict(state)
        except ValueError:
            raise ConfigError(
                "The run was begun with other parts frozen, so its optimiser's state does not fit; use a new folder, "
                f"with --start {self.folder.path}."
            ) from None

    def begin_with(self, run: Path) -> list[str]:
        """Start from another run's averaged weights, identities by name.

        A pre-trained encoder that the other run does not have begins with its published weights. Returns the names of
        the tensors that start fresh. Raises ModelError where those are among them that never train.
        """
        fresh = transfer(checkpoint.load(run / "model").model, self.model)
        encoder = self.model.config.encoder
        if encoder.kind == "hf" and encoder.pretrained and any(n.startswith("encoder.") for n in fresh):
            load_encoder(self.model)
        lost = [n for n in fresh if n in self.fixed and not n.startswith("encoder.")]
        if lost and self.model.config.decoder.stands_on:
            raise ModelError(
                f"{run} has no {lost[0]} of the shape that this model stands on; begin with a run of the same data and "
                "the same sizes."
            )
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


def _check_batch(config: TrainConfig, processes: int) -> None:
    """Raises ConfigError where a batch has fewer clips than there are processes."""
    if config.batch_seconds is None and config.batch < processes:
        raise ConfigError(
            f"batch counts the clips of all processes together: {config.batch} would leave some of {processes} "
            f"processes idle; use --set batch={processes} or more, or batch_seconds."
        )


def _silent(*_: object) -> None:
    """For those who don't listen."""
