"""Settings of a training run."""

from __future__ import annotations

from pydantic import Field

from unitalker.config.base import Settings
from unitalker.config.model import UniTalkerConfig


class AugmentConfig(Settings):
    """How often each change of the sound happens in training, as a probability per clip."""

    noise: float = Field(default=0.5, ge=0, le=1, description="Other sounds mixed under the voice.")
    snr_db: tuple[float, float] = Field(
        default=(0.0, 30.0), description="Range of their signal-to-noise ratio."
    )
    equalise: float = Field(
        default=0.5, ge=0, le=1, description="Smooth random spectral tilt of up to 10 dB."
    )
    reverberate: float = Field(
        default=0.3, ge=0, le=1, description="A room of 0.1 to 0.7 s reverberation time."
    )
    gain: float = Field(default=0.3, ge=0, le=1, description="Slow gain changes within ±8 dB.")
    telephone: float = Field(default=0.1, ge=0, le=1, description="Band limit and 8-bit companding.")
    clip: float = Field(default=0.05, ge=0, le=1, description="Hard clipping.")
    speed: float = Field(
        default=0.4, ge=0, le=1, description="Tempo and pitch together by 0.85 to 1.18, motion along."
    )
    bands: float = Field(
        default=0.0, ge=0, le=1, description="A run of up to a fifth of the mel bands is muted (SpecAugment)."
    )
    warp: float = Field(
        default=0.6, ge=0, le=1, description="Vocal-tract length by 0.82 to 1.2 in the mel filters."
    )


class SourceConfig(Settings):
    """One dataset of a training run."""

    path: str = Field(description="Folder with dataset.json.")
    share: float = Field(
        default=1.0, gt=0, description="How often its clips are drawn, relative to the others."
    )
    closure: float = Field(default=1.0, ge=0, description="Factor on the closure term for this dataset.")
    ignore: tuple[str, ...] = Field(
        default=(),
        description="Channels left out of the loss, by the start of their names: what sound cannot tell.",
    )


class TrainConfig(Settings):
    """A training run; saved whole in the run folder."""

    model: UniTalkerConfig | None = Field(
        default=None, description="Model to build; identities and heads come from the data."
    )
    sources: tuple[SourceConfig, ...] = Field(min_length=1, description="The datasets.")
    cards: str | None = Field(
        default=None, description="Folder of annotation cards, for annotations that are not built in."
    )
    steps: int = Field(default=10_000, ge=1, description="Optimiser steps, warm-up included.")
    warmup_steps: int = Field(
        default=300, ge=0, description="Decoder warm-up: steps with the encoder frozen."
    )
    batch: int = Field(default=32, ge=1, description="Crops per step.")
    crop_seconds: float = Field(default=4.0, gt=0.5, description="Length of a crop.")
    lr: float = Field(default=1e-3, gt=0, description="Peak learning rate.")
    schedule: str = Field(
        default="cosine", pattern="^(cosine|constant)$", description="How the learning rate goes on."
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's weight decay.")
    clip_norm: float = Field(default=1.0, gt=0, description="Largest gradient norm.")
    pivot: float = Field(
        default=0.1, ge=0, le=1, description="Probability that the identity is replaced by the pivot."
    )
    phone_weight: float = Field(
        default=0.1, ge=0, description="Weight of an auxiliary phone classifier, dropped afterwards."
    )
    lip_weight: float = Field(default=1.0, gt=0, description="Factor on lip vertices in the vertex error.")
    head_weight: float = Field(
        default=1.0, ge=0, description="Share of the code error beside the vertex error, both relative."
    )
    closure_weight: float = Field(
        default=0.5,
        ge=0,
        description="Weight of lips that stay open where the truth shuts them, where a rig tells.",
    )
    ema: float = Field(default=0.999, ge=0, lt=1, description="Decay of the averaged weights that are saved.")
    seed: int = Field(default=0, ge=0, description="Seed of everything random.")
    bf16: bool = Field(default=True, description="bfloat16 autocast.")
    augment: AugmentConfig = AugmentConfig()
    checkpoint_steps: int = Field(default=500, ge=1, description="Steps between checkpoints.")
