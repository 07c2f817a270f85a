"""What a batch is: padded sound, and the truth of its rows by annotation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from unitalker.config import SAMPLE_RATE
from unitalker.training.sources import Source

WARPS = tuple(np.geomspace(0.82, 1.2, 9))
"""Factors of vocal-tract warping; the middle one is about none."""
PLAIN_WARP = 4


@dataclass
class Item:
    """A row before collation: samples (N,) float32, identity row, codes (F, K), valid (F,) float32, residual (F,) or
    None, phones (T50,) int64 with −1 for unknown; index of the vocal-tract warp, None for sound as it is; muted mel bands
    as shares."""

    source: Source
    samples: np.ndarray
    identity: int
    codes: np.ndarray
    valid: np.ndarray
    phones: np.ndarray
    residual: np.ndarray | None = None
    warp: int | None = None
    hole: tuple[float, float] = (0.0, 0.0)


@dataclass
class Group:
    """Rows (b,) of one annotation in a batch: codes (b, F, K), valid (b, F), residual (b, F) or None, mask (K,) or None;
    each row's factor on its loss, lip opening in cm, closure factor and number of its source (b,)."""

    annotation: str
    rows: torch.Tensor
    codes: torch.Tensor
    valid: torch.Tensor
    residual: torch.Tensor | None
    mask: torch.Tensor | None
    weight: torch.Tensor
    opening: torch.Tensor
    closure: torch.Tensor
    source: torch.Tensor


@dataclass
class Batch:
    """Rows of sound, padded, and the groups of their truth.

    samples (B, N) float32; identity rows (B,); phones (B, T50) int64, −1 unknown; warp index (B,) and hole (B, 2),
    muted mel bands as first and last share, or no warp where the mel filters are the encoder's own; each row's own
    lengths in samples, frames and fps (B,), which stay on the CPU.
    whole: rows of the optimiser step that this batch is a part of, over all processes and accumulated batches. idle:
    the batch counts for nothing; it is there because this process has no rows of its own in the step.
    """

    samples: torch.Tensor
    identity: torch.Tensor
    phones: torch.Tensor
    warp: torch.Tensor | None
    hole: torch.Tensor
    lengths: torch.Tensor
    frames: torch.Tensor
    fps: torch.Tensor
    groups: list[Group]
    whole: int
    idle: bool = False

    @property
    def seconds(self) -> float:
        """Sound in it, padding aside."""
        return float(self.lengths.sum()) / SAMPLE_RATE

    def pin_memory(self) -> Batch:
        """Copies that a GPU can fetch by itself; the data loader asks for it."""
        return self._each(lambda x: x.pin_memory())

    def to(self, device: torch.device) -> Batch:
        """On a device, all but the rows' own lengths, frames and fps, which no device needs."""
        moved = self._each(lambda x: x.to(device, non_blocking=True))
        return replace(moved, lengths=self.lengths, frames=self.frames, fps=self.fps)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        groups = [replace(g, **_changed(g, change)) for g in self.groups]
        return replace(self, groups=groups, **_changed(self, change))


def _changed(
    holder: Batch | Group, change: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    values = {f.name: getattr(holder, f.name) for f in fields(holder)}
    return {name: change(value) for name, value in values.items() if isinstance(value, torch.Tensor)}


def collate(items: Sequence[Item], whole: int, idle: bool = False) -> Batch:
    """Pad and stack items; those of one annotation and mask form a group."""
    keys: dict[tuple[str, int], list[Item]] = {}
    for item in items:
        keys.setdefault((_name(item), id(item.source.mask)), []).append(item)
    row = {id(item): i for i, item in enumerate(items)}
    return Batch(
        padded([i.samples for i in items], np.float32),
        torch.tensor([i.identity for i in items], dtype=torch.int64),
        padded([i.phones for i in items], np.int64, -1),
        _warps(items),
        torch.tensor([i.hole for i in items], dtype=torch.float32).reshape(len(items), 2),
        torch.tensor([len(i.samples) for i in items], dtype=torch.int64),
        torch.tensor([len(i.codes) for i in items], dtype=torch.int64),
        torch.tensor([i.source.fps for i in items], dtype=torch.float64),
        [_group(name, own, [row[id(i)] for i in own]) for (name, _), own in keys.items()],
        whole,
        idle,
    )


def _warps(items: Sequence[Item]) -> torch.Tensor | None:
    chosen = [i.warp for i in items if i.warp is not None]
    return torch.tensor(chosen) if len(chosen) == len(items) else None


def _name(item: Item) -> str:
    assert item.source.annotation is not None
    return item.source.annotation.name


def _group(name: str, items: Sequence[Item], rows: Sequence[int]) -> Group:
    mask = items[0].source.mask
    outside = [np.zeros(len(i.codes)) if i.residual is None else i.residual for i in items]
    known = any(i.residual is not None for i in items)
    return Group(
        name,
        torch.tensor(rows),
        padded([i.codes for i in items], np.float32),
        padded([i.valid for i in items], np.float32),
        padded(outside, np.float32) if known else None,
        None if mask is None else torch.as_tensor(mask),
        torch.tensor([1.0 / i.source.energy for i in items], dtype=torch.float32),
        torch.tensor([i.source.opening for i in items], dtype=torch.float32),
        torch.tensor([i.source.closure for i in items], dtype=torch.float32),
        torch.tensor([i.source.number for i in items]),
    )


def padded(arrays: Sequence[np.ndarray], kind: type, value: float = 0) -> torch.Tensor:
    """Arrays (n, …) of different lengths → (B, max n, …), filled up with `value`."""
    longest = max((len(a) for a in arrays), default=0)
    out = np.full((len(arrays), longest, *(arrays[0].shape[1:] if arrays else ())), value, kind)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(out)
