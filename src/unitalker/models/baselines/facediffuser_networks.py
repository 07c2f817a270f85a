"""The three networks with which FaceDiffuser guesses clean motion from noised motion, sound and the step of noise.

Each has `hear`, run once for a clip, and `forward`, run once for every step; frames see the past alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import FaceDiffuserDecoderConfig
from unitalker.models.transformer import positions


def recurrent(size: int, config: FaceDiffuserDecoderConfig) -> nn.GRU:
    """The gated recurrent units over frames (B, T, size) → (B, T, width)."""
    dropout = config.dropout if config.layers > 1 else 0.0
    return nn.GRU(size, config.width, config.layers, batch_first=True, dropout=dropout)


class Network(nn.Module, ABC):
    """What guesses clean motion. sound: numbers of one frame's features; dim: of its motion."""

    def hear(self, features: torch.Tensor) -> torch.Tensor:
        """Features (B, T, sound) → what `forward` reads of them."""
        return features

    @abstractmethod
    def forward(
        self, heard: torch.Tensor, noisy: torch.Tensor, step: torch.Tensor, style: torch.Tensor
    ) -> torch.Tensor:
        """What was heard (B, T, …), noised motion (B, T, dim), steps (B,), identities (B, width) → (B, T, dim)."""


class MeshNetwork(Network):
    """The published network for vertices. The identity scales the recurrent states."""

    def __init__(self, sound: int, dim: int, config: FaceDiffuserDecoderConfig) -> None:
        super().__init__()
        self.sound = nn.Linear(sound, config.width)
        self.noisy = nn.Linear(dim, 2 * config.width)
        self.smooth = nn.Conv1d(1, 1, kernel_size=9, padding="same")
        self.step = nn.Linear(config.steps, config.width)
        self.norm = nn.LayerNorm(3 * config.width)
        self.gru = recurrent(3 * config.width, config)
        self.out = nn.Linear(config.width, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def hear(self, features: torch.Tensor) -> torch.Tensor:
        """See Network."""
        return self.sound(features)

    def forward(
        self, heard: torch.Tensor, noisy: torch.Tensor, step: torch.Tensor, style: torch.Tensor
    ) -> torch.Tensor:
        """See Network. The convolution and the pooling run along the channels of one frame, not along time."""
        wide = self.noisy(noisy)
        smooth = self.smooth(wide.reshape(-1, 1, wide.shape[-1])).relu()
        motion = F.max_pool1d(smooth, 2).reshape(*wide.shape[:2], -1)
        token = _step_token(self.step, step, heard)
        states, _ = self.gru(self.norm(torch.cat([heard, motion, token], -1)))
        return self.out(states * style[:, None])


class WeightNetwork(Network):
    """The published network for blendshape weights: everything side by side and normed; it knows no identities."""

    def __init__(self, sound: int, dim: int, config: FaceDiffuserDecoderConfig) -> None:
        super().__init__()
        wide = config.step_width or config.width
        self.step = nn.Linear(config.steps, wide)
        self.norm = nn.LayerNorm(sound + dim + wide)
        self.gru = recurrent(sound + dim + wide, config)
        self.out = nn.Linear(config.width, dim)

    def forward(
        self, heard: torch.Tensor, noisy: torch.Tensor, step: torch.Tensor, style: torch.Tensor
    ) -> torch.Tensor:
        """See Network; identities are not looked at."""
        token = _step_token(self.step, step, heard)
        states, _ = self.gru(self.norm(torch.cat([heard, noisy, token], -1)))
        return self.out(states)


class ControlNetwork(Network):
    """The published network for the controls of a rig: steps as sinusoids, nothing normed; it knows no identities."""

    def __init__(self, sound: int, dim: int, config: FaceDiffuserDecoderConfig) -> None:
        super().__init__()
        width = config.width
        self.step = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.gru = recurrent(sound + dim + width, config)
        self.out = nn.Linear(width, dim)
        nn.init.normal_(self.out.weight)
        nn.init.normal_(self.out.bias)
        self.steps = config.steps

    def forward(
        self, heard: torch.Tensor, noisy: torch.Tensor, step: torch.Tensor, style: torch.Tensor
    ) -> torch.Tensor:
        """See Network; identities are not looked at."""
        places = positions(0, self.steps, self.out.in_features).to(heard)[step]
        token = self.step(places)[:, None].expand(-1, heard.shape[1], -1)
        states, _ = self.gru(torch.cat([heard, token, noisy], -1))
        return self.out(states)


def _step_token(layer: nn.Linear, step: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The embedding (B, T, C) of the steps (B,), a column of `layer` each."""
    columns = layer.weight.T[step] + layer.bias
    return F.mish(columns)[:, None].expand(-1, like.shape[1], -1)
