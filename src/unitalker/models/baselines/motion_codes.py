"""CodeTalker's motion autoencoder (Xing et al. 2023, stage 1): motion → a few vectors a frame out of a list → motion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import MotionCodesConfig
from unitalker.models.transformer import positions

KERNEL = 5
COMMITMENT = 0.25
"""How much the encoder is drawn to the list, beside the list to the encoder."""
EPS = 1e-5
"""Of the norm over time."""


class Layer(nn.Module):
    """Attention to all frames of the row, then feed-forward, each on the normed input and added.

    As published, scores are divided by the root of the whole width, not of a head's share.
    """

    def __init__(self, config: MotionCodesConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.scale = config.heads, width**-0.5
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.split = nn.Linear(width, 3 * width, bias=False)
        self.join = nn.Linear(width, width)
        self.linear1, self.linear2 = nn.Linear(width, config.inner), nn.Linear(config.inner, width)

    def forward(self, x: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
        """Frames (B, T, width), those that are each row's own (B, T) bool → (B, T, width)."""
        parts = self.split(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if own is None else own[:, None, None]
        mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], mask, scale=self.scale)
        x = x + self.join(mixed.transpose(1, 2).flatten(2))
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x)), approximate="tanh"))


class Half(nn.Module):
    """What encoder and decoder share: a convolution over time, a norm over time, transformer layers.

    The published positions count the rows of a batch, not the frames, and are those of row 0 for a clip alone; here
    every row has them.
    """

    def __init__(self, config: MotionCodesConfig) -> None:
        super().__init__()
        self.slope = config.slope
        self.conv = nn.Conv1d(config.width, config.width, KERNEL)
        self.linear = nn.Linear(config.width, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
        """(B, T, width), own (B, T) bool → (B, T, width); no row's frames depend on what is behind them."""
        wide = F.pad(held(x, own).transpose(1, 2), (KERNEL // 2, KERNEL // 2), mode="replicate")
        x = normed(F.leaky_relu(self.conv(wide), self.slope).transpose(1, 2), own)
        x = self.linear(x)
        x = self.dropout(x + positions(0, 1, x.shape[2]).to(x))
        for layer in self.layers:
            x = layer(x, own)
        return x


def held(x: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
    """(B, T, C) with each row's last own frame in place of those behind it; own (B, T) bool."""
    if own is None:
        return x
    frame = torch.arange(x.shape[1], device=x.device)
    last = torch.minimum(frame, own.sum(1, keepdim=True) - 1)
    return x.gather(1, last[..., None].expand_as(x))


def normed(x: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
    """Every channel of (B, T, C) with zero mean and unit variance over each row's own frames (an instance norm)."""
    if own is None:
        centred = x - x.mean(1, keepdim=True)
        return centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + EPS)
    weight = own[..., None].to(x)
    count = weight.sum(1, keepdim=True)
    centred = (x - (x * weight).sum(1, keepdim=True) / count) * weight
    return centred * torch.rsqrt(centred.square().sum(1, keepdim=True) / count + EPS)


@dataclass(frozen=True)
class Quantised:
    """vectors: (B, T, parts · part_dim) out of the list, gradients going straight through to what was quantised.
    entries: (B, T, parts) their places in the list. error: (B, T) the quantiser's loss."""

    vectors: torch.Tensor
    entries: torch.Tensor
    error: torch.Tensor


class MotionCodes(nn.Module):
    """Codes of one head (B, T, dim) → vectors of the list → codes."""

    def __init__(self, dim: int, config: MotionCodesConfig) -> None:
        super().__init__()
        self.config = config
        width, vector = config.width, config.parts * config.part_dim
        self.reads = nn.Linear(dim, width)
        self.encoder, self.decoder = Half(config), Half(config)
        self.to_vectors = nn.Linear(width, vector) if config.projected else nn.Identity()
        self.from_vectors = nn.Linear(vector, width) if config.projected else nn.Identity()
        self.writes = nn.Linear(width, dim, bias=not config.projected)
        self.list = nn.Embedding(config.entries, config.part_dim)
        nn.init.uniform_(self.list.weight, -1 / config.entries, 1 / config.entries)

    def encode(self, codes: torch.Tensor, own: torch.Tensor | None = None) -> Quantised:
        """Codes (B, T, dim), own (B, T) bool → their vectors."""
        x = F.leaky_relu(self.reads(codes), self.config.slope)
        return self.quantise(self.to_vectors(self.encoder(x, own)))

    def quantise(self, x: torch.Tensor) -> Quantised:
        """(B, T, parts · part_dim) → the nearest vectors of the list."""
        cut = x.unflatten(-1, (self.config.parts, self.config.part_dim))
        table = self.list.weight
        far = cut.square().sum(-1, keepdim=True) + table.square().sum(-1) - 2 * cut @ table.T
        entries = far.argmin(-1)
        found = self.list(entries)
        error = COMMITMENT * (found.detach() - cut).square() + (found - cut.detach()).square()
        straight = cut + (found - cut).detach() if torch.is_grad_enabled() else found
        return Quantised(straight.flatten(2), entries, error.mean((-2, -1)))

    def decode(
        self, vectors: torch.Tensor, own: torch.Tensor | None = None, last: bool = False
    ) -> torch.Tensor:
        """Vectors (B, T, parts · part_dim) → codes (B, T, dim); last: of the last frame alone (B, 1, dim).

        Every frame depends on all of the row's.
        """
        x = self.decoder(self.from_vectors(vectors), own)
        return self.writes(x[:, -1:] if last else x)
