"""SelfTalk (Peng et al. 2023): a transformer over audio features, and in training a lip reader that checks its motion."""

from __future__ import annotations

import torch
from torch import nn

from unitalker.config import SelfTalkDecoderConfig, UniTalkerConfig
from unitalker.models.baselines.own import Heard, OwnDecoder
from unitalker.models.baselines.selftalk_reader import LipReader


class SelfTalk(OwnDecoder):
    """Every frame attends to all frames of its row; a linear head a mesh, which starts at zero.

    It knows no speakers: its identity table is one column of zeros that nothing reads. With the adaptor "decoder" a
    frame hears two features of 50 Hz, else one at the motion's rate.
    """

    def __init__(self, features: int, config: UniTalkerConfig) -> None:
        super().__init__()
        settings = config.decoder
        assert isinstance(settings, SelfTalkDecoderConfig)
        self.config = settings
        self.paired = config.adaptor == "decoder"
        self.identity = nn.Embedding(len(config.identities) + 1, 1)
        nn.init.zeros_(self.identity.weight)
        self.identity.requires_grad_(False)
        self.map = nn.Linear(features * (1 + self.paired), settings.width)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                settings.width, settings.heads, 2 * settings.width, settings.dropout, batch_first=True
            )
            for _ in range(settings.layers)
        )
        self.heads = nn.ModuleDict({n: nn.Linear(settings.width, dim) for n, dim in config.heads.items()})
        for parameter in self.heads.parameters():
            nn.init.zeros_(parameter)
        reading = settings.reading
        self.reader = None if reading is None else LipReader(reading, config.heads, settings.lips)
        self.losses = ("motion", "velocity", *(() if reading is None else ("latent", "text")))

    def load_pretrained(self) -> None:
        """See OwnDecoder: the recogniser's."""
        if self.reader is not None:
            self.reader.load_pretrained()

    def codes(self, heard: Heard, identity: torch.Tensor, name: str) -> torch.Tensor:
        """See OwnDecoder; identities are not looked at."""
        features = heard.two().flatten(2) if self.paired else heard.features
        audio, behind = self.map(features), ~heard.own
        x = audio
        for layer in self.layers:
            x = layer(x, audio, tgt_key_padding_mask=behind, memory_key_padding_mask=behind)
        return self.heads[name](x)

    def terms(
        self,
        heard: Heard,
        identity: torch.Tensor,
        name: str,
        true: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See OwnDecoder: squared errors of motion and of its velocity; what the lip reader makes of the motion against
        what was heard, as latent features and as text."""
        made = self.codes(heard, identity, name)
        error = made.float() - true
        error = error if mask is None else error * mask
        weights = self.config
        terms = {
            "motion": weights.motion_weight * error.square().mean(-1),
            "velocity": weights.velocity_weight * velocity_error(error, heard.own),
        }
        if self.reader is not None:
            wanted = heard.frames * 2 if self.paired else None
            latent, text = self.reader(made, name, heard, wanted)
            each = torch.ones_like(error[..., 0])
            terms["latent"] = weights.latent_weight * latent[:, None] * each
            terms["text"] = weights.text_weight * text[:, None] * each
        return made, terms


def velocity_error(error: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Errors (B, T, dim), the frames that are each row's own (B, T) → (B, T), whose mean over a row's own frames is the
    mean squared change of the error from one frame to the next."""
    change = (error[:, 1:] - error[:, :-1]).square().mean(-1) * own[:, 1:]
    frames = own.sum(1, keepdim=True)
    change = change * (frames / (frames - 1).clamp(min=1))
    return nn.functional.pad(change, (1, 0))
