"""Reading an epoch of clips from a dataset's folder and from its shards, in one process, files in the system's cache."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from common import Row, Setting
from made_data import SIZES, Amount, make

from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.shards import write_shards


def rows(setting: Setting) -> list[Row]:
    """Seconds of sound read in a second, sound decoded and codes of 512 numbers a frame in memory; in turns."""
    amount = Amount(20.0, components=16) if setting.quick else Amount(1800.0)
    with tempfile.TemporaryDirectory() as folder:
        files = make(Path(folder) / "files", "files", SIZES["vocaset"], amount)
        shards = open_dataset(write_shards(files, Path(folder) / "shards", clips=100))
        both = {"in files of their own": files, "in shards of 100 clips": shards}
        count = {name: sum(p.is_file() for p in d.folder.rglob("*")) for name, d in both.items()}
        taken: dict[str, list[float]] = {name: [] for name in both}
        for turn in range(2 + setting.repeats):
            for name, dataset in both.items():
                spent = epoch(dataset, turn)
                if turn > 1:
                    taken[name].append(spent)
    first = median(next(iter(taken.values())))
    return [
        Row(
            f"reading clips {name} ({count[name]} files)",
            f"{files.seconds() / median(times):,.0f} s of sound a second",
            f"{first / median(times):.2f} × files of their own; {len(files.clips) / median(times):,.0f} clips/s",
        )
        for name, times in taken.items()
    ]


def epoch(dataset: Dataset, seed: int) -> float:
    """Seconds that reading every clip takes, in random order."""
    order = np.random.default_rng(seed).permutation(len(dataset.clips))
    begun = time.perf_counter()
    for number in order:
        clip = dataset.clips[number]
        dataset.sound(clip)
        np.array(dataset.motion(clip))
    return time.perf_counter() - begun
