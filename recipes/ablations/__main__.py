"""What PCA, decoder warm-up, the pivot identity and training on all datasets each change, on the synthetic twins.

    python -m recipes.ablations data       the twins and their cards
    python -m recipes.ablations listener   the encoder, from phones alone
    python -m recipes.ablations runs       every setting and seed that has no result yet, the most telling first
    python -m recipes.ablations table      the tables of what is there

Every stage goes on where it stopped; everything is written below runs/ablations (git ignores it). Method and
figures: docs/ablations.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from unitalker.data.dataset import open_dataset

from .data import NAMES, make_data
from .running import run_setting, train_listener
from .settings import Setting, adaptors, core, growing, identities, rates, singles, tuned, widths
from .tables import ratio, report

ROUNDS = "core 0, core 1, scale 0, growth 0, scale 1, growth 1, adaptor 0, adaptor 1, identity 0, core 2, identity 1, "
ROUNDS += "adaptor 2, growth 2, identity 2, scale 2, widths 0, rates 0, widths 1, widths 2, rates 1"
ORDER = [(name, int(seed)) for name, seed in (part.split() for part in ROUNDS.split(", "))]
"""Groups of settings and their seeds, the most telling first."""


def plan(root: Path, groups: set[str]) -> Iterator[tuple[Setting, int]]:
    """Settings and seeds in the order in which they are run."""
    clips = {n: len(open_dataset(root / "data" / n).split("train")) for n in NAMES}
    table = {
        "core": core(),
        "identity": identities(),
        "adaptor": adaptors(),
        "scale": [*singles(), *tuned()],
        "growth": growing(clips),
        "widths": widths(),
        "rates": rates(),
    }
    for group, seed in ORDER:
        if group in groups or not groups:
            yield from ((setting, seed) for setting in table[group])


def runs(root: Path, groups: set[str], minutes: float) -> None:
    """Run what has no result yet."""
    until = time.time() + 60 * minutes if minutes else float("inf")
    for setting, seed in plan(root, groups):
        if time.time() > until:
            return
        facts = run_setting(root, setting, seed)
        if facts:
            told = {n: round(ratio(facts, n), 3) for n in setting.datasets}
            print(f"{setting.name}.{seed}  {facts['all_s']:.0f} s  {told}", flush=True)


def main() -> None:
    """Parse the stage and run it."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.ablations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=("data", "listener", "runs", "table"))
    parser.add_argument(
        "groups", nargs="*", help="runs: core, identity, adaptor, scale, growth, widths, rates; default all"
    )
    parser.add_argument("--root", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--minutes", type=float, default=0, help="runs: begin none after so long; 0: no end")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.stage == "data":
        make_data(options.root)
    elif options.stage == "listener":
        train_listener(options.root)
    elif options.stage == "runs":
        runs(options.root, set(options.groups), options.minutes)
    else:
        print(report(options.root))


if __name__ == "__main__":
    main()
