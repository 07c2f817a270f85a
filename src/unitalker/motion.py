"""Motion: frames of one annotation, with names, unit, frame rate and provenance. Never a bare array."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unitalker.errors import AnnotationError, unknown


def frame_count(seconds: float, fps: float) -> int:
    """Frames of a clip: round(seconds · fps), halves to even as Python rounds."""
    return round(seconds * fps)


def by_name(values: np.ndarray, have: Sequence[str], want: Sequence[str]) -> np.ndarray:
    """Columns (T, len(have)) → (T, len(want)) float32 by channel name; wanted names that are absent are 0."""
    column = {n: i for i, n in enumerate(have)}
    out = np.zeros((len(values), len(want)), np.float32)
    for j, name in enumerate(want):
        if name in column:
            out[:, j] = values[:, column[name]]
    return out


@dataclass(frozen=True)
class Motion:
    """Animation curves of one annotation.

    values: (T, D) float32, one row a frame; frame t is the face at t / fps seconds.
    names: D channel names; for vertices `v<i>.x`, `v<i>.y`, `v<i>.z`.
    fps: frames a second, > 0.
    annotation: name of the annotation whose convention the numbers follow.
    unit: what one number is ("weight", "m", "mm", "flame"); vertices are displacements over `template`.
    identity: the identity that the motion was made with or captured from.
    provenance: JSON-able facts: model hash, audio hash, command, licences.
    template: (V, 3) neutral vertices of a vertex annotation, in `unit`, else None.
    """

    values: np.ndarray
    names: tuple[str, ...]
    fps: float
    annotation: str
    unit: str
    identity: str = "unknown"
    provenance: dict[str, Any] = field(default_factory=dict)
    template: np.ndarray | None = None

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, dtype=np.float32)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "names", tuple(str(n) for n in self.names))
        object.__setattr__(self, "fps", float(self.fps))
        if values.ndim != 2:
            raise AnnotationError(f"A motion is (frames, channels), not an array of shape {values.shape}.")
        if len(self.names) != values.shape[1]:
            raise AnnotationError(
                f"The motion has {values.shape[1]} channels but {len(self.names)} channel names; "
                "each column needs its name."
            )
        if len(set(self.names)) != len(self.names):
            twice = sorted({n for n in self.names if self.names.count(n) > 1})[:3]
            raise AnnotationError(f"Channel names must differ, but {', '.join(twice)} stands twice.")
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise AnnotationError(f"A motion's fps must be above 0, not {self.fps}.")
        if not all(np.isfinite(values[i : i + 65536]).all() for i in range(0, len(values), 65536)):
            raise AnnotationError(f"The motion of {self.annotation} holds NaN or infinite numbers.")

    def __repr__(self) -> str:
        return (
            f"Motion({self.annotation}, {len(self)} frames at {self.fps:g} fps, {len(self.names)} channels, "
            f"identity {self.identity})"
        )

    def __len__(self) -> int:
        return self.values.shape[0]

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self) / self.fps

    def channel(self, name: str) -> np.ndarray:
        """One channel's curve, (T,). Raises AnnotationError for an unknown name."""
        try:
            return self.values[:, self.names.index(name)]
        except ValueError:
            raise AnnotationError(unknown("channel", name, self.names)) from None

    def select(self, names: Sequence[str], *, fill: float | None = None) -> np.ndarray:
        """(T, len(names)) in the order asked for, by name. A missing name is an error unless `fill` is given."""
        column = {n: i for i, n in enumerate(self.names)}
        missing = [n for n in names if n not in column]
        if missing and fill is None:
            raise AnnotationError(
                f"The motion of {self.annotation} has no channel {missing[0]!r}"
                f"{f' (and {len(missing) - 1} more)' if len(missing) > 1 else ''}; it has {len(self.names)}: "
                f"{', '.join(self.names[:6])}, …"
            )
        out = np.full((len(self), len(names)), 0.0 if fill is None else fill, np.float32)
        for j, n in enumerate(names):
            if n in column:
                out[:, j] = self.values[:, column[n]]
        return out

    def with_values(self, values: np.ndarray, **changes: Any) -> Motion:
        """The same motion with other numbers (and any other field given)."""
        return replace(self, values=values, **changes)

    def digest(self) -> str:
        """SHA-256 of names, fps and values: equal motion, equal digest."""
        head = json.dumps([self.names, self.fps, self.annotation, self.unit]).encode()
        return hashlib.sha256(head + self.values.tobytes()).hexdigest()


def resample(motion: Motion, fps: float, frames: int | None = None) -> Motion:
    """Motion at another frame rate, by linear interpolation at the clock times t / fps (ends held).

    frames: number of frames wanted; default round(seconds · fps).
    """
    if fps == motion.fps and frames in (None, len(motion)):
        return motion
    if not fps > 0:
        raise AnnotationError(f"fps must be above 0, not {fps}.")
    count = frame_count(motion.seconds, fps) if frames is None else frames
    if len(motion) == 0:
        return motion.with_values(np.zeros((0, len(motion.names)), np.float32), fps=fps)
    where = np.clip(np.arange(count) * (motion.fps / fps), 0, len(motion) - 1)
    low = np.floor(where).astype(int)
    high = np.minimum(low + 1, len(motion) - 1)
    part = (where - low)[:, None].astype(np.float32)
    values = motion.values[low] * (1 - part) + motion.values[high] * part
    return motion.with_values(values, fps=fps)
