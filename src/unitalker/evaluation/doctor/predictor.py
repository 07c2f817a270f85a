"""What a sound alone lets expect of the mouth: a model's ARKit weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from unitalker.errors import ModelError
from unitalker.motion import Motion

HEAD = "arkit52"


class Animator(Protocol):
    """What is needed of an animator."""

    @property
    def annotations(self) -> Mapping[str, Any]:
        """Annotation of each head by name."""
        ...

    def animate(self, source: Any, /, *, annotations: Sequence[str]) -> Mapping[str, Motion]:
        """Motions of (samples, rate), by annotation."""
        ...


class Heard:
    """A model as the doctor's predictor. Raises ModelError for one without ARKit weights."""

    def __init__(self, animator: Animator) -> None:
        if HEAD not in animator.annotations:
            known = ", ".join(animator.annotations)
            raise ModelError(
                f"The doctor compares with {HEAD} weights, which this model lacks; it has {known}."
            )
        self.animator = animator

    def __call__(self, samples: np.ndarray, rate: int) -> Motion:
        """ARKit weights that go with the sound, nobody's in particular."""
        return self.animator.animate((samples, rate), annotations=[HEAD])[HEAD]
