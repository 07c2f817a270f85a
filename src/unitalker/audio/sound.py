"""Sound: mono float32 samples at 16 kHz with their hash, and how any array becomes one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from unitalker.audio.resampling import Resampler
from unitalker.errors import AudioError

RATE = 16000
"""Samples a second of all sound inside the package."""

LOUDEST = 4.0
"""Floats beyond this (+12 dB over full scale) are taken as wrongly scaled; milder peaks are clipped."""


@dataclass(frozen=True)
class Sound:
    """Mono sound. samples: (N,) float32 in [-1, 1]. rate: samples a second. name: where it came from."""

    samples: np.ndarray
    rate: int = RATE
    name: str = "array"
    sha256: str = field(default="")

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise AudioError(
                f"Sound is (N,) float32, not {self.samples.shape} {self.samples.dtype}; use from_array."
            )
        if len(self.samples) == 0:
            raise AudioError(f"{self.name} holds no samples; give it at least one.")
        if not self.sha256:
            object.__setattr__(self, "sha256", digest([self.samples]))

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    def part(self, start: float | None = None, end: float | None = None) -> np.ndarray:
        """Samples from `start` to `end` seconds. Raises AudioError for a part that is not inside the sound."""
        first, stop = sample_range(start, end)
        check_inside(len(self.samples), first, stop, self.name)
        return self.samples[first:stop]


def sample_range(start: float | None, end: float | None) -> tuple[int, int | None]:
    """Seconds → first sample and the one after the last (None: the end). Raises AudioError for no such part."""
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise AudioError(f"{name} must be seconds of 0 or more, not {value}.")
    first = round((start or 0.0) * RATE)
    if end is None:
        return first, None
    stop = round(end * RATE)
    if stop <= first:
        raise AudioError(f"end ({end} s) must be later than start ({start or 0} s).")
    return first, stop


def check_inside(count: int, first: int, stop: int | None, name: str) -> None:
    """Raises AudioError where samples first … stop are not among the `count` of a sound."""
    if count <= first:
        raise AudioError(f"{name} is {count / RATE:.3f} s long, so nothing starts at {first / RATE:g} s.")
    if stop is not None and count < stop:
        raise AudioError(f"{name} is {count / RATE:.3f} s long, but end asks for {stop / RATE:g} s.")


def digest(blocks: Iterable[np.ndarray]) -> str:
    """SHA-256 of samples, as little-endian float32, whatever the blocks they come in."""
    total = hashlib.sha256()
    for block in blocks:
        total.update(np.ascontiguousarray(block, dtype="<f4").tobytes())
    return total.hexdigest()


def from_array(
    samples: np.ndarray, rate: float, *, channel_axis: int | None = None, name: str = "array"
) -> Sound:
    """Sound from samples at any rate.

    samples: (N,), or two-dimensional with `channel_axis` (0 or 1) naming the axis of the channels, which are
    averaged. Floats lie in [-1, 1]; int16, int32 and uint8 are scaled from their full range.
    The result has round(N · 16000 / rate) samples. Raises AudioError for anything else, NaN and infinities.
    """
    data = scaled(np.asarray(samples), name)
    if data.ndim == 2 and channel_axis in (0, 1, -1, -2):
        data = data.mean(axis=channel_axis, dtype=np.float32)
    elif data.ndim != 1:
        raise AudioError(
            f"{name} has shape {data.shape}; pass (N,) samples, or two axes and channel_axis=0 or 1 "
            "to say which of them holds the channels."
        )
    if data.size == 0:
        raise AudioError(f"{name} holds no samples; give it at least one.")
    if not (np.isfinite(rate) and 1000 <= rate <= 768000 and float(rate).is_integer()):
        raise AudioError(f"{name} has a sample rate of {rate}; give a whole number from 1000 to 768000.")
    resampler = Resampler(int(rate), RATE)
    parts = [*resampler.feed(check_samples(data, name)), *resampler.finish()]
    return Sound(np.clip(np.concatenate(parts), -1.0, 1.0) if parts else np.zeros(0, np.float32), RATE, name)


def scaled(samples: np.ndarray, name: str) -> np.ndarray:
    """Samples of any usual type as float32 with full scale at ±1. Raises AudioError for other types."""
    kind = samples.dtype
    if kind.kind == "f":
        return samples.astype(np.float32, copy=False)
    if kind == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if kind in (np.int16, np.int32):
        return (samples / -float(np.iinfo(kind).min)).astype(np.float32)
    raise AudioError(f"{name} holds {kind} samples; pass floats in [-1, 1], int16, int32 or uint8.")


def check_samples(samples: np.ndarray, name: str) -> np.ndarray:
    """The same float samples; AudioError when they hold NaN, infinities or values far beyond full scale."""
    if not samples.size:
        return samples
    peak = float(np.abs(samples).max())
    if not np.isfinite(peak):
        first = int(np.flatnonzero(~np.isfinite(samples.reshape(-1)))[0])
        raise AudioError(
            f"{name} holds NaN or infinite samples (the first at number {first} of its block); "
            "mend them before animating."
        )
    if peak > LOUDEST:
        raise AudioError(
            f"{name} has samples up to {peak:.6g}, but floats must lie in [-1, 1]; "
            "divide by full scale (32768 for 16 bit) or pass integers."
        )
    return samples
