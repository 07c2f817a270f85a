"""Training clips in memory: 16-bit sound, codes of their annotation, phone labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import soundfile
import torch

from unitalker.annotations.base import Annotation
from unitalker.config import FEATURE_RATE, SAMPLE_RATE
from unitalker.data.dataset import ANY, Clip, Dataset
from unitalker.errors import DataError


@dataclass(frozen=True)
class PackedClip:
    """samples (N,) int16; codes (T, K) float16/32 at the source's fps; phones (ceil(seconds·50),) int16, −1 unknown."""

    samples: np.ndarray
    codes: np.ndarray | None
    identity: str
    phones: np.ndarray | None

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.samples) / SAMPLE_RATE


@dataclass
class Source:
    """One dataset, ready to draw crops from.

    energy: mean loss of a resting face, by which the loss is divided. opening: 95th percentile of the lip gap, cm.
    closure: factor on the closure term.
    """

    name: str
    annotation: str
    fps: float
    share: float
    clips: list[PackedClip]
    mask: np.ndarray | None = None
    energy: float = 1.0
    opening: float = 1.0
    closure: float = 1.0
    weights: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def rest(self) -> bool:
        """Whether the clips fit every identity: no voice, face at rest."""
        return self.annotation == ANY


class PhoneTable:
    """Phone symbol → class, in order of first sight. Class 0 is the pause."""

    def __init__(self, symbols: Sequence[str] = ("",)) -> None:
        self.index = {s: i for i, s in enumerate(symbols)}

    def __len__(self) -> int:
        return len(self.index)

    def labels(self, phones: Sequence[tuple[float, float, str]], frames: int) -> np.ndarray:
        """(frames,) int16 at 50 Hz; frames that no phone covers are pauses."""
        out = np.zeros(frames, np.int16)
        for start, end, symbol in phones:
            row = self.index.setdefault(plain(symbol), len(self.index))
            out[round(start * FEATURE_RATE) : round(end * FEATURE_RATE)] = row
        return out


def plain(symbol: str) -> str:
    """Phone symbol without stress and length marks."""
    return "".join(c for c in symbol if c not in "ˈˌː'ˑ")


def pack(
    dataset: Dataset,
    annotations: Mapping[str, Annotation],
    share: float,
    table: PhoneTable,
    *,
    split: str = "train",
    ignore: Sequence[str] = (),
) -> Source:
    """Read a split of a dataset into memory. Raises DataError for lengths that disagree by more than 0.1 s."""
    rest = dataset.subjects == (ANY,)
    annotation = None if rest else annotations[dataset.annotation]
    clips = []
    for clip in dataset.split(split):
        clips.append(_pack_clip(dataset, clip, annotation, table))
    source = Source(dataset.name, ANY if rest else dataset.annotation, dataset.fps, share, clips)
    source.weights = np.cumsum([c.seconds for c in clips])
    if annotation is not None:
        source.mask = _mask(dataset, annotation, ignore)
        source.energy = resting_energy(source, annotation)
        source.opening = lip_opening(source, annotation)
    return source


def _pack_clip(dataset: Dataset, clip: Clip, annotation: Annotation | None, table: PhoneTable) -> PackedClip:
    samples, rate = soundfile.read(dataset.path(clip.audio), dtype="int16")
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise DataError(
            f"{dataset.name}/{clip.id}: audio must be {SAMPLE_RATE} Hz mono, not {rate} Hz {samples.shape}."
        )
    codes = None
    if annotation is not None:
        values = np.asarray(dataset.motion(clip), np.float32)
        codes = (
            values if dataset.stored == "codes" else annotation.encode(_in_unit(dataset, annotation, values))
        )
        gap = len(codes) / dataset.fps - len(samples) / SAMPLE_RATE
        if abs(gap) > 0.1:
            raise DataError(f"{dataset.name}/{clip.id}: the motion is {gap:+.2f} s longer than its audio.")
    frames = len(samples) * FEATURE_RATE // SAMPLE_RATE + 1
    phones = table.labels(clip.phones, frames) if clip.phones else None
    return PackedClip(samples, codes, f"{dataset.name}/{clip.subject}", phones)


def _in_unit(dataset: Dataset, annotation: Annotation, values: np.ndarray) -> np.ndarray:
    """Stored numbers in the annotation's unit and channel order."""
    values = values * dataset.scale
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


def lip_opening(source: Source, annotation: Annotation) -> float:
    """95th percentile of the gap between the lips in cm, over some of the clips; 1 where no rig tells it."""
    if annotation.gap is None:
        return 1.0
    some = source.clips[:: max(1, len(source.clips) // 200)]
    gaps = [np.asarray(c.codes, np.float32) @ annotation.gap for c in some if c.codes is not None]
    return max(float(np.percentile(np.concatenate(gaps), 95)), 0.05)


def resting_energy(source: Source, annotation: Annotation) -> float:
    """Mean loss of a face that never moves, over the source's frames: the unit in which its loss is counted."""
    rest = torch.as_tensor(annotation.rest())
    mask = None if source.mask is None else torch.as_tensor(source.mask)
    total, frames = 0.0, 0
    for clip in source.clips[:: max(1, len(source.clips) // 200)]:
        assert clip.codes is not None
        true = torch.as_tensor(np.asarray(clip.codes, np.float32))
        total += float(annotation.loss(rest.expand_as(true), true, mask).sum())
        frames += len(true)
    return max(total / max(frames, 1), 1e-12)
