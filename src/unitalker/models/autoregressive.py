"""The autoregressive decoder of FaceFormer (Fan et al. 2022), with which the paper's Tab. 10 compares."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import AutoregressiveDecoderConfig
from unitalker.models.transformer import CrossLayer, Sound, cross_layers, past_bias, positions


class Past:
    """Keys and values of the frames so far, so that a new frame costs only its own."""

    def __init__(self) -> None:
        self.known: tuple[torch.Tensor, torch.Tensor] | None = None

    def add(self, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A frame's key and value (B, heads, 1, D) → those of all frames so far (B, heads, n, D)."""
        if self.known is not None:
            key, value = torch.cat([self.known[0], key], 2), torch.cat([self.known[1], value], 2)
        self.known = key, value
        return self.known


def step(layer: CrossLayer, x: torch.Tensor, sound: Sound, past: Past, bias: torch.Tensor) -> torch.Tensor:
    """One frame (B, 1, width) through a layer, what it can hear, biases (1, heads, 1, n) → (B, 1, width)."""
    query, key, value = layer.self_attn.split(x)
    return layer.rest(x, layer.self_attn.attend(query, *past.add(key, value), bias), sound)


class AutoregressiveDecoder(nn.Module):
    """Audio features + identity + the motion so far → the next frame's codes, frame by frame.

    Each head has a motion encoder of its own, through which its codes come back, so heads don't share hidden states.
    The identity table has one row more than there are identities: the last is the pivot.
    """

    def __init__(
        self, features: int, identities: int, config: AutoregressiveDecoderConfig, heads: Mapping[str, int]
    ) -> None:
        super().__init__()
        self.config = config
        self.identity = nn.Embedding(identities + 1, config.width)
        self.map = nn.Linear(features, config.width)
        self.motion = nn.ModuleDict({name: nn.Linear(dim, config.width) for name, dim in heads.items()})
        self.layers = cross_layers(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        features: torch.Tensor,
        identity: torch.Tensor,
        name: str,
        head: nn.Module,
        true: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Features (B, T, F) or two a frame (B, T, 2, F), identity embeddings (B, width), a head and its name → its codes (B, T, head_dim).

        true: codes (B, T, head_dim) that are fed back instead of the predicted ones; all frames are then computed at
        once. No frame looks ahead, so frames behind a row's end change nothing.
        """
        audio = self.map(features)
        place = positions(0, audio.shape[1], self.config.width, self.config.period).to(audio)
        if true is None:
            return self._free(audio, identity, place, self.motion[name], head)
        fed = F.pad(self.motion[name](true[:, :-1]), (0, 0, 1, 0))
        x = self.dropout(identity[:, None] + fed + place)
        for layer in self.layers:
            x = layer(x, audio, self.config.period)
        return head(x)

    def _free(
        self,
        audio: torch.Tensor,
        identity: torch.Tensor,
        place: torch.Tensor,
        motion: nn.Module,
        head: nn.Module,
    ) -> torch.Tensor:
        frames = audio.shape[1]
        last = past_bias(self.config.heads, self.config.period, frames - 1, frames)[None].to(audio)
        layers = [(layer, layer.hears(audio), Past()) for layer in self._layers()]
        fed, made = identity, []
        for t in range(frames):
            x = self.dropout(fed + place[t])[:, None]
            for layer, sound, past in layers:
                x = step(layer, x, sound.at(t), past, last[..., frames - 1 - t :])
            made.append(head(x))
            fed = identity + motion(made[-1][:, 0])
        return torch.cat(made, 1)

    def _layers(self) -> list[CrossLayer]:
        return [layer for layer in self.layers if isinstance(layer, CrossLayer)]
