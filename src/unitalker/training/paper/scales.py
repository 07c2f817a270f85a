"""How large models and runs are: the paper's, or a quick form that two cores finish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unitalker.config import merged
from unitalker.models.presets import ENCODERS, preset
from unitalker.training.recipes import PAPER

Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Scale:
    """Sizes of everything. base, large: settings of UniTalker-B and -L, over which tables lay their own. encoders: short
    name → settings. train: settings of a run. tuning: of one that goes on from another model, over `train`. seconds: of
    each synthetic twin, None for their own. about: a sentence for reports."""

    name: str
    base: Tree
    large: Tree
    encoders: Mapping[str, Tree]
    train: Tree
    tuning: Tree
    about: str
    seconds: float | None = None


_TINY = {
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96,
    "conv_dim": [32] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip


def _tiny(name: str) -> Tree:
    encoder = ENCODERS[name]
    return {
        "kind": "hf",
        "name": encoder.name,
        "pretrained": False,
        "architecture": encoder.architecture | _TINY,
        "normalise": encoder.normalise,
    }


_QUICK_MODEL: Tree = {
    "encoder": {"kind": "mini", "mels": 40, "width": 48},
    "adaptor": "after_encoder",
    "grid": "clock",
    "decoder": {"kind": "tcn", "width": 64},
}
QUICK = Scale(
    "quick",
    base=_QUICK_MODEL,
    large=merged(_QUICK_MODEL, {"encoder": {"width": 72}}),
    encoders={name: _tiny(name) for name in ENCODERS},
    train=PAPER
    | {
        "batch": 8,
        "lr": 1e-3,
        "epochs": None,
        "warmup_epochs": None,
        "validate_epochs": None,
        "steps": 60,
        "warmup_steps": 6,
        "checkpoint_steps": 60,
        "log_steps": 20,
        "max_seconds": 8.0,
    },
    tuning={"lr": 5e-4, "steps": 30, "warmup_steps": 0},
    about="quick: encoders of a few thousand random weights and 60 steps of 8 clips, to see that everything works; its figures "
    "say nothing about the paper's claims",
    seconds=60.0,
)
FULL = Scale(
    "full",
    base=preset("unitalker-b"),
    large=preset("unitalker-l"),
    encoders={name: {"kind": "hf", "name": encoder.name} for name, encoder in ENCODERS.items()},
    train=PAPER,
    tuning={"warmup_epochs": 0},
    about="full: the paper's encoders with their published weights, 100 epochs of single clips; a GPU and days",
)
SCALES = {scale.name: scale for scale in (QUICK, FULL)}
