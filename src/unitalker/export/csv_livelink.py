"""Live Link Face CSV: 61 named columns and a timecode that counts frames of a 60-fps clock."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from unitalker.annotations.layouts import channel_key, convert, layout
from unitalker.errors import ExportError
from unitalker.export.base import MAX_BYTES, Options
from unitalker.files import atomic
from unitalker.motion import Motion

CLOCK = 60
"""Frames a second of the timecode's clock, whatever the recording's own rate."""

_TIMECODE = re.compile(r"(\d{1,4}):(\d{2}):(\d{2})[:;](\d{2})(?:\.(\d{1,6}))?")
_DAY = 24 * 3600 * CLOCK
_RATES = sorted({float(n) for n in range(1, 241)} | {n * 1000 / 1001 for n in (24, 30, 48, 60, 120, 240)})


def header() -> str:
    """The first line, as the app of 2021 writes it."""
    names = [name[0].upper() + name[1:] for name in layout("livelink_csv").names]
    return ",".join(["Timecode", "BlendShapeCount", *names])


def timecode(frame: int, fps: float) -> str:
    """`HH:MM:SS:FF.mmm` of a frame: seconds, frames of the 60-fps clock, thousandths of such a frame.

    >>> timecode(0, 60), timecode(61, 60), timecode(1, 25), timecode(45, 30)
    ('00:00:00:00.000', '00:00:01:01.000', '00:00:00:02.400', '00:00:01:30.000')
    """
    ticks, mils = divmod(round(frame * CLOCK * 1000 / fps), 1000)
    seconds, ff = divmod(ticks, CLOCK)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{ff:02d}.{mils:03d}"


BLOCK = 4096
"""Frames that are converted at a time, so that memory does not grow with the motion."""


def write(motion: Motion, path: Path, options: Options) -> None:
    """Writes weights as Live Link Face does. Channels that the motion lacks (head angles, say) are 0.

    Raises AnnotationError where the motion shares no channel with the format, ExportError where the file
    cannot be written.
    """
    row = ",".join(["%.10f"] * len(layout("livelink_csv").names))
    with atomic(path) as draft, draft.open("w", encoding="ascii", newline="") as file:
        file.write(header() + "\n")
        for start in range(0, len(motion), BLOCK):
            piece = motion.with_values(motion.values[start : start + BLOCK])
            values = convert(piece, "livelink_csv").values + np.float32(0)
            for i, frame in enumerate(values.tolist(), start):
                file.write(f"{timecode(i, motion.fps)},{len(frame)},{row % tuple(frame)}\n")


def read(path: Path) -> Motion:
    """A Live Link Face CSV as a motion in layout `livelink_csv`.

    Times come from the timecode: evenly spaced rows are kept as they are, at the rate they show; rows with
    gaps (dropped frames, or a face that was not seen) are interpolated at the rate of the middle step.
    Columns are found by name. Raises ExportError for anything that is not such a file.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ExportError(f"{path} is larger than {MAX_BYTES >> 30} GiB; cut it into parts first.")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file)
        order = _columns(next(rows, []), path)
        clock, values = _rows(rows, order, path)
    fps, even = _rate(clock)
    provenance = {"source": path.name, "first_timecode_frames": float(clock[0]), "even": even}
    motion = Motion(
        values, layout("livelink_csv").names, fps, "livelink_csv", "weight", provenance=provenance
    )
    return motion if even else _evened(motion, (clock - clock[0]) / CLOCK)


def _columns(head: list[str], path: Path) -> list[int]:
    """Column of each channel of the layout in this file's header."""
    if len(head) < 2 or [h.strip().lower() for h in head[:2]] != ["timecode", "blendshapecount"]:
        raise ExportError(
            f"{path} is not a Live Link Face CSV: its first line must begin with Timecode,BlendShapeCount, "
            f"not {','.join(head[:2])[:60]!r}."
        )
    where = {channel_key(name): i for i, name in enumerate(head)}
    missing = [name for name in layout("livelink_csv").names if channel_key(name) not in where]
    if missing:
        raise ExportError(f"{path} lacks {len(missing)} of the 61 columns, the first of them {missing[0]!r}.")
    return [where[channel_key(name)] for name in layout("livelink_csv").names]


def _rows(rows: object, order: list[int], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rising clock readings (N,) in 60-fps frames, and values (N, 61); rows of count 0 are left out."""
    clock: list[float] = []
    values: list[list[float]] = []
    for line, row in enumerate(rows, start=2):  # type: ignore[arg-type]
        if not row or (len(row) > 1 and row[1].strip() == "0"):
            continue
        try:
            time = _clock(row[0])
            values.append([float(row[i]) for i in order])
        except (ValueError, IndexError):
            raise ExportError(f"{path}, line {line}: a timecode and 61 numbers should stand here.") from None
        while clock and time < clock[-1] - _DAY / 2:
            time += _DAY
        if clock and time <= clock[-1]:
            raise ExportError(
                f"{path}, line {line}: the timecode {row[0]} does not come after the one before."
            )
        clock.append(time)
    if not clock:
        raise ExportError(f"{path} has no frames with a face in it.")
    return np.array(clock), np.array(values, np.float32)


def _clock(text: str) -> float:
    """Frames of the 60-fps clock since midnight. Raises ValueError for anything else."""
    match = _TIMECODE.fullmatch(text.strip())
    if not match:
        raise ValueError(text)
    hours, minutes, seconds, frame = (int(g) for g in match.groups()[:4])
    return (hours * 3600 + minutes * 60 + seconds) * CLOCK + frame + float(f"0.{match[5] or 0}")


def _rate(clock: np.ndarray) -> tuple[float, bool]:
    """(fps, whether the rows are evenly spaced) from clock readings rounded to a thousandth of a frame."""
    if len(clock) < 2:
        return float(CLOCK), True
    steps = np.diff(clock)
    step = float(np.median(steps))
    even = bool(np.abs(steps - step).max() <= 0.0021)
    span, count = (float(clock[-1] - clock[0]), len(steps)) if even else (step, 1)
    fps = CLOCK * count / span
    near = min(_RATES, key=lambda rate: abs(rate - fps))
    return (near if abs(near - fps) <= fps * 0.0011 / span else round(fps, 4)), even


def _evened(motion: Motion, seconds: np.ndarray) -> Motion:
    """Values interpolated at t / fps from rows at uneven `seconds` (N,) that begin at 0."""
    count = round(float(seconds[-1]) * motion.fps) + 1
    at = np.arange(count) / motion.fps
    values = np.stack([np.interp(at, seconds, column) for column in motion.values.T], axis=1)
    return motion.with_values(values)
