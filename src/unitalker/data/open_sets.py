"""The clips of the open benchmark's sets, from imported GRID and FACEGOOD, and what moves the two meshes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from unitalker.annotations import builtin
from unitalker.annotations.layouts import layout
from unitalker.annotations.vertices import HEAD_WEIGHT, VertexAnnotation, vertex_names
from unitalker.audio import write_sound
from unitalker.config import SAMPLE_RATE
from unitalker.data.dataset import Clip, Dataset
from unitalker.data.open_deal import STILL, grid_home, recording_home, stretches, word_edges
from unitalker.data.views_resample import ROLL_OFF, read_at
from unitalker.errors import DataError
from unitalker.files import atomic
from unitalker.motion import by_name, frame_count
from unitalker.rig import Rig, builtin_head, load_rig

MESH_FPS = 25.0
"""Frames a second of both meshes."""
BUILT_IN = "face"
"""Topology of the second mesh where no rig is given: the front skin of the built-in head."""
COMPONENTS = 64
"""Numbers a frame of a mesh, at most: more than the channels that drive it."""


@dataclass(frozen=True)
class Piece:
    """A clip to be written. samples: (N,) float32 at 16 kHz; values: (T, D) float32; words: (start s, end s, word)."""

    id: str
    subject: str
    split: str
    samples: np.ndarray
    values: np.ndarray
    text: str = ""
    words: tuple[tuple[float, float, str], ...] = ()

    def write(self, folder: Path) -> Clip:
        """Write sound and motion into the dataset `folder`; the manifest's row."""
        clip = Clip(self.id, self.subject, f"audio/{self.id}.flac", f"motion/{self.id}.npy", self.split, 0.0)
        write_sound(folder / clip.audio, self.samples)
        with atomic(folder / clip.motion, DataError) as draft:
            np.save(draft, np.ascontiguousarray(self.values, np.float32))
        seconds = round(len(self.samples) / SAMPLE_RATE, 6)
        return replace(clip, seconds=seconds, text=self.text, words=self.words)


@dataclass(frozen=True)
class Topology:
    """A mesh and what moves it. move: weights (T, 52) in arkit52's order → displacements (T, 3V) in its unit."""

    annotation: VertexAnnotation
    move: Callable[[np.ndarray], np.ndarray]
    licence: str


def head_topology() -> Topology:
    """The whole built-in head, in units of 0.2 m."""
    return _built_in("head")


def mesh_topology(rig: Path | None) -> Topology:
    """The topology of a rig file in metres, or without one the built-in front skin. Raises RigError as `load_rig`,
    DataError for a rig whose name an annotation of ours has."""
    if rig is None:
        return _built_in(BUILT_IN)
    head = load_rig(rig)
    if head.name in builtin.NAMES:
        raise DataError(f"The rig file {rig.name} is named like a built-in annotation; give it another name.")
    flat = head.shapes.reshape(len(head.shape_names), -1)
    names = layout("arkit52").names
    return Topology(_card(head), lambda weights: head.weights(weights, names) @ flat, head.licence)


def _built_in(name: str) -> Topology:
    head, names = builtin_head(), layout("arkit52").names
    face = replace(builtin.mesh_topology(name, head), fps=MESH_FPS)
    return Topology(face, lambda w: builtin.displacements(name, head, w, names), head.licence)


def _card(rig: Rig) -> VertexAnnotation:
    regions = {k: np.sort(np.asarray(v)) for k, v in rig.regions.items() if k in builtin.MESH_REGIONS}
    return VertexAnnotation(
        rig.name,
        MESH_FPS,
        "m",
        vertex_names(len(rig.vertices)),
        regions=regions,
        templates={"neutral": rig.vertices},
        head_weight=HEAD_WEIGHT,
        faces=rig.faces,
    )


def grid_clips(grid: Dataset, home: str) -> Iterator[Piece]:
    """The clips of one set, of imported GRID: all its weights, or for meshes those that can be trusted."""
    for clip in grid.clips:
        place, split = grid_home(clip.id)
        if place == home:
            values = np.array(grid.motion(clip), np.float32)
            yield Piece(clip.id, "s1", split, grid.sound(clip)[0], values, clip.text, clip.words)


def trusted(source: Dataset, values: np.ndarray) -> np.ndarray:
    """(T, D) weights of a dataset in arkit52's order, those that are not `known` 0."""
    known = np.isin(source.names, source.known or source.names)
    return by_name(values * known, source.names, layout("arkit52").names)


def recorded_clips(raw: Dataset, shown: Dataset, home: str, fps: float) -> Iterator[Piece]:
    """The clips of one set, of imported FACEGOOD, cut anew at its pauses.

    raw: the rig's own channels, which tell the pauses. shown: where the numbers come from, raw or its ARKit image.
    fps: frames a second of the result; another rate than the recording's is read by the filter of `data view --fps`.
    """
    for recording, parts in groupby(raw.clips, key=lambda clip: clip.id.rpartition("_")[0]):
        if recording_home(recording) == home:
            clips = list(parts)
            pauses = np.abs(_joined(raw, clips)).max(1) < STILL
            whole = _joined(shown, clips)
            samples = np.concatenate([raw.sound(clip)[0] for clip in clips])
            for number, part in enumerate(stretches(word_edges(pauses), raw.fps)):
                last = len(samples) if part.last == len(whole) else _sample(part.last, raw.fps)
                yield Piece(
                    f"{recording}_{number:02d}",
                    clips[0].subject,
                    part.split,
                    samples[_sample(part.first, raw.fps) : last],
                    _read(whole, part.first, part.last, raw.fps, fps),
                )


def _joined(dataset: Dataset, clips: list[Clip]) -> np.ndarray:
    """(T, D) motion of clips put end to end, from the files that have their names in `dataset`."""
    own = {clip.id: clip for clip in dataset.clips}
    return np.concatenate([np.asarray(dataset.motion(own[clip.id]), np.float32) for clip in clips])


def _sample(frame: int, fps: float) -> int:
    return round(frame / fps * SAMPLE_RATE)


def _read(whole: np.ndarray, first: int, last: int, fps: float, new: float) -> np.ndarray:
    """Frames first … last at another rate, weights within [0, 1] as before."""
    if new == fps:
        return whole[first:last]
    where = first + np.arange(frame_count((last - first) / fps, new)) * (fps / new)
    return np.clip(read_at(whole, where, min(1.0, ROLL_OFF * new / fps)), 0.0, 1.0)
