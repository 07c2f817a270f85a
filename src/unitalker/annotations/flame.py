"""FLAME models as plain arrays: reading files of the official form, checks, names of the 413 numbers.

The differentiable layer is in flame_layer.py; making a model from a rig of blendshapes is in flame_rig.py.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from unitalker.errors import AnnotationError
from unitalker.files import atomic

if TYPE_CHECKING:
    from unitalker.annotations.flame_layer import FlameLayer

SHAPE, EXPRESSION = 300, 100
BETAS = slice(0, SHAPE + EXPRESSION)
JAW = slice(400, 403)
ROTATION = slice(403, 409)
SCALE = 412
DIM = 413
REST_ROTATION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""No rotation: the first two columns of the identity matrix."""
JAW_JOINT = 2
PARENTS = (-1, 0, 1, 1, 1)
"""Joints: whole head, neck, jaw, left eye, right eye; each with its parent's index."""
SIZE_LIMIT = 1_000_000_000

FLAME_NAMES: tuple[str, ...] = (
    *(f"shape{i}" for i in range(SHAPE)),
    *(f"expression{i}" for i in range(EXPRESSION)),
    *(f"jaw.{axis}" for axis in "xyz"),
    *(f"rotation{i}" for i in range(6)),
    *(f"translation.{axis}" for axis in "xyz"),
    "scale",
)
"""The 413 numbers: 300 shape and 100 expression betas, jaw as axis-angle in radians, rotation as the first
two columns of its matrix, translation in metres, scale."""


@dataclass(frozen=True)
class FlameModel:
    """A FLAME-format head, metres. V vertices, J = 5 joints, S + E = 400 directions.

    v_template: (V, 3). shapedirs: (V, 3, 400), 300 shape then 100 expression. posedirs: (36, 3V), what the
    rotation matrices of joints 1..4 minus identity add. J_regressor: (J, V), joints from vertices. parents:
    (J,).
    weights: (V, J) skinning weights, rows sum to 1. faces: (F, 3).
    expression_names: ARKit names of the first expressions, for models made from a rig. jaw_open: (3,)
    axis-angle of jawOpen = 1 for such a model.
    """

    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    J_regressor: np.ndarray
    parents: tuple[int, ...]
    weights: np.ndarray
    faces: np.ndarray
    expression_names: tuple[str, ...] = ()
    jaw_open: np.ndarray | None = None

    def __post_init__(self) -> None:
        count, joints = len(self.v_template), len(self.parents)
        wanted = {
            "v_template": (count, 3),
            "shapedirs": (count, 3, SHAPE + EXPRESSION),
            "posedirs": (9 * (joints - 1), 3 * count),
            "J_regressor": (joints, count),
            "weights": (count, joints),
            "faces": (len(self.faces), 3),
        }
        for name, shape in wanted.items():
            value = np.asarray(getattr(self, name))
            if value.shape != shape:
                raise AnnotationError(
                    f"The FLAME array {name} has shape {value.shape}; with {count} vertices and {joints} "
                    f"joints it must be {shape}."
                )
            if not np.isfinite(value).all():
                raise AnnotationError(f"The FLAME array {name} holds NaN or infinite numbers.")
        if self.parents[0] != -1 or any(not 0 <= p < j for j, p in enumerate(self.parents) if j):
            raise AnnotationError(
                f"FLAME joints must follow their parents, but the parents are {self.parents}."
            )
        if joints <= JAW_JOINT:
            raise AnnotationError(
                f"A FLAME model has {len(PARENTS)} joints, the third is the jaw; not {joints}."
            )
        if len(self.faces) and (self.faces.min() < 0 or self.faces.max() >= count):
            raise AnnotationError(f"The FLAME faces point outside the {count} vertices.")
        if np.abs(self.weights.sum(1) - 1).max() > 1e-3:
            raise AnnotationError("The FLAME skinning weights of a vertex must sum to 1.")

    def vertices(self, values: np.ndarray, rows: np.ndarray | None = None, chunk: int = 64) -> np.ndarray:
        """Vertices (T, R, 3) in metres for the 413 numbers (T, 413), of all vertices or of `rows`.

        Betas and jaw only, as in the paper's release: the head stays in place. Works frame chunk by frame
        chunk.
        """
        import torch

        from unitalker.annotations.flame_layer import FlameLayer

        layer = self._whole if rows is None else FlameLayer(self, rows)
        values = np.asarray(values, np.float32)
        with torch.no_grad():
            parts = [
                layer(torch.from_numpy(values[i : i + chunk])).numpy() for i in range(0, len(values), chunk)
            ]
        return np.concatenate(parts) if parts else np.zeros((0, layer.template.shape[0], 3), np.float32)

    @cached_property
    def _whole(self) -> FlameLayer:
        """The layer of all vertices, made once: blocks of frames are shorter than it takes to make."""
        from unitalker.annotations.flame_layer import FlameLayer

        return FlameLayer(self)


def load_flame(path: str | Path) -> FlameModel:
    """Read an .npz or .safetensors file with the official array names.

    Names: v_template, shapedirs, posedirs, J_regressor, kintree_table or parents, weights, f or faces.
    posedirs may be (V, 3, 36) as published. Raises AnnotationError for pickles and for whatever does not fit.
    """
    path = Path(path)
    if path.suffix not in (".npz", ".safetensors"):
        raise AnnotationError(
            f"{path.name} is no FLAME file: .npz or .safetensors with the official array names can be read. "
            "A pickle can run code when opened; `unitalker data import flame generic_model.pkl flame.npz` makes "
            "arrays of the published one without that."
        )
    if not path.is_file():
        raise AnnotationError(f"There is no FLAME file {path}.")
    if path.stat().st_size > SIZE_LIMIT:
        raise AnnotationError(
            f"{path} is larger than {SIZE_LIMIT // 1_000_000} MB, too large for a FLAME model."
        )
    return flame_model(path, _read(path))


def save_flame(model: FlameModel, path: str | Path) -> Path:
    """Write a model as compressed npz with the official array names, whole or not at all."""
    path = Path(path)
    arrays: dict[str, np.ndarray] = {
        "v_template": model.v_template,
        "shapedirs": model.shapedirs,
        "posedirs": model.posedirs,
        "J_regressor": model.J_regressor,
        "parents": np.array(model.parents, np.int32),
        "weights": model.weights,
        "faces": model.faces,
        "expression_names": np.array(model.expression_names, np.str_),
    }
    if model.jaw_open is not None:
        arrays["jaw_open"] = model.jaw_open
    with atomic(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return path


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            return load_file(path)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, BadZipFile, KeyError, zlib.error) as problem:
        raise AnnotationError(f"{path} cannot be read as plain arrays: {problem}") from problem
    except Exception as problem:
        if type(problem).__name__ == "SafetensorError":
            raise AnnotationError(f"{path} is not a safetensors file: {problem}") from problem
        raise


def flame_model(path: Path, arrays: dict[str, np.ndarray]) -> FlameModel:
    """The model of arrays with the official names. path: where they come from, for errors. Raises AnnotationError for
    arrays that are missing or do not fit."""

    def pick(*names: str) -> np.ndarray:
        for name in names:
            if name in arrays:
                return arrays[name]
        raise AnnotationError(
            f"{path} lacks the FLAME array {names[0]!r}; it holds {', '.join(arrays) or 'none'}."
        )

    template = pick("v_template").astype(np.float32)
    posedirs = pick("posedirs").astype(np.float32)
    if posedirs.ndim == 3:
        posedirs = posedirs.reshape(-1, posedirs.shape[2]).T
    parents = pick("parents", "kintree_table").astype(np.int64)
    parents = parents[0] if parents.ndim == 2 else parents
    listed = tuple(-1 if j == 0 else int(p) for j, p in enumerate(parents))
    names = tuple(str(n) for n in arrays["expression_names"]) if "expression_names" in arrays else ()
    return FlameModel(
        v_template=template,
        shapedirs=pick("shapedirs").astype(np.float32),
        posedirs=np.ascontiguousarray(posedirs),
        J_regressor=pick("J_regressor").astype(np.float32),
        parents=listed,
        weights=pick("weights").astype(np.float32),
        faces=pick("f", "faces").astype(np.int32),
        expression_names=names,
        jaw_open=arrays["jaw_open"].astype(np.float32) if "jaw_open" in arrays else None,
    )
