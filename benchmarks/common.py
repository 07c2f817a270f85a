"""What the benches share: a row of the table, a sound to animate, clocks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

RATE = 16000


@dataclass(frozen=True)
class Row:
    """One line of the table. figure: the number with its unit; ratio: the same against something in this run."""

    what: str
    figure: str
    ratio: str = ""


@dataclass(frozen=True)
class Setting:
    """model: name or folder. quick: fewer repeats and shorter sounds, for a look rather than a record."""

    model: str = "mini"
    quick: bool = False

    @property
    def repeats(self) -> int:
        """How often a short measurement is taken; the median counts."""
        return 3 if self.quick else 7


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """(N,) float32 at 16 kHz: a buzz of 120 Hz with noise, in syllables and pauses; costs nothing to make."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    buzz = np.sign(np.sin(2 * np.pi * 120 * t)) + 0.3 * rng.standard_normal(len(t), np.float32)
    syllables = np.maximum(np.sin(2 * np.pi * 2 * t), 0) * (np.sin(2 * np.pi * 0.2 * t) > -0.5)
    return (0.15 * buzz * syllables).astype(np.float32)


def clocked(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median wall-clock and processor seconds of `work`, after one run that does not count."""
    work()
    wall, processor = [], []
    for _ in range(repeats):
        a, b = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - a)
        processor.append(time.process_time() - b)
    return median(wall), median(processor)


def process_seconds(commands: Sequence[Sequence[str]], repeats: int) -> list[float]:
    """Median wall-clock seconds of each command as a whole process; the commands take turns."""
    taken: list[list[float]] = [[] for _ in commands]
    for turn in range(repeats + 1):
        for times, command in zip(taken, commands, strict=True):
            begun = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=plain_environment())
            if turn:
                times.append(time.perf_counter() - begun)
    return [median(times) for times in taken]


def plain_environment() -> dict[str, str]:
    """The environment without switches that keep Python from caching its byte code."""
    return {
        k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME")
    }


def python(code: str) -> list[str]:
    """A command that runs a line of Python."""
    return [sys.executable, "-c", code]


def unitalker(*words: str) -> list[str]:
    """A command of the package's own."""
    return [str(Path(sys.executable).with_name("unitalker")), *words]
