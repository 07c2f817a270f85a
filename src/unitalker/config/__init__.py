"""Validated settings. Every run and model saves them whole; `base` is light enough for what must start fast."""

from unitalker.config.base import FEATURE_RATE, SAMPLE_RATE, Settings
from unitalker.config.baselines import CodeTalkerDecoderConfig, MotionCodesConfig
from unitalker.config.decoders import (
    AutoregressiveDecoderConfig,
    CrossDecoderConfig,
    TCNDecoderConfig,
    TransformerDecoderConfig,
)
from unitalker.config.model import DecoderConfig, HFEncoderConfig, MiniEncoderConfig, UniTalkerConfig
from unitalker.config.recipe import RecipeConfig, give_way, merged
from unitalker.config.train import AugmentConfig, SourceConfig, TrainConfig

__all__ = [
    "FEATURE_RATE",
    "SAMPLE_RATE",
    "AugmentConfig",
    "AutoregressiveDecoderConfig",
    "CodeTalkerDecoderConfig",
    "CrossDecoderConfig",
    "DecoderConfig",
    "HFEncoderConfig",
    "MiniEncoderConfig",
    "MotionCodesConfig",
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
