"""Training by several processes of one machine, as torchrun starts them, against one: the same batches, whole steps.

On CPUs two processes of one thread each, against one process of one thread; on GPUs as many as there are, against one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from operator import truediv
from pathlib import Path
from statistics import median

import torch
from common import Row, Setting, plain_environment
from made_data import make
from training import GPU, Plan, plan, settings

from unitalker.data.dataset import Dataset


def rows(setting: Setting) -> list[Row]:
    """Sound trained on in a second, one process and several in turns."""
    chosen = plan(setting)
    chosen = replace(chosen, amount=replace(chosen.amount, seconds=chosen.amount.seconds / 2))
    counts = (1, max(2, torch.cuda.device_count()))
    steps = 3 if setting.quick else 5
    found: dict[int, list[float]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as folder:
        sets = [make(Path(folder) / name, name, size, chosen.amount) for name, size in chosen.sizes]
        for turn in range(1 if setting.quick else 2):
            for count in counts:
                found[count] += speeds(Path(folder) / f"run{turn}-{count}", sets, chosen, count, steps)
    return [
        Row(
            f"training, bf16, {count} {'process' if count == 1 else 'processes'}",
            f"{median(speed):.2f} s of sound a second",
            f"{median(map(truediv, speed, found[1])):.2f} × one process" if count > 1 else "",
        )
        for count, speed in found.items()
    ]


def speeds(run: Path, sets: list[Dataset], chosen: Plan, count: int, steps: int) -> list[float]:
    """Seconds of sound in a second of each step but the first, the machine's usual processes at work."""
    run.mkdir()
    given = settings([d.folder for d in sets], chosen, "bf16") | {
        "epochs": None,
        "steps": steps,
        "log_steps": 1,
    }
    (run / "settings.json").write_text(json.dumps(given))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
    command = [*launcher, "-m", "unitalker.cli", "train", str(run / "settings.json"), "-o", str(run / "out")]
    threads = {} if GPU else {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, capture_output=True, env=plain_environment() | threads)
    times = [json.loads(line)["time"] for line in (run / "out" / "metrics.jsonl").read_text().splitlines()]
    seconds = mean_seconds(sets) * chosen.batch
    return [seconds / (later - earlier) for earlier, later in zip(times, times[1:], strict=False)]


def mean_seconds(sets: list[Dataset]) -> float:
    """Mean length of a clip."""
    clips = [clip.seconds for dataset in sets for clip in dataset.clips]
    return sum(clips) / len(clips)
