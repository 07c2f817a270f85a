"""Published UniTalker checkpoints become models of this package: every tensor accounted for, nothing downloaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import unitalker
from unitalker.annotations.base import Annotation
from unitalker.annotations.released.folder import DataFolder
from unitalker.annotations.released.resources import Resources
from unitalker.config import HFEncoderConfig, UniTalkerConfig
from unitalker.errors import ModelError
from unitalker.files import atomic
from unitalker.models import checkpoint
from unitalker.models.released.annotations import annotations_of, head_sizes
from unitalker.models.released.decoder import POSITIONS, TABLE, decoder_config, people
from unitalker.models.released.encoder import encoder_config
from unitalker.models.released.identities import Cast, cast_of
from unitalker.models.released.state import matched, read_state
from unitalker.models.unitalker import UniTalker


@dataclass(frozen=True)
class Released:
    """What the tensors can't tell. data_root: the release's data folder. encoder_config: a Hugging Face config.json or
    its folder. datasets: those it was trained on, as "D0" or "D0:6". adaptor: the release's interpolate_pos, 1 in
    every published checkpoint. pivot: whether the last row of the identity table is the pivot. resources: the release's
    resources folder."""

    data_root: Path | None = None
    encoder_config: Path | None = None
    datasets: Sequence[str] = ()
    adaptor: str = "after_encoder"
    pivot: bool = True
    resources: Path | None = None


@dataclass(frozen=True)
class Imported:
    """A model that was written. left_out: heads that lack a file of the data folder → that file. remarks: sentences."""

    folder: Path
    config: UniTalkerConfig
    left_out: Mapping[str, str]
    remarks: tuple[str, ...]


def import_checkpoint(path: str | Path, output: str | Path, known: Released | None = None) -> Imported:
    """Write the model folder `output` from a published checkpoint file. Raises ModelError with what does not fit."""
    known, path, output = known or Released(), Path(path), Path(output)
    if output.exists() and not output.is_dir():
        raise ModelError(f"{output} is a file; give a folder for the model.")
    folder = None if known.data_root is None else DataFolder(known.data_root)
    state = read_state(path)
    sizes = head_sizes(state, path)
    decoder = decoder_config(state, path)
    cast, remarks = cast_of(list(sizes), people(state, path) - known.pivot, folder, known.datasets, path)
    resources = None if known.resources is None else Resources(known.resources)
    annotations, left_out = annotations_of(sizes, cast, folder, resources)
    if not annotations:
        raise ModelError(
            f"No head of {path} can be used without {next(iter(left_out.values()))}: {_remedy()}"
        )
    if not known.pivot:
        state[TABLE] = torch.cat([state[TABLE], state[TABLE].mean(0, keepdim=True)])
        remarks.append("The table has no pivot; the mean of its identities takes that place.")
    config = UniTalkerConfig.parse(
        {
            "encoder": encoder_config(state, known.encoder_config, path).model_dump(),
            "adaptor": known.adaptor,
            "decoder": decoder.model_dump(),
            "identities": [name for one in cast for name in one.names],
            "heads": {name: sizes[name] for name in annotations},
            "default_annotation": next(iter(annotations)),
        }
    )
    model = _filled(config, state, {name: sizes[name] for name in left_out}, path)
    checkpoint.save(output, model, annotations)
    imported = Imported(output, config, left_out, tuple(remarks))
    with atomic(output / "README.md") as draft:
        draft.write_text(model_card(imported, cast, annotations, path), encoding="utf-8")
    return imported


def _filled(
    config: UniTalkerConfig, state: Mapping[str, torch.Tensor], left_out: Mapping[str, int], path: Path
) -> UniTalker:
    """The model with the checkpoint's tensors, every one of which must have its place, also in heads left out."""
    with torch.device("meta"):
        model = UniTalker(config)
    shapes = {k: v.shape for k, v in model.state_dict().items()}
    spare = {f"heads.{name}.bias": torch.Size([size]) for name, size in left_out.items()}
    spare |= {f"heads.{k}.weight": torch.Size([n, config.decoder.width]) for k, n in left_out.items()}
    known = {POSITIONS} if config.decoder.kind == "transformer_decoder" else set()
    tensors = matched({k: v for k, v in state.items() if k not in known}, shapes | spare, path)
    model.load_state_dict({k: v for k, v in tensors.items() if k in shapes}, assign=True)
    return model


def _remedy() -> str:
    return "run the import again with --data-root and a data folder that holds the file."


def explained(left_out: Mapping[str, str]) -> list[str]:
    """A sentence for each head that was left out: why, and how to add it."""
    return [
        f"The head {name} is left out for want of {file}; to add it, {_remedy()}"
        for name, file in left_out.items()
    ]


def encoder_text(config: UniTalkerConfig) -> str:
    """The encoder in a few words: "wavlm, 12 layers of 768"."""
    assert isinstance(config.encoder, HFEncoderConfig) and config.encoder.architecture
    facts = config.encoder.architecture
    return f"{facts['model_type']}, {facts['num_hidden_layers']} layers of {facts['hidden_size']}"


def model_card(
    imported: Imported, cast: Sequence[Cast], annotations: Mapping[str, Annotation], path: Path
) -> str:
    """The model's README.md: where it comes from, its heads and identities, what was left out and how to add it."""
    config = imported.config
    assert isinstance(config.encoder, HFEncoderConfig)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    normal = "zero mean and unit variance" if config.encoder.normalise else "as it is"
    lines = [
        f"# Imported from `{path.name}`",
        "",
        f"A checkpoint of the UniTalker release, imported by unitalker {unitalker.__version__}. "
        "Its weights have the licence of their publisher.",
        "",
        "| | |",
        "|---|---|",
        f"| SHA-256 of `{path.name}` | `{digest}` |",
        f"| encoder | {encoder_text(config)}; sound {normal} |",
        f"| decoder | {config.decoder.kind}, width {config.decoder.width}, frequency adaptor {config.adaptor} |",
        "",
        "| head | numbers predicted | numbers a frame | fps | unit |",
        "|---|---|---|---|---|",
        *(f"| `{a.name}` | {a.head_dim} | {a.dim} | {a.fps:g} | {a.unit} |" for a in annotations.values()),
        "",
        "| dataset | annotation | scale | identities |",
        "|---|---|---|---|",
        *(
            f"| {c.dataset.id} | `{c.dataset.annotation}` | {c.dataset.scale:g} | "
            f"{c.subjects}: `{c.names[0]}` … `{c.names[-1]}` |"
            for c in cast
        ),
        "",
        *(f"- {sentence}" for sentence in (*imported.remarks, *explained(imported.left_out))),
    ]
    return "\n".join(lines).rstrip() + "\n"
