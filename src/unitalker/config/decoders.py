"""Settings of the motion decoders of the paper and its release."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from unitalker.config.base import Settings
from unitalker.config.encoders import HFEncoderConfig


class DecoderSettings(Settings):
    """What every motion decoder has. reads: adaptors that it can stand behind."""

    reads: ClassVar[tuple[str, ...]] = ("before_transformer", "after_encoder", "after_decoder")

    width: int = Field(default=256, ge=8, description="Channels of the hidden states.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout in training.")

    @property
    def stands_on(self) -> str | None:
        """What another run must have trained before, in words; None for most decoders."""
        return None

    @property
    def leads_to(self) -> str | None:
        """Preset whose runs begin with a run of this, which is no use alone; None for most decoders."""
        return None

    def with_lips(self, lips: Mapping[str, Sequence[int]]) -> Self:
        """The settings for data whose heads of vertices have these lips (rows); most decoders don't look at them."""
        return self

    def with_encoders(self, complete: Callable[[HFEncoderConfig], HFEncoderConfig]) -> Self:
        """The settings with those of encoders inside the decoder completed; most decoders have none."""
        return self


class TCNDecoderConfig(DecoderSettings):
    """The paper's decoder: three residual convolutions; the identity is joined to every frame."""

    kind: Literal["tcn"] = "tcn"
    identity_dim: int = Field(default=64, ge=1, description="Size of an identity embedding.")
    ahead: tuple[int, int, int] = Field(
        default=(1, 1, 1),
        description="Frames that each block's kernel of 3 sees ahead: 1 = centred as in the paper, 0 = causal.",
    )


class AttentionSettings(DecoderSettings):
    """What decoders with attention have."""

    heads: int = Field(default=4, ge=1, description="Attention heads; they share the width evenly.")

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.width % self.heads or self.width % 2:
            raise ValueError(
                f"width must be even and a multiple of heads, not {self.width} with {self.heads} heads"
            )
        return self


class TransformerDecoderConfig(AttentionSettings):
    """The paper's other decoder (Tab. 7): a non-autoregressive transformer encoder over the audio features."""

    kind: Literal["transformer"] = "transformer"
    identity_dim: int = Field(default=64, ge=1, description="Size of an identity embedding.")
    layers: int = Field(default=3, ge=1, description="Transformer layers.")


class CrossDecoderConfig(AttentionSettings):
    """The release's transformer: the identity, position-encoded, queries the audio features frame by frame.

    Identity embeddings are as wide as the hidden states.
    """

    reads: ClassVar[tuple[str, ...]] = ("before_transformer", "after_encoder", "after_decoder", "paired")

    kind: Literal["transformer_decoder"] = "transformer_decoder"
    layers: int = Field(default=1, ge=1, description="Transformer layers.")
    period: int = Field(default=30, ge=1, description="Frames after which positions repeat.")


class AutoregressiveDecoderConfig(AttentionSettings):
    """FaceFormer's decoder (Tab. 10): as the release's transformer, but each frame's motion is fed back to the next.

    Identity embeddings are as wide as the hidden states.
    """

    reads: ClassVar[tuple[str, ...]] = ("before_transformer", "after_encoder", "after_decoder", "paired")

    kind: Literal["autoregressive"] = "autoregressive"
    layers: int = Field(default=1, ge=1, description="Transformer layers.")
    period: int = Field(default=30, ge=1, description="Frames after which positions repeat.")
    teacher_forcing: bool = Field(
        default=False,
        description="Training feeds back the true motion instead of the predicted one: all frames at once, but the "
        "decoder never meets its own mistakes.",
    )
