"""Figures as TensorBoard event files. The only file that needs the tensorboard package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from unitalker.errors import ConfigError


class Events:
    """Event files in a folder. step: the one that a run goes on from; figures of later ones are shown no more.

    Raises ConfigError where the package is missing.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError(
                "tensorboard: true needs the tensorboard package; install it with: pip install 'unitalker[tensorboard]', "
                "or set it to false: metrics.jsonl has the same figures."
            ) from None
        self.writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Add the figures of a step."""
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def close(self) -> None:
        """Finish the files."""
        self.writer.close()
