"""Whole clips as batches: read on demand, padded, all annotations mixed; a pure function of (seed, epoch)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.config import SAMPLE_RATE, TrainConfig
from unitalker.errors import DataError
from unitalker.training.batches import Batch, Item, collate
from unitalker.training.order import Order, repeat_factors
from unitalker.training.road import Road
from unitalker.training.sources import FEATURE_STEP, PackedClip, Source, read_clip, sample

SHORTEST = 400 / SAMPLE_RATE
"""Seconds of the shortest sound that published encoders take."""
HELD_BYTES = 64e6
"""Datasets that take less than so much memory together are held there where the settings do not say."""


class Clips(Road):
    """Whole clips, by epochs. Kept in memory per clip: its dataset, its number there, first and last frame, length."""

    def __init__(
        self,
        sources: Sequence[Source],
        annotations: dict[str, Annotation],
        identities: Sequence[str],
        config: TrainConfig,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__(sources, annotations, identities, config, share)
        self.pieces = np.concatenate([_pieces(n, s, config.max_seconds) for n, s in enumerate(self.sources)])
        rates = np.array([s.fps for s in self.sources])[self.pieces["source"]]
        seconds = (self.pieces["last"] - self.pieces["first"]) / rates
        sizes = np.bincount(self.pieces["source"], minlength=len(self.sources)).tolist()
        factors = repeat_factors(sizes, [s.repeat for s in self.sources], config.balance)
        self.order = Order(seconds, self.pieces["source"], factors, config)
        small = sum(s.bytes_held() for s in self.sources) < HELD_BYTES
        if small if config.held is None else config.held:
            for source in self.sources:
                source.hold()

    def report(self) -> list[str]:
        """Sentences on what an epoch holds, and on clips that are cut."""
        lines = []
        for number, source in enumerate(self.sources):
            own = int((self.pieces["source"] == number).sum())
            cut = f"; those above {self.config.max_seconds:g} s are cut, which makes {own}"
            lines.append(
                f"{source.dataset.name}: {source.amount}, "
                f"{self.order.factors[number]:.3g} times an epoch{cut if own > len(source.clips) else ''}"
            )
        return lines

    def steps_of(self, epochs: int) -> int:
        """Steps of the first so many epochs together."""
        return self.order.steps_of(epochs)

    def epochs_done(self, step: int) -> int | None:
        """Whole epochs after so many steps; None within one."""
        return self.order.epochs_done(step)

    def __getitem__(self, number: int) -> Batch:
        step, part = divmod(number, self.config.accumulate)
        epoch, place = self.order.locate(step)
        chosen = self.order.epoch(epoch)[place]
        rows = np.array_split(np.arange(len(chosen)), self.config.accumulate)[part]
        own = rows[self.share[0] :: self.share[1]].tolist()
        items = [
            self._item(chosen[i], np.random.default_rng((self.config.seed, epoch, place, i)))
            for i in own or [0]
        ]
        return collate(items, len(chosen), idle=not own)

    def _item(self, piece: int, rng: np.random.Generator) -> Item:
        number, index, first, last = self.pieces[piece]
        source = self.sources[number]
        face = self.faces[rng.integers(len(self.faces))] if source.rest else source
        clip = _part(source, int(index), int(first), int(last))
        assert face.annotation is not None
        frames = round(len(clip.samples) / SAMPLE_RATE * face.fps)
        if clip.codes is None:
            codes = np.tile(self.rest[face.annotation.name], (frames, 1))
        else:
            codes = clip.codes[:frames]
        if not len(codes):
            raise DataError(
                f"{source.dataset.name}/{source.clips[index].id}: it is too short for one frame of motion; remove it "
                "from the manifest."
            )
        end = None if frames <= len(codes) else sample(len(codes), face.fps)
        samples = clip.samples[:end].astype(np.float32) / 32768
        residual = None if clip.residual is None else clip.residual[: len(codes)]
        valid = np.ones(len(codes), np.float32)
        return Item(
            face,
            samples,
            self.identity(clip, face, source.rest, rng),
            codes,
            valid,
            _labels(clip, source.rest),
            residual,
        )


PIECE = np.dtype([("source", np.int32), ("clip", np.int32), ("first", np.int32), ("last", np.int32)])


def _pieces(number: int, source: Source, longest: float) -> np.ndarray:
    """First and last frames of a source's clips, each cut into equal pieces of at most `longest` seconds."""
    rows = []
    for index, clip in enumerate(source.clips):
        if clip.seconds < SHORTEST or round(clip.seconds * source.fps) < 1:
            raise DataError(
                f"{source.dataset.name}/{clip.id}: {clip.seconds:g} s are too short to train on (a frame of motion and "
                f"{SHORTEST:g} s of sound are the least); remove it from the manifest."
            )
        count = math.ceil(clip.seconds / longest)
        edges = np.linspace(0, clip.seconds * source.fps, count + 1).round().astype(int)
        rows += [(number, index, *edge) for edge in zip(edges, edges[1:], strict=False)]
    return np.array(rows, PIECE)


def _part(source: Source, index: int, first: int, last: int) -> PackedClip:
    """A piece of a clip; the one at the clip's end goes as far as its files do."""
    clip = source.clips[index]
    end = None if last >= round(clip.seconds * source.fps) else last
    if source.held is None:
        return read_clip(source, clip, first, end)
    return source.held[index].cut(first, end, source.fps)


def _labels(clip: PackedClip, rest: bool) -> np.ndarray:
    if clip.phones is not None:
        return clip.phones.astype(np.int64)
    return np.full(len(clip.samples) // FEATURE_STEP + 1, 0 if rest else -1, np.int64)
