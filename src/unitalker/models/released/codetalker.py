"""Published CodeTalker checkpoints (Xing et al. 2023), both stages, become models with its decoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from unitalker.errors import ModelError
from unitalker.models.released.baselines import (
    Beside,
    Found,
    ImportedBaseline,
    axes_of,
    form_of,
    number,
    read_settings,
    whole,
    with_pivot,
    write_baseline,
)
from unitalker.models.released.decoder import ATTENTION_HEADS, period_of
from unitalker.models.released.state import Names, read_state, some
from unitalker.models.transformer import positions

POSITIONS, STYLES = "PPE.pe", "learnable_style_emb.weight"
STORE = "autoencoder."
"""Where a second stage's file keeps the first stage's tensors, if it does."""
PROJECTED = "encoder.encoder_linear_embedding_post.net.weight"
"""Tensor that only autoencoders of the 25 fps form have."""
HEADS, SLOPE = 8, 0.2
"""Of the published autoencoders; they leave no trace in the tensors."""

OUTER: Names = (
    (r"encoder\.model\.(.+)", r"audio_encoder.\1"),
    (r"decoder\.map\.(weight|bias)", r"audio_feature_map.\1"),
    (r"decoder\.motion\.[^.]+\.(weight|bias)", r"vertice_map.\1"),
    (r"decoder\.layers\.(\d+)\.(.+)", r"transformer_decoder.layers.\1.\2"),
    (r"decoder\.vectors\.[^.]+\.weight", "feat_map.weight"),
    (r"decoder\.identity\.weight", STYLES),
)
"""Our tensor names → the second stage's; positions are made anew."""
INNER: Names = (
    (r"reads\.(weight|bias)", r"encoder.vertice_mapping.0.\1"),
    (r"encoder\.conv\.(weight|bias)", r"encoder.squasher.0.0.\1"),
    (r"(encoder|decoder)\.linear\.(weight|bias)", r"\1.\1_linear_embedding.net.\2"),
    (r"to_vectors\.(weight|bias)", r"encoder.encoder_linear_embedding_post.net.\1"),
    (r"from_vectors\.(weight|bias)", r"decoder.decoder_linear_embedding_pre.net.\1"),
    (r"decoder\.conv\.(weight|bias)", r"decoder.expander.0.0.\1"),
    (r"writes\.(weight|bias)", r"decoder.vertice_map_reverse.\1"),
    (r"list\.weight", "quantize.embedding.weight"),
)
"""Our tensor names in a motion autoencoder → the first stage's, layers aside."""


def names_of(layers: int) -> Names:
    """The whole table for an autoencoder of so many layers: the published one counts both halves of each."""
    inside = list(INNER)
    for i in range(layers):
        ours, first, second = rf"(encoder|decoder)\.layers\.{i}\.", 2 * i, 2 * i + 1
        inside += [
            (rf"{ours}norm1\.(\w+)", rf"\1.\1_transformer.net.{first}.fn.norm.\2"),
            (rf"{ours}split\.(\w+)", rf"\1.\1_transformer.net.{first}.fn.fn.to_qkv.\2"),
            (rf"{ours}join\.(\w+)", rf"\1.\1_transformer.net.{first}.fn.fn.to_out.\2"),
            (rf"{ours}norm2\.(\w+)", rf"\1.\1_transformer.net.{second}.fn.norm.\2"),
            (rf"{ours}linear1\.(\w+)", rf"\1.\1_transformer.net.{second}.fn.fn.l1.\2"),
            (rf"{ours}linear2\.(\w+)", rf"\1.\1_transformer.net.{second}.fn.fn.l2.\2"),
        ]
    return (*OUTER, *((rf"decoder\.motion_codes\.[^.]+\.{ours}", STORE + theirs) for ours, theirs in inside))


def import_codetalker(path: Path, output: Path, beside: Beside) -> ImportedBaseline:
    """Write the model folder `output` from a second stage's checkpoint, with its first stage in it or beside it.

    Raises ModelError with what does not fit.
    """
    state = read_state(path)
    settings = read_settings(beside.config)
    if "vertice_map.weight" not in state and "quantize.embedding.weight" in state:
        raise ModelError(
            f"{path} is CodeTalker's first stage, which knows no sound: give the second, and this one with --stage1."
        )
    width, dim = axes_of(state, "vertice_map.weight", path, "CodeTalker")
    axes_of(state, STYLES, path, "CodeTalker")
    period = period_of(state, POSITIONS, width, path)
    state[STYLES] = with_pivot(state[STYLES])
    del state[POSITIONS]
    store, remarks = _store(state, path, beside.stage1)
    autoencoder = _autoencoder(store, settings, beside.stage1 or path)
    outer = {k: v for k, v in state.items() if not k.startswith(STORE)}
    layers = {k.split(".")[2] for k in outer if k.startswith("transformer_decoder.layers.")}
    decoder = {
        "kind": "codetalker",
        "width": width,
        "layers": len(layers),
        "heads": whole(settings, "n_head", ATTENTION_HEADS),
        "period": period,
        "autoencoder": autoencoder,
    }
    inside = {STORE + name: value for name, value in store.items()}
    found = Found(
        outer | inside,
        names_of(autoencoder["layers"]),
        decoder,
        dim,
        STYLES,
        form_of(settings, period, path),
        ("vertice_map.weight", f"{STORE}encoder.vertice_mapping.0.weight"),
        (f"{STORE}decoder.vertice_map_reverse.weight", f"{STORE}decoder.vertice_map_reverse.bias"),
        remarks,
    )
    return write_baseline(found, beside, path, output)


def _store(
    state: Mapping[str, torch.Tensor], path: Path, stage1: Path | None
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """The first stage's tensors by its own names: those in the second stage's file, which that one was trained with, else
    those of --stage1."""
    inside = {k.removeprefix(STORE): v for k, v in state.items() if k.startswith(STORE)}
    given = {} if stage1 is None else read_state(stage1)
    if not inside and not given:
        raise ModelError(
            f"{path} holds the second stage alone; give the checkpoint of the first, the motion autoencoder, with --stage1."
        )
    if not inside or not given:
        return inside or given, ()
    other = [
        k
        for k in {**inside, **given}
        if k not in inside or k not in given or not torch.equal(inside[k], given[k])
    ]
    if not other:
        return inside, ()
    return inside, (
        f"{path} has an autoencoder of its own, which is another than that of {stage1} ({some(other)}); its own was taken.",
    )


def _autoencoder(store: dict[str, torch.Tensor], settings: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Our settings of the first stage; positions are taken out of its tensors, checked. Raises ModelError."""
    kind = "CodeTalker stage-1"
    entries, part_dim = axes_of(store, "quantize.embedding.weight", source, kind)
    width, _ = axes_of(store, "encoder.vertice_mapping.0.weight", source, kind)
    inner, _ = axes_of(store, "encoder.encoder_transformer.net.1.fn.fn.l1.weight", source, kind)
    vector = axes_of(store, PROJECTED, source, kind)[0] if PROJECTED in store else width
    if vector % part_dim:
        raise ModelError(f"{source}: vectors of {part_dim} numbers do not make up {vector} a frame.")
    if whole(settings, "quant_factor", 0):
        raise ModelError(
            "Only autoencoders with a vector for every frame can be imported (quant_factor 0, as all published ones); "
            f"--config says {settings['quant_factor']}."
        )
    for half in ("encoder", "decoder"):
        _drop_positions(store, f"{half}.{half}_pos_embedding.pe", width, source)
    halves = {k.split(".")[3] for k in store if k.startswith("encoder.encoder_transformer.net.")}
    return {
        "width": width,
        "layers": (len(halves) + 1) // 2,
        "heads": whole(settings, "num_attention_heads", HEADS),
        "inner": inner,
        "parts": vector // part_dim,
        "part_dim": part_dim,
        "entries": entries,
        "slope": number(settings, "neg", SLOPE),
        "projected": PROJECTED in store,
    }


def _drop_positions(store: dict[str, torch.Tensor], name: str, width: int, source: Path) -> None:
    """Take out the positions, of which the model only reads the first. Raises ModelError for other numbers."""
    rows = store.pop(name, None)
    if rows is None:
        raise ModelError(f"{source} lacks {name}.")
    if rows.ndim != 3 or rows.shape[1:] != (1, width):
        raise ModelError(f"{source}: {name} is {tuple(rows.shape)}, not (frames, 1, {width}).")
    if not torch.allclose(rows[:1, 0], positions(0, 1, width), atol=1e-4):
        raise ModelError(f"{source}: {name} holds other numbers than sines and cosines of the frame number.")
