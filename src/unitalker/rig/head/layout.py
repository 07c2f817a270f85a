"""Where the skin's vertices lie: rings around mouth and eye, rows elsewhere.

Rings are joined to each other by plain strips; the Delaunay triangles fill the rest.

All of it is the character's left half, as levels and azimuths of `surface`; ring vertices keep their names
(ring, column, side) so that lips and lids can be shaped exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import Delaunay, KDTree

from unitalker.rig.head import outlines as line
from unitalker.rig.head import surface
from unitalker.rig.head.surface import smoothstep

LIP_COLUMNS = 13  # from the middle to the corner
LIP_PARTS = (0.0, 0.1, 0.26, 0.5, 0.76, 1.0)  # rings across the red of the lips, contact line to border
LIP_SKIRTS = (1.6, 3.6, 6.0, 8.8)  # rings beyond the border, mm
LID_COLUMNS = 17  # along one lid, corners included
LID_RINGS = (0.0, 0.9, 1.9, 2.9, 3.7, 4.6, 6.2, 8.8)  # rings around the eye, mm from the edge

Spacing = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass
class Half:
    """The left half's points. kind: 0 fill, 1 lip ring, 2 eye ring. side: +1 upper, -1 lower, 0 corner or none."""

    level: np.ndarray
    azimuth: np.ndarray
    kind: np.ndarray
    ring: np.ndarray
    column: np.ndarray
    side: np.ndarray
    faces: np.ndarray


def _lip_rings() -> list[tuple[float, float, int, int, int]]:
    """(x, y, ring, column, side) of every lip-ring point."""
    out = []
    u = np.linspace(0, 1, LIP_COLUMNS + 1)
    t = u * (1.25 - 0.25 * u)
    inner_x, edge_x = line.MOUTH_WIDTH * t, line.BORDER_WIDTH * t
    for ring in range(len(LIP_PARTS) + len(LIP_SKIRTS)):
        part = LIP_PARTS[ring] if ring < len(LIP_PARTS) else 1.0
        skirt = LIP_SKIRTS[ring - len(LIP_PARTS)] if ring >= len(LIP_PARTS) else 0.0
        for side in (1, -1):
            edge_y = line.lip_border(edge_x, side > 0)
            arch = side * (np.maximum.accumulate((side * edge_y)[::-1])[::-1] + 0.8 * (1 - u**2))
            edge_y = edge_y + (arch - edge_y) * skirt / LIP_SKIRTS[-1]
            inner_y = line.contact(inner_x)
            angle = np.pi / 2 * (1 - u**1.6)
            x = inner_x + part * (edge_x - inner_x) + skirt * np.cos(angle)
            y = inner_y + part * (edge_y - inner_y) + side * skirt * np.sin(angle)
            last = LIP_COLUMNS + (1 if side > 0 else 0)
            for c in range(last):
                out.append((x[c], y[c], ring, c, 0 if c == LIP_COLUMNS else side))
    return out


def _eye_rings() -> list[tuple[float, float, int, int, int]]:
    """(x, y, ring, column, side) of every eye-ring point; column 0 is the inner, the last the outer corner."""
    out = []
    s = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, LID_COLUMNS))
    for ring, away in enumerate(LID_RINGS):
        for side in (1, -1):
            edge = line.lid_edge(s, side > 0)
            angle = np.pi * (1 - np.linspace(0, 1, LID_COLUMNS))
            away_here = away * (1.0 if side > 0 else 0.9) * (1 - 0.35 * np.cos(angle).clip(-1, 0) ** 2)
            xy = edge + np.stack([away_here * np.cos(angle), side * away_here * np.sin(angle)], -1)
            columns = range(LID_COLUMNS) if side > 0 else range(1, LID_COLUMNS - 1)
            for c in columns:
                corner = c in (0, LID_COLUMNS - 1)
                out.append((xy[c, 0], xy[c, 1], ring, c, 0 if corner else side))
    return out


def _spacing(level: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Wanted distance between neighbouring fill points outside the nose, mm."""
    gap = 4.0 + 7.5 * smoothstep(azimuth, 45, 90) + 6.0 * smoothstep(level, 40, 80)
    return np.clip(gap + 3.0 * smoothstep(level, -112, -135), 1.7, 13.0)


def _nose_spacing(level: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    return 2.0 + 0 * level


def _in_nose(level: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """The dense patch: wings and tip of the nose."""
    return (np.abs(azimuth) < 7.0 + 5.5 * smoothstep(level, -12, -34)) & (level > -54) & (level < -12)


def _rows(spacing: Spacing, low: float, high: float, at: float) -> np.ndarray:
    """Staggered rows (N, 2) of level and azimuth; rows are a triangle's height apart at azimuth `at`."""
    out, level, odd = [], low, False
    dense = np.linspace(0, 180, 1441)
    while level < high:
        here = surface.point(np.full(1441, level), dense)
        length = np.linalg.norm(np.diff(here, axis=0), axis=1)
        gap = spacing(np.full(1440, level), dense[:-1])
        count = np.concatenate([[0], np.cumsum(length / gap)])
        total = max(int(round(count[-1])), 3)
        wanted = np.arange(total + 1) if not odd else np.concatenate([[0], np.arange(total) + 0.5, [total]])
        angles = np.interp(wanted * count[-1] / total, count, dense)
        out.append(np.stack([np.full(len(angles), level), angles], -1))
        up = surface.point(np.array([level, level + 0.5]), np.array([at, at]))
        step = 0.866 * float(np.interp(at, dense[:-1], gap))
        level += step / max(2 * float(np.linalg.norm(up[1] - up[0])), 0.3)
        odd = not odd
    return np.concatenate(out)


def _fill() -> np.ndarray:
    """Fill points of the whole half: coarse rows, the dense nose, the crown."""
    coarse = _rows(_spacing, surface.COLLAR, surface.CROWN - 3, 20.0)
    nose = _rows(_nose_spacing, -54.0, -12.0, 3.0)
    coarse = coarse[~_in_nose(*coarse.T)]
    return np.concatenate([coarse, nose[_in_nose(*nose.T)], [[surface.CROWN, 0.0]]])


def _inside_rings(xy: np.ndarray, ring_xy: np.ndarray) -> np.ndarray:
    """Which points lie inside the closed polygon `ring_xy` (even-odd rule)."""
    inside = np.zeros(len(xy), bool)
    x0, y0 = ring_xy.T
    x1, y1 = np.roll(ring_xy, -1, axis=0).T
    for a, b, c, d in zip(x0, y0, x1, y1, strict=True):
        cross = (b > xy[:, 1]) != (d > xy[:, 1])
        inside ^= cross & (xy[:, 0] < (c - a) * (xy[:, 1] - b) / (d - b + 1e-30) + a)
    return inside


def _clear(fill: np.ndarray, rings: np.ndarray, outlines: list[np.ndarray]) -> np.ndarray:
    """Fill points that are neither inside a ring structure nor too near one."""
    points = surface.point(fill[:, 0], fill[:, 1])
    near, _ = KDTree(rings).query(points)
    gap = np.where(_in_nose(*fill.T), _nose_spacing(*fill.T), _spacing(*fill.T))
    keep = near > np.maximum(0.62 * gap, 2.2)
    front = points[:, 2] > -40
    for polygon in outlines:
        keep &= ~(front & _inside_rings(points[:, :2], polygon))
    return fill[keep]


def _loop(tags: np.ndarray, ring: int, first_upper: bool) -> np.ndarray:
    """Indices of one ring in order around it: along the upper side, then back along the lower."""
    here = tags[:, 2] == ring
    upper = np.nonzero(here & (tags[:, 4] >= 0))[0]
    lower = np.nonzero(here & (tags[:, 4] < 0))[0]
    upper = upper[np.argsort(tags[upper, 3])]
    lower = lower[np.argsort(-tags[lower, 3])]
    return np.concatenate([upper, lower] if first_upper else [lower, upper])


def _relax(plane: np.ndarray, faces: np.ndarray, free: np.ndarray, times: int) -> np.ndarray:
    """Move free points towards the mean of their neighbours."""
    edges = np.unique(
        np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0
    )
    i = np.concatenate([edges[:, 0], edges[:, 1]])
    j = np.concatenate([edges[:, 1], edges[:, 0]])
    degree = np.maximum(np.bincount(i, minlength=len(plane)), 1)
    for _ in range(times):
        mean = np.stack([np.bincount(i, plane[j, k], len(plane)) for k in (0, 1)], -1) / degree[:, None]
        plane = np.where(free[:, None], 0.5 * plane + 0.5 * mean, plane)
    return plane


def _level_azimuth(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of `surface.unroll`."""
    radius, azimuth = np.hypot(*plane.T), np.degrees(np.arctan2(plane[:, 1], plane[:, 0]))
    cap = surface.CROWN - 45.0
    above = surface.CROWN - cap * 2 * np.arctan(radius) / (np.pi / 2)
    below = 45.0 - 95.0 * np.log(np.maximum(radius, 1e-9))
    return np.where(radius < 1, above, below), np.clip(azimuth, 0, 180)


def half_head() -> Half:
    """Points and triangles of the left half of the skin, with holes for the mouth and the eye."""
    lips, lids = np.array(_lip_rings()), np.array(_eye_rings())
    tags = np.concatenate([lips, lids])
    level, azimuth = surface.locate(tags[:, 0], tags[:, 1])
    azimuth = np.where(tags[:, 0] < 1e-9, 0.0, azimuth)
    outer_lip = lips[_loop(lips, len(LIP_PARTS) + len(LIP_SKIRTS) - 1, True)][:, :2]
    outer_lip = np.concatenate([outer_lip, [[-5, outer_lip[-1, 1]], [-5, outer_lip[0, 1]]]])
    outer_lid = lids[_loop(lids, len(LID_RINGS) - 1, True)][:, :2]
    fill = _clear(_fill(), surface.point(level, azimuth), [outer_lip, outer_lid])
    level, azimuth = np.concatenate([level, fill[:, 0]]), np.concatenate([azimuth, fill[:, 1]])
    kind = np.repeat([1, 2, 0], [len(lips), len(lids), len(fill)])
    filler = np.full((len(fill), 3), -1.0)
    names = np.concatenate([tags[:, 2:5], filler]).astype(int)
    plane = surface.unroll(level, azimuth)
    free = (kind == 0) & (azimuth > 1e-6) & (azimuth < 180 - 1e-6) & (level > surface.COLLAR + 1e-6)
    for _ in range(4):
        plane = _relax(plane, Delaunay(plane).simplices, free, 3)
    level, azimuth = _level_azimuth(plane)
    faces = np.concatenate([_between(plane, kind), *_strips(tags, kind)])
    return Half(level, azimuth, kind, names[:, 0], names[:, 1], np.where(kind == 0, 0, names[:, 2]), faces)


def _strips(tags: np.ndarray, kind: np.ndarray) -> list[np.ndarray]:
    """Triangles between neighbouring rings of the mouth (an open half) and of the eye (closed), wound outwards."""
    out = []
    for what, rings, closed in ((1, len(LIP_PARTS) + len(LIP_SKIRTS), False), (2, len(LID_RINGS), True)):
        rows = []
        for ring in range(rings):
            mine = np.nonzero(kind[: len(tags)] == what)[0]
            row = mine[_loop(tags[mine], ring, True)]
            rows.append(np.append(row, row[0]) if closed else row)
        for a, b in zip(rows, rows[1:], strict=False):
            out += [np.stack([a[:-1], a[1:], b[1:]], -1), np.stack([a[:-1], b[1:], b[:-1]], -1)]
    return out


def _between(plane: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Delaunay triangles outside the ring structures, wound outwards."""
    faces = Delaunay(plane).simplices.astype(np.int64)
    inside = (kind[faces] == kind[faces][:, :1]).all(axis=1) & (kind[faces[:, 0]] > 0)
    faces = faces[~inside]
    a, b, c = plane[faces[:, 0]], plane[faces[:, 1]], plane[faces[:, 2]]
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    faces, turn = faces[np.abs(turn) > 1e-9], turn[np.abs(turn) > 1e-9]
    return np.where((turn < 0)[:, None], faces[:, [0, 2, 1]], faces)
