"""Any media file as 16 kHz mono float32 in [-1, 1]: whole, in a stream of blocks, or only looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unitalker.audio.container import SoundStream, open_sound
from unitalker.audio.resampling import Resampler
from unitalker.audio.sound import RATE, Sound, check_inside, sample_range
from unitalker.errors import AudioError


@dataclass(frozen=True)
class Probe:
    """What a file says of its sound. seconds: the stated length, None when the file does not state one."""

    path: Path
    seconds: float | None
    codec: str
    container: str
    rate: int
    channels: int


def probe(path: str | Path) -> Probe:
    """Length, codec, rate and channels of a file's sound without decoding it. Raises AudioError as `read`."""
    with open_sound(path) as sound:
        return Probe(sound.path, sound.seconds, sound.codec, sound.container, sound.rate, sound.channels)


def stream(
    path: str | Path, *, start: float | None = None, end: float | None = None, block: int = RATE * 10
) -> Iterator[np.ndarray]:
    """Blocks (block,) float32 of 16 kHz mono, the last one shorter; memory stays the same for any length.

    start, end: seconds; sample n is at n / 16000 s, so a part is bit-equal to the same part of the whole.
    Raises AudioError for a file without usable sound, start or end outside it, and damage where it is met.
    """
    first, stop = sample_range(start, end)
    if block < 1:
        raise AudioError(f"A block must have at least 1 sample, not {block}.")
    return _blocks(Path(path), first, stop, block)


def read(
    path: str | Path,
    *,
    start: float | None = None,
    end: float | None = None,
    limit_seconds: float | None = None,
) -> Sound:
    """The sound of a file, or of its part from `start` to `end` seconds.

    limit_seconds: raise AudioError for more sound than this, rather than fill the memory.
    """
    parts: list[np.ndarray] = []
    count = 0
    for part in stream(path, start=start, end=end):
        parts.append(part)
        count += len(part)
        if limit_seconds is not None and count > limit_seconds * RATE:
            raise AudioError(
                f"{path} has more than the {limit_seconds:g} s of sound allowed here; "
                "choose a part by start and end."
            )
    return Sound(np.concatenate(parts), RATE, Path(path).name)


def _blocks(path: Path, first: int, stop: int | None, block: int) -> Iterator[np.ndarray]:
    """Samples first … stop in blocks of one size."""
    held: list[np.ndarray] = []
    count = 0
    with open_sound(path) as sound:
        for part in _cut(_resampled(sound), first, stop, path):
            held.append(part)
            count += len(part)
            while count >= block:
                joined = np.concatenate(held)
                yield joined[:block]
                held, count = [joined[block:]], count - block
    if count:
        yield np.concatenate(held)


def _resampled(sound: SoundStream) -> Iterator[np.ndarray]:
    resampler = Resampler(sound.rate, RATE)
    for part in sound.blocks():
        yield from (np.clip(p, -1.0, 1.0) for p in resampler.feed(part))
    yield from (np.clip(p, -1.0, 1.0) for p in resampler.finish())


def _cut(parts: Iterator[np.ndarray], first: int, stop: int | None, path: Path) -> Iterator[np.ndarray]:
    """Only samples first … stop of a stream. Raises AudioError if the sound ends before either."""
    done = 0
    for part in parts:
        low, high = max(first - done, 0), len(part) if stop is None else stop - done
        done += len(part)
        if low < min(high, len(part)):
            yield part[low:high]
        if stop is not None and done >= stop:
            return
    check_inside(done, first, stop, str(path))
