"""Validated settings. Every run and model saves them whole; `base` is light enough for what must start fast."""

from unitalker.config.base import FEATURE_RATE, SAMPLE_RATE, Settings
from unitalker.config.model import (
    AutoregressiveDecoderConfig,
    CrossDecoderConfig,
    DecoderConfig,
    HFEncoderConfig,
    MiniEncoderConfig,
    TCNDecoderConfig,
    TransformerDecoderConfig,
    UniTalkerConfig,
)
from unitalker.config.recipe import RecipeConfig, give_way, merged
from unitalker.config.train import AugmentConfig, SourceConfig, TrainConfig

__all__ = [
    "FEATURE_RATE",
    "SAMPLE_RATE",
    "AugmentConfig",
    "AutoregressiveDecoderConfig",
    "CrossDecoderConfig",
    "DecoderConfig",
    "HFEncoderConfig",
    "MiniEncoderConfig",
    "RecipeConfig",
    "Settings",
    "SourceConfig",
    "TCNDecoderConfig",
    "TrainConfig",
    "TransformerDecoderConfig",
    "UniTalkerConfig",
    "give_way",
    "merged",
]
