"""Rendered frames a second at 512 × 512: pictures alone, and a film with sound. Run: python benchmarks/render.py"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from common import Row, Setting

from unitalker.export.mp4 import write_mp4
from unitalker.export.render import Renderer
from unitalker.rig.files import load_rig
from unitalker.rig.rig import Rig


def talking(rig: Rig, frames: int, fps: float) -> np.ndarray:
    """(T, K) weights of a jaw that opens four times a second."""
    weights = np.zeros((frames, len(rig.shape_names)), np.float32)
    if "jawOpen" in rig.shape_names:
        beat = np.sin(2 * np.pi * 2 * np.arange(frames) / fps) ** 2
        weights[:, rig.shape_names.index("jawOpen")] = 0.5 * beat
    return weights


def timed(work: Callable[[], object], frames: int) -> dict[str, float]:
    """Frames a second by the wall clock, and processor milliseconds a frame."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {"fps": frames / wall, "cpu_ms": 1000 * processor / frames}


def measure(rig: Rig, frames: int = 150, size: int = 512, fps: float = 30) -> dict[str, dict[str, float]]:
    """The two figures for a rig: "pictures" (one thread) and "film" (H.264 and AAC, posing included)."""
    weights = talking(rig, frames, fps)
    renderer = Renderer(rig, size)
    renderer.frame()
    posed = rig.pose(weights[:16])
    tone = 0.2 * np.sin(2 * np.pi * 220 * np.arange(round(16000 * frames / fps)) / 16000)

    def pictures() -> None:
        for number in range(frames):
            renderer.frame(posed[number % len(posed)])

    def vertices() -> Iterator[np.ndarray]:
        for start in range(0, frames, 32):
            yield from rig.pose(weights[start : start + 32])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        return {
            "pictures": timed(pictures, frames),
            "film": timed(lambda: write_mp4(path, vertices(), rig, fps, tone, size=size), frames),
        }


def rows(setting: Setting) -> list[Row]:
    """The built-in head at 512 × 512, for the table of run.py."""
    from unitalker.rig import builtin_head

    found = measure(builtin_head(), 60 if setting.quick else 150)
    labels = {"pictures": "pictures, 512 × 512, one thread", "film": "film with sound (.mp4), 512 × 512"}
    return [
        Row(
            label,
            f"{found[key]['fps']:.1f} frames/s",
            f"{found[key]['fps'] / 25:.2f} × 25 frames/s; {found[key]['cpu_ms']:.1f} ms of processor a frame",
        )
        for key, label in labels.items()
    ]


def main() -> None:
    """Parse the flags, print the figures of one rig."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rig", default="head", help="a rig file (.glb, .npz), or head")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--size", type=int, default=512)
    given = parser.parse_args()
    rig = load_rig(given.rig)
    print(f"{rig.name}: {len(rig.vertices)} vertices, {len(rig.faces)} triangles, {given.size} pixels")
    for name, found in measure(rig, given.frames, given.size).items():
        print(f"{name:9s} {found['fps']:6.1f} frames/s   {found['cpu_ms']:6.1f} ms of processor time a frame")


if __name__ == "__main__":
    main()
