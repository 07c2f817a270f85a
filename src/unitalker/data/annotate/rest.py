"""Where nobody speaks: the frames that a resting face is taken from, and the moment to cut at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unitalker.audio import stream
from unitalker.config import SAMPLE_RATE

WINDOW_SECONDS, MARGIN_SECONDS = 0.05, 0.15
ABOVE_FLOOR_DB, UNDER_SPEECH_DB = 10.0, 18.0
FLOOR = 1e-4
"""Root mean square below which a sound is silent whatever the rest of it is like (-80 dB of full scale)."""
LEAST_REST = 8
"""Silent frames that a resting face is taken from, at least."""
HOP, CALM = SAMPLE_RATE // 50, 10
"""The quietest moment is the middle of CALM stretches of HOP samples."""


def quiet_frames(samples: np.ndarray, frames: int, fps: float) -> np.ndarray:
    """(frames,) bool: frames of samples (N,) at 16 kHz in whose neighbourhood nobody speaks.

    Quiet: the root mean square of 50 ms is at most 10 dB above its 10th percentile and at least 18 dB under its 95th
    (or under -80 dB of full scale), here and within 0.15 s on both sides, since a mouth moves before it is heard.
    The level is the recording's own, because steady noise hides any fixed one.
    """
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    middle = np.round(np.arange(frames) / fps * SAMPLE_RATE).astype(int)
    half = round(WINDOW_SECONDS * SAMPLE_RATE / 2)
    low, high = (np.clip(middle + d, 0, len(samples)) for d in (-half, half))
    level = np.sqrt(np.maximum(energy[high] - energy[low], 0.0) / (2 * half))
    noise, speech = np.percentile(level, [10, 95])
    limit = min(noise * 10 ** (ABOVE_FLOOR_DB / 20), speech * 10 ** (-UNDER_SPEECH_DB / 20))
    loud = level > max(limit, FLOOR)
    reach = round(MARGIN_SECONDS * fps)
    return np.convolve(loud, np.ones(2 * reach + 1), "same")[:frames] < 0.5


class Track:
    """The 16 kHz sound of a media file, kept in the file `place` (16 bit) instead of in memory. Raises AudioError."""

    def __init__(self, path: Path, place: Path) -> None:
        self.place, self.count = place, 0
        with place.open("wb") as file:
            for block in stream(path):
                file.write(np.round(np.clip(block, -1, 1 - 2**-15) * 32768).astype("<i2").tobytes())
                self.count += len(block)

    def __len__(self) -> int:
        return self.count

    def part(self, start: int, stop: int) -> np.ndarray:
        """Samples start … stop, (n,) float32, fewer where the sound ends before."""
        start, stop = max(0, start), min(stop, self.count)
        return np.fromfile(self.place, "<i2", max(0, stop - start), offset=2 * start) / np.float32(32768)

    def quietest(self, low: float, high: float) -> float:
        """The middle of the quietest 0.2 s between two times in seconds."""
        part = self.part(round(low * SAMPLE_RATE), round(high * SAMPLE_RATE))
        level = np.square(part[: len(part) // HOP * HOP].reshape(-1, HOP)).mean(axis=1, dtype=np.float64)
        if len(level) < CALM:
            return (low + high) / 2
        calm = np.convolve(level, np.ones(CALM), "valid")
        return low + (int(np.argmin(calm)) + CALM / 2) * HOP / SAMPLE_RATE
