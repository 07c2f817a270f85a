"""Cards: an annotation as data, <name>.json beside <name>.npz. A new rig or topology needs no Python."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.pca import Basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.errors import AnnotationError, unknown
from unitalker.files import atomic, mapped_array

VALUES_LIMIT = 2_000_000_000
"""Largest card file that is read, in bytes."""

LARGE = ("pca.components",)
"""Arrays that stay in their file until they are used."""
HALVED = ("pca.components", "lip_shapes")
"""Arrays that `half` stores as float16."""

PADDING = 0xD935
"""Zip extra field for alignment, as Android's zipalign numbers it."""
ZIP_HEADER, ZIP64_FIELD = 30, 20
"""Bytes before a member's name, and of the field that tells sizes beyond 4 GB."""


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
        np.savez_compressed(draft, **arrays) if half else _save_aligned(draft, arrays)
    with atomic(folder / f"{annotation.name}.json") as draft:
        draft.write_text(json.dumps(annotation.card(), indent=1))


def _save_aligned(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An uncompressed npz file whose arrays begin at multiples of 64 bytes, by an extra field that all readers skip."""
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = ZipInfo(f"{name}.npy")
            start = archive.start_dir + ZIP_HEADER + len(member.filename) + ZIP64_FIELD + 4
            member.extra = struct.pack("<HH", PADDING, -start % 64) + bytes(-start % 64)
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


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
            arrays = {k: _large(path, k) if k in LARGE else data[k] for k in data.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, struct.error, zlib.error) as fault:
        raise AnnotationError(f"{path} is not a readable npz file: {fault}.") from None
    return {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in arrays.items()}


def _large(path: Path, name: str) -> np.ndarray:
    """An array of an npz file, mapped where it lies uncompressed and aligned: training a head never reads components."""
    with ZipFile(path) as archive:
        about = archive.getinfo(f"{name}.npy")
        if about.compress_type != ZIP_STORED:
            with archive.open(about) as file:
                return np.lib.format.read_array(file, allow_pickle=False)
    with path.open("rb") as file:
        file.seek(about.header_offset + ZIP_HEADER - 4)
        behind = sum(struct.unpack("<HH", file.read(4)))
    found = mapped_array(path, about.header_offset + ZIP_HEADER + behind, about.file_size)
    return found if found.flags.aligned else np.array(found)


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
    own["error_metres"] = float(card.get("error_metres", 0.01))
    own["rows"] = tuple(arrays.get("rows", np.zeros(0, int)).tolist())
    return FlameAnnotation(**shared, **own, names=tuple(card["names"]))
