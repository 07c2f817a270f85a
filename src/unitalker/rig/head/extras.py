"""Ears, eyebrows and the hair cap: thin pieces that sit on the skin."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from unitalker.rig.head import surface
from unitalker.rig.head.mesh import Part, fan, grid_faces, joined, mirrored
from unitalker.rig.head.surface import bell, smoothstep

_EAR_RINGS = np.array([0.16, 0.32, 0.46, 0.58, 0.68, 0.77, 0.86, 0.93, 1.0, 1.0, 0.9])
_EAR_SECTORS = 26
_EAR_PLACE = np.array([71.5, -21.0, -82.0])
_HAIR_ROWS, _HAIR_COLUMNS = 17, 52
_HAIR_CENTRE = np.array([0.0, 20.0, -85.0])


def _ear_outline(turn: np.ndarray) -> np.ndarray:
    """Half sizes (N, 2) in mm, backward and up, of the ear's edge at angle `turn` (0 back, 90° up)."""
    back, up = np.cos(turn), np.sin(turn)
    width = 15.5 + 3.5 * smoothstep(up, -0.2, 0.8) - 3.0 * smoothstep(up, -0.3, -0.9)
    return np.stack([back * width, up * np.where(up > 0, 27.0, 30.0)], -1)


def _ear_height(r: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Relief (rings, sectors) of the ear in mm: rim, inner fold, bowl, tragus and lobe."""
    back, up = np.cos(turn)[None, :], np.sin(turn)[None, :]
    lobe = smoothstep(up, -0.45, -0.85)
    front = smoothstep(back, -0.35, -0.85)
    rim = 4.2 * bell((r - 0.92) / 0.085) * (1 - 0.85 * lobe) * (1 - 0.6 * front)
    fold = 3.6 * bell((r - 0.62) / 0.10) * smoothstep(back, -0.45, 0.1) * (1 - lobe)
    bowl = -6.5 * smoothstep(r, 0.62, 0.3) * (1 - 0.5 * smoothstep(up, 0.3, 0.9))
    tragus = 3.2 * bell((r - 0.6) / 0.16, (back + 0.95) / 0.22, (up + 0.15) / 0.35)
    height = rim + fold + bowl + tragus + 1.4 * lobe * smoothstep(r, 0.9, 0.5)
    height[-2] -= 2.2  # the last two rings turn in behind the rim
    height[-1] -= 11.0
    return height


def ear() -> Part:
    """The left ear in mm: a relief over an oval that stands off the head."""
    turn = np.linspace(0, 2 * np.pi, _EAR_SECTORS, endpoint=False)
    flat = _EAR_RINGS[:, None, None] * _ear_outline(turn)
    flat = np.concatenate([np.zeros((1, 2)), flat.reshape(-1, 2)])
    height = np.concatenate([[-6.5], _ear_height(_EAR_RINGS[:, None], turn).ravel()])
    tilt, lean = np.radians(24.0), np.radians(9.0)
    out = np.array([np.cos(tilt), 0.0, np.sin(tilt)])
    backward = np.array([np.sin(tilt), 0.0, -np.cos(tilt)])
    upward = np.array([0.0, np.cos(lean), -np.sin(lean)])
    vertices = _EAR_PLACE + flat[:, :1] * backward + flat[:, 1:] * upward + height[:, None] * out
    centre = fan(0, 1 + np.arange(_EAR_SECTORS)[::-1])
    faces = np.concatenate([centre, 1 + grid_faces(len(_EAR_RINGS), _EAR_SECTORS, wrap=True)])
    warm = np.ones_like(vertices) * np.array([1.0, 0.93, 0.92])
    warm *= (1 - 0.25 * smoothstep(height, -2.0, -6.5))[:, None]
    tags = {"ear": np.ones(len(vertices))}
    return Part(vertices, _facing(vertices, faces, out), np.full(len(faces), "skin"), tags, warm)


def _facing(vertices: np.ndarray, faces: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Wind an open sheet so that most of it faces `out`."""
    a, b, c = (vertices[faces[:60, k]] for k in range(3))
    return faces if (np.cross(b - a, c - a) @ out).sum() > 0 else faces[:, [0, 2, 1]]


def brow() -> Part:
    """The left eyebrow in mm: an arched strip a little over the skin, without a normal offset yet."""
    columns, rows = 20, 4
    s = np.linspace(0, 1, columns)
    x = 12.0 + 38.5 * s
    y = 16.0 + 5.2 * np.sin(np.pi * np.clip(s, 0, 1) ** 1.35 * 0.78) - 3.4 * s**3
    half = (3.0 * smoothstep(s, -0.10, 0.16) * (1 - 0.72 * s**1.6))[None, :]
    across = np.linspace(1, -1, rows)[:, None]
    y = y[None, :] + across * half + 0.8 * (1 - s[None, :]) ** 6
    level, azimuth = surface.locate(np.tile(x, rows), y.ravel())
    vertices = surface.point(level, azimuth)
    vertices[:, 2] += 0.35 + 0.75 * np.repeat(1 - np.abs(across[:, 0]) ** 2, columns)
    faces = grid_faces(rows, columns)
    tags = {"brow": np.tile(s, rows)}
    return Part(vertices, _facing(vertices, faces, np.array([0, 0, 1.0])), np.full(len(faces), "brows"), tags)


_HAIRLINE_AT = [0, 8, 17, 26, 34, 42, 50, 57, 62, 66, 70, 75, 82, 95, 108, 122, 140, 160, 180]
_HAIRLINE = [66, 66.5, 68.5, 70.5, 67.5, 58, 40, 20, 2, -9, -14, -4, 12, 15, 2, -28, -58, -68, -70]


def _strands(azimuth: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Ridges of hair, about -1 … 1, running from the crown (part 0) to the hairline (part 1)."""
    a = np.radians(azimuth)
    wave = (
        np.sin(19.0 * a + 3.0 * part)
        + 0.7 * np.sin(41.0 * a - 2.5 * part + 1.0)
        + 0.5 * np.sin(67.0 * a + 4.0)
    )
    return wave / 1.8


def _hair_sheet(turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (rows · columns, 3) of the cap from below the crown to the tucked-in hairline, and their ridges."""
    s = np.linspace(0, 1, _HAIR_ROWS) ** 0.8
    line = PchipInterpolator(_HAIRLINE_AT, _HAIRLINE)(turn) + 1.3 * _strands(turn, np.ones_like(turn))
    crown = surface.CROWN - 5.0
    level = (crown + s[1:, None] * (line - crown)).ravel()
    azimuth, part = np.tile(turn, _HAIR_ROWS - 1), np.repeat(s[1:], _HAIR_COLUMNS)
    base = surface.point(level, azimuth)
    out = base - _HAIR_CENTRE
    out /= np.linalg.norm(out, axis=1)[:, None]
    front = smoothstep(azimuth, 70, 25)
    body = 5.0 + 6.5 * front * smoothstep(part, 0.15, 0.6) + 1.5 * smoothstep(azimuth, 110, 60)
    taper = smoothstep(part, 1.04, 0.80 - 0.14 * front) ** 0.6
    strand = _strands(azimuth, part) * smoothstep(part, 0.1, 0.4)
    sheet = base + out * (body * taper + 0.9 * strand * (0.3 + 0.7 * taper) + 0.6)[:, None]
    edge = base[-_HAIR_COLUMNS:] - 2.0 * out[-_HAIR_COLUMNS:]
    return np.concatenate([sheet, edge]), strand


def hair() -> Part:
    """A short, neat hair cap in mm, combed back from the forehead."""
    turn = np.linspace(0, 180, _HAIR_COLUMNS) ** 1.15 / 180**0.15
    sheet, strand = _hair_sheet(turn)
    sheet[np.tile((turn == 0) | (turn > 179.999), _HAIR_ROWS), 0] = 0.0
    top = surface.point(np.array([surface.CROWN]), np.array([0.0])) + np.array([[0.0, 5.6, 0.0]])
    vertices = np.concatenate([top, sheet])
    first = 1 + np.arange(_HAIR_COLUMNS)
    cap = np.stack([np.zeros(_HAIR_COLUMNS - 1, int), first[1:], first[:-1]], -1)
    faces = np.concatenate([cap, 1 + grid_faces(_HAIR_ROWS, _HAIR_COLUMNS)])
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    if (np.einsum("ij,ij->i", np.cross(b - a, c - a), (a + b + c) / 3 - _HAIR_CENTRE)).sum() < 0:
        faces = faces[:, [0, 2, 1]]
    shade = np.concatenate([[1.0], 1.0 + 0.16 * strand, np.full(_HAIR_COLUMNS, 0.8)])
    tint = np.ones_like(vertices) * shade[:, None]
    tags = {"hair": np.ones(len(vertices))}
    return mirrored(Part(vertices, faces, np.full(len(faces), "hair"), tags, tint))


def extras() -> Part:
    """Ears, brows and hair of both sides."""
    return joined([mirrored(ear()), mirrored(brow()), hair()])
