"""Fixtures of the tests of evaluation: a made-up BIWI, and toys with their motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation_sets import make_set, motion
from unitalker.cli import main
from unitalker.data.dataset import open_dataset
from unitalker.data.likes import Size, make_like

RNG = np.random.default_rng(11)
NAMES = {"a_s1": ("a", 30), "a_s2": ("a", 17), "b_s1": ("b", 44)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The imitation of BIWI, imported: source/ and set/."""
    folder = tmp_path_factory.mktemp("corpus")
    make_like("biwi", folder / "source", Size(people=2, seconds=0.9))
    assert main(["data", "import", "biwi", str(folder / "source"), str(folder / "set")]) == 0
    return folder


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A toy dataset with three test clips of two subjects, and its motion by clip."""
    folder = tmp_path_factory.mktemp("toys") / "set"
    moved = {name: motion(frames, RNG) for name, (_, frames) in NAMES.items()}
    clips = {name: (NAMES[name][0], "test", values) for name, values in moved.items()}
    held = {f"{who}_t": (who, "train", motion(9, RNG)) for who in "ab"}
    make_set(folder, clips | held)
    return folder, moved


def predict(corpus: Path, out: Path, split: str, whom: list[str] | None = None) -> dict[str, np.ndarray]:
    """Absolute predictions in CodeTalker's directory convention, from the corpus's own files; {file stem: array}."""
    out.mkdir()
    made = {}
    for clip in open_dataset(corpus / "set").split(split):
        real = np.load(corpus / "source" / "vertices_npy" / f"{clip.id}.npy")
        for k, who in enumerate(whom or [clip.subject]):
            noise = np.random.default_rng(k).standard_normal(real.shape).astype(np.float32)
            made[f"{clip.id}_condition_{who}"] = real + np.float32(0.003) * noise
    for name, values in made.items():
        np.save(out / f"{name}.npy", values)
    return made
