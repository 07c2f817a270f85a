"""A motion as a film with sound: posed meshes, one at a time, for the renderer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from unitalker.export.base import Options, at_rest, head_rig, need_frames, rig_weights
from unitalker.motion import Motion
from unitalker.rig.rig import Rig


def write(motion: Motion, path: Path, options: Options) -> None:
    """Renders the motion on the rig: weights through its shapes, vertex displacements over their template.

    Raises ExportError for a motion without frames, or a vertex motion of another mesh than the rig's.
    """
    from unitalker.export.mp4 import write_mp4

    rig, frames = posed(motion, options)
    write_mp4(
        path,
        _counted(frames, options.progress),
        rig,
        motion.fps,
        options.sound,
        rate=options.rate,
        size=options.size,
        view=options.view,
    )


def posed(motion: Motion, options: Options) -> tuple[Rig, Iterator[np.ndarray]]:
    """The rig that a motion moves, at its neutral face, and the rig's vertices (V, 3) in metres, frame by frame.

    Raises ExportError as `write` does.
    """
    need_frames(motion, "film")
    rig = head_rig(options)
    if motion.unit == "weight":
        return rig, _posed(rig, rig_weights(motion, rig)[0])
    return _mesh(motion, rig)


def _posed(rig: Rig, weights: np.ndarray, run: int = 32) -> Iterator[np.ndarray]:
    """(V, 3) vertices of each row of weights; rows are posed in runs, many times faster than one by one."""
    for start in range(0, len(weights), run):
        yield from rig.pose(weights[start : start + run])


def _counted(frames: Iterable[np.ndarray], progress: Callable[[int], None] | None) -> Iterator[np.ndarray]:
    """The same frames; `progress` hears how many have been drawn."""
    for count, frame in enumerate(frames):
        if progress:
            progress(count)
        yield frame


def _mesh(motion: Motion, rig: Rig) -> tuple[Rig, Iterator[np.ndarray]]:
    """The rig at the motion's template, and its (V, 3) vertices in metres, frame by frame."""
    rest, scale = at_rest(motion, rig)
    moved = (rest + row.reshape(-1, 3) * scale for row in motion.values)
    return replace(rig, vertices=rest), moved
