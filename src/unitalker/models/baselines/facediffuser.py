"""FaceDiffuser (Stan et al. 2023): motion drawn out of noise, step by step, by a recurrent network that hears HuBERT."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import FaceDiffuserDecoderConfig, UniTalkerConfig
from unitalker.models.baselines.facediffuser_diffusion import Diffusion, frame_noise
from unitalker.models.baselines.facediffuser_networks import (
    ControlNetwork,
    MeshNetwork,
    Network,
    WeightNetwork,
)
from unitalker.models.baselines.own import Heard, OwnDecoder

NETWORKS: dict[str, type[Network]] = {
    "vertices": MeshNetwork,
    "weights": WeightNetwork,
    "controls": ControlNetwork,
}
"""Form, as the settings say it → network."""
Draw = Callable[[int], torch.Tensor]
"""Number of a draw → standard noise (1 or B, frames, dim)."""


class FacedEmbedding(nn.Embedding):
    """A table of identities whose embeddings are a trained vector and, behind it, the neutral face of each head.

    A neutral face (dim numbers, in the head's unit) never trains; the face of a mixture is the mixture of the faces.
    """

    def __init__(self, rows: int, width: int, faces: Mapping[str, int]) -> None:
        super().__init__(rows, width)
        self.sizes = dict(faces)
        for name, dim in faces.items():
            self.register_buffer(f"face_{name}", torch.zeros(rows, dim))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Rows (B,) → (B, width + numbers of all faces)."""
        faces = [self.get_buffer(f"face_{name}")[input] for name in self.sizes]
        return torch.cat([super().forward(input), *faces], -1)

    def parts(self, embedding: torch.Tensor, name: str) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Embeddings (B, …) → vectors (B, width) and the faces (B, dim) of a head, None where the table has none."""
        style, *faces = embedding.split([self.embedding_dim, *self.sizes.values()], -1)
        return style, dict(zip(self.sizes, faces, strict=True)).get(name)


class FaceDiffuser(OwnDecoder):
    """Two HuBERT features a frame + noised motion + the step of noise → the clean motion, guessed once a step.

    Each head has a network of its own. With `neutral_faces` what is noised is the whole face, displacements on the
    identity's neutral face, as in the published checkpoints; else the displacements alone.
    """

    losses = ("motion",)

    def __init__(self, features: int, config: UniTalkerConfig) -> None:
        super().__init__()
        settings = config.decoder
        assert isinstance(settings, FaceDiffuserDecoderConfig)
        self.seed, self.noise = settings.seed, settings.noise
        self.diffusion = Diffusion(settings.schedule, settings.steps, settings.sampling_steps)
        faces = config.heads if settings.neutral_faces else {}
        self.identity = FacedEmbedding(len(config.identities) + 1, settings.width, faces)
        made = {n: NETWORKS[settings.form](2 * features, dim, settings) for n, dim in config.heads.items()}
        self.networks = nn.ModuleDict(made)
        self.sizes = dict(config.heads)
        if settings.form != "vertices":
            self.identity.weight.requires_grad_(False)

    def network(self, name: str) -> Network:
        """The network of a head."""
        found = self.networks[name]
        assert isinstance(found, Network)
        return found

    def _parts(self, identity: torch.Tensor, name: str) -> tuple[torch.Tensor, torch.Tensor | None]:
        assert isinstance(self.identity, FacedEmbedding)
        return self.identity.parts(identity, name)

    def codes(self, heard: Heard, identity: torch.Tensor, name: str) -> torch.Tensor:
        """See OwnDecoder. The same seed gives the same motion; another one (`seed`) another performance."""
        frames = int(heard.frames.max())

        def draw(number: int) -> torch.Tensor:
            drawn = frame_noise(self.seed, number, frames, self.sizes[name])
            return self.noise * drawn.to(heard.features)[None]

        return self.sampled(heard, identity, name, draw)

    def sampled(self, heard: Heard, identity: torch.Tensor, name: str, draw: Draw) -> torch.Tensor:
        """Codes (B, frames, dim) out of the given noise, see `Diffusion.walk`."""
        network, (style, face) = self.network(name), self._parts(identity, name)
        sound = network.hear(heard.two().flatten(2))

        def denoise(noisy: torch.Tensor, step: int) -> torch.Tensor:
            steps = torch.full((len(sound),), step, device=sound.device)
            return _on(face, network(sound, noisy.expand(len(sound), -1, -1), steps, style))

        return _off(face, self.diffusion.walk(denoise, draw))

    def terms(
        self,
        heard: Heard,
        identity: torch.Tensor,
        name: str,
        true: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See OwnDecoder: every row is noised by a step of its own, chosen at random; Huber's loss of the guess."""
        network, (style, face) = self.network(name), self._parts(identity, name)
        steps = torch.randint(self.diffusion.steps, (len(true),)).to(true.device)
        clean = _on(face, true)
        noisy = self.diffusion.noised(clean, steps, self.noise * torch.randn_like(clean))
        made = network(network.hear(heard.two().flatten(2)), noisy, steps, style)
        error = F.huber_loss(made.float(), true, reduction="none")
        return made, {"motion": (error if mask is None else error * mask).mean(-1)}


def _on(face: torch.Tensor | None, motion: torch.Tensor) -> torch.Tensor:
    """Displacements (B, T, dim) on neutral faces (B, dim)."""
    return motion if face is None else motion + face[:, None]


def _off(face: torch.Tensor | None, motion: torch.Tensor) -> torch.Tensor:
    """Whole faces (B, T, dim) → their displacements from neutral ones (B, dim)."""
    return motion if face is None else motion - face[:, None]
