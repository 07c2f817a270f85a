"""Regions and landmarks of a foreign rig, read off how its ARKit shapes move it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

_LIP_SHAPES = (
    "mouthPucker",
    "mouthFunnel",
    "mouthRollUpper",
    "mouthRollLower",
    "mouthPressLeft",
    "mouthPressRight",
)
_UPPER_SHAPES = ("brow", "eyeBlink", "eyeSquint", "eyeWide", "cheekSquint")
Landmarks = dict[str, int]


def _share(shapes: np.ndarray) -> np.ndarray:
    """(V,) largest movement over some shapes (K, V, 3), each divided by its own maximum."""
    size = np.linalg.norm(shapes, axis=2)
    return (size / np.maximum(size.max(axis=1, keepdims=True), 1e-9)).max(axis=0)


def regions(names: Sequence[str], shapes: np.ndarray) -> dict[str, np.ndarray]:
    """ "lips", "mouth" and "upper_face" as far as the shapes (K, V, 3) that mark them exist."""
    picks = {
        "lips": ([i for i, n in enumerate(names) if n in _LIP_SHAPES], 0.55),
        "mouth": ([i for i, n in enumerate(names) if n.startswith(("mouth", "jaw"))], 0.12),
        "upper_face": ([i for i, n in enumerate(names) if n.startswith(_UPPER_SHAPES)], 0.12),
    }
    out = {}
    for region, (rows, least) in picks.items():
        if rows:
            out[region] = np.nonzero(_share(shapes[rows]) > least)[0].astype(np.int32)
    return out


def landmarks(vertices: np.ndarray, names: Sequence[str], shapes: np.ndarray, lips: np.ndarray) -> Landmarks:
    """Lip landmarks from jawOpen and the smiles; empty when the rig lacks jawOpen or the lips have no middle."""
    if "jawOpen" not in names or not len(lips):
        return {}
    down = -shapes[list(names).index("jawOpen"), :, 1]
    span = np.ptp(vertices[lips, 0])
    middle = lips[np.abs(vertices[lips, 0] - vertices[lips, 0].mean()) < 0.06 * span]
    full = max(float(down[lips].max()), 1e-9)
    upper, lower = middle[down[middle] < 0.25 * full], middle[down[middle] > 0.6 * full]
    if not len(upper) or not len(lower):
        return {}
    out = _middle_pair(vertices, upper, lower)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        smile = f"mouthSmile{side.capitalize()}"
        reach = vertices[lips, 0] * sign
        if smile in names:
            reach = np.linalg.norm(shapes[list(names).index(smile)][lips], axis=1)
        out[f"mouth_corner_{side}"] = int(lips[np.argmax(reach)])
    return out


def _middle_pair(vertices: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> Landmarks:
    """The foremost of the nearly closest pairs of an upper and a lower lip vertex, and the lips' foremost points."""
    apart = np.linalg.norm(vertices[upper][:, None] - vertices[lower][None], axis=2)
    size = float(np.ptp(vertices[np.concatenate([upper, lower]), 1]))
    front = vertices[upper][:, None, 2] + vertices[lower][None, :, 2]
    good = np.where(apart <= apart.min() + 0.05 * size, front, -np.inf)
    u, low = np.unravel_index(int(np.argmax(good)), good.shape)
    return {
        "upper_lip_inner": int(upper[u]),
        "lower_lip_inner": int(lower[low]),
        "upper_lip_outer": int(upper[np.argmax(vertices[upper, 1])]),
        "lower_lip_outer": int(lower[np.argmin(vertices[lower, 1])]),
    }


def from_68(points: np.ndarray) -> Landmarks:
    """Names for the usual 68 landmark vertices (jaw from the character's right, …, inner lips)."""
    named = {
        "chin": 8,
        "nose_tip": 30,
        "eye_outer_right": 36,
        "eye_inner_right": 39,
        "eye_inner_left": 42,
        "eye_outer_left": 45,
        "mouth_corner_right": 48,
        "upper_lip_outer": 51,
        "mouth_corner_left": 54,
        "lower_lip_outer": 57,
        "upper_lip_inner": 62,
        "lower_lip_inner": 66,
    }
    out = {n: int(points[i]) for n, i in named.items()}
    return out | {f"face68_{i:02d}": int(p) for i, p in enumerate(points)}


def collect(
    found: Sequence[str], deltas: Sequence[np.ndarray], meaning: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Sum the displacements (V, 3) of file shapes by the ARKit name they mean."""
    out: dict[str, np.ndarray] = {}
    for name, delta in zip(found, deltas, strict=True):
        if name in meaning:
            key = meaning[name]
            out[key] = out[key] + delta if key in out else np.asarray(delta, np.float32)
    return out
