"""One model for all annotations against a model for each, on the open benchmark.

    unitalker data build-open sets/open --source recordings --rig ict_narrowface_arkit.npz
    python -m recipes.open runs --data sets/open          every run and seed that has no result yet
    python -m recipes.open runs single all --data sets/open --minutes 30
    python -m recipes.open table                          what is there, as docs/RESULTS.md has it

Arm "spoken" begins with an encoder trained on synthetic speech (needs the tts extra):

    python -m recipes.open spoken
    python -m recipes.open runs spoken --data sets/open

Validation picks the weights (best/), test clips are measured once for each run, at its end. Stages go on where they
stopped; everything is written below runs/open.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from unitalker.errors import UniTalkerError
from unitalker.files import atomic

from .runs import SEEDS, Run, runs
from .tables import listed, report
from .work import do, train_spoken


def plan(groups: list[str]) -> list[tuple[Run, int]]:
    """Runs and seeds in the order in which they are run. groups: beginnings of names; none means the random arm."""
    every = [*runs(), *runs("spoken-")]
    chosen = [r for r in every if any(r.name.startswith(g) for g in groups)] if groups else [*runs()]
    return [(run, seed) for seed in SEEDS for run in chosen]


def main() -> int:
    """Parse the stage and run it."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.open", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )  # fmt: skip
    parser.add_argument("stage", choices=("runs", "spoken", "table"))
    parser.add_argument("groups", nargs="*", help="beginnings of run names, such as single, all, tuned-mesh")
    parser.add_argument("--data", type=Path, help="the benchmark's folder")
    parser.add_argument("--root", type=Path, default=Path("runs/open"))
    parser.add_argument("--minutes", type=float, default=0, help="begin no run after so long; 0: no end")
    parser.add_argument("--csv", type=Path, help="table: write every figure to this file too")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    until = time.time() + 60 * options.minutes if options.minutes else float("inf")
    try:
        if options.stage == "table":
            print(report(options.root))
            if options.csv is not None:
                with atomic(options.csv) as draft:
                    draft.write_text(listed(options.root), encoding="utf-8")
        elif options.stage == "spoken":
            train_spoken(options.root)
        elif options.data is None:
            parser.error("runs needs --data, the folder that `unitalker data build-open` made")
        else:
            for run, seed in plan(options.groups):
                if time.time() < until:
                    do(run, seed, options.data, options.root)
    except UniTalkerError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
