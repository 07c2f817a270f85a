"""NVIDIA Audio2Face's exports, made up: a JSON file of weights and a wav a take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from unitalker.audio import write_sound
from unitalker.data.likes import Size
from unitalker.data.likes.talk import NAMES, talk

FPS = (30.0, 60.0)
TONGUE = tuple(f"tongue{name}" for name in ("TipUp", "TipDown", "Up", "Down"))
SIDED = (
    "browLower",
    "innerBrowRaiser",
    "outerBrowRaiser",
    "eyesClose",
    "eyesUpperLidRaiser",
    "squint",
    "cheekRaiser",
)
SIDED += ("cheekPuff", "noseWrinkler", "dimple", "lipCornerPuller", "lipCornerDepressor", "lipStretcher")
SIDED += ("upperLipRaiser", "lowerLipDepressor")
MIDDLE = (
    "eyesLookLeft",
    "eyesLookRight",
    "eyesLookUp",
    "eyesLookDown",
    "jawDrop",
    "jawDropLipTowards",
    "jawThrust",
)
MIDDLE += ("jawSlideLeft", "jawSlideRight", "mouthSlideLeft", "mouthSlideRight", "chinRaiser", "lipPressor")
MIDDLE += ("pucker", "funneler", "lipSuck")
OWN = (*(f"{name}{side}" for name in SIDED for side in "LR"), *MIDDLE)
"""The 46 names of Audio2Face's own faces."""
IMAGE = {
    "jawDrop": "jawOpen",
    "funneler": "mouthFunnel",
    "eyesCloseL": "eyeBlinkLeft",
    "eyesCloseR": "eyeBlinkRight",
}
IMAGE |= {
    "lipStretcherL": "mouthSmileLeft",
    "lipStretcherR": "mouthSmileRight",
    "innerBrowRaiserL": "browInnerUp",
}


def make(out: Path, size: Size) -> Path:
    """Takes with ARKit's names and a few of a tongue, some at 60 frames a second, the sound named in trackPath alone."""
    return _write(out, size, (*NAMES, *TONGUE), {name: name for name in NAMES})


def make_own(out: Path, size: Size) -> Path:
    """Takes with the 46 names of Audio2Face's own faces."""
    return _write(out, size, OWN, IMAGE)


def _write(out: Path, size: Size, names: tuple[str, ...], image: dict[str, str]) -> Path:
    rng = np.random.default_rng(size.seed)
    for person in range(size.people):
        folder = out / f"speaker{person + 1}"
        folder.mkdir()
        for number in range(size.takes):
            fps = FPS[number % 3 == 1]
            said = talk(size.seconds, fps, rng, 44100)
            stem, voice = f"take{number + 1}_bsweight", f"take{number + 1}"
            weights = np.zeros((len(said.weights), len(names)))
            for name, arkit in image.items():
                weights[:, names.index(name)] = said.weights[:, NAMES.index(arkit)]
            held = {
                "exportFps": fps,
                "trackPath": f"C:\\Users\\someone\\voices\\{voice}.wav",
                "numPoses": len(names),
                "numFrames": len(weights),
                "facsNames": names,
                "weightMat": weights.round(6).tolist(),
            }
            write_sound(folder / f"{voice}.wav", said.samples, said.rate)
            (folder / f"{stem}.json").write_text(json.dumps(held, indent=2), encoding="utf-8")
    return out
