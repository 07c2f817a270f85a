"""Vertex datasets made by driving a rig with the captured weights of another dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from unitalker.annotations.builtin import FLAME, displacements
from unitalker.annotations.flame_rig import flame_codes
from unitalker.annotations.layouts import convert
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.data.dataset import Clip, Dataset, link, write_manifest
from unitalker.motion import Motion
from unitalker.rig.rig import Rig


def drive(
    source: Dataset,
    annotation: VertexAnnotation | FlameAnnotation,
    rig: Rig,
    out: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Write a dataset whose motion is `annotation`'s codes of the rig driven by `source`'s weights.

    Audio is not copied: the manifest's clips are hard links (or copies where links cannot be made). The motion is
    stored as codes, exact for every motion within the annotation's basis.
    """
    (out / "audio").mkdir(parents=True, exist_ok=True)
    (out / "motion").mkdir(exist_ok=True)
    clips = []
    for number, clip in enumerate(source.clips):
        codes = _codes(source, clip, annotation, rig)
        audio, motion = f"audio/{clip.id}{Path(clip.audio).suffix}", f"motion/{clip.id}.npy"
        link(source.path(clip.audio), out / audio)
        np.save(out / motion, codes.astype(np.float32))
        clips.append(replace(clip, audio=audio, motion=motion))
        if progress:
            progress(number + 1, len(source.clips))
    dataset = replace(
        source,
        folder=out,
        name=f"{source.name}-{annotation.name}",
        annotation=annotation.name,
        unit=annotation.unit,
        names=(),
        known=None,
        stored="codes",
        templates=None,
        clips=tuple(clips),
        extra={"driven_by": source.name, "rig": rig.name},
    )
    write_manifest(dataset)
    return dataset


def _codes(
    source: Dataset, clip: Clip, annotation: VertexAnnotation | FlameAnnotation, rig: Rig
) -> np.ndarray:
    values = np.asarray(source.motion(clip), np.float32) * source.scale
    weights = convert(Motion(values, source.names, source.fps, source.annotation, source.unit), "arkit52")
    if source.known is not None:
        weights = weights.with_values(weights.values * np.isin(weights.names, _known(source)))
    if isinstance(annotation, FlameAnnotation):
        assert annotation.model is not None and annotation.name == FLAME
        return annotation.encode(flame_codes(weights.values, weights.names, annotation.model))
    parts = np.array_split(weights.values, 1 + len(values) // 500)
    return np.concatenate(
        [annotation.encode(displacements(annotation.name, rig, w, weights.names)) for w in parts]
    )


def _known(source: Dataset) -> list[str]:
    return list(source.known or source.names)
