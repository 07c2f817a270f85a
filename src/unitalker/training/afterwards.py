"""After a run: the command that uses its model."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.annotations.cards import load_card
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.config import UniTalkerConfig
from unitalker.errors import ExportError
from unitalker.export import check_channels, check_unit
from unitalker.export.base import check_mesh
from unitalker.motion import Motion
from unitalker.rig import builtin_head
from unitalker.training.recipes import result


def next_command(run: Path) -> str:
    """What to do with the model of a finished run, as a command."""
    found = result(run)
    after = UniTalkerConfig.load(found / "config.json").decoder.leads_to
    if after is not None:
        return f"unitalker train --preset {after} --start {quote(str(run))} --data DATASET -o RUN"
    config = UniTalkerConfig.load(found / "config.json")
    shown = _on_a_head(load_card(found / "annotations" / f"{config.default_annotation}.json"))
    return f"unitalker animate speech.wav --model {quote(str(found))} -o face.{'glb' if shown else 'npz'}"


def _on_a_head(annotation: Annotation) -> bool:
    """Whether a head can show the annotation: the built-in one, or its own triangles."""
    try:
        check_unit("face.glb", annotation.unit, annotation.name)
        if isinstance(annotation, VertexAnnotation):
            if annotation.faces is None:
                check_mesh(annotation.name, annotation.dim, builtin_head())
            return True
        nothing = np.zeros((0, len(annotation.names)), np.float32)
        check_channels(
            "face.glb", Motion(nothing, annotation.names, annotation.fps, annotation.name, annotation.unit)
        )
    except ExportError:
        return False
    return True
