"""The frequency adaptor: frames at one rate → frames at another, linear, a whole padded batch at once."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def frame_mask(counts: torch.Tensor, width: int) -> torch.Tensor:
    """Counts (B,) → (B, width) bool: which frames of a padded batch belong to their row."""
    return torch.arange(width, device=counts.device) < counts[:, None]


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
    times = torch.arange(start, start + frames, dtype=torch.float64) * (rate / fps)
    return _read(features, times.expand(len(features), -1), torch.full((len(features),), features.shape[1]))


def adapt_aligned_rows(features: torch.Tensor, frames: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """`adapt_aligned` with the first counts[b] features of each row → frames[b] frames: (B, max(frames), C).

    Frames after a row's own are zeros. Positions are made in single precision, as PyTorch's interpolation makes them.
    """
    step = (counts - 1).float() / (frames - 1).clamp(min=1)
    places = torch.arange(int(frames.max()), device=frames.device) * step[:, None]
    return _own(_read(features, places, counts), frames)


def adapt_clock_rows(
    features: torch.Tensor,
    frames: torch.Tensor,
    fps: torch.Tensor,
    rate: float,
    counts: torch.Tensor,
    start: int = 0,
) -> torch.Tensor:
    """`adapt_clock` with frames (B,), fps (B,) and counts (B,) of each row: (B, max(frames), C), zeros behind."""
    times = torch.arange(start, start + int(frames.max()), dtype=torch.float64, device=frames.device)
    return _own(_read(features, times * (rate / fps.double())[:, None], counts), frames)


def _read(features: torch.Tensor, places: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Values (B, F, C) of features (B, T, C) at fractional places (B, F), clamped to each row's first counts (B,)."""
    last = (counts - 1)[:, None]
    places = torch.minimum(places.clamp(min=0), last.to(places))
    low = places.floor().long()
    part = (places - low).to(features.device, torch.promote_types(features.dtype, torch.float32))[..., None]
    first = torch.arange(len(features), device=low.device)[:, None] * features.shape[1]
    table = features.reshape(-1, features.shape[2])
    before = F.embedding((first + low).to(table.device), table)
    after = F.embedding((first + torch.minimum(low + 1, last)).to(table.device), table)
    return (before * (1 - part) + after * part).to(features.dtype)


def _own(values: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    return values.masked_fill(~frame_mask(frames, values.shape[1]).to(values.device)[..., None], 0.0)


def pairs(features: torch.Tensor, frames: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Features (B, T, C) at 50 Hz → the two of every frame at 25 fps (B, max(frames), 2, C).

    A row's frames (B,) that its counts (B,) of features do not reach hold the last feature.
    """
    wanted = torch.arange(2 * int(frames.max()), device=frames.device)
    places = torch.minimum(wanted, (counts - 1)[:, None]).to(features.device)
    picked = features.gather(1, places[..., None].expand(-1, -1, features.shape[2]))
    return picked.unflatten(1, (-1, 2))
