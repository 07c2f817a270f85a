"""What a baseline's decoder is: it has all that lies between features and codes, and its own loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn

from unitalker.models.adaptor import frame_mask


@dataclass(frozen=True)
class Heard:
    """What a decoder hears of a batch.

    features: (B, T, F) at the motion's frame rate; (B, T, 2, F), two of 50 Hz for each frame, with the adaptor
    "paired"; (B, T50, F) at 50 Hz with the adaptor "decoder". (B, 0, F) for a decoder that hears nothing.
    frames: (B,) motion frames of each row, on the CPU; the longest row's are what is asked for.
    counts: (B,) of the features' second axis, those that are each row's own, on the CPU.
    """

    features: torch.Tensor
    frames: torch.Tensor
    counts: torch.Tensor

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
