"""The log-mel front end of the small encoder: 100 frames a second, the same numbers at every gain.

Each frame's log-mel energies are told relative to two running levels, so that no statistics of the whole clip are
needed: the recent peak of the frame loudness (falls by PEAK_FALL dB/s) and the recent minimum of each band (rises by
FLOOR_RISE dB/s). Both are shifts of the input when the gain changes, so the features do not change; the state is two
small tensors, so a stream gives what the whole file gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from unitalker.config import SAMPLE_RATE

WINDOW = 400
"""Samples of one analysis window (25 ms), centred on the frame's time."""
HOP = 160
"""Samples between frames (10 ms)."""
FFT = 512
PEAK_FALL = 2.0
FLOOR_RISE = 4.0
RANGE_DB = 70.0
"""Energies further than this below the running peak are told as this far below."""
UNIT_DB = 20.0
"""Decibels in one unit of the features."""
TINY = 1e-16


def mel_filters(bands: int, low: float = 50.0, high: float = 7600.0, warp: float = 1.0) -> np.ndarray:
    """(FFT // 2 + 1, bands) triangular filters, equally spaced on the HTK mel scale (2595 log10(1 + f / 700)).

    warp: factor on the filters' frequencies: > 1 makes a voice look like that of a longer vocal tract.
    """
    top = 2595 * np.log10(1 + high / 700)
    bottom = 2595 * np.log10(1 + low / 700)
    edges = 700 * (10 ** (np.linspace(bottom, top, bands + 2) / 2595) - 1) * warp
    edges = np.minimum(edges, SAMPLE_RATE / 2 - 1 + np.arange(bands + 2) * 1e-3)
    bins = np.arange(FFT // 2 + 1)[:, None] * SAMPLE_RATE / FFT
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    filters = np.maximum(0, np.minimum(rising, falling))
    narrow = filters.sum(0) < 0.5
    filters[np.round(edges[1:-1][narrow] * FFT / SAMPLE_RATE).astype(int), np.flatnonzero(narrow)] = 1.0
    return filters.astype(np.float32)


@dataclass
class LevelState:
    """Running levels between two blocks of frames: peak (B, 1) and floor (B, bands) in dB; None before the first."""

    peak: torch.Tensor | None = None
    floor: torch.Tensor | None = None


def log_mel(samples: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Samples (B, WINDOW + HOP·(M − 1)) → (B, M, bands) dB. Each row of frames is centred on its own window."""
    frames = samples.unfold(-1, WINDOW, HOP)
    window = torch.hann_window(WINDOW, device=samples.device)
    spectrum = torch.fft.rfft(frames * window, n=FFT)
    power = spectrum.real.square() + spectrum.imag.square()
    return 10 * torch.log10(power @ filters + TINY)


def level(mel: torch.Tensor, state: LevelState) -> torch.Tensor:
    """dB (B, M, bands) → features (B, M, 2·bands): relative to the running peak and to the running floor.

    `state` is updated in place. peak_m = max(loud_m, peak_{m−1} − fall), floor_m = min(mel_m, floor_{m−1} + rise),
    with loud the mean over bands; both by one cumulative maximum or minimum over a tilted axis.
    """
    steps = torch.arange(mel.shape[1], device=mel.device, dtype=mel.dtype)[None, :, None]
    fall, rise = PEAK_FALL * HOP / SAMPLE_RATE, FLOOR_RISE * HOP / SAMPLE_RATE
    loud = mel.mean(-1, keepdim=True) + fall * steps
    if state.peak is not None:
        loud[:, 0] = torch.maximum(loud[:, 0], state.peak - fall)
    peak = torch.cummax(loud, 1).values - fall * steps
    held = torch.maximum(mel, peak - RANGE_DB)
    tilted = held - rise * steps
    if state.floor is not None:
        tilted[:, 0] = torch.minimum(tilted[:, 0], state.floor + rise)
    floor = torch.cummin(tilted, 1).values + rise * steps
    state.peak, state.floor = peak[:, -1].clone(), floor[:, -1].clone()
    return torch.cat([held - peak, held - floor], -1) / UNIT_DB
