"""UniTalker: audio encoder → frequency adaptor → motion decoder with identity → one head per annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from unitalker.config import (
    FEATURE_RATE,
    SAMPLE_RATE,
    AutoregressiveDecoderConfig,
    CrossDecoderConfig,
    TCNDecoderConfig,
    TransformerDecoderConfig,
    UniTalkerConfig,
)
from unitalker.errors import ModelError, unknown
from unitalker.models.adaptor import (
    adapt_aligned,
    adapt_aligned_rows,
    adapt_clock,
    adapt_clock_rows,
    frame_mask,
    pairs,
)
from unitalker.models.autoregressive import AutoregressiveDecoder
from unitalker.models.baselines.own import Heard, OwnDecoder
from unitalker.models.baselines.table import build
from unitalker.models.decoder import TCNDecoder
from unitalker.models.mini import MiniEncoder
from unitalker.models.transformer import CrossDecoder, TransformerDecoder
from unitalker.motion import frame_count

if TYPE_CHECKING:
    from unitalker.models.hf import HFEncoder

Decoder = TCNDecoder | TransformerDecoder | CrossDecoder | AutoregressiveDecoder | OwnDecoder
PIVOT = "pivot"


def build_encoder(config: UniTalkerConfig) -> MiniEncoder | HFEncoder:
    """The encoder that the configuration names; the transformers library is imported only for its own kinds."""
    if config.encoder.kind == "mini":
        return MiniEncoder(config.encoder)
    from unitalker.models.hf import HFEncoder

    return HFEncoder(config.encoder)


def build_decoder(features: int, config: UniTalkerConfig) -> Decoder:
    """The motion decoder that the configuration names, over features of that size."""
    match config.decoder:
        case TCNDecoderConfig():
            return TCNDecoder(features, len(config.identities), config.decoder)
        case TransformerDecoderConfig():
            return TransformerDecoder(features, len(config.identities), config.decoder)
        case CrossDecoderConfig():
            return CrossDecoder(features, len(config.identities), config.decoder)
        case AutoregressiveDecoderConfig():
            return AutoregressiveDecoder(features, len(config.identities), config.decoder, config.heads)
        case _:
            return build(features, config)


class UniTalker(nn.Module):
    """The multi-head model of the paper.

    Heads are linear and start at zero, so an untrained head is a resting face. `forward` takes one waveform batch and
    any set of heads; every head reads the same hidden states.
    """

    def __init__(self, config: UniTalkerConfig) -> None:
        super().__init__()
        self.encoder = build_encoder(config)
        self.config = config.model_copy(update={"encoder": self.encoder.config})
        self.decoder = build_decoder(self.encoder.size, config)
        alone = isinstance(self.decoder, OwnDecoder)
        heads = {} if alone else config.heads
        self.heads = nn.ModuleDict({n: _zero_head(config.decoder.width, dim) for n, dim in heads.items()})
        if not self.from_sound:
            self.encoder.requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where the weights lie, and where samples must come."""
        return self.decoder.identity.weight.device

    @property
    def from_sound(self) -> bool:
        """Whether it predicts from sound; a baseline's first stage may not."""
        return not isinstance(self.decoder, OwnDecoder) or self.decoder.from_sound

    def identity_row(self, name: str) -> int:
        """Row of an identity name; 'pivot' is the last row. Raises ModelError with the nearest names."""
        if name == PIVOT:
            return len(self.config.identities)
        try:
            return self.config.identities.index(name)
        except ValueError:
            raise ModelError(unknown("identity", name, (PIVOT, *self.config.identities))) from None

    def embed(self, mixture: Mapping[str, float] | Sequence[int] | torch.Tensor) -> torch.Tensor:
        """Identity embeddings (B, identity_dim): of rows (B,), or one of a weighted mixture of names (weights sum to 1)."""
        if isinstance(mixture, Mapping):
            rows = torch.tensor([self.identity_row(n) for n in mixture], device=self.device)
            found = self.decoder.identity(rows)
            return (found.new_tensor(list(mixture.values()))[:, None] * found).sum(0, keepdim=True)
        return self.decoder.identity(torch.as_tensor(mixture, device=self.device))

    def features(
        self, samples: torch.Tensor, frames: int | torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Samples (B, N) at 16 kHz → the encoder's features (B, T, F), for `hidden`.

        frames: motion frames of all rows or of each (B,), read where the adaptor stands before the transformer.
        lengths: (B,) samples that are each row's own in a padded batch; `encoder.counts` tells their features.
        """
        if self.config.adaptor == "before_transformer":
            return self.encoder(samples, lengths, torch.as_tensor(frames).expand(len(samples)))
        if self.config.adaptor == "paired" and not isinstance(self.encoder, MiniEncoder):
            return self.encoder(samples, lengths, most=2 * torch.as_tensor(frames).expand(len(samples)))
        return self.encoder(samples, lengths)

    def frame_count(self, samples: int, fps: float) -> int:
        """Motion frames of a sound of so many samples, by the configuration's `length`."""
        clock = frame_count(samples / SAMPLE_RATE, fps)
        if self.config.length == "clock" or isinstance(self.encoder, MiniEncoder):
            return clock
        features = int(self.encoder.counts(torch.tensor([max(samples, self.encoder.shortest)])))
        return features // 2 if self.config.adaptor == "paired" else int(features / FEATURE_RATE * fps)

    def hidden(
        self,
        features: torch.Tensor,
        identity: torch.Tensor,
        fps: float | torch.Tensor,
        frames: int | torch.Tensor,
        start: int = 0,
        counts: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Features (B, T, F) at 50 Hz → hidden states (B, frames, width) at the times (start + i) / fps.

        fps and frames may be (B,), one a row; the result is then max(frames) long. counts: (B,) features that belong
        to each row of a padded batch. With the adaptor before the transformer, features come at the motion's rate.
        Raises ModelError for the autoregressive decoder and for baselines, whose states are each head's own.
        """
        if isinstance(self.decoder, AutoregressiveDecoder | OwnDecoder):
            raise ModelError(
                f"A decoder of kind {self.config.decoder.kind!r} has no hidden states that heads share; ask for the "
                "codes of a head."
            )
        if self.config.adaptor == "after_decoder":
            own = None if counts is None else frame_mask(counts, features.shape[1]).to(features.device)
            return self.adapt(self.decoder(features, identity, own), fps, frames, start, counts)
        if self.config.adaptor == "after_encoder":
            features = self.adapt(features, fps, frames, start, counts)
        if self.config.adaptor == "paired":
            features = self.heard(features, fps, frames, counts).features
        own = None
        if isinstance(frames, torch.Tensor):
            own = frame_mask(frames, features.shape[1]).to(features.device)
        return self.decoder(features, identity, own)

    def adapt(
        self,
        x: torch.Tensor,
        fps: float | torch.Tensor,
        frames: int | torch.Tensor,
        start: int = 0,
        counts: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The frequency adaptor: (B, T, C) at 50 Hz → (B, frames, C), on the grid that the configuration names.

        fps, frames and counts as in `hidden`; frames after a row's own are zeros.
        """
        aligned = self.config.grid == "aligned_corners"
        if isinstance(frames, int) and isinstance(fps, float | int) and counts is None:
            return adapt_aligned(x, frames) if aligned else adapt_clock(x, frames, fps, FEATURE_RATE, start)
        wanted = torch.as_tensor(frames).expand(len(x))
        have = torch.as_tensor(x.shape[1] if counts is None else counts, device=wanted.device).expand(len(x))
        if aligned:
            return adapt_aligned_rows(x, wanted, have)
        rates = torch.as_tensor(fps, dtype=torch.float64, device=wanted.device).expand(len(x))
        return adapt_clock_rows(x, wanted, rates, FEATURE_RATE, have, start)

    def codes(
        self,
        features: torch.Tensor,
        identity: torch.Tensor,
        fps: float | torch.Tensor,
        frames: int | torch.Tensor,
        names: Sequence[str],
        counts: torch.Tensor | None = None,
        true: Mapping[str, torch.Tensor] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Features (B, T, F) → codes (B, frames, head_dim) of each head asked for; see `hidden`.

        true: the true codes (B, frames, head_dim) by head, which an autoregressive decoder is fed in training where
        it is set to `teacher_forcing`; raises ModelError where they are missing then. Nothing else looks at them.
        """
        if isinstance(self.decoder, OwnDecoder):
            heard = self.heard(features, fps, frames, counts)
            return {name: self.decoder.codes(heard, identity, name) for name in names}
        if not isinstance(self.decoder, AutoregressiveDecoder):
            hidden = self.hidden(features, identity, fps, frames, counts=counts)
            return {name: self.head(name)(hidden) for name in names}
        if self.config.adaptor != "after_decoder":
            features = self.heard(features, fps, frames, counts).features
        codes = {n: self.decoder(features, identity, n, self.head(n), self._fed(n, true)) for n in names}
        if self.config.adaptor == "after_decoder":
            return {n: self.adapt(c, fps, frames, counts=counts) for n, c in codes.items()}
        return codes

    def heard(
        self,
        features: torch.Tensor,
        fps: float | torch.Tensor,
        frames: int | torch.Tensor,
        counts: torch.Tensor | None = None,
    ) -> Heard:
        """Features (B, T, F), as `features` gives them, in the form in which a decoder with heads of its own hears them.

        fps, frames and counts as in `hidden`. Raises ModelError for pairs of features at another rate than 25.
        """
        rows = torch.as_tensor(frames).expand(len(features)).cpu()
        have = torch.full((len(features),), features.shape[1]) if counts is None else counts.cpu()
        rates = torch.as_tensor(fps, dtype=torch.float64).expand(len(features)).cpu()
        if self.config.adaptor == "paired":
            if not bool((rates * 2 == FEATURE_RATE).all()):
                raise ModelError(
                    f"This model reads two features for each frame, so it knows {FEATURE_RATE / 2:g} frames a second "
                    f"alone, not {fps}."
                )
            return Heard(pairs(features, rows, (have - have % 2).clamp(min=1)), rows, rows, rates)
        if self.config.adaptor == "after_encoder":
            return Heard(self.adapt(features, fps, frames, counts=counts), rows, rows, rates)
        if self.config.adaptor == "before_transformer":
            return Heard(features[:, : int(rows.max())], rows, rows, rates)
        return Heard(features, rows, have, rates)

    def _fed(self, name: str, true: Mapping[str, torch.Tensor] | None) -> torch.Tensor | None:
        """The true codes of a head where they are to be fed back, else none."""
        decoder = self.config.decoder
        if decoder.kind != "autoregressive" or not (decoder.teacher_forcing and self.training):
            return None
        if true is None or name not in true:
            raise ModelError(
                f"Training with teacher_forcing needs the true codes of {name!r}; give them, or set "
                "decoder.teacher_forcing to false."
            )
        return true[name]

    def forward(
        self, samples: torch.Tensor, identity: torch.Tensor, fps: float, frames: int, heads: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        """Samples (B, N), identity embeddings (B, E) → codes (B, frames, head_dim) of each head asked for."""
        return self.codes(self.features(samples, frames), identity, fps, frames, heads)

    def head(self, name: str) -> nn.Module:
        """One head. Raises ModelError with the nearest names."""
        if name not in self.heads:
            raise ModelError(unknown("annotation", name, self.heads))
        return self.heads[name]


def _zero_head(width: int, dim: int) -> nn.Linear:
    head = nn.Linear(width, dim)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head
