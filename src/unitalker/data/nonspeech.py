"""Sounds that are no voice: silence, noises, machines, birds, music. They teach a model to keep the mouth shut."""

from __future__ import annotations

import numpy as np

RATE = 16000


def coloured(count: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) noise whose power falls with frequency to the power `slope`: 0 white, 1 pink, 2 brown; unit RMS."""
    spectrum = rng.normal(size=count // 2 + 1) + 1j * rng.normal(size=count // 2 + 1)
    scale = np.maximum(np.arange(count // 2 + 1), 1 + count // 800) ** (-slope / 2)
    wave = np.fft.irfft(spectrum * scale, count)
    return wave / (np.sqrt(np.mean(wave**2)) + 1e-12)
