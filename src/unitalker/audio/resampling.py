"""Streamed change of sample rate by soxr, with a result that does not depend on how the input is cut."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


class Resampler:
    """Mono float32 from one rate to another; state lives here, one object per sound.

    Input is regrouped into blocks of one second before it is filtered, so equal samples give bit-equal output
    however they arrive. The whole output has round(N · out / in) samples. Quality is soxr's HQ (20 bit): flat
    to 0.91 of the lower Nyquist frequency.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self._same = rate_in == rate_out
        self._block = rate_in
        self._held: list[np.ndarray] = []
        self._count = 0
        self._stream = None if self._same else _soxr_stream(rate_in, rate_out)

    def feed(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Takes samples (N,) and yields what is ready."""
        if self._stream is None:
            yield samples
            return
        self._held.append(samples)
        self._count += len(samples)
        if self._count < self._block:
            return
        held = np.concatenate(self._held)
        for start in range(0, len(held) - self._block + 1, self._block):
            yield self._stream.resample_chunk(held[start : start + self._block])
        rest = held[len(held) // self._block * self._block :]
        self._held, self._count = [rest], len(rest)

    def finish(self) -> Iterator[np.ndarray]:
        """Ends the sound and yields the rest."""
        if self._stream is not None:
            rest = np.concatenate([np.zeros(0, np.float32), *self._held])
            yield self._stream.resample_chunk(rest, last=True)


def _soxr_stream(rate_in: int, rate_out: int):
    import soxr

    return soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality="HQ")
