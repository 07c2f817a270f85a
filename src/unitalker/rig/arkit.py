"""The 52 ARKit shape names, and the spellings of them that rig files use."""

from __future__ import annotations

import re

_TEXT = """
    browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
    cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft
    eyeLookInRight eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft
    eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft jawOpen jawRight mouthClose
    mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft
    mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
    mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight
    mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight
    tongueOut
"""
ARKIT_NAMES: tuple[str, ...] = tuple(_TEXT.split())
_SIDES = {"l": "left", "r": "right", "left": "left", "right": "right"}
_LOWER = {name.lower(): name for name in ARKIT_NAMES}


def canonical(name: str) -> str | None:
    """The ARKit name meant by `name`, or None.

    Upper and lower case, prefixes ending in "." or ":" and the side endings _L, _R, .L, -Left, "L" … are understood;
    the two halves of a shape that ARKit has only whole (browInnerUp_L) give the whole one's name.
    """
    bare = re.split(r"[:.](?=[A-Za-z]{3})", name.strip())[-1]
    camel = re.sub(r"(?<=[a-z])([LR])$", r"_\1", bare)
    low = re.sub(r"[ .\-]", "_", camel).lower()
    stem, _, side = low.rpartition("_")
    if stem and side in _SIDES:
        stem = stem.replace("_", "")
        return _LOWER.get(stem + _SIDES[side]) or _LOWER.get(stem)
    return _LOWER.get(low.replace("_", ""))
