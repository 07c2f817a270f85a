"""The decoder of a published checkpoint from its names and shapes: the TCN or the release's transformer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from unitalker.config import CrossDecoderConfig, TCNDecoderConfig
from unitalker.errors import ModelError
from unitalker.models.transformer import positions

TABLE = "decoder.learnable_style_emb.weight"
MAP = "decoder.audio_feature_map.weight"
POSITIONS = "decoder.PPE.pe"
TCN, TRANSFORMER = "decoder.tcn.", "decoder.transformer_decoder.layers."
ATTENTION_HEADS = 4
"""Of the transformer, as the release's code sets them; they leave no trace in the tensors."""


def decoder_config(state: Mapping[str, torch.Tensor], source: Path) -> TCNDecoderConfig | CrossDecoderConfig:
    """The decoder's settings. state: tensors by published names. Raises ModelError where they tell of none, or of two."""
    tcn, transformer = (any(k.startswith(prefix) for k in state) for prefix in (TCN, TRANSFORMER))
    if tcn == transformer:
        raise ModelError(
            f"{source} has {'both kinds' if tcn else 'neither kind'} of the release's decoders; one was due, with "
            f"tensors named {TCN}… or {TRANSFORMER}…"
        )
    width, identity = _axes(state, MAP, source)[0], _axes(state, TABLE, source)[1]
    if tcn:
        return TCNDecoderConfig(width=width, identity_dim=identity)
    layers = {k.removeprefix(TRANSFORMER).split(".")[0] for k in state if k.startswith(TRANSFORMER)}
    if width % ATTENTION_HEADS:
        raise ModelError(f"{source}: a transformer of width {width} can't have {ATTENTION_HEADS} heads.")
    period = period_of(state, POSITIONS, width, source)
    return CrossDecoderConfig(width=width, layers=len(layers), heads=ATTENTION_HEADS, period=period)


def people(state: Mapping[str, torch.Tensor], source: Path) -> int:
    """Rows of the identity table, pivot included."""
    return _axes(state, TABLE, source)[0]


def _axes(state: Mapping[str, torch.Tensor], name: str, source: Path) -> tuple[int, int]:
    if name not in state or state[name].ndim != 2:
        told = tuple(state[name].shape) if name in state else "missing"
        raise ModelError(f"{source} is no UniTalker checkpoint: {name} is {told}, a matrix was due.")
    return state[name].shape[0], state[name].shape[1]


def period_of(state: Mapping[str, torch.Tensor], name: str, width: int, source: Path) -> int:
    """Frames after which a checkpoint's positions repeat. name: of their tensor. Raises ModelError where they are not
    sines and cosines of the frame number."""
    if name not in state:
        raise ModelError(f"{source} lacks {name}, the positions of its transformer decoder.")
    shape = tuple(state[name].shape)
    if len(shape) != 3 or shape[0] != 1 or shape[1] < 1 or shape[2] != width:
        raise ModelError(f"{source}: {name} is {shape}, not (1, frames, {width}).")
    rows = state[name][0]
    again = (rows[1:] == rows[:1]).all(-1).nonzero()
    period = 1 + int(again[0]) if len(again) else len(rows)
    if not torch.allclose(rows, positions(0, len(rows), width, period), atol=1e-4):
        raise ModelError(f"{source}: {name} holds other numbers than sines and cosines of the frame number.")
    return period
