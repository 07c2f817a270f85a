"""The gap between the lips of a rig, as a linear function of its weights."""

from __future__ import annotations

import numpy as np

from unitalker.errors import RigError
from unitalker.rig.rig import Rig

MIDDLE = 0.12
"""Half-width of "near the middle" of the lips, as a share of their width."""
GAUGE_VERTICES = 3


def inner_lips(rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the three lowest upper-lip and three highest lower-lip vertices near the mouth's middle.

    The lower lip is what jawOpen moves down by more than half of its largest drop there; the rest is the
    upper. Raises RigError for a rig without a "lips" region, or whose jawOpen does not part them.
    """
    if "lips" not in rig.regions:
        raise RigError(f"The rig {rig.name!r} has no region 'lips'; lip measures need one.")
    lips = np.asarray(rig.regions["lips"])
    x = rig.vertices[lips, 0]
    middle = lips[np.abs(x - (x.min() + x.max()) / 2) <= MIDDLE * (x.max() - x.min())]
    drop = -rig.shape("jawOpen")[middle, 1]
    falls = drop > 0.5 * drop.max() if len(middle) else np.zeros(0, bool)
    upper, lower = middle[~falls], middle[falls]
    if min(len(upper), len(lower)) < GAUGE_VERTICES or drop.max() <= 0:
        raise RigError(
            f"The jawOpen of rig {rig.name!r} does not part its lips: {len(upper)} vertices of the upper and "
            f"{len(lower)} of the lower lip near the middle; {GAUGE_VERTICES} of each are needed."
        )
    height = rig.vertices[:, 1]
    return (
        upper[np.argsort(height[upper], kind="stable")[:GAUGE_VERTICES]],
        lower[np.argsort(-height[lower], kind="stable")[:GAUGE_VERTICES]],
    )


def lip_gap(rig: Rig) -> np.ndarray:
    """(K,) centimetres that each shape at weight 1 opens between the lips: mean height of the three upper inner
    vertices minus that of the three lower ones."""
    upper, lower = inner_lips(rig)
    height = rig.shapes[:, :, 1]
    return 100.0 * (height[:, upper].mean(1) - height[:, lower].mean(1))
