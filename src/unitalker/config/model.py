"""Settings of a model: encoder, frequency adaptor, decoder, identities, heads."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from unitalker.config.base import Settings
from unitalker.config.baselines import CodeTalkerDecoderConfig
from unitalker.config.decoders import (
    AutoregressiveDecoderConfig,
    CrossDecoderConfig,
    TCNDecoderConfig,
    TransformerDecoderConfig,
)


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
        "wav2vec2-large-xlsr-53, hubert-base.",
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
    checkpointing: bool = Field(
        default=False,
        description="Training keeps no activations inside the encoder's layers and computes them again for the "
        "gradients: less memory, more time, the same numbers.",
    )


DecoderConfig = Annotated[
    TCNDecoderConfig
    | TransformerDecoderConfig
    | CrossDecoderConfig
    | AutoregressiveDecoderConfig
    | CodeTalkerDecoderConfig,
    Field(discriminator="kind"),
]


class UniTalkerConfig(Settings):
    """Everything that is needed to build a UniTalker; saved as config.json beside the weights."""

    encoder: MiniEncoderConfig | HFEncoderConfig = Field(discriminator="kind")
    adaptor: Literal["before_transformer", "after_encoder", "after_decoder", "paired", "decoder"] = Field(
        default="after_encoder",
        description="Where 50 Hz become the motion's frame rate: between the convolutions and the transformer of the "
        "encoder, behind the encoder (the paper's choice), or behind the decoder. Baselines only: paired, nowhere, each "
        "motion frame (25 a second) has two features of its own; decoder, the decoder itself reads 50 Hz.",
    )
    grid: Literal["aligned_corners", "clock"] = Field(
        default="aligned_corners",
        description="Interpolation times: the paper's aligned corners, or clock times t / fps (independent of length).",
    )
    length: Literal["clock", "features"] = Field(
        default="clock",
        description="Frames that a sound gets: round(seconds · fps), or, as published baselines do it, as many as the "
        "encoder's features fill.",
    )
    decoder: DecoderConfig = TCNDecoderConfig()
    identities: tuple[str, ...] = Field(
        description="Names '<dataset>/<subject>' of the identity table, pivot excluded."
    )
    heads: dict[str, int] = Field(description="Annotation name → numbers per frame of its head.")
    default_annotation: str = Field(description="Annotation that `animate` uses when none is asked for.")

    @model_validator(mode="before")
    @classmethod
    def _usual_kinds(cls, data: Any) -> Any:
        """An encoder or decoder that does not say its kind is the first one."""
        if not isinstance(data, dict):
            return data
        usual = {"encoder": "mini", "decoder": "tcn"}
        parts = {k: {"kind": usual[k]} | v for k, v in data.items() if k in usual and isinstance(v, dict)}
        return data | parts

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.adaptor == "before_transformer" and self.encoder.kind == "mini":
            raise ValueError("adaptor 'before_transformer' needs an encoder with a transformer (kind 'hf')")
        if self.adaptor == "before_transformer" and self.grid != "aligned_corners":
            raise ValueError("adaptor 'before_transformer' knows no clock; set grid to 'aligned_corners'")
        if self.length == "features" and self.encoder.kind == "mini":
            raise ValueError("length 'features' needs an encoder of kind 'hf'; set it to 'clock'")
        if self.adaptor not in self.decoder.reads:
            raise ValueError(
                f"a decoder of kind {self.decoder.kind!r} can't have the adaptor {self.adaptor!r}; allowed are "
                f"{', '.join(self.decoder.reads)}"
            )
        forced = self.decoder.kind == "autoregressive" and self.decoder.teacher_forcing
        if forced and self.adaptor == "after_decoder":
            raise ValueError(
                "a decoder with teacher_forcing must run at the motion's rate; choose another adaptor than 'after_decoder'"
            )
        if self.default_annotation not in self.heads:
            raise ValueError(f"default_annotation {self.default_annotation!r} has no head")
        if len(set(self.identities)) != len(self.identities):
            raise ValueError("identity names must differ")
        return self
