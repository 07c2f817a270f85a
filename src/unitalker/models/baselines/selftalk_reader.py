"""SelfTalk's lip reader: from the motion of lips back to speech features and letters, and the recogniser it is held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import LipReadingConfig
from unitalker.models.adaptor import adapt_aligned_rows, frame_mask
from unitalker.models.baselines.own import Heard


class LipReader(nn.Module):
    """Codes of lips → features at 50 Hz, as a speech recogniser would hear them → letters.

    The recogniser, a published encoder with its letters, never trains and is always in evaluation.
    """

    def __init__(
        self, config: LipReadingConfig, heads: Mapping[str, int], lips: Mapping[str, Sequence[int]]
    ) -> None:
        super().__init__()
        from unitalker.models.hf import Recogniser

        self.config = config
        self.recogniser = Recogniser(config.recogniser, config.letters).requires_grad_(False).eval()
        width = self.recogniser.encoder.size
        self.columns = {name: _columns(lips.get(name), dim) for name, dim in heads.items()}
        self.lips = nn.ModuleDict({name: nn.Linear(len(c), width) for name, c in self.columns.items()})
        self.transformer = nn.Transformer(
            width, config.heads, config.layers, config.layers, config.inner, config.dropout, batch_first=True
        )
        self.transformer.encoder.use_nested_tensor = False
        self.letters = nn.Linear(width, config.letters)

    def load_pretrained(self) -> None:
        """Give the recogniser its published weights, unless its settings say otherwise. Raises ModelError."""
        if self.config.recogniser.pretrained:
            self.recogniser.load_pretrained()

    def train(self, mode: bool = True) -> LipReader:
        """Switch to training or evaluation; the recogniser stays in evaluation."""
        super().train(mode)
        self.recogniser.eval()
        return self

    def forward(
        self, codes: torch.Tensor, name: str, heard: Heard, most: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes (B, T, dim) of a head and the sound of their rows → the error in features and in letters, (B,) each.

        most: (B,) features of 50 Hz that are compared at most.
        """
        assert heard.samples is not None
        assert heard.lengths is not None
        with torch.no_grad():
            spoken, logits = self.recogniser(heard.samples, heard.lengths)
        counts = self.recogniser.encoder.counts(heard.lengths.cpu())
        counts = counts if most is None else torch.minimum(counts, most)
        read = self.read(codes, name, heard.frames, counts)
        own = frame_mask(counts, read.shape[1]).to(read.device)
        error = (read.float() - spoken[:, : read.shape[1]].float()).square().mean(-1)
        latent = (error * own).sum(1) / own.sum(1)
        return latent, self._text_error(self.letters(read), logits[:, : read.shape[1]], counts)

    def read(
        self, codes: torch.Tensor, name: str, frames: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Codes (B, T, dim), each row's own frames (B,) → features (B, max(counts), width), counts (B,) of them a row's
        own."""
        lips = self.lips[name](codes[..., torch.as_tensor(self.columns[name], device=codes.device)])
        x = adapt_aligned_rows(lips, counts, frames)
        behind = ~frame_mask(counts, x.shape[1]).to(x.device)
        masks = dict.fromkeys(
            ("src_key_padding_mask", "tgt_key_padding_mask", "memory_key_padding_mask"), behind
        )
        return self.transformer(x, x, **masks)

    def _text_error(self, read: torch.Tensor, heard: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """CTC loss (B,) per letter of what was read (B, T, letters) against the likeliest letters of what was heard."""
        texts = [
            spelled(row[:count].argmax(-1), self.config.blank, self.config.space)
            for row, count in zip(heard, counts.tolist(), strict=True)
        ]
        sizes = torch.tensor([len(text) for text in texts])
        logs = F.log_softmax(read.float(), -1).transpose(0, 1)
        flat = torch.cat(texts).to(logs.device)
        loss = F.ctc_loss(logs, flat, counts, sizes, self.config.blank, reduction="none", zero_infinity=True)
        return loss / sizes.clamp(min=1).to(loss)


def _columns(rows: Sequence[int] | None, dim: int) -> np.ndarray:
    """The numbers of so many that vertices (rows) have, all where there are no rows."""
    return np.arange(dim) if rows is None else (3 * np.array(rows)[:, None] + np.arange(3)).ravel()


def spelled(letters: torch.Tensor, blank: int, space: int) -> torch.Tensor:
    """The likeliest letter of every feature (T,) → the text: runs as one letter, no blanks, no space at either end."""
    text = torch.unique_consecutive(letters.cpu())
    text = text[text != blank]
    inside = (text != space).nonzero()
    return text[int(inside[0]) : int(inside[-1]) + 1] if len(inside) else text[:0]
