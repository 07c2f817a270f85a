"""Motion read at other times: an interpolator that keeps what the new frame rate can hold and removes the rest.

The filter is a Kaiser-windowed sinc (β = 8, 24 zero crossings on each side; stop band below -80 dB). Towards more
frames it passes through the old frames exactly; towards fewer its cut-off is 0.9 of the new Nyquist frequency (flat to
about 0.8, closed from about 1.0). Weights are divided by their sum, so that a face at rest stays at rest, and the
first and last frames are held beyond the ends. Frame t stands at t / fps seconds, before and after.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitalker.errors import DataError
from unitalker.motion import frame_count

CROSSINGS, BETA, ROLL_OFF = 24, 8.0, 0.9
FILTER = (
    f"Kaiser-windowed sinc (β = {BETA:g}, {CROSSINGS} zero crossings a side, cut-off {ROLL_OFF:g} of Nyquist)"
)
BLOCK_BYTES = 8 << 20


def resample(values: np.ndarray, fps: float, new: float, frames: int | None = None) -> np.ndarray:
    """(T, D) at `fps` → (frames, D) float32 at `new` frames a second; default round(T · new / fps) frames."""
    blocks = list(resample_blocks(values, fps, new, frames))
    return np.concatenate(blocks) if blocks else np.zeros((0, values.shape[1]), np.float32)


def resample_blocks(
    values: np.ndarray, fps: float, new: float, frames: int | None = None
) -> Iterator[np.ndarray]:
    """`resample` in blocks of some megabytes; `values` may be memory-mapped and is read once."""
    if not (0 < fps < np.inf and 0 < new < np.inf):
        raise DataError(f"Frame rates must be above 0, not {fps} and {new}.")
    count = frame_count(len(values) / fps, new) if frames is None else frames
    where = np.arange(count) * (fps / new)
    yield from read_blocks(values, where, ROLL_OFF * new / fps if new < fps else 1.0)


def read_at(values: np.ndarray, where: np.ndarray, cutoff: float = 1.0) -> np.ndarray:
    """(T, D) read at `where` (N,), in frames → (N, D) float32. cutoff: share of the Nyquist frequency that passes."""
    blocks = list(read_blocks(values, np.asarray(where, np.float64), cutoff))
    return np.concatenate(blocks) if blocks else np.zeros((0, values.shape[1]), np.float32)


def read_blocks(values: np.ndarray, where: np.ndarray, cutoff: float) -> Iterator[np.ndarray]:
    """`read_at` in blocks; `where` increases."""
    reach = int(np.ceil(CROSSINGS / cutoff))
    rows = max(1, min(int(BLOCK_BYTES / (4 * values.shape[1]) * max(cutoff, 1e-3)), 256))
    for start in range(0, len(where), rows):
        part = where[start : start + rows]
        low = max(0, int(part[0]) - reach)
        high = min(len(values), int(part[-1]) + reach + 2)
        weights = _weights(part, reach, cutoff, len(values), low, high)
        yield (weights @ np.asarray(values[low:high], np.float32)).astype(np.float32)


def _weights(where: np.ndarray, reach: int, cutoff: float, count: int, low: int, high: int) -> np.ndarray:
    """(N, high - low) float32: what each of the frames low … high counts in a result, rows summing to 1."""
    taps = np.floor(where)[:, None] + np.arange(-reach, reach + 2)
    away = where[:, None] - taps
    inside = np.clip(1 - np.square(away * cutoff / CROSSINGS), 0, None)
    part = np.sinc(away * cutoff) * np.i0(BETA * np.sqrt(inside)) * (inside > 0)
    part /= part.sum(axis=1, keepdims=True)
    out = np.zeros((len(where), high - low))
    place = (np.clip(taps, 0, count - 1) - low).astype(int)
    np.add.at(out, (np.arange(len(where))[:, None], place), part)
    return out.astype(np.float32)
