"""The eyeballs: a sphere with its pole forward, rings for pupil, iris and white."""

from __future__ import annotations

import numpy as np

from unitalker.rig.head import outlines as line
from unitalker.rig.head.mesh import Part, fan, grid_faces, joined
from unitalker.rig.head.surface import bell, smoothstep

PUPIL, IRIS = 10.0, 26.0  # half angles in degrees
_ANGLES = np.array([3.0, 7.5, PUPIL, 12.0, 16.0, 19.5, 23.5, IRIS, 28.5, 34, 42, 52, 64, 78, 96, 118.0])
_SECTORS = 32


def eyeball(side: float) -> Part:
    """One eye in mm; side +1 is the character's left. Its gaze is straight ahead."""
    centre = line.EYE * np.array([side, 1.0, 1.0])
    polar = np.radians(_ANGLES)[:, None]
    turn = np.linspace(0, 2 * np.pi, _SECTORS, endpoint=False)[None, :] * side
    radius = line.EYE_RADIUS + 0.35 * bell(_ANGLES / 14.0)[:, None]
    shape = np.stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar) + 0 * turn], -1
    )
    ring = (shape * radius[..., None]).reshape(-1, 3)
    vertices = np.concatenate([[[0.0, 0.0, line.EYE_RADIUS + 0.35]], ring]) + centre
    faces = np.concatenate(
        [fan(0, 1 + np.arange(_SECTORS)), 1 + grid_faces(len(_ANGLES), _SECTORS, wrap=True)]
    )
    if side < 0:
        faces = faces[:, [0, 2, 1]]
    inner = np.concatenate([np.zeros(1), np.repeat(_ANGLES, _SECTORS)])[faces].max(axis=1)
    material = np.where(inner <= PUPIL, "pupil", np.where(inner <= IRIS, "iris", "sclera"))
    angle = np.concatenate([[0.0], np.repeat(_ANGLES, _SECTORS)])
    return Part(
        vertices,
        _outward(vertices, faces, centre),
        material,
        {"eye": np.full(len(vertices), side)},
        _tint(angle),
    )


def _tint(angle: np.ndarray) -> np.ndarray:
    """Darker rim of the iris, lighter middle, slightly warm white towards the corners."""
    rim = 1 - 0.72 * smoothstep(angle, 20.5, 25.0) * smoothstep(angle, 31.5, 27.0)
    glow = 1 + 0.35 * bell((angle - 15.0) / 4.0)
    white = np.where(angle > IRIS, 1.0, 0.0)[:, None] * smoothstep(angle, 35, 80)[:, None]
    return np.clip((rim * glow)[:, None] * (1 - white * np.array([0.08, 0.22, 0.24])), 0, 1.4)


def _outward(vertices: np.ndarray, faces: np.ndarray, centre: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    wrong = np.einsum("ij,ij->i", np.cross(b - a, c - a), (a + b + c) / 3 - centre) < 0
    return np.where(wrong[:, None], faces[:, [0, 2, 1]], faces)


def eyes() -> Part:
    """Both eyeballs."""
    return joined([eyeball(1.0), eyeball(-1.0)])
