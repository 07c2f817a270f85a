"""Validated settings. Every run and model saves them whole; `base` is light enough for what must start fast."""

from unitalker.config.base import FEATURE_RATE, SAMPLE_RATE, Settings
from unitalker.config.baselines import (
    CodeTalkerDecoderConfig,
    FaceDiffuserDecoderConfig,
    LipReadingConfig,
    MotionCodesConfig,
    SelfTalkDecoderConfig,
)
from unitalker.config.decoders import (
    AutoregressiveDecoderConfig,
    CrossDecoderConfig,
    TCNDecoderConfig,
    TransformerDecoderConfig,
)
from unitalker.config.encoders import HFEncoderConfig, MiniEncoderConfig
from unitalker.config.model import DecoderConfig, UniTalkerConfig
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
    "FaceDiffuserDecoderConfig",
    "HFEncoderConfig",
    "LipReadingConfig",
    "MiniEncoderConfig",
    "MotionCodesConfig",
    "RecipeConfig",
    "SelfTalkDecoderConfig",
    "Settings",
    "SourceConfig",
    "TCNDecoderConfig",
    "TrainConfig",
    "TransformerDecoderConfig",
    "UniTalkerConfig",
    "give_way",
    "merged",
]
