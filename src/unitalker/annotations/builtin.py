"""The annotations that come with the package: named weight layouts on the built-in head, its meshes, its FLAME form."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation, rig_gram
from unitalker.annotations.flame import FLAME_NAMES
from unitalker.annotations.flame_rig import flame_codes, flame_from_rig
from unitalker.annotations.layouts import convert, layout
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.pca import Basis, fit_basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.errors import AnnotationError, unknown
from unitalker.motion import Motion
from unitalker.rig.lips import inner_lips, lip_gap
from unitalker.rig.rig import Rig

WEIGHTS = {"arkit52": 60.0, "arkit51": 30.0, "facegood116": 30.0}
"""Weight layouts → frames a second of their motion."""

HEAD_UNIT = 0.2
"""Metres in one unit "u" of the `head` topology."""

MESHES: dict[str, tuple[float, str, float]] = {"head": (25.0, "u", HEAD_UNIT), "face": (30.0, "m", 1.0)}
"""Mesh topologies → fps, unit, metres in one unit. `head` is the whole rig, `face` its front skin."""

FLAME = "flame413"
FLAME_ROW_STEP = 6
"""The FLAME loss looks at every n-th vertex of the face."""
MESH_TOLERANCE = 1e-7
MESH_REGIONS = ("lips", "mouth", "upper_face")
"""Regions of the rig that annotations over it carry along."""
NAMES = (*WEIGHTS, *MESHES, FLAME)


def face_rows(rig: Rig) -> np.ndarray:
    """Vertices of the `face` topology within the rig, ascending."""
    if "face" not in rig.regions:
        raise AnnotationError(f"The rig {rig.name!r} has no region 'face' to make the face topology of.")
    return np.sort(np.asarray(rig.regions["face"]))


def mesh_rows(name: str, rig: Rig) -> np.ndarray:
    """Rig vertices of a built-in mesh topology, in its order."""
    return np.arange(len(rig.vertices)) if name == "head" else face_rows(rig)


def displacements(name: str, rig: Rig, weights: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Weights (T, D) with their names → displacements (T, 3V) of a mesh topology, in its unit."""
    rows = mesh_rows(name, rig)
    basis = rig.shapes[:, rows].reshape(len(rig.shape_names), -1) / MESHES[name][2]
    return rig.weights(weights, names) @ basis


def weight_annotation(name: str, rig: Rig, lip_weight: float = 1.0) -> BlendshapeAnnotation:
    """A weight layout whose vertex error is measured on the rig, in cm², through the layout's ARKit names.

    Where several channels stand for one ARKit shape, each counts as its equal share: linear, as the loss needs it.
    """
    names = layout(name).names
    units = Motion(np.eye(len(names), dtype=np.float32), names, WEIGHTS[name], name, "weight")
    to_arkit = convert(units, "arkit52").values
    to_arkit = to_arkit / np.maximum((to_arkit > 0).sum(0), 1)
    arkit = layout("arkit52").names
    gram = to_arkit @ rig_gram(rig, arkit, lip_weight, unit=0.01) @ to_arkit.T
    gap = to_arkit @ _arkit_gap(rig)
    facts = {"gram": gram.astype(np.float32), "gap": gap, "lip_shapes": _lip_shapes(rig, to_arkit)}
    return BlendshapeAnnotation(name, WEIGHTS[name], "weight", names, **facts)


def _lip_shapes(rig: Rig, to_arkit: np.ndarray) -> np.ndarray | None:
    """(D, L, 3) metres that each weight moves the rig's lips, through its share of the ARKit shapes (D, 52)."""
    if "lips" not in rig.regions:
        return None
    arkit = rig.weights(np.eye(52, dtype=np.float32), layout("arkit52").names)
    moved = np.tensordot(to_arkit @ arkit, rig.shapes[:, np.asarray(rig.regions["lips"])], 1)
    return moved.astype(np.float32)


def _arkit_gap(rig: Rig) -> np.ndarray:
    """(52,) lip gap in cm of each ARKit shape at weight 1."""
    return rig.weights(np.eye(52, dtype=np.float32), layout("arkit52").names) @ lip_gap(rig)


def mesh_topology(name: str, rig: Rig) -> VertexAnnotation:
    """A mesh topology of the rig without a PCA basis."""
    fps, unit, metres = MESHES[name]
    rows = mesh_rows(name, rig)
    place = np.full(len(rig.vertices), -1)
    place[rows] = np.arange(len(rows))
    faces = place[rig.faces]
    regions = {k: place[np.asarray(v)] for k, v in rig.regions.items() if k in MESH_REGIONS}
    return VertexAnnotation(
        name,
        fps,
        unit,
        vertex_names(len(rows)),
        regions={k: np.sort(v[v >= 0]) for k, v in regions.items()},
        templates={"builtin": rig.vertices[rows] / metres},
        faces=faces[(faces >= 0).all(1)],
        metres=metres,
    )


def mesh_annotation(name: str, rig: Rig, blocks: Iterable[np.ndarray], size: int = 64) -> VertexAnnotation:
    """A mesh topology of the rig with a PCA basis about rest of at most `size` components, fitted on blocks (n, 3V) of
    motion; those with less than MESH_TOLERANCE of the energy are dropped."""
    made = mesh_topology(name, rig)
    basis = fit_basis(blocks, size, tolerance=MESH_TOLERANCE)
    gap = _mesh_gap(rig, mesh_rows(name, rig), basis, made.metres)
    return dataclasses.replace(made.with_basis(basis), gap=gap)


def _mesh_gap(rig: Rig, rows: np.ndarray, basis: Basis, metres: float) -> np.ndarray:
    """(K,) lip gap in cm of each code of a mesh topology at 1."""
    reader = np.zeros((len(rig.vertices), 3), np.float32)
    upper, lower = inner_lips(rig)
    reader[upper, 1], reader[lower, 1] = 1 / len(upper), -1 / len(lower)
    return 100 * metres * basis.scale * (basis.components @ reader[rows].reshape(-1))


def flame_annotation(rig: Rig) -> FlameAnnotation:
    """The 413 numbers over the FLAME-format model of the rig; its head predicts jaw and the rig's expressions."""
    model = flame_from_rig(rig)
    names = layout("arkit52").names
    moving = flame_codes(np.eye(len(names), dtype=np.float32), names, model)
    still = flame_codes(np.zeros((1, len(names)), np.float32), names, model)
    active = tuple(int(i) for i in np.flatnonzero(np.abs(moving - still).max(0) > 1e-6))
    rows = face_rows(rig)
    regions = {k: np.sort(np.asarray(v)) for k, v in rig.regions.items() if k in MESH_REGIONS}
    return FlameAnnotation(
        FLAME,
        30.0,
        "flame",
        FLAME_NAMES,
        regions=regions,
        active=active,
        model=model,
        rows=tuple(rows[::FLAME_ROW_STEP].tolist()),
    )


def completed(annotation: Annotation, rig: Rig) -> Annotation:
    """A built-in annotation read from its card, with what training needs and cards leave out: lip gap, lip shapes of
    cards that lack them, FLAME model."""
    if isinstance(annotation, BlendshapeAnnotation) and annotation.name in WEIGHTS:
        fresh = weight_annotation(annotation.name, rig)
        shapes = fresh.lip_shapes if annotation.lip_shapes is None else annotation.lip_shapes
        return dataclasses.replace(annotation, gap=fresh.gap, lip_shapes=shapes)
    if (
        isinstance(annotation, VertexAnnotation)
        and annotation.name in MESHES
        and annotation.basis is not None
        and not annotation.basis.mean.any()
    ):
        rows = mesh_rows(annotation.name, rig)
        if annotation.dim == 3 * len(rows):
            return dataclasses.replace(
                annotation, gap=_mesh_gap(rig, rows, annotation.basis, annotation.metres)
            )
    if isinstance(annotation, FlameAnnotation) and annotation.name == FLAME:
        fresh = flame_annotation(rig)
        facts = {"gap": fresh.gap, "model": fresh.model, "rows": fresh.rows, "regions": fresh.regions}
        return dataclasses.replace(annotation, **facts)
    return annotation


def balanced(annotation: Annotation, codes: np.ndarray, share: float = 1.0) -> Annotation:
    """The annotation with λ such that the head error weighs `share` times the vertex error on typical codes (n, K)."""
    import torch

    true = torch.as_tensor(codes, dtype=torch.float32)
    rest = torch.as_tensor(annotation.rest()).expand_as(true)
    bare = dataclasses.replace(annotation, head_weight=0.0)
    vertex = float(bare.loss(rest, true).mean())
    head = float((rest - true).square().mean())
    weight = share * vertex / max(head, 1e-12) if vertex > 0 else 1.0
    return dataclasses.replace(annotation, head_weight=weight)


def require(name: str) -> str:
    """The name, if it is a built-in annotation. Raises AnnotationError with the nearest names."""
    if name not in NAMES:
        raise AnnotationError(unknown("built-in annotation", name, NAMES))
    return name
