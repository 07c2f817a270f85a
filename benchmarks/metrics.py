"""Every figure of an evaluation of BIWI-Test-A's size from files: 24 sequences, 3,879 frames of 23,370 vertices (Linux).

Motion and predictions are made up and written first (2.2 GB, or --folder to keep them); what is measured is a process of
its own that runs `unitalker evaluate --predictions` on them, its memory as the kernel counts it, mapped files and all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import Row, Setting, plain_environment

from unitalker.annotations.cards import save_card
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.data.dataset import Clip, Dataset, write_manifest
from unitalker.data.importers.biwi import EXPECTED, REGIONS, SEEN, VERTICES
from unitalker.data.likes.mesh import Face
from unitalker.data.likes.talk import NAMES

CHILD = """
import json, sys, time
from unitalker.cli import main
begun = time.process_time(), time.perf_counter()
code = main(["evaluate", "--predictions", sys.argv[1], "--protocol", "biwi-testA", "--data", sys.argv[2], "--json", sys.argv[3]])
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
spent = time.process_time() - begun[0], time.perf_counter() - begun[1]
print(json.dumps([code, int(most.split()[1]) / 1024, *spent]), file=sys.stderr)
"""


def lengths(sequences: int, frames: int) -> list[int]:
    """Frames of each sequence, together `frames`."""
    return [frames // sequences + (i < frames % sequences) for i in range(sequences)]


def write(path: Path, face: Face, frames: int, rng: np.random.Generator, base: np.ndarray | float) -> None:
    """An npy file of a face that talks a little, over a base; 40 frames at a time."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (frames, 3 * VERTICES)}
    speed, phase = rng.uniform(0.5, 3, 52), rng.uniform(0, 6, 52)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, frames, 40):
            times = np.arange(start, min(start + 40, frames))[:, None] / EXPECTED.fps
            weights = 0.15 + 0.15 * np.sin(speed * times + phase)
            weights[:, NAMES.index("jawOpen")] *= 3
            moved = face.vertices(weights.astype(np.float32)) - face.template.reshape(-1)
            file.write(np.ascontiguousarray(moved + base, "<f4").data)


def make(folder: Path, frames: int) -> None:
    """A dataset as an import leaves it, without its sound, which is not listened to, and predictions."""
    rng = np.random.default_rng(0)
    for room in ("set/motion", "predictions"):
        (folder / room).mkdir(parents=True)
    face = Face(VERTICES, 1.0, rng)
    near = {"lips": "lips", "upper_face": "brows"}
    regions = {name: face.nearest(near[name], count) for name, count in REGIONS.items()}
    phones = tuple((0.5 * i, 0.5 * i + 0.1, "ba"[i % 2]) for i in range(8))
    clips = []
    names = [(who, f"{who}_e{number}") for who in SEEN for number in range(37, 41)]
    for (who, name), count in zip(names, lengths(len(names), frames), strict=True):
        write(folder / "set" / "motion" / f"{name}.npy", face, count, rng, 0.0)
        to = folder / "predictions" / f"{name}_condition_{who}.npy"
        write(to, face, count, rng, face.template.reshape(-1))
        files = f"audio/{name}.flac", f"motion/{name}.npy"
        clips.append(Clip(name, who, *files, "test", count / EXPECTED.fps, phones=phones))
    np.savez(folder / "set" / "templates.npz", **dict.fromkeys(SEEN, face.template))
    channels = vertex_names(VERTICES)
    save_card(
        VertexAnnotation(EXPECTED.annotation, EXPECTED.fps, "u", channels, regions=regions),
        folder / "set" / "annotations",
    )
    write_manifest(
        Dataset(
            folder / "set",
            "biwi",
            EXPECTED.annotation,
            EXPECTED.fps,
            "u",
            channels,
            SEEN,
            tuple(clips),
            scale=EXPECTED.scale,
            templates="templates.npz",
            extra={"corpus": EXPECTED.corpus},
        )
    )


def measured(folder: Path) -> tuple[float, float, float, dict]:
    """MiB at the most, processor and wall seconds of an evaluation in a process of its own, and its figures."""
    out = folder / "figures.json"
    command = [sys.executable, "-c", CHILD, str(folder / "predictions"), str(folder / "set"), str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=plain_environment())
    code, memory, processor, wall = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return memory, processor, wall, json.loads(out.read_text())


def reading(folder: Path) -> float:
    """Wall seconds of summing the same files once, the least that any measure of them costs."""
    begun = time.perf_counter()
    for path in folder.rglob("*.npy"):
        values = np.load(path, mmap_mode="r")
        for start in range(0, len(values), 16):
            values[start : start + 16].sum()
    return time.perf_counter() - begun


def rows(setting: Setting) -> list[Row]:
    """Time and memory, against reading the files once."""
    frames = EXPECTED.frames["test"] // (10 if setting.quick else 1)
    with tempfile.TemporaryDirectory() as folder:
        return told(Path(folder), frames)


def told(folder: Path, frames: int) -> list[Row]:
    """The rows, of files in a folder that is made where it is empty."""
    if not (folder / "set").is_dir():
        make(folder, frames)
    least = reading(folder)
    memory, processor, wall, found = measured(folder)
    what = f"every figure of {found['parts'][0]['facts']['sequences']} sequences, {frames:,} frames of {VERTICES:,} vertices"
    return [
        Row(
            what,
            f"{wall:.1f} s",
            f"{processor:.1f} s of one core; {wall / least:.1f} × summing the files once ({least:.1f} s)",
        ),
        Row(f"{what}: memory at its most", f"{memory:.0f} MiB", f"files of {_size(folder):.0f} MiB"),
    ]


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*.npy")) / 2**20


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="make the files here, and keep them")
    given = parser.parse_args()
    if given.folder is None:
        print(*rows(Setting("mini", False)), sep="\n")
    else:
        given.folder.mkdir(parents=True, exist_ok=True)
        print(*told(given.folder, EXPECTED.frames["test"]), sep="\n")
