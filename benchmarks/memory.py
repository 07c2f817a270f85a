"""Peak memory of animating a long file against a short one, each in a process of its own (Linux: VmHWM)."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from common import RATE, Row, Setting, plain_environment, python, voice

CHILD = """
import pathlib, unitalker
motion = unitalker.load({model!r}).animate({path!r})
status = pathlib.Path("/proc/self/status").read_text().splitlines()
print(len(next(iter(motion.values()))), next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def long_file(path: Path, minutes: int) -> None:
    """A FLAC of so many minutes, written a minute at a time."""
    minute = voice(60.0).astype(np.float32)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16", format="FLAC") as file:
        for _ in range(minutes):
            file.write(minute)


def peak(path: Path, model: str) -> tuple[int, float]:
    """Frames made, and peak resident memory in MiB."""
    code = CHILD.format(model=model, path=str(path))
    told = subprocess.run(python(code), check=True, capture_output=True, text=True, env=plain_environment())
    frames, kibibytes = told.stdout.split()
    return int(frames), int(kibibytes) / 1024


def rows(setting: Setting) -> list[Row]:
    """The weights' curves themselves (12 kB a second of sound) stay in memory up to 16 MB, then in a file."""
    minutes = 10 if setting.quick else 60
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.flac"
        long_file(path, 1)
        short_frames, short = peak(path, setting.model)
        long_file(path, minutes)
        frames, long = peak(path, setting.model)
    more = (frames - short_frames) * 52 * 4 / 2**20
    return [
        Row(
            f"peak memory, {minutes} min of sound against 1 min",
            f"{long:.0f} MiB against {short:.0f} MiB",
            f"{long / short:.2f} ×; the longer motion itself is {more:.0f} MiB more",
        )
    ]
