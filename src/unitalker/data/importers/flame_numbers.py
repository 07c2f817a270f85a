"""FLAME's expression and jaw out of a body model's numbers: what BEAT2 and TalkSHOW share.

SMPL-X of 2020 has FLAME's head: its first 100 expression numbers and its jaw (axis-angle, radians) are FLAME's. Its betas
are a whole body's and no FLAME shape; they, and how the body carries the head, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from unitalker.annotations.flame import EXPRESSION, FLAME_NAMES, JAW, SHAPE
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.data.importers.rows import Frames
from unitalker.errors import DataError

CARD = FlameAnnotation(
    "FLAME_2020_parameters",
    30.0,
    "flame",
    FLAME_NAMES,
    active=tuple(range(SHAPE, SHAPE + EXPRESSION)) + tuple(range(JAW.start, JAW.stop)),
)
LEFT_OUT = (
    "Of the body's numbers the 100 of the expression and the jaw are kept; its shape and pose are none of FLAME's and rest. "
    "A head on them is measured on vertices where training is given a FLAME 2020 model (`flame`), else on the numbers."
)
JAW_LIMIT = np.pi
"""A jaw turned by more than half a circle is no axis-angle in radians."""


def face_frames(
    count: int,
    blocks: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]],
    notes: tuple[str, ...] = (),
) -> Frames:
    """The 413 numbers of blocks of expressions (n, up to 100) and jaws (n, 3). The blocks raise DataError for a jaw that
    is told in degrees."""
    rest = CARD.resting_values()

    def numbers() -> Iterator[np.ndarray]:
        for expression, jaw in blocks():
            if np.abs(jaw).max() > JAW_LIMIT:
                raise DataError(
                    f"its jaw is turned by up to {np.abs(jaw).max():.3g}; axis-angles are radians, at most {JAW_LIMIT:.3g}."
                )
            frames = np.tile(rest, (len(jaw), 1))
            frames[:, SHAPE : SHAPE + expression.shape[1]] = expression
            frames[:, JAW] = jaw
            yield frames

    return Frames(count, numbers, notes)
