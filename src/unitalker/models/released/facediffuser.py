"""Published FaceDiffuser checkpoints (Stan et al. 2023), for vertices, weights and rig controls, become models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.builtin import weight_annotation
from unitalker.annotations.layouts import layout
from unitalker.annotations.released.sets import ANNOTATIONS
from unitalker.errors import ModelError
from unitalker.models.released.baselines import (
    PERIODS,
    Beside,
    Form,
    Found,
    ImportedBaseline,
    annotation_of,
    axes_of,
    read_settings,
    read_templates,
    subjects_of,
    whole,
    with_pivot,
    write_baseline,
)
from unitalker.models.released.encoder import encoder_config
from unitalker.models.released.state import Names, read_state
from unitalker.models.transformer import positions
from unitalker.rig import builtin_head

RATES = {known.dim: known.fps for known in ANNOTATIONS.values() if known.kind == "vertices"}
"""Numbers of a published mesh → frames a second; those without a mesh have 30."""
HUBERT = "facebook/hubert-base-ls960"
STYLES, FACES, PEOPLE = "obj_vector.weight", "faces", "identity"
"""Tensors with a row for each identity: as published, and two that only we have: neutral faces, a table nobody reads."""
WEIGHTS = "beat51"
"""Layout of the published weights."""
KEPT = 2
"""Layers of the encoder that never trained."""
CONTROL_STEPS = 1000
"""Steps of noise of the published model for rig controls, whose tensors don't tell them."""

_ENCODER = (r"encoder\.model\.(.+)", r"audio_encoder.\1")
_OWN = r"decoder\.networks\.[^.]+\."
MESH_NAMES: Names = (
    _ENCODER,
    (r"decoder\.identity\.weight", STYLES),
    (r"decoder\.identity\.face_[^.]+", FACES),
    (rf"{_OWN}sound\.(\w+)", r"cond_projection.\1"),
    (rf"{_OWN}noisy\.(\w+)", r"input_projection.0.\1"),
    (rf"{_OWN}smooth\.(\w+)", r"input_projection.1.\1"),
    (rf"{_OWN}step\.(\w+)", r"time_mlp.0.\1"),
    (rf"{_OWN}norm\.(\w+)", r"norm_cond.\1"),
    (rf"{_OWN}gru\.(\w+)", r"gru.\1"),
    (rf"{_OWN}out\.(\w+)", r"final_layer.\1"),
)
WEIGHT_NAMES: Names = ((r"decoder\.identity\.weight", PEOPLE), *MESH_NAMES)
CONTROL_NAMES: Names = (
    _ENCODER,
    (r"decoder\.identity\.weight", PEOPLE),
    (rf"{_OWN}step\.(\d)\.(\w+)", r"embed_timestep.time_embed.\1.\2"),
    (rf"{_OWN}gru\.(\w+)", r"rnn.\1"),
    (rf"{_OWN}out\.(\w+)", r"out.\1"),
)
"""Our tensor names → the published ones, of each form."""
PLACES = ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe")
"""Sinusoids of the step, which the model makes anew."""


def import_facediffuser(path: Path, output: Path, beside: Beside) -> ImportedBaseline:
    """Write the model folder `output` from a FaceDiffuser state dict. Raises ModelError with what does not fit."""
    state = read_state(path)
    settings = read_settings(beside.config)
    if STYLES in state:
        found = _mesh(state, settings, beside, path)
    elif "time_mlp.0.weight" in state:
        found = _weights(state, settings, beside, path)
    else:
        found = _controls(state, settings, beside, path)
    encoder: dict[str, Any] = {"frozen_layers": KEPT}
    if beside.encoder_config is None:
        made = encoder_config(state, None, path)
        encoder |= {"name": HUBERT, "architecture": (made.architecture or {}) | {"model_type": "hubert"}}
    return write_baseline(replace(found, encoder=encoder, length="clock"), beside, path, output)


def _mesh(state: dict[str, torch.Tensor], settings: Mapping[str, Any], beside: Beside, path: Path) -> Found:
    dim, width = axes_of(state, "final_layer.weight", path, "FaceDiffuser")
    fps = _rate(settings, dim, path)
    form = Form(fps, "decoder", PERIODS[round(fps)].unit if round(fps) in PERIODS else "u")
    annotation, scale = annotation_of(dim, form, read_templates(beside.templates, dim), beside.resources)
    subjects = subjects_of(beside, axes_of(state, STYLES, path, "FaceDiffuser")[1], path)
    known = [annotation.templates.get(name) for name in subjects]
    zero = torch.zeros(dim)
    faces = torch.stack([zero if face is None else torch.tensor(face).flatten() for face in known])
    state[STYLES], state[FACES] = with_pivot(state[STYLES].T).contiguous(), with_pivot(faces)
    decoder = _decoder(state, "vertices", width, "gru", path) | {"neutral_faces": True, "noise": scale}
    lacking = [name for name, face in zip(subjects, known, strict=True) if face is None]
    remarks = _guessed(settings, dim) if not lacking else (
        *_guessed(settings, dim),
        f"No neutral face of {', '.join(lacking)} (--templates, --subjects): the published model hears noise on whole faces, "
        "so for them this one differs from it.",
    )  # fmt: skip
    written = ("final_layer.weight", "final_layer.bias")
    return Found(
        state, MESH_NAMES, decoder, dim, STYLES, form, ("input_projection.0.weight",), written, remarks
    )


def _weights(
    state: dict[str, torch.Tensor], settings: Mapping[str, Any], beside: Beside, path: Path
) -> Found:
    dim, width = axes_of(state, "final_layer.weight", path, "FaceDiffuser")
    decoder = _decoder(state, "weights", width, "gru", path)
    decoder["step_width"] = len(state["time_mlp.0.weight"])
    names = layout(WEIGHTS).names
    if dim == len(names):
        face: Annotation = _arkit(names)
    else:
        face = _numbers(f"weights_{dim}", dim, _rate(settings, dim, path))
    return _alike(
        state, WEIGHT_NAMES, decoder, face, beside, _guessed(settings, dim) if dim != len(names) else ()
    )


def _controls(
    state: dict[str, torch.Tensor], settings: Mapping[str, Any], beside: Beside, path: Path
) -> Found:
    dim, width = axes_of(state, "out.weight", path, "FaceDiffuser")
    for name in PLACES:
        rows = state.pop(name, None)
        if rows is None or rows.ndim != 3 or rows.shape[1:] != (1, width):
            raise ModelError(f"{path} is no FaceDiffuser checkpoint: {name} is missing or of another shape.")
        if not torch.allclose(rows[:, 0], positions(0, len(rows), width), atol=1e-3):
            raise ModelError(f"{path}: {name} holds other numbers than sines and cosines of the step.")
    decoder = _decoder(state, "controls", width, "rnn", path)
    decoder["steps"] = whole(settings, "diff_steps", CONTROL_STEPS)
    face = _numbers(f"controls_{dim}", dim, _rate(settings, dim, path))
    remarks = (
        *_guessed(settings, dim),
        f"The {dim} controls are scaled as the checkpoint's training data were, and have no names in it: channels are c0, "
        f"c1, …; {decoder['steps']} steps of noise, unless --config says otherwise (diff_steps).",
    )
    return _alike(state, CONTROL_NAMES, decoder, face, beside, remarks)


def _decoder(
    state: Mapping[str, torch.Tensor], form: str, width: int, units: str, path: Path
) -> dict[str, Any]:
    """Our settings that the tensors of every form tell. units: published name of the recurrent units."""
    layers = len([k for k in state if k.startswith(f"{units}.weight_ih_l")])
    decoder = {"kind": "facediffuser", "form": form, "width": width, "layers": layers}
    if form != "controls":
        decoder["steps"] = axes_of(state, "time_mlp.0.weight", path, "FaceDiffuser")[1]
    return decoder


def _alike(
    state: dict[str, torch.Tensor],
    names: Names,
    decoder: dict[str, Any],
    face: Annotation,
    beside: Beside,
    remarks: tuple[str, ...],
) -> Found:
    """A model that knows no speakers."""
    state[PEOPLE] = torch.zeros(max(1, len(beside.subjects)) + 1, decoder["width"])
    form = Form(face.fps, "decoder", face.unit)
    told = ("This FaceDiffuser knows no speakers: every identity moves alike.", *remarks)
    return Found(state, names, decoder, face.dim, PEOPLE, form, (), (), told, annotation=face, people=False)


def _arkit(names: tuple[str, ...]) -> BlendshapeAnnotation:
    """ARKit weights in the published order, unclipped, measured on the built-in head."""
    ours = weight_annotation("arkit52", builtin_head())
    rows = np.array([ours.names.index(name) for name in names])
    assert ours.gram is not None
    assert ours.gap is not None
    facts = {"gram": ours.gram[np.ix_(rows, rows)], "gap": ours.gap[rows]}
    lips = None if ours.lip_shapes is None else ours.lip_shapes[rows]
    return replace(ours, name=WEIGHTS, fps=30.0, names=names, bounds=None, lip_shapes=lips, **facts)


def _numbers(name: str, dim: int, fps: float) -> BlendshapeAnnotation:
    """An annotation of numbers that nothing is known of."""
    return BlendshapeAnnotation(name, fps, "weight", tuple(f"c{i}" for i in range(dim)), bounds=None)


def _rate(settings: Mapping[str, Any], dim: int, path: Path) -> float:
    """Frames a second: by the settings' `output_fps`, else by the published meshes. Raises ModelError."""
    told = settings.get("output_fps", RATES.get(dim, None if dim % 3 == 0 and dim > 1000 else 30.0))
    if isinstance(told, bool) or not isinstance(told, int | float) or not 1 <= told <= 240:
        raise ModelError(
            f"The frame rate of {path} is {told!r}: a mesh of {dim // 3} vertices is none of the published ones, so give its "
            "frames a second in the file of --config, as in output_fps: 25."
        )
    return float(told)


def _guessed(settings: Mapping[str, Any], dim: int) -> tuple[str, ...]:
    """A remark where nothing tells the frame rate."""
    if "output_fps" in settings or dim in RATES:
        return ()
    return (
        "Taken to be of 30 frames a second, which the checkpoint does not tell; --config says otherwise (output_fps).",
    )
