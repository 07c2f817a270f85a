"""A motion as a film with sound: posed meshes, one at a time, for the renderer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from unitalker.errors import ExportError
from unitalker.export.base import Options, head_rig, metres_of, need_frames, rig_weights
from unitalker.motion import Motion
from unitalker.rig.rig import Rig


def write(motion: Motion, path: Path, options: Options) -> None:
    """Renders the motion on the rig: weights through its shapes, vertex displacements over their template.

    Raises ExportError for a motion without frames, or a vertex motion of another mesh than the rig's.
    """
    from unitalker.export.mp4 import write_mp4

    need_frames(motion, "film")
    rig = head_rig(options)
    if motion.unit == "weight":
        weights, _ = rig_weights(motion, rig)
        frames = (rig.pose(row) for row in weights)
    else:
        rig, frames = _mesh(motion, rig)
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


def _counted(frames: Iterable[np.ndarray], progress: Callable[[int], None] | None) -> Iterator[np.ndarray]:
    """The same frames; `progress` hears how many have been drawn."""
    for count, frame in enumerate(frames):
        if progress:
            progress(count)
        yield frame


def _mesh(motion: Motion, rig: Rig) -> tuple[Rig, Iterator[np.ndarray]]:
    """The rig at the motion's template, and its (V, 3) vertices in metres, frame by frame."""
    count = len(motion.names) // 3
    if count != len(rig.vertices):
        raise ExportError(
            f"The motion of {motion.annotation} moves {count} vertices, but rig {rig.name!r} has "
            f"{len(rig.vertices)}; give the rig of that mesh with --rig, or write .npz or .json."
        )
    scale = np.float32(metres_of(motion, rig))
    rest = rig.vertices if motion.template is None else np.asarray(motion.template, np.float32) * scale
    moved = (rest + row.reshape(-1, 3) * scale for row in motion.values)
    return replace(rig, vertices=np.asarray(rest, np.float32)), moved
