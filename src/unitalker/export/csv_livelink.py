"""Live Link Face CSV: 61 named columns and a timecode that counts frames of a 60-fps clock."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from unitalker.annotations.layouts import channel_key, convert, layout
from unitalker.audio.timecode import CLOCK, clock_frames, shown_rate, timecode
from unitalker.errors import ExportError
from unitalker.export.base import MAX_BYTES, Options
from unitalker.files import atomic
from unitalker.motion import Motion

_DAY = 24 * 3600 * CLOCK


def header() -> str:
    """The first line, as the app of 2021 writes it."""
    names = [name[0].upper() + name[1:] for name in layout("livelink_csv").names]
    return ",".join(["Timecode", "BlendShapeCount", *names])


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
    fps, even = shown_rate(clock)
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
            time = clock_frames(row[0])
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


def _evened(motion: Motion, seconds: np.ndarray) -> Motion:
    """Values interpolated at t / fps from rows at uneven `seconds` (N,) that begin at 0."""
    count = round(float(seconds[-1]) * motion.fps) + 1
    at = np.arange(count) / motion.fps
    values = np.stack([np.interp(at, seconds, column) for column in motion.values.T], axis=1)
    return motion.with_values(values)
