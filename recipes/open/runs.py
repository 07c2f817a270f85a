"""The runs that the open benchmark compares: each a name, its sets, what it begins with, and its settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unitalker.config import AugmentConfig, SourceConfig, TrainConfig, UniTalkerConfig
from unitalker.data.open_deal import SETS

SEEDS = (0, 1, 2)
BATCH = 8
RATE, TUNING_RATE = 1e-3, 3e-4
VALIDATE, WAIT = 50, 400
"""Steps between validations, twice as many where there are several sets; steps without a better one that end a run."""
MOST, MOST_TUNED = 2400, 600
"""Steps at most; a run is over before that where validation gets no better."""
WARMUP = 30
EMA = 0.98
SHARES = {"grid": 2.0}
"""How often a set is drawn in a run of several, where not once."""
VARIED = AugmentConfig(
    noise=0.2, snr_db=(10.0, 30.0), equalise=0.2, reverberate=0, gain=0, telephone=0, clip=0, speed=0.4, warp=0.6
)  # fmt: skip
OURS: dict[str, Any] = {"kind": "tcn", "ahead": (1, 1, 0)}
STORE = {"width": 128, "layers": 2, "heads": 4, "inner": 256, "parts": 8, "part_dim": 16, "projected": False}
"""CodeTalker's motion autoencoder, in small."""
DECODERS: dict[str, dict[str, Any]] = {
    "faceformer": {"kind": "autoregressive", "width": 64},
    "parallel": {"kind": "transformer_decoder", "width": 64},
    "selftalk": {"kind": "selftalk", "width": 64, "motion_weight": 1.0, "velocity_weight": 1.0},
    "facediffuser": {"kind": "facediffuser", "width": 128, "sampling_steps": 25},
    "motion": {"kind": "codetalker", "stage": 1, "autoencoder": STORE},
    "codetalker": {"kind": "codetalker", "width": 64, "layers": 2, "autoencoder": STORE},
}
"""Baselines over the same encoder, in small: FaceFormer's decoder; the same without autoregression; SelfTalk's without
its lip reader; FaceDiffuser's; CodeTalker's two stages."""
WEIGHTS: dict[str, Any] = {"form": "weights", "noise": 0.1}
"""What FaceDiffuser's has otherwise on sets of weights: the published network for them, and noise about as large as they
are (codes of the meshes are about 1)."""
WEIGHED = ("grid", "facegood")
ADAPTORS = {"tcn": "after_decoder", "facediffuser": "decoder"}
"""Where a decoder's adaptor stands, if not behind the encoder."""


@dataclass(frozen=True)
class Run:
    """One run. sets: what it trains on and is measured on. start: name of the run whose best weights it begins with, or
    "spoken" for the encoder that heard synthetic speech alone. steps: at most; None for what all runs of its kind have."""

    name: str
    sets: tuple[str, ...]
    start: str | None = None
    decoder: dict[str, Any] = field(default_factory=lambda: dict(OURS))
    pivot: float = 0.1
    steps: int | None = None

    @property
    def hears(self) -> bool:
        """Whether it predicts from sound, and so can be measured."""
        return self.decoder.get("stage") != 1


def runs(prefix: str = "") -> Iterator[Run]:
    """A model for each set, one for all, each gone on with alone, and the baselines.

    prefix: "spoken-" for the same from the encoder that heard synthetic speech; baselines are left out then.
    """
    start = "spoken" if prefix else None
    for name in SETS:
        yield Run(f"{prefix}single-{name}", (name,), start)
    yield Run(f"{prefix}all", SETS, start)
    for name in SETS:
        yield Run(f"{prefix}tuned-{name}", (name,), f"{prefix}all")
    if prefix:
        return
    yield Run("longer-grid", ("grid",), "all", steps=MOST)
    for left in SETS:
        yield Run(f"without-{left}", tuple(name for name in SETS if name != left))
    for kind in DECODERS:
        yield from (_baseline(kind, name) for name in SETS)


def _baseline(kind: str, name: str) -> Run:
    decoder = DECODERS[kind] | (WEIGHTS if kind == "facediffuser" and name in WEIGHED else {})
    return Run(
        f"{kind}-{name}", (name,), f"motion-{name}" if kind == "codetalker" else None, decoder, pivot=0.0
    )


def settings(run: Run, seed: int, data: Path) -> TrainConfig:
    """What a run trains with. Losses are in units of a resting face's, so that no set's unit counts more."""
    tuning = run.start is not None and run.start != "spoken" and run.decoder["kind"] == "tcn"
    alone = len(run.sets) == 1
    sources = [SourceConfig(path=str(data / n), share=1.0 if alone else SHARES.get(n, 1.0)) for n in run.sets]
    between = VALIDATE if alone else 2 * VALIDATE
    return TrainConfig(
        model=model(run.decoder),
        sources=tuple(sources),
        batch=BATCH,
        pivot=run.pivot,
        augment=VARIED,
        phone_weight=0.0,
        closure_weight=0.0,
        lr=TUNING_RATE if tuning else RATE,
        schedule="constant",
        ema=EMA,
        precision="fp32",
        device="cpu",
        steps=run.steps or (MOST_TUNED if tuning else MOST),
        warmup_steps=0 if tuning else WARMUP,
        validate_steps=between,
        patience=WAIT // between,
        seed=seed,
        checkpoint_steps=200,
    )


def model(decoder: dict[str, Any]) -> UniTalkerConfig:
    """Our small encoder with a decoder; identities and heads come from the data."""
    return UniTalkerConfig.parse(
        {
            "encoder": {"kind": "mini", "width": 128},
            "adaptor": ADAPTORS.get(decoder["kind"], "after_encoder"),
            "grid": "clock",
            "decoder": decoder,
            "identities": (),
            "heads": {"arkit52": 52},
            "default_annotation": "arkit52",
        }
    )


def spoken(data: Path) -> TrainConfig:
    """The encoder's training for the second arm: phones of synthetic speech alone; no recording, no face."""
    return TrainConfig(
        model=model({"kind": "tcn", "width": 8, "identity_dim": 8}),
        sources=(SourceConfig(path=str(data), ignore=("",)),),
        steps=900,
        warmup_steps=0,
        batch=16,
        lr=1.5e-3,
        phone_weight=1.0,
        closure_weight=0.0,
        ema=0.99,
        device="cpu",
        checkpoint_steps=300,
    )
