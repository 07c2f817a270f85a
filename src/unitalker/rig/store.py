"""A rig as one compressed npz: shapes sparse and in half precision, names and materials as JSON text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.errors import RigError
from unitalker.files import atomic
from unitalker.rig.rig import Material, Rig

HEAD_FILE = Path(__file__).parent / "data" / "head.npz"
FORMAT = "unitalker.rig"


def _sparse(shapes: np.ndarray) -> dict[str, np.ndarray]:
    """Shapes (K, V, 3) as the vertices that move, shape after shape, and their half-precision movements."""
    moving = np.abs(shapes).max(axis=2) > 0
    return {
        "count": moving.sum(axis=1).astype(np.int32),
        "index": np.nonzero(moving)[1].astype(np.int32),
        "delta": (shapes[moving] * 1000.0).astype(np.float16),
    }


def _dense(data: Any, prefix: str, vertices: int) -> np.ndarray:
    """The inverse of `_sparse`, in metres."""
    count, index, delta = (data[f"{prefix}_{k}"] for k in ("count", "index", "delta"))
    if count.sum() != len(index) or len(index) != len(delta) or (len(index) and index.max() >= vertices):
        raise RigError(f"The {prefix} table of the rig file is inconsistent; the file is damaged.")
    out = np.zeros((len(count), vertices, 3), np.float32)
    out[np.repeat(np.arange(len(count)), count), index] = delta.astype(np.float32) / np.float32(1000.0)
    return out


def write_rig(rig: Rig, path: Path) -> None:
    """Write `rig` to `path`, whole or not at all."""
    head = {
        "format": FORMAT,
        "version": 1,
        "name": rig.name,
        "licence": rig.licence,
        "shape_names": rig.shape_names,
        "identity_names": rig.identity_names,
        "landmarks": dict(rig.landmarks),
        "materials": [[m.name, m.colour, m.start, m.stop, m.roughness] for m in rig.materials],
        "regions": list(rig.regions),
    }
    arrays: dict[str, Any] = {
        "header": np.array(json.dumps(head)),
        "vertices": rig.vertices,
        "faces": rig.faces,
    }
    arrays |= {f"shape_{k}": v for k, v in _sparse(rig.shapes).items()}
    if rig.identity_shapes is not None:
        arrays |= {f"identity_{k}": v for k, v in _sparse(rig.identity_shapes).items()}
    arrays |= {f"region_{k}": v for k, v in rig.regions.items()}
    if rig.colours is not None:
        arrays["colours"] = rig.colours.astype(np.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path, RigError) as draft:
        np.savez_compressed(draft, **arrays)


def read_rig(path: Path) -> Rig:
    """The rig of a file of `write_rig`. Raises RigError when it is not one."""
    try:
        with np.load(path, allow_pickle=False) as data:
            head = json.loads(str(data["header"]))
            vertices = data["vertices"]
            return Rig(
                name=head["name"],
                vertices=vertices,
                faces=data["faces"],
                shape_names=tuple(head["shape_names"]),
                shapes=_dense(data, "shape", len(vertices)),
                regions={n: data[f"region_{n}"] for n in head["regions"]},
                landmarks=head["landmarks"],
                materials=tuple(Material(n, tuple(c), a, b, r) for n, c, a, b, r in head["materials"]),
                identity_names=tuple(head["identity_names"]),
                identity_shapes=_dense(data, "identity", len(vertices)) if "identity_count" in data else None,
                colours=data["colours"].astype(np.float32) if "colours" in data else None,
                licence=head["licence"],
            )
    except (OSError, ValueError, KeyError) as error:
        raise RigError(
            f"{path.name} cannot be read as a rig ({error}); write it again with write_rig."
        ) from error
