"""PCA of a memory-mapped file of vertex motion, ours against scikit-learn's IncrementalPCA (Linux: memory from /proc)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import Row, Setting, plain_environment, python

NOISE = 0.01
"""Size of the noise relative to that of the motion."""

CHILD = """
import json, resource, sys, threading, time
import numpy as np

path, size, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data, peak = np.load(path, mmap_mode="r"), [0]

def blocks():
    return [data[start : start + rows] for start in range(0, len(data), rows)]

def anonymous():
    status = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

def watch():
    while True:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.02)

total = sum(block.sum(0, dtype=np.float64) for block in blocks()) / len(data)
{setup}
threading.Thread(target=watch, daemon=True).start()
before, wall, processor = anonymous(), time.perf_counter(), time.process_time()
components, mean = fit()
wall, processor, most = time.perf_counter() - wall, time.process_time() - processor, peak[0] - before
components = np.ascontiguousarray(components, np.float32)
energy = held = 0.0
for block in blocks():
    about = block - total.astype(np.float32)
    energy += np.square(about).sum(dtype=np.float64)
    held += np.square(about @ components.T).sum(dtype=np.float64)
wide = components.astype(np.float64)
skew = float(np.abs(wide @ wide.T - np.eye(len(wide))).max())
print(json.dumps(dict(wall=wall, processor=processor, peak=most, held=held / energy, skew=skew, size=len(wide))))
"""

OURS = """
from unitalker.annotations.pca import fit_basis

def fit():
    basis = fit_basis(blocks(), size, centre="mean")
    return basis.components, basis.mean
"""

THEIRS = """
from sklearn.decomposition import IncrementalPCA

def fit():
    found = IncrementalPCA(size, batch_size=2 * size).fit(data)
    return found.components_, found.mean_
"""


@dataclass(frozen=True)
class Case:
    """frames x coordinates of rank `rank` and noise, to `size` components; blocks of `rows` rows."""

    frames: int
    coordinates: int
    rank: int
    size: int
    rows: int


FULL = Case(10_000, 70_110, 300, 512, 900)
QUICK = Case(2_000, 14_000, 60, 102, 400)


def write(path: Path, case: Case) -> None:
    """The motion, a block at a time: directions of falling size, a mean, and noise."""
    rng = np.random.default_rng(0)
    size = np.geomspace(1, 0.03, case.rank).astype(np.float32)
    shapes = size[:, None] * rng.standard_normal((case.rank, case.coordinates), np.float32)
    mean = rng.standard_normal(case.coordinates, np.float32)
    noise = np.float32(NOISE * np.sqrt(np.square(size).sum()))
    out = np.lib.format.open_memmap(path, "w+", np.float32, (case.frames, case.coordinates))
    for start in range(0, case.frames, case.rows):
        count = min(case.rows, case.frames - start)
        block = rng.standard_normal((count, case.rank), np.float32) @ shapes + mean
        block += noise * rng.standard_normal(block.shape, np.float32)
        out[start : start + count] = block
    out.flush()


def measure(setup: str, path: Path, case: Case) -> dict[str, float]:
    """What a process of its own says of one method, after it has read the file once."""
    command = [*python(CHILD.format(setup=setup)), str(path), str(case.size), str(case.rows)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=plain_environment())
    return json.loads(told.stdout)


def rows(setting: Setting) -> list[Row]:
    """Times, explained variance, orthonormality and memory beside the mapped file, in one run."""
    case = QUICK if setting.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "motion.npy"
        write(path, case)
        ours = measure(OURS, path, case)
        print(f"PCA, ours: {ours}", file=sys.stderr, flush=True)
        theirs = measure(THEIRS, path, case)
        print(f"PCA, IncrementalPCA: {theirs}", file=sys.stderr, flush=True)
    what = f"PCA, {case.frames:,} x {case.coordinates:,} to {case.size}"
    faster = f"{theirs['wall'] / ours['wall']:.1f} × faster than IncrementalPCA ({theirs['wall']:.0f} s)"
    by_processor = f"{theirs['processor'] / ours['processor']:.1f} × by processor time"
    left = [f"{1e5 * (1 - found['held']):.4f}e-5" for found in (ours, theirs)]
    memory = f"{ours['peak']:.0f} MiB"
    return [
        Row(what, f"{ours['wall']:.1f} s", f"{faster}, {by_processor}"),
        Row(f"{what}: variance left out", left[0], f"IncrementalPCA {left[1]}"),
        Row(
            f"{what}: components off orthonormal by",
            f"{ours['skew']:.1e}",
            f"IncrementalPCA {theirs['skew']:.1e}",
        ),
        Row(f"{what}: memory beside the mapped file", memory, f"IncrementalPCA {theirs['peak']:.0f} MiB"),
    ]
