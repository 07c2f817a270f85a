"""Every bench as one Markdown table. Run: make bench, or python benchmarks/run.py [--only NAME] [--quick]"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import import_module

from common import Row, Setting

BENCHES = (
    "animate",
    "speed",
    "imports",
    "render",
    "memory",
    "frontend",
    "decoders",
    "baselines",
    "pca",
    "training",
    "training_memory",
    "processes",
    "sharding",
    "corpora",
    "doctor",
    "metrics",
)
LONG = ("data_efficiency",)
"""Benches that take half an hour and more; they run when they are asked for."""


def table(found: list[Row]) -> str:
    """Rows as a Markdown table."""
    lines = ["| what | figure | against |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.what} | {row.figure} | {row.ratio} |" for row in found)])


def machine() -> str:
    """A line about where the figures come from."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return f"Python {platform.python_version()}, {os.cpu_count()} cores ({platform.machine()}), load {load:.1f} at the start"


def main() -> int:
    """Run the benches asked for; the table goes to stdout, what is under way to stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", choices=(*BENCHES, *LONG), action="append", help="just this bench; repeat it for several"
    )
    parser.add_argument("--quick", action="store_true", help="shorter sounds and fewer repeats")
    parser.add_argument("--model", default="mini", help="an installed model or a model folder")
    given = parser.parse_args()
    setting, found, about = Setting(given.model, given.quick), [], machine()
    for name in given.only or BENCHES:
        print(f"{name} …", file=sys.stderr, flush=True)
        found += import_module(name).rows(setting)
    print(f"{about}\n\n{table(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
