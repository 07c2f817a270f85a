"""How the embedded model `mini` was made, stage by stage. Each stage resumes where it left off.

    python recipes/mini.py data     --assets DIR          import, synthesize
    python recipes/mini.py listener                       a first model whose phone classifier labels recordings
    python recipes/mini.py label    --assets DIR          recordings with text → performed motion
    python recipes/mini.py base                           the weight heads
    python recipes/mini.py meshes                         vertex and FLAME sets driven by synthetic and captured weights
    python recipes/mini.py all                            every head together, from the base
    python recipes/mini.py finish                         a last stretch at a lower rate
    python recipes/mini.py ship                           float16 weights into the package

`--assets` is a folder with pairs_train/{grid_s1,facegood} and speech/ as described in docs/mini.md. Everything is
written below runs/mini (git ignores it).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.progress import Progress

from unitalker.annotations.builtin import MESHES
from unitalker.annotations.cards import save_card
from unitalker.config import AugmentConfig, SourceConfig, TrainConfig
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import importer
from unitalker.data.synthesize import synthesize
from unitalker.models import checkpoint
from unitalker.rig import builtin_head
from unitalker.training.session import make_annotations, open_run

ROOT = Path("runs/mini")
DATA = ROOT / "data"
UNHEARD = ("eyeBlink", "eyeLook")
"""Channels that no sound tells: blinks and gaze."""
HOURS = {"syn-d3": 2.5, "syn-d4": 0.7, "syn-d6": 0.8, "syn-d7": 0.8, "syn-rest": 1.2}
MESH_SECONDS = {"syn-d0": 240.0, "syn-d1": 240.0, "syn-d5": 900.0}
BASE = {
    "syn-d3": 3.0, "syn-d4": 0.8, "syn-d6": 1.0, "syn-d7": 1.0, "syn-rest": 2.0,
    "grid": 2.0, "facegood/arkit52": 0.6, "facegood/facegood116": 0.9,
}  # fmt: skip
READ = {
    "read-kathleen_en_f": 0.8,
    "read-kerstin_de_f": 0.8,
    "read-nathalie_nl_f": 0.5,
    "read-flemishguy_nl_m": 0.7,
}
DRIVEN = {"syn-d0": 0.3, "syn-d1": 0.3, "syn-d5": 0.5, "grid-head": 0.6, "grid-face": 0.6,
          "facegood-head": 0.3, "facegood-face": 0.3}  # fmt: skip
FINISH_CLOSURE = dict.fromkeys(
    ("facegood/arkit52", "facegood/facegood116", "facegood-head", "facegood-face"), 0.0
)
"""Factor on the closure term in the last stretch, where not 1."""


def data(options: argparse.Namespace) -> None:
    """Import the captured pairs, synthesize the twins."""
    pairs = options.assets / "pairs_train"
    importer("grid")(pairs / "grid_s1", DATA / "grid")
    importer("facegood")(pairs / "facegood", DATA / "facegood")
    with Progress() as progress:
        for name, hours in HOURS.items():
            task = progress.add_task(name, total=1.0)
            synthesize(
                DATA,
                kinds=[name],
                seconds=hours * 3600,
                progress=lambda _, x, t=task: progress.update(t, completed=x),
            )


def sources(shares: dict[str, float]) -> tuple[SourceConfig, ...]:
    """Source settings of dataset folders below DATA."""
    return tuple(SourceConfig(path=str(DATA / n), share=s, ignore=UNHEARD) for n, s in shares.items())


def train(config: TrainConfig, folder: Path, options: argparse.Namespace, start: Path | None = None) -> None:
    """Run (or resume) training with progress on stderr."""
    torch.set_num_threads(options.threads)
    trainer = open_run(
        config, folder, cards=ROOT / "cards", start=start, say=lambda line: print(line, file=sys.stderr)
    )
    until = time.time() + 60 * options.minutes if options.minutes else math.inf
    begun = time.time()

    def report(step: int, figures: dict[str, float]) -> None:
        text = "  ".join(f"{k} {v:.4f}" for k, v in figures.items())
        print(f"{step}/{config.steps}  {time.time() - begun:.0f} s  {text}", file=sys.stderr, flush=True)

    trainer.run(report, until=until)


def listener(options: argparse.Namespace) -> None:
    """A short run with a strong phone loss."""
    config = TrainConfig(
        sources=sources(BASE), steps=1600, warmup_steps=50, lr=1.5e-3, batch=24, ema=0.995, phone_weight=0.5
    )
    train(config, ROOT / "listener", options)


def readings(folder: Path, voice: str) -> Iterator[tuple[Path, str, str]]:
    """(file, text, voice) of a folder of read speech with metadata.csv (id|text) or transcripts.tsv (file, tab, text)."""
    table = folder / "transcripts.tsv"
    separator = "\t" if table.is_file() else "|"
    lines = (table if table.is_file() else folder / "metadata.csv").read_text().splitlines()
    for line in lines:
        name, text = line.split(separator)[:2]
        path = folder / (name.removesuffix(".flac") + ".opus")
        if path.is_file():
            yield path, text, voice


def label(options: argparse.Namespace) -> None:
    """Label the read speech with the listener."""
    from unitalker.training.recordings import PhoneListener, Recording, label_recordings

    torch.set_num_threads(options.threads)
    ears = PhoneListener(ROOT / "listener")
    for name, voice in {
        "kathleen_en_f": "en-us",
        "kerstin_de_f": "de",
        "nathalie_nl_f": "nl",
        "flemishguy_nl_m": "nl",
    }.items():
        found = [Recording(p, t, v, name) for p, t, v in readings(options.assets / "speech" / name, voice)]
        made = label_recordings(
            found, ears, DATA / f"read-{name}", licence="CC0 1.0", source=f"rhasspy/dataset-voice {name}"
        )
        print(f"{name}: {len(made.clips)} of {len(found)} recordings", file=sys.stderr)


def settings(shares: dict[str, float], steps: int, rate: float) -> TrainConfig:
    """The settings of the base and the last stage."""
    return TrainConfig(
        sources=sources(shares), steps=steps, warmup_steps=50, lr=rate, batch=24, ema=0.998, phone_weight=0.1,
        lip_weight=5.0, closure_weight=1.0, checkpoint_steps=250,
    )  # fmt: skip


def base(options: argparse.Namespace) -> None:
    """The heads that predict weights, on synthetic, read and captured speech."""
    train(settings(BASE | READ, options.steps or 2800, 1.5e-3), ROOT / "base", options)


def meshes(options: argparse.Namespace) -> None:
    """Vertex and FLAME twins, bases, and the captured weights driving both meshes."""
    from unitalker.data.driven import drive

    for name, seconds in MESH_SECONDS.items():
        synthesize(DATA, kinds=[name], seconds=seconds)
    cards = make_annotations([open_dataset(DATA / n) for n in MESH_SECONDS])
    rig = builtin_head()
    for name, annotation in cards.items():
        save_card(annotation, ROOT / "cards")
        if name in MESHES:
            for source in ("grid", "facegood/arkit52"):
                made = drive(
                    open_dataset(DATA / source), annotation, rig, DATA / f"{source.split('/')[0]}-{name}"
                )
                print(made.name, len(made.clips), file=sys.stderr)


def all_heads(options: argparse.Namespace) -> None:
    """Every head together, from the base's weights."""
    shares = BASE | READ | DRIVEN | {"facegood/arkit52": 1.0, "facegood/facegood116": 2.0, "grid": 2.5}
    config = settings(shares, options.steps or 1900, 1e-3)
    milder = AugmentConfig(noise=0.4, snr_db=(3.0, 30.0), reverberate=0.2, equalise=0.4)
    train(
        config.model_copy(update={"closure_weight": 3.0, "augment": milder}),
        ROOT / "all",
        options,
        start=ROOT / "base",
    )


def finish(options: argparse.Namespace) -> None:
    """A last stretch at a lower rate: the small captured set drawn less, and without the closure term."""
    shares = BASE | READ | DRIVEN | {"grid": 2.5}
    config = settings(shares, options.steps or 1100, 6e-4)
    chosen = tuple(
        s.model_copy(update={"closure": 0.0 if "facegood" in s.path else 1.0}) for s in config.sources
    )
    augment = AugmentConfig(noise=0.4, snr_db=(3.0, 30.0), reverberate=0.2, equalise=0.4, bands=0.4)
    changes = {"closure_weight": 3.0, "augment": augment, "sources": chosen}
    train(config.model_copy(update=changes), ROOT / "finish", options, start=ROOT / "all")


def ship(options: argparse.Namespace) -> None:
    """The averaged weights as float16, into the package."""
    found = checkpoint.load(ROOT / "finish" / "model")
    checkpoint.save(checkpoint.EMBEDDED / "mini", found.model, found.annotations, half=True)


STAGES = {
    "data": data,
    "listener": listener,
    "label": label,
    "base": base,
    "meshes": meshes,
    "all": all_heads,
    "finish": finish,
    "ship": ship,
}


def main() -> None:
    """Parse the stage and run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--assets", type=Path, help="folder with pairs_train/ and speech/")
    parser.add_argument(
        "--minutes", type=float, default=0, help="stop (and save) after this long; 0: at the last step"
    )
    parser.add_argument("--steps", type=int, default=0, help="steps of the stage instead of its own number")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    STAGES[options.stage](options)


if __name__ == "__main__":
    main()
