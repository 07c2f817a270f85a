"""Denoising diffusion: how numbers are noised, and drawn step by step out of noise (Ho et al. 2020, Nichol 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch

LARGEST = 0.999
"""A step's share of noise at most: the cosine schedule would end at 1."""


def noise_shares(schedule: Literal["cosine", "linear"], steps: int) -> np.ndarray:
    """β (steps,) float64: how much of a step's variance is new noise.

    cosine: what is left of the signal after t of T steps is cos²((t / T + 0.008) / 1.008 · π / 2), as a variance.
    linear: from 0.0001 to 0.02 over 1000 steps, steeper over fewer.
    """
    if schedule == "linear":
        return np.linspace(1e-4, 0.02, steps) * (1000 / steps)
    left = [math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(steps + 1)]
    return np.array([min(1 - after / before, LARGEST) for before, after in zip(left, left[1:], strict=False)])


class Diffusion:
    """One noise schedule, and how it is walked back.

    steps: of the schedule; taken: those of them, evenly spread, that sampling takes (all by default), first and last
    among them. kept[t] is the signal's variance after step t, 0 … steps − 1.
    """

    def __init__(self, schedule: Literal["cosine", "linear"], steps: int, taken: int | None = None) -> None:
        self.steps = steps
        self.kept = np.cumprod(1 - noise_shares(schedule, steps))
        self.path = [round(place) for place in np.linspace(0, steps - 1, taken or steps)]

    def noised(self, clean: torch.Tensor, step: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Clean numbers (B, …), steps (B,), standard noise (B, …) → what the steps make of them."""
        kept = torch.as_tensor(self.kept, device=clean.device)[step].view(-1, *[1] * (clean.ndim - 1))
        return kept.sqrt().to(clean) * clean + (1 - kept).sqrt().to(clean) * noise

    def walk(
        self,
        denoise: Callable[[torch.Tensor, int], torch.Tensor],
        draw: Callable[[int], torch.Tensor],
    ) -> torch.Tensor:
        """Draw clean numbers: from noise to what the last step's guess says.

        denoise: numbers noised by a step's share, and the step → a guess at the clean ones. draw: standard noise by
        number, 0 for where the walk begins, then one for each step but the last.
        """
        x = draw(0)
        for number, place in enumerate(range(len(self.path) - 1, -1, -1), start=1):
            guess, old, spread = self._posterior(place)
            x = guess * denoise(x, self.path[place]) + old * x
            if place:
                x = x + spread * draw(number)
        return x

    def _posterior(self, place: int) -> tuple[float, float, float]:
        """What the guess, the present numbers and fresh noise count in the numbers one taken step earlier.

        Mean and variance of what lies before a step, given what lies behind it and the clean numbers.
        """
        kept = float(self.kept[self.path[place]])
        before = float(self.kept[self.path[place - 1]]) if place else 1.0
        share = 1 - kept / before
        guess = share * math.sqrt(before) / (1 - kept)
        old = (1 - before) * math.sqrt(1 - share) / (1 - kept)
        return guess, old, math.sqrt(share * (1 - before) / (1 - kept))


def frame_noise(seed: int, number: int, frames: int, dim: int) -> torch.Tensor:
    """Standard noise (frames, dim) float32 on the CPU: a function of seed, number, frame and channel alone.

    More frames begin with the same ones, so a clip's noise does not depend on the batch or window that it stands in.
    """
    drawn = np.random.default_rng((seed, number)).standard_normal((frames, dim), np.float32)
    return torch.from_numpy(drawn)
