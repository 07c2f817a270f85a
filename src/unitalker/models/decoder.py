"""Frequency adaptor and TCN motion decoder."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import TCNDecoderConfig
from unitalker.models.layers import Conv


def adapt_aligned(features: torch.Tensor, frames: int) -> torch.Tensor:
    """The paper's frequency adaptor: (B, T, C) → (B, frames, C), linear, first and last frames aligned."""
    if features.shape[1] == frames:
        return features
    return F.interpolate(features.transpose(1, 2), size=frames, mode="linear", align_corners=True).transpose(
        1, 2
    )


def adapt_clock(features: torch.Tensor, frames: int, fps: float, rate: float, start: int = 0) -> torch.Tensor:
    """Features (B, T, C) whose first stands at time 0 → values at the clock times (start + i) / fps, linear.

    The result does not depend on how long the sound goes on; times after the last feature hold it.
    """
    where = (torch.arange(start, start + frames, dtype=torch.float64) * (rate / fps)).clamp(
        0, features.shape[1] - 1
    )
    low = where.floor().long()
    high = (low + 1).clamp(max=features.shape[1] - 1)
    part = (where - low).to(features).reshape(1, -1, 1)
    low, high = low.to(features.device), high.to(features.device)
    return features[:, low] * (1 - part) + features[:, high] * part


def frame_mask(counts: torch.Tensor, width: int) -> torch.Tensor:
    """Counts (B,) → (B, width) bool: which frames of a padded batch belong to their row."""
    return torch.arange(width, device=counts.device) < counts[:, None]


class ConvBlock(nn.Module):
    """[conv k=3 → LayerNorm over channels → + residual → ReLU]; the residual is a convolution where widths differ."""

    def __init__(self, inputs: int, outputs: int, ahead: int) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs, ahead=ahead)
        self.norm = nn.LayerNorm(outputs)
        self.residual = Conv(inputs, outputs, ahead=ahead) if inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, C) → (B, T, C')."""
        return F.relu(self.norm(self.conv(x)) + self.residual(x))


class TCNDecoder(nn.Module):
    """Audio features + identity → hidden states (B, T, width).

    The identity table has one row more than there are identities: the last is the pivot.
    """

    def __init__(self, features: int, identities: int, config: TCNDecoderConfig) -> None:
        super().__init__()
        self.identity = nn.Embedding(identities + 1, config.identity_dim)
        self.map = nn.Linear(features, config.width)
        self.dropout = nn.Dropout(config.dropout)
        first = config.width + config.identity_dim
        widths = (first, config.width, config.width)
        self.blocks = nn.ModuleList(
            ConvBlock(w, config.width, ahead) for w, ahead in zip(widths, config.ahead, strict=True)
        )

    def forward(
        self, features: torch.Tensor, identity: torch.Tensor, valid: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Features (B, T, F), identity embeddings (B, identity_dim) → (B, T, width).

        valid: (B, T) bool, the frames that belong to their row; the others count as the zeros after a clip's end.
        """
        x = self.dropout(self.map(features))
        style = identity[:, None].expand(-1, x.shape[1], -1)
        x = torch.cat([x, style], -1)
        for block in self.blocks:
            x = block(x if valid is None else x * valid[..., None])
        return x
