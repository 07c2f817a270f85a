"""Published SelfTalk checkpoints (Peng et al. 2023) become models with its decoder, with or without its lip reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from unitalker.config import HFEncoderConfig, LipReadingConfig, SelfTalkDecoderConfig
from unitalker.errors import ModelError
from unitalker.models.baselines.selftalk_reader import LipReader
from unitalker.models.released.baselines import (
    BETWEEN,
    PAIRED,
    Beside,
    Form,
    Found,
    ImportedBaseline,
    annotation_of,
    axes_of,
    read_settings,
    whole,
    write_baseline,
)
from unitalker.models.released.decoder import ATTENTION_HEADS
from unitalker.models.released.encoder import encoder_config
from unitalker.models.released.state import Names, matched, read_state

TWO = replace(PAIRED, adaptor="decoder")
"""The form for 25 frames a second, whose decoder pairs the features itself."""
ENGLISH = "jonatasgrosman/wav2vec2-large-xlsr-53-english"
"""The encoder of every published checkpoint, and its recogniser."""
WRITTEN = ("vertice_map_r.weight", "vertice_map_r.bias")
READING = ("text_encoder.", "lip_map.", "transformer.", "lm_head.")
"""Published names of the lip reader and the recogniser begin so."""
LEFT_OUT = (
    "The lip reader and its recogniser, which serve training alone, are left out; to keep them, list the vertices of the "
    "lips in the file of --config, as in lips: [3531, 3532, …]."
)
PEOPLE = "identity"
"""Our name for the table of identities, which the published model has none of."""

NAMES: Names = (
    (r"encoder\.model\.(.+)", r"audio_encoder.\1"),
    (r"decoder\.identity\.weight", PEOPLE),
    (r"decoder\.map\.(weight|bias)", r"audio_feature_map.\1"),
    (r"decoder\.layers\.(\d+)\.(.+)", r"transformer_decoder.layers.\1.\2"),
    (r"decoder\.heads\.[^.]+\.(weight|bias)", r"vertice_map_r.\1"),
    (r"decoder\.reader\.recogniser\.encoder\.model\.(.+)", r"text_encoder.wav2vec2.\1"),
    (r"decoder\.reader\.recogniser\.letters\.(weight|bias)", r"text_encoder.lm_head.\1"),
    (r"decoder\.reader\.lips\.[^.]+\.(weight|bias)", r"lip_map.\1"),
    (r"decoder\.reader\.transformer\.(.+)", r"transformer.\1"),
    (r"decoder\.reader\.letters\.(weight|bias)", r"lm_head.\1"),
)
"""Our tensor names → the published ones."""


def import_selftalk(path: Path, output: Path, beside: Beside) -> ImportedBaseline:
    """Write the model folder `output` from a SelfTalk state dict. Raises ModelError with what does not fit.

    The lip reader serves training alone, and which vertices it sees stands in no tensor: it comes along where --config
    lists them (`lips`), else it is checked and left out.
    """
    state = read_state(path)
    settings = read_settings(beside.config)
    dim, width = axes_of(state, WRITTEN[0], path, "SelfTalk")
    form = _form(state, path)
    annotation, scale = annotation_of(dim, form, {})
    decoder: dict[str, Any] = {
        "kind": "selftalk",
        "width": width,
        "layers": len({k.split(".")[2] for k in state if k.startswith("transformer_decoder.layers.")}),
        "heads": whole(settings, "n_head", ATTENTION_HEADS),
    }
    for weight in ("motion_weight", "velocity_weight"):
        decoder[weight] = SelfTalkDecoderConfig.model_fields[weight].default / scale**2
    lips, reading = _lips(settings, dim), _reading(state, beside, path)
    remarks = ["SelfTalk knows no speakers: every identity moves alike, and only chooses a neutral face."]
    if lips is None:
        _check_reading(state, reading, annotation.name, path)
        state = {k: v for k, v in state.items() if not k.startswith(READING)}
        remarks.append(LEFT_OUT)
    else:
        decoder |= {"reading": reading.model_dump(), "lips": {annotation.name: lips}}
    state[PEOPLE] = torch.zeros(max(1, len(beside.subjects)) + 1, 1)
    read, told = ("lip_map.weight",), tuple(remarks)
    found = Found(
        state, NAMES, decoder, dim, PEOPLE, form, read, WRITTEN, told, {"name": ENGLISH}, people=False
    )
    return write_baseline(found, beside, path, output)


def _form(state: Mapping[str, torch.Tensor], path: Path) -> Form:
    """The form for 25 frames a second where a frame hears two features, else that for 30."""
    _, heard = axes_of(state, "audio_feature_map.weight", path, "SelfTalk")
    features, _ = axes_of(state, "audio_encoder.feature_projection.projection.weight", path, "SelfTalk")
    return TWO if heard == 2 * features else BETWEEN


def _lips(settings: Mapping[str, Any], dim: int) -> list[int] | None:
    """The vertices that the lip reader sees, from the settings. Raises ModelError for a list of anything else."""
    rows = settings.get("lips")
    if rows is None:
        return None
    good = isinstance(rows, list) and all(isinstance(r, int) and 0 <= r < dim // 3 for r in rows)
    if not good or not rows:
        raise ModelError(f"The setting lips of --config must be a list of vertices from 0 to {dim // 3 - 1}.")
    return rows


def _reading(state: Mapping[str, torch.Tensor], beside: Beside, path: Path) -> LipReadingConfig:
    """Our settings of the lip reader and of the recogniser that it learnt from."""
    spoken = {
        k.replace("text_encoder.wav2vec2.", "audio_encoder."): v
        for k, v in state.items()
        if k.startswith("text_encoder.wav2vec2.")
    }
    letters, _ = axes_of(state, "lm_head.weight", path, "SelfTalk")
    inner, _ = axes_of(state, "transformer.encoder.layers.0.linear1.weight", path, "SelfTalk")
    layers = {k.split(".")[3] for k in state if k.startswith("transformer.encoder.layers.")}
    recogniser: HFEncoderConfig = encoder_config(spoken, beside.encoder_config, path)
    return LipReadingConfig(
        recogniser=recogniser.model_copy(update={"name": ENGLISH}),
        letters=letters,
        layers=len(layers),
        inner=inner,
    )


def _check_reading(
    state: Mapping[str, torch.Tensor], reading: LipReadingConfig, name: str, path: Path
) -> None:
    """Raises ModelError where a tensor of the lip reader is unknown, missing or of another shape."""
    _, seen = axes_of(state, "lip_map.weight", path, "SelfTalk")
    with torch.device("meta"):
        reader = LipReader(reading, {name: seen}, {})
    shapes = {f"decoder.reader.{k}": v.shape for k, v in reader.state_dict().items()}
    matched({k: v for k, v in state.items() if k.startswith(READING)}, shapes, path, NAMES)
