"""What a dataset costs in memory while it trains: 30,000 frames of a mesh of BIWI's size, against 52 numbers.

Each training is a process of its own, a whole epoch with its files at the end. Peaks of anonymous memory (what the
process asked for itself: Linux's RssAnon, looked at every 5 ms) and of all resident memory (VmHWM), which counts pages
of mapped files that the system can take back at any time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import torch
from common import Row, Setting, plain_environment
from made_data import SIZES, Amount, make

from unitalker.config import TrainConfig
from unitalker.training.session import open_run

FPS = 25.0
INTERVAL = 0.005
BARE = 18
"""Vertices of a mesh of 54 numbers, whose 52 coefficients stand for as many weights: the same way through the code."""


def rows(setting: Setting) -> list[Row]:
    """Memory above that of training on 52 numbers with the same sound, for meshes of 5,000 and 23,370 vertices."""
    frames, meshes = (1500, (500, 2000)) if setting.quick else (30_000, (5000, SIZES["biwi"].vertices))
    bare, *found = measure(frames, (BARE, *meshes))
    out = []
    for vertices, (own, whole) in zip(meshes, found, strict=True):
        values = frames * 3 * vertices * 4 / 1e6
        out.append(
            Row(
                f"memory of training on {frames:,} frames of {3 * vertices:,} numbers, above 52",
                f"{own - bare[0]:.0f} MB of its own ({own:.0f} against {bare[0]:.0f})",
                f"{whole - bare[1]:.0f} MB with mapped pages; the vertices held as float32 are {values:,.0f} MB",
            )
        )
    flat = found[1][0] - found[0][0]
    out.append(Row(f"the same, {meshes[1]:,} vertices against {meshes[0]:,}", f"{flat:+.0f} MB of its own"))
    return out


def measure(frames: int, meshes: tuple[int, ...], components: int = 512) -> list[tuple[float, float]]:
    """(anonymous, all) peak megabytes of an epoch on each mesh."""
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for vertices in meshes:
            amount = Amount(frames / FPS, components=52 if vertices == BARE else components)
            size = replace(SIZES["biwi"], vertices=vertices)
            data = make(Path(folder) / f"data{vertices}", "faces", size, amount)
            command = [sys.executable, __file__, str(data.folder), str(Path(folder) / f"run{vertices}")]
            told = subprocess.run(
                command, check=True, capture_output=True, text=True, env=plain_environment()
            )
            found = json.loads(told.stdout)
            out.append((found["anonymous"], found["all"]))
    return out


def status(key: str) -> float:
    """Megabytes of a line of this process's status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"the system does not tell {key}")


class Peak(threading.Thread):
    """Largest anonymous memory while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.megabytes = 0.0

    def run(self) -> None:
        """Look, until told that it is done."""
        while not self.done.wait(INTERVAL):
            self.megabytes = max(self.megabytes, status("RssAnon"))


def train(data: Path, run: Path) -> None:
    """An epoch with a small encoder of our own kind; prints the peaks as JSON."""
    torch.set_num_threads(1)
    encoder = {"kind": "mini", "width": 32, "mels": 40, "dilations": (1, 1, 2, 4)}
    model = {"encoder": encoder, "identities": (), "heads": {"none": 1}, "default_annotation": "none"}
    usual = {
        "batching": "clips",
        "loss": "paper",
        "phone_weight": 0,
        "closure_weight": 0,
        "precision": "fp32",
    }
    config = TrainConfig.parse(
        {"model": model, "sources": [{"path": str(data)}], "batch": 16, "epochs": 1, "warmup_steps": 0}
        | usual
    )
    peak = Peak()
    peak.start()
    open_run(config, run).run(workers=0)
    peak.done.set()
    peak.join()
    print(json.dumps({"anonymous": peak.megabytes, "all": status("VmHWM")}))


def main() -> None:
    """Train in this process and print its peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    given = parser.parse_args()
    train(given.data, given.run)


if __name__ == "__main__":
    main()
