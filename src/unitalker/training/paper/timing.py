"""How long models take, and how many of their parameters train."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from unitalker.animation.animator import Animator
from unitalker.models import checkpoint

SECONDS, RATE = 10, 16_000


def seconds_of(models: Mapping[str, tuple[Path, str, float]], repeats: int) -> dict[str, float]:
    """Label → seconds to animate 10 s of noise through one head at its frame rate: the median of `repeats` rounds over all models, after one
    second each to warm up."""
    sound = 0.1 * torch.randn(SECONDS * RATE, generator=torch.Generator().manual_seed(0)).numpy()
    animators = {label: Animator(checkpoint.load(folder)) for label, (folder, _, _) in models.items()}
    for label, (_, head, fps) in models.items():
        animators[label].animate((sound[:RATE], RATE), annotations=[head], fps=fps)
    taken: dict[str, list[float]] = {label: [] for label in models}
    for _ in range(repeats):
        for label, (_, head, fps) in models.items():
            begun = time.perf_counter()
            animators[label].animate((sound, RATE), annotations=[head], fps=fps)
            taken[label].append(time.perf_counter() - begun)
    return {label: statistics.median(times) for label, times in taken.items()}


def trainable(folder: Path) -> int:
    """Parameters of a model that its training changes; what never trains (convolutional extractors, teachers) is not
    counted, as in the paper's table."""
    return sum(p.numel() for p in checkpoint.load(folder).model.parameters() if p.requires_grad)
