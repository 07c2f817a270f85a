"""What a baseline's decoder is: it has all that lies between features and codes, and its own loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn

from unitalker.config import FEATURE_RATE
from unitalker.models.adaptor import adapt_aligned_rows, frame_mask, pairs


@dataclass(frozen=True)
class Heard:
    """What a decoder hears of a batch.

    features: (B, T, F) at the motion's frame rate; (B, T, 2, F), two of 50 Hz for each frame, with the adaptor
    "paired"; (B, T50, F) at 50 Hz with the adaptor "decoder". (B, 0, F) for a decoder that hears nothing.
    frames: (B,) motion frames of each row, on the CPU; the longest row's are what is asked for.
    counts: (B,) of the features' second axis, those that are each row's own, on the CPU.
    fps: (B,) frames a second, on the CPU.
    samples, lengths: in training the sound itself (B, N) at 16 kHz, and how much of it is each row's own (B,).
    """

    features: torch.Tensor
    frames: torch.Tensor
    counts: torch.Tensor
    fps: torch.Tensor
    samples: torch.Tensor | None = None
    lengths: torch.Tensor | None = None

    def two(self) -> torch.Tensor:
        """(B, frames, 2, F) of features at 50 Hz (adaptor "decoder"), in the way of published baselines: at 25 fps each
        frame's own two, else those at twice the frame rate, interpolated with aligned corners."""
        own = self.fps * 2 == FEATURE_RATE
        if bool(own.all()):
            return pairs(self.features, self.frames, (self.counts - self.counts % 2).clamp(min=1))
        between = adapt_aligned_rows(self.features, 2 * self.frames, self.counts).unflatten(1, (-1, 2))
        if not bool(own.any()):
            return between
        near = pairs(self.features, self.frames, (self.counts - self.counts % 2).clamp(min=1))
        return torch.where(own.to(near.device)[:, None, None, None], near, between)

    @property
    def own(self) -> torch.Tensor:
        """(B, frames) bool on the features' device: the motion frames that belong to their row."""
        return frame_mask(self.frames, int(self.frames.max())).to(self.features.device)


class OwnDecoder(nn.Module, ABC):
    """A decoder from what is heard to the codes of any head, heads included. The contract is in this package's text.

    identity: table of identity embeddings, one row more than there are identities (the last is the pivot).
    losses: names of the terms that `terms` gives.
    from_sound: whether it predicts from sound at all.
    """

    identity: nn.Embedding
    losses: tuple[str, ...] = ("motion",)
    from_sound: bool = True

    def load_pretrained(self) -> None:
        """Give the parts that begin with published weights theirs; most have none. Raises ModelError."""

    @abstractmethod
    def codes(self, heard: Heard, identity: torch.Tensor, name: str) -> torch.Tensor:
        """Identity embeddings (B, E), a head's name → its codes (B, frames, head_dim), as at inference."""

    @abstractmethod
    def terms(
        self,
        heard: Heard,
        identity: torch.Tensor,
        name: str,
        true: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor | None, dict[str, torch.Tensor]]:
        """True codes (B, frames, head_dim) → codes predicted in training, where there are any, and each loss (B, frames).

        mask: (head_dim,) zeros for numbers whose truth is unknown. Weights are in the losses already: their sum is
        what is minimised, each row as the mean over its own frames.
        """
