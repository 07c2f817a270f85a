"""Annotations of a published checkpoint's heads, with the bases and neutral faces of the release's data folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from unitalker.annotations.base import Annotation
from unitalker.annotations.pca import Basis
from unitalker.annotations.released.cards import card_of
from unitalker.annotations.released.folder import PCA, TEMPLATE, DataFolder
from unitalker.annotations.released.resources import Resources
from unitalker.annotations.released.sets import ANNOTATIONS, SETS, ReleasedAnnotation
from unitalker.errors import ModelError, unknown
from unitalker.models.released.identities import Cast

PREFIX = "out_head_dict."


def head_sizes(state: Mapping[str, torch.Tensor], source: Path) -> dict[str, int]:
    """Annotation → numbers that its head predicts, in the table's order. Raises ModelError for heads that can't be
    used: of other annotations, of several layers, of a size that the annotation doesn't have."""
    found = {k.removeprefix(PREFIX).split(".")[0] for k in state if k.startswith(PREFIX)}
    if not found:
        raise ModelError(
            f"{source} has no heads: no tensor's name begins with {PREFIX!r}. A baseline's checkpoint needs --kind: "
            "faceformer, codetalker, selftalk or facediffuser."
        )
    deep = sorted({k.split(".")[1] for k in state if k.startswith(PREFIX) and ".head_layer." in k})
    if deep:
        raise ModelError(
            f"{source}: the head {deep[0]} has several layers (head_layer); only heads of one linear layer, as in every "
            "published checkpoint, can be imported."
        )
    sizes = {}
    for name in sorted(found, key=lambda n: list(ANNOTATIONS).index(n) if n in ANNOTATIONS else -1):
        if name not in ANNOTATIONS:
            raise ModelError(f"{source}: " + unknown("released annotation", name, ANNOTATIONS))
        size = len(state.get(f"{PREFIX}{name}.bias", ()))
        known = ANNOTATIONS[name]
        if not 0 < size <= known.dim or (known.kind != "vertices" and size != known.dim):
            allowed = f"1 to {known.dim}" if known.kind == "vertices" else str(known.dim)
            raise ModelError(f"{source}: the bias of the head {name} has {size} numbers, not {allowed}.")
        sizes[name] = size
    return sizes


def annotations_of(
    sizes: Mapping[str, int], cast: Sequence[Cast], folder: DataFolder | None, resources: Resources | None
) -> tuple[dict[str, Annotation], dict[str, str]]:
    """Annotations by name, and for those that can't be had the file that is missing."""
    made: dict[str, Annotation] = {}
    missing: dict[str, str] = {}
    for name, size in sizes.items():
        known = ANNOTATIONS[name]
        templates = _templates(known, cast, folder)
        basis = _basis(name, size, folder) if known.kind == "vertices" and size < known.dim else None
        if known.kind == "vertices" and (not templates or (size < known.dim and basis is None)):
            missing[name] = f"{_folder_of(name)}/{PCA if templates else TEMPLATE}"
            continue
        made[name] = card_of(known, templates, basis, resources)
    return made, missing


def _folder_of(annotation: str) -> str:
    return next(s.folder for s in SETS if s.annotation == annotation)


def _basis(annotation: str, size: int, folder: DataFolder | None) -> Basis | None:
    owner = next(s for s in SETS if s.annotation == annotation)
    return folder.basis(owner, size) if folder else None


def _templates(
    known: ReleasedAnnotation, cast: Sequence[Cast], folder: DataFolder | None
) -> dict[str, np.ndarray]:
    """Identity → neutral vertices (V, 3), or the numbers (dim,) that the release adds to a subject's frames, zeros for
    subjects of a dataset without the file."""
    found: dict[str, np.ndarray] = {}
    for one in cast:
        if folder is None or one.dataset.annotation != known.name:
            continue
        rows = folder.templates(one.dataset)
        if rows is None:
            continue
        if len(rows) != one.subjects:
            raise ModelError(
                f"{folder.place(one.dataset, TEMPLATE)} has {len(rows)} rows for {one.subjects} subjects."
            )
        shape = (-1, 3) if known.kind == "vertices" else (-1,)
        found |= {name: row.reshape(shape) for name, row in zip(one.names, rows, strict=True)}
    if found and known.kind != "vertices":
        own = [name for one in cast if one.dataset.annotation == known.name for name in one.names]
        return {name: found.get(name, np.zeros(known.dim, np.float32)) for name in own}
    return found
