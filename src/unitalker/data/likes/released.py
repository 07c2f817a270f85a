"""The paper's data release, made up: `unitalker_data_release_V1` with folders as the archive has them, and as users
complete them.

D0 and D2 hold id_template.npy and pca.npz alone, D3 its id_template.npy, as in the archive; D1 and D4 hold sequences too,
as users add them; D5, D6 and D7 hold sequences, as in the archive, those of D7 with sound as arrays.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from unitalker.annotations.flame_rig import flame_codes, flame_from_rig
from unitalker.annotations.layouts import layout
from unitalker.annotations.released.sets import ANNOTATIONS, SETS, ReleasedSet
from unitalker.audio import write_sound
from unitalker.data.importers.release import ROOT
from unitalker.data.likes import Size
from unitalker.data.likes.mesh import Face
from unitalker.data.likes.talk import NAMES, talk
from unitalker.rig import builtin_head

COMPONENTS = 8
SEEN, FIT_FPS = 6.0, 10.0
"""Seconds of talk that a basis is fitted on, and their frames a second."""
EMPTY = ("D0", "D2", "D3")
"""Datasets without sequences."""
RATES = {"D1": 60.0}
"""Frames a second that differ from the annotation's."""
ARRAYS = ("D7",)
"""Datasets whose sound is stored as arrays."""
SPAN = {"u": 1.0, "m": 0.25}
"""Sizes of a face, before they are multiplied by the dataset's scale."""

Moved = Callable[[np.ndarray], np.ndarray]
"""ARKit weights (T, 52) → a frame's numbers."""


def make(out: Path, size: Size) -> Path:
    """Write the folders. Of every dataset with sequences the first `people` subjects speak."""
    for known in SETS:
        place = out / ROOT / known.folder
        place.mkdir(parents=True)
        rng = np.random.default_rng((size.seed, int(known.id[1:])))
        faces, moved = _people(known, size.people, rng)
        np.save(place / "id_template.npy", faces)
        if ANNOTATIONS[known.annotation].kind == "vertices":
            _basis(place / "pca.npz", known.scale, faces, moved, rng)
        if known.id not in EMPTY:
            _sequences(known, place, moved, size, rng)
    return out


def _people(known: ReleasedSet, people: int, rng: np.random.Generator) -> tuple[np.ndarray, list[Moved]]:
    """id_template (S, dim) or (S, V, 3), and how each of the people moves."""
    annotation = ANNOTATIONS[known.annotation]
    if annotation.kind == "vertices":
        span = SPAN[annotation.unit] / (known.scale if annotation.unit == "m" else 1.0)
        faces = [Face(annotation.dim // 3, span, rng) for _ in range(min(people, known.subjects))]
        rows = np.stack([faces[i % len(faces)].template for i in range(known.subjects)])
        return rows, [
            lambda weights, f=face: f.vertices(weights).reshape(len(weights), -1, 3) for face in faces
        ]
    rows = np.zeros((known.subjects, annotation.dim), np.float32)
    if annotation.kind == "flame":
        model = flame_from_rig(builtin_head())
        return rows, [lambda weights: flame_codes(weights, NAMES, model)] * people
    order = [NAMES.index(name) for name in layout(annotation.layout).names]
    return rows, [lambda weights: np.ascontiguousarray(weights[:, order])] * people


def _basis(path: Path, scale: float, faces: np.ndarray, moved: list[Moved], rng: np.random.Generator) -> None:
    """pca.npz with the archive's arrays, fitted on talk of the same people.

    scale: the model's units in one of the files. faces: (S, V, 3).
    """
    parts = [move(talk(SEEN / len(moved), FIT_FPS, rng).weights) - faces[i] for i, move in enumerate(moved)]
    rows = scale * np.concatenate(parts).reshape(-1, faces[0].size)
    mean = rows.mean(0)
    _, values, inner = np.linalg.svd(rows - mean, full_matrices=False)
    deviation = (values[:COMPONENTS] / np.sqrt(len(rows))).astype(np.float32)
    np.savez(
        path,
        components_to_data=inner[:COMPONENTS].astype(np.float32),
        original_data_mean=mean.astype(np.float32),
        data_components_mean=0 * deviation,
        data_components_std=deviation,
        explained_variance_ratio=(np.square(values[:COMPONENTS]) / np.square(values).sum()).astype(
            np.float32
        ),
        S=values[:COMPONENTS].astype(np.float32),
    )


def _sequences(
    known: ReleasedSet, place: Path, moved: list[Moved], size: Size, rng: np.random.Generator
) -> None:
    """The lists and the files that they name."""
    annotation = ANNOTATIONS[known.annotation]
    fps = RATES.get(known.id, annotation.fps)
    for number, split in enumerate(("train", "val", "test")):
        (place / split).mkdir()
        data = []
        for person, move in enumerate(moved):
            for take in range(number, size.takes, 3):
                said, name = talk(size.seconds, fps, rng), f"{split}/{person:03d}_{take:03d}"
                np.save(place / f"{name}.npy", move(said.weights))
                heard = f"{name}_audio.npy" if known.id in ARRAYS else f"{name}.wav"
                if known.id in ARRAYS:
                    np.save(place / heard, said.samples)
                else:
                    write_sound(place / heard, said.samples)
                data.append(
                    {
                        "annot_type": known.annotation,
                        "annot_path": f"{name}.npy",
                        "audio_path": heard,
                        "id": person,
                        "fps": int(fps),
                        "dataset": known.id,
                    }
                )
        info = {
            "id_list": [f"speaker{i:03d}" for i in range(known.subjects)],
            "total_duration": len(data) * size.seconds,
        }
        (place / f"{split}.json").write_text(json.dumps({"info": info, "data": data}, indent=1))
