"""Numbers → colours: one scale from pale to dark, the same for all pictures that are to be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STOPS = ("#f2ede6", "#fbd78a", "#f5924e", "#d9424c", "#8a1a63", "#290d45")
"""Colours at even steps from the scale's lower to its upper end, each darker than the last."""
TABLE = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in STOPS], float)
USUAL = 99.5
"""Percentile of all numbers that a scale ends at."""


@dataclass(frozen=True)
class Scale:
    """What colours mean. low, high: numbers at the ends, beyond which colours stay. largest: the largest number shown."""

    low: float
    high: float
    largest: float

    @classmethod
    def of(cls, maps: Sequence[np.ndarray]) -> Scale:
        """From 0 to where all but 0.5 % of the numbers of all maps lie; NaN counts for nothing."""
        every = np.concatenate([np.asarray(one, float).reshape(-1) for one in maps])
        every = every[np.isfinite(every)]
        if not every.size:
            return cls(0.0, 1.0, 0.0)
        high = float(np.percentile(every, USUAL))
        return cls(0.0, high if high > 0 else 1.0, float(every.max()))

    @property
    def cut(self) -> bool:
        """Whether some numbers are beyond the upper end."""
        return self.largest > self.high * 1.001


def colours(values: np.ndarray, scale: Scale) -> np.ndarray:
    """(N, 3) float RGB in 0 … 255 of values (N,): linear between the stops; NaN is grey."""
    place = (np.asarray(values, float) - scale.low) / (scale.high - scale.low)
    known = np.isfinite(place)
    where = np.clip(np.where(known, place, 0), 0, 1) * (len(TABLE) - 1)
    found = np.stack([np.interp(where, range(len(TABLE)), channel) for channel in TABLE.T], -1)
    return np.where(known[:, None], found, 128.0)
