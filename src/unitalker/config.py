"""Validated settings. Unknown keys are errors that name the nearest key; every run and model saves them whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from unitalker.errors import ConfigError, unknown

SAMPLE_RATE = 16_000
"""Samples a second of every waveform inside the package."""

FEATURE_RATE = 50
"""Encoder features a second."""


class Settings(BaseModel):
    """Base of all settings: frozen, and no key that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @classmethod
    def parse(cls, data: dict[str, Any], where: str = "the configuration") -> Self:
        """Settings from plain data. Raises ConfigError with one sentence per fault."""
        try:
            return cls.model_validate(data)
        except ValidationError as fault:
            raise ConfigError(_sentence(cls, fault, where)) from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Settings from a JSON file."""
        try:
            data = json.loads(Path(path).read_text())
        except (OSError, ValueError) as fault:
            raise ConfigError(f"{path} is not a readable JSON file: {fault}.") from None
        return cls.parse(data, str(path))


def _sentence(cls: type[BaseModel], fault: ValidationError, where: str) -> str:
    parts = []
    for error in fault.errors():
        key = ".".join(str(p) for p in error["loc"])
        if error["type"] == "extra_forbidden":
            parts.append(unknown("setting", key, cls.model_fields))
        else:
            parts.append(_fault(key or "a setting", dict(error)))
    return (f"{where}: " if where else "") + " ".join(parts)


_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "text"}
_KINDS |= {"tuple": "a list", "dict": "settings as key: value", "model": "settings as key: value"}
_LIMITS = {"greater_than_equal": "{ge} or more", "less_than_equal": "{le} or less"}
_LIMITS |= {"greater_than": "above {gt}", "less_than": "below {lt}", "literal_error": "{expected}"}


def _fault(key: str, error: dict[str, Any]) -> str:
    """Sentence for one fault of a setting, as pydantic lists it: "steps must be a whole number, not 'abc'."."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return f"{key} is missing."
    if kind in _LIMITS:
        allowed = _LIMITS[kind].format(**context)
    elif kind.endswith(("_type", "_parsing", "_from_float")) and kind.split("_")[0] in _KINDS:
        allowed = _KINDS[kind.split("_")[0]]
    else:
        said = error["msg"].removeprefix("Value error, ")
        return f"{key}: {said} (got {error.get('input')!r})."
    return f"{key} must be {allowed}, not {error.get('input')!r}."


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
    name: str = Field(default="microsoft/wavlm-base-plus", description="Hub name or local folder.")
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


class DecoderConfig(Settings):
    """The TCN motion decoder."""

    width: int = Field(default=256, ge=8, description="Channels of the hidden states.")
    identity_dim: int = Field(default=64, ge=1, description="Size of an identity embedding.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout on the mapped audio features.")
    ahead: tuple[int, int, int] = Field(
        default=(1, 1, 1),
        description="Frames that each block's kernel of 3 sees ahead: 1 = centred as in the paper, 0 = causal.",
    )


class UniTalkerConfig(Settings):
    """Everything that is needed to build a UniTalker; saved as config.json beside the weights."""

    encoder: MiniEncoderConfig | HFEncoderConfig = Field(discriminator="kind")
    adaptor: Literal["after_encoder", "after_decoder"] = Field(
        default="after_encoder", description="Where features change from 50 Hz to the motion's frame rate."
    )
    grid: Literal["aligned_corners", "clock"] = Field(
        default="aligned_corners",
        description="Interpolation times: the paper's aligned corners, or clock times t / fps (independent of length).",
    )
    decoder: DecoderConfig = DecoderConfig()
    identities: tuple[str, ...] = Field(
        description="Names '<dataset>/<subject>' of the identity table, pivot excluded."
    )
    heads: dict[str, int] = Field(description="Annotation name → numbers per frame of its head.")
    default_annotation: str = Field(description="Annotation that `animate` uses when none is asked for.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.default_annotation not in self.heads:
            raise ValueError(f"default_annotation {self.default_annotation!r} has no head")
        if len(set(self.identities)) != len(self.identities):
            raise ValueError("identity names must differ")
        return self


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
