"""`unitalker animate` as a user runs it: a whole process, from ten seconds of sound to a CSV and a GLB."""

from __future__ import annotations

import tempfile
from pathlib import Path

import soundfile
from common import RATE, Row, Setting, process_seconds, python, unitalker, voice

SECONDS = 10.0


def rows(setting: Setting) -> list[Row]:
    """Wall time of the process, and how much of it is Python and torch starting."""
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "ten.wav"
        soundfile.write(sound, voice(SECONDS), RATE)
        outputs = [part for name in ("a.csv", "a.glb") for part in ("-o", str(Path(folder) / name))]
        command = unitalker("animate", str(sound), *outputs, "--model", setting.model, "--quiet")
        whole, torch = process_seconds([command, python("import torch")], min(setting.repeats, 5))
    return [
        Row(
            "animate ten.wav -o a.csv -o a.glb, whole process",
            f"{whole:.2f} s",
            f"{SECONDS / whole:.1f} × real time; `import torch` alone is {100 * torch / whole:.0f} % of it",
        )
    ]
