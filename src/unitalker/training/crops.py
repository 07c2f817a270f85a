"""Crops as a pure function of (seed, step): draw sources, clips, places, identities and corruption."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.config import FEATURE_RATE, SAMPLE_RATE, TrainConfig
from unitalker.training.augment import corrupt
from unitalker.training.batches import PLAIN_WARP, WARPS, Batch, Item, collate
from unitalker.training.road import Road
from unitalker.training.sources import PackedClip, Source


class Crops(Road):
    """Pieces of one length, drawn by the shares of their datasets."""

    def __init__(
        self,
        sources: Sequence[Source],
        annotations: dict[str, Annotation],
        identities: Sequence[str],
        config: TrainConfig,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__(sources, annotations, identities, config, share)
        self.noises = [s for s in self.sources if s.rest]
        drawn = np.array([s.share for s in self.sources])
        self.cumulative = np.cumsum(drawn / drawn.sum())
        self.lengths = {id(s): np.cumsum([c.seconds for c in s.clips]) for s in self.sources}

    def report(self) -> list[str]:
        """Sentences on what is drawn from."""
        return [f"{source.dataset.name}: {source.amount}" for source in self.sources]

    def steps_of(self, epochs: int) -> int:
        """Steps in which as much sound is drawn as there is, so many times."""
        seconds = sum(float(x[-1]) for x in self.lengths.values())
        step = self.config.batch * self.config.accumulate * self.config.crop_seconds
        return max(1, math.ceil(seconds / step)) * epochs

    def epochs_done(self, step: int) -> int | None:
        """Whole epochs after so many steps; None within one."""
        epochs, rest = divmod(step, self.steps_of(1))
        return None if rest else epochs

    def __getitem__(self, number: int) -> Batch:
        step, part = divmod(number, self.config.accumulate)
        rows = range(part * self.config.batch, (part + 1) * self.config.batch)
        own = rows[self.share[0] :: self.share[1]]
        crops = [self._crop(np.random.default_rng((self.config.seed, step, r))) for r in own or rows[:1]]
        return collate(crops, self.config.batch * self.config.accumulate, idle=not own)

    def _crop(self, rng: np.random.Generator) -> Item:
        source = self.sources[int(np.searchsorted(self.cumulative, rng.random()))]
        clip = self._draw(source, rng)
        augment = self.config.augment
        speed = float(np.exp(rng.uniform(-0.16, 0.16))) if rng.random() < augment.speed else 1.0
        face = source if not source.rest else self.faces[rng.integers(len(self.faces))]
        frames = round(self.config.crop_seconds * face.fps)
        start = self._start(clip, speed, face.fps, rng)
        times = start + np.arange(frames) * (speed / face.fps)
        noise = None if source.rest or not self.noises else self._noise(rng)
        samples = corrupt(self._sound(clip, start, speed), noise, rng, augment)
        if source.rest:
            assert face.annotation is not None
            codes, valid = np.tile(self.rest[face.annotation.name], (frames, 1)), np.ones(frames, np.float32)
        else:
            codes, valid = sample_codes(clip, times, face.fps)
        identity = self.identity(clip, face, source.rest, rng)
        warp = int(rng.integers(len(WARPS))) if rng.random() < augment.warp else PLAIN_WARP
        phones = self._phones(clip, source.rest, start, speed)
        hole = _hole(rng) if rng.random() < augment.bands else (0.0, 0.0)
        return Item(face, samples, identity, codes, valid, phones, None, warp, hole)

    def _draw(self, source: Source, rng: np.random.Generator) -> PackedClip:
        """A clip, with probability in proportion to its length."""
        ends = self.lengths[id(source)]
        return source.read(int(np.searchsorted(ends, rng.random() * ends[-1])))

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
        clip = self._draw(self.noises[rng.integers(len(self.noises))], rng)
        count = round(self.config.crop_seconds * SAMPLE_RATE)
        first = int(rng.integers(max(1, len(clip.samples) - count)))
        return clip.samples[first : first + count].astype(np.float32) / 32768

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
