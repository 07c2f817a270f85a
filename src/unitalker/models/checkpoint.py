"""Models on disk: config.json, model.safetensors and annotation cards in one folder."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from unitalker.annotations.base import Annotation
from unitalker.annotations.cards import load_card, save_card
from unitalker.config import UniTalkerConfig
from unitalker.errors import ModelError, unknown
from unitalker.files import atomic
from unitalker.models.unitalker import UniTalker

EMBEDDED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Bundle:
    """A model with the annotations of its heads. digest: SHA-256 of the weight file."""

    name: str
    folder: Path
    model: UniTalker
    annotations: Mapping[str, Annotation]
    digest: str


class Sizes(TypedDict):
    """What a model's files hold. parameters: numbers in the weight file; bytes_on_disk: with the annotation cards;
    sha256: of the weight file."""

    parameters: int
    weight_bytes: int
    bytes_on_disk: int
    sha256: str


def installed() -> dict[str, Path]:
    """Names of the models that come with the package → their folders."""
    return {p.parent.name: p.parent for p in sorted(EMBEDDED.glob("*/config.json"))}


def locate(name: str | Path) -> Path:
    """Folder of a model by installed name or path. Raises ModelError with the nearest names."""
    known = installed()
    if str(name) in known:
        return known[str(name)]
    folder = Path(name)
    if (folder / "config.json").is_file():
        return folder
    if folder.is_dir():
        raise ModelError(f"The folder {folder} holds no model: it has no config.json.")
    raise ModelError(unknown("model", str(name), known))


def sizes(folder: Path) -> Sizes:
    """Sizes of the files in a model's folder, read without building the model. Raises ModelError without weights."""
    path = _weights(folder)
    try:
        with safe_open(path, framework="pt") as stored:
            count = sum(math.prod(stored.get_slice(key).get_shape()) for key in stored.keys())  # noqa: SIM118
    except SafetensorError as fault:
        raise ModelError(f"{path} is not a readable safetensors file: {fault}.") from None
    files = [path, folder / "config.json", *(folder / "annotations").glob("*.*")]
    return Sizes(
        parameters=count,
        weight_bytes=path.stat().st_size,
        bytes_on_disk=sum(file.stat().st_size for file in files),
        sha256=_digest(path),
    )


def _weights(folder: Path) -> Path:
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ModelError(f"The model folder {folder} has no model.safetensors.")
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save(
    folder: str | Path, model: UniTalker, annotations: Mapping[str, Annotation], half: bool = False
) -> Path:
    """Write a model's folder, each file whole. half: store the weights as float16."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    if half:
        tensors = {k: v.half() if v.dtype == torch.float32 else v for k, v in tensors.items()}
    with atomic(folder / "model.safetensors") as draft:
        save_file(tensors, draft, metadata={"format": "pt"})
        draft.chmod(0o644)
    for annotation in annotations.values():
        save_card(annotation, folder / "annotations", half=half)
    with atomic(folder / "config.json") as draft:
        draft.write_text(json.dumps(model.config.model_dump(mode="json"), indent=1))
    return folder


def load(name: str | Path, device: str = "cpu") -> Bundle:
    """Read a model, strictly: every tensor must be there and none more. Raises ModelError with what differs."""
    folder = locate(name)
    config = UniTalkerConfig.load(folder / "config.json")
    path = _weights(folder)
    model = UniTalker(config)
    try:
        tensors = load_file(path)
    except SafetensorError as fault:
        raise ModelError(f"{path} is not a readable safetensors file: {fault}.") from None
    _assign(model, tensors, path)
    annotations = {name: load_card(folder / "annotations" / f"{name}.json") for name in config.heads}
    for head, annotation in annotations.items():
        if annotation.head_dim != config.heads[head]:
            raise ModelError(
                f"{folder}: the head {head!r} has {config.heads[head]} numbers, its annotation card "
                f"{annotation.head_dim}; the card is another model's."
            )
    return Bundle(folder.name, folder, model.to(device).eval(), annotations, _digest(path))


def _assign(model: UniTalker, tensors: dict[str, torch.Tensor], path: Path) -> None:
    expected = model.state_dict()
    missing, extra = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    wrong = [k for k in expected if k in tensors and tensors[k].shape != expected[k].shape]
    if missing or extra or wrong:
        parts = [f"lacks {missing[:3]}"] if missing else []
        parts += [f"has unknown {extra[:3]}"] if extra else []
        parts += [
            f"has {k} of shape {tuple(tensors[k].shape)}, not {tuple(expected[k].shape)}" for k in wrong[:3]
        ]
        raise ModelError(f"{path} does not fit its config.json: it {', '.join(parts)}.")
    floats = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    model.load_state_dict(floats, assign=True)
