"""FaceFormer and CodeTalker the slow way, from tensors by their published names: library layers, nothing remembered."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import nn
from torch.nn import functional as F

from slow_decoders import slow_mask, slow_positions

State = dict[str, torch.Tensor]
HEADS = 4
WIDTH = 16
POINTS = 7
ENCODER = {
    "model_type": "wav2vec2",
    "conv_dim": [8] * 7,
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "mask_time_prob": 0.05,
}
STORE = {"hidden_size": 24, "num_attention_heads": 3, "neg": 0.3, "quant_factor": 0}
"""Of the motion autoencoder; with projections its vectors are 2 of 9 numbers, without them 3 of 8."""


def library_encoder() -> Any:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    facts = {k: v for k, v in ENCODER.items() if k != "model_type"}
    return Wav2Vec2Model(Wav2Vec2Config(**facts)).eval()


def random_state(seed: int, shapes: dict[str, tuple[int, ...]], period: int) -> State:
    """Tensors of an encoder and of the shapes given, and the positions that published files carry."""
    torch.manual_seed(seed)
    state = {name: torch.randn(shape) / math.sqrt(max(1, shape[-1])) for name, shape in shapes.items()}
    layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 2 * WIDTH, batch_first=True)
    layers = nn.TransformerDecoder(layer, 2)
    for parameter in layers.parameters():
        nn.init.normal_(parameter, std=0.3)
    state |= {f"transformer_decoder.{k}": v for k, v in layers.state_dict().items()}
    state |= {f"audio_encoder.{k}": v for k, v in library_encoder().state_dict().items()}
    return state | {"PPE.pe": slow_positions(2 * period + 5, WIDTH, period)[None]}


def slow_features(state: State, samples: torch.Tensor, paired: bool) -> torch.Tensor:
    """Normalised sound → features: pairs of 50 Hz, or 30 Hz between convolutions and transformer."""
    encoder = library_encoder()
    own = {k.removeprefix("audio_encoder."): v for k, v in state.items() if k.startswith("audio_encoder.")}
    encoder.load_state_dict(own)
    loud = (samples - samples.mean()) / torch.sqrt(samples.var(unbiased=False) + 1e-7)
    cut = encoder.feature_extractor(loud[None])
    count = cut.shape[2]
    cut = cut[..., : 2 * (count // 2)] if paired else _to_thirty(cut, count)
    projected = encoder.feature_projection(cut.transpose(1, 2))
    return encoder.encoder(projected[0] if isinstance(projected, tuple) else projected)[0]


def _to_thirty(cut: torch.Tensor, count: int) -> torch.Tensor:
    return F.interpolate(cut, size=int(count / 50 * 30), mode="linear", align_corners=True)


def slow_layers(state: State, x: torch.Tensor, sound: torch.Tensor, period: int, each: int) -> torch.Tensor:
    """The library's decoder over all frames (1, n, WIDTH); frame i hears the features each · i … each · i + each − 1."""
    layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 2 * WIDTH, batch_first=True)
    layers = nn.TransformerDecoder(layer, 2).eval()
    own = {
        k.removeprefix("transformer_decoder."): v for k, v in state.items() if k.startswith("transformer_d")
    }
    layers.load_state_dict(own)
    shut = torch.ones(x.shape[1], sound.shape[1], dtype=torch.bool)
    for i in range(x.shape[1]):
        shut[i, each * i : each * (i + 1)] = False
    return layers(x, sound, tgt_mask=slow_mask(HEADS, period, x.shape[1]), memory_mask=shut)


def linear(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))


def slow_faceformer(
    state: State, samples: torch.Tensor, subject: int, period: int, paired: bool
) -> torch.Tensor:
    """Displacements (T, 3 · POINTS) of a FaceFormer."""
    each = 2 if paired else 1
    sound = linear(state, "audio_feature_map", slow_features(state, samples, paired))
    style = state["obj_vector.weight"][:, subject]
    fed, made = [style], torch.empty(1)
    for n in range(1, sound.shape[1] // each + 1):
        x = torch.stack(fed)[None] + slow_positions(n, WIDTH, period)
        made = linear(state, "vertice_map_r", slow_layers(state, x, sound, period, each))
        fed.append(style + linear(state, "vertice_map", made[0, -1]))
    return made[0]


def faceformer_state(subjects: int, period: int) -> State:
    dim = 3 * POINTS
    shapes = {
        "audio_feature_map.weight": (WIDTH, 24),
        "audio_feature_map.bias": (WIDTH,),
        "vertice_map.weight": (WIDTH, dim),
        "vertice_map.bias": (WIDTH,),
        "vertice_map_r.weight": (dim, WIDTH),
        "vertice_map_r.bias": (dim,),
        "obj_vector.weight": (WIDTH, subjects),
    }
    return random_state(1, shapes, period)


def store_state(projected: bool) -> State:
    """A first stage by its published names: two layers a half, a list of twelve vectors."""
    dim, width, inner = 3 * POINTS, 24, 10
    parts, part = (2, 9) if projected else (3, 8)
    shapes: dict[str, tuple[int, ...]] = {"encoder.vertice_mapping.0.weight": (width, dim)}
    shapes |= {"quantize.embedding.weight": (12, part), "decoder.vertice_map_reverse.weight": (dim, width)}
    shapes |= {"encoder.vertice_mapping.0.bias": (width,)}
    for half, conv in (("encoder", "squasher"), ("decoder", "expander")):
        shapes |= {f"{half}.{conv}.0.0.weight": (width, width, 5), f"{half}.{conv}.0.0.bias": (width,)}
        shapes |= _matrix(f"{half}.{half}_linear_embedding.net", width, width)
        for i in (0, 2):
            place = f"{half}.{half}_transformer.net"
            for j in (i, i + 1):
                shapes |= {f"{place}.{j}.fn.norm.weight": (width,), f"{place}.{j}.fn.norm.bias": (width,)}
            shapes |= {f"{place}.{i}.fn.fn.to_qkv.weight": (3 * width, width)}
            shapes |= _matrix(f"{place}.{i}.fn.fn.to_out", width, width)
            shapes |= _matrix(f"{place}.{i + 1}.fn.fn.l1", inner, width)
            shapes |= _matrix(f"{place}.{i + 1}.fn.fn.l2", width, inner)
    if projected:
        shapes |= _matrix("encoder.encoder_linear_embedding_post.net", parts * part, width)
        shapes |= _matrix("decoder.decoder_linear_embedding_pre.net", width, parts * part)
    else:
        shapes |= {"decoder.vertice_map_reverse.bias": (dim,)}
    torch.manual_seed(2)
    state = {
        name: torch.randn(shape) / math.sqrt(max(1, math.prod(shape[1:]))) for name, shape in shapes.items()
    }
    pe = slow_positions(40, width, 40)[:, None]
    return state | {f"{half}.{half}_pos_embedding.pe": pe for half in ("encoder", "decoder")}


def _matrix(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def slow_half(store: State, half: str, x: torch.Tensor) -> torch.Tensor:
    """One half of a motion autoencoder over one clip (1, T, 24): the convolution and the norm are the library's."""
    conv = nn.Conv1d(24, 24, 5, padding=2, padding_mode="replicate")
    name = "squasher" if half == "encoder" else "expander"
    conv.load_state_dict({k: store[f"{half}.{name}.0.0.{k}"] for k in ("weight", "bias")})
    x = nn.InstanceNorm1d(24)(F.leaky_relu(conv(x.transpose(1, 2)), STORE["neg"])).transpose(1, 2)
    x = linear(store, f"{half}.{half}_linear_embedding.net", x) + torch.tensor([0.0, 1.0]).repeat(12)
    for i in (0, 2):
        place = f"{half}.{half}_transformer.net"
        one, two = f"{place}.{i}.fn", f"{place}.{i + 1}.fn"
        heads = linear(store, f"{one}.fn.to_qkv", _norm(store, one, x)).reshape(1, -1, 3, 3, 8)
        query, key, value = heads.unbind(2)
        scores = torch.einsum("bthd,bshd->bhts", query, key) / math.sqrt(24)
        mixed = torch.einsum("bhts,bshd->bthd", scores.softmax(-1), value).reshape(1, -1, 24)
        x = x + linear(store, f"{one}.fn.to_out", mixed)
        wide = linear(store, f"{two}.fn.l1", _norm(store, two, x))
        bent = 0.5 * wide * (1 + torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)))
        x = x + linear(store, f"{two}.fn.l2", bent)
    return x


def _norm(store: State, place: str, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, (24,), store[f"{place}.norm.weight"], store[f"{place}.norm.bias"])


def slow_nearest(store: State, x: torch.Tensor) -> torch.Tensor:
    """(1, T, V) → each part replaced by the nearest vector of the list, one by one."""
    table, out = store["quantize.embedding.weight"], x.clone()
    part = table.shape[1]
    for t in range(x.shape[1]):
        for first in range(0, x.shape[2], part):
            far = (x[0, t, first : first + part] - table).square().sum(1)
            out[0, t, first : first + part] = table[far.argmin()]
    return out


def slow_encode(store: State, motion: torch.Tensor) -> torch.Tensor:
    """(1, T, dim) → vectors before they are quantised."""
    x = F.leaky_relu(linear(store, "encoder.vertice_mapping.0", motion), STORE["neg"])
    x, name = slow_half(store, "encoder", x), "encoder.encoder_linear_embedding_post.net"
    return linear(store, name, x) if f"{name}.weight" in store else x


def slow_decode(store: State, vectors: torch.Tensor) -> torch.Tensor:
    """(1, T, V) → (1, T, dim). One frame alone is decoded as two of it: a norm over one has no meaning to the library."""
    name = "decoder.decoder_linear_embedding_pre.net"
    x = linear(store, name, vectors) if f"{name}.weight" in store else vectors
    x = x.repeat(1, 2, 1) if x.shape[1] == 1 else x
    return linear(store, "decoder.vertice_map_reverse", slow_half(store, "decoder", x))[:, : vectors.shape[1]]


def slow_codetalker(
    state: State, store: State, samples: torch.Tensor, subject: int, period: int, paired: bool
) -> torch.Tensor:
    """Displacements (T, 3 · POINTS) of a CodeTalker: every frame computes and decodes all before it again."""
    each = 2 if paired else 1
    sound = linear(state, "audio_feature_map", slow_features(state, samples, paired))
    style = state["learnable_style_emb.weight"][subject]
    fed, made = [style], torch.empty(1)
    for n in range(1, sound.shape[1] // each + 1):
        x = torch.stack(fed)[None] + slow_positions(n, WIDTH, period)
        vectors = linear(state, "feat_map", slow_layers(state, x, sound, period, each))
        made = slow_decode(store, slow_nearest(store, vectors))
        fed.append(style + linear(state, "vertice_map", made[0, -1]))
    return made[0]


def codetalker_state(subjects: int, period: int, projected: bool) -> State:
    dim, vector = 3 * POINTS, 18 if projected else 24
    shapes = {
        "audio_feature_map.weight": (WIDTH, 24),
        "audio_feature_map.bias": (WIDTH,),
        "vertice_map.weight": (WIDTH, dim),
        "vertice_map.bias": (WIDTH,),
        "feat_map.weight": (vector, WIDTH),
        "learnable_style_emb.weight": (subjects, WIDTH),
    }
    state = random_state(3, shapes, period)
    return state | {"audio_feature_map.weight": 4 * state["audio_feature_map.weight"]}


def sound(folder: Path, seconds: float) -> torch.Tensor:
    """A clip of noise that comes and goes, also as clip.wav; the encoder's configuration beside it."""
    time = np.arange(int(seconds * 16000)) / 16000
    noise = np.random.default_rng(0).standard_normal(len(time)) * np.abs(np.sin(4 * time)) * 0.1
    soundfile.write(folder / "clip.wav", noise.astype(np.float32), 16000, subtype="FLOAT")
    (folder / "encoder.json").write_text(json.dumps(ENCODER))
    return torch.tensor(noise.astype(np.float32))
