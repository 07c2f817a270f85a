"""Reading a GLB (binary glTF 2.0) with ARKit morph targets, without trusting it.

Every mesh of the scene is merged into one; node transforms are applied (a skinned mesh's own are not, as glTF says).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.errors import RigError
from unitalker.rig import derive
from unitalker.rig.files import LOOKS, MOST_MOVES, MOST_VERTICES, arkit_only, check_mesh
from unitalker.rig.rig import Material, Rig

_TYPES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_NUMBERS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_READABLE = {
    "KHR_mesh_quantization",
    "KHR_texture_transform",
    "KHR_materials_unlit",
    "KHR_materials_specular",
}
_HINTS = (("teeth", "teeth"), ("tooth", "teeth"), ("tongue", "tongue"), ("eye", "eyes"), ("gum", "mouth"))


@dataclass
class _Merged:
    """Meshes joined so far. targets: per primitive (first vertex, count, name → displacement)."""

    vertices: list[np.ndarray] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)
    materials: list[tuple[str, tuple[float, float, float], float]] = field(default_factory=list)
    targets: list[tuple[int, int, dict[str, np.ndarray]]] = field(default_factory=list)
    tints: list[np.ndarray] = field(default_factory=list)
    count: int = 0


def read_glb(path: Path) -> Rig:
    """The rig of a GLB file. Raises RigError with the reason when it is damaged, compressed or has no ARKit shapes."""
    try:
        return _Reader(path.name, path.read_bytes()).rig(path.stem)
    except (
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        struct.error,
        OverflowError,
        RecursionError,
    ) as error:
        raise RigError(f"{path.name} is not a sound GLB file ({type(error).__name__}: {error}).") from error


class _Reader:
    def __init__(self, file: str, blob: bytes) -> None:
        self.file = file
        self.json, self.binary = self._chunks(blob)
        foreign = sorted(set(self.json.get("extensionsRequired", [])) - _READABLE)
        if foreign:
            raise RigError(
                f"{file} needs the glTF extension {foreign[0]}, which is not read here; "
                "export it again without compression."
            )

    def _chunks(self, blob: bytes) -> tuple[dict[str, Any], bytes]:
        """The JSON and the binary chunk, with every length checked."""
        if len(blob) < 20 or blob[:4] != b"glTF":
            raise RigError(f"{self.file} is not a GLB file: it does not begin with 'glTF'.")
        version, length = struct.unpack_from("<II", blob, 4)
        if version != 2 or length > len(blob):
            raise RigError(
                f"{self.file} is glTF version {version} and claims {length} bytes of {len(blob)}; "
                "a whole GLB of version 2 is needed."
            )
        parts: dict[int, bytes] = {}
        at = 12
        while at + 8 <= length:
            size, kind = struct.unpack_from("<II", blob, at)
            if at + 8 + size > length:
                raise RigError(f"{self.file} is cut short: a chunk of {size} bytes runs past its end.")
            parts.setdefault(kind, blob[at + 8 : at + 8 + size])
            at += 8 + size
        if 0x4E4F534A not in parts:
            raise RigError(f"{self.file} has no JSON chunk.")
        document = json.loads(parts[0x4E4F534A].decode("utf-8"))
        if not isinstance(document, dict):
            raise RigError(f"The JSON chunk of {self.file} is not an object.")
        return document, parts.get(0x004E4942, b"")

    def _span(self, view: int, offset: int, count: int, width: int, kind: str) -> np.ndarray:
        """(count, width) numbers of a buffer view, strided or packed, inside its bounds."""
        v = self.json["bufferViews"][_index(view)]
        if v.get("buffer", 0) != 0 or "uri" in self.json["buffers"][0]:
            raise RigError(f"{self.file} keeps its data in another file; export it as one GLB.")
        item = np.dtype(kind).itemsize * width
        stride = int(v.get("byteStride", 0)) or item
        begin = int(v.get("byteOffset", 0)) + offset
        need = (count - 1) * stride + item if count else 0
        end = int(v.get("byteOffset", 0)) + int(v["byteLength"])
        if min(offset, begin, count) < 0 or stride < item or begin + need > min(end, len(self.binary)):
            raise RigError(f"{self.file} has an accessor that reaches past its buffer.")
        rows = np.ndarray((count, width), kind, self.binary, begin, (stride, np.dtype(kind).itemsize))
        return rows.copy()

    def numbers(self, index: int) -> np.ndarray:
        """An accessor as (count, width); whole numbers stay so unless they are marked as normalised."""
        a = self.json["accessors"][_index(index)]
        width, kind, count = _TYPES[a["type"]], _NUMBERS[a["componentType"]], int(a["count"])
        if not 0 <= count <= 4 * MOST_VERTICES:
            raise RigError(f"{self.file} has an accessor of {count} elements, which is too many.")
        offset = int(a.get("byteOffset", 0))
        if "bufferView" in a:
            out = self._span(a["bufferView"], offset, count, width, kind)
        else:
            out = np.zeros((count, width), kind)
        if "sparse" in a:
            out = self._sparse(out, a["sparse"], width, kind)
        if a.get("normalized") and np.issubdtype(out.dtype, np.integer):
            out = np.maximum(out.astype(np.float32) / np.iinfo(out.dtype).max, -1.0)
        return out

    def _sparse(self, out: np.ndarray, sparse: dict[str, Any], width: int, kind: str) -> np.ndarray:
        count, at, values = int(sparse["count"]), sparse["indices"], sparse["values"]
        where = self._span(
            at["bufferView"], int(at.get("byteOffset", 0)), count, 1, _NUMBERS[at["componentType"]]
        )
        where = where[:, 0].astype(np.int64)
        if count and where.max() >= len(out):
            raise RigError(f"{self.file} has a sparse accessor that points past its {len(out)} elements.")
        out[where] = self._span(values["bufferView"], int(values.get("byteOffset", 0)), count, width, kind)
        return out

    def rig(self, name: str) -> Rig:
        """Everything drawn in the scene as one rig."""
        merged = _Merged()
        for node, matrix in self._placed():
            if "mesh" in node:
                mesh = self.json["meshes"][_index(node["mesh"])]
                for primitive in mesh["primitives"]:
                    self._add(merged, mesh, primitive, np.eye(4) if "skin" in node else matrix)
        if not merged.vertices:
            raise RigError(f"{self.file} shows no triangles; a rig needs a mesh with ARKit morph targets.")
        vertices = np.concatenate(merged.vertices).astype(np.float32)
        found = list(dict.fromkeys(n for *_, shapes in merged.targets for n in shapes))
        deltas = np.zeros((len(found), len(vertices), 3), np.float32)
        for first, count, shapes in merged.targets:
            for n, delta in shapes.items():
                deltas[found.index(n), first : first + count] = delta
        names, shapes = arkit_only(self.file, found, deltas, 1.0, vertices)
        faces = np.concatenate(merged.faces)
        check_mesh(self.file, vertices, faces)
        zones = derive.regions(names, shapes)
        marks = derive.landmarks(vertices, names, shapes, zones.get("lips", np.zeros(0, int)))
        tints = np.concatenate(merged.tints)
        return Rig(
            name=name,
            vertices=vertices,
            faces=faces.astype(np.int32),
            shape_names=names,
            shapes=shapes,
            regions=zones,
            landmarks=marks,
            materials=_runs(merged),
            colours=tints if (tints != 1).any() else None,
        )

    def _placed(self) -> list[tuple[dict[str, Any], np.ndarray]]:
        """Nodes of the scene with their world matrices; a node reached twice is an error."""
        nodes = self.json.get("nodes", [])
        scenes = self.json.get("scenes")
        if scenes:
            todo = [(i, np.eye(4)) for i in scenes[_index(self.json.get("scene", 0))].get("nodes", [])]
        else:
            inner = {c for n in nodes for c in n.get("children", [])}
            todo = [(i, np.eye(4)) for i in range(len(nodes)) if i not in inner]
        out, seen = [], set()
        while todo:
            index, above = todo.pop(0)
            if index in seen:
                raise RigError(f"{self.file} reaches node {index} twice; its scene is not a tree.")
            seen.add(index)
            node = nodes[_index(index)]
            matrix = above @ _local(node)
            out.append((node, matrix))
            todo += [(c, matrix) for c in node.get("children", [])]
        return out

    def _add(
        self, merged: _Merged, mesh: dict[str, Any], primitive: dict[str, Any], matrix: np.ndarray
    ) -> None:
        """Append one primitive's triangles and morph targets."""
        if primitive.get("mode", 4) != 4:
            return
        points = self.numbers(primitive["attributes"]["POSITION"]).astype(np.float64)
        count = len(points)
        if merged.count + count > MOST_VERTICES:
            raise RigError(f"{self.file} has more than {MOST_VERTICES} vertices.")
        order = self.numbers(primitive["indices"])[:, 0] if "indices" in primitive else np.arange(count)
        faces = order[: len(order) // 3 * 3].reshape(-1, 3).astype(np.int64)
        if len(faces) and faces.max() >= count:
            raise RigError(f"{self.file} has triangles that point outside their {count} vertices.")
        if np.linalg.det(matrix[:3, :3]) < 0:
            faces = faces[:, [0, 2, 1]]
        merged.vertices.append(points @ matrix[:3, :3].T + matrix[:3, 3])
        merged.faces.append(faces + merged.count)
        merged.materials.append(self._look(primitive, str(mesh.get("name", ""))))
        shapes = self._targets(mesh, primitive, count, matrix[:3, :3])
        merged.targets.append((merged.count, count, shapes))
        merged.tints.append(self._tint(primitive, count))
        merged.count += count

    def _targets(
        self, mesh: dict[str, Any], primitive: dict[str, Any], count: int, turn: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Morph targets by name: the mesh's extras.targetNames, else the names of their accessors."""
        names = (mesh.get("extras") or {}).get("targetNames") or (primitive.get("extras") or {}).get(
            "targetNames"
        )
        targets = primitive.get("targets", [])
        if len(targets) * count > MOST_MOVES:
            raise RigError(
                f"{self.file} has {len(targets)} morph targets of {count} vertices, which is too much."
            )
        out = {}
        for i, target in enumerate(targets):
            if "POSITION" not in target:
                continue
            accessor = self.json["accessors"][_index(target["POSITION"])]
            name = str(names[i]) if names and i < len(names) else str(accessor.get("name", f"target{i}"))
            delta = self.numbers(target["POSITION"])
            if delta.shape != (count, 3):
                raise RigError(
                    f"The morph target {name!r} of {self.file} does not fit its mesh's {count} vertices."
                )
            out[name] = (delta.astype(np.float64) @ turn.T).astype(np.float32)
        return out

    def _tint(self, primitive: dict[str, Any], count: int) -> np.ndarray:
        """(count, 3) vertex colours that multiply the material's, white without them."""
        if "COLOR_0" not in primitive["attributes"]:
            return np.ones((count, 3), np.float32)
        tint = self.numbers(primitive["attributes"]["COLOR_0"])[:, :3].astype(np.float32)
        if tint.shape != (count, 3) or not np.isfinite(tint).all():
            raise RigError(f"The vertex colours of {self.file} do not fit its mesh's {count} vertices.")
        return tint

    def _look(self, primitive: dict[str, Any], mesh: str) -> tuple[str, tuple[float, float, float], float]:
        """Material name, linear colour and roughness; textured ones get a plain colour by what they are called."""
        if "material" not in primitive:
            return mesh or "skin", LOOKS["skin"][0], 0.6
        material = self.json["materials"][_index(primitive["material"])]
        name = str(material.get("name") or mesh or "skin")
        pbr = material.get("pbrMetallicRoughness", {})
        kind = next((k for hint, k in _HINTS if hint in f"{name} {mesh}".lower()), "skin")
        if "baseColorTexture" in pbr:
            return name, LOOKS[kind][0], LOOKS[kind][1]
        red, green, blue = (float(np.clip(c, 0, 1)) for c in pbr.get("baseColorFactor", [1, 1, 1, 1])[:3])
        return name, (red, green, blue), float(np.clip(pbr.get("roughnessFactor", 1.0), 0, 1))


def _index(value: Any) -> int:
    """A list index from a file: a whole number, not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not an index")
    return value


def _local(node: dict[str, Any]) -> np.ndarray:
    """(4, 4) matrix of one node: its matrix, or translation · rotation · scale."""
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T
    x, y, z, w = (float(c) for c in node.get("rotation", (0, 0, 0, 1)))
    out = np.eye(4)
    out[:3, :3] = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    ) * np.array(node.get("scale", (1, 1, 1)), float)
    out[:3, 3] = np.array(node.get("translation", (0, 0, 0)), float)
    return out


def _runs(merged: _Merged) -> tuple[Material, ...]:
    """One material for each primitive, in face order."""
    out, start = [], 0
    for faces, (name, colour, roughness) in zip(merged.faces, merged.materials, strict=True):
        out.append(Material(name, colour, start, start + len(faces), roughness))
        start += len(faces)
    return tuple(out)
