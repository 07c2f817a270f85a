"""How well `data annotate` finds known weights again: a dataset's clips drive the built-in head, films of it are tracked.

    python benchmarks/annotate.py sets/grid --tracker-model face_landmarker.task --clips 8

The dataset holds ARKit weights. One film of its first clips of the split "val" is made and annotated; the table tells,
for each channel that moves, the correlation of what was tracked with what drove the head, and the slope of one on the
other. A rendered head is no person: the figures tell that clocks, names and signs are right, and which shapes the
tracker sees on a mesh whose shapes are not the ones it was trained on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from unitalker.annotations.layouts import convert, layout
from unitalker.data.annotate import annotate_videos
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.tracker_mediapipe import MediaPipeTracker, find_model
from unitalker.export import write
from unitalker.motion import Motion

LEAST = 0.005
"""Channels whose standard deviation is smaller do not move."""


def performance(dataset: Dataset, count: int) -> tuple[Motion, np.ndarray]:
    """The first clips of "val" one after the other: weights, and sound (N,) of the same length."""
    values, sounds = [], []
    for clip in dataset.split("val")[:count]:
        motion = np.asarray(dataset.motion(clip), np.float32)
        samples = np.zeros(round(len(motion) / dataset.fps * 16000), np.float32)
        heard = dataset.sound(clip)[0][: len(samples)]
        samples[: len(heard)] = heard
        values.append(motion)
        sounds.append(samples)
    joined = Motion(np.concatenate(values), dataset.names, dataset.fps, dataset.annotation, dataset.unit)
    return convert(joined, "arkit52"), np.concatenate(sounds)


def tracked(folder: Path, frames: int) -> np.ndarray:
    """(frames, 52) what was tracked, NaN where no clip is."""
    found = open_dataset(folder)
    places = json.loads((folder / "tracking.json").read_text())["clips"]
    out = np.full((frames, len(found.names)), np.nan)
    for clip in found.clips:
        start = round(places[clip.id]["start"] * found.fps)
        motion = found.motion(clip)[: frames - start]
        out[start : start + len(motion)] = motion
    return out


def table(true: np.ndarray, found: np.ndarray) -> str:
    """Lines of channel, correlation, slope, and the lag in frames at which the correlation is best."""
    here = np.isfinite(found).all(axis=1)
    lines = [
        f"{here.mean():.1%} of {len(here)} frames tracked",
        "channel                  r  slope  best lag",
    ]
    for k, name in enumerate(layout("arkit52").names):
        x, y = true[:, k], found[:, k]
        if x[here].std() < LEAST or y[here].std() < LEAST / 10:
            continue
        r = [
            np.corrcoef(x[10:-10][here[10:-10]], np.roll(y, -lag)[10:-10][here[10:-10]])[0, 1]
            for lag in range(-5, 6)
        ]
        slope = np.polyfit(x[here], y[here], 1)[0]
        lines.append(f"{name:<20} {r[5]:6.3f} {slope:6.2f} {int(np.nanargmax(r)) - 5:9d}")
    return "\n".join(lines)


def main() -> None:
    """Render, annotate, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--tracker-model", type=Path)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--size", type=int, default=512)
    told = parser.parse_args()
    motion, sound = performance(open_dataset(told.dataset), told.clips)
    with tempfile.TemporaryDirectory() as folder:
        film, out = Path(folder) / "head.mp4", Path(folder) / "set"
        write(motion, film, sound=sound, size=told.size)
        start = time.perf_counter()
        made = annotate_videos([film], out, MediaPipeTracker(find_model(told.tracker_model)))
        spent = time.perf_counter() - start
        print(*made.notes[-2:], sep="\n")
        print(f"{len(motion)} pictures of {told.size} × {told.size} annotated in {spent:.1f} s")
        print(table(motion.values, tracked(out, len(motion))))


if __name__ == "__main__":
    main()
