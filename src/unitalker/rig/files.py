"""Rigs by name or from files: the built-in head, npz in the shared form, GLB with ARKit morph targets."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.errors import RigError, unknown
from unitalker.rig import derive
from unitalker.rig.arkit import ARKIT_NAMES, canonical
from unitalker.rig.rig import Material, Rig

SUFFIXES = (".npz", ".glb")
LARGEST = 512 * 2**20  # bytes of a rig file
MOST_VERTICES = 2_000_000
MOST_MOVES = 150_000_000  # vertices times shapes
LOOKS: dict[str, tuple[tuple[float, float, float], float]] = {  # linear RGB and roughness of known parts
    "skin": ((0.72, 0.47, 0.37), 0.55),
    "mouth": ((0.35, 0.10, 0.10), 0.5),
    "teeth": ((0.84, 0.80, 0.72), 0.3),
    "tongue": ((0.58, 0.22, 0.22), 0.4),
    "eyes": ((0.80, 0.80, 0.80), 0.15),
}
_ICT_PARTS = {
    "face": "skin",
    "head_neck": "skin",
    "narrow_face": "skin",
    "mouth_socket": "mouth",
    "eye_socket_l": "skin",
    "eye_socket_r": "skin",
    "gums_tongue": "mouth",
    "teeth": "teeth",
    "eyeball_l": "eyes",
    "eyeball_r": "eyes",
}


def load_rig(path_or_name: str | Path) -> Rig:
    """A rig by name ("head") or from a file (.npz in the shared form, .glb). Metres, +Y up, +Z out of the face.

    Raises RigError for an unknown name or suffix, a missing, too large or damaged file, or one without ARKit shapes.
    """
    if str(path_or_name) == "head":
        from unitalker.rig import builtin_head

        return builtin_head()
    path = Path(path_or_name)
    if path.suffix.lower() not in SUFFIXES:
        if path.suffix or path.exists():
            raise RigError(
                f"A rig file ends in .glb or .npz, but {path.name!r} does not; use such a file, or head (built in)."
            )
        raise RigError(
            unknown("rig", str(path_or_name), ["head"])
            + " That one is built in; a rig may also be a .glb or .npz file."
        )
    if not path.is_file():
        raise RigError(f"The rig file {str(path)!r} does not exist; check the path, or use head (built in).")
    size = path.stat().st_size
    if size > LARGEST:
        raise RigError(
            f"{path.name} has {size / 2**20:.0f} MB; a rig file may have {LARGEST // 2**20} MB at most."
        )
    if path.suffix.lower() == ".glb":
        from unitalker.rig.glb import read_glb

        return read_glb(path)
    return _read_npz(path)


def _read_npz(path: Path) -> Rig:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > 12 * MOST_MOVES:
            raise RigError(f"{path.name} would unpack to {size / 2**20:.0f} MB, more than a rig may have.")
        with np.load(path, allow_pickle=False) as data:
            if "header" in data:
                from unitalker.rig.store import read_rig

                return read_rig(path)
            return _shared_form(path, {k: data[k] for k in data.files})
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise RigError(f"{path.name} is not a readable npz of plain arrays ({error}).") from error


def _shared_form(path: Path, data: dict[str, Any]) -> Rig:
    """A rig of the arrays neutral, triangles, arkit_names, arkit_deltas (and optional parts and indices)."""
    missing = [k for k in ("neutral", "triangles", "arkit_names", "arkit_deltas") if k not in data]
    if missing:
        raise RigError(
            f"{path.name} lacks the array {missing[0]!r}; a rig npz holds neutral (V, 3), triangles (F, 3), "
            f"arkit_names (K,) and arkit_deltas (K, V, 3). It holds: {', '.join(sorted(data)) or 'nothing'}."
        )
    scale = float(data.get("unit_cm", 1.0)) / 100.0
    vertices = np.asarray(data["neutral"], np.float32) * np.float32(scale)
    names, shapes = arkit_only(
        path.name, [str(n) for n in data["arkit_names"]], np.asarray(data["arkit_deltas"]), scale, vertices
    )
    faces = np.asarray(data["triangles"])
    check_mesh(path.name, vertices, faces)
    faces, materials = _by_part(faces.astype(np.int32), _parts(data, len(vertices)))
    zones = derive.regions(names, shapes)
    for key in ("lips", "mouth", "upper_face"):
        if f"idx_{key}" in data:
            zones[key] = np.asarray(data[f"idx_{key}"], np.int32)
    for key in ("skin", "teeth", "tongue", "eyes"):
        mask = data.get("is_eye" if key == "eyes" else f"is_{key}")
        if mask is not None:
            zones[key] = np.nonzero(mask)[0].astype(np.int32)
    marks = derive.landmarks(vertices, names, shapes, zones.get("lips", np.zeros(0, int)))
    if "landmarks68" in data:
        marks |= derive.from_68(np.asarray(data["landmarks68"]))
    forms = data.get("identity_deltas")
    return Rig(
        name=path.stem,
        vertices=vertices,
        faces=faces,
        shape_names=names,
        shapes=shapes,
        regions=zones,
        landmarks=marks,
        materials=materials,
        identity_names=() if forms is None else tuple(f"mode{i:02d}" for i in range(len(forms))),
        identity_shapes=None if forms is None else np.asarray(forms, np.float32) * np.float32(scale),
        licence=str(data.get("licence", "")),
    )


def arkit_only(
    file: str,
    found: Sequence[str],
    deltas: np.ndarray | Sequence[np.ndarray],
    scale: float,
    vertices: np.ndarray,
) -> tuple[tuple[str, ...], np.ndarray]:
    """ARKit names in their usual order and their shapes (K, V, 3) in metres. Raises RigError when there is none."""
    meaning = {n: c for n in found if (c := canonical(n)) is not None}
    if not meaning:
        listed = ", ".join(found[:8]) + (", …" if len(found) > 8 else "") if len(found) else "none at all"
        raise RigError(
            f"{file} has no ARKit shapes (jawOpen, mouthSmileLeft, …); the morph targets found are: {listed}. "
            "Name the targets as ARKit does, or use head (built in)."
        )
    if len(deltas) != len(found) or any(np.shape(d) != vertices.shape for d in deltas):
        raise RigError(
            f"The shapes of {file} do not fit its {len(vertices)} vertices and {len(found)} names."
        )
    by_name = derive.collect(found, [np.asarray(d, np.float32) for d in deltas], meaning)
    names = tuple(n for n in ARKIT_NAMES if n in by_name)
    shapes = np.stack([by_name[n] for n in names]) * np.float32(scale)
    if not np.isfinite(shapes).all():
        raise RigError(f"The shapes of {file} hold NaN or infinite numbers.")
    return names, shapes


def check_mesh(file: str, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Raise RigError unless vertices (V, 3) are finite and faces (F, 3) point at them."""
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or not 3 <= len(vertices) <= MOST_VERTICES:
        raise RigError(f"{file} needs 3 to {MOST_VERTICES} vertices of three numbers, not {vertices.shape}.")
    if not np.isfinite(vertices).all():
        raise RigError(f"The vertices of {file} hold NaN or infinite numbers.")
    if (
        faces.ndim != 2
        or faces.shape[1:] != (3,)
        or not np.issubdtype(faces.dtype, np.integer)
        or not len(faces)
    ):
        raise RigError(f"{file} needs triangles as (F, 3) whole numbers, not {faces.shape} {faces.dtype}.")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise RigError(f"{file} has triangles that point outside its {len(vertices)} vertices.")


def _parts(data: dict[str, Any], count: int) -> np.ndarray:
    """(V,) name of the part that each vertex belongs to; "" for helper geometry that is not drawn."""
    part = np.full(count, "skin", dtype="<U8")
    for key, name in (("is_eye", "eyes"), ("is_teeth", "teeth"), ("is_tongue", "tongue")):
        if key in data:
            part[np.asarray(data[key], bool)] = name
    if "region_names" in data and "region_ranges" in data:
        for name, (first, last) in zip(data["region_names"], data["region_ranges"], strict=True):
            if name != "narrow_face":
                part[int(first) : int(last) + 1] = _ICT_PARTS.get(str(name), "")
    return part


def _by_part(faces: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, tuple[Material, ...]]:
    """Triangles grouped by part, and a material for each group."""
    owner = part[faces[:, 0]]
    rows, materials, start = [], [], 0
    for name, (colour, roughness) in LOOKS.items():
        mine = faces[owner == name]
        if len(mine):
            rows.append(mine)
            materials.append(Material(name, colour, start, start + len(mine), roughness))
            start += len(mine)
    return np.concatenate(rows), tuple(materials)
