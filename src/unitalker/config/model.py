"""Settings of a model: encoder, frequency adaptor, decoder, identities, heads."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from unitalker.config.base import Settings
from unitalker.config.baselines import (
    CodeTalkerDecoderConfig,
    FaceDiffuserDecoderConfig,
    SelfTalkDecoderConfig,
)
from unitalker.config.decoders import (
    AutoregressiveDecoderConfig,
    CrossDecoderConfig,
    TCNDecoderConfig,
    TransformerDecoderConfig,
)
from unitalker.config.encoders import HFEncoderConfig, MiniEncoderConfig

DecoderConfig = Annotated[
    TCNDecoderConfig
    | TransformerDecoderConfig
    | CrossDecoderConfig
    | AutoregressiveDecoderConfig
    | CodeTalkerDecoderConfig
    | SelfTalkDecoderConfig
    | FaceDiffuserDecoderConfig,
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
