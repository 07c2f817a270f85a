"""The skin with what hangs on its openings: the mouth's inside and the inner face of the eyelids.

Tags of every vertex: kind (0 fill, 1 lip ring, 2 eye ring, 3 mouth inside, 4 inner lid), ring, column, side
(+1 upper, -1 lower, 0 corner), level, azimuth (degrees, 0…180 on either side).
"""

from __future__ import annotations

import numpy as np

from unitalker.rig.head import features, layout, surface
from unitalker.rig.head import outlines as line
from unitalker.rig.head.mesh import Part, mirrored

POUCH = (  # rings of the mouth's inside: depth behind the lips, opening up and down, widening
    (1.8, 0.1, 0.995),
    (3.8, 0.7, 0.99),
    (6.0, 5.0, 1.0),
    (8.5, 12.5, 1.12),
    (20.0, 17.0, 1.24),
    (40.0, 15.0, 1.22),
    (58.0, 10.0, 0.95),
)
INNER_LID = ((0.95, 0.0), (0.9, 2.6), (0.9, 5.2))  # height over the eyeball, mm outwards from the lid's edge


def _edge_order(half: layout.Half, kind: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Innermost ring of an opening in order (upper side, then back along the lower): index, column, side."""
    first = (half.kind == kind) & (half.ring == 0)
    upper = np.nonzero(first & (half.side >= 0))[0]
    lower = np.nonzero(first & (half.side < 0))[0]
    order = np.concatenate([upper[np.argsort(half.column[upper])], lower[np.argsort(-half.column[lower])]])
    return order, half.column[order], half.side[order]


def _strip(first: np.ndarray, start: int, rings: int, closed: bool) -> np.ndarray:
    """Triangles from an existing ring `first` through `rings` new rings whose vertices begin at `start`."""
    count = len(first)
    rows = [first] + [start + k * count + np.arange(count) for k in range(rings)]
    out = []
    for a, b in zip(rows, rows[1:], strict=False):
        if closed:
            a, b = np.append(a, a[0]), np.append(b, b[0])
        out += [np.stack([a[:-1], a[1:], b[1:]], -1), np.stack([a[:-1], b[1:], b[:-1]], -1)]
    return np.concatenate(out)


def _pouch(
    points: np.ndarray, half: layout.Half, start: int
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Vertices, triangles and tags of the mouth's inside."""
    order, column, side = _edge_order(half, 1, layout.LIP_COLUMNS)
    edge = points[order]
    angle = np.arccos(np.clip(column / layout.LIP_COLUMNS, 0, 1)) * np.where(side < 0, -1, 1)
    front = points[order][:, 2].max()
    rings = []
    for k, (depth, spread, wide) in enumerate(POUCH):
        even = surface.smoothstep(k, 1.0, 4.0)
        z = edge[:, 2] * (1 - even) + (front - 7.0 * np.cos(angle) ** 2) * even - depth
        rings.append(np.stack([edge[:, 0] * wide, edge[:, 1] + spread * np.sin(angle), z], -1))
    count = len(order)
    faces = [_strip(order, start, len(POUCH), False)]
    back = start + (len(POUCH) - 1) * count + np.arange(count)
    for i in range((count - 1) // 2):  # the back wall joins upper and lower columns
        a, b, c, d = back[i], back[i + 1], back[count - 2 - i], back[count - 1 - i]
        faces.append(np.array([[a, b, d]]) if b == c else np.array([[a, b, c], [a, c, d]]))
    tags = {
        "kind": np.full(count * len(POUCH), 3.0),
        "ring": np.repeat(np.arange(1.0, len(POUCH) + 1), count),
        "column": np.tile(column, len(POUCH)).astype(float),
        "side": np.tile(side, len(POUCH)).astype(float),
    }
    return np.concatenate(rings), np.concatenate(faces), tags


def _inner_lid(
    points: np.ndarray, half: layout.Half, start: int
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Vertices, triangles and tags of the lids' inner face, close to the eyeball."""
    order, column, side = _edge_order(half, 2, layout.LID_COLUMNS - 1)
    edge = points[order] - line.EYE
    angle = np.pi * (1 - column / (layout.LID_COLUMNS - 1))
    away = np.stack([np.cos(angle), np.where(side == 0, 0, side) * np.sin(angle), 0 * angle], -1)
    rings = []
    for over, out in INNER_LID:
        direction = edge + out * away
        rings.append(
            line.EYE + direction / np.linalg.norm(direction, axis=1)[:, None] * (line.EYE_RADIUS + over)
        )
    tags = {
        "kind": np.full(len(order) * len(INNER_LID), 4.0),
        "ring": np.repeat(np.arange(1.0, len(INNER_LID) + 1), len(order)),
        "column": np.tile(column, len(INNER_LID)).astype(float),
        "side": np.tile(side, len(INNER_LID)).astype(float),
    }
    return np.concatenate(rings), _strip(order, start, len(INNER_LID), True), tags


def _matched(strip: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """The strip wound so that the edges it shares with the skin run the other way."""
    edges = {tuple(e) for e in np.concatenate([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]])}
    same = any(
        tuple(e) in edges for e in np.concatenate([strip[:, [0, 1]], strip[:, [1, 2]], strip[:, [2, 0]]])
    )
    return strip[:, [0, 2, 1]] if same else strip


def build_skin() -> Part:
    """The whole skin in mm, materials "skin" and "mouth"."""
    half = layout.half_head()
    points = features.sculpt(surface.point(half.level, half.azimuth), half)
    tags = {k: getattr(half, k).astype(float) for k in ("kind", "ring", "column", "side", "level", "azimuth")}
    vertices, faces, material = [points], [half.faces], [np.full(len(half.faces), "skin")]
    count = len(points)
    for make, name in ((_pouch, "mouth"), (_inner_lid, "skin")):
        more, strip, extra = make(points, half, count)
        more[np.abs(more[:, 0]) < 1e-9, 0] = 0.0
        vertices.append(more)
        faces.append(_matched(strip, half.faces))
        material.append(np.full(len(strip), name))
        extra |= {"level": more[:, 1], "azimuth": 0 * more[:, 1]}
        tags = {k: np.concatenate([tags[k], extra[k]]) for k in tags}
        count += len(more)
    return mirrored(Part(np.concatenate(vertices), np.concatenate(faces), np.concatenate(material), tags))
