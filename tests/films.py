"""Small lossless films for tests, and a tracker that reads its numbers off their colours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from unitalker.data.annotate import Seen

SIZE = (48, 64)
STAMPS = 1000
"""Time stamps a second of a Matroska film."""


def picture(value: float = 0.5, faces: int = 1, scene: int = 0, place: float = 0.5) -> np.ndarray:
    """A picture (48, 64, 3): red tells the value, green the faces, blue the scene, and one pixel the face's place."""
    image = np.zeros((*SIZE, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = round(value * 250), 20 * faces, scene
    image[0, 0] = (round(place * 250), 0, 0)
    return image


class Colours:
    """A tracker of two weights: jawOpen is the red of the picture, mouthPucker 0.25 always."""

    annotation, unit, known = "arkit52", "weight", ("jawOpen",)
    names = ("mouthPucker", "jawOpen")
    about = "Weights by colour."

    def __init__(self, boxes: bool = True) -> None:
        self.boxes, self.resets, self.looks, self.closed = boxes, [], 0, False

    def look(self, image: np.ndarray, seconds: float) -> Sequence[Seen]:
        """As many faces as the picture's green tells, each larger than the one before."""
        self.looks += 1
        place, found = image[0, 0, 0] / 250, []
        for number in range(round(image[5, 5, 1] / 20)):
            half = 0.05 * (number + 1)
            box = (place - half, 0.5 - half, place + half, 0.5 + half)
            values = np.array([0.25, image[5, 5, 0] / 250 - 0.1 * number], np.float32)
            pose = np.array([0.1, 0, 0, 0, 0, -0.5], np.float32)
            found.append(Seen(values, box if self.boxes else None, pose, score=0.5))
        return found

    def reset(self) -> None:
        """Remembers after how many pictures."""
        self.resets.append(self.looks)

    def close(self) -> None:
        """Remembers that it was called."""
        self.closed = True


def film(
    path: Path,
    times: Iterable[float],
    draw: Callable[[float], np.ndarray],
    sound: np.ndarray | None,
    rate: int = 16000,
) -> Path:
    """A film of lossless pictures `draw(t)` at the given times in seconds, with lossless sound (N,) floats."""
    import av

    with av.open(str(path), "w") as file:
        video = file.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = SIZE[1], SIZE[0], "bgr0"
        video.codec_context.time_base = Fraction(1, STAMPS)
        audio = file.add_stream("flac", rate=rate, layout="mono") if sound is not None else None
        for time in times:
            frame = av.VideoFrame.from_ndarray(draw(time), format="rgb24")
            frame.pts, frame.time_base = round(time * STAMPS), Fraction(1, STAMPS)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        if audio is not None and sound is not None:
            data = np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16)
            for start in range(0, len(data), 4096):
                block = av.AudioFrame.from_ndarray(
                    data[None, start : start + 4096], format="s16", layout="mono"
                )
                block.sample_rate, block.pts, block.time_base = rate, start, Fraction(1, rate)
                file.mux(audio.encode(block))
            file.mux(audio.encode(None))
    return path


def speech(seconds: float, spoken: Sequence[tuple[float, float]], rate: int = 16000) -> np.ndarray:
    """Noise (N,): loud in the `spoken` stretches (start, end in seconds), faint elsewhere."""
    rng, at = np.random.default_rng(0), np.arange(round(seconds * rate)) / rate
    loud = np.zeros(len(at), bool)
    for start, end in spoken:
        loud |= (at >= start) & (at < end)
    return (rng.standard_normal(len(at)) * np.where(loud, 0.1, 0.0005)).astype(np.float32)
