"""Teeth with gums, and the tongue."""

from __future__ import annotations

import numpy as np

from unitalker.rig.head.mesh import Part, fan, grid_faces, joined
from unitalker.rig.head.surface import smoothstep

FRONT = 23.0  # z of the upper front teeth, mm
_WIDTHS = 2 * np.array(
    [4.3, 3.4, 4.0, 3.6, 3.6, 4.8, 4.6]
)  # breadths of a side's seven teeth, from the middle
_CROWNS = np.array([9.6, 8.6, 9.6, 8.0, 7.6, 7.0, 6.6])  # heights of their crowns
_SHORTER = np.array([0.0, 0.7, 0.1, 0.7, 0.9, 1.0, 1.1])  # how much less they reach towards the other arch
_STEPS = 4  # columns of vertices per tooth


def _arch(breadth: float, depth: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) of x, z along half a dental arch and its outward directions, at even steps of the teeth."""
    fine = np.linspace(0, 1.45, 600)
    curve = np.stack([breadth * np.sin(fine) ** 0.9, -depth * (1 - np.cos(fine)) * 1.1], -1)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    edges = np.concatenate([[0], np.cumsum(_WIDTHS)]) * (length[-1] / _WIDTHS.sum())
    at = np.concatenate(
        [np.linspace(a, b, count, endpoint=False) for a, b in zip(edges, edges[1:], strict=False)]
    )
    at = np.append(at, edges[-1])
    xy = np.stack([np.interp(at, length, curve[:, k]) for k in (0, 1)], -1)
    ahead = np.stack([np.interp(at + 0.3, length, curve[:, k]) for k in (0, 1)], -1)
    behind = np.stack([np.interp(at - 0.3, length, curve[:, k]) for k in (0, 1)], -1)
    along = ahead - behind
    along[0] = [1.0, 0.0]
    along /= np.linalg.norm(along, axis=1)[:, None]
    return xy, np.stack([-along[:, 1], along[:, 0]], -1)


def _tooth_columns() -> tuple[np.ndarray, np.ndarray]:
    """Per column of half an arch: which tooth (0 … 6), and its bulge, 0 between two teeth and 1 in the middle."""
    phase = np.append(np.tile(np.arange(_STEPS) / _STEPS, 7), 1.0)
    tooth = np.append(np.repeat(np.arange(7), _STEPS), 6)
    middle = np.minimum(phase, 1 - phase) * 2
    return tooth, np.sqrt(np.clip(1 - (1 - middle) ** 3, 0, 1))


def _arch_rows(upper: bool) -> np.ndarray:
    """Vertices (section points, columns, 3) of the right half (x ≥ 0) of an arch."""
    sign = 1.0 if upper else -1.0
    breadth, depth, front, edge_y = (25.5, 40.0, FRONT, -69.6) if upper else (23.5, 37.0, FRONT - 2.6, -68.6)
    curve, out = _arch(breadth, depth, _STEPS)
    tooth, bulge = _tooth_columns()
    height = _CROWNS[tooth] * (1.0 if upper else 0.92)
    short = _SHORTER[tooth] * (1.0 if upper else 0.3)
    rows = []
    for outward, up, gum, groove in _section():
        lift = up * height + gum + (short + 0.55 * (1 - bulge)) * (1.0 if up < 0.4 else 0.0)
        lift = lift - (0.9 * (1 - bulge) if up == 1.0 and gum == 0.0 else 0.0)
        away = outward + groove * (bulge - 1)
        x = curve[:, 0] + out[:, 0] * away
        z = front + curve[:, 1] + out[:, 1] * away
        rows.append(np.stack([x, edge_y + sign * lift, z], -1))
    half = np.stack(rows)
    half[:, 0, 0] = 0.0
    return half


def dental_arch(upper: bool) -> Part:
    """One row of fourteen teeth with its gum, in mm. Columns run from the right to the left molar."""
    half = _arch_rows(upper)
    whole = np.concatenate([half[:, :0:-1] * np.array([-1.0, 1.0, 1.0]), half], axis=1)
    rows, count = whole.shape[:2]
    strip = np.arange((rows - 1) * (count - 1)) // (count - 1)
    material = np.where(np.isin(np.tile(strip, 2), (0, 1, 7, 8)), "gums", "teeth")
    vertices = whole.reshape(-1, 3)
    bulge = _tooth_columns()[1]
    shade = np.tile(np.concatenate([bulge[:0:-1], bulge]), rows)
    row = np.repeat(np.arange(rows), count)
    tint = np.ones_like(vertices) * (1 - 0.22 * (1 - shade) * ((row > 1) & (row < 8)))[:, None]
    tint *= (1 - 0.35 * smoothstep(-vertices[:, 2], -FRONT + 8, -FRONT + 36))[:, None]
    tags = {"teeth": np.full(len(vertices), 1.0 if upper else -1.0)}
    return Part(vertices, _facing(vertices, grid_faces(rows, count)), material, tags, tint)


def _section() -> tuple[tuple[float, float, float, float], ...]:
    """Across a tooth: (outward mm, height as a share of the crown, mm above the crown, groove between teeth)."""
    return (
        (-1.6, 1.0, 6.5, 0.0),
        (0.4, 1.0, 3.2, 0.2),
        (0.3, 1.0, 0.0, 0.9),
        (0.5, 0.55, 0.0, 1.3),
        (0.1, 0.12, 0.0, 1.2),
        (-0.9, 0.0, 0.0, 0.5),
        (-2.0, 0.12, 0.0, 0.3),
        (-4.6, 0.9, 0.0, 0.0),
        (-5.6, 1.0, 2.5, 0.0),
        (-6.0, 1.0, 5.5, 0.0),
    )


def _facing(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Wind the strip so that the outer face of the front teeth looks forward."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal, middle = np.cross(b - a, c - a), (a + b + c) / 3
    front = middle[:, 2] > np.quantile(middle[:, 2], 0.93)
    return faces if normal[front, 2].sum() > 0 else faces[:, [0, 2, 1]]


def tongue() -> Part:
    """The tongue at rest behind the lower teeth, in mm. Tag `tongue` runs 0 (root) … 1 (tip)."""
    rings, sectors = 15, 18
    along = np.linspace(0, 1, rings) ** 0.85
    turn = np.linspace(0, 2 * np.pi, sectors, endpoint=False)
    width = 17.0 * np.sqrt(np.clip(1 - smoothstep(along, 0.3, 1.06) * 0.96, 0, 1)) * (0.9 + 0.1 * along)
    thick = 6.6 * np.sqrt(np.clip(1 - smoothstep(along, 0.25, 1.1) * 0.88, 0, 1))
    z = -38.0 + 52.5 * along
    y = -75.5 + 4.0 * np.sin(np.pi * np.clip(along, 0, 1) ** 1.2) - 1.0 * along
    c, s = np.cos(turn), np.sin(turn)
    x = width[:, None] * np.sign(c) * np.abs(c) ** 0.8
    groove = 1.2 * np.exp(-((x / 3.5) ** 2)) * (s > 0.2) * smoothstep(along, 1.0, 0.7)[:, None]
    up = thick[:, None] * s * np.where(s > 0, 1.0, 0.75) - groove
    ring = np.stack([x, y[:, None] + up, z[:, None] + 0 * x], -1).reshape(-1, 3)
    tip = np.array([[0.0, y[-1], z[-1] + 1.6]])
    root = np.array([[0.0, y[0], z[0] - 1.0]])
    vertices = np.concatenate([ring, tip, root])
    last = (rings - 1) * sectors + np.arange(sectors)
    faces = np.concatenate(
        [
            grid_faces(rings, sectors, wrap=True)[:, [0, 2, 1]],
            fan(len(ring), last[::-1]),
            fan(len(ring) + 1, np.arange(sectors)),
        ]
    )
    tags = {"tongue": np.concatenate([np.repeat(along, sectors), [1.0, 0.0]])}
    tint = np.ones_like(vertices) * (0.75 + 0.25 * smoothstep(vertices[:, 2], -20, 12))[:, None]
    return Part(vertices, _solid(vertices, faces), np.full(len(faces), "tongue"), tags, tint)


def _solid(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """A closed surface wound outwards (positive volume)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return faces if np.einsum("ij,ij->", a, np.cross(b, c)) > 0 else faces[:, [0, 2, 1]]


def mouth_parts() -> Part:
    """Both dental arches and the tongue."""
    return joined([dental_arch(True), dental_arch(False), tongue()])
