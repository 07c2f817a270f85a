"""Live Link Face's takes, made up: a folder a take with its CSV file and film, as the app of 2021 and that of 2024 write them.

Each first take is a 60-fps one with a film; the second is calibrated (`_cal`, `_raw`, `_neutral`), at 59.94; the third at
30, with a short gap, over midnight, and a wav.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from unitalker.annotations.layouts import layout
from unitalker.audio import write_sound
from unitalker.audio.container import Film
from unitalker.audio.timecode import CLOCK
from unitalker.data.likes import Size
from unitalker.data.likes.talk import NAMES, Talk, talk

COLUMNS = layout("livelink_csv").names
STEPS = (1.0, 1.001, 2.0)
"""Frames of the 60-fps clock between two rows, by take."""
DAY = 24 * 3600 * CLOCK
PEOPLE = ("anna", "béla", "carl", "dora", "emil", "fee", "gert", "hana")


def make(out: Path, size: Size) -> Path:
    """Folders of people with folders of takes."""
    rng = np.random.default_rng(size.seed)
    for person in PEOPLE[: size.people]:
        for number in range(size.takes):
            form = number % 3
            said = talk(size.seconds, CLOCK / STEPS[form], rng, 48000)
            folder = out / person / f"20240131_MySlate_{number + 1}"
            folder.mkdir(parents=True)
            _take(folder, f"MySlate_{number + 1}_iPhone", form, said)
    return out


def _take(folder: Path, stem: str, form: int, said: Talk) -> None:
    start = DAY - 30.0 if form == 2 else 15 * 3600 * CLOCK + 1234.5
    clock = start + np.arange(len(said.weights)) * STEPS[form]
    if form == 1:
        for end, factor in (("_cal", 1.0), ("_raw", 0.8)):
            _write(folder / f"{stem}{end}.csv", "BlendshapeCount", clock, factor * said.weights)
        _write(folder / f"{stem}_neutral.csv", "BlendshapeCount", clock[:1], 0 * said.weights[:1])
    else:
        kept = np.ones(len(clock), bool)
        kept[10:12] = form != 2
        _write(folder / f"{stem}.csv", "BlendShapeCount", clock[kept], said.weights[kept])
    if form == 2:
        write_sound(folder / f"{stem}.wav", said.samples, said.rate)
        return
    with Film(folder / f"{stem}.mov", (64, 64), 10.0, said.rate) as film:
        for picture in range(round(10 * len(said.samples) / said.rate)):
            film.picture(np.full((64, 64, 3), 40 + picture % 8, np.uint8))
        film.sound(said.samples)


def _write(path: Path, count: str, clock: np.ndarray, weights: np.ndarray) -> None:
    """A CSV file as the app writes it. clock (T,): frames of its 60-fps clock since midnight."""
    rows = np.zeros((len(weights), len(COLUMNS)))
    rows[:, [COLUMNS.index(name) for name in NAMES]] = weights
    rows[:, COLUMNS.index("headYaw")] = 0.1
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["Timecode", count, *(name[0].upper() + name[1:] for name in COLUMNS)])
        for time, row in zip(clock % DAY, rows, strict=True):
            ticks, mils = divmod(round(time * 1000) % (DAY * 1000), 1000)
            seconds, frame = divmod(ticks, CLOCK)
            hours, minutes = divmod(seconds // 60, 60)
            label = f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}:{frame:02d}.{mils:03d}"
            out.writerow([label, len(COLUMNS), *(f"{value:.10f}" for value in row)])
