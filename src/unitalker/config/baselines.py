"""Settings of the decoders of published models to compare with; FaceFormer's is `AutoregressiveDecoderConfig`."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from unitalker.config.base import Settings
from unitalker.config.decoders import AttentionSettings


class MotionCodesConfig(Settings):
    """CodeTalker's motion autoencoder: every frame becomes a few vectors out of one learned list."""

    width: int = Field(default=1024, ge=8, description="Channels of its hidden states.")
    layers: int = Field(default=6, ge=1, description="Transformer layers of each half.")
    heads: int = Field(default=8, ge=1, description="Attention heads; they share the width evenly.")
    inner: int = Field(default=1536, ge=1, description="Channels inside a layer's feed-forward part.")
    parts: int = Field(default=8, ge=1, description="Vectors out of the list that make one frame.")
    part_dim: int = Field(default=128, ge=1, description="Numbers in such a vector.")
    entries: int = Field(default=256, ge=2, description="Vectors in the list.")
    slope: float = Field(default=0.2, ge=0, description="Slope of the leaky units below zero.")
    projected: bool = Field(
        default=True,
        description="Linear layers lie between the hidden states and a frame's vectors, and the output has no bias (the "
        "published form for 25 fps); else the hidden states are the vectors, and the output has one.",
    )
    quantiser_weight: float = Field(
        default=1.0, ge=0, description="Weight of the quantiser's loss beside the reconstruction's."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % self.heads or self.width % 2:
            raise ValueError(
                f"width must be even and a multiple of heads, not {self.width} with {self.heads} heads"
            )
        if not self.projected and self.parts * self.part_dim != self.width:
            raise ValueError(
                f"without projections, parts · part_dim must be width, not {self.parts} · {self.part_dim} with {self.width}"
            )
        return self


class CodeTalkerDecoderConfig(AttentionSettings):
    """CodeTalker's decoder: FaceFormer's, but it predicts vectors of a motion autoencoder trained before (stage 1).

    Identity embeddings are as wide as the hidden states.
    """

    reads: ClassVar[tuple[str, ...]] = ("before_transformer", "after_encoder", "paired")

    kind: Literal["codetalker"] = "codetalker"
    stage: Literal[1, 2] = Field(
        default=2,
        description="1: only the motion autoencoder is there and trains, without sound. 2: the autoencoder of a stage-1 "
        "run (--start) stands still, the rest learns to predict its vectors from sound.",
    )
    width: int = Field(default=1024, ge=8, description="Channels of the hidden states.")
    layers: int = Field(default=12, ge=1, description="Transformer layers.")
    period: int = Field(default=25, ge=1, description="Frames after which positions repeat.")
    autoencoder: MotionCodesConfig = MotionCodesConfig()
    motion_weight: float = Field(default=1.0, ge=0, description="Stage 2: weight of the motion's error.")
    vector_weight: float = Field(default=1.0, ge=0, description="Stage 2: weight of the vectors' error.")
