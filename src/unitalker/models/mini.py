"""The small encoder of the embedded model: log-mel levels, then dilated convolutions with a bounded look-ahead."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import FEATURE_RATE, SAMPLE_RATE, MiniEncoderConfig
from unitalker.models.adaptor import frame_mask
from unitalker.models.frontend import (
    HOP,
    RANGE_DB,
    UNIT_DB,
    WINDOW,
    LevelState,
    level,
    log_mel,
    mel_filters,
)
from unitalker.models.layers import Conv
from unitalker.models.padding import trim

STEP = SAMPLE_RATE // FEATURE_RATE
"""Samples between features; feature k stands at sample k·STEP."""
MEL_PER_FEATURE = STEP // HOP
MEL_KERNEL = 2 * MEL_PER_FEATURE
TAIL = 6
"""Features of silence that are computed after the last, so that the end of a sound is heard as silence."""
SILENCE = (-RANGE_DB / UNIT_DB, 0.0)
"""Levelled log-mel of silence: relative to the peak, relative to the floor."""


class Block(nn.Module):
    """Residual block: norm → convolution → ReLU → mix → + input."""

    def __init__(self, width: int, dilation: int, ahead: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = Conv(width, width, dilation=dilation, ahead=ahead)
        self.mix = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, own: torch.Tensor | None = None) -> torch.Tensor:
        """(B, T, C) → (B, T, C). own: (B, T, 1) bool, frames that belong to their row; the others are heard as zeros."""
        normed = self.norm(x)
        normed = normed if own is None else normed.masked_fill(~own, 0.0)
        return x + self.dropout(self.mix(F.relu(self.conv(normed))))


class MiniEncoder(nn.Module):
    """Waveform → features (B, T, width) at 50 Hz; feature k stands at k / 50 s.

    A feature sees `seconds_ahead` of sound after its own time and `frames_behind` feature frames before it (beside
    the two running levels of the front end, which reach back to the start of the sound).
    """

    filters: torch.Tensor

    def __init__(self, config: MiniEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.size = config.width
        self.register_buffer("filters", torch.as_tensor(mel_filters(config.mels)), persistent=False)
        self.entry = nn.Conv1d(2 * config.mels, config.width, MEL_KERNEL, stride=MEL_PER_FEATURE)
        self.blocks = nn.ModuleList(
            Block(config.width, d, int(i < config.lookahead), config.dropout)
            for i, d in enumerate(config.dilations)
        )
        self.norm = nn.LayerNorm(config.width)

    @property
    def frames_behind(self) -> int:
        """Feature frames before its own that a feature depends on, levels aside."""
        return sum(2 * d for d in self.config.dilations) - self.config.lookahead + 2

    @property
    def seconds_ahead(self) -> float:
        """Sound after a feature's time that the feature depends on."""
        return self.config.lookahead / FEATURE_RATE + WINDOW / 2 / SAMPLE_RATE

    def mel_features(
        self, samples: torch.Tensor, state: LevelState, filters: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Padded samples (B, WINDOW + HOP·(M−1)) → levelled log-mel (B, M, 2·mels).

        filters: other mel filters, (bins, mels) or one set a row (B, bins, mels).
        """
        return level(log_mel(samples, self.filters if filters is None else filters), state)

    def encode_mel(self, mel: torch.Tensor, counts: torch.Tensor | None = None) -> torch.Tensor:
        """Levelled log-mel (B, M, 2·mels), its first frame at time 0 → features (B, ceil(M / 2), width).

        Feature k reads mel frames 2k−3 … 2k: nothing ahead of its own time. Frames before the first are silence.
        counts: (B,) features that belong to each row of a padded batch.
        """
        bands = self.config.mels
        quiet = torch.cat([mel.new_full((bands,), level) for level in SILENCE]).expand(
            len(mel), MEL_KERNEL - 1, -1
        )
        x = self.entry(torch.cat([quiet, mel], 1).transpose(1, 2)).transpose(1, 2)
        own = None if counts is None else frame_mask(counts, x.shape[1])[..., None]
        for block in self.blocks:
            x = block(x, own)
        return self.norm(x)

    def counts(self, lengths: torch.Tensor) -> torch.Tensor:
        """Samples (B,) → features (B,) of each row."""
        return torch.div(lengths, STEP, rounding_mode="floor") + 1 + TAIL

    def forward(
        self,
        samples: torch.Tensor,
        lengths: torch.Tensor | None = None,
        filters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Samples (B, N) at 16 kHz → features (B, N // 320 + 1 + TAIL, width). filters: as in `mel_features`.

        lengths: (B,) samples that are each row's own, all by default; row b is what they alone would give, and what
        is behind its own features (`counts`) means nothing.
        """
        samples, lengths = trim(samples, lengths)
        count = samples.shape[-1] // STEP + 1 + TAIL
        need = (MEL_PER_FEATURE * (count - 1)) * HOP + WINDOW
        padded = F.pad(samples, (WINDOW // 2, max(0, need - WINDOW // 2 - samples.shape[-1])))[:, :need]
        with torch.autocast(samples.device.type, enabled=False):
            mel = self.mel_features(padded, LevelState(), filters)
        return self.encode_mel(mel, None if lengths is None else self.counts(lengths))
