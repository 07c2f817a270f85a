"""Between which vertices a captured mouth opens."""

from __future__ import annotations

import numpy as np

from unitalker.data.dataset import Dataset
from unitalker.errors import DataError
from unitalker.evaluation.faces import Face, truth
from unitalker.evaluation.metrics.mouth import Pair, inner_lips

LOOKED_AT = 8
"""Clips, of all splits, whose motion tells where the mouth opens."""
LOOKED_FRAMES = 64


def captured_pair(dataset: Dataset, face: Face, lips: np.ndarray) -> tuple[Pair | None, list[str]]:
    """Inner lips by the captured motion of some clips; none, and why, where nothing parts them.

    lips: (L,) the face's lip vertices.
    """
    moved: list[np.ndarray] = []
    clips = dataset.clips[:: max(1, len(dataset.clips) // LOOKED_AT)][:LOOKED_AT]
    neutral = face.neutral(clips[0].subject)
    if neutral is None:
        return None, ["no neutral face is known: measures of the mouth's opening are left out."]
    for clip in clips:
        try:
            frames, read = truth(dataset, clip, face)
        except DataError:
            continue
        some = range(0, frames, max(1, frames // LOOKED_FRAMES))
        moved += [face.moved(read(slice(i, i + 1)))[:, lips] for i in some]
    try:
        return (inner_lips(neutral, lips, np.concatenate(moved)) if moved else None), []
    except DataError as fault:
        return None, [f"measures of the mouth's opening are left out. {fault}"]
