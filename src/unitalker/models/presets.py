"""The published speech encoders and the models of the paper, by name: plain settings, nothing is asked of a network."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from unitalker.errors import ModelError, unknown


@dataclass(frozen=True)
class Encoder:
    """A published encoder. name: on the Hugging Face Hub; architecture: what differs from the transformers library's
    defaults for its model_type; normalise: zero mean and unit variance per clip, as it was trained."""

    name: str
    architecture: dict[str, Any]
    normalise: bool


_WAVLM = {"model_type": "wavlm", "activation_dropout": 0.0, "feat_proj_dropout": 0.1, "layerdrop": 0.05}
_XLSR = {
    "model_type": "wav2vec2",
    "activation_dropout": 0.0,
    "conv_bias": True,
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "feat_proj_dropout": 0.1,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
}
_ENGLISH = {
    "activation_dropout": 0.05,
    "feat_proj_dropout": 0.05,
    "hidden_dropout": 0.05,
    "layerdrop": 0.05,
    "vocab_size": 33,
}
"""What the recogniser of English changes: dropout, and its letters."""

ENCODERS = {
    "wavlm-base": Encoder("microsoft/wavlm-base", _WAVLM, False),
    "wavlm-base-plus": Encoder("microsoft/wavlm-base-plus", _WAVLM, False),
    "wav2vec2-base-960h": Encoder(
        "facebook/wav2vec2-base-960h", {"model_type": "wav2vec2", "feat_proj_dropout": 0.1}, True
    ),
    "wav2vec2-large-xlsr-53": Encoder("facebook/wav2vec2-large-xlsr-53", _XLSR, True),
    "wav2vec2-large-xlsr-53-english": Encoder(
        "jonatasgrosman/wav2vec2-large-xlsr-53-english", _XLSR | _ENGLISH, True
    ),
    "hubert-base": Encoder(
        "facebook/hubert-base-ls960", {"model_type": "hubert", "feat_proj_dropout": 0.1}, True
    ),
}
"""Short name → encoder."""


def published(name: str) -> Encoder | None:
    """The encoder of a short name or a Hub name, None for any other."""
    for short, encoder in ENCODERS.items():
        if name in (short, encoder.name):
            return encoder
    return None


def _paper(encoder: str) -> dict[str, Any]:
    return {
        "encoder": {"kind": "hf", "name": ENCODERS[encoder].name},
        "adaptor": "after_encoder",
        "grid": "aligned_corners",
        "decoder": {"kind": "tcn"},
    }


def _selftalk(width: int, adaptor: str) -> dict[str, Any]:
    english = {"kind": "hf", "name": ENCODERS["wav2vec2-large-xlsr-53-english"].name}
    decoder = {"kind": "selftalk", "width": width, "reading": {"recogniser": english}}
    return {"encoder": english, "adaptor": adaptor, "decoder": decoder}


def _facediffuser(width: int, steps: int) -> dict[str, Any]:
    return {
        "encoder": {"kind": "hf", "name": ENCODERS["hubert-base"].name, "frozen_layers": 2},
        "adaptor": "decoder",
        "decoder": {"kind": "facediffuser", "width": width, "steps": steps},
    }


def _faceformer(kind: str, width: int, period: int, adaptor: str) -> dict[str, Any]:
    return {
        "encoder": {"kind": "hf", "name": ENCODERS["wav2vec2-base-960h"].name},
        "adaptor": adaptor,
        "decoder": {"kind": kind, "width": width, "period": period},
    }


def _codetalker(stage: int, layers: int, period: int, adaptor: str, store: dict[str, Any]) -> dict[str, Any]:
    """Stage 1 hears nothing, so its encoder is as small as can be."""
    silent = {"kind": "mini", "width": 8, "mels": 16, "dilations": (1,), "lookahead": 0}
    decoder = {"kind": "codetalker", "stage": stage, "layers": layers, "period": period, "autoencoder": store}
    return {
        "encoder": {"kind": "hf", "name": ENCODERS["wav2vec2-base-960h"].name} if stage == 2 else silent,
        "adaptor": adaptor if stage == 2 else "after_encoder",
        "decoder": decoder,
    }


_STORE = {"parts": 16, "part_dim": 64, "projected": False}
_STORE_25 = {"parts": 8, "part_dim": 128, "projected": True}
"""CodeTalker's motion autoencoders, whose other sizes are those of `MotionCodesConfig`."""

PRESETS: dict[str, dict[str, Any]] = {
    "unitalker-b": _paper("wavlm-base-plus"),
    "unitalker-l": _paper("wav2vec2-large-xlsr-53"),
    "vanilla": _paper("wavlm-base-plus"),
    "faceformer": _faceformer("autoregressive", 64, 30, "before_transformer"),
    "faceformer-25": _faceformer("autoregressive", 128, 25, "paired"),
    "faceformer-non-autoregressive": _faceformer("transformer_decoder", 64, 30, "before_transformer"),
    "faceformer-non-autoregressive-25": _faceformer("transformer_decoder", 128, 25, "paired"),
    "codetalker-motion": _codetalker(1, 6, 30, "before_transformer", _STORE),
    "codetalker-motion-25": _codetalker(1, 12, 25, "paired", _STORE_25),
    "codetalker": _codetalker(2, 6, 30, "before_transformer", _STORE),
    "codetalker-25": _codetalker(2, 12, 25, "paired", _STORE_25),
    "selftalk": _selftalk(512, "before_transformer"),
    "selftalk-25": _selftalk(1024, "decoder"),
    "facediffuser": _facediffuser(256, 1000),
    "facediffuser-25": _facediffuser(512, 500),
    "mini": {
        "encoder": {"kind": "mini"},
        "adaptor": "after_decoder",
        "grid": "clock",
        "decoder": {"kind": "tcn", "ahead": (1, 1, 0)},
    },
}
"""Model name → the settings of UniTalkerConfig that do not come from the data."""

SLOW = "-25"
"""How names of presets for 25 frames a second end."""
PLAIN = {"pca": False, "warmup_epochs": 0, "pivot": 0.0}
"""Training without what the paper adds: heads of every coordinate, no warm-up, no pivot."""
TRAINING: dict[str, dict[str, Any]] = {
    "vanilla": PLAIN,
    "faceformer": PLAIN,
    "faceformer-25": PLAIN,
    "faceformer-non-autoregressive": PLAIN,
    "faceformer-non-autoregressive-25": PLAIN,
    "codetalker-motion": PLAIN | {"optimiser": "adamw", "epochs": 200, "validate_epochs": 10},
    "codetalker-motion-25": PLAIN | {"optimiser": "adamw", "epochs": 200, "validate_epochs": 10},
    "codetalker": PLAIN | {"validate_epochs": 10},
    "codetalker-25": PLAIN | {"validate_epochs": 10},
    "selftalk": PLAIN,
    "selftalk-25": PLAIN,
    "facediffuser": PLAIN | {"epochs": 50, "validate_epochs": 10},
    "facediffuser-25": PLAIN | {"epochs": 50, "validate_epochs": 10},
}
"""Model name → the settings of training that are not the paper's. A preset without ending is the published form for 30
frames a second, one with -25 that for 25."""


def preset(name: str) -> dict[str, Any]:
    """Settings of encoder, adaptor, grid and decoder by model name; identities and heads come from the data.

    With the paper's eight datasets (934 identities, heads of 512, 512, 512, 52, 413 and 51 numbers), 91,852,084
    parameters of unitalker-b train and 312,964,420 of unitalker-l: the paper's 92 M and 313 M. 4,200,448 and
    4,210,176 more, the convolutional extractor's, stay as they were published, as does the vector of SpecAugment.
    Raises ModelError with the nearest names.
    """
    if name not in PRESETS:
        raise ModelError(unknown("preset", name, PRESETS, limit=len(PRESETS)))
    return deepcopy(PRESETS[name])
