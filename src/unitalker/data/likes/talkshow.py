"""TalkSHOW, made up: a folder for each clip with a pickle of a body's numbers, tensors of PyTorch in it, and 22 kHz sound;
the flat numbers of the same clips; and the list of splits."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.audio import write_sound
from unitalker.data.importers.talkshow import EXPECTED, FLAT, FLAT_EXPRESSION, FLAT_JAW, LIST, SPLITS
from unitalker.data.likes import Size
from unitalker.data.likes.beat import face_numbers, lagging
from unitalker.data.likes.talk import Talk, talk

RATE = 22000


def make(out: Path, size: Size, late: Sequence[float] = ()) -> Path:
    """<speaker>/<video>/<clip>/<clip>.pkl and .wav. late: seconds by which each clip's face lags behind its sound."""
    return _clips(out, size, late, flat=False)


def make_flat(out: Path, size: Size, late: Sequence[float] = ()) -> Path:
    """<speaker>/<video>/<clip>.npy (T, 265) and .wav. `late` as in `make`."""
    return _clips(out, size, late, flat=True)


def _clips(out: Path, size: Size, late: Sequence[float], flat: bool) -> Path:
    rng, place = np.random.default_rng(size.seed), 0
    listed: dict[str, list[str]] = {split: [] for split in SPLITS}
    for speaker in EXPECTED.subjects[: size.people]:
        for turn in range(size.takes):
            video, clip = f"A_show_{turn:02d}-made_up.webm", f"{5000 + turn}-00_00_00-00_00_10"
            said = talk(size.seconds, EXPECTED.fps, rng, RATE)
            said = lagging(said, late[place] if place < len(late) else 0.0)
            place += 1
            write(out / speaker / video / ("" if flat else clip), clip, said, flat)
            listed[SPLITS[turn % len(SPLITS)]].append(f"{speaker}/{video}/{clip}")
    (out / LIST).write_text(json.dumps(listed))
    return out


def write(folder: Path, clip: str, said: Talk, flat: bool = False) -> None:
    """A clip."""
    folder.mkdir(parents=True)
    write_sound(folder / f"{clip}.wav", said.samples, said.rate)
    if flat:
        np.save(folder / f"{clip}.npy", _flat(said.weights))
    else:
        (folder / f"{clip}.pkl").write_bytes(pickle.dumps(_body(said.weights), protocol=2))


def _body(weights: np.ndarray) -> dict[str, Any]:
    """A body's numbers for weights (T, 52), as tracked clips hold them; how well it was tracked stands in tensors."""
    import torch

    expression, jaw = face_numbers(weights)
    count = len(weights)
    still = {
        "leye_pose": 3,
        "reye_pose": 3,
        "left_hand_pose": 12,
        "right_hand_pose": 12,
        "body_pose_axis": 63,
    }
    zeros = {name: np.zeros((count, width), np.float32) for name, width in still.items()}
    facts = {"width": 1280, "height": 720, "center": [640.0, 360.0], "batch_size": count}
    shape = {"betas": np.zeros((1, 300), np.float32), "global_orient": np.zeros((count, 1, 3), np.float32)}
    losses = {"losses_to_log": {"loss_face": torch.tensor(0.5)}}
    return {**losses, **facts, **shape, **zeros, "expression": expression, "jaw_pose": jaw}


def _flat(weights: np.ndarray) -> np.ndarray:
    """(T, 265) for weights (T, 52)."""
    out = np.zeros((len(weights), FLAT), np.float32)
    out[:, FLAT_EXPRESSION], out[:, FLAT_JAW] = face_numbers(weights)
    return out
