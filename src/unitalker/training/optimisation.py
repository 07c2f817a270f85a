"""How weights move: optimisers and schedules by name, number formats, frozen parts, averaged weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn

from unitalker.config import TrainConfig
from unitalker.errors import ConfigError
from unitalker.models.mini import MiniEncoder
from unitalker.models.unitalker import UniTalker

FLOOR = 0.02
"""Share of the peak rate that a cosine ends at."""
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str, local: int = 0) -> torch.device:
    """The device of a setting; "auto" is a GPU where there is one. local: number of this process on its machine.

    Raises ConfigError where there is no such GPU.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not found):
        return torch.device("cpu")
    number = int(name.partition(":")[2]) if ":" in name else local
    if number >= found:
        raise ConfigError(
            f"device {name!r} needs GPU number {number}; PyTorch sees {found}. Use 'cpu', or 'auto'."
        )
    return torch.device("cuda", number)


class Precision:
    """Autocast of the forward pass, and loss scaling for fp16. Raises ConfigError for fp16 without a GPU."""

    def __init__(self, name: str, device: torch.device) -> None:
        if name == "fp16" and device.type != "cuda":
            raise ConfigError("precision 'fp16' needs a GPU; on the CPU use 'bf16' or 'fp32'.")
        self.device, self.format = device, FORMATS[name]
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")

    def autocast(self) -> AbstractContextManager[object]:
        """Context of the forward pass."""
        return torch.autocast(self.device.type, self.format, enabled=self.format != torch.float32)


def parts(model: UniTalker) -> Iterator[tuple[str, str, nn.Parameter]]:
    """(part, name, parameter) of every parameter; parts are the names that the setting `freeze` knows."""
    for name, parameter in model.named_parameters():
        first = name.partition(".")[0]
        part = "identities" if name.startswith("decoder.identity.") else first
        yield part, name, parameter


def compile_parts(model: UniTalker) -> None:
    """Compile, for any lengths, the decoder and the transformer layers of an encoder that has some (one by one: they
    are alike, so that one compilation serves all). A decoder that goes frame by frame stays as it is."""
    layers = [] if isinstance(model.encoder, MiniEncoder) else list(model.encoder.model.encoder.layers)
    decoder = [] if model.config.decoder.kind == "autoregressive" else [model.decoder]
    for module in [*layers, *decoder]:
        module.compile(dynamic=True)


def frozen_parts(config: TrainConfig, warming: bool) -> set[str]:
    """Parts of the model that do not train: as set, and in decoder warm-up the encoder."""
    only = {"encoder", "decoder", "identities"} if config.only_heads else set()
    return set(config.freeze) | only | ({"encoder"} if warming else set())


def optimiser(config: TrainConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """A fresh optimiser by its name. Raises ConfigError where nothing is left to train."""
    if not parameters:
        raise ConfigError("Every part of the model is frozen; leave at least one out of `freeze`.")
    if config.optimiser == "adam":
        return torch.optim.Adam(parameters, lr=config.lr, betas=(0.9, 0.999), fused=True)
    return torch.optim.AdamW(
        parameters, lr=config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True
    )


def learning_rate(config: TrainConfig, step: int, steps: int, warm_up: int) -> float:
    """Rate of a step: a ramp over the first part of a stage, then constant or half a cosine down to 2 %.

    steps: of the run, warm_up: those of the decoder warm-up, whose rate is constant after its ramp.
    """
    first = warm_up if step >= warm_up else 0
    total = max(1, steps - warm_up)
    ramp = min(1.0, (step - first + 1) / max(1, int(total * config.ramp)))
    if config.schedule == "constant" or step < warm_up:
        return config.lr * ramp
    done = (step - first) / total
    return config.lr * ramp * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done)))


class Average:
    """Exponential moving average of a model's tensors; without decay, the model's own tensors."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self.restart()

    def restart(self) -> None:
        """Begin at the model's present tensors."""
        own = self.model.state_dict()
        self.tensors = {k: v.detach().clone() for k, v in own.items()} if self.decay else own

    def update(self, step: int) -> None:
        """Follow the model after a step; the first steps count more, min(decay, (1 + step) / (10 + step))."""
        if not self.decay:
            return
        now = self.model.state_dict()
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for key, value in now.items():
                if value.is_floating_point():
                    self.tensors[key].lerp_(value, share)
                else:
                    self.tensors[key].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged tensors meanwhile, and its own again, to the bit, afterwards."""
        own = {k: v.detach().clone() for k, v in self.model.state_dict().items()} if self.decay else {}
        self.model.load_state_dict(self.tensors)
        try:
            yield
        finally:
            if own:
                self.model.load_state_dict(own)

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go on from saved tensors; where none were, from the model's own."""
        self.restart()
        if self.decay and tensors:
            self.tensors = {k: v.to(self.tensors[k].device) for k, v in tensors.items()}
