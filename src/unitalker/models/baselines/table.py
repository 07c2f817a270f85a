"""Which class a baseline's settings build."""

from __future__ import annotations

from unitalker.config import UniTalkerConfig
from unitalker.models.baselines.codetalker import CodeTalker
from unitalker.models.baselines.facediffuser import FaceDiffuser
from unitalker.models.baselines.own import OwnDecoder
from unitalker.models.baselines.selftalk import SelfTalk

DECODERS: dict[str, type[OwnDecoder]] = {
    "codetalker": CodeTalker,
    "selftalk": SelfTalk,
    "facediffuser": FaceDiffuser,
}
"""Kind of decoder → its class."""


def build(features: int, config: UniTalkerConfig) -> OwnDecoder:
    """The baseline's decoder that the configuration names, over features of that size."""
    return DECODERS[config.decoder.kind](features, config)
