"""Settings of the audio encoders."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from unitalker.config.base import Settings


class MiniEncoderConfig(Settings):
    """The small encoder: level-tracked log-mel front end and a stack of dilated convolutions at 50 Hz."""

    kind: Literal["mini"] = "mini"
    mels: int = Field(default=80, ge=16, le=128, description="Mel bands of the front end.")
    width: int = Field(default=192, ge=8, description="Channels of every block; the size of a feature.")
    dilations: tuple[int, ...] = Field(
        default=(1, 1, 1, 2, 4, 8, 1, 2, 4, 8), description="Dilation of each block."
    )
    lookahead: int = Field(
        default=2, ge=0, le=10, description="Blocks (from the first) whose kernel sees one frame ahead."
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout inside the blocks.")

    @model_validator(mode="after")
    def _ahead(self) -> Self:
        if any(d != 1 for d in self.dilations[: self.lookahead]):
            raise ValueError("the first `lookahead` blocks must have dilation 1")
        return self


class HFEncoderConfig(Settings):
    """A WavLM, wav2vec 2.0 or HuBERT encoder of the transformers library."""

    kind: Literal["hf"] = "hf"
    name: str = Field(
        default="microsoft/wavlm-base-plus",
        description="Hub name, local folder, or one of wavlm-base, wavlm-base-plus, wav2vec2-base-960h, "
        "wav2vec2-large-xlsr-53, wav2vec2-large-xlsr-53-english, hubert-base.",
    )
    pretrained: bool = Field(
        default=True,
        description="Training begins with the published weights of `name`, not with random ones.",
    )
    architecture: dict[str, Any] | None = Field(
        default=None, description="The library's own config as plain data; read from `name` when absent."
    )
    normalise: bool | None = Field(
        default=None,
        description="Zero mean and unit variance per clip, as the encoder was trained; from `name` when absent.",
    )
    frozen_layers: int = Field(
        default=0,
        ge=0,
        description="So many of the first transformer layers never train; with any, the projection before them neither.",
    )
    checkpointing: bool = Field(
        default=False,
        description="Training keeps no activations inside the encoder's layers and computes them again for the "
        "gradients: less memory, more time, the same numbers.",
    )
