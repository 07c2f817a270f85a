"""Sequences of FLAME parameters, made up: npz with named arrays, and arrays without names of the widths that are in use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.audio import write_sound
from unitalker.data.likes import Size
from unitalker.data.likes.talk import NAMES, Talk, talk

FPS = 25.0
OPEN = 0.35
"""Radians of a jaw that is wide open."""


def make(out: Path, size: Size) -> Path:
    """Folders of people; npz takes that tell their frames a second."""
    rng = np.random.default_rng(size.seed)
    for number, (path, said) in enumerate(_talks(out, size, rng)):
        expression, jaw = _face(said, 100, rng)
        held: dict[str, Any] = {
            "expression": expression,
            "jaw_pose": jaw,
            "betas": rng.normal(0, 1, 100),
            "fps": FPS,
        }
        if number % 2:
            turn = 0.1 * np.sin(np.arange(len(jaw)) / FPS)[:, None] * [0, 1, 0]
            held = {
                "exp": expression[:, :50],
                "pose": np.concatenate([turn, jaw], 1),
                "shape": held["betas"][None],
                "fps": FPS,
            }
        np.savez(path.with_suffix(".npz"), allow_pickle=False, **held)
    return out


def make_flat(out: Path, size: Size) -> Path:
    """npy takes of 156, 106 and 53 numbers a frame, which do not tell their frames a second (25)."""
    rng = np.random.default_rng(size.seed)
    for number, (path, said) in enumerate(_talks(out, size, rng)):
        expression, jaw = _face(said, 100, rng)
        shape, turn = np.tile(rng.normal(0, 1, 100), (len(jaw), 1)), np.zeros((len(jaw), 3))
        flat = (
            [shape, expression[:, :50], turn, jaw],
            [expression, turn, jaw],
            [expression[:, :50], jaw],
        )[number % 3]
        np.save(path.with_suffix(".npy"), np.concatenate(flat, 1).astype(np.float32))
    return out


def _talks(out: Path, size: Size, rng: np.random.Generator) -> Iterator[tuple[Path, Talk]]:
    """Where a take goes, without its ending, and what is said; its wav is written."""
    for person in range(size.people):
        folder = out / f"M{person + 3:03d}"
        folder.mkdir()
        for number in range(size.takes):
            said = talk(size.seconds, FPS, rng, 16000)
            write_sound(folder / f"take{number + 1}.wav", said.samples, said.rate)
            yield folder / f"take{number + 1}", said


def _face(said: Talk, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Expressions (T, count) that go with the mouth, and jaws (T, 3)."""
    jaw = np.zeros((len(said.weights), 3))
    jaw[:, 0] = OPEN * said.weights[:, NAMES.index("jawOpen")]
    return said.weights @ rng.normal(0, 0.5, (len(NAMES), count)), jaw
