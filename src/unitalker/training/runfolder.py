"""The run folder: settings, environment, metrics, the state to go on with, and the model."""

from __future__ import annotations

import json
import pickle
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from unitalker.annotations.base import Annotation
from unitalker.config import TrainConfig
from unitalker.errors import ModelError
from unitalker.files import atomic
from unitalker.models import checkpoint
from unitalker.models.unitalker import UniTalker
from unitalker.training.tensorboard import Events

PACKAGES = ("unitalker", "torch", "numpy", "transformers", "safetensors", "soundfile", "pydantic")
"""Packages whose versions are noted."""
STATE = {"step", "model", "average", "phone_head", "optimiser", "scaler", "losses", "best"}
"""What a checkpoint holds."""


class RunFolder:
    """Files of a run. All but reading is done by the chief process alone.

    train.json: the settings. environment.json: one entry for each time the run was begun or gone on with.
    metrics.jsonl: a line of figures every `log_steps`, and one for each validation; tensorboard/: the same, where it is
    asked for. checkpoint.pt: everything that training goes on with. model/:
    the averaged weights. best/: those of the best validation.
    """

    def __init__(self, path: Path, chief: bool = True) -> None:
        self.path, self.chief = path, chief
        self.events: Events | None = None
        self.phones: tuple[str, ...] = ()

    def begin(self, config: TrainConfig, step: int, facts: Mapping[str, Any]) -> None:
        """Make the folder, write settings and phones, add an entry to environment.json, drop metrics of steps that are trained once more."""
        if not self.chief:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic(self.path / "train.json") as draft:
            draft.write_text(json.dumps(config.model_dump(mode="json"), indent=1))
        with atomic(self.path / "phones.json") as draft:
            draft.write_text(json.dumps(self.phones, ensure_ascii=False), encoding="utf-8")
        place = self.path / "environment.json"
        begun = json.loads(place.read_text()) if place.is_file() else []
        with atomic(place) as draft:
            draft.write_text(json.dumps([*begun, {"step": step} | environment() | dict(facts)], indent=1))
        self._forget(step)
        if config.tensorboard:
            self.events = Events(self.path / "tensorboard", step)

    def _forget(self, step: int) -> None:
        place = self.path / "metrics.jsonl"
        if not place.is_file():
            return
        kept = [line for line in place.read_text().splitlines() if _step(line) <= step]
        with atomic(place) as draft:
            draft.write_text("".join(line + "\n" for line in kept))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Add a line to metrics.jsonl."""
        if self.chief:
            line = {"step": step, "time": round(time.time(), 3)} | {k: _short(v) for k, v in figures.items()}
            with (self.path / "metrics.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
        if self.events:
            self.events.write(step, figures)

    def close(self) -> None:
        """Finish the files of a run."""
        if self.events:
            self.events.close()

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write checkpoint.pt, whole."""
        if self.chief:
            self.path.mkdir(parents=True, exist_ok=True)
            with atomic(self.path / "checkpoint.pt") as draft:
                torch.save(dict(state), draft)

    def load_state(self) -> dict[str, Any] | None:
        """What `save_state` wrote last, on the CPU; None where there is nothing. Raises ModelError for a broken file."""
        place = self.path / "checkpoint.pt"
        if not place.is_file():
            return None
        try:
            state = torch.load(place, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError):
            state = None
        if not isinstance(state, dict) or not state.keys() >= STATE:
            raise ModelError(
                f"{place} is broken (cut short?) and cannot be gone on with; restore it from a copy, or remove it and give "
                f"--start {self.path} too, which begins anew with the weights of {self.path / 'model'}."
            )
        return state

    def save_model(self, name: str, model: UniTalker, annotations: Mapping[str, Annotation]) -> None:
        """Write a model's folder; annotation cards only once, for they can be large and never change in a run."""
        if self.chief:
            cards = self.path / name / "annotations"
            fresh = {n: a for n, a in annotations.items() if not (cards / f"{n}.json").is_file()}
            checkpoint.save(self.path / name, model, fresh)


def _step(line: str) -> float:
    """Step of a line of metrics.jsonl; a line that was not written to its end belongs to no step that is kept."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _short(value: float) -> float:
    """Seven digits: metres² are small numbers."""
    return float(f"{value:.7g}")


def environment() -> dict[str, Any]:
    """Time, command, machine, versions and the source's git commit, as plain data."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "cuda": torch.version.cuda,
        "git": _git("rev-parse", "HEAD"),
        "git_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*words: str) -> str | None:
    """What git says about the folder that this file lies in; None where it is no checkout."""
    here = Path(__file__).parent
    try:
        told = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.strip() if told.returncode == 0 else None
