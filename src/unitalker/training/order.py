"""The order of clips: which of them an optimiser step holds, a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unitalker.config import TrainConfig
from unitalker.errors import DataError

JITTER = 0.05
"""Spread of the random factor on lengths before sorting, so that a clip's repetitions do not stand side by side."""


def repeat_factors(sizes: Sequence[int], repeats: Sequence[float], balance: str) -> np.ndarray:
    """How often an epoch holds the clips of each dataset, from their numbers of clips and their own factors.

    "repeat": the factors themselves. "equal" and "sqrt": the factors over the size, or over its root, scaled such that
    an epoch is as long as all clips together.
    """
    size, factor = np.asarray(sizes, float), np.asarray(repeats, float)
    if balance == "repeat":
        return factor
    factor = factor / size ** {"equal": 1.0, "sqrt": 0.5}[balance]
    return factor * size.sum() / (factor * size).sum()


class Order:
    """Steps of clips. seconds: (n,) length of each clip; source: (n,) number of its dataset; factors: of each dataset.

    An epoch holds every clip floor(factor) times, and a random part of them once more for the rest of the factor.
    Clips are shuffled, sorted by length within windows of `bucket` steps, cut into steps; the steps are shuffled.
    Raises DataError where the factors leave nothing in an epoch.
    """

    def __init__(
        self, seconds: np.ndarray, source: np.ndarray, factors: np.ndarray, config: TrainConfig
    ) -> None:
        self.seconds, self.source, self.factors, self.config = seconds, source, factors, config
        self.ends = [0]
        self.kept: dict[int, list[np.ndarray]] = {}
        if not len(self._multiset(np.random.default_rng(0))):
            raise DataError(
                f"An epoch of {len(source)} clips holds none of them; repeat datasets more often."
            )

    def epoch(self, number: int) -> list[np.ndarray]:
        """Numbers of the clips of each step of an epoch. The last two that were asked for are kept."""
        if number not in self.kept:
            last = dict(list(self.kept.items())[-1:])
            self.kept = last | {number: self._made(number)}
        return self.kept[number]

    def _made(self, number: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self.config.seed, number))
        order = rng.permutation(self._multiset(rng))
        spread = np.exp(rng.uniform(-JITTER, JITTER, len(order)))
        window = self._window()
        steps: list[np.ndarray] = []
        for first in range(0, len(order), window):
            part = order[first : first + window]
            if self.config.bucket > 1:
                part = part[np.argsort(self.seconds[part] * spread[first : first + window], kind="stable")]
            steps += self._cut(part)
        return [steps[i] for i in rng.permutation(len(steps))]

    def _multiset(self, rng: np.random.Generator) -> np.ndarray:
        """Numbers of the clips of an epoch, repeated."""
        parts = []
        for number, factor in enumerate(self.factors):
            own = np.flatnonzero(self.source == number)
            whole = int(factor)
            parts += [np.tile(own, whole), rng.permutation(own)[: round((factor - whole) * len(own))]]
        return np.concatenate(parts)

    def _window(self) -> int:
        """Clips that are sorted by length together: as many as `bucket` steps hold."""
        step = self.config.batch * self.config.accumulate
        if self.config.batch_seconds is not None:
            mean = float(self.seconds.mean())
            step = max(1, int(self.config.batch_seconds * self.config.accumulate / mean))
        return step * self.config.bucket

    def _cut(self, clips: np.ndarray) -> list[np.ndarray]:
        """Steps of neighbours: by number, or by the longest clip times their number."""
        if self.config.batch_seconds is None:
            size = self.config.batch * self.config.accumulate
            return np.array_split(clips, -(-len(clips) // size))
        budget = self.config.batch_seconds * self.config.accumulate
        edges, longest = [0], 0.0
        for i, seconds in enumerate(self.seconds[clips]):
            longest = max(longest, float(seconds))
            if longest * (i + 1 - edges[-1]) > budget and i > edges[-1]:
                edges.append(i)
                longest = float(seconds)
        return np.split(clips, edges[1:])

    def steps_of(self, epochs: int) -> int:
        """Steps of the first so many epochs together."""
        while len(self.ends) <= epochs:
            self.ends.append(self.ends[-1] + len(self.epoch(len(self.ends) - 1)))
        return self.ends[epochs]

    def epochs_done(self, step: int) -> int | None:
        """Whole epochs after so many steps; None within one."""
        epoch, place = self.locate(step)
        return None if place else epoch

    def locate(self, step: int) -> tuple[int, int]:
        """(epoch, step within it) of a step of the run."""
        while self.ends[-1] <= step:
            self.steps_of(len(self.ends))
        epoch = int(np.searchsorted(self.ends, step, side="right")) - 1
        return epoch, step - self.ends[epoch]
