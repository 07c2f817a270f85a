"""Settings of the decoders of published models to compare with; FaceFormer's is `AutoregressiveDecoderConfig`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from unitalker.config.base import Settings
from unitalker.config.decoders import AttentionSettings, DecoderSettings
from unitalker.config.encoders import HFEncoderConfig


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

    @property
    def stands_on(self) -> str | None:
        """See DecoderSettings: the first stage."""
        return "a motion autoencoder (--preset codetalker-motion)" if self.stage == 2 else None

    @property
    def leads_to(self) -> str | None:
        """See DecoderSettings: the second stage."""
        return "codetalker" if self.stage == 1 else None


class LipReadingConfig(Settings):
    """SelfTalk's lip reader, and the speech recogniser that it learns from; they serve training alone."""

    recogniser: HFEncoderConfig = Field(description="Encoder of the recogniser; it never trains.")
    letters: int = Field(default=33, ge=2, description="Letters of the recogniser, the blank among them.")
    blank: int = Field(default=0, ge=0, description="Number of the blank.")
    space: int = Field(default=4, ge=0, description="Number of the space between words.")
    layers: int = Field(default=6, ge=1, description="Transformer layers of each half of the lip reader.")
    heads: int = Field(
        default=8, ge=1, description="Attention heads; they share the recogniser's width evenly."
    )
    inner: int = Field(default=2048, ge=1, description="Channels inside a layer's feed-forward part.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout in training.")


class SelfTalkDecoderConfig(AttentionSettings):
    """SelfTalk's decoder: a transformer over the audio features, whose motion a lip reader checks in training.

    It knows no identities. With the adaptor "decoder" a frame hears two features of 50 Hz (the published form for 25
    fps), else one at the motion's rate.
    """

    reads: ClassVar[tuple[str, ...]] = ("before_transformer", "after_encoder", "decoder")

    kind: Literal["selftalk"] = "selftalk"
    width: int = Field(default=512, ge=8, description="Channels of the hidden states.")
    layers: int = Field(default=1, ge=1, description="Transformer layers.")
    reading: LipReadingConfig | None = Field(
        default=None, description="The lip reader; null: none, the errors of motion and velocity alone train."
    )
    lips: dict[str, tuple[int, ...]] = Field(
        default={},
        description="Head → the vertices that the lip reader sees, from the data where the card tells its lips; for other "
        "heads it sees every number.",
    )
    motion_weight: float = Field(default=1000.0, ge=0, description="Weight of the motion's squared error.")
    velocity_weight: float = Field(
        default=1000.0, ge=0, description="Weight of the squared error of its change from frame to frame."
    )
    latent_weight: float = Field(
        default=1e-3, ge=0, description="Weight of the lip reader's error in the recogniser's features."
    )
    text_weight: float = Field(default=1e-4, ge=0, description="Weight of its error in letters.")

    def with_encoders(self, complete: Callable[[HFEncoderConfig], HFEncoderConfig]) -> Self:
        """See DecoderSettings: the recogniser."""
        if self.reading is None:
            return self
        whole = self.reading.model_copy(update={"recogniser": complete(self.reading.recogniser)})
        return self.model_copy(update={"reading": whole})

    def with_lips(self, lips: Mapping[str, Sequence[int]]) -> Self:
        """See DecoderSettings: the lip reader looks at them."""
        return self.model_copy(update={"lips": {k: tuple(rows) for k, rows in lips.items()} | self.lips})


class FaceDiffuserDecoderConfig(DecoderSettings):
    """FaceDiffuser's decoder: motion is drawn out of noise by a recurrent network that hears two features a frame.

    Identity embeddings are as wide as the hidden states.
    """

    reads: ClassVar[tuple[str, ...]] = ("decoder",)

    kind: Literal["facediffuser"] = "facediffuser"
    form: Literal["vertices", "weights", "controls"] = Field(
        default="vertices",
        description="The published networks: for vertices (identities count), for blendshape weights and for the controls "
        "of a rig (they don't).",
    )
    width: int = Field(default=512, ge=8, description="Channels of the recurrent units.")
    layers: int = Field(default=2, ge=1, description="Layers of recurrent units.")
    dropout: float = Field(default=0.3, ge=0, lt=1, description="Dropout between them in training.")
    step_width: int | None = Field(
        default=None,
        ge=1,
        description="Form weights: channels that tell the step of noise; width when absent.",
    )
    steps: int = Field(default=500, ge=2, description="Steps of noise.")
    schedule: Literal["cosine", "linear"] = Field(default="cosine", description="How noise grows with them.")
    noise: float = Field(
        default=1.0, gt=0, description="Standard deviation of the noise, in the head's unit (published: 1)."
    )
    sampling_steps: int | None = Field(
        default=None,
        ge=2,
        description="Steps, evenly spread, that inference and validation take; all when absent, as published.",
    )
    seed: int = Field(
        default=0, ge=0, description="Seed of inference: the same gives the same motion, another another one."
    )
    neutral_faces: bool = Field(
        default=False,
        description="Noise lies on the whole face, the identity's neutral face included (the published checkpoints), not on "
        "displacements alone.",
    )

    @model_validator(mode="after")
    def _steps(self) -> Self:
        if self.sampling_steps is not None and self.sampling_steps > self.steps:
            raise ValueError(
                f"sampling_steps must be at most steps ({self.steps}), not {self.sampling_steps}"
            )
        return self
