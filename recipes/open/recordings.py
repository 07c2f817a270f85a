"""The open benchmark's recordings from public files, in the form that `unitalker data build-open` reads.

    python recipes/open/recordings.py facegood FACEGOOD-Audio2Face/code/train recordings/facegood

docs/open.md names repositories, commits and licences.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from unitalker.annotations.layouts import convert, layout
from unitalker.audio import read, write_sound
from unitalker.data.open_deal import RECORDINGS
from unitalker.errors import DataError, UniTalkerError
from unitalker.files import atomic
from unitalker.motion import Motion

FPS = 30.0


def facegood(source: Path, out: Path) -> None:
    """`wav/<recording>.wav` and `bs_value/bs_value_<recording>.npy` (T, 116) → <recording>.npz and .flac."""
    raw_names, names = layout("facegood116").names, layout("arkit52").names
    out.mkdir(parents=True, exist_ok=True)
    for recording in RECORDINGS:
        path = source / "bs_value" / f"bs_value_{recording}.npy"
        try:
            values = np.load(path, allow_pickle=False).astype(np.float32)
        except (OSError, ValueError) as fault:
            raise DataError(f"{path} cannot be read as numbers: {fault}") from None
        if values.ndim != 2 or values.shape[1] != len(raw_names):
            raise DataError(f"{path} should hold (T, {len(raw_names)}) numbers, not {values.shape}.")
        arkit = convert(Motion(values, raw_names, FPS, "facegood116", "weight"), "arkit52").values
        write_sound(out / f"{recording}.flac", read(source / "wav" / f"{recording}.wav").samples)
        facts = {"raw116": values, "raw_names": np.array(raw_names), "arkit": arkit, "names": np.array(names)}
        with atomic(out / f"{recording}.npz", DataError) as draft:
            np.savez_compressed(draft, allow_pickle=False, **facts, fps=np.float32(FPS))
        print(out / f"{recording}.npz")


def main() -> int:
    """Parse the command and run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["facegood"])
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    try:
        facegood(options.source, options.output)
    except UniTalkerError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
