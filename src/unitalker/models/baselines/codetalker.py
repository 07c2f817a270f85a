"""CodeTalker (Xing et al. 2023): sound → vectors of a motion autoencoder, frame by frame → motion."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import CodeTalkerDecoderConfig, UniTalkerConfig
from unitalker.errors import ModelError
from unitalker.models.autoregressive import Past, step
from unitalker.models.baselines.motion_codes import MotionCodes
from unitalker.models.baselines.own import Heard, OwnDecoder
from unitalker.models.transformer import CrossLayer, cross_layers, past_bias, positions


class CodeTalker(OwnDecoder):
    """Stage 1: a motion autoencoder for each head. Stage 2: it stands still, and FaceFormer's layers predict its
    vectors, fed with the codes that the vectors so far decode to."""

    def __init__(self, features: int, config: UniTalkerConfig) -> None:
        super().__init__()
        own = config.decoder
        assert isinstance(own, CodeTalkerDecoderConfig)
        self.config = own
        self.identity = nn.Embedding(len(config.identities) + 1, own.width)
        self.motion_codes = nn.ModuleDict(
            {n: MotionCodes(d, own.autoencoder) for n, d in config.heads.items()}
        )
        self.from_sound = own.stage == 2
        self.losses = ("motion", "vectors") if self.from_sound else ("motion", "quantiser")
        if not self.from_sound:
            self.identity.requires_grad_(False)
            return
        self.motion_codes.requires_grad_(False)
        vector = own.autoencoder.parts * own.autoencoder.part_dim
        self.map = nn.Linear(features, own.width)
        self.motion = nn.ModuleDict({n: nn.Linear(d, own.width) for n, d in config.heads.items()})
        self.layers = cross_layers(own)
        self.vectors = nn.ModuleDict({n: nn.Linear(own.width, vector, bias=False) for n in config.heads})
        for linear in self.vectors.values():
            assert isinstance(linear, nn.Linear)
            nn.init.zeros_(linear.weight)
        self.dropout = nn.Dropout(own.dropout)

    def codes(self, heard: Heard, identity: torch.Tensor, name: str) -> torch.Tensor:
        """See OwnDecoder.codes. Raises ModelError in stage 1, which knows no sound."""
        if not self.from_sound:
            raise ModelError(
                "This model is CodeTalker's first stage, a motion autoencoder that knows no sound. Train the second with "
                "it: unitalker train --preset codetalker --start RUN."
            )
        return self._decoded(self._free(self.map(heard.features), identity, name), heard, name)

    def terms(
        self,
        heard: Heard,
        identity: torch.Tensor,
        name: str,
        true: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor | None, dict[str, torch.Tensor]]:
        """See OwnDecoder.terms; the true motion is fed back."""
        store, shown = self._store(name), 1.0 if mask is None else mask
        if not self.from_sound:
            found = store.encode(true, heard.own)
            codes = store.decode(found.vectors, heard.own)
            weight = self.config.autoencoder.quantiser_weight
            return codes, {
                "motion": ((codes - true) * shown).abs().mean(-1),
                "quantiser": weight * found.error,
            }
        store.eval()
        with torch.no_grad():
            wanted = store.encode(true, heard.own).vectors
        vectors = self._forced(self.map(heard.features), identity, name, true)
        codes = self._decoded(vectors, heard, name)
        motion = ((codes - true) * shown).square().mean(-1)
        reached = (vectors - wanted).square().mean(-1)
        return codes, {
            "motion": self.config.motion_weight * motion,
            "vectors": self.config.vector_weight * reached,
        }

    def _store(self, name: str) -> MotionCodes:
        store = self.motion_codes[name]
        assert isinstance(store, MotionCodes)
        return store

    def _decoded(self, vectors: torch.Tensor, heard: Heard, name: str) -> torch.Tensor:
        """Predicted vectors (B, T, V) → codes of the nearest in the list."""
        store = self._store(name)
        return store.decode(store.quantise(vectors).vectors, heard.own)

    def _forced(
        self, audio: torch.Tensor, identity: torch.Tensor, name: str, true: torch.Tensor
    ) -> torch.Tensor:
        """Vectors (B, T, V) of all frames at once, fed with the true codes (B, T, dim)."""
        fed = F.pad(true[:, :-1], (0, 0, 1, 0))
        place = positions(0, true.shape[1], self.config.width, self.config.period).to(audio)
        x = self.dropout(self.motion[name](fed) + identity[:, None] + place)
        for layer in self.layers:
            x = layer(x, audio, self.config.period)
        return self.vectors[name](x)

    def _free(self, audio: torch.Tensor, identity: torch.Tensor, name: str) -> torch.Tensor:
        """Vectors (B, T, V), each frame fed with the codes that the vectors so far decode to.

        Keys and values of the layers are kept. The autoencoder's decoder sees all frames and norms over them, so it has
        to be run again for every frame.
        """
        frames, store = audio.shape[1], self._store(name)
        place = positions(0, frames, self.config.width, self.config.period).to(audio)
        last = past_bias(self.config.heads, self.config.period, frames - 1, frames)[None].to(audio)
        layers = [
            (layer, layer.hears(audio), Past()) for layer in self.layers if isinstance(layer, CrossLayer)
        ]
        fed, made, entries = identity, [], []
        for t in range(frames):
            x = self.dropout(fed + place[t])[:, None]
            for layer, sound, past in layers:
                x = step(layer, x, sound.at(t), past, last[..., frames - 1 - t :])
            made.append(self.vectors[name](x))
            entries.append(store.quantise(made[-1]).vectors)
            if t + 1 < frames:
                fed = identity + self.motion[name](store.decode(torch.cat(entries, 1), last=True)[:, 0])
        return torch.cat(made, 1)
