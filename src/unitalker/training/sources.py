"""Datasets as training reads them: clips on demand or held in memory, as 16-bit sound, codes and phone labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
import torch

from unitalker.annotations.base import Annotation
from unitalker.config import FEATURE_RATE, SAMPLE_RATE, SourceConfig
from unitalker.data.dataset import ANY, Clip, Dataset
from unitalker.errors import DataError
from unitalker.training.phones import PhoneTable

TOLERANCE = 0.1
"""Seconds by which sound and motion of a clip may differ; the longer one is cut."""
FEATURE_STEP = SAMPLE_RATE // FEATURE_RATE
"""Samples between phone labels."""
SAMPLED = 200
"""Clips, spread over a dataset, that its usual energy and lip opening are measured on."""


@dataclass(frozen=True)
class PackedClip:
    """samples (N,) int16; codes (T, K) float32 at the source's fps; residual (T,): energy outside the codes' basis;
    phones (ceil(seconds·50),) int16, −1 unknown."""

    samples: np.ndarray
    codes: np.ndarray | None
    identity: str
    phones: np.ndarray | None
    residual: np.ndarray | None = None

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.samples) / SAMPLE_RATE

    def cut(self, first: int, last: int | None, fps: float) -> PackedClip:
        """The frames first … last, with their sound."""
        start, stop = sample(first, fps), None if last is None else sample(last, fps)
        samples = self.samples[start:stop]
        labels = slice(start // FEATURE_STEP, start // FEATURE_STEP + len(samples) // FEATURE_STEP + 1)
        codes, residual = (None if x is None else x[first:last] for x in (self.codes, self.residual))
        phones = None if self.phones is None else self.phones[labels]
        return PackedClip(samples, codes, self.identity, phones, residual)


@dataclass
class Source:
    """One split of a dataset, with what its loss needs; `read` gives its clips.

    energy: what the loss is divided by, the mean loss of a resting face or 1. opening: 95th percentile of the lip gap,
    cm. closure: factor on the closure term. held: the clips, where they are kept in memory.
    number: its place among the run's sources.
    """

    dataset: Dataset
    annotation: Annotation | None
    clips: list[Clip]
    table: PhoneTable
    share: float = 1.0
    repeat: float = 1.0
    mask: np.ndarray | None = None
    energy: float = 1.0
    opening: float = 1.0
    closure: float = 1.0
    held: list[PackedClip] | None = None
    number: int = 0

    @property
    def rest(self) -> bool:
        """Whether the clips fit every identity: no voice, face at rest."""
        return self.annotation is None

    @property
    def fps(self) -> float:
        """Frames a second of the motion."""
        return self.dataset.fps

    @property
    def amount(self) -> str:
        """How much there is, for people: "1 clip, 4.2 s"; minutes and hours where there is more."""
        seconds = sum(clip.seconds for clip in self.clips)
        unit, size = next(x for x in (("h", 3600), ("min", 60), ("s", 1)) if seconds >= x[1] or x[0] == "s")
        return f"{len(self.clips)} clip{'' if len(self.clips) == 1 else 's'}, {seconds / size:.4g} {unit}"

    def identity(self, clip: Clip) -> str:
        """Name of who is heard in a clip."""
        return f"{self.dataset.name}/{clip.subject}"

    def read(self, index: int) -> PackedClip:
        """A whole clip. Raises DataError where its files do not fit."""
        return read_clip(self, self.clips[index]) if self.held is None else self.held[index]

    def some(self, count: int = SAMPLED) -> list[PackedClip]:
        """About `count` clips, spread over the source."""
        return [self.read(i) for i in range(0, len(self.clips), max(1, len(self.clips) // count))]

    def hold(self) -> None:
        """Keep all clips in memory."""
        self.held = [read_clip(self, clip) for clip in self.clips]

    def bytes_held(self) -> float:
        """About how much memory `hold` takes."""
        width = 0 if self.annotation is None else self.annotation.head_dim
        return sum(c.seconds for c in self.clips) * (2 * SAMPLE_RATE + 4 * width * self.fps)


def open_source(
    dataset: Dataset,
    annotations: Mapping[str, Annotation],
    table: PhoneTable,
    config: SourceConfig,
    split: str = "train",
) -> Source:
    """A split of a dataset; nothing but the manifest is read. Raises DataError for a split that is not there."""
    annotation = None if dataset.subjects == (ANY,) else annotations[dataset.annotation]
    clips = dataset.split(split)
    for clip in clips:
        table.learn(clip.phones)
    repeat = config.share if config.repeat is None else config.repeat
    source = Source(dataset, annotation, clips, table, config.share, repeat, closure=config.closure)
    if annotation is not None:
        source.mask = _mask(dataset, annotation, config.ignore)
    return source


def read_clip(source: Source, clip: Clip, first: int = 0, last: int | None = None) -> PackedClip:
    """A clip, or its frames first … last.

    Raises DataError for sound that is not 16 kHz mono and for lengths that disagree by more than 0.1 s.
    """
    dataset, codes, outside, phones = source.dataset, None, None, None
    start, stop = sample(first, source.fps), None if last is None else sample(last, source.fps)
    samples, whole = _sound(dataset, clip, start, stop)
    if source.annotation is not None:
        stored = dataset.motion(clip)
        gap = len(stored) / dataset.fps - whole / SAMPLE_RATE
        if abs(gap) > TOLERANCE:
            raise DataError(f"{dataset.name}/{clip.id}: the motion is {gap:+.2f} s longer than its audio.")
        codes = _codes(source, np.array(stored[first:last], np.float32), source.identity(clip))
        residual = dataset.residual(clip)
        outside = None if residual is None else np.array(residual[first:last], np.float32)
    if clip.phones:
        labels = source.table.labels(clip.phones, whole // FEATURE_STEP + 1)
        phones = labels[start // FEATURE_STEP :][: len(samples) // FEATURE_STEP + 1]
    return PackedClip(samples, codes, source.identity(clip), phones, outside)


def sample(frame: int, fps: float) -> int:
    """First sample of a motion frame."""
    return round(frame / fps * SAMPLE_RATE)


def _sound(dataset: Dataset, clip: Clip, start: int, stop: int | None) -> tuple[np.ndarray, int]:
    """Samples start … stop (n,) int16, and how many the file holds in all."""
    try:
        with dataset.open(clip.audio) as file, soundfile.SoundFile(file) as sound:
            rate, channels, whole = sound.samplerate, sound.channels, sound.frames
            sound.seek(min(start, whole))
            samples = sound.read(-1 if stop is None else stop - start, dtype="int16")
    except soundfile.LibsndfileError as fault:
        raise DataError(f"{dataset.name}/{clip.id}: its audio cannot be read: {fault}") from None
    if rate != SAMPLE_RATE or channels != 1:
        raise DataError(
            f"{dataset.name}/{clip.id}: audio must be {SAMPLE_RATE} Hz mono, not {rate} Hz with {channels} channels."
        )
    return samples, whole


def _codes(source: Source, values: np.ndarray, identity: str) -> np.ndarray:
    """Codes of stored numbers, without what animation adds to every frame of the identity."""
    annotation = source.annotation
    assert annotation is not None
    if source.dataset.stored == "codes":
        return values
    values, added = _in_unit(source.dataset, annotation, values), annotation.added(identity)
    return annotation.encode(values if added is None else values - added)


def _in_unit(dataset: Dataset, annotation: Annotation, values: np.ndarray) -> np.ndarray:
    """Stored numbers in the annotation's unit and channel order."""
    values = values if dataset.scale == 1.0 else values * dataset.scale
    if annotation.kind == "vertices" or dataset.names == annotation.names:
        return values
    column = {n: i for i, n in enumerate(dataset.names)}
    missing = [n for n in annotation.names if n not in column]
    if missing:
        raise DataError(
            f"{dataset.name}: its channels lack {missing[0]!r} of the annotation {annotation.name!r}."
        )
    return values[:, [column[n] for n in annotation.names]]


def _mask(dataset: Dataset, annotation: Annotation, ignore: Sequence[str]) -> np.ndarray | None:
    if annotation.kind != "blendshapes" or (dataset.known is None and not ignore):
        return None
    known = set(annotation.names if dataset.known is None else dataset.known)
    return np.array([n in known and not n.startswith(tuple(ignore)) for n in annotation.names], np.float32)


def lip_opening(source: Source) -> float:
    """95th percentile of the gap between the lips in cm, over some of the clips; 1 where no rig tells it."""
    if source.annotation is None or source.annotation.gap is None:
        return 1.0
    gaps = [c.codes @ source.annotation.gap for c in source.some() if c.codes is not None]
    return max(float(np.percentile(np.concatenate(gaps), 95)), 0.05)


def resting_energy(source: Source) -> float:
    """Mean loss of a face that never moves, over some of the clips: the unit in which its loss is counted."""
    annotation = source.annotation
    assert annotation is not None
    rest = torch.as_tensor(annotation.rest())
    mask = None if source.mask is None else torch.as_tensor(source.mask)
    total, frames = 0.0, 0
    for clip in source.some():
        true = torch.as_tensor(clip.codes)
        total += float(annotation.loss(rest.expand_as(true), true, mask).sum())
        frames += len(true)
    return max(total / max(frames, 1), 1e-12)
