"""The architecture of a published checkpoint's encoder, from names and shapes alone or from a Hugging Face config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from unitalker.annotations.released.files import read_json
from unitalker.config import HFEncoderConfig
from unitalker.errors import ModelError

STRIDES: dict[tuple[int, ...], tuple[int, ...]] = {(10, 3, 3, 3, 3, 2, 2): (5, 2, 2, 2, 2, 2, 2)}
"""Kernels of the convolutional extractor → its strides: one hop of 20 ms in every published encoder."""

HEADS: dict[tuple[int, int], int] = {(12, 768): 12, (24, 1024): 16}
"""wav2vec 2.0's layers and hidden size → attention heads, which leave no trace in the tensors: base and large."""

PUBLISHED: dict[tuple[str, int], str] = {
    ("wavlm", 768): "microsoft/wavlm-base-plus",
    ("wav2vec2", 1024): "facebook/wav2vec2-large-xlsr-53",
}
"""Kind and hidden size → the encoder that the release uses."""

Shapes = Mapping[str, tuple[int, ...]]


def encoder_config(state: Mapping[str, torch.Tensor], given: Path | None, source: Path) -> HFEncoderConfig:
    """The encoder of a checkpoint. state: tensors by published names. given: a config.json, or the folder of one.

    Raises ModelError where neither the tensors nor a configuration tell the architecture.
    """
    prefix = "audio_encoder."
    shapes = {k.removeprefix(prefix): tuple(v.shape) for k, v in state.items() if k.startswith(prefix)}
    if not shapes:
        raise ModelError(f"{source} has no audio encoder: no tensor's name begins with {prefix!r}.")
    if given is None:
        architecture = inferred(shapes, source)
        kind, size = architecture["model_type"], architecture["hidden_size"]
        name, normalise = PUBLISHED.get((kind, size), source.name), published_normalisation(architecture)
    else:
        path = given / "config.json" if given.is_dir() else given
        architecture = _read_object(path)
        if architecture.get("add_adapter"):
            raise ModelError(f"{path} has an adapter behind the encoder; the release's models have none.")
        name, normalise = str(architecture.get("_name_or_path") or path), _normalisation(path, architecture)
    mask = 0.05 if "masked_spec_embed" in shapes else 0.0
    architecture = architecture | {"mask_time_prob": mask, "mask_feature_prob": 0.0}
    return HFEncoderConfig(name=name, pretrained=False, architecture=architecture, normalise=normalise)


def _read_object(path: Path) -> dict[str, Any]:
    data = read_json(path)
    if not isinstance(data, dict):
        raise ModelError(f"{path} is no configuration: it holds no JSON object.")
    return data


def published_normalisation(architecture: Mapping[str, Any]) -> bool:
    """Whether the encoder was trained on sound of zero mean and unit variance: all but WavLM's base sizes."""
    return (architecture.get("model_type"), architecture.get("feat_extract_norm", "group")) != (
        "wavlm",
        "group",
    )


def _normalisation(config: Path, architecture: Mapping[str, Any]) -> bool:
    """As the preprocessor_config.json beside the configuration says, else as the encoder was published."""
    beside = config.with_name("preprocessor_config.json")
    if not beside.is_file():
        return published_normalisation(architecture)
    return bool(_read_object(beside).get("do_normalize", True))


def inferred(shapes: Shapes, source: Path) -> dict[str, Any]:
    """Architecture, as a Hugging Face config says it, of a WavLM or wav2vec 2.0 state dict.

    shapes: tensor name → shape, positional convolution in the newer spelling. What leaves no trace (activation, eps,
    WavLM's farthest distance) is as in every published one; an extractor with layer norm goes with stable layer
    norm. Raises ModelError where something else can't be told.
    """
    kernels = _extractor(shapes, source)
    layers = _count(shapes, r"encoder\.layers\.(\d+)\.")
    position = _shape(shapes, "encoder.pos_conv_embed.conv.parametrizations.weight.original1", 3, source)
    hidden = _shape(shapes, "feature_projection.projection.weight", 2, source)[0]
    inner = _shape(shapes, "encoder.layers.0.feed_forward.intermediate_dense.weight", 2, source)[0]
    by_layer = "feature_extractor.conv_layers.1.layer_norm.weight" in shapes
    architecture: dict[str, Any] = {
        "conv_dim": [_shape(shapes, _kernel(i), 3, source)[0] for i in range(len(kernels))],
        "conv_kernel": list(kernels),
        "conv_stride": list(STRIDES[kernels]),
        "conv_bias": "feature_extractor.conv_layers.0.conv.bias" in shapes,
        "num_feat_extract_layers": len(kernels),
        "feat_extract_norm": "layer" if by_layer else "group",
        "do_stable_layer_norm": by_layer,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": inner,
        "num_conv_pos_embeddings": position[2],
        "num_conv_pos_embedding_groups": position[0] // max(position[1], 1),
    }
    if any(".gru_rel_pos_const" in name for name in shapes):
        buckets = _shape(shapes, "encoder.layers.0.attention.rel_attn_embed.weight", 2, source)
        return architecture | {
            "model_type": "wavlm",
            "num_buckets": buckets[0],
            "num_attention_heads": buckets[1],
        }
    if (layers, hidden) not in HEADS:
        raise ModelError(
            f"The number of attention heads of a wav2vec 2.0 encoder can't be read from its tensors. It is known for "
            f"12 layers of 768 and 24 of 1024, but {source} has {layers} of {hidden}; give the encoder's "
            "configuration with --encoder-config."
        )
    return architecture | {"model_type": "wav2vec2", "num_attention_heads": HEADS[layers, hidden]}


def _kernel(number: int) -> str:
    return f"feature_extractor.conv_layers.{number}.conv.weight"


def _extractor(shapes: Shapes, source: Path) -> tuple[int, ...]:
    """Kernel sizes of the convolutional extractor."""
    count = _count(shapes, r"feature_extractor\.conv_layers\.(\d+)\.")
    kernels = tuple(_shape(shapes, _kernel(i), 3, source)[2] for i in range(count))
    if kernels not in STRIDES:
        raise ModelError(
            f"The encoder in {source} has convolutions of {list(kernels)} samples, whose strides can't be told; "
            "give the encoder's configuration with --encoder-config."
        )
    return kernels


def _count(shapes: Shapes, pattern: str) -> int:
    """One more than the highest number that the pattern finds in a name."""
    return 1 + max((int(found[1]) for name in shapes if (found := re.match(pattern, name))), default=-1)


def _shape(shapes: Shapes, name: str, axes: int, source: Path) -> tuple[int, ...]:
    """The shape of a tensor that must have so many axes."""
    shape = shapes.get(name, ())
    if len(shape) != axes or 0 in shape:
        raise ModelError(
            f"{source} does not tell its encoder: audio_encoder.{name} {f'has the shape {shape}' if shape else 'is missing'}. "
            "If it is no WavLM or wav2vec 2.0, give the encoder's configuration with --encoder-config."
        )
    return shape
