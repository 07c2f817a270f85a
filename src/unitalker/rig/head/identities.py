"""Face forms: smooth displacements that make another person of the same head."""

from __future__ import annotations

import numpy as np

from unitalker.rig.head import outlines as line
from unitalker.rig.head.body import Body
from unitalker.rig.head.surface import bell, smoothstep


def _push(points: np.ndarray, centre: tuple, width: tuple, move: tuple) -> np.ndarray:
    """A soft push around a point and its mirror image; x of `move` points outwards."""
    x = np.abs(points[:, 0])
    away = bell(
        (x - centre[0]) / width[0],
        (points[:, 1] - centre[1]) / width[1],
        (points[:, 2] - centre[2]) / width[2],
    )
    side = np.tanh(points[:, 0] / 6.0)
    return away[:, None] * np.stack([side * move[0], 0 * side + move[1], 0 * side + move[2]], -1)


def _wide(points: np.ndarray, amount: float, low: float, high: float) -> np.ndarray:
    """Sideways scaling of the head between two heights, fading over 25 mm."""
    y = points[:, 1]
    share = smoothstep(y, low - 25, low) * smoothstep(y, high + 25, high)
    return np.stack([points[:, 0] * amount * share, 0 * y, 0 * y], -1)


def _lip_fullness(body: Body) -> np.ndarray:
    red = (body.kind == 1) & (body.ring < 7)
    grow = np.where(
        red, bell((body.f - 0.75) / 0.45) * (1 - body.t**2.5) * np.where(body.ring > 5, 0.45, 1.0), 0.0
    )
    out = np.zeros_like(body.rest)
    out[:, 1] = grow * body.side * 1.6 * body.f
    out[:, 2] = grow * 1.5 * smoothstep(body.f, 0.0, 0.3)
    return out


def identity_shapes(body: Body) -> dict[str, np.ndarray]:
    """Twelve forms by name, (V, 3) in mm at weight 1; weights from -1.5 to 1.5 stay plausible.

    Eyeballs move as a whole, so that lids keep lying on them.
    """
    p = body.rest
    out = {
        "faceWide": _wide(p, 0.055, -150, 130),
        "faceLong": np.stack(
            [0 * p[:, 0], (p[:, 1] + 30) * 0.05 * smoothstep(p[:, 1], -20, -45), 0 * p[:, 0]], -1
        ),
        "jawWide": _push(p, (46, -84, -20), (18, 20, 34), (5.5, 0, -0.5)),
        "chinForward": _push(p, (0, -98, 22), (22, 16, 22), (0, -1.0, 5.0)),
        "cheeksFull": _push(p, (46, -48, 6), (17, 20, 26), (4.0, 0, 2.6)),
        "cheekbonesHigh": _push(p, (50, -18, 4), (13, 10, 22), (2.8, 1.2, 1.8)),
        "noseWide": _push(p, (13, -41, 28), (7, 9, 14), (2.6, 0, -0.3)),
        "noseLong": _push(p, (0, -40, 44), (10, 9, 14), (0, -2.6, 2.8)),
        "noseBridgeHigh": _push(p, (0, -10, 28), (7, 15, 14), (0, 0, 2.6)),
        "lipsFull": _lip_fullness(body),
        "mouthWide": _push(p, (22, line.MOUTH_Y, 20), (10, 8, 16), (3.0, 0, -0.6)),
        "browHeavy": _push(p, (24, 19, 18), (22, 6.5, 16), (0, -1.0, 2.2)),
    }
    out = {name: _with_eyes(body, move) for name, move in out.items()}
    out["age"] = _with_eyes(body, _age(p))
    return out


def _age(p: np.ndarray) -> np.ndarray:
    """Older: lower cheeks and corners, deeper folds and eye bags."""
    out = _push(p, (40, -80, 4), (14, 14, 22), (1.2, -3.0, 0.8)) + _push(
        p, (27, -58, 22), (4, 10, 12), (0, 0, -1.6)
    )
    out += _push(p, (31, -15, 12), (11, 5, 14), (0, -0.8, 1.2)) + _push(
        p, (44, -28, 8), (12, 10, 20), (0, -1.2, -1.6)
    )
    return out + _push(p, (26, -72, 20), (6, 6, 12), (0, -1.6, 0))


def _with_eyes(body: Body, move: np.ndarray) -> np.ndarray:
    """Eyeballs, inner lids and eye rings near them move together by the mean of the lids' movement."""
    out = move.copy()
    rings = np.isin(body.kind, (2, 4))
    for sign in (1.0, -1.0):
        here = body.rest[:, 0] * sign > 0
        edge = here & (body.kind == 2) & (body.ring == 0)
        mean = move[edge].mean(axis=0)
        follow = np.where(body.kind == 4, 1.0, 1 - smoothstep(body.ring, 3.0, 7.0))
        at = here & rings
        out[at] = (follow[:, None] * mean + (1 - follow[:, None]) * move)[at]
        out[here & body.tagged("eye")] = mean
    return body.ride(out, ("brow", "ear"))
