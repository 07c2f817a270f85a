"""Pre-trained speech encoders of the transformers library: WavLM, wav2vec 2.0, HuBERT. The only file that imports it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from unitalker.config import HFEncoderConfig
from unitalker.errors import ModelError

KINDS = {"wavlm": "WavLMModel", "wav2vec2": "Wav2Vec2Model", "hubert": "HubertModel"}
"""`model_type` of a Hugging Face config → model class."""


def _library() -> Any:
    try:
        import transformers
    except ImportError:
        raise ModelError(
            "This model's encoder needs the transformers package; install it with: pip install 'unitalker[hf]'."
        ) from None
    return transformers


def describe(name: str) -> HFEncoderConfig:
    """Architecture and normalisation of a Hub name or local folder, as a self-contained HFEncoderConfig.

    The Hub is asked only when it may be (HF_HUB_OFFLINE is respected). Raises ModelError where nothing is found.
    """
    lib = _library()
    try:
        config = lib.AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as fault:
        raise ModelError(
            f"No encoder {name!r} can be read, as a folder or from the Hub: {_first_line(fault)}"
        ) from None
    if config.model_type not in KINDS:
        raise ModelError(f"{name!r} is a {config.model_type!r} model; encoders here are {', '.join(KINDS)}.")
    try:
        normalise = bool(lib.AutoFeatureExtractor.from_pretrained(name).do_normalize)
    except (OSError, ValueError):
        normalise = config.feat_extract_norm == "layer"
    return HFEncoderConfig(name=name, architecture=config.to_diff_dict(), normalise=normalise)


def _first_line(fault: Exception) -> str:
    return str(fault).strip().split("\n")[0]


class HFEncoder(nn.Module):
    """Waveform (B, N) → contextualised features (B, T, size) at 50 Hz.

    Built from the architecture in the config, with random weights; `load_pretrained` fetches the published ones. The
    convolutional feature extractor never trains. SpecAugment is off: it refuses short clips.
    """

    def __init__(self, config: HFEncoderConfig) -> None:
        super().__init__()
        if config.architecture is None:
            config = describe(config.name)
        lib = _library()
        data = dict(config.architecture or {})
        kind = data.pop("model_type", None)
        if kind not in KINDS:
            raise ModelError(
                f"The encoder's config says model_type {kind!r}; allowed are {', '.join(KINDS)}."
            )
        arch = lib.AutoConfig.for_model(kind, **data)
        arch.apply_spec_augment = False
        self.config = config
        self.model = getattr(lib, KINDS[kind])(arch)
        self.size = int(arch.hidden_size)
        for parameter in self.model.feature_extractor.parameters():
            parameter.requires_grad_(False)

    def load_pretrained(self) -> None:
        """Replace the weights by the published ones of `config.name`. Raises ModelError where they can't be had."""
        try:
            found = type(self.model).from_pretrained(self.config.name, config=self.model.config)
        except (OSError, ValueError) as fault:
            raise ModelError(
                f"The weights of {self.config.name!r} can't be had: {_first_line(fault)} Give a local folder as the "
                "encoder's name, or set encoder.pretrained to false to begin with random weights."
            ) from None
        self.model.load_state_dict(found.state_dict())

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Samples (B, N) at 16 kHz, all of one length → (B, T, size)."""
        if self.config.normalise:
            spread = samples.var(-1, keepdim=True, unbiased=False)
            samples = (samples - samples.mean(-1, keepdim=True)) / torch.sqrt(spread + 1e-7)
        return self.model(samples).last_hidden_state
