"""Cards: an annotation as data, <name>.json beside <name>.npz. A new rig or topology needs no Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.pca import Basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.errors import AnnotationError, unknown
from unitalker.files import atomic

VALUES_LIMIT = 2_000_000_000
"""Largest card file that is read, in bytes."""


HALVED = ("pca.components", "lip_shapes")
"""Arrays that `half` stores as float16."""


def save_card(annotation: Annotation, folder: str | Path, half: bool = False) -> None:
    """Write the annotation's card, which reads back bit for bit.

    half: for models that are shipped. Components and lip shapes are stored as float16 (relative error below 1e-3) and
    the file is compressed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = annotation.arrays()
    if half:
        arrays |= {k: arrays[k].astype(np.float16) for k in HALVED if k in arrays}
    with atomic(folder / f"{annotation.name}.npz") as draft:
        (np.savez_compressed if half else np.savez)(draft, **arrays)
    with atomic(folder / f"{annotation.name}.json") as draft:
        draft.write_text(json.dumps(annotation.card(), indent=1))


def load_card(path: str | Path) -> Annotation:
    """Annotation from <name>.json (the npz lies beside it). Raises AnnotationError that says what is wrong."""
    path = Path(path)
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError) as fault:
        raise AnnotationError(f"{path} is not a readable annotation card: {fault}.") from None
    if not isinstance(card, dict):
        raise AnnotationError(f"{path} is not an annotation card: it holds no JSON object.")
    kind = card.get("kind")
    builders = {"blendshapes": _blendshapes, "vertices": _vertices, "flame": _flame}
    if kind not in builders:
        raise AnnotationError(f"{path}: " + unknown("annotation kind", str(kind), builders))
    if card.get("name") != path.stem:
        raise AnnotationError(f"{path}: the card names itself {card.get('name')!r}, unlike its file.")
    arrays = _arrays(path.with_suffix(".npz"))
    try:
        shared = {k: card[k] for k in ("name", "fps", "unit", "axes", "head_weight")}
        shared["regions"] = _prefixed(arrays, "region.")
        shared["templates"] = _prefixed(arrays, "template.")
        return builders[kind](card, arrays, shared)
    except (KeyError, TypeError, ValueError) as fault:
        raise AnnotationError(f"{path} is no whole annotation card ({fault}).") from None


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    if path.stat().st_size > VALUES_LIMIT:
        raise AnnotationError(f"{path} is larger than {VALUES_LIMIT // 10**9} GB: not a card.")
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {k: data[k] for k in data.files}
    except (OSError, ValueError, EOFError, BadZipFile) as fault:
        raise AnnotationError(f"{path} is not a readable npz file: {fault}.") from None
    return {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in arrays.items()}


def _prefixed(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _blendshapes(card: dict[str, Any], arrays: dict[str, np.ndarray], shared: dict[str, Any]) -> Annotation:
    bounds = None if card["bounds"] is None else tuple(card["bounds"])
    own = {"gram": arrays.get("gram"), "lip_shapes": arrays.get("lip_shapes"), "bounds": bounds}
    return BlendshapeAnnotation(**shared, **own, names=tuple(card["names"]))


def _vertices(card: dict[str, Any], arrays: dict[str, np.ndarray], shared: dict[str, Any]) -> Annotation:
    basis = None
    if "pca.components" in arrays:
        basis = Basis(arrays["pca.mean"], arrays["pca.components"], float(card["code_scale"]))
    names = vertex_names(int(card["vertices"]))
    return VertexAnnotation(
        **shared, names=names, basis=basis, faces=arrays.get("faces"), metres=card["metres"]
    )


def _flame(card: dict[str, Any], arrays: dict[str, np.ndarray], shared: dict[str, Any]) -> Annotation:
    own = {"active": tuple(card["active"]), "relative": card.get("relative", True)}
    return FlameAnnotation(**shared, **own, names=tuple(card["names"]))
