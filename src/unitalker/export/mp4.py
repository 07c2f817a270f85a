"""Films of a rig: rendered frame by frame into an MP4 (H.264 and AAC), without display or GPU."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from unitalker.audio.container import AAC_RATES, Film
from unitalker.audio.sound import check_samples, from_array
from unitalker.errors import ExportError
from unitalker.export.render import Renderer
from unitalker.files import atomic
from unitalker.rig.rig import Rig

_AHEAD = 8


def write_mp4(
    path: str | Path,
    frames: Iterable[np.ndarray],
    rig: Rig,
    fps: float,
    sound: np.ndarray | Iterable[np.ndarray] | None = None,
    rate: int = 16000,
    size: int = 512,
    view: str = "front",
) -> Path:
    """Writes vertices (V, 3) in metres, one array a frame, as a film; memory does not grow with its length.

    sound: mono floats in [-1, 1] at `rate`, whole (N,) or as blocks in order; it starts with the first frame.
    size: even number of pixels. view: one of `render_camera.VIEWS`. To show progress, wrap `frames`.
    The file appears under its name only when it is complete. Raises ExportError for a path, rate or size that
    cannot be, for no frames at all, and for a place that cannot be written; AudioError for unusable sound.
    """
    target = Path(path)
    if target.suffix.lower() != ".mp4":
        raise ExportError(f"A film is written as .mp4, not as {target.name!r}.")
    if size % 2:
        raise ExportError(f"The picture size of an MP4 must be even, not {size}; use {size + 1}.")
    if not 1 <= fps <= 240:
        raise ExportError(f"An MP4 needs 1 to 240 frames a second, not {fps}.")
    renderer = Renderer(rig, size, view, fine=2)
    blocks, rate = _sound_blocks(sound, rate)
    with atomic(target) as draft, Film(draft, (size, size), fps, rate if sound is not None else None) as film:
        _fill(film, renderer, frames, blocks, rate / fps)
    return target


def _fill(
    film: Film,
    renderer: Renderer,
    frames: Iterable[np.ndarray],
    blocks: Iterator[np.ndarray],
    per_frame: float,
) -> None:
    """Pictures and the sound that belongs to them; a second thread encodes while this one draws."""
    heard, count = 0, 0
    with ThreadPoolExecutor(1) as encoder:
        under_way: deque[Future[None]] = deque()
        for count, vertices in enumerate(frames, 1):
            under_way.append(encoder.submit(film.picture, renderer.frame(vertices)))
            while heard < count * per_frame and (block := next(blocks, None)) is not None:
                under_way.append(encoder.submit(film.sound, block))
                heard += len(block)
            while len(under_way) > _AHEAD:
                under_way.popleft().result()
        for job in under_way:
            job.result()
    if not count:
        raise ExportError("There are no frames to film; the motion must have at least one.")
    for block in blocks:
        film.sound(block)


def _sound_blocks(
    sound: np.ndarray | Iterable[np.ndarray] | None, rate: int
) -> tuple[Iterator[np.ndarray], int]:
    """Sound as checked blocks of at most 0.1 s, and its rate; sound at a rate that AAC lacks is resampled."""
    if sound is None:
        return iter(()), rate
    if isinstance(sound, np.ndarray):
        if rate not in AAC_RATES:
            sound, rate = from_array(sound, rate, name="the film's sound").samples, 16000
        sound = [sound]
    return _short(sound, rate // 10), rate


def _short(blocks: Iterable[np.ndarray], longest: int) -> Iterator[np.ndarray]:
    for block in blocks:
        data = check_samples(np.asarray(block, np.float32), "the film's sound")
        if data.ndim != 1:
            raise ExportError(f"The sound of a film is mono, (N,) samples, not {data.shape}.")
        for start in range(0, len(data), longest):
            yield np.clip(data[start : start + longest], -1.0, 1.0)
