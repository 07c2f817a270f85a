"""Means with confidence intervals over training seeds, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student


@dataclass(frozen=True)
class Interval:
    """A mean over `count` seeds and the half width of its 95 % interval; NaN where one seed alone tells nothing."""

    mean: float
    half: float
    count: int

    @property
    def sure(self) -> bool:
        """Whether zero lies outside."""
        return abs(self.mean) > self.half

    def text(self, digits: int = 1) -> str:
        """ "12.3 ± 0.4", the half width left out where there is none."""
        mean = f"{self.mean:.{digits}f}"
        return mean if math.isnan(self.half) else f"{mean} ± {self.half:.{digits}f}"

    def change(self) -> str:
        """An interval of log ratios as a change in percent: "+12.3 [−4, +30]", bold where it leaves out zero."""
        mean, low, high = (
            100 * math.expm1(x) for x in (self.mean, self.mean - self.half, self.mean + self.half)
        )
        if math.isnan(self.half):
            return f"{mean:+.1f}"
        text = f"{mean:+.1f} [{low:+.0f}, {high:+.0f}]"
        return f"**{text}**" if self.sure else text


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of the mean of independent values, one a seed."""
    data = np.asarray(values, np.float64)
    count = len(data)
    if count < 2:
        return Interval(float(data.mean()), math.nan, count)
    error = data.std(ddof=1) / math.sqrt(count)
    return Interval(float(data.mean()), float(student.ppf((1 + level) / 2, count - 1) * error), count)


def paired(one: dict[int, float], other: dict[int, float]) -> Interval | None:
    """Interval of one − other over the seeds that both have; None where they share none."""
    shared = sorted(set(one) & set(other))
    return interval([one[s] - other[s] for s in shared]) if shared else None
