"""Build the head: body, 52 shapes, identities, regions, landmarks and materials as one `Rig`."""

from __future__ import annotations

import numpy as np

from unitalker.rig.arkit import ARKIT_NAMES
from unitalker.rig.head.body import MATERIALS, Body, build_body
from unitalker.rig.head.identities import identity_shapes
from unitalker.rig.head.marks import landmarks, regions, tints
from unitalker.rig.head.shapes_mouth import mouth_shapes
from unitalker.rig.head.shapes_upper import upper_shapes
from unitalker.rig.rig import Material, Rig

LOOKS: dict[str, tuple[tuple[float, float, float], float]] = {  # linear RGB and roughness
    "skin": ((0.72, 0.47, 0.37), 0.55),
    "mouth": ((0.30, 0.075, 0.07), 0.5),
    "gums": ((0.55, 0.22, 0.22), 0.35),
    "teeth": ((0.84, 0.80, 0.72), 0.25),
    "tongue": ((0.58, 0.22, 0.22), 0.4),
    "sclera": ((0.84, 0.82, 0.80), 0.15),
    "iris": ((0.16, 0.22, 0.20), 0.1),
    "pupil": ((0.012, 0.010, 0.010), 0.08),
    "brows": ((0.075, 0.042, 0.026), 0.8),
    "hair": ((0.085, 0.048, 0.030), 0.6),
}
SMALLEST = 2e-3  # mm; shorter displacements are dropped


def _materials(material: np.ndarray) -> tuple[Material, ...]:
    out, start = [], 0
    for name in MATERIALS:
        stop = start + int((material == name).sum())
        colour, roughness = LOOKS[name]
        out.append(Material(name, colour, start, stop, roughness))
        start = stop
    return tuple(out)


def _tidy(move: np.ndarray, body: Body) -> np.ndarray:
    """Brows, ears and hair ride along; tiny movements become zero; mm to metres."""
    moved = body.ride(move)
    moved[np.abs(moved).max(axis=1) < SMALLEST] = 0.0
    return _half(moved)


def _half(move: np.ndarray) -> np.ndarray:
    """mm to metres, through the half-precision mm that the file keeps."""
    return move.astype(np.float16).astype(np.float32) / np.float32(1000.0)


def build_head() -> Rig:
    """The built-in head, from its code alone. Deterministic; takes a second or two."""
    body = build_body()
    moves = mouth_shapes(body) | upper_shapes(body)
    identities = identity_shapes(body)
    shapes = np.stack([_tidy(moves[n], body) for n in ARKIT_NAMES])
    forms = np.stack([_half(m) for m in identities.values()])
    return Rig(
        name="head",
        vertices=(body.rest / 1000.0).astype(np.float32),
        faces=body.part.faces.astype(np.int32),
        shape_names=ARKIT_NAMES,
        shapes=shapes,
        regions=regions(body, shapes),
        landmarks=landmarks(body),
        materials=_materials(body.part.material),
        identity_names=tuple(identities),
        identity_shapes=forms,
        colours=tints(body).astype(np.float16).astype(np.float32),
        licence="Apache-2.0",
    )
