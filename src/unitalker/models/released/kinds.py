"""Which importer reads the published checkpoints of a baseline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unitalker.errors import ModelError, unknown
from unitalker.models.released.baselines import Beside, ImportedBaseline
from unitalker.models.released.codetalker import import_codetalker
from unitalker.models.released.facediffuser import import_facediffuser
from unitalker.models.released.faceformer import import_faceformer
from unitalker.models.released.selftalk import import_selftalk

KINDS: dict[str, Callable[[Path, Path, Beside], ImportedBaseline]] = {
    "faceformer": import_faceformer,
    "codetalker": import_codetalker,
    "selftalk": import_selftalk,
    "facediffuser": import_facediffuser,
}
"""Kind → importer of a checkpoint file into a model folder."""


def import_baseline(
    kind: str, path: str | Path, output: str | Path, beside: Beside | None = None
) -> ImportedBaseline:
    """Write a model folder from a baseline's checkpoint. Raises ModelError with what does not fit."""
    if kind not in KINDS:
        raise ModelError(unknown("kind of checkpoint", kind, KINDS))
    return KINDS[kind](Path(path), Path(output), beside or Beside())
