"""Animated head as binary glTF 2.0: the rig's mesh, its shapes as sparse morph targets, weights a frame.

Layout of the file: Khronos glTF 2.0 specification, sections 3.6 (accessors), 3.7 (meshes), 3.11
(animations) and 4 (GLB container). Names of the targets stand in `mesh.extras.targetNames`, where Blender
and three.js look for them.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.errors import ExportError
from unitalker.export.base import Options, head_rig, need_frames, provenance_text, rig_weights
from unitalker.export.glb_mesh import morphs
from unitalker.files import atomic
from unitalker.motion import Motion
from unitalker.rig.rig import Material, Rig

STILL = 1e-6
"""Displacements below one micrometre are left out of a morph target."""

_COMPONENT = {"float32": 5126, "uint32": 5125, "uint16": 5123}
_KIND = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}
_ARRAY_BUFFER, _ELEMENT_BUFFER = 34962, 34963


class _Buffer:
    """The binary chunk and the accessors into it."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, array: np.ndarray, target: int | None = None) -> int:
        """Index of a new buffer view that holds the array, padded to 4 bytes."""
        data = np.ascontiguousarray(array).tobytes()
        entry: dict[str, Any] = {"buffer": 0, "byteOffset": self.size, "byteLength": len(data)}
        if target is not None:
            entry["target"] = target
        self.views.append(entry)
        padded = data + b"\0" * (-len(data) % 4)
        self.parts.append(padded)
        self.size += len(padded)
        return len(self.views) - 1

    def accessor(self, array: np.ndarray, target: int | None = None, **facts: Any) -> int:
        """Index of a new accessor over the whole array, (N,) or (N, 3 or 4)."""
        width = 1 if array.ndim == 1 else array.shape[1]
        entry = {
            "bufferView": self.view(array, target),
            "componentType": _COMPONENT[str(array.dtype)],
            "count": len(array),
            "type": _KIND[width],
        }
        self.accessors.append(entry | facts)
        return len(self.accessors) - 1

    def sparse(self, moved: np.ndarray) -> int:
        """Index of an accessor of (V, 3) displacements that stores only the vertices that move."""
        where = np.flatnonzero(np.abs(moved).max(axis=1) > STILL)
        values = moved[where].astype(np.float32)
        whole = values if len(where) == len(moved) else np.vstack([values, np.zeros((1, 3), np.float32)])
        entry: dict[str, Any] = {"componentType": 5126, "count": len(moved), "type": "VEC3"} | _bounds(whole)
        if len(where):
            index = where.astype(np.uint16 if len(moved) <= 0xFFFF else np.uint32)
            entry["sparse"] = {
                "count": len(where),
                "indices": {"bufferView": self.view(index), "componentType": _COMPONENT[str(index.dtype)]},
                "values": {"bufferView": self.view(values)},
            }
        self.accessors.append(entry)
        return len(self.accessors) - 1


def _bounds(points: np.ndarray) -> dict[str, list[float]]:
    """`min` and `max` of (N, 3) float32 points, exactly as stored."""
    return {"min": points.min(axis=0).tolist(), "max": points.max(axis=0).tolist()}


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals, the mean of the adjoining triangles by area; +Z where a vertex has none."""
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    face = np.cross(b - a, c - a)
    total = np.empty((len(vertices), 3))
    for axis in range(3):
        total[:, axis] = np.bincount(faces.ravel(), np.repeat(face[:, axis], 3), len(vertices))
    length = np.linalg.norm(total, axis=1, keepdims=True)
    total = np.where(length > 0, total / np.maximum(length, 1e-300), [0.0, 0.0, 1.0])
    return total.astype(np.float32)


def _primitives(rig: Rig, buffer: _Buffer) -> list[dict[str, Any]]:
    """One primitive a material, each with only the vertices it uses (viewers spend memory on every one)."""
    normals = vertex_normals(np.asarray(rig.vertices, np.float32), rig.faces)
    primitives = []
    for number, material in enumerate(_materials(rig)):
        used, corners = np.unique(rig.faces[material.start : material.stop], return_inverse=True)
        if len(used):
            part = _attributes(rig, normals, used, buffer) | {"material": number, "mode": 4}
            index = corners.ravel().astype(np.uint16 if len(used) < 0xFFFF else np.uint32)
            part["indices"] = buffer.accessor(index, _ELEMENT_BUFFER)
            primitives.append(part)
    return primitives


def _attributes(rig: Rig, normals: np.ndarray, used: np.ndarray, buffer: _Buffer) -> dict[str, Any]:
    """`attributes` and morph `targets` of some vertices; targets that move none of them share one accessor."""
    points = np.asarray(rig.vertices, np.float32)[used]
    attributes = {
        "POSITION": buffer.accessor(points, _ARRAY_BUFFER, **_bounds(points)),
        "NORMAL": buffer.accessor(normals[used], _ARRAY_BUFFER),
    }
    if rig.colours is not None:
        tint = np.ones((len(used), 4))
        tint[:, :3] = np.clip(rig.colours[used], 0, 1)
        whole = np.round(tint * 0xFFFF).astype(np.uint16)
        attributes["COLOR_0"] = buffer.accessor(whole, _ARRAY_BUFFER, normalized=True)
    still: int | None = None
    targets = []
    for shape in rig.shapes:
        moved = np.asarray(shape[used], np.float32)
        if np.abs(moved).max() > STILL:
            targets.append({"POSITION": buffer.sparse(moved)})
        else:
            still = buffer.sparse(np.zeros_like(moved)) if still is None else still
            targets.append({"POSITION": still})
    return {"attributes": attributes} | ({"targets": targets} if targets else {})


def _materials(rig: Rig) -> tuple[Material, ...]:
    """The rig's materials, or one plain one over every triangle."""
    return rig.materials or (Material("face", (0.8, 0.6, 0.5), 0, len(rig.faces)),)


def _look(material: Material) -> dict[str, Any]:
    """A material as glTF writes it (metallic-roughness)."""
    return {
        "name": material.name,
        "doubleSided": True,
        "pbrMetallicRoughness": {
            "baseColorFactor": [*(min(max(float(c), 0.0), 1.0) for c in material.colour), 1.0],
            "metallicFactor": 0.0,
            "roughnessFactor": min(max(float(material.roughness), 0.0), 1.0),
        },
    }


def document(
    rig: Rig, weights: np.ndarray, fps: float, extras: dict[str, Any]
) -> tuple[dict[str, Any], bytes]:
    """The JSON part and the binary chunk of a rig animated by (T, K) weights in its shape order."""
    buffer = _Buffer()
    primitives = _primitives(rig, buffer)
    times = (np.arange(len(weights)) / fps).astype(np.float32)
    clock = buffer.accessor(times, min=[float(times[0])], max=[float(times[-1])])
    curves = buffer.accessor(np.asarray(weights, np.float32).ravel())
    sampler = {"input": clock, "output": curves, "interpolation": "LINEAR"}
    channel = {"sampler": 0, "target": {"node": 0, "path": "weights"}}
    mesh = {
        "name": rig.name,
        "primitives": primitives,
        "weights": [0.0] * len(rig.shape_names),
        "extras": {"targetNames": list(rig.shape_names)},
    }
    return {
        "asset": {"version": "2.0", "generator": "unitalker", "extras": {"unitalker": extras}},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": rig.name, "mesh": 0}],
        "meshes": [mesh],
        "materials": [_look(material) for material in _materials(rig)],
        "animations": [{"name": "speech", "samplers": [sampler], "channels": [channel]}],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": buffer.size}],
    }, b"".join(buffer.parts)


def container(content: dict[str, Any], binary: bytes) -> bytes:
    """The GLB file: a 12-byte header, the JSON chunk padded with spaces, the binary chunk."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    size = 12 + 8 + len(text) + 8 + len(binary)
    if size > 0xFFFFFFFF:
        raise ExportError(
            f"A GLB file cannot exceed 4 GiB, and this one would have {size >> 20} MiB; cut it into parts."
        )
    head = struct.pack("<4sII", b"glTF", 2, size) + struct.pack("<I4s", len(text), b"JSON")
    return b"".join([head, text, struct.pack("<I4s", len(binary), b"BIN\0"), binary])


def write(motion: Motion, path: Path, options: Options) -> None:
    """Writes the rig with the motion on it; a rig shape that the motion lacks stays at 0.

    A moving mesh gets morph targets of its own (see export/glb_mesh.py). The motion's provenance, and its
    channels that the rig lacks, stand in `asset.extras.unitalker`. Raises ExportError for a motion without
    frames, one that moves nothing on the rig or another mesh than the rig's, or an unwritable file.
    """
    need_frames(motion, "animation")
    rig = head_rig(options)
    facts: dict[str, Any] = {"rig": rig.name, "rig_licence": rig.licence}
    if motion.unit == "weight":
        weights, left_out = rig_weights(motion, rig)
        facts["channels_left_out"] = list(left_out)
    else:
        rig, weights, facts["rms_error_m"] = morphs(motion, rig)
    extras = {
        "annotation": motion.annotation,
        "identity": motion.identity,
        "fps": motion.fps,
        **facts,
        "provenance": json.loads(provenance_text(motion)),
    }
    data = container(*document(rig, weights, motion.fps, extras))
    with atomic(path) as draft:
        draft.write_bytes(data)
