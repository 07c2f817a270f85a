"""The runs that are compared: each a setting with a name, trained from the same encoder for every seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from unitalker.config import AugmentConfig, SourceConfig, TrainConfig, UniTalkerConfig

from .data import NAMES, SPEECH, TOPOLOGIES

REPEATS = {"d0": 10.0, "d1": 5.0, "d2": 4.0}
"""How often an epoch holds a clip, where not once: the release's factors."""
STEPS = 100
BATCH = 8
RATE = 2.5e-4
TUNING_RATE = 1e-4
WARMUP = 0.1
"""Share of a run's steps with the encoder frozen. The paper's is 1 of 100 epochs: 1 step of 100."""
EMA = 0.9
ENCODER = {"kind": "mini", "width": 128}
NONE = AugmentConfig(
    noise=0, equalise=0, reverberate=0, gain=0, telephone=0, clip=0, speed=0, bands=0, warp=0
)
VARIED = NONE.model_copy(update={"speed": 0.4, "warp": 0.6})
PIECES = {
    "full": {},
    "no-pca": {"pca": False},
    "no-pca-cm": {"pca": False, "centimetres": True},
    "no-warmup": {"warmup": False},
    "no-pivot": {"pivot": False},
    "vanilla": {"pca": False, "warmup": False, "pivot": False},
}
"""What the full model is without."""
CUMULATIVE = tuple(NAMES[: n + 1] for n in range(1, 7))
"""d0-d1 … d0-d6; d1 alone and d0-d7 are settings of their own."""


@dataclass(frozen=True)
class Setting:
    """One row of a table. steps: of the run. start: setting whose run of the same seed it goes on from.

    centimetres: without PCA, heads predict vertices in centimetres; else in metres, as in the paper. foreign: also
    measured as the pivot and as subjects of other annotations.
    """

    name: str
    datasets: tuple[str, ...] = NAMES
    pca: bool = True
    warmup: bool = True
    pivot: bool = True
    width: int = 256
    adaptor: str = "after_encoder"
    steps: int = STEPS
    rate: float = RATE
    start: str | None = None
    centimetres: bool = False
    foreign: bool = False

    @property
    def metres(self) -> bool:
        """Whether mesh heads predict metres."""
        return not (self.pca or self.centimetres)

    def folder(self, root: Path, dataset: str) -> Path:
        """The dataset's folder."""
        return root / ("data-metres" if self.metres and dataset in TOPOLOGIES else "data") / dataset

    def cards(self, root: Path) -> Path:
        """The folder of the annotations' cards."""
        return root / ("cards" if self.pca else "cards-metres" if self.metres else "cards-vanilla")


def config(setting: Setting, seed: int, root: Path) -> TrainConfig:
    """The training run of a setting: the paper's batches, loss and optimiser, but for what `docs/ablations.md` lists."""
    sources = [
        SourceConfig(path=str(setting.folder(root, n)), repeat=REPEATS.get(n, 1.0)) for n in setting.datasets
    ]
    return TrainConfig(
        model=model(setting.width, 64, setting.adaptor),
        sources=tuple(sources),
        cards=str(setting.cards(root)),
        batching="clips",
        batch=BATCH,
        pivot=0.1 if setting.pivot else 0.0,
        augment=NONE,
        loss="paper",
        pca=setting.pca,
        phone_weight=0.0,
        closure_weight=0.0,
        optimiser="adam",
        lr=setting.rate,
        schedule="constant",
        ramp=0.0,
        clip_norm=None,
        ema=EMA,
        precision="fp32",
        device="cpu",
        steps=setting.steps,
        warmup_steps=round(WARMUP * setting.steps) if setting.warmup and setting.start is None else 0,
        seed=seed,
        checkpoint_steps=100_000,
    )


def model(width: int, identity: int, adaptor: str = "after_encoder") -> UniTalkerConfig:
    """The model's settings; identities and heads come from the data.

    The grid is the clock's: our encoder hears 120 ms beyond the end of a clip, so corners do not align.
    """
    return UniTalkerConfig.parse(
        {
            "encoder": ENCODER,
            "adaptor": adaptor,
            "grid": "clock",
            "decoder": {"width": width, "identity_dim": identity},
            "identities": (),
            "heads": {"arkit52": 52},
            "default_annotation": "arkit52",
        }
    )


def listener(root: Path) -> TrainConfig:
    """The encoder's own training: phones alone. Every channel of the face is left out of the loss.

    Its decoder is too small to be taken over by anything that starts from it.
    """
    return TrainConfig(
        model=model(8, 8),
        sources=(SourceConfig(path=str(root / SPEECH), ignore=("",)),),
        cards=str(root / "cards"),
        steps=900,
        warmup_steps=0,
        batch=16,
        lr=2e-3,
        phone_weight=1.0,
        closure_weight=0.0,
        ema=0.99,
        device="cpu",
        augment=VARIED,
        checkpoint_steps=100_000,
    )


def core() -> list[Setting]:
    """The full model and what it is without PCA, warm-up, pivot identity, and all three."""
    return [replace(Setting(name, foreign=True), **changes) for name, changes in PIECES.items()]


def identities() -> list[Setting]:
    """Three small sets of three annotations, long enough for the decoder to know its 26 subjects apart."""
    long = Setting("long-full", ("d0", "d1", "d6"), steps=3 * STEPS, foreign=True)
    return [long, replace(long, name="long-no-pivot", pivot=False)]


def adaptors() -> list[Setting]:
    """The other place of the frequency adaptor that our encoder allows."""
    return [Setting("after-decoder", adaptor="after_decoder")]


def singles() -> list[Setting]:
    """A model for each dataset alone, with half of the steps that the model of all eight has."""
    return [Setting(f"only-{n}", (n,), steps=STEPS // 2) for n in NAMES]


def tuned() -> list[Setting]:
    """The model of all eight, gone on with one dataset for a quarter of its steps."""
    return [Setting(f"tuned-{n}", (n,), steps=STEPS // 4, rate=TUNING_RATE, start="full") for n in NAMES]


def growing(clips: dict[str, int]) -> list[Setting]:
    """More and more datasets, each run as many passes over its clips as the model of all eight makes.

    clips: number of training clips of each dataset.
    """
    counted = {n: REPEATS.get(n, 1.0) * clips[n] for n in NAMES}
    out = []
    for names in (("d1",), *CUMULATIVE):
        share = sum(counted[n] for n in names) / sum(counted.values())
        label = "grow-d1" if names == ("d1",) else f"grow-d0-{names[-1]}"
        out.append(Setting(label, names, steps=round(STEPS * share)))
    return out


def widths() -> list[Setting]:
    """Decoder widths on the smallest mesh set, alone and with the next, with and without PCA and warm-up.

    Without, twice: vertices in metres, as in the paper, and in centimetres, a handier size for a network's output.
    """
    vanilla = {"pca": False, "warmup": False}
    parts = {"full": {}, "vanilla": vanilla, "cm": vanilla | {"centimetres": True}}
    out = []
    for names in (("d0",), ("d0", "d1")):
        for width in (64, 256):
            for pieces, changes in parts.items():
                label = f"wide-{width}-{'-'.join(names)}-{pieces}"
                out.append(Setting(label, names, width=width, steps=2 * STEPS // 5, **changes))
    return out


def rates() -> list[Setting]:
    """The full model and the one without its three parts at other learning rates."""
    return [
        replace(Setting(f"rate-{rate:g}-{name}", rate=rate), **PIECES[name])
        for name in ("full", "vanilla")
        for rate in (1e-4, 1e-3)
    ]
