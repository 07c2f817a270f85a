"""Tiny checkpoints in the form of the paper's release, and what its model does with them, from torch and transformers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

WIDTH, IDENTITY = 16, 64
PERIOD = 30
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}
LAYERED = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
"""The form of wav2vec 2.0 large XLSR-53."""
HEADS = {"FLAME_5023_vertices": 6, "3DETF_blendshape_weight": 52, "flame_params_from_dadhead": 413}
SUBJECTS = {
    "D1_vocaset": 3,
    "D3D4_3DETF/D3_HDTF": 2,
    "D3D4_3DETF/D4_RAVDESS": 4,
    "D5_unitalker_faceforensics++": 2,
}
DIMS = dict(zip(SUBJECTS, (15069, 52, 52, 413), strict=True))


@dataclass
class Published:
    """encoder: of the transformers library. state: the checkpoint, in the release's spelling."""

    encoder: nn.Module
    config: dict[str, Any]
    decoder: nn.Module
    state: dict[str, torch.Tensor]
    normalise: bool

    def codes(
        self, samples: torch.Tensor, row: int, head: str, frames: int, adaptor: str = "after_encoder"
    ) -> torch.Tensor:
        """What the head says of samples (N,): (frames, size)."""
        if self.normalise:
            samples = (samples - samples.mean()) / torch.sqrt(samples.var(unbiased=False) + 1e-7)
        if adaptor == "before_transformer":
            x = fitted(self.encoder.feature_extractor(samples[None]).mT, frames)
            x = self.encoder.encoder(self.encoder.feature_projection(x)[0]).last_hidden_state
        else:
            x = self.encoder(samples[None]).last_hidden_state
        x = fitted(x, frames) if adaptor == "after_encoder" else x
        x = F.linear(x, *(self.state[f"decoder.audio_feature_map.{k}"] for k in ("weight", "bias")))
        x = self.decoder(x, self.state["decoder.learnable_style_emb.weight"][row])
        x = fitted(x, frames) if adaptor == "after_decoder" else x
        return F.linear(x, *(self.state[f"out_head_dict.{head}.{k}"] for k in ("weight", "bias")))[0]


def fitted(x: torch.Tensor, frames: int) -> torch.Tensor:
    """(1, T, C) → (1, frames, C), first and last aligned."""
    return F.interpolate(x.mT, size=frames, mode="linear", align_corners=True).mT


class TCN(nn.Module):
    """Three residual convolutions over the mapped audio and the identity."""

    def __init__(self) -> None:
        super().__init__()
        widths = (WIDTH + IDENTITY, WIDTH, WIDTH)
        self.convs = nn.ModuleList(nn.Conv1d(w, WIDTH, 3, padding=1) for w in widths)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in widths)
        self.residual = nn.Conv1d(widths[0], WIDTH, 3, padding=1)

    def named(self) -> dict[str, torch.Tensor]:
        """The state dict in the release's spelling."""
        parts = {"0.residual_layer.0": self.residual}
        parts |= {f"{i}.conv": conv for i, conv in enumerate(self.convs)}
        parts |= {f"{i}.norm": norm for i, norm in enumerate(self.norms)}
        tensors = {f"{k}.{n}": v for k, part in parts.items() for n, v in part.state_dict().items()}
        return {f"decoder.tcn.first_net.conv_layers.{k}": v for k, v in tensors.items()}

    def forward(self, audio: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
        x = torch.cat([audio, identity.expand(1, audio.shape[1], -1)], -1).mT
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = torch.relu(norm(conv(x).mT).mT + (x if i else self.residual(x)))
        return x.mT


class Transformer(nn.Module):
    """torch's own transformer decoder under the release's masks; the identity is the query."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerDecoderLayer(WIDTH, 4, 2 * WIDTH, batch_first=True)
        self.layers = nn.TransformerDecoder(layer, 1)
        rate = torch.exp(torch.arange(0, WIDTH, 2).float() * (-math.log(10000) / WIDTH))
        angle = torch.arange(PERIOD)[:, None] * rate
        once = torch.stack([angle.sin(), angle.cos()], -1).reshape(PERIOD, WIDTH)
        self.pe = once.repeat(3000 // PERIOD + 1, 1)[None]

    def named(self) -> dict[str, torch.Tensor]:
        """The state dict in the release's spelling."""
        layers = {f"decoder.transformer_decoder.{k}": v for k, v in self.layers.state_dict().items()}
        return {"decoder.PPE.pe": self.pe} | layers

    def forward(self, audio: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
        count = audio.shape[1]
        ago = torch.arange(count)[:, None] - torch.arange(count)
        bias = torch.stack([-(0.25 ** (h + 1)) * (ago // PERIOD) for h in range(4)])
        own = ~torch.eye(count, dtype=torch.bool)
        query = identity.expand(1, count, -1) + self.pe[:, :count]
        return self.layers(query, audio, bias.masked_fill(ago < 0, -math.inf), own)


def publish(kind: str = "wavlm", decoder: str = "tcn", seed: int = 0, **form: Any) -> Published:
    """A checkpoint with random weights. kind: of the encoder; form: more of its configuration."""
    import transformers

    torch.manual_seed(seed)
    config = transformers.AutoConfig.for_model(kind, **SIZES, **form)
    classes = {"wavlm": "WavLMModel", "wav2vec2": "Wav2Vec2Model", "hubert": "HubertModel"}
    encoder = getattr(transformers, classes[kind])(config).eval()
    rows = sum(SUBJECTS.values()) + 1
    made = (TCN() if decoder == "tcn" else Transformer()).eval()
    state = {f"audio_encoder.{k}": v for k, v in encoder.state_dict().items()}
    state["decoder.learnable_style_emb.weight"] = torch.randn(rows, IDENTITY if decoder == "tcn" else WIDTH)
    state["decoder.audio_feature_map.weight"] = torch.randn(WIDTH, 16) / 4
    state["decoder.audio_feature_map.bias"] = torch.randn(WIDTH)
    state |= made.named()
    for head, size in HEADS.items():
        state[f"out_head_dict.{head}.weight"] = torch.randn(size, WIDTH) / 8
        state[f"out_head_dict.{head}.bias"] = torch.randn(size) / 8
    normalise = kind != "wavlm" or form.get("feat_extract_norm") == "layer"
    return Published(encoder, config.to_dict(), made, state, normalise)


def save(published: Published, path: Path, **changes: torch.Tensor | None) -> Path:
    """The checkpoint file; changes: tensors to replace, or to leave out where None."""
    state = published.state | changes
    torch.save({k: v for k, v in state.items() if v is not None}, path)
    return path


def data_folder(root: Path, seed: int = 0) -> Path:
    """A data folder with random neutral faces, and a basis for the vertex dataset that is not orthonormal."""
    random = np.random.default_rng(seed)
    for folder, count in SUBJECTS.items():
        (root / folder).mkdir(parents=True)
        rows = random.normal(size=(count, DIMS[folder]))
        shape = (count, -1, 3) if DIMS[folder] == 15069 else (count, -1)
        np.save(root / folder / "id_template.npy", rows.reshape(shape))
    names = {"data_components_mean": 8, "data_components_std": 8, "explained_variance_ratio": 8, "S": 8}
    np.savez(
        root / "D1_vocaset" / "pca.npz",
        components_to_data=random.normal(size=(8, 15069)) / 50,
        original_data_mean=random.normal(size=15069) / 50,
        **{k: random.normal(size=n) for k, n in names.items()},
    )
    return root
