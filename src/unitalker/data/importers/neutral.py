"""A clip's resting face taken away from its weights: what a tracker sees in a face that rests is no motion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from unitalker.config import SAMPLE_RATE
from unitalker.data.annotate.rest import LEAST_REST, Track, quiet_frames
from unitalker.data.importers.rows import Frames
from unitalker.data.importers.stamped import changed

WINDOW_SECONDS = 60.0
"""Sound whose loudness is judged at a time."""
KEPT = 64
"""Silent frames of a window that are remembered."""


def without_rest(frames: Frames, sound: Path, start: float, fps: float) -> Frames:
    """The weights less the median of those in the clip's silent frames, and 0 where that is below 0.

    start: seconds of the sound before the first frame. A clip with fewer than LEAST_REST silent frames stays as it is.
    Silence is what `data annotate` takes for it, judged minute by minute. Raises AudioError.
    """
    rest, count = [], 0
    with TemporaryDirectory(prefix="unitalker-") as folder:
        track = Track(sound, Path(folder) / "sound")
        for first, rows in _windows(frames, round(WINDOW_SECONDS * fps)):
            begin = round((start + first / fps) * SAMPLE_RATE)
            samples = track.part(begin, begin + round(len(rows) / fps * SAMPLE_RATE))
            heard = rows[: int(len(samples) / SAMPLE_RATE * fps)]
            if len(heard):
                silent = heard[quiet_frames(samples, len(heard), fps)]
                count += len(silent)
                rest.append(silent[:: max(1, -(-len(silent) // KEPT))])
    if count < LEAST_REST:
        return Frames(
            frames.count,
            frames.blocks,
            (*frames.notes, "no silence, so the resting face is still in its weights."),
        )
    face = np.median(np.concatenate(rest), axis=0)
    told = f"its resting face, of {count} silent frames, was taken away."
    return changed(frames, lambda block: np.maximum(block - face, 0).astype(np.float32), told)


def _windows(frames: Frames, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """(first frame, rows) of stretches of `size` frames."""
    held: list[np.ndarray] = []
    first = 0
    for block in frames.blocks():
        held.append(block)
        if sum(map(len, held)) >= size:
            yield first, np.concatenate(held)
            first, held = first + sum(map(len, held)), []
    if held:
        yield first, np.concatenate(held)
