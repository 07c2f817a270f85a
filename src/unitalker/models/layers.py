"""Convolutions that know what they see ahead."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Conv(nn.Module):
    """1-D convolution over (B, T, C) with a kernel of 3 that sees `ahead` frames ahead and the rest behind.

    Frames outside the clip are zeros. ahead = dilation is the centred kernel, 0 the causal one.
    """

    def __init__(self, inputs: int, outputs: int, *, dilation: int = 1, ahead: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 3, dilation=dilation)
        self.behind, self.ahead = 2 * dilation - ahead, ahead

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, C) → (B, T, C')."""
        padded = F.pad(x.transpose(1, 2), (self.behind, self.ahead))
        return self.conv(padded).transpose(1, 2)
