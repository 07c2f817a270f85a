"""Timecodes `HH:MM:SS:FF.mmm`: labels of moments of the day, in frames of some clock and thousandths of a frame; and when
a recording began, as its own file says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unitalker.audio.container import open_sound

CLOCK = 60
"""Frames a second of Live Link Face's clock, whatever a recording's own rate."""

_USUAL = (24, 25, 30, 48, 50, 60, 100, 120, 240)
_TIMECODE = re.compile(r"(\d{1,4}):(\d{2}):(\d{2})[:;](\d{2})(?:\.(\d{1,6}))?")
_RATES = sorted({float(n) for n in range(1, 241)} | {n * 1000 / 1001 for n in (24, 30, 48, 60, 120, 240)})


def timecode(frame: int, fps: float) -> str:
    """`HH:MM:SS:FF.mmm` of a frame: seconds, frames of the 60-fps clock, thousandths of such a frame.

    >>> timecode(0, 60), timecode(61, 60), timecode(1, 25), timecode(45, 30)
    ('00:00:00:00.000', '00:00:01:01.000', '00:00:00:02.400', '00:00:01:30.000')
    """
    ticks, mils = divmod(round(frame * CLOCK * 1000 / fps), 1000)
    seconds, ff = divmod(ticks, CLOCK)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{ff:02d}.{mils:03d}"


def clock_frames(text: str, clock: int = CLOCK) -> float:
    """Frames of the clock since midnight. Raises ValueError for what is no timecode."""
    match = _TIMECODE.fullmatch(text.strip())
    if not match:
        raise ValueError(text)
    hours, minutes, seconds, frame = (int(g) for g in match.groups()[:4])
    return (hours * 3600 + minutes * 60 + seconds) * clock + frame + float(f"0.{match[5] or 0}")


def shown_rate(clock: np.ndarray) -> tuple[float, bool]:
    """(fps, whether the rows are evenly spaced) of readings (N,) of the 60-fps clock, rounded to a thousandth of a frame."""
    if len(clock) < 2:
        return float(CLOCK), True
    steps = np.diff(clock)
    step = float(np.median(steps))
    even = bool(np.abs(steps - step).max() <= 0.0021)
    span, count = (float(clock[-1] - clock[0]), len(steps)) if even else (step, 1)
    fps = CLOCK * count / span
    near = min(_RATES, key=lambda rate: abs(rate - fps))
    return (near if abs(near - fps) <= fps * 0.0011 / span else round(fps, 4)), even


@dataclass(frozen=True)
class Began:
    """When a recording began. seconds: since midnight. grain: seconds between two moments that the file can tell apart.
    told: where it says so."""

    seconds: float
    grain: float
    told: str


def began(path: str | Path) -> Began | None:
    """The moment of a recording's first sample: a broadcast wav's time reference, or the timecode of a film or sound.

    None where the file has neither. A timecode's frames are counted on a usual clock where the film's frame rate is within
    4 % of one, since that of a phone's film varies, else on the rounded rate. Raises AudioError as `read` does.
    """
    with open_sound(path) as sound:
        container = sound._input
        reference = container.metadata.get("time_reference", "")
        if reference.isdigit() and int(reference):
            return Began(int(reference) / sound.rate, 1 / sound.rate, "its time reference")
        rates = [float(s.average_rate) for s in container.streams.video if s.average_rate]
        labels = [s.metadata["timecode"] for s in container.streams if "timecode" in s.metadata]
        label = next(iter([*labels, *filter(None, [container.metadata.get("timecode")])]), None)
    clock = _label_clock(rates[0]) if rates else 0
    if label is None or not clock:
        return None
    try:
        return Began(clock_frames(label, clock) / clock, 1 / clock, f"its timecode {label}")
    except ValueError:
        return None


def _label_clock(rate: float) -> int:
    """Frames a second that a film's labels count."""
    near = min(_USUAL, key=lambda clock: abs(clock - rate))
    return near if abs(near - rate) <= 0.04 * near else max(1, round(rate))
