"""Small datasets and settings that the tests of training share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.cards import save_card
from unitalker.annotations.flame import FLAME_NAMES
from unitalker.annotations.pca import Basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.config import TrainConfig
from unitalker.data.dataset import Clip, Dataset, write_manifest

MESH = 12
"""Vertices of the small mesh; the first four are its lips."""


def cards(folder: Path) -> dict[str, VertexAnnotation | BlendshapeAnnotation]:
    """A mesh of twelve vertices with a basis of five components, and weights of six shapes with their lips."""
    rng = np.random.default_rng(0)
    components = np.linalg.qr(rng.standard_normal((3 * MESH, 5)))[0].T.astype(np.float32)
    basis = Basis(np.zeros(3 * MESH, np.float32), components, 0.5)
    mesh = VertexAnnotation(
        "mesh", 25, "m", vertex_names(MESH), regions={"lips": np.arange(4)}, basis=basis, head_weight=0.01
    )
    shapes = rng.standard_normal((6, 4, 3)).astype(np.float32)
    flat = shapes.reshape(6, -1)
    weights = BlendshapeAnnotation(
        "weights", 30, "weight", tuple("abcdef"), gram=flat @ flat.T / 12, lip_shapes=shapes, head_weight=1e-4
    )
    for annotation in (mesh, weights):
        save_card(annotation, folder / "cards")
    return {"mesh": mesh, "weights": weights}


def write_clips(
    folder: Path, name: str, annotation: str, fps: float, lengths: Sequence[float], seed: int
) -> Path:
    """A dataset of clips of so many seconds whose motion follows loud bursts of noise; the last one is for validation."""
    out, rng = folder / name, np.random.default_rng(seed)
    out.mkdir(parents=True)
    names = {"mesh": vertex_names(MESH), "dad": FLAME_NAMES}.get(annotation, tuple("abcdef"))
    direction = rng.standard_normal(len(names))
    clips = []
    for i, seconds in enumerate(lengths):
        loud = np.repeat(rng.integers(0, 2, int(seconds * 4) + 1), 4000)[: round(seconds * 16000)]
        sound = rng.standard_normal(len(loud)) * (0.2 * loud + 0.001)
        soundfile.write(out / f"{i}.wav", sound, 16000)
        places = np.minimum(np.arange(round(seconds * fps)) / fps * 16000, len(loud) - 1).astype(int)
        np.save(out / f"{i}.npy", (loud[places][:, None] * direction * 0.1).astype(np.float32))
        split = "val" if i == len(lengths) - 1 else "train"
        clips.append(Clip(str(i), f"s{i % 2}", f"{i}.wav", f"{i}.npy", split, seconds))
    unit = {"mesh": "m", "dad": "flame"}.get(annotation, "weight")
    write_manifest(Dataset(out, name, annotation, fps, unit, names, ("s0", "s1"), tuple(clips)))
    return out


def small_model(**changes: Any) -> dict[str, Any]:
    """Settings of a model with a small encoder of our own."""
    model = {
        "encoder": {"kind": "mini", "width": 16, "mels": 40, "dilations": (1, 1, 2)},
        "adaptor": "after_encoder",
        "grid": "aligned_corners",
        "decoder": {"width": 16, "identity_dim": 8, "dropout": 0.0},
        "identities": ("x/s0",),
        "heads": {"mesh": 5},
        "default_annotation": "mesh",
    }
    return model | changes


def paper_run(folder: Path, **changes: Any) -> TrainConfig:
    """A run in the paper's way on two small datasets, made in `folder` where they are not there yet."""
    if not (folder / "cards").is_dir():
        cards(folder)
        write_clips(folder, "one", "mesh", 25, [1.0, 1.6, 0.8, 2.2, 1.3, 0.9], 1)
        write_clips(folder, "two", "weights", 30, [0.7, 1.9, 1.2, 1.0], 2)
    data: dict[str, Any] = {
        "sources": [{"path": str(folder / "one"), "repeat": 2}, {"path": str(folder / "two")}],
        "cards": str(folder / "cards"),
        "model": small_model(),
        "batching": "clips",
        "loss": "paper",
        "optimiser": "adam",
        "schedule": "constant",
        "ramp": 0.0,
        "weight_decay": 0.0,
        "clip_norm": None,
        "lr": 1e-3,
        "batch": 4,
        "epochs": 2,
        "warmup_epochs": 1,
        "phone_weight": 0.0,
        "closure_weight": 0.0,
        "ema": 0.0,
        "precision": "fp32",
        "log_steps": 1,
    }
    return TrainConfig.parse(data | changes)
