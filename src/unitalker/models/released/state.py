"""Published checkpoint files: read safely, unwrapped, every tensor matched with one of the model's by a name table."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from unitalker.annotations.released.files import unpacked
from unitalker.errors import ModelError

LARGEST = 8 * 2**30
"""Bytes of a checkpoint that is read: six times the largest published one."""

ENCODER = "audio_encoder."
"""How names of the encoder's tensors begin, in the release and in baselines."""
WRAPPERS = ("state_dict", "model")
"""Entries under which training code likes to put a state dict."""

Names = tuple[tuple[str, str], ...]
"""Patterns of our tensor names, and the published ones."""

NAMES: Names = (
    (r"encoder\.model\.(.+)", r"audio_encoder.\1"),
    (r"decoder\.identity\.weight", r"decoder.learnable_style_emb.weight"),
    (r"decoder\.map\.(weight|bias)", r"decoder.audio_feature_map.\1"),
    (r"decoder\.blocks\.(\d)\.conv\.conv\.(\w+)", r"decoder.tcn.first_net.conv_layers.\1.conv.\2"),
    (r"decoder\.blocks\.(\d)\.norm\.(\w+)", r"decoder.tcn.first_net.conv_layers.\1.norm.\2"),
    (
        r"decoder\.blocks\.(\d)\.residual\.conv\.(\w+)",
        r"decoder.tcn.first_net.conv_layers.\1.residual_layer.0.\2",
    ),
    (r"decoder\.layers\.(\d+)\.(.+)", r"decoder.transformer_decoder.layers.\1.\2"),
    (r"heads\.(.+)\.(weight|bias)", r"out_head_dict.\1.\2"),
)
"""Our tensor names → the release's."""

WEIGHT_NORM = (
    (re.compile(r"\.weight_g$"), ".parametrizations.weight.original0"),
    (re.compile(r"\.weight_v$"), ".parametrizations.weight.original1"),
)
"""The older spelling of weight normalisation → the newer one, in which names are compared."""


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint file by their published names, float32. No code in the file runs.

    A `state_dict` or `model` entry and the `module.` prefix of distributed training are taken off. Raises ModelError
    for what is no readable checkpoint, is too large, or holds anything but finite numbers.
    """
    _check_size(path)
    try:
        with warnings.catch_warnings(action="ignore"):
            data: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:  # a damaged file makes the reader raise nearly anything
        raise ModelError(
            f"{path} cannot be read as a PyTorch checkpoint of plain tensors: {_reason(fault)}"
        ) from None
    while isinstance(data, dict) and (
        inner := next((k for k in WRAPPERS if isinstance(data.get(k), dict)), "")
    ):
        data = data[inner]
    if not isinstance(data, dict) or not data:
        raise ModelError(f"{path} holds no state dict: a {type(data).__name__}, not tensors by name.")
    odd = [str(k) for k, v in data.items() if not isinstance(v, torch.Tensor)]
    if odd:
        raise ModelError(f"{path} is no state dict: it has entries that are no tensors: {some(odd)}.")
    if all(str(k).startswith("module.") for k in data):
        data = {str(k).removeprefix("module."): v for k, v in data.items()}
    if sum(v.numel() for v in data.values()) * 4 > LARGEST:
        raise ModelError(f"{path} would fill more than {LARGEST // 2**30} GB: no published checkpoint does.")
    state = {canonical(str(k)): _plain(path, str(k), v) for k, v in data.items()}
    if len(state) < len(data):
        raise ModelError(f"{path} has a tensor twice: its weight normalisation is spelt in both ways.")
    return state


def _reason(fault: Exception) -> str:
    """Why PyTorch's reader gave a file up, as a sentence's end."""
    told = str(fault).strip()
    if isinstance(fault, pickle.UnpicklingError) and "weights_only" in told.casefold().replace(" ", "_"):
        return "it holds code or objects that are no tensors, and none of them is made here."
    first = told.split("\n")[0].split(". ")[0].rstrip(".")
    return f"it is damaged or something else ({first or type(fault).__name__}); download or copy it again."


def _check_size(path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"There is no checkpoint file {path}.")
    size = unpacked(path)
    if size > LARGEST:
        raise ModelError(
            f"{path} has {size / 2**30:.1f} GB; a checkpoint may have {LARGEST // 2**30} GB at most."
        )


def _plain(path: Path, name: str, value: torch.Tensor) -> torch.Tensor:
    if value.layout != torch.strided or value.is_quantized or value.is_complex():
        raise ModelError(f"{path}: {name} is no plain tensor of numbers.")
    value = value.detach().to(torch.float32)
    if not torch.isfinite(value).all():
        raise ModelError(f"{path}: {name} holds NaN or infinite numbers; the checkpoint is damaged.")
    return value.contiguous()


def canonical(name: str) -> str:
    """A tensor name with its weight normalisation in the newer spelling."""
    for old, new in WEIGHT_NORM:
        name = old.sub(new, name)
    return name


def released_name(name: str, names: Names = NAMES) -> str:
    """Our tensor's name → the published one, by a table of patterns."""
    for pattern, published in names:
        found = re.fullmatch(pattern, name)
        if found:
            return canonical(found.expand(published))
    raise ModelError(f"The model's tensor {name} has no place in the published form.")


def matched(
    state: Mapping[str, torch.Tensor], shapes: Mapping[str, torch.Size], source: object, names: Names = NAMES
) -> dict[str, torch.Tensor]:
    """Our tensor names → the checkpoint's tensors, each taken exactly once.

    state: by published names. shapes: of the model's own tensors. source: the file, or how files are called together. names:
    the table of both. Raises ModelError that names what is unknown, missing or of another shape.
    """
    expected = {released_name(ours, names): (ours, shape) for ours, shape in shapes.items()}
    missing, extra = [k for k in expected if k not in state], [k for k in state if k not in expected]
    wrong = [
        f"{k} is {tuple(state[k].shape)}, not {tuple(shape)}"
        for k, (_, shape) in expected.items()
        if k in state and state[k].shape != shape
    ]
    if missing or extra or wrong:
        parts = [f"it lacks {some(missing)}"] if missing else []
        parts += [f"it has the unknown {some(extra)}"] if extra else []
        parts += [f"other shapes than due: {some(wrong, '; ')}"] if wrong else []
        heard = any(text.startswith(ENCODER) for text in (*missing, *extra, *wrong))
        raise ModelError(
            f"{source} does not fit the model that its names and shapes tell: {'; '.join(parts)}."
            + (
                " If the encoder is not a published one, give its configuration with --encoder-config."
                if heard
                else ""
            )
        )
    return {ours: state[name] for name, (ours, _) in expected.items()}


def some(names: Iterable[str], between: str = ", ", limit: int = 3) -> str:
    """The first few of many: "a, b, c and 9 more"."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return between.join(names[:limit]) + more
