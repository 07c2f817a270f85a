"""One run of the open benchmark: trained by the trainer, its best weights measured once on the test clips."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

from unitalker.animation.animator import load
from unitalker.data.dataset import open_dataset
from unitalker.data.synthesize import synthesize
from unitalker.errors import DataError
from unitalker.evaluation.predictions import FromModel
from unitalker.evaluation.protocols import find_protocol
from unitalker.evaluation.protocols.run import Options
from unitalker.evaluation.protocols.run import run as measure
from unitalker.files import atomic
from unitalker.training.session import open_run

from .runs import Run, settings, spoken

SPEECH, SPEECH_SECONDS = "syn-d3", 3600.0


def train_spoken(root: Path) -> None:
    """An hour of synthetic speech, and an encoder that hears its phones."""
    if not (root / "speech" / SPEECH / "dataset.json").is_file():
        synthesize(root / "speech", kinds=[SPEECH], seconds=SPEECH_SECONDS)
    trainer = open_run(spoken(root / "speech" / SPEECH), root / "spoken")
    if trainer.step < trainer.steps:
        trainer.run(_told("spoken"), workers=0)


def do(run: Run, seed: int, data: Path, root: Path) -> None:
    """Train and measure a run, unless its result is there. Raises DataError where what it begins with is missing."""
    path = root / "results" / f"{run.name}.{seed}.json"
    if path.is_file():
        return
    folder, begun = root / "work" / f"{run.name}.{seed}", time.time()
    trainer = open_run(settings(run, seed, data), folder, start=_start(run, seed, root))
    if not trainer.ended:
        trainer.run(_told(f"{run.name}.{seed}"), workers=0)
    if not trainer.ended:
        raise KeyboardInterrupt
    facts = {
        "run": run.name,
        "sets": run.sets,
        "seed": seed,
        "steps": trainer.step,
        "val": trainer.best.score,
        "train_s": round(time.time() - begun, 1),
        "card": json.loads((data / "card.json").read_text())["made_from"],
        "test": _test(folder / "best", run, data) if run.hears else {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path, DataError) as draft:
        draft.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(f"{run.name}.{seed}  {facts['steps']} steps  {facts['train_s']} s  val {facts['val']:.4f}")


def _test(best: Path, run: Run, data: Path) -> dict[str, dict]:
    """Set → what the protocol `open` says of the run's best weights."""
    animator, found = load(str(best)), {}
    for name in run.sets:
        source = FromModel(animator, run.name, model_sha256=animator.bundle.digest)
        result = measure(find_protocol("open"), [open_dataset(data / name)], source, Options(identity="own"))
        if result.problems:
            raise DataError(result.problems[0])
        found[name] = json.loads(result.to_json())["parts"][0]["metrics"]
    return found


def _start(run: Run, seed: int, root: Path) -> Path | None:
    """Run folder whose `model` has the weights to begin with: for a run of ours its best ones."""
    if run.start is None:
        return None
    if run.start == "spoken":
        if not (root / "spoken" / "model").is_dir():
            raise DataError(f"{root / 'spoken'} is not trained yet: python -m recipes.open spoken first.")
        return root / "spoken"
    before = root / "work" / f"{run.start}.{seed}"
    if not (root / "results" / f"{run.start}.{seed}.json").is_file():
        raise DataError(
            f"{before} is not trained to its end yet: python -m recipes.open runs {run.start} first."
        )
    chosen = before / "chosen"
    if not (chosen / "model").is_dir():
        shutil.copytree(before / "best", chosen / "model")
    return chosen


def _told(name: str):
    def tell(step: int, figures: dict[str, float]) -> None:
        if "val.score" in figures:
            parts = "  ".join(f"{k.removeprefix('val.')} {v:.4g}" for k, v in figures.items())
            print(f"{name}  {step}  {parts}", file=sys.stderr, flush=True)

    return tell
