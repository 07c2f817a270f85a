"""Scores of MediaPipe's face landmarker, made up: JSON of the forms that people write, and npz, each with a sound.

The resting face shows a little of some shapes, as the tracker's does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.annotations.layouts import layout
from unitalker.audio import write_sound
from unitalker.data.likes import Size
from unitalker.data.likes.talk import NAMES, talk

ORDER = layout("mediapipe").names
FPS = 30.0
REST = {"mouthPucker": 0.12, "browDownLeft": 0.05, "eyeLookDownLeft": 0.2}


def make(out: Path, size: Size) -> Path:
    """Folders of people; takes as categories with time stamps, as names and frames, and as npz."""
    rng = np.random.default_rng(size.seed)
    rest = np.array([REST.get(name, 0.0) for name in ORDER])
    for person in range(size.people):
        folder = out / f"speaker{person + 1}"
        folder.mkdir()
        for number in range(size.takes):
            said = talk(size.seconds, FPS, rng, 44100)
            scores = np.zeros((len(said.weights), len(ORDER)))
            shared = [name for name in ORDER if name in NAMES]
            scores[:, 1:] = said.weights[:, [NAMES.index(name) for name in shared]]
            scores = np.clip(scores + rest, 0, 1)
            write_sound(folder / f"take{number + 1}.wav", said.samples, said.rate)
            _write(folder / f"take{number + 1}", scores, number % 3)
    return out


def _write(path: Path, scores: np.ndarray, form: int) -> None:
    if form == 2:
        np.savez(path.with_suffix(".npz"), values=scores.astype(np.float32), names=np.array(ORDER), fps=FPS)
        return
    held: Any = {"fps": FPS, "names": ORDER, "frames": scores.round(6).tolist()}
    if form == 0:
        held = [
            {
                "timestampMs": round(1000 * t / FPS),
                "faceBlendshapes": [
                    {"index": k, "score": round(float(s), 6), "categoryName": name, "displayName": ""}
                    for k, (name, s) in enumerate(zip(ORDER, row, strict=True))
                ],
            }
            for t, row in enumerate(scores)
        ]
    path.with_suffix(".json").write_text(json.dumps(held), encoding="utf-8")
