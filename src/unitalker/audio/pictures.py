"""The pictures of a video file through PyAV (FFmpeg), one at a time, each with its time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.audio.container import FORMATS, existing, reason
from unitalker.errors import DataError

LONGEST_SIDE = 1920
"""Larger pictures are made smaller while they are decoded."""


@dataclass(frozen=True)
class Pictures:
    """The pictures of an open file. rate: pictures a second that it states, or None. seconds: its length, or None."""

    path: Path
    rate: float | None
    seconds: float | None
    _input: Any
    _stream: Any

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """(seconds, picture (H, W, 3) uint8 RGB), upright; the times increase.

        Time 0 is the start of the file, as for its sound, and times are the file's own time stamps, so that a varying
        frame rate does no harm. Pictures without a time stamp, or with one that does not increase, are passed over.
        Raises DataError where the file is damaged.
        """
        from av.error import FFmpegError

        origin, last = (self._input.start_time or 0) / 1_000_000, -1.0
        try:
            for frame in self._input.decode(self._stream):
                if frame.time is None or frame.time - origin <= last:
                    continue
                last = frame.time - origin
                yield last, self._upright(frame)
        except FFmpegError as error:
            raise DataError(
                f"{self.path} is damaged or cut short after {max(last, 0):.2f} s of pictures ({reason(error)}); "
                "get a whole copy."
            ) from None

    def _upright(self, frame: Any) -> np.ndarray:
        """A decoded picture as RGB with square pixels, no side longer than LONGEST_SIDE, turned as the file says."""
        stretch = float(self._stream.sample_aspect_ratio or 1)
        width, height = frame.width * max(stretch, 1.0), frame.height / min(stretch, 1.0)
        scale = min(1.0, LONGEST_SIDE / max(width, height))
        size = {"width": max(2, round(width * scale)), "height": max(2, round(height * scale))}
        image = frame.reformat(format="rgb24", **size).to_ndarray()
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


@contextmanager
def open_pictures(path: str | Path) -> Iterator[Pictures]:
    """The pictures of a media file, closed at the end. Raises AudioError or DataError when they cannot be had."""
    import av
    from av.error import FFmpegError

    file = existing(Path(path))
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{file.resolve()}", options=options)
    except FFmpegError as error:
        raise DataError(
            f"{file} is no video that can be read ({reason(error)}); use mp4, mov, mkv, webm or avi, whole and undamaged."
        ) from None
    with container:
        stream = container.streams.best("video")
        if stream is None or stream.codec_context is None:
            kinds = ", ".join(sorted({s.type for s in container.streams}))
            told = f"only {kinds}; give a video" if kinds else "nor sound; get a whole copy"
            raise DataError(f"{file} has no pictures that can be read, {told}.")
        stream.codec_context.thread_type = "AUTO"
        rate = stream.guessed_rate or stream.average_rate
        seconds = container.duration / 1_000_000 if container.duration else None
        yield Pictures(file, float(rate) if rate else None, seconds, container, stream)
