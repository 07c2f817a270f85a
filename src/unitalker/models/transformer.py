"""Attention over motion frames and the two decoders made of it: all frames at once, identity beside or as the query."""

from __future__ import annotations

import math
from copy import copy

import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import (
    AutoregressiveDecoderConfig,
    CodeTalkerDecoderConfig,
    CrossDecoderConfig,
    TransformerDecoderConfig,
)

QUERIES = 1024
"""Frames whose attention biases are laid out at a time, so that without gradients memory grows with the clip's length,
not with its square."""


def positions(first: int, frames: int, width: int, period: int | None = None) -> torch.Tensor:
    """Sinusoidal positions (frames, width) from frame `first` on: sines in the even channels, cosines in the odd ones.

    Wavelengths go from 2π to 10000 · 2π frames (Vaswani et al. 2017, sec. 3.5). With a period, frame t has the
    position of frame t mod period (Fan et al. 2022, FaceFormer, Eq. 6).
    """
    t = torch.arange(first, first + frames)
    t = (t if period is None else t % period).float()[:, None]
    angles = t * torch.exp(torch.arange(0, width, 2).float() * (-math.log(10000.0) / width))
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :width]


def slopes(heads: int) -> list[float]:
    """How steeply each attention head forgets the past (Press et al. 2022, ALiBi): 2^(−8 i / heads), i = 1 … heads.

    For a count that is no power of two: those of the next lower power, then every second one of the next higher.
    """
    lower = 2 ** int(math.log2(heads))
    found = [2.0 ** (-8 * (i + 1) / lower) for i in range(lower)]
    return found if lower == heads else found + slopes(2 * lower)[0::2][: heads - lower]


def past_bias(heads: int, period: int, first: int, stop: int) -> torch.Tensor:
    """What is added to the attention of frames first … stop − 1 to frames 0 … stop − 1: (heads, stop − first, stop).

    Every whole period that a frame lies in the past costs the head's slope once; frames to come are shut out
    (FaceFormer, Eq. 7).
    """
    ago = torch.arange(first, stop)[:, None] - torch.arange(stop)
    bias = -torch.tensor(slopes(heads))[:, None, None] * ago.div(period, rounding_mode="floor")
    return bias.masked_fill(ago < 0, float("-inf"))


class Attention(nn.Module):
    """Multi-head attention of frames to frames of one sequence; its parameters are those of nn.MultiheadAttention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * width, width)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.zeros_(self.out_proj.bias)

    def split(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, T, width) → queries, keys and values, each (B, heads, T, width / heads)."""
        parts = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        query, key, value = parts.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return query, key, value

    def attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Queries (B, heads, T, D), keys and values (B, heads, S, D), biases or a mask of keys → (B, T, width)."""
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, mask, dropout)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def to_past(self, x: torch.Tensor, period: int) -> torch.Tensor:
        """Every frame of (B, T, width) attends to itself and the frames before it, under `past_bias`."""
        query, key, value = self.split(x)
        pieces = []
        for first in range(0, x.shape[1], QUERIES):
            stop = min(first + QUERIES, x.shape[1])
            bias = past_bias(self.heads, period, first, stop)[None].to(query)
            pieces.append(self.attend(query[:, :, first:stop], key[:, :, :stop], value[:, :, :stop], bias))
        return torch.cat(pieces, 1)

    def to_all(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Every frame of (B, T, width) attends to every frame of its row, or to those that valid (B, T) names."""
        return self.attend(*self.split(x), None if valid is None else valid[:, None, None])

    def to_own(self, x: torch.Tensor) -> torch.Tensor:
        """What a query gets that may attend to one frame alone, its own of (B, T, width): that frame's value.

        The softmax over one score is 1, so queries and keys do not matter. Dropout takes whole heads of a frame, as
        dropout of that one attention weight does.
        """
        width = x.shape[-1]
        value = F.linear(x, self.in_proj_weight[2 * width :], self.in_proj_bias[2 * width :])
        value = value.unflatten(-1, (self.heads, -1))
        kept = F.dropout(torch.ones_like(value[..., :1]), self.dropout, self.training)
        return self.out_proj((value * kept).flatten(-2))

    def to_few(self, x: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Every frame of (B, T, width) attends to n keys and values of its own (B, T, heads, n, D) → (B, T, width)."""
        width = x.shape[-1]
        query = F.linear(x, self.in_proj_weight[:width], self.in_proj_bias[:width])
        query = query.unflatten(-1, (self.heads, 1, -1))
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, None, dropout)
        return self.out_proj(mixed.flatten(2))

    def few(self, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """n features a frame (B, T, n, width) → their keys and values (B, T, heads, n, D) for `to_few`."""
        width = audio.shape[-1]
        both = F.linear(audio, self.in_proj_weight[width:], self.in_proj_bias[width:])
        key, value = both.unflatten(-1, (2, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        return key, value


class Sound:
    """What a layer's frames hear, made once for all of them: their one feature's value, or keys and values of a few."""

    def __init__(self, attention: Attention, audio: torch.Tensor) -> None:
        """audio: (B, T, width), or (B, T, n, width) with n features a frame."""
        self._attention = attention
        self._one = attention.to_own(audio) if audio.ndim == 3 else None
        self._few = None if audio.ndim == 3 else attention.few(audio)

    def at(self, frame: int) -> Sound:
        """Of one frame alone."""
        part = copy(self)
        if self._one is not None:
            part._one = self._one[:, frame : frame + 1]
        if self._few is not None:
            key, value = self._few
            part._few = key[:, frame : frame + 1], value[:, frame : frame + 1]
        return part

    def heard_by(self, x: torch.Tensor) -> torch.Tensor:
        """What the frames (B, T, width) get from it, (B, T, width)."""
        if self._few is not None:
            return self._attention.to_few(x, *self._few)
        assert self._one is not None
        return self._one


class EncoderLayer(nn.Module):
    """One layer: attention to all frames, feed-forward; each added and then normed.

    Parameters are those of nn.TransformerEncoderLayer, by the same names.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Frames (B, T, width), those that belong to their row (B, T) bool → (B, T, width)."""
        x = self.norm1(x + self.dropout(self.self_attn.to_all(x, valid)))
        wide = self.dropout(F.relu(self.linear1(x)))
        return self.norm2(x + self.dropout(self.linear2(wide)))


class TransformerDecoder(nn.Module):
    """The paper's other decoder (sec. 8.1): a transformer encoder over the audio features, identity joined to each.

    The identity table has one row more than there are identities: the last is the pivot.
    """

    def __init__(self, features: int, identities: int, config: TransformerDecoderConfig) -> None:
        super().__init__()
        self.identity = nn.Embedding(identities + 1, config.identity_dim)
        self.map = nn.Linear(features, config.width)
        self.join = nn.Linear(config.width + config.identity_dim, config.width)
        self.layers = nn.ModuleList(
            EncoderLayer(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, features: torch.Tensor, identity: torch.Tensor, valid: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Features (B, T, F), identity embeddings (B, identity_dim) → (B, T, width).

        valid: (B, T) bool, the frames that belong to their row; nothing attends to the others.
        """
        audio = self.map(features)
        style = identity[:, None].expand(-1, audio.shape[1], -1)
        x = self.join(torch.cat([audio, style], -1))
        x = self.dropout(x + positions(0, x.shape[1], x.shape[2]).to(x))
        for layer in self.layers:
            x = layer(x, valid)
        return x


class CrossLayer(nn.Module):
    """One layer: attention to the own past, to the own frame's audio, feed-forward; each added and then normed.

    Parameters are those of nn.TransformerDecoderLayer, by the same names.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, dropout)
        self.multihead_attn = Attention(width, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, audio: torch.Tensor, period: int) -> torch.Tensor:
        """Frames (B, T, width), their audio (B, T, width), or (B, T, n, width) with n features each → (B, T, width)."""
        return self.rest(x, self.self_attn.to_past(x, period), self.hears(audio))

    def hears(self, audio: torch.Tensor) -> Sound:
        """What the frames will hear of their audio (B, T, width) or (B, T, n, width)."""
        return Sound(self.multihead_attn, audio)

    def rest(self, x: torch.Tensor, past: torch.Tensor, sound: Sound) -> torch.Tensor:
        """The layer once it is known what the frames (B, T, width) get from their past, (B, T, width), and can hear."""
        x = self.norm1(x + self.dropout(past))
        x = self.norm2(x + self.dropout(sound.heard_by(x)))
        wide = self.dropout(F.relu(self.linear1(x)))
        return self.norm3(x + self.dropout(self.linear2(wide)))


def cross_layers(
    config: CrossDecoderConfig | AutoregressiveDecoderConfig | CodeTalkerDecoderConfig,
) -> nn.ModuleList:
    """The layers that the configuration asks for."""
    return nn.ModuleList(CrossLayer(config.width, config.heads, config.dropout) for _ in range(config.layers))


class CrossDecoder(nn.Module):
    """The release's transformer: identity, repeated and position-encoded, queries the audio frame by frame.

    The identity table has one row more than there are identities: the last is the pivot.
    """

    def __init__(self, features: int, identities: int, config: CrossDecoderConfig) -> None:
        super().__init__()
        self.period = config.period
        self.identity = nn.Embedding(identities + 1, config.width)
        self.map = nn.Linear(features, config.width)
        self.layers = cross_layers(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, features: torch.Tensor, identity: torch.Tensor, valid: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Features (B, T, F) or two a frame (B, T, 2, F), identity embeddings (B, width) → (B, T, width).

        valid: (B, T) bool, the frames that belong to their row. They come first and no frame looks ahead, so the
        others change nothing.
        """
        audio = self.map(features)
        place = positions(0, audio.shape[1], audio.shape[-1], self.period).to(audio)
        x = self.dropout(identity[:, None] + place)
        for layer in self.layers:
            x = layer(x, audio, self.period)
        return x
