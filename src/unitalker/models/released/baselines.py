"""What importers of published baselines share: the two forms, files beside the checkpoint, identities, the model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unitalker.annotations.base import Annotation
from unitalker.annotations.released.files import FAULTS, read_json, sized
from unitalker.annotations.released.resources import Resources
from unitalker.annotations.released.sets import ANNOTATIONS, SETS
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.config import UniTalkerConfig
from unitalker.errors import DataError, ModelError
from unitalker.models import checkpoint
from unitalker.models.released.encoder import encoder_config
from unitalker.models.released.state import Names, matched
from unitalker.models.unitalker import UniTalker
from unitalker.pickles import read_pickle


@dataclass(frozen=True)
class Beside:
    """What a user says of a checkpoint. stage1: the checkpoint of a first stage. encoder_config: a Hugging Face
    config.json or its folder. config: the settings that it was trained with, JSON or YAML. templates: neutral faces by
    subject, .pkl or .npz. subjects: those it was trained on, in order. resources: the UniTalker release's resources folder."""

    stage1: Path | None = None
    encoder_config: Path | None = None
    config: Path | None = None
    templates: Path | None = None
    subjects: Sequence[str] = ()
    resources: Path | None = None


@dataclass(frozen=True)
class Form:
    """How a model was published for one of the two corpora: frame rate, where features come to it, unit of vertices."""

    fps: float
    adaptor: str
    unit: str


PAIRED, BETWEEN = Form(25.0, "paired", "u"), Form(30.0, "before_transformer", "m")
CORPORA = {"biwi": PAIRED, "vocaset": BETWEEN}
"""`dataset` of the settings, in lower case → form."""
PERIODS = {25: PAIRED, 30: BETWEEN}
"""Frames after which positions repeat: as many as there are in a second."""


@dataclass(frozen=True)
class ImportedBaseline:
    """A model that was written. remarks: sentences on what was decided."""

    folder: Path
    config: UniTalkerConfig
    remarks: tuple[str, ...]


def read_settings(path: Path | None) -> dict[str, Any]:
    """The settings in a JSON or YAML file, sections taken off; none without a file. Raises ModelError."""
    if path is None:
        return {}
    if path.suffix == ".json":
        data = read_json(path)
    else:
        import yaml

        try:
            data = yaml.safe_load(sized(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as fault:
            raise ModelError(f"{path} is not a readable YAML file: {str(fault).splitlines()[0]}.") from None
    if not isinstance(data, dict):
        raise ModelError(f"{path} holds no settings: names with values were due.")
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat


def whole(settings: Mapping[str, Any], name: str, usual: int) -> int:
    """A setting that is a whole number. Raises ModelError for anything else."""
    value = settings.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ModelError(f"The setting {name} of --config must be a whole number, not {value!r}.")
    return value


def number(settings: Mapping[str, Any], name: str, usual: float) -> float:
    """A setting that is a number. Raises ModelError for anything else."""
    value = settings.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelError(f"The setting {name} of --config must be a number, not {value!r}.")
    return float(value)


def form_of(settings: Mapping[str, Any], period: int, source: Path) -> Form:
    """The form of a checkpoint: by the settings' `dataset`, else by the period of its positions. Raises ModelError."""
    named = settings.get("dataset")
    if named is not None and str(named).lower() not in CORPORA:
        raise ModelError(f"--config says dataset {named!r}; allowed are BIWI (25 fps) and vocaset (30 fps).")
    found = PERIODS.get(period) if named is None else CORPORA[str(named).lower()]
    if found is None:
        raise ModelError(
            f"{source} does not tell its frame rate: its positions repeat after {period} frames, neither 25 nor 30. Give "
            "the settings with --config, a file that says dataset: BIWI or dataset: vocaset."
        )
    return found


def axes_of(state: Mapping[str, torch.Tensor], name: str, source: Path, kind: str) -> tuple[int, int]:
    """Shape of a matrix that every checkpoint of a kind has. Raises ModelError where it is missing or no matrix."""
    if name not in state or state[name].ndim != 2 or 0 in state[name].shape:
        told = tuple(state[name].shape) if name in state else "missing"
        raise ModelError(f"{source} is no {kind} checkpoint: {name} is {told}, a matrix was due.")
    return state[name].shape[0], state[name].shape[1]


def read_templates(path: Path | None, dim: int) -> dict[str, np.ndarray]:
    """Subject → neutral vertices (V, 3) float32; none without a file. Raises ModelError for faces of another mesh."""
    if path is None:
        return {}
    try:
        if path.suffix == ".npz":
            with np.load(sized(path), allow_pickle=False) as data:
                found: Any = {name: data[name] for name in data.files}
        else:
            found = read_pickle(path)
    except (*FAULTS, DataError) as fault:
        raise ModelError(f"{path} is no readable file of neutral faces: {str(fault).rstrip('.')}.") from None
    if not isinstance(found, dict) or not found:
        raise ModelError(f"{path} holds no neutral faces: subjects with arrays were due.")
    faces = {}
    for name, face in found.items():
        face = np.asarray(face)
        if face.dtype.kind not in "fiu" or face.size != dim or not np.isfinite(face).all():
            raise ModelError(
                f"{path}: the face of {name!r} has {face.size} numbers of {face.dtype}; the model's mesh has "
                f"{dim // 3} vertices, {dim} numbers."
            )
        called = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        faces[called] = face.astype(np.float32).reshape(-1, 3)
    return faces


def annotation_of(
    dim: int, form: Form, templates: Mapping[str, np.ndarray], resources: Path | None = None
) -> tuple[VertexAnnotation, float]:
    """The annotation of a mesh of dim numbers, and the factor from the checkpoint's units to the annotation's.

    A mesh of the paper's release has its name and units, so that the release's scaled datasets fit it, and its triangles and
    lips where the release's resources are there.
    """
    if dim % 3:
        raise ModelError(f"The checkpoint's mesh has {dim} numbers a frame, not three for each vertex.")
    known = next(
        (a for a in ANNOTATIONS.values() if (a.kind, a.dim, a.fps) == ("vertices", dim, form.fps)), None
    )
    scale = next((s.scale for s in SETS if known and s.annotation == known.name), 1.0)
    known_files = None if resources is None or known is None else Resources(resources)
    lips = known_files.lips(known, dim // 3) if known_files and known else None
    card = VertexAnnotation(
        name=known.name if known else f"mesh_{dim // 3}_vertices",
        fps=form.fps,
        unit=known.unit if known else form.unit,
        names=vertex_names(dim // 3),
        axes=known.axes if known else "as in the dataset",
        templates={name: face * np.float32(scale) for name, face in templates.items()},
        faces=known_files.faces(known) if known_files and known else None,
        regions={} if lips is None else {"lips": lips},
    )
    return card, scale


def subjects_of(known: Beside, rows: int, source: Path) -> tuple[str, ...]:
    """Names of the identities: those given, else s0, s1, …  Raises ModelError for another number of names."""
    if not known.subjects:
        return tuple(f"s{i}" for i in range(rows))
    if twice := sorted({name for name in known.subjects if list(known.subjects).count(name) > 1}):
        raise ModelError(
            f"--subjects names {', '.join(twice)} more than once; every subject has a row of its own."
        )
    if len(known.subjects) != rows:
        raise ModelError(
            f"--subjects names {len(known.subjects)} subjects; {source} was trained on {rows}, whose names must be "
            "given in the order of training."
        )
    return tuple(known.subjects)


def with_pivot(table: torch.Tensor) -> torch.Tensor:
    """Identity embeddings (N, E) → (N + 1, E), the mean last: these models have no pivot."""
    return torch.cat([table, table.mean(0, keepdim=True)])


@dataclass(frozen=True)
class Found:
    """What an importer made of a checkpoint.

    state: tensors by published names, the identity table, by the name `identity`, with a pivot row; names: our tensors →
    published ones. decoder: our settings. dim: numbers of the mesh. inputs, outputs: published names of the weights that
    read the mesh's numbers and of the tensors that write them, for meshes in other units than the annotation's.
    encoder: settings of the encoder that are known of the kind. annotation: where it is no mesh. length: see UniTalkerConfig.
    people: whether identities change the motion.
    """

    state: Mapping[str, torch.Tensor]
    names: Names
    decoder: Mapping[str, Any]
    dim: int
    identity: str
    form: Form
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    encoder: Mapping[str, Any] = field(default_factory=dict)
    annotation: Annotation | None = None
    length: str = "features"
    people: bool = True


def write_baseline(found: Found, beside: Beside, path: Path, output: Path) -> ImportedBaseline:
    """Write the model folder `output` of the checkpoint `path`. Raises ModelError with what does not fit."""
    if output.exists() and not output.is_dir():
        raise ModelError(f"{output} is a file; give a folder for the model.")
    annotation, scale = found.annotation, 1.0
    if annotation is None:
        templates = read_templates(beside.templates, found.dim)
        annotation, scale = annotation_of(found.dim, found.form, templates, beside.resources)
    subjects = subjects_of(beside, len(found.state[found.identity]) - 1, path)
    config = UniTalkerConfig.parse(
        {
            "encoder": encoder_config(found.state, beside.encoder_config, path).model_dump()
            | dict(found.encoder),
            "adaptor": found.form.adaptor,
            "length": found.length,
            "decoder": dict(found.decoder),
            "identities": subjects,
            "heads": {annotation.name: found.dim},
            "default_annotation": annotation.name,
        }
    )
    with torch.device("meta"):
        model = UniTalker(config)
    factors = dict.fromkeys(found.inputs, 1 / scale) | dict.fromkeys(found.outputs, scale)
    state = {k: v * factors[k] if k in factors and scale != 1.0 else v for k, v in found.state.items()}
    files = f"{path} with {beside.stage1}" if beside.stage1 else path
    tensors = matched(state, {k: v.shape for k, v in model.state_dict().items()}, files, found.names)
    model.load_state_dict(tensors, assign=True)
    checkpoint.save(output, model, {annotation.name: annotation})
    remarks = (
        *found.remarks,
        *_remarks(annotation, scale, subjects if found.people else ()),
        *_faceless(annotation, subjects),
    )
    return ImportedBaseline(output, config, remarks)


def _remarks(annotation: Annotation, scale: float, subjects: Sequence[str]) -> list[str]:
    """What was decided. subjects: none for a model that knows no speakers."""
    said = []
    if subjects:
        said.append(
            f"Identities in the order of training: {', '.join(subjects)}. The model has no pivot; the mean of its "
            "identities takes that place and is the default."
        )
    if scale != 1.0:
        said.append(
            f"{annotation.name}: numbers are {scale:g} times the checkpoint's, the annotation's unit everywhere here."
        )
    if isinstance(annotation, VertexAnnotation) and not annotation.templates:
        said.append(
            "Without --templates the motion is told as displacements, with no neutral face beside it."
        )
    return said


def _faceless(annotation: Annotation, subjects: Sequence[str]) -> list[str]:
    """Whose motion gets a neutral face that is not their own, and whose it is."""
    if not isinstance(annotation, VertexAnnotation) or not annotation.templates:
        return []
    first = next(iter(annotation.templates))
    lacking = [name for name in subjects if name not in annotation.templates]
    if not lacking:
        return [f"Without --identity the neutral face is {first}'s; --template chooses another."]
    return [
        f"The file of neutral faces has none of {', '.join(lacking)}: their motion, and that without --identity, gets {first}'s, "
        f"unless --template chooses another of {', '.join(annotation.templates)}. If these are the subjects that it was "
        "trained on, name them in the order of training with --subjects."
    ]
