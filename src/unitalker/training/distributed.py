"""Several processes that train one model, as torchrun starts them; a single process is the case of one."""

from __future__ import annotations

import gc
import os
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

DEPRECATED = "`broadcast_buffers` is deprecated"
"""Warning of PyTorch 2.13 on an argument that earlier ones have no other name for."""


@dataclass(frozen=True)
class Processes:
    """This process among those of a run. rank: its number, count: how many there are, local: number on its machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def chief(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def join(self, device: torch.device) -> None:
        """Meet the others: by NCCL where the device is a GPU, else by gloo. What does not say its device takes this one."""
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if self.count > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """The module with gradients averaged over the processes, for the parameters that train now.

        Heads that no process needs in a step have no gradient, as in one process.
        """
        if self.count == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        devices = [device] if device.type == "cuda" else None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", DEPRECATED, FutureWarning)
            return DistributedDataParallel(
                module, device_ids=devices, broadcast_buffers=False, find_unused_parameters=True
            )

    def exchange(self, module: nn.Module, now: bool) -> AbstractContextManager[object]:
        """Context of a backward pass; gradients are exchanged in it only where `now` is true."""
        return nullcontext() if now or not isinstance(module, DistributedDataParallel) else module.no_sync()

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over all processes; a new tensor."""
        out = tensor.clone()
        if self.count > 1:
            distributed.all_reduce(out)
        return out

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in any process."""
        return flag if self.count == 1 else bool(self.sum(torch.tensor(float(flag), device=device)))

    def leave(self) -> None:
        """Part from the others. Wrapped modules must be gone by now: alive ones abort the process at its end."""
        if self.count > 1 and distributed.is_initialized():
            gc.collect()
            distributed.destroy_process_group()


def from_environment() -> Processes:
    """This process as torchrun describes it in RANK, WORLD_SIZE and LOCAL_RANK; alone where it does not."""
    read = {key: int(os.environ.get(key, usual)) for key, usual in
            (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))}  # fmt: skip
    return Processes(read["RANK"], read["WORLD_SIZE"], read["LOCAL_RANK"])
