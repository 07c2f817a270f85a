"""Padded batches of sound: what lies behind a row's own samples never counts."""

from __future__ import annotations

import torch
from torch import nn

from unitalker.models.adaptor import frame_mask


def trim(samples: torch.Tensor, lengths: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Samples (B, N) and the number of each row's own (B,) → samples cut to the longest, zeros behind each row.

    The lengths come back on the samples' device, or None where every row is whole.
    """
    if lengths is None:
        return samples, None
    shortest, longest = lengths.aminmax()
    samples = samples[:, : int(longest)]
    if int(shortest) == samples.shape[1]:
        return samples, None
    lengths = lengths.to(samples.device, non_blocking=True)
    return samples.masked_fill(~frame_mask(lengths, samples.shape[1]), 0.0), lengths


def normalise(samples: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """Zero mean and unit variance of each row's own samples, variance + 1e-7 as transformers' feature extractors do.

    Samples (B, N), zeros behind each row's lengths (B,); they stay zeros.
    """
    if lengths is None:
        spread = samples.var(-1, keepdim=True, unbiased=False)
        return (samples - samples.mean(-1, keepdim=True)) / torch.sqrt(spread + 1e-7)
    own, count = frame_mask(lengths, samples.shape[1]), lengths[:, None]
    centred = (samples - samples.sum(-1, keepdim=True) / count) * own
    return centred / torch.sqrt(centred.square().sum(-1, keepdim=True) / count + 1e-7)


def group_norm(x: torch.Tensor, counts: torch.Tensor, norm: nn.GroupNorm) -> torch.Tensor:
    """A GroupNorm with one channel a group over each row's own frames: (B, C, T), counts (B,) → (B, C, T).

    What is behind a row's frames is replaced by the row's mean, so that one pass finds the variance of the rest; to
    save a copy of what may be gigabytes, x itself is overwritten there. Frames that are every row's own are left alone;
    on a GPU, where asking for their number means a wait, all are looked at.
    """
    shared = int(counts.min()) if counts.device.type == "cpu" else 0
    wide, count = x.float(), counts[:, None, None]
    behind = ~frame_mask(counts - shared, x.shape[-1] - shared)[:, None]
    tail = wide[..., shared:].masked_fill_(behind, 0.0)
    mean = wide.sum(-1, keepdim=True) / count
    tail.copy_(torch.where(behind, mean, tail))
    spread = wide.var(-1, keepdim=True, unbiased=False) * (x.shape[-1] / count)
    scale = torch.rsqrt(spread + norm.eps) * norm.weight[:, None]
    return torch.addcmul(norm.bias[:, None] - mean * scale, wide, scale).to(x.dtype)
