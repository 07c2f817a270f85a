"""How large models, runs and measurements are: the paper's, or a quick form that two cores finish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unitalker.config import merged
from unitalker.errors import ConfigError, unknown
from unitalker.models.presets import ENCODERS, TRAINING, preset
from unitalker.training.paper.sets import Sizes
from unitalker.training.recipes import PAPER

Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Scale:
    """Sizes of everything. base, large: settings of UniTalker-B and -L, over which tables lay their own. encoders: short
    name → settings. baselines: preset → what differs from its settings. train: settings of a run. tuning: of one that goes
    on with all of another model, and alike: of a baseline, both over `train`. sizes: of data. widths, decoders: channels and kinds of
    decoders, alone: whether on single datasets too (Fig. 5). fractions: of D0 (Fig. 4). growth: numbers of datasets (Tab. 4), None for all. shown: films of the user study
    (seconds, height in pixels, clips). repeats: of each timing. changes: a user's settings of training, over all. about: a sentence for reports."""

    name: str
    base: Tree
    large: Tree
    encoders: Mapping[str, Tree]
    train: Tree
    tuning: Tree
    about: str
    baselines: Mapping[str, Tree] = field(default_factory=dict)
    alike: Tree = field(default_factory=dict)
    sizes: Sizes = field(default_factory=Sizes)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    decoders: tuple[str, ...] = ("tcn", "transformer")
    alone: bool = True
    fractions: tuple[float, ...] = (1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32)
    growth: tuple[int, ...] | None = None
    shown: tuple[float, int, int] = (20.0, 384, 30)
    repeats: int = 3
    changes: Tree = field(default_factory=dict)

    def baseline(self, name: str, fps: float) -> tuple[dict[str, Any], dict[str, Any]]:
        """Model and training settings of a baseline's preset, in its form for a frame rate."""
        form = f"{name}-25" if fps == 25 and f"{name}-25" in TRAINING else name
        return merged(preset(form), self.baselines.get(name, {})), {**TRAINING[form], **self.alike}


def find_scale(name: str) -> Scale:
    """The scale of that name. Raises ConfigError with the nearest names."""
    if name not in SCALES:
        raise ConfigError(unknown("scale", name, SCALES))
    return SCALES[name]


_TINY = {
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96,
    "conv_dim": [32] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip


def _tiny(name: str, **changes: Any) -> Tree:
    encoder = ENCODERS[name]
    return {
        "kind": "hf",
        "name": encoder.name,
        "pretrained": False,
        "architecture": encoder.architecture | _TINY | changes,
        "normalise": encoder.normalise,
    }


def _quick(encoder: Tree) -> Tree:
    return {
        "encoder": encoder,
        "adaptor": "after_encoder",
        "grid": "aligned_corners",
        "decoder": {"kind": "tcn", "width": 48},
    }


_TINY_ENCODERS = {name: _tiny(name) for name in ENCODERS} | {
    "wav2vec2-large-xlsr-53": _tiny("wav2vec2-large-xlsr-53", hidden_size=64, intermediate_size=128)
}
_STORE = {"width": 32, "layers": 1, "heads": 4, "inner": 64, "parts": 4, "part_dim": 8, "entries": 32}
_CODETALKER: Tree = {"decoder": {"width": 32, "layers": 1, "autoencoder": _STORE}}
_READER = {"recogniser": _tiny("wav2vec2-large-xlsr-53-english"), "layers": 1, "heads": 4, "inner": 64}
_HEARS: Tree = {"encoder": _tiny("wav2vec2-base-960h")}
QUICK = Scale(
    "quick",
    base=_quick(_TINY_ENCODERS["wavlm-base-plus"]),
    large=_quick(_TINY_ENCODERS["wav2vec2-large-xlsr-53"]),
    encoders=_TINY_ENCODERS,
    train=PAPER
    | {
        "batch": 4,
        "lr": 2e-3,
        "epochs": None,
        "warmup_epochs": None,
        "validate_epochs": None,
        "steps": 24,
        "warmup_steps": 3,
        "checkpoint_steps": 1000,
        "log_steps": 4,
        "max_seconds": 5.0,
    },
    tuning={"lr": 1e-3, "steps": 8, "warmup_steps": 0},
    about="quick: encoders of some thousand random weights, 24 steps of 4 clips (baselines 3 of 2 short pieces), at most 3 test clips a "
    "dataset: to see that everything works. Its figures say nothing about the paper's claims.",
    baselines={
        "faceformer": _HEARS | {"decoder": {"width": 32}},
        "faceformer-non-autoregressive": _HEARS | {"decoder": {"width": 32}},
        "codetalker-motion": _CODETALKER,
        "codetalker": _HEARS | _CODETALKER,
        "selftalk": {
            "encoder": _READER["recogniser"],
            "decoder": {"width": 32, "heads": 4, "reading": _READER},
        },
        "facediffuser": {
            "encoder": {**_tiny("hubert-base"), "frozen_layers": 1},
            "decoder": {"width": 32, "steps": 6},
        },
    },
    alike={"epochs": None, "validate_epochs": None, "warmup_epochs": None, "warmup_steps": 0, "steps": 3, "batch": 2, "max_seconds": 1.5},
    sizes=Sizes(seconds=30.0, subjects=3, components=64, test=3),
    widths=(16, 64),
    decoders=("tcn",),
    alone=False,
    fractions=(1.0, 0.25),
    growth=(1, 2, 8),
    shown=(0.5, 64, 1),
    repeats=1,
)  # fmt: skip
FULL = Scale(
    "full",
    base=preset("unitalker-b"),
    large=preset("unitalker-l"),
    encoders={name: {"kind": "hf", "name": encoder.name} for name, encoder in ENCODERS.items()},
    train=PAPER,
    tuning={"warmup_epochs": 0},
    about="full: the paper's encoders with their published weights, 100 epochs of single clips; a GPU and days.",
)
SCALES = {scale.name: scale for scale in (QUICK, FULL)}
