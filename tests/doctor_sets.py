"""Small datasets whose faces follow the loudness of their sound, and the predictor that knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from unitalker.data.dataset import Clip, Dataset, write_manifest
from unitalker.evaluation.metrics import loudness
from unitalker.motion import Motion

RATE, FPS, SECONDS, CLIPS = 16000, 30.0, 6.0, 12
NAMES = (
    "jawOpen", "mouthFunnel", "mouthPucker",
    "mouthSmileLeft", "mouthSmileRight", "mouthPressLeft", "mouthPressRight", "browDownLeft", "browDownRight",
    "cheekSquintLeft", "cheekSquintRight", "eyeLookOutLeft", "eyeLookInLeft", "eyeLookOutRight", "eyeLookInRight",
)  # fmt: skip
LEANS = {"mouthSmile": 1.3, "mouthPress": 0.8, "browDown": 1.2, "cheekSquint": 1.4}
Spoil = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(motion, sound) → both with a fault."""


def heard(samples: np.ndarray, rate: int) -> Motion:
    """The predictor: jawOpen as the loudness at 60 frames a second."""
    times = np.arange(round(len(samples) / rate * 60)) / 60
    return Motion(loudness(samples, times)[:, None], ("jawOpen",), 60.0, "arkit52", "weight")


def take(rng: np.random.Generator, seconds: float = SECONDS) -> tuple[np.ndarray, np.ndarray]:
    """Motion (T, 15) and sound (N,) of one clip: syllables of noise, and a face that follows them."""
    count = round(seconds * RATE)
    knots = np.concatenate([[0], np.clip(rng.normal(0.5, 0.5, int(seconds * 9)), 0.02, 1.2), [0]])
    envelope = np.interp(np.arange(count), np.linspace(0, count, len(knots)), knots) ** 2
    sound = np.clip(0.15 * envelope * rng.standard_normal(count), -0.95, 0.95)
    times = np.arange(round(seconds * FPS)) / FPS
    loud, gaze = loudness(sound, times), 0.3 * np.sin(2 * np.pi * 0.4 * times + rng.uniform(0, 6))
    motion = np.zeros((len(times), len(NAMES)), np.float32)
    column = {name: i for i, name in enumerate(NAMES)}
    slow = 0.15 + 0.1 * np.sin(2 * np.pi * 0.7 * times + rng.uniform(0, 6))
    motion[:, :3] = np.stack([loud, 0.2 * loud**2, slow], axis=1)
    for name, lean in LEANS.items():
        motion[:, column[f"{name}Left"]], motion[:, column[f"{name}Right"]] = lean * slow, slow
    for name, turn in (("OutLeft", gaze), ("InRight", gaze), ("InLeft", -gaze), ("OutRight", -gaze)):
        motion[:, column[f"eyeLook{name}"]] = np.maximum(turn, 0)
    return motion + rng.normal(0, 1e-4, motion.shape).astype(np.float32) * (motion > 1e-3), sound


def late(motion: np.ndarray, sound: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """What face and sound have in common where the face is that much later, to the sample; both are so much shorter."""
    frames = int(np.ceil(abs(seconds) * FPS))
    samples, rest = round(abs(seconds) * RATE), round((frames / FPS - abs(seconds)) * RATE)
    if seconds > 0:
        return motion[:-frames], sound[samples : len(sound) - rest]
    return motion[frames:], sound[rest : len(sound) - samples]


def write_set(
    folder: Path,
    spoilt: Mapping[int, Spoil] | None = None,
    clips: int = CLIPS,
    mesh: np.ndarray | None = None,
) -> Dataset:
    """A dataset of one subject. spoilt: clip → its fault. mesh: (15, 3V) what each weight does to vertices, which are
    then stored instead."""
    folder.mkdir(parents=True)
    rng, made = np.random.default_rng(5), []
    for i in range(clips):
        motion, sound = take(rng)
        if spoilt and i in spoilt:
            motion, sound = spoilt[i](motion, sound)
        stored = motion if mesh is None else motion @ mesh
        soundfile.write(folder / f"c{i}.wav", sound, RATE, subtype="PCM_16")
        np.save(folder / f"c{i}.npy", stored.astype(np.float32))
        made.append(Clip(f"c{i}", "s", f"c{i}.wav", f"c{i}.npy", ("train", "val")[i % 2], len(sound) / RATE))
    names = (
        NAMES if mesh is None else tuple(f"v{k}.{axis}" for k in range(mesh.shape[1] // 3) for axis in "xyz")
    )
    form = ("arkit52", "weight") if mesh is None else ("scan", "m")
    dataset = Dataset(folder, "small", form[0], FPS, form[1], names, ("s",), tuple(made))
    write_manifest(dataset)
    return dataset


def with_clip(dataset: Dataset, number: int, **changes: object) -> Dataset:
    """The dataset with a changed clip in its manifest."""
    clips = list(dataset.clips)
    clips[number] = replace(clips[number], **changes)
    changed = replace(dataset, clips=tuple(clips))
    write_manifest(changed)
    return changed
