"""3D-ETF, made up: `HDTF/audio/<video>.wav` with `HDTF/blendshape/<video>.npy` (T, 52), and RAVDESS alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unitalker.annotations.layouts import layout
from unitalker.audio import write_sound
from unitalker.data.importers import hdtf, ravdess
from unitalker.data.likes import Size
from unitalker.data.likes.talk import NAMES, Talk, talk

RATES = {"HDTF": 16000, "RAVDESS": 48000}
FPS = 30.0
SPILL = -0.02
"""Lowest weight, as the fit gives now and then."""
VIDEOS = ("RD_Radio", "WDA_Speaker", "WRA_Speaker")


def make_hdtf(out: Path, size: Size) -> Path:
    """Videos: of the first subject in pieces `_00`, `_01` …, of the others whole takes; in turn of every split."""
    rng = np.random.default_rng(size.seed)
    for person in range(size.people):
        video = f"{VIDEOS[person % len(VIDEOS)]}{person + 1}"
        form = f"{video}_000_{{:02d}}" if person == 0 else f"{video}_{{:03d}}"
        every = [form.format(i) for i in range(100)]
        for name in _in_turn({name: hdtf.split_of(name) for name in every})[: size.takes]:
            _write(out / "3D-ETF", "HDTF", name, talk(size.seconds, FPS, rng, RATES["HDTF"]))
    return out


def make_ravdess(out: Path, size: Size) -> Path:
    """Spoken takes of actors, in turn of every split."""
    rng = np.random.default_rng(size.seed)
    for actor in ravdess.ACTORS[: size.people]:
        split = {what: ravdess.split_of(actor, what) for what in ravdess.SENTENCES}
        for what in _in_turn(split)[: size.takes]:
            said = talk(size.seconds, FPS, rng, RATES["RAVDESS"])
            _write(out / "3D-ETF", "RAVDESS", f"03-01-{what}-{actor}", said)
    return out


def _in_turn(split: dict[str, str]) -> list[str]:
    """Names, the first of each split before the others."""
    first = [next(name for name in split if split[name] == part) for part in ("train", "val", "test")]
    return [*first, *(name for name in split if name not in first)]


def alphabetical(said: Talk) -> np.ndarray:
    """(T, 52) weights in the order of 3D-ETF, a few below 0."""
    order = [NAMES.index(name) for name in layout("3detf52").names]
    weights = np.ascontiguousarray(said.weights[:, order])
    weights[:, layout("3detf52").names.index("mouthClose")] = SPILL
    return weights


def _write(out: Path, part: str, name: str, said: Talk) -> None:
    for room in ("audio", "blendshape"):
        (out / part / room).mkdir(parents=True, exist_ok=True)
    write_sound(out / part / "audio" / f"{name}.wav", said.samples, said.rate)
    np.save(out / part / "blendshape" / f"{name}.npy", alphabetical(said))
