"""Integrated loudness of a sound as ITU-R BS.1770 and EBU R 128 measure it, by FFmpeg's ebur128 filter."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

SILENT = -70.0
"""LUFS of a sound in which nothing is as loud as the absolute gate."""
LEAST_SECONDS = 0.4
"""Shorter sounds fill no window of the measure."""


def loudness(samples: np.ndarray, rate: int) -> float | None:
    """LUFS of mono float samples (N,) at full scale ±1; None for silence and for sounds shorter than LEAST_SECONDS.

    A sine of 997 Hz at full scale has -3.01.
    """
    if len(samples) < LEAST_SECONDS * rate:
        return None
    said = [told for frame in _measured(samples, rate) if (told := frame.metadata.get("lavfi.r128.I"))]
    found = float(said[-1]) if said else SILENT
    return found if np.isfinite(found) and found > SILENT else None


def _measured(samples: np.ndarray, rate: int) -> Iterator[Any]:
    """The sound's frames behind the filter, a second at a time."""
    from av.error import BlockingIOError, EOFError
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono", time_base=Fraction(1, rate))
    measure, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(measure)
    measure.link_to(sink)
    graph.configure()
    for start in range(0, len(samples) + rate, rate):
        block = np.ascontiguousarray(samples[None, start : start + rate], np.float32)
        source.push(_frame(block, rate, start) if block.size else None)
        while True:
            try:
                yield sink.pull()
            except (BlockingIOError, EOFError):
                break


def _frame(block: np.ndarray, rate: int, start: int) -> Any:
    import av

    frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
    return frame
