"""Decoders the slow way: masks and positions one number at a time, PyTorch's own layers; small random models."""

from __future__ import annotations

import math

import torch
from torch import nn

from unitalker.config import UniTalkerConfig


def settings(decoder: dict[str, object], **changes: object) -> UniTalkerConfig:
    data: dict[str, object] = {
        "encoder": {"kind": "mini", "width": 16, "mels": 40},
        "decoder": {"width": 16} | decoder,
        "identities": ("set/a", "set/b"),
        "heads": {"weights": 5, "points": 9},
        "default_annotation": "weights",
    }
    return UniTalkerConfig.parse(data | changes)


def stirred(module: nn.Module) -> nn.Module:
    """The module in evaluation with every parameter random, so that no zero hides a mistake."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module.eval()


def slow_mask(heads: int, period: int, frames: int) -> torch.Tensor:
    """The bias one number at a time; slopes as the geometric sequences of the ALiBi paper's text."""
    known = {1: [2**-8], 2: [2**-4, 2**-8], 4: [2**-2, 2**-4, 2**-6, 2**-8]}
    eighths = [2**-k for k in range(1, 9)]
    slope = known[heads] if heads in known else known[4] + eighths[0::2][: heads - 4]
    mask = torch.full((heads, frames, frames), -math.inf)
    for head in range(heads):
        for now in range(frames):
            for then in range(now + 1):
                mask[head, now, then] = -slope[head] * ((now - then) // period)
    return mask


def slow_positions(frames: int, width: int, period: int) -> torch.Tensor:
    table = torch.zeros(frames, width)
    for frame in range(frames):
        for channel in range(width):
            angle = (frame % period) / 10000 ** (2 * (channel // 2) / width)
            table[frame, channel] = math.cos(angle) if channel % 2 else math.sin(angle)
    return table


def library_layers(layers: nn.Module, width: int, heads: int) -> nn.TransformerDecoder:
    layer = nn.TransformerDecoderLayer(width, heads, 2 * width, batch_first=True)
    theirs = nn.TransformerDecoder(layer, len(list(layers.children())))
    theirs.layers.load_state_dict(layers.state_dict())
    return theirs.eval()
