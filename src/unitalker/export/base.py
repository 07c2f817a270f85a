"""What the writers share: their options, and small checks that name the way out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from unitalker.annotations.layouts import channel_key, convert, rule_for
from unitalker.errors import ExportError
from unitalker.motion import Motion
from unitalker.rig.rig import Rig

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Length units of vertex motions, in metres; "u", a dataset's own unit, is measured on the rig instead."""

MAX_BYTES = 2 << 30
"""Files above this size are not read back as motions."""


@dataclass(frozen=True)
class Options:
    """Everything that a writer may want beside the motion.

    rig: the head to move (GLB, MP4); None: the built-in one.
    sound: float samples for the MP4's sound track, (N,) or blocks of them; rate: their rate in Hz.
    size, view: picture size in pixels and camera of the MP4.
    progress: called with the number of frames drawn so far.
    """

    rig: Rig | None = None
    sound: np.ndarray | Iterable[np.ndarray] | None = None
    rate: int = 16000
    size: int = 512
    view: str = "front"
    progress: Callable[[int], None] | None = None


def provenance_text(motion: Motion) -> str:
    """The provenance as one line of JSON. Raises ExportError where it holds something JSON cannot."""
    try:
        return json.dumps(motion.provenance, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ExportError(f"The motion's provenance cannot be written as JSON: {error}.") from error


def need_frames(motion: Motion, what: str) -> None:
    """Raises ExportError for a motion without frames."""
    if len(motion) == 0:
        raise ExportError(f"The motion of {motion.annotation} has no frames, so there is no {what} to write.")


def left_out(motion: Motion, places: Sequence[str], where: str) -> tuple[str, ...]:
    """The channels of a weight motion that have no place of their name, after a shipped rule where one is needed.

    Only names are looked at. where: what the places are, for the sentence. Raises ExportError where no channel
    has one.
    """
    known = {channel_key(name) for name in places}
    alone = tuple(name for name in motion.names if channel_key(name) not in known)
    if len(alone) < len(motion.names):
        return alone
    rule = rule_for(motion)
    if rule is None:
        raise ExportError(
            f"No channel of {motion.annotation} ({some(motion.names)}) has a place in {where} "
            f"({some(places)}): they share no name. Write .npz or .json, which hold any channels."
        )
    return left_out(convert(motion.with_values(motion.values[:0]), rule.target), places, where)


def some(names: Sequence[str], limit: int = 3) -> str:
    """The first few names of many."""
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")


def rig_weights(motion: Motion, rig: Rig) -> tuple[np.ndarray, tuple[str, ...]]:
    """(T, K) weights in the rig's shape order, and the motion's channels that the rig lacks.

    A motion whose channels belong to another rig's convention is converted by the shipped rule first.
    Raises ExportError where rig and motion share no shape.
    """
    left_out(motion, rig.shape_names, f"rig {rig.name!r}")
    column = {channel_key(name): i for i, name in enumerate(motion.names)}
    if not any(channel_key(name) in column for name in rig.shape_names):
        rule = rule_for(motion)
        assert rule is not None
        return rig_weights(convert(motion, rule.target), rig)
    weights = np.zeros((len(motion), len(rig.shape_names)), np.float32)
    used: set[int] = set()
    for k, name in enumerate(rig.shape_names):
        where = column.get(channel_key(name))
        if where is not None:
            weights[:, k] = motion.values[:, where]
            used.add(where)
    return weights, tuple(name for i, name in enumerate(motion.names) if i not in used)


def head_rig(options: Options) -> Rig:
    """The rig of the options, or the built-in head."""
    if options.rig is not None:
        return options.rig
    from unitalker.rig import builtin_head

    return builtin_head()


def mesh_rig(motion: Motion, faces: np.ndarray, metres: float) -> Rig:
    """A rig without shapes over a vertex motion's template. faces: (F, 3); metres: in one unit of the motion."""
    vertices = np.asarray(motion.template, np.float32) * np.float32(metres)
    empty = np.zeros((0, len(vertices), 3), np.float32)
    return Rig(motion.annotation, vertices, np.asarray(faces, np.int32), (), empty)


def check_mesh(annotation: str, channels: int, rig: Rig) -> None:
    """Raises ExportError where a vertex annotation of so many channels is of another mesh than the rig's."""
    if channels != 3 * len(rig.vertices):
        raise ExportError(
            f"The motion of {annotation} moves {channels // 3} vertices, but rig {rig.name!r} has "
            f"{len(rig.vertices)}; give the rig of that mesh with --rig, or write .npz or .json. A checkpoint that "
            "was imported gets the triangles of the paper's meshes by unitalker import with --resources FOLDER."
        )


def at_rest(motion: Motion, rig: Rig) -> tuple[np.ndarray, np.float32]:
    """A vertex motion's neutral vertices (V, 3) in metres, and the metres in one of its units.

    For "u" that is what makes its template as tall as the rig. Raises ExportError where the rig is of another
    mesh, or where there is nothing to measure.
    """
    check_mesh(motion.annotation, len(motion.names), rig)
    if motion.template is None:
        if motion.unit not in METRES:
            raise ExportError(f"The motion of {motion.annotation} has no template to measure its unit by.")
        return np.asarray(rig.vertices, np.float32), np.float32(METRES[motion.unit])
    template = np.asarray(motion.template, np.float32)
    scale = METRES.get(motion.unit) or np.ptp(rig.vertices[:, 1]) / np.ptp(template[:, 1])
    return template * np.float32(scale), np.float32(scale)
