"""Pre-trained speech encoders of the transformers library: WavLM, wav2vec 2.0, HuBERT. The only file that imports it."""

from __future__ import annotations

import math
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unitalker.config import FEATURE_RATE, SAMPLE_RATE, HFEncoderConfig
from unitalker.errors import ConfigError, ModelError
from unitalker.models.adaptor import adapt_aligned_rows, frame_mask
from unitalker.models.padding import group_norm, normalise, trim
from unitalker.models.presets import Encoder, published

KINDS = {"wavlm": "WavLMModel", "wav2vec2": "Wav2Vec2Model", "hubert": "HubertModel"}
"""`model_type` of a Hugging Face config → model class."""
ATTENTION = {"wavlm": "eager", "wav2vec2": "sdpa", "hubert": "sdpa"}
"""How attention is computed: the library's fused form where it has one (WavLM's gated positions have none)."""
UNTRAINED = {"masked_spec_embed"}
"""Tensors of the library's models that only SpecAugment reads; published files may lack them."""


def _library() -> Any:
    try:
        import transformers
    except ImportError:
        raise ModelError(
            "This model's encoder needs the transformers package; install it with: pip install 'unitalker[hf]'."
        ) from None
    return transformers


def describe(name: str) -> HFEncoderConfig:
    """Architecture and normalisation of an encoder by name, as a self-contained HFEncoderConfig.

    A local folder comes first, then the published encoders of `presets.ENCODERS`; for any other name the Hub is asked,
    when it may be (HF_HUB_OFFLINE is respected). Raises ModelError where nothing is found.
    """
    known = _known(name)
    if known is not None:
        return HFEncoderConfig(name=known.name, architecture=known.architecture, normalise=known.normalise)
    lib = _library()
    try:
        config = lib.AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as fault:
        raise ModelError(
            f"No encoder {name!r} can be read, as a folder or from the Hub: {_reason(name, fault)}"
        ) from None
    _check_kind(config.model_type)
    try:
        normalised = bool(lib.AutoFeatureExtractor.from_pretrained(name).do_normalize)
    except (OSError, ValueError):
        normalised = config.feat_extract_norm == "layer"
    return HFEncoderConfig(name=name, architecture=config.to_diff_dict(), normalise=normalised)


def complete(config: HFEncoderConfig) -> HFEncoderConfig:
    """The settings with architecture and normalisation filled in from the name where they are absent."""
    if config.architecture is None:
        found = describe(config.name)
        return config.model_copy(
            update={
                "name": found.name,
                "architecture": found.architecture,
                "normalise": found.normalise if config.normalise is None else config.normalise,
            }
        )
    if config.normalise is None:
        known = _known(config.name)
        layered = config.architecture.get("feat_extract_norm") == "layer"
        return config.model_copy(update={"normalise": known.normalise if known else layered})
    return config


def _known(name: str) -> Encoder | None:
    return None if Path(name).is_dir() else published(name)


def _reason(name: str, fault: Exception) -> str:
    """Why nothing was read, in a sentence: the Hub that could not be asked, else the library's first line."""
    if not Path(name).is_dir():
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            hf_hub_download(name, "config.json")
        except LocalEntryNotFoundError:
            return "the Hugging Face Hub could not be asked (offline), and its cache has no copy."
        except (OSError, ValueError):
            pass
    return str(fault).strip().split("\n")[0]


def _check_kind(kind: object) -> None:
    if kind not in KINDS:
        raise ModelError(f"The encoder's config says model_type {kind!r}; allowed are {', '.join(KINDS)}.")


def _architecture(config: HFEncoderConfig) -> Any:
    """The library's config object. Raises ModelError for kinds and rates that are no encoder here, ConfigError for values
    that the library refuses."""
    data = dict(config.architecture or {})
    kind = data.pop("model_type", None)
    _check_kind(kind)
    from huggingface_hub.errors import StrictDataclassError

    try:
        arch = _library().AutoConfig.for_model(kind, **data)
    except (StrictDataclassError, TypeError, ValueError) as fault:
        raise ConfigError(
            f"The encoder's architecture is none that the transformers library takes: {' '.join(str(fault).split())} "
            "(in YAML, 1e-05 is text; write 1.0e-5)."
        ) from None
    if getattr(arch, "add_adapter", False) or math.prod(arch.conv_stride) * FEATURE_RATE != SAMPLE_RATE:
        raise ModelError(
            f"The encoder {config.name!r} gives features at another rate than {FEATURE_RATE} a second; "
            "choose one with convolution strides of 320 samples in all and no adapter (add_adapter: false)."
        )
    arch.apply_spec_augment = False
    return arch


def _fetch(kind: Any, config: HFEncoderConfig, architecture: Any, place: str = "model.encoder") -> Any:
    """The library's model of that class with the published weights of `config.name`. place: of its settings in a run's.

    Raises ModelError where they can't be had.
    """
    known = _known(config.name)
    name = known.name if known else config.name
    try:
        found, told = kind.from_pretrained(name, config=architecture, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as fault:
        raise ModelError(
            f"The weights of {config.name!r} can't be had: {_reason(name, fault)} Give a local folder of them with "
            f"--set {place}.name=FOLDER, or begin with random weights by --set {place}.pretrained=false."
        ) from None
    missing = sorted(k for k in told["missing_keys"] if k.rpartition(".")[2] not in UNTRAINED)
    if missing:
        raise ModelError(
            f"The weights of {config.name!r} lack {missing[:3]} ({len(missing)} tensors in all); they are "
            "another architecture's than the encoder's settings."
        )
    return found


class HFEncoder(nn.Module):
    """Waveform (B, N) → contextualised features (B, T, size) at 50 Hz.

    Built from the architecture in the config, with random weights; `load_pretrained` fetches the published ones. The
    convolutional feature extractor never trains. SpecAugment is off: it refuses short clips.
    """

    def __init__(self, config: HFEncoderConfig) -> None:
        super().__init__()
        self.config = complete(config)
        arch = _architecture(self.config)
        build = getattr(_library(), KINDS[arch.model_type])
        self.model = build._from_config(arch, attn_implementation=ATTENTION[arch.model_type])
        if self.config.checkpointing:
            self.model.activation_checkpointing_enable()
        self.size = int(arch.hidden_size)
        self.steps = tuple(zip(arch.conv_kernel, arch.conv_stride, strict=True))
        self.model.feature_extractor._freeze_parameters()
        first = [f"encoder.layers.{number}." for number in range(self.config.frozen_layers)]
        still = (*first, "feature_projection.") if first else ()
        for name, parameter in self.model.named_parameters():
            if name in UNTRAINED or name.startswith(still):
                parameter.requires_grad_(False)

    @property
    def shortest(self) -> int:
        """Samples of the shortest sound that has a feature."""
        samples = 1
        for kernel, stride in reversed(self.steps):
            samples = (samples - 1) * stride + kernel
        return samples

    def load_pretrained(self) -> None:
        """Replace the weights by the published ones of `config.name`. Raises ModelError where they can't be had."""
        self.model.load_state_dict(_fetch(type(self.model), self.config, self.model.config).state_dict())

    def counts(self, lengths: torch.Tensor) -> torch.Tensor:
        """Samples (B,) → features (B,) of each row, before any adaptor."""
        for kernel, stride in self.steps:
            lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
        return lengths

    def forward(
        self,
        samples: torch.Tensor,
        lengths: torch.Tensor | None = None,
        frames: torch.Tensor | None = None,
        most: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Samples (B, N) at 16 kHz → features (B, T, size); row b is what lengths[b] samples alone would give.

        lengths: (B,) samples that are each row's own, all by default; what is behind them never counts, and neither
        does the rest of a result's row behind its own features (`counts`). On the CPU they cost no wait for a device.
        frames: (B,) for an adaptor before the transformer: each row's features are brought to so many frames.
        most: (B,) for pairs of features: a feature without a partner, and those behind so many, never reach the
        transformer.
        Raises ModelError for a row too short for one feature.
        """
        self._check(samples.shape[1] if lengths is None else int(lengths.min()))
        samples, lengths = trim(samples, lengths)
        if self.config.normalise:
            samples = normalise(samples, lengths)
        if lengths is None and frames is None and most is None:
            return self.model(samples).last_hidden_state
        features = self._convolve(samples, lengths)
        counts = None if lengths is None else self.counts(lengths)
        if frames is not None:
            have = torch.full_like(frames, features.shape[1]) if counts is None else counts.to(frames.device)
            features = adapt_aligned_rows(features, frames, have)
            counts = None if int(frames.min()) == features.shape[1] else frames
        if most is not None:
            have = torch.full_like(most, features.shape[1]) if counts is None else counts.to(most.device)
            counts = torch.minimum(have - have % 2, most).clamp(min=1)
            features = features[:, : int(counts.max())]
            counts = None if int(counts.min()) == features.shape[1] else counts
        return self._contextualise(features, counts)

    def _check(self, shortest: int) -> None:
        if shortest < self.shortest:
            raise ModelError(
                f"A sound of {shortest} samples is too short for the encoder {self.config.name!r}; the shortest has "
                f"{self.shortest} ({1000 * self.shortest / SAMPLE_RATE:g} ms at 16 kHz). Leave it out, or add silence."
            )

    def _convolve(self, samples: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        """The library's convolutional extractor, its norm over time on each row's own frames: (B, N) → (B, T, C)."""
        x = samples[:, None]
        for layer, (kernel, stride) in zip(self.model.feature_extractor.conv_layers, self.steps, strict=True):
            if lengths is not None:
                lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
            norm = getattr(layer, "layer_norm", None)
            if lengths is not None and isinstance(norm, nn.GroupNorm):
                x = layer.activation(group_norm(layer.conv(x), lengths, norm))
            else:
                x = layer(x)
        return x.transpose(1, 2)

    def _contextualise(self, features: torch.Tensor, counts: torch.Tensor | None) -> torch.Tensor:
        """The library's projection and transformer; frames behind a row's counts (B,) are zeros nobody attends to."""
        projected = self.model.feature_projection(features)
        hidden = projected[0] if isinstance(projected, tuple) else projected
        own = None if counts is None else frame_mask(counts.to(features.device), features.shape[1])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            return self.model.encoder(hidden, attention_mask=own)[0]


class Recogniser(nn.Module):
    """A published speech recogniser (CTC): waveform (B, N) → its features (B, T, size) and letters (B, T, letters).

    Random weights until `load_pretrained`.
    """

    def __init__(self, config: HFEncoderConfig, letters: int) -> None:
        super().__init__()
        self.encoder = HFEncoder(config)
        self.letters = nn.Linear(self.encoder.size, letters)

    def load_pretrained(self) -> None:
        """Replace the weights by the published ones of its name. Raises ModelError where they can't be had."""
        encoder = self.encoder
        architecture = deepcopy(encoder.model.config)
        architecture.vocab_size = self.letters.out_features
        kind = getattr(_library(), KINDS[architecture.model_type].replace("Model", "ForCTC"))
        found = _fetch(kind, encoder.config, architecture, "model.decoder.reading.recogniser")
        encoder.model.load_state_dict(found.base_model.state_dict())
        self.letters.load_state_dict(found.lm_head.state_dict())

    def forward(
        self, samples: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Samples (B, N) at 16 kHz and each row's own (B,) → features and the letters' logits at 50 Hz."""
        features = self.encoder(samples, lengths)
        return features, self.letters(features)
