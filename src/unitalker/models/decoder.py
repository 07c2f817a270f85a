"""The TCN motion decoder."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import TCNDecoderConfig
from unitalker.models.layers import Conv


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
