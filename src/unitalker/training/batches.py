"""Batches as a pure function of (seed, step): draw sources, clips, crops, identities and corruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from unitalker.annotations.base import Annotation
from unitalker.config import FEATURE_RATE, SAMPLE_RATE, TrainConfig
from unitalker.training.augment import corrupt
from unitalker.training.pack import PackedClip, Source

WARPS = tuple(np.geomspace(0.82, 1.2, 9))
"""Factors of vocal-tract warping; the middle one is about none."""
PLAIN_WARP = 4


@dataclass
class Group:
    """Crops of one annotation and frame rate within a batch: rows (b,), codes (b, F, K), valid (b, F),
    weight, lip opening in cm and closure factor (b,)."""

    annotation: str
    fps: float
    rows: torch.Tensor
    codes: torch.Tensor
    valid: torch.Tensor
    mask: torch.Tensor | None
    weight: torch.Tensor
    opening: torch.Tensor
    closure: torch.Tensor


@dataclass
class Batch:
    """samples (B, N) float32; identity rows (B,); warp index (B,); hole (B, 2): muted mel bands as first and last share; phones (B, T50) int64, −1 unknown; groups."""

    samples: torch.Tensor
    identity: torch.Tensor
    warp: torch.Tensor
    hole: torch.Tensor
    phones: torch.Tensor
    groups: list[Group]


@dataclass
class Crop:
    """One item before collation."""

    source: Source
    annotation: str
    fps: float
    samples: np.ndarray
    identity: int
    codes: np.ndarray
    valid: np.ndarray
    phones: np.ndarray
    warp: int
    hole: tuple[float, float]


class Batches(TorchDataset):
    """`self[step]` is the batch of that step, whatever was asked before; so a resumed run sees the same data."""

    def __init__(
        self,
        sources: Sequence[Source],
        annotations: dict[str, Annotation],
        identities: Sequence[str],
        config: TrainConfig,
    ) -> None:
        self.config = config
        self.sources = list(sources)
        self.faces = [s for s in self.sources if not s.rest]
        self.noises = [s for s in self.sources if s.rest]
        self.rest = {name: a.rest() for name, a in annotations.items()}
        self.row = {name: i for i, name in enumerate(identities)}
        self.pivot = len(identities)
        share = np.array([s.share for s in self.sources])
        self.cumulative = np.cumsum(share / share.sum())

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.config.seed, step))
        return collate([self._crop(rng) for _ in range(self.config.batch)])

    def _crop(self, rng: np.random.Generator) -> Crop:
        source = self.sources[int(np.searchsorted(self.cumulative, rng.random()))]
        clip = draw(source, rng)
        augment = self.config.augment
        speed = float(np.exp(rng.uniform(-0.16, 0.16))) if rng.random() < augment.speed else 1.0
        face = source if not source.rest else self.faces[rng.integers(len(self.faces))]
        frames = round(self.config.crop_seconds * face.fps)
        start = self._start(clip, speed, face.fps, rng)
        times = start + np.arange(frames) * (speed / face.fps)
        noise = None if source.rest or not self.noises else self._noise(rng)
        samples = corrupt(self._sound(clip, start, speed), noise, rng, augment)
        if source.rest:
            codes, valid = np.tile(self.rest[face.annotation], (frames, 1)), np.ones(frames, np.float32)
        else:
            codes, valid = sample_codes(clip, times, face.fps)
        identity = self._identity(clip, face, source.rest, rng)
        warp = int(rng.integers(len(WARPS))) if rng.random() < augment.warp else PLAIN_WARP
        phones = self._phones(clip, source.rest, start, speed)
        hole = _hole(rng) if rng.random() < augment.bands else (0.0, 0.0)
        return Crop(face, face.annotation, face.fps, samples, identity, codes, valid, phones, warp, hole)

    def _start(self, clip: PackedClip, speed: float, fps: float, rng: np.random.Generator) -> float:
        room = clip.seconds - self.config.crop_seconds * speed
        start = rng.uniform(min(room, 0.0), max(room, 0.0))
        return float(np.round(start * fps) / fps)

    def _sound(self, clip: PackedClip, start: float, speed: float) -> np.ndarray:
        count = round(self.config.crop_seconds * SAMPLE_RATE)
        first = round(start * SAMPLE_RATE)
        whole = clip.samples
        if speed == 1.0:
            out = np.zeros(count, np.float32)
            low, high = max(first, 0), min(first + count, len(whole))
            out[low - first : high - first] = whole[low:high]
            return out / 32768
        where = first + np.arange(count) * speed
        low, high = max(int(where[0]), 0), min(int(where[-1]) + 2, len(whole))
        piece = whole[low:high].astype(np.float32)
        return np.interp(where, np.arange(low, high), piece, 0, 0).astype(np.float32) / 32768

    def _noise(self, rng: np.random.Generator) -> np.ndarray:
        clip = draw(self.noises[rng.integers(len(self.noises))], rng)
        count = round(self.config.crop_seconds * SAMPLE_RATE)
        first = int(rng.integers(max(1, len(clip.samples) - count)))
        return clip.samples[first : first + count].astype(np.float32) / 32768

    def _identity(self, clip: PackedClip, face: Source, rest: bool, rng: np.random.Generator) -> int:
        if rng.random() < (0.4 if rest else self.config.pivot):
            return self.pivot
        name = face.clips[rng.integers(len(face.clips))].identity if rest else clip.identity
        return self.row[name]

    def _phones(self, clip: PackedClip, rest: bool, start: float, speed: float) -> np.ndarray:
        count = round(self.config.crop_seconds * FEATURE_RATE)
        out = np.full(count, 0 if rest else -1, np.int64)
        if clip.phones is not None:
            where = np.round((start + np.arange(count) * speed / FEATURE_RATE) * FEATURE_RATE).astype(int)
            inside = (where >= 0) & (where < len(clip.phones))
            out[inside] = clip.phones[where[inside]]
        return out


def _hole(rng: np.random.Generator) -> tuple[float, float]:
    first = rng.uniform(0, 1)
    return first, min(1.0, first + rng.uniform(0, 0.2))


def draw(source: Source, rng: np.random.Generator) -> PackedClip:
    """A clip, with probability in proportion to its length."""
    return source.clips[int(np.searchsorted(source.weights, rng.random() * source.weights[-1]))]


def sample_codes(clip: PackedClip, times: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Codes at clock times (linear between frames) and 1 where the clip covers the time, else 0."""
    assert clip.codes is not None
    last = len(clip.codes) - 1
    where = np.clip(times * fps, 0, last)
    low = np.floor(where + 1e-6).astype(int)
    high = np.minimum(low + 1, last)
    part = np.maximum(where - low, 0)[:, None].astype(np.float32)
    codes = clip.codes[low] * (1 - part) + clip.codes[high] * part
    valid = (times > -1e-6) & (times * fps < last + 0.5)
    return codes.astype(np.float32), valid.astype(np.float32)


def collate(crops: Sequence[Crop]) -> Batch:
    """Stack crops; those of one annotation, frame rate and mask form a group."""
    keys: dict[tuple[str, float, int], list[int]] = {}
    for i, crop in enumerate(crops):
        keys.setdefault((crop.annotation, crop.fps, id(crop.source.mask)), []).append(i)
    groups = []
    for (annotation, fps, _), rows in keys.items():
        first = crops[rows[0]].source.mask
        groups.append(
            Group(
                annotation,
                fps,
                torch.tensor(rows),
                torch.as_tensor(np.stack([crops[i].codes for i in rows])),
                torch.as_tensor(np.stack([crops[i].valid for i in rows])),
                None if first is None else torch.as_tensor(first),
                torch.tensor([1.0 / crops[i].source.energy for i in rows], dtype=torch.float32),
                torch.tensor([crops[i].source.opening for i in rows], dtype=torch.float32),
                torch.tensor([crops[i].source.closure for i in rows], dtype=torch.float32),
            )
        )
    return Batch(
        torch.as_tensor(np.stack([c.samples for c in crops])),
        torch.tensor([c.identity for c in crops]),
        torch.tensor([c.warp for c in crops]),
        torch.tensor([c.hole for c in crops]),
        torch.as_tensor(np.stack([c.phones for c in crops])),
        groups,
    )
