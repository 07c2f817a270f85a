"""The release's annotations as ours, with what its data folder and its resources add: faces, bases, lips, rigs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.builtin import weight_annotation
from unitalker.annotations.flame import FLAME_NAMES
from unitalker.annotations.layouts import layout
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.pca import Basis
from unitalker.annotations.released.resources import FLAME_VERTICES, Resources
from unitalker.annotations.released.sets import ReleasedAnnotation
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.rig import builtin_head


def card_of(
    known: ReleasedAnnotation,
    templates: Mapping[str, np.ndarray] | None = None,
    basis: Basis | None = None,
    resources: Resources | None = None,
) -> Annotation:
    """An annotation of the release. templates: identity → neutral vertices (V, 3), or the numbers (dim,) that are added
    to a subject's frames. basis: of vertices, in the model's units."""
    shared: dict[str, Any] = {
        key: getattr(known, key) for key in ("name", "fps", "unit", "axes", "head_weight")
    }
    shared["templates"] = templates or {}
    if known.kind == "blendshapes":
        return _weights(known, shared, resources)
    shared["regions"] = _regions(known, resources)
    if known.kind == "flame":
        rows = resources.rows(known, FLAME_VERTICES) if resources else None
        own = {"relative": False, "error_metres": 1.0, "rows": () if rows is None else tuple(rows.tolist())}
        return FlameAnnotation(**shared, names=FLAME_NAMES, **own)
    faces = resources.faces(known) if resources else None
    return VertexAnnotation(**shared, names=vertex_names(known.dim // 3), basis=basis, faces=faces)


def _regions(known: ReleasedAnnotation, resources: Resources | None) -> dict[str, np.ndarray]:
    count = known.dim // 3 if known.kind == "vertices" else FLAME_VERTICES
    lips = resources.lips(known, count) if resources else None
    return {} if lips is None else {"lips": lips}


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
