"""The training loop that ours is measured against: what the published release does, written from its facts.

One clip a step. All datasets lie in memory as vertices. Each step runs encoder and decoder, turns coefficients into
vertices on the template, encodes the truth into coefficients, and takes the mean squared error of both (Eq. 2, lambda
0.01 for coefficients, 0.0001 for weights, whose vertices come from the rig's shapes). Adam, learning rate 1e-4. The
encoder is the transformers library's own, with eager attention that returns its weights. It has ours' parameters.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch
import transformers
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from unitalker.annotations.base import Annotation
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.config import SAMPLE_RATE
from unitalker.data.dataset import open_dataset
from unitalker.models.hf import KINDS, HFEncoder
from unitalker.models.unitalker import UniTalker
from unitalker.rig import builtin_head

PIVOT_SHARE = 0.1


@dataclass(frozen=True)
class Item:
    """A clip in memory: audio (1, N), motion on its template (1, T, D), template (1, D), identity row (1,)."""

    annotation: str
    audio: torch.Tensor
    motion: torch.Tensor
    template: torch.Tensor
    identity: torch.Tensor

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return self.audio.shape[1] / SAMPLE_RATE


ENCODER = ("encoder forward", "encoder backward")
REST = ("decoder and loss forward", "decoder and loss backward")
OPTIMISER = "optimiser"


@dataclass
class Clock:
    """Seconds by part of a step: of the processor, or, where device is a GPU, by the clock after it has done its work."""

    device: torch.device | None = None
    parts: dict[str, float] = field(default_factory=dict)
    begun: float = 0.0

    def start(self) -> None:
        """The next part begins now."""
        self.begun = self._now()

    def stop(self, part: str) -> None:
        """The time since `start`, or the last stop, was `part`."""
        now = self._now()
        self.parts[part] = self.parts.get(part, 0.0) + now - self.begun
        self.begun = now

    def _now(self) -> float:
        if self.device is None or self.device.type != "cuda":
            return time.process_time()
        torch.cuda.synchronize(self.device)
        return time.perf_counter()


def read_items(folders: Sequence[Path], annotations: dict[str, Annotation], model: UniTalker) -> list[Item]:
    """Every clip of the datasets, decoded to vertices, in memory."""
    items = []
    for folder in folders:
        dataset = open_dataset(folder)
        annotation = annotations[dataset.annotation]
        assert dataset.stored == "codes" or dataset.names == annotation.names
        neutral = annotation.template()
        template = (
            torch.zeros(1, annotation.dim) if neutral is None else torch.as_tensor(neutral.reshape(1, -1))
        )
        for clip in dataset.clips:
            samples, _ = soundfile.read(dataset.path(clip.audio), dtype="float32")
            values = dataset.motion(clip)
            values = annotation.decode(values) if dataset.stored == "codes" else values
            row = model.identity_row(f"{dataset.name}/{clip.subject}")
            motion = (torch.as_tensor(np.array(values)) + template)[None]
            audio = torch.as_tensor(samples)[None]
            items.append(Item(annotation.name, audio, motion, template, torch.tensor([row])))
    return items


@dataclass(frozen=True)
class Decoder:
    """Coefficients or weights to vertices and back: vertices = codes @ components + mean."""

    components: torch.Tensor
    mean: torch.Tensor
    weight: float

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (1, T, K) → displacements (1, T, D)."""
        return codes @ self.components + self.mean

    def encode(self, displacements: torch.Tensor) -> torch.Tensor:
        """Displacements (1, T, D) → coefficients (1, T, K) of an orthonormal basis."""
        return (displacements - self.mean) @ self.components.T


def decoders(annotations: dict[str, Annotation], device: torch.device) -> dict[str, Decoder]:
    """A decoder for every annotation: its basis, or the shapes of the built-in rig in centimetres."""
    rig, out = builtin_head(), {}
    for name, annotation in annotations.items():
        if isinstance(annotation, VertexAnnotation) and annotation.basis is not None:
            rows, mean, weight = annotation.basis.components, annotation.basis.mean, 0.01
        else:
            shapes = np.asarray(rig.shapes, np.float32).reshape(len(rig.shapes), -1)
            rows = 100 * shapes[[rig.shape_names.index(n) for n in annotation.names]]
            mean, weight = np.zeros(rows.shape[1], np.float32), 0.0001
        out[name] = Decoder(_tensor(rows, device), _tensor(mean, device), weight)
    return out


def _tensor(array: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(np.array(array, np.float32)).to(device)


def plain_encoder(encoder: HFEncoder) -> nn.Module:
    """The library's own module with the parameters of ours, eager attention that returns its weights, frozen front."""
    kind = KINDS[encoder.model.config.model_type]
    config = type(encoder.model.config).from_dict(encoder.model.config.to_dict())
    config.apply_spec_augment = False
    module = getattr(transformers, kind)._from_config(config, attn_implementation="eager")
    module.load_state_dict(encoder.model.state_dict())
    module.feature_extractor._freeze_parameters()
    return module


class Loop:
    """The loop itself: `step` for each of `clips`."""

    def __init__(self, model: UniTalker, annotations: dict[str, Annotation], folders: Sequence[Path]) -> None:
        assert isinstance(model.encoder, HFEncoder)
        self.device = next(model.parameters()).device
        self.encoder = plain_encoder(model.encoder).to(self.device)
        self.model = copy.deepcopy(model)
        self.model.encoder = self.encoder
        self.decoders = decoders(annotations, self.device)
        self.items = read_items(folders, annotations, model)
        chosen = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(chosen, lr=1e-4)
        self.random = np.random.default_rng(0)

    def clips(self) -> Iterator[Item]:
        """All clips in random order, again and again."""
        while True:
            yield from DataLoader(self.items, batch_size=1, shuffle=True, collate_fn=lambda items: items[0])

    def step(self, item: Item, clock: Clock | None = None) -> float:
        """One optimiser step on one clip; the loss. clock: told how long each part takes."""
        self.model.train()
        clock = clock or Clock()
        audio, motion, template, identity = (
            t.to(self.device) for t in (item.audio, item.motion, item.template, item.identity)
        )
        if self.random.random() < PIVOT_SHARE:
            identity = torch.full_like(identity, len(self.model.config.identities))
        clock.start()
        features = self.features(audio)
        clock.stop(ENCODER[0])
        cut = features.detach().requires_grad_()
        loss = self.loss(cut, identity, motion, template, item.annotation)
        clock.stop(REST[0])
        self.optimiser.zero_grad()
        loss.backward()
        clock.stop(REST[1])
        if features.requires_grad:
            features.backward(cut.grad)
        clock.stop(ENCODER[1])
        self.optimiser.step()
        clock.stop(OPTIMISER)
        return loss.item()

    def features(self, audio: torch.Tensor) -> torch.Tensor:
        """Samples (1, N) → features (1, T, F) at 50 Hz."""
        return self.encoder(audio, output_attentions=True).last_hidden_state

    def loss(
        self,
        features: torch.Tensor,
        identity: torch.Tensor,
        motion: torch.Tensor,
        template: torch.Tensor,
        annotation: str,
    ) -> torch.Tensor:
        """Eq. 2 on a clip's vertices (1, T, D) and codes, the truth encoded anew."""
        there = F.interpolate(features.mT, motion.shape[1], mode="linear", align_corners=True).mT
        hidden = self.model.decoder(there, self.model.embed(identity))
        codes = self.model.heads[annotation](hidden)
        decoder = self.decoders[annotation]
        if decoder.components.shape[1] != motion.shape[2]:
            vertices, true = decoder.decode(codes), decoder.decode(motion)
            return F.mse_loss(vertices, true) + decoder.weight * F.mse_loss(codes, motion)
        vertices = decoder.decode(codes) + template
        true = decoder.encode(motion - template)
        return F.mse_loss(vertices, motion) + decoder.weight * F.mse_loss(codes, true)
