"""What the page and the counting of its answers must agree on: the questions, and which side shows which system."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

QUESTIONS = {
    "realistic": "Which side looks more realistic?",
    "lip sync": "On which side do the lips fit the sound better?",
    "emotion": "Which side shows the emotion of the voice better?",
}
"""Name → what people are asked: the three questions of the paper's user study (section 4.3)."""
SIDES = ("left", "right")


def order(seed: int, clips: Sequence[str]) -> list[str]:
    """The clips in the order in which they are shown: by the SHA-256 of seed and name."""
    return sorted(clips, key=lambda clip: _draw(seed, "order", clip))


def side_of_a(seed: int, clips: Sequence[str]) -> dict[str, str]:
    """Clip → the side that shows system A: a draw of its own for every clip, each side for half of them.

    A pure function of the seed and the set of names. With an odd number, the draw decides which side has one more.
    """
    drawn = sorted(clips, key=lambda clip: _draw(seed, "side", clip))
    first = int(_draw(seed, "first", ""), 16) % 2
    return {clip: SIDES[(place + first) % 2] for place, clip in enumerate(drawn)}


def _draw(seed: int, what: str, clip: str) -> str:
    return hashlib.sha256(f"{seed}/{what}/{clip}".encode()).hexdigest()
