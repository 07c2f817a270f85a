"""Names on the head: regions, landmarks, and the tints of lips, cheeks, lids and brows."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from unitalker.rig.head import layout
from unitalker.rig.head import outlines as line
from unitalker.rig.head.body import Body
from unitalker.rig.head.surface import bell, smoothstep


def regions(body: Body, shapes: np.ndarray) -> dict[str, np.ndarray]:
    """Vertex indices by region name."""
    p, material = body.rest, body.part.material
    used = {m: np.unique(body.part.faces[material == m]) for m in np.unique(material)}
    skin = (body.kind >= 0) & (body.kind < 3)
    front = skin & (p[:, 2] > -45) & (p[:, 1] > -114)
    near = np.hypot(np.maximum(np.abs(p[:, 0]) - 10, 0), p[:, 1] - line.MOUTH_Y - 1) < 26
    masks = {
        "lips": (body.kind == 1) & (body.ring < len(layout.LIP_PARTS)),
        "mouth": front & near & (p[:, 1] < -48),
        "upper_face": front & (p[:, 1] > -22) & (p[:, 1] < 62),
        "face": front & (p[:, 1] < 66),
        "skin": skin | body.tagged("ear"),
        "mouth_inside": body.kind == 3,
    }
    out = {name: np.nonzero(mask)[0].astype(np.int32) for name, mask in masks.items()}
    out["eyes"] = np.unique(np.concatenate([used["sclera"], used["iris"], used["pupil"]])).astype(np.int32)
    out["teeth"] = np.unique(np.concatenate([used["teeth"], used["gums"]])).astype(np.int32)
    for name in ("tongue", "brows", "hair"):
        out[name] = used[name].astype(np.int32)
    return out


def _column(body: Body, kind: int, ring: int, column: int, side: int, sign: int) -> int:
    at = (body.kind == kind) & (body.ring == ring) & (body.column == column) & (body.side == side)
    at &= np.sign(np.round(body.rest[:, 0], 6)) == sign
    return int(np.nonzero(at)[0][0])


def landmarks(body: Body) -> dict[str, int]:
    """Vertex index by landmark name; `face68_00` … `face68_67` follow the common 68-point order."""
    border, corner = len(layout.LIP_PARTS) - 1, layout.LIP_COLUMNS
    out = {
        "upper_lip_inner": _column(body, 1, 0, 0, 1, 0),
        "lower_lip_inner": _column(body, 1, 0, 0, -1, 0),
        "upper_lip_outer": _column(body, 1, border, 0, 1, 0),
        "lower_lip_outer": _column(body, 1, border, 0, -1, 0),
        "mouth_corner_left": _column(body, 1, 0, corner, 0, 1),
        "mouth_corner_right": _column(body, 1, 0, corner, 0, -1),
    }
    for name, sign in (("left", 1), ("right", -1)):
        out[f"eye_inner_{name}"] = _column(body, 2, 0, 0, 0, sign)
        out[f"eye_outer_{name}"] = _column(body, 2, 0, layout.LID_COLUMNS - 1, 0, sign)
        out[f"eye_upper_{name}"] = _column(body, 2, 0, layout.LID_COLUMNS // 2, 1, sign)
        out[f"eye_lower_{name}"] = _column(body, 2, 0, layout.LID_COLUMNS // 2, -1, sign)
    skin = np.nonzero((body.kind == 0) & (body.rest[:, 2] > -60))[0]
    p = body.rest[skin]
    middle = np.abs(p[:, 0]) < 0.01
    out["nose_tip"] = int(
        skin[np.argmax(np.where(middle & (p[:, 1] > -50) & (p[:, 1] < -25), p[:, 2], -1e9))]
    )
    out["chin"] = int(skin[np.argmax(np.where(middle & (p[:, 1] < -86) & (p[:, 1] > -106), p[:, 2], -1e9))])
    for k, index in enumerate(_face68(body, out)):
        out[f"face68_{k:02d}"] = index
    return out


def _nearest(body: Body, xy: np.ndarray) -> list[int]:
    """Front skin vertices nearest to points (N, 2) of the front view."""
    front = np.nonzero((body.kind >= 0) & (body.kind < 3) & (body.rest[:, 2] > -75))[0]
    return [int(i) for i in front[KDTree(body.rest[front, :2]).query(xy)[1]]]


def _face68(body: Body, named: dict[str, int]) -> list[int]:
    """The 68 points: jaw from the character's right ear, brows, nose, eyes, outer and inner lips."""
    jaw = np.array(
        [(-71, 0), (-70, -20), (-67, -40), (-63, -58), (-56, -77), (-44, -94), (-31, -105), (-16, -111)]
    )
    flip = np.array([-1, 1])
    jaw_line = np.concatenate([jaw, [(0, -112.5)], jaw[::-1] * flip])
    brow = np.array([(-49, 17), (-42, 21), (-33, 22), (-23, 20), (-14, 17)])
    bridge = np.array([(0, 3), (0, -9), (0, -21), (0, -36)])
    base = np.array([(-12, -47), (-6, -48.5), (0, -49), (6, -48.5), (12, -47)])
    points = np.concatenate([jaw_line, brow, brow[::-1] * flip, bridge, base])
    out = _nearest(body, points)
    out[30] = named["nose_tip"]
    last, half = layout.LID_COLUMNS - 1, layout.LID_COLUMNS // 2
    for sign in (-1, 1):
        away = [(last, 0), (half + 3, 1), (half - 3, 1), (0, 0), (half - 3, -1), (half + 3, -1)]
        toward = [(0, 0), (half - 3, 1), (half + 3, 1), (last, 0), (half + 3, -1), (half - 3, -1)]
        out += [_column(body, 2, 0, c, s, sign) for c, s in (away if sign < 0 else toward)]
    border, corner = len(layout.LIP_PARTS) - 1, layout.LIP_COLUMNS
    upper = [(corner, 0, -1), (7, 1, -1), (3, 1, -1), (0, 1, 0), (3, 1, 1), (7, 1, 1), (corner, 0, 1)]
    lower = [(7, -1, 1), (3, -1, 1), (0, -1, 0), (3, -1, -1), (7, -1, -1)]
    out += [_column(body, 1, border, c, s, g) for c, s, g in upper + lower]
    inner = [
        (corner, 0, -1),
        (4, 1, -1),
        (0, 1, 0),
        (4, 1, 1),
        (corner, 0, 1),
        (4, -1, 1),
        (0, -1, 0),
        (4, -1, -1),
    ]
    return out + [_column(body, 1, 0, c, s, g) for c, s, g in inner]


def tints(body: Body) -> np.ndarray:
    """(V, 3) float32 colours that multiply the materials' own."""
    out = body.part.colours().copy()
    p = np.abs(body.rest[:, 0]), body.rest[:, 1], body.rest[:, 2]
    skin = (body.kind >= 0) & (body.kind < 3)

    def toward(colour: tuple[float, float, float], share: np.ndarray) -> None:
        out[:] = out * (1 - share[:, None] * (1 - np.array(colour)))

    front = np.where(skin, smoothstep(p[2], -50, -10), 0.0)
    toward((1.0, 0.90, 0.89), front * bell((p[0] - 40) / 14, (p[1] + 36) / 13))
    toward((1.0, 0.88, 0.87), front * bell(p[0] / 11, (p[1] + 38) / 9))
    toward((0.92, 0.84, 0.84), front * bell((p[0] - 30) / 15, (p[1] - 7) / 6))
    toward((0.96, 0.95, 0.95), front * bell(p[0] / 22, (p[1] + 98) / 14))
    red = (body.kind == 1) & (body.ring < len(layout.LIP_PARTS))
    edge = np.where(red, 1 - 0.55 * smoothstep(body.f, 0.82, 1.0), 0.0)
    toward((0.86, 0.54, 0.56), edge)
    toward((0.55, 0.42, 0.42), np.where(red, bell(body.f / 0.09), 0.0))
    lid = np.where((body.kind == 2) & (body.side >= 0), bell(body.ring / 0.6), 0.0)
    toward((0.22, 0.18, 0.17), lid)
    low = np.where((body.kind == 2) & (body.side < 0), bell(body.ring / 0.5), 0.0)
    toward((0.62, 0.5, 0.48), low)
    toward((1.0, 0.74, 0.72), np.where(body.kind == 4, 1.0, 0.0))
    hole = bell((p[0] - 7.4) / 2.6, (p[1] + 45.0) / 2.4) * np.where(
        skin, smoothstep(p[2], 16, 26) * smoothstep(p[2], 46, 40), 0.0
    )
    toward((0.35, 0.22, 0.2), np.clip(1.2 * hole, 0, 1))
    return np.clip(out, 0.0, 2.0).astype(np.float32)
