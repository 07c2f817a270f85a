"""Annotations of a published checkpoint's heads, with the bases and neutral faces of the release's data folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.builtin import weight_annotation
from unitalker.annotations.flame import FLAME_NAMES
from unitalker.annotations.layouts import layout
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.pca import Basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.errors import ModelError, unknown
from unitalker.models.released.folder import PCA, TEMPLATE, DataFolder
from unitalker.models.released.identities import Cast
from unitalker.models.released.resources import FLAME_VERTICES, Resources
from unitalker.models.released.sets import ANNOTATIONS, SETS, ReleasedAnnotation
from unitalker.rig import builtin_head

PREFIX = "out_head_dict."


def head_sizes(state: Mapping[str, torch.Tensor], source: Path) -> dict[str, int]:
    """Annotation → numbers that its head predicts, in the table's order. Raises ModelError for heads that can't be
    used: of other annotations, of several layers, of a size that the annotation doesn't have."""
    found = {k.removeprefix(PREFIX).split(".")[0] for k in state if k.startswith(PREFIX)}
    if not found:
        raise ModelError(f"{source} has no heads: no tensor's name begins with {PREFIX!r}.")
    deep = sorted({k.split(".")[1] for k in state if k.startswith(PREFIX) and ".head_layer." in k})
    if deep:
        raise ModelError(
            f"{source}: the head {deep[0]} has several layers (head_layer); only heads of one linear layer, as in every "
            "published checkpoint, can be imported."
        )
    sizes = {}
    for name in sorted(found, key=lambda n: list(ANNOTATIONS).index(n) if n in ANNOTATIONS else -1):
        if name not in ANNOTATIONS:
            raise ModelError(f"{source}: " + unknown("released annotation", name, ANNOTATIONS))
        size = len(state.get(f"{PREFIX}{name}.bias", ()))
        known = ANNOTATIONS[name]
        if not 0 < size <= known.dim or (known.kind != "vertices" and size != known.dim):
            allowed = f"1 to {known.dim}" if known.kind == "vertices" else str(known.dim)
            raise ModelError(f"{source}: the bias of the head {name} has {size} numbers, not {allowed}.")
        sizes[name] = size
    return sizes


def annotations_of(
    sizes: Mapping[str, int], cast: Sequence[Cast], folder: DataFolder | None, resources: Resources | None
) -> tuple[dict[str, Annotation], dict[str, str]]:
    """Annotations by name, and for those that can't be had the file that is missing."""
    made: dict[str, Annotation] = {}
    missing: dict[str, str] = {}
    for name, size in sizes.items():
        known = ANNOTATIONS[name]
        shared = {key: getattr(known, key) for key in ("name", "fps", "unit", "axes", "head_weight")}
        shared["templates"] = _templates(known, cast, folder)
        if known.kind == "blendshapes":
            made[name] = _weights(known, shared, resources)
            continue
        shared["regions"] = _regions(known, resources)
        if known.kind == "flame":
            rows = resources.rows(known, FLAME_VERTICES) if resources else None
            own = {
                "relative": False,
                "error_metres": 1.0,
                "rows": () if rows is None else tuple(rows.tolist()),
            }
            made[name] = FlameAnnotation(**shared, names=FLAME_NAMES, **own)
            continue
        basis = _basis(name, size, folder) if size < known.dim else None
        if not shared["templates"] or (size < known.dim and basis is None):
            missing[name] = f"{_folder_of(name)}/{PCA if shared['templates'] else TEMPLATE}"
            continue
        faces = resources.faces(known) if resources else None
        made[name] = VertexAnnotation(**shared, names=vertex_names(known.dim // 3), basis=basis, faces=faces)
    return made, missing


def _regions(known: ReleasedAnnotation, resources: Resources | None) -> dict[str, np.ndarray]:
    count = known.dim // 3 if known.kind == "vertices" else FLAME_VERTICES
    lips = resources.lips(known, count) if resources else None
    return {} if lips is None else {"lips": lips}


def _folder_of(annotation: str) -> str:
    return next(s.folder for s in SETS if s.annotation == annotation)


def _basis(annotation: str, size: int, folder: DataFolder | None) -> Basis | None:
    owner = next(s for s in SETS if s.annotation == annotation)
    return folder.basis(owner, size) if folder else None


def _templates(
    known: ReleasedAnnotation, cast: Sequence[Cast], folder: DataFolder | None
) -> dict[str, np.ndarray]:
    """Identity → neutral vertices (V, 3), or the numbers (dim,) that the release adds to a subject's frames, zeros for
    subjects of a dataset without the file."""
    found: dict[str, np.ndarray] = {}
    for one in cast:
        if folder is None or one.dataset.annotation != known.name:
            continue
        rows = folder.templates(one.dataset)
        if rows is None:
            continue
        if len(rows) != one.subjects:
            raise ModelError(
                f"{folder.place(one.dataset, TEMPLATE)} has {len(rows)} rows for {one.subjects} subjects."
            )
        shape = (-1, 3) if known.kind == "vertices" else (-1,)
        found |= {name: row.reshape(shape) for name, row in zip(one.names, rows, strict=True)}
    if found and known.kind != "vertices":
        own = [name for one in cast if one.dataset.annotation == known.name for name in one.names]
        return {name: found.get(name, np.zeros(known.dim, np.float32)) for name in own}
    return found


def _weights(
    known: ReleasedAnnotation, shared: Mapping[str, Any], resources: Resources | None
) -> BlendshapeAnnotation:
    """Weights as the release predicts them, unclipped. For training on, their vertex error is that of the release's
    rig where the resources hold it, else that of the built-in head, in m²."""
    names = layout(known.layout).names
    shapes = resources.shapes(known) if resources else None
    if shapes is None or resources is None:
        ours = weight_annotation("arkit52", builtin_head())
        rows = np.array([ours.names.index(n) for n in names])
        assert ours.gram is not None and ours.lip_shapes is not None
        gram, lip_shapes = ours.gram[np.ix_(rows, rows)] * np.float32(1e-4), ours.lip_shapes[rows]
    else:
        flat = shapes.reshape(len(shapes), -1).astype(np.float64)
        gram, lips = (
            (flat @ flat.T / flat.shape[1]).astype(np.float32),
            resources.lips(known, shapes.shape[1]),
        )
        lip_shapes = None if lips is None else shapes[:, lips]
    return BlendshapeAnnotation(**shared, names=names, gram=gram, bounds=None, lip_shapes=lip_shapes)
