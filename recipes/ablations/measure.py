"""Lip vertex errors of a trained model on the clips that were held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import soundfile
import torch

from unitalker.annotations.base import Annotation
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.data.dataset import Clip, Dataset
from unitalker.evaluation.metrics import lve
from unitalker.models.unitalker import PIVOT, UniTalker

from .data import held_out

OWN, FOREIGN = "own", "foreign"
"""Identities that a clip is animated as: its own subject, the pivot, subjects of other annotations."""
IDENTITIES = (OWN, PIVOT, FOREIGN)
STRANGERS = 3
"""Subjects of other annotations that a clip is animated as; their errors are averaged."""


def true_lips(dataset: Dataset, clip: Clip, annotation: Annotation) -> np.ndarray:
    """(T, L, 3) displacements of the lip vertices in mm; of meshes as recorded, not as the basis tells them."""
    values = np.asarray(dataset.motion(clip))
    if isinstance(annotation, VertexAnnotation):
        lips = np.asarray(annotation.regions["lips"])
        moved = values.reshape(len(values), -1, 3)[:, lips] * dataset.scale
        return moved * millimetres(annotation)
    codes = annotation.encode(values.astype(np.float32))
    return annotation.lips(torch.as_tensor(codes)).numpy() * millimetres(annotation)


def millimetres(annotation: Annotation) -> float:
    """Millimetres in one unit of what `lips` gives."""
    return 1000 * (annotation.metres if isinstance(annotation, VertexAnnotation) else 1.0)


def strangers(dataset: Dataset, sets: Mapping[str, Dataset], identities: tuple[str, ...]) -> list[str]:
    """The first identity of the first STRANGERS datasets that have other annotations, if the model knows them."""
    found: dict[str, str] = {}
    for other in sets.values():
        known = [f"{other.name}/{s}" for s in other.subjects if f"{other.name}/{s}" in identities]
        if other.annotation != dataset.annotation and known:
            found.setdefault(other.annotation, known[0])
    return list(found.values())[:STRANGERS]


@torch.inference_mode()
def measure(
    model: UniTalker,
    annotations: Mapping[str, Annotation],
    sets: Mapping[str, Dataset],
    identities: Sequence[str] = IDENTITIES,
) -> dict[str, Any]:
    """LVE in mm² on each dataset, by identity, and of a face at rest: means over all frames of the held-out clips."""
    out: dict[str, Any] = {}
    for name, dataset in sets.items():
        others = strangers(dataset, sets, model.config.identities) if FOREIGN in identities else []
        pivot = [PIVOT] if PIVOT in identities else []
        out[name] = _dataset(model, annotations[dataset.annotation], dataset, pivot, others)
    return out


def _dataset(
    model: UniTalker, annotation: Annotation, dataset: Dataset, pivot: list[str], others: list[str]
) -> dict[str, Any]:
    sums: dict[str, float] = {}
    frames = 0
    for clip in held_out(dataset):
        truth = true_lips(dataset, clip, annotation)
        people = [f"{dataset.name}/{clip.subject}", *pivot, *others]
        kinds = [OWN, *pivot, *[FOREIGN] * len(others)]
        made = predicted_lips(model, annotation, dataset, clip, people)
        for kind, lips in zip(kinds, made, strict=True):
            share = 1 / len(others) if kind == FOREIGN else 1.0
            sums[kind] = sums.get(kind, 0.0) + share * float(lve(truth, lips).sum())
        sums["rest"] = sums.get("rest", 0.0) + float(lve(truth, np.zeros_like(truth)).sum())
        frames += len(truth)
    return {kind: total / frames for kind, total in sums.items()} | {"frames": frames}


def predicted_lips(
    model: UniTalker, annotation: Annotation, dataset: Dataset, clip: Clip, people: Sequence[str]
) -> np.ndarray:
    """(P, T, L, 3) displacements of the lip vertices in mm, the clip animated as each of the identities."""
    samples, _ = soundfile.read(dataset.path(clip.audio), dtype="float32")
    frames = len(dataset.motion(clip))
    features = model.encoder(torch.as_tensor(samples)[None]).expand(len(people), -1, -1)
    identity = model.embed([model.identity_row(name) for name in people])
    codes = model.codes(features, identity, dataset.fps, frames, [annotation.name])[annotation.name]
    return annotation.lips(codes.float()).numpy() * millimetres(annotation)
