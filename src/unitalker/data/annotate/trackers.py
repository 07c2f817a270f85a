"""What a tracker is: pictures of a video in, the numbers of each face in them out.

A tracker of ARKit weights comes with the package (`tracker_mediapipe`). Trackers that give FLAME parameters are the
user's own: an installed package has a function that makes a `FlameTracker`, named as `module:function`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, runtime_checkable

import numpy as np

from unitalker.annotations.builtin import FLAME
from unitalker.annotations.flame import DIM, FLAME_NAMES
from unitalker.errors import DataError

POSE_NAMES = ("headYaw", "headPitch", "headRoll", "headX", "headY", "headZ")
"""Head pose. Radians: yaw to the character's left, pitch down, roll to its left. Metres before the camera: x to the
right of the picture, y up, z towards the camera."""


@dataclass(frozen=True)
class Seen:
    """One face in one picture.

    values: (D,) numbers in the tracker's channels. box: (left, top, right, bottom) in shares of the picture, None where
    the tracker does not say. pose: (6,) as POSE_NAMES, or None. score: 0 to 1, how sure the tracker is, or None.
    """

    values: np.ndarray
    box: tuple[float, float, float, float] | None = None
    pose: np.ndarray | None = None
    score: float | None = None


class Tracker(Protocol):
    """Pictures of one video, in order, to faces."""

    @property
    def annotation(self) -> str:
        """Whose convention the numbers follow."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Its channels, in the order of its numbers."""
        ...

    @property
    def unit(self) -> str:
        """What one number is."""
        ...

    @property
    def known(self) -> tuple[str, ...] | None:
        """Channels whose numbers can be trusted; None: all."""
        ...

    @property
    def about(self) -> str:
        """A line for the manifest's notes."""
        ...

    def look(self, image: np.ndarray, seconds: float) -> Sequence[Seen]:
        """The faces in a picture (H, W, 3) uint8 RGB at `seconds`, which increase until the next reset."""
        ...

    def reset(self) -> None:
        """What comes next has nothing to do with what came before: a cut, or another video."""
        ...

    def close(self) -> None:
        """The end."""
        ...


@runtime_checkable
class FlameTracker(Protocol):
    """What a user's own FLAME tracker offers.

    The 413 numbers are 300 shape, 100 expression, jaw (3, axis-angle), the first two columns of the head's rotation
    matrix (6), translation (3, metres), scale; see docs/annotate.md.
    """

    def track(self, image: np.ndarray, seconds: float) -> np.ndarray | None:
        """(413,) numbers of the face in a picture (H, W, 3) uint8 RGB, None where there is no face."""
        ...

    def reset(self) -> None:
        """What comes next has nothing to do with what came before."""
        ...


class FlameDoor:
    """A user's FLAME tracker as a `Tracker`. Raises DataError for numbers that are not 413 finite ones."""

    annotation, names, unit, known = FLAME, FLAME_NAMES, "flame", None

    def __init__(self, tracker: FlameTracker, name: str) -> None:
        self.tracker, self.name = tracker, name
        self.about = f"FLAME parameters by the tracker {name}."

    def look(self, image: np.ndarray, seconds: float) -> Sequence[Seen]:
        """See Tracker.look."""
        found = self.tracker.track(image, seconds)
        if found is None:
            return ()
        values = np.asarray(found, np.float32)
        if values.shape != (DIM,) or not np.isfinite(values).all():
            raise DataError(
                f"The tracker {self.name} gave an array of shape {values.shape} at {seconds:.3f} s; it should give "
                f"{DIM} finite numbers, or None where there is no face."
            )
        return (Seen(values),)

    def reset(self) -> None:
        """See Tracker.reset."""
        self.tracker.reset()

    def close(self) -> None:
        """See Tracker.close; a FLAME tracker that has a `close` of its own is closed."""
        getattr(self.tracker, "close", lambda: None)()


def flame_tracker(name: str) -> FlameDoor:
    """The tracker that the function `module:function` of an installed package makes.

    Importing a package runs its code: name only what you trust. Raises DataError for a name of another form, one that
    is not there, and for a function that makes something else.
    """
    module, _, function = name.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        raise DataError(
            f"--flame takes module:function of an installed package, such as my_tracker.flame:make, not {name!r}."
        )
    try:
        make: Callable[[], object] = getattr(import_module(module), function)
    except (ImportError, AttributeError) as fault:
        raise DataError(f"--flame {name}: {fault}; is the package installed beside this one?") from None
    made = make()
    if not isinstance(made, FlameTracker):
        raise DataError(
            f"--flame {name} made a {type(made).__name__}, which lacks track(image, seconds) or reset()."
        )
    return FlameDoor(made, name)
