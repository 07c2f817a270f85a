"""Batches made by other processes while this one computes."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from unitalker.errors import UniTalkerError
from unitalker.training.batches import Batch
from unitalker.training.clips import Clips
from unitalker.training.crops import Crops

AHEAD = 4
"""Batches that a worker makes before they are asked for."""


class _Told(TorchDataset):
    """Batches, or the fault that kept one from being made: raised in a worker it would come wrapped in a traceback."""

    def __init__(self, batches: Crops | Clips) -> None:
        self.batches = batches

    def __getitem__(self, number: int) -> Batch | UniTalkerError:
        try:
            return self.batches[number]
        except UniTalkerError as fault:
            return fault


def load(
    batches: Crops | Clips, numbers: Sequence[int], workers: int, pinned: bool = False
) -> Iterator[Batch]:
    """The batches of these numbers in their order. workers: processes that make them, 0: this one.

    pinned: in memory that a GPU can fetch from by itself. Raises what reading a clip raises.
    """
    loader = DataLoader(
        _Told(batches),
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        pin_memory=pinned,
        worker_init_fn=_quiet,
        generator=torch.Generator().manual_seed(0),
    )
    for batch in loader:
        if isinstance(batch, UniTalkerError):
            raise batch
        yield batch


def _quiet(_: int) -> None:
    """Workers leave an interruption to the process that trains, and take one thread each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
