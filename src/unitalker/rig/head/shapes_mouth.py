"""Lip, jaw, cheek and tongue shapes: displacements in mm over the head at rest.

Each lip shape says where the middle of the upper lip, the middle of the lower lip and the corner go; the rest of
the lips follows between these, and the skin around spreads as smoothly as a thin plate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitalker.rig.head import layout
from unitalker.rig.head.body import Body, mouth_distance, rotate_x
from unitalker.rig.head.surface import bell, smoothstep

HINGE = np.array([0.0, -20.0, -76.0])
JAW_DEGREES = 18.5
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class LipMove:
    """One movement of the lips in mm (x outwards, y up, z forward).

    upper, lower: the lip's middle at its border; upper_inner, lower_inner: what is added at the contact line;
    corner: the corner; power: how near to the corner its movement stays; reach: mm of skin that follows.
    """

    upper: Vector = (0.0, 0.0, 0.0)
    lower: Vector = (0.0, 0.0, 0.0)
    corner: Vector = (0.0, 0.0, 0.0)
    upper_inner: Vector = (0.0, 0.0, 0.0)
    lower_inner: Vector = (0.0, 0.0, 0.0)
    power: float = 1.8
    reach: float = 26.0


def lip_rings(body: Body) -> np.ndarray:
    """Mask of the red of the lips, contact line and border included."""
    return (body.kind == 1) & (body.ring < len(layout.LIP_PARTS))


def lips(body: Body, move: LipMove) -> np.ndarray:
    """(V, 3) displacement of one symmetric lip movement."""
    red = lip_rings(body)
    k = body.t**move.power
    out = np.zeros_like(body.rest)
    sign = np.sign(body.rest[:, 0])
    for side, middle, inner in ((1, move.upper, move.upper_inner), (-1, move.lower, move.lower_inner)):
        here = red & (body.side == side)
        centre = np.array(middle) + (1 - body.f[:, None]) * np.array(inner)
        out[here] = ((1 - k[:, None]) * centre + k[:, None] * np.array(move.corner))[here]
    out[red & (body.side == 0)] = np.array(move.corner)
    out[:, 0] *= sign
    return around(body, out, move.reach)


def around(body: Body, out: np.ndarray, reach: float, lowest: float = -200.0) -> np.ndarray:
    """Spread what the lips do over the skin within `reach` mm and above `lowest`, and into the mouth."""
    red = lip_rings(body)
    points = body.rest
    far = (mouth_distance(points) > reach) | (points[:, 2] < -35) | (body.kind == 2)
    far |= (points[:, 1] > -45) & (np.abs(points[:, 0]) < 19)
    far |= points[:, 1] < lowest
    out = np.where((red | far)[:, None], out, 0.0)
    out = body.spread(red | (far & ~red), out)
    out[far & ~red] = 0.0
    return body.with_inside(out)


def jaw_weight(body: Body) -> np.ndarray:
    """How much each vertex goes with the lower jaw, 0 … 1: skin and the mouth's inside."""
    points, azimuth, level = body.rest, body.part.tags["azimuth"], body.part.tags["level"]
    skin = (body.kind >= 0) & (body.kind < 3)
    red = lip_rings(body)
    chin = skin & (azimuth < 32) & (points[:, 1] < -84) & (level > -113)
    over = -47.0 + 20.0 * smoothstep(azimuth, 25, 70)
    still = skin & ((points[:, 1] > over) | (azimuth > 100) | (level < -139) | (body.kind == 2))
    oval = 0.5 - 0.5 * body.side * np.sqrt(1 - body.t**2.2)
    weight = np.where(chin, 1.0, np.where(red, oval, 0.0))[:, None]
    return _pouch_weight(body, np.clip(body.spread(red | chin | still, weight), 0, 1))


def _pouch_weight(body: Body, weight: np.ndarray) -> np.ndarray:
    """(V,) jaw weight with the mouth's inside: like the lips in front, floor 1 and roof 0 further in, less behind."""
    edge = body.with_inside(weight, rigid=True)[:, 0]
    floor = np.where(body.side < 0, 1.0, np.where(body.side > 0, 0.0, 0.5))
    floor = 0.5 + (floor - 0.5) * np.sqrt(1 - body.t**2)
    deep = smoothstep(body.ring, 1.5, 4.5)
    fade = 1 - 0.75 * smoothstep(body.ring, 4.5, 7.0)
    return np.where(body.kind == 3, ((1 - deep) * edge + deep * floor) * fade, weight[:, 0])


def jaw_parts(body: Body, weight: np.ndarray) -> np.ndarray:
    """The skin's jaw weight with those of lower teeth and tongue."""
    out = weight.copy()
    arch = np.nonzero(body.tagged("teeth"))[0]
    half = len(arch) // 2
    out[arch[:half]], out[arch[half:]] = 0.0, 1.0
    along = body.part.tags["tongue"]
    out = np.where(along >= 0, 0.55 + 0.45 * smoothstep(along, 0.0, 0.6), out)
    return np.where(
        body.tagged("brow") | body.tagged("hair") | body.tagged("ear") | body.tagged("eye"), 0.0, out
    )


def jaw_turn(body: Body, weight: np.ndarray, degrees: float) -> np.ndarray:
    """Displacement of a jaw opening by an angle about the hinge near the ears."""
    turned = rotate_x(body.rest, HINGE, np.radians(degrees) * weight)
    return turned - body.rest


def close_lips(
    body: Body, opened: np.ndarray, part: float, lift: Vector = (0, 0, 0), reach: float = 40.0
) -> np.ndarray:
    """The movement that shuts the lips over a moved jaw: `opened` + this has both contact lines in one place.

    part: where they meet, 0 at the upper lip … 1 at the lower; lift: what the corners add (x outwards), in mm.
    """
    upper, lower = body.facing_contacts()
    red = lip_rings(body)
    middle = red & (body.ring == 0) & (body.column == 0)
    centre = (1 - part) * opened[middle & (body.side > 0)] + part * opened[middle & (body.side < 0)]
    out = np.zeros_like(body.rest)
    for sign in (1.0, -1.0):
        half = red & (body.rest[:, 0] * sign >= 0)
        corner = opened[half & (body.ring == 0) & (body.side == 0)] + np.array(lift) * np.array([sign, 1, 1])
        t = body.t[half, None]
        goal = centre + t ** np.array([1.0, 2.0, 2.0]) * (corner - centre)
        own = np.where(body.side[half] > 0, upper[half], lower[half])
        out[half] = goal - opened[own]
    return around(body, out, reach, lowest=-100.0)


LIP_MOVES: dict[str, LipMove] = {
    "mouthFunnel": LipMove(
        (0, 4.0, 5.0), (0, -7.0, 5.0), (-5.0, -0.5, 4.5), (0, 0.8, 2.2), (0, -0.8, 2.2), power=2.4, reach=30
    ),
    "mouthPucker": LipMove(
        (0, 0.6, 6.0), (0, -0.2, 6.0), (-8.5, 0.4, 6.0), (0, -0.6, 2.6), (0, 0.2, 2.6), power=1.25, reach=32
    ),
    "mouthRollUpper": LipMove(
        (0, -3.4, -1.6), (0, 0.4, 0), (-0.3, 0, -0.8), (0, 3.0, -2.0), (0, -0.8, -2.6), reach=20
    ),
    "mouthRollLower": LipMove(
        (0, 0, 0), (0, 4.2, -1.6), (-0.3, 0, -0.8), (0, 0.2, -2.6), (0, -4.0, -2.0), reach=20
    ),
    "mouthShrugUpper": LipMove((0, 4.4, 1.4), (0, 0.8, 0.4), (0, 0.4, 0), (0, -0.4, 0.3), (0, 1.0, 1.1)),
    "mouthShrugLower": LipMove((0, 1.2, 0.8), (0, 5.6, 3.2), (0, 0.4, 0.6), (0, 0.5, 1.0), (0, -2.4, -1.4)),
}
SIDED_LIP_MOVES: dict[str, LipMove] = {
    "mouthSmile": LipMove((0, 1.6, -1.2), (0, 1.6, -1.2), (8.8, 10.0, -6.4), power=1.45, reach=34),
    "mouthFrown": LipMove((0, -0.6, 0.1), (0, -0.6, 0.1), (2.0, -7.0, -1.8), power=2.6, reach=30),
    "mouthDimple": LipMove((0, 0, -0.6), (0, 0, -0.6), (4.6, 1.2, -4.6), power=2.4, reach=24),
    "mouthStretch": LipMove((0, -0.6, -0.8), (0, -0.6, -0.8), (7.4, -3.2, -4.8), power=1.7, reach=34),
    "mouthPress": LipMove(
        (0, -2.0, -1.0), (0, 2.2, -1.0), (1.4, 0.2, -1.2), (0, 1.4, -0.6), (0, -0.6, -0.6), reach=20
    ),
    "mouthUpperUp": LipMove(
        (0, 6.2, 0.2), (0, 0, 0), (1.0, 1.8, -0.6), (0, -0.6, -0.4), (0, 0, 0), power=2.2, reach=26
    ),
    "mouthLowerDown": LipMove(
        (0, 0, 0), (0, -6.8, 0.4), (1.0, -1.6, -0.6), (0, 0, 0), (0, 0.2, -0.6), power=2.2
    ),
}


def bump(body: Body, centre: Vector, width: Vector, move: Vector, both: bool = True) -> np.ndarray:
    """A soft push of the outer skin around one point (and its mirror image)."""
    skin = (body.kind >= 0) & (body.kind < 3)
    out = np.zeros_like(body.rest)
    for sign in (1.0, -1.0) if both else (1.0,):
        off = (body.rest - np.array(centre) * np.array([sign, 1, 1])) / np.array(width)
        out += np.where(skin, bell(*off.T), 0.0)[:, None] * np.array(move) * np.array([sign, 1, 1])
    return out


def _cheeks(body: Body) -> dict[str, np.ndarray]:
    """What the cheeks add to the sided lip shapes."""
    return {
        "mouthSmile": bump(body, (37, -40, 12), (12, 11, 16), (2.2, 3.6, 2.6)),
        "mouthDimple": bump(body, (33, -66, 10), (5, 7, 12), (0.0, 0.0, -1.6)),
        "mouthUpperUp": bump(body, (15, -44, 24), (6, 7, 12), (0.6, 1.8, 0.4)),
        "mouthStretch": bump(body, (24, -100, 0), (14, 12, 16), (1.0, -1.0, 0.0)),
    }


def mouth_shapes(body: Body) -> dict[str, np.ndarray]:
    """All jaw, mouth, cheek-puff and tongue shapes by ARKit name, (V, 3) in mm."""
    weight = jaw_parts(body, jaw_weight(body))
    jaw = weight[:, None]
    out = {n: lips(body, m) for n, m in LIP_MOVES.items()}
    out["mouthShrugLower"] += bump(body, (0, -92, 22), (15, 8, 14), (0, 2.2, 0.8), both=False)
    opened = jaw_turn(body, weight, JAW_DEGREES) + jaw * np.array([0.0, -1.5, 0.5])
    opened += lips(body, LipMove((0, 0.4, 0), (0, 0, 0), (-5.0, 0, 1.0), power=1.2, reach=36))
    out["jawOpen"] = opened
    out["mouthClose"] = close_lips(body, opened, 0.2, lift=(0.6, 8.0, 4.5))
    for name, slide in (("jawForward", (0.0, -0.8, 8.0)), ("jawLeft", (7.0, -0.8, 0.0))):
        out[name] = jaw * np.array(slide)
        out[name] += close_lips(body, out[name], 0.4, reach=30.0)
    out["jawRight"] = body.mirror(out["jawLeft"])
    aside = around(body, np.where(lip_rings(body)[:, None], np.array([8.5, 0.0, -0.5]), 0.0), 32.0)
    out["mouthLeft"], out["mouthRight"] = aside, body.mirror(aside)
    puff = bump(body, (44, -62, 0), (15, 15, 22), (8.5, 0, 5.5)) + bump(
        body, (20, -58, 24), (9, 7, 12), (1.2, 0, 3.0)
    )
    puff += bump(body, (0, -86, 25), (16, 6, 14), (0, 0, 2.0), both=False)
    away = smoothstep(mouth_distance(body.rest), -2.0, 12.0)[:, None]
    seal = lips(body, LipMove((0, 0, 3.0), (0, 0, 3.0), (-0.6, 0.8, 4.5), power=1.2, reach=20))
    out["cheekPuff"] = seal + body.with_inside(puff * np.where(lip_rings(body)[:, None], 0.0, away))
    out["tongueOut"] = tongue_out(body)
    cheeks = _cheeks(body)
    for name, move in SIDED_LIP_MOVES.items():
        both = lips(body, move) + cheeks.get(name, 0.0)
        both = np.where(lip_rings(body)[:, None] | (body.kind == 3)[:, None], lips(body, move), both)
        one = both * body.left()
        out[f"{name}Left"], out[f"{name}Right"] = one, body.mirror(one)
    return out


def tongue_out(body: Body) -> np.ndarray:
    """The tongue slides out over the lower lip and hangs a little; the lips part for it."""
    along = body.part.tags["tongue"]
    on = along >= 0
    k = smoothstep(along, 0.12, 1.0)
    bend = smoothstep(along, 0.55, 1.0)
    out = lips(body, LipMove((0, 2.2, 0.6), (0, -6.0, 1.2), (-2.0, -1.2, 0.5), power=2.2, reach=30))
    target = np.stack([-0.22 * body.rest[:, 0] * k, 4.6 * k - 13.0 * bend**2, 41.0 * k], -1)
    flat = np.stack([0 * k, -0.1 * k * (body.rest[:, 1] + 74.0), 0 * k], -1)
    out[on] = (target + flat)[on]
    return out
