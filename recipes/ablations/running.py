"""One run: trained through the real trainer, measured, its figures kept as JSON and its weights thrown away."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unitalker.config import TrainConfig
from unitalker.data.dataset import open_dataset
from unitalker.errors import ConfigError
from unitalker.files import atomic
from unitalker.training.session import open_run
from unitalker.training.trainer import Trainer

from .data import CM2
from .measure import IDENTITIES, OWN, measure
from .settings import Setting, config, listener

KEPT = ("full",)
"""Settings whose weights stay, for those that go on from them."""


def result_file(root: Path, setting: Setting, seed: int) -> Path:
    """Where a run's figures are kept."""
    return root / "results" / f"{setting.name}.{seed}.json"


def train_listener(root: Path, settings: TrainConfig | None = None) -> None:
    """Train the encoder, if it is not there."""
    run = open_run(settings or listener(root), root / "listener")
    if run.step < run.steps:
        run.run(lambda step, figures: print(f"listener {step}", figures, flush=True), workers=0)


def count_in_centimetres(trainer: Trainer) -> None:
    """Give the errors of meshes in metres the unit of all others, cm²."""
    for source in trainer.batches.sources:
        if source.annotation is not None and source.annotation.unit == "m":
            source.energy = 1 / CM2


def run_setting(root: Path, setting: Setting, seed: int) -> dict[str, Any] | None:
    """Train and measure a setting with a seed; None where that was done before.

    A loss that is not finite is a result; a run that was asked to stop is none, and raises KeyboardInterrupt.
    """
    path = result_file(root, setting, seed)
    if path.is_file():
        return None
    folder = root / "work" / f"{setting.name}.{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    start = root / "listener" if setting.start is None else root / "work" / f"{setting.start}.{seed}"
    begun = time.time()
    trainer = open_run(config(setting, seed, root), folder, start=start)
    count_in_centimetres(trainer)
    facts: dict[str, Any] = {"setting": asdict(setting), "seed": seed}
    curve: list[dict[str, float]] = []
    try:
        trainer.run(lambda step, figures: curve.append({"step": step} | figures), workers=0)
        if trainer.step < trainer.steps:
            raise KeyboardInterrupt
        facts["train_s"] = time.time() - begun
        sets = {name: open_dataset(setting.folder(root, name)) for name in setting.datasets}
        model = trainer.averaged()
        people = IDENTITIES if setting.foreign else (OWN,)
        facts["lve_mm2"] = measure(model, trainer.annotations, sets, people)
    except ConfigError as fault:
        facts["failed"] = str(fault)
    facts |= {"curve": curve, "all_s": time.time() - begun}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as draft:
        draft.write_text(json.dumps(facts, indent=1))
    if setting.name not in KEPT:
        shutil.rmtree(folder, ignore_errors=True)
    return facts
