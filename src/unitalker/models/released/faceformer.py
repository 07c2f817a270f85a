"""Published FaceFormer checkpoints (Fan et al. 2022) become models with the autoregressive decoder."""

from __future__ import annotations

from pathlib import Path

from unitalker.models.released.baselines import (
    Beside,
    Found,
    ImportedBaseline,
    axes_of,
    form_of,
    read_settings,
    whole,
    with_pivot,
    write_baseline,
)
from unitalker.models.released.decoder import ATTENTION_HEADS, period_of
from unitalker.models.released.state import Names, read_state

POSITIONS, STYLES = "PPE.pe", "obj_vector.weight"

NAMES: Names = (
    (r"encoder\.model\.(.+)", r"audio_encoder.\1"),
    (r"decoder\.map\.(weight|bias)", r"audio_feature_map.\1"),
    (r"decoder\.motion\.[^.]+\.(weight|bias)", r"vertice_map.\1"),
    (r"decoder\.layers\.(\d+)\.(.+)", r"transformer_decoder.layers.\1.\2"),
    (r"decoder\.identity\.weight", STYLES),
    (r"heads\.[^.]+\.(weight|bias)", r"vertice_map_r.\1"),
)
"""Our tensor names → the published ones; positions are made anew."""


def import_faceformer(path: Path, output: Path, beside: Beside) -> ImportedBaseline:
    """Write the model folder `output` from a FaceFormer state dict. Raises ModelError with what does not fit."""
    state = read_state(path)
    settings = read_settings(beside.config)
    dim, width = axes_of(state, "vertice_map_r.weight", path, "FaceFormer")
    axes_of(state, STYLES, path, "FaceFormer")
    period = period_of(state, POSITIONS, width, path)
    layers = {k.split(".")[2] for k in state if k.startswith("transformer_decoder.layers.")}
    state[STYLES] = with_pivot(state[STYLES].T).contiguous()
    del state[POSITIONS]
    decoder = {
        "kind": "autoregressive",
        "width": width,
        "layers": len(layers),
        "heads": whole(settings, "n_head", ATTENTION_HEADS),
        "period": period,
    }
    form = form_of(settings, period, path)
    read, written = ("vertice_map.weight",), ("vertice_map_r.weight", "vertice_map_r.bias")
    found = Found(state, NAMES, decoder, dim, STYLES, form, read, written)
    return write_baseline(found, beside, path, output)
