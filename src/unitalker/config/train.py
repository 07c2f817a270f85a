"""Settings of a training run."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

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
    repeat: float | None = Field(
        default=None,
        gt=0,
        description="Clips: how often an epoch holds each of its clips (release: 10 5 4 1 1 1 1 1); `share` when absent.",
    )
    closure: float = Field(default=1.0, ge=0, description="Factor on the closure term for this dataset.")
    ignore: tuple[str, ...] = Field(
        default=(),
        description="Channels left out of the loss, by the start of their names: what sound cannot tell.",
    )


class BatchSettings(Settings):
    """What a batch is made of."""

    batching: Literal["crops", "clips"] = Field(
        default="crops",
        description="crops: pieces of one length, drawn and corrupted. clips: whole clips, padded; an epoch holds every "
        "clip times its dataset's repeat factor (the paper's way).",
    )
    batch: int = Field(
        default=32, ge=1, description="Crops or clips per batch, all processes of a run together."
    )
    batch_seconds: float | None = Field(
        default=None,
        gt=0,
        description="Clips: instead of a number, the longest clip of a batch times its clips is at most so long.",
    )
    accumulate: int = Field(default=1, ge=1, description="Batches whose gradients make one optimiser step.")
    crop_seconds: float = Field(default=4.0, gt=0.5, description="Crops: length of a crop.")
    max_seconds: float = Field(
        default=20.0,
        gt=0.5,
        description="Clips: longer ones are cut into equal pieces of at most this length.",
    )
    balance: Literal["repeat", "equal", "sqrt"] = Field(
        default="repeat",
        description="Clips: an epoch repeats datasets by their factors alone, or so that all weigh the same (equal), or "
        "by the square root of their sizes (sqrt); factors count on top.",
    )
    bucket: int = Field(
        default=50,
        ge=1,
        description="Clips: batches are made of neighbours in length among so many batches' worth of shuffled clips; "
        "1: no sorting.",
    )
    held: bool | None = Field(
        default=None,
        description="Clips: sound and codes are kept in memory; when absent, only what is small in all.",
    )
    pivot: float = Field(
        default=0.1, ge=0, le=1, description="Probability that the identity is replaced by the pivot."
    )
    augment: AugmentConfig = AugmentConfig()


class LossSettings(Settings):
    """What an error costs."""

    loss: Literal["relative", "paper"] = Field(
        default="relative",
        description="paper: Eq. 2 as it is, its λ from the annotation's card. relative: in units of a resting face's loss.",
    )
    pca: bool = Field(
        default=True,
        description="Vertex heads predict coefficients of a PCA basis; false: every coordinate (vanilla).",
    )
    phone_weight: float = Field(
        default=0.1, ge=0, description="Weight of an auxiliary phone classifier, dropped afterwards."
    )
    lip_weight: float = Field(default=1.0, gt=0, description="Factor on lip vertices in the vertex error.")
    head_weight: float = Field(
        default=1.0,
        ge=0,
        description="Relative loss: share of the code error beside the vertex error, both relative.",
    )
    flame: str | None = Field(
        default=None,
        description="FLAME model (.npz or .safetensors), for errors of vertices and lips of FLAME numbers; without it they "
        "train on the numbers alone.",
    )
    closure_weight: float = Field(
        default=0.5,
        ge=0,
        description="Weight of lips that stay open where the truth shuts them, where a rig tells.",
    )


class OptimiserSettings(Settings):
    """How weights follow gradients."""

    optimiser: Literal["adamw", "adam"] = Field(
        default="adamw",
        description="adamw: betas 0.9 and 0.98, with weight decay. adam: betas 0.9 and 0.999, without (the release).",
    )
    lr: float = Field(default=1e-3, gt=0, description="Peak learning rate.")
    schedule: Literal["cosine", "constant"] = Field(
        default="cosine", description="How the learning rate goes on."
    )
    ramp: float = Field(
        default=0.02, ge=0, le=1, description="Share of a stage's steps over which the rate rises; 0: none."
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's weight decay.")
    clip_norm: float | None = Field(default=1.0, gt=0, description="Largest gradient norm; null: any.")
    ema: float = Field(
        default=0.999,
        ge=0,
        lt=1,
        description="Decay of the averaged weights that are saved; 0: the last weights.",
    )
    freeze: tuple[Literal["encoder", "decoder", "identities", "heads"], ...] = Field(
        default=(), description="Parts of the model that do not train."
    )
    only_heads: bool = Field(
        default=False,
        description="Only the heads train: freezes the encoder, the decoder and the identities.",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        default="bf16", description="Numbers that the network computes with; losses and weights stay fp32."
    )
    compile: bool = Field(
        default=False,
        description="The decoder and the encoder's transformer layers go through torch.compile: slow start, faster steps.",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto (a GPU where there is one), cpu, cuda or cuda:N.",
    )


class RunSettings(Settings):
    """How long a run goes on, and what it writes on its way."""

    steps: int | None = Field(
        default=None,
        ge=1,
        description="Optimiser steps, warm-up included; 10000 where epochs are absent too.",
    )
    epochs: int | None = Field(default=None, ge=1, description="Epochs, warm-up included, instead of steps.")
    warmup_steps: int | None = Field(
        default=None,
        ge=0,
        description="Decoder warm-up: steps with the encoder frozen; 300 where warmup_epochs is absent too.",
    )
    warmup_epochs: int | None = Field(
        default=None, ge=0, description="Decoder warm-up in epochs instead of steps (the paper: 1)."
    )
    validate_steps: int | None = Field(
        default=None, ge=1, description="Steps between measurements on the validation clips; null: none."
    )
    validate_epochs: int | None = Field(
        default=None, ge=1, description="The same in epochs instead of steps."
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="The run stops after so many validations in a row without a better one.",
    )
    tensorboard: bool = Field(
        default=False, description="Figures also as TensorBoard event files in the run folder."
    )
    seed: int = Field(default=0, ge=0, description="Seed of everything random.")
    checkpoint_steps: int = Field(default=500, ge=1, description="Steps between checkpoints.")
    log_steps: int = Field(default=50, ge=1, description="Steps between lines of metrics.jsonl.")

    @model_validator(mode="before")
    @classmethod
    def _usual_lengths(cls, data: Any) -> Any:
        """Steps where neither steps nor epochs are given."""
        if not isinstance(data, dict):
            return data
        for steps, epochs, usual in (("steps", "epochs", 10_000), ("warmup_steps", "warmup_epochs", 300)):
            if data.get(steps) is None and data.get(epochs) is None:
                data = data | {steps: usual}
        return data

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        for kind in ("", "warmup_", "validate_"):
            if getattr(self, f"{kind}steps") is not None and getattr(self, f"{kind}epochs") is not None:
                raise ValueError(f"give {kind}steps or {kind}epochs, not both; set the other to null")
        if self.patience is not None and self.validate_steps is None and self.validate_epochs is None:
            raise ValueError("patience needs validation; set validate_steps or validate_epochs")
        return self


class TrainConfig(BatchSettings, LossSettings, OptimiserSettings, RunSettings):
    """A training run; saved whole in the run folder."""

    model: UniTalkerConfig | None = Field(
        default=None, description="Model to build; identities and heads come from the data."
    )
    sources: tuple[SourceConfig, ...] = Field(min_length=1, description="The datasets.")
    cards: str | None = Field(
        default=None, description="Folder of annotation cards, for annotations that are not built in."
    )
