"""Live Link Face's CSV files, row by row: the phone's, and those of the engine's recorder with whatever curves it has."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from unitalker.annotations.layouts import channel_key
from unitalker.audio.timecode import CLOCK, clock_frames, shown_rate
from unitalker.data.importers.stamped import ROWS, Stretch, Table, stretches
from unitalker.data.importers.weights import RATES
from unitalker.errors import DataError

COUNTS = ("blendshapecount", "numproperties")
"""Names of the second column, in small letters: the app's of every year, the engine's recorder's."""
DAY = 24 * 3600 * CLOCK


LONGEST_LINE = 1 << 20
"""Characters of a line that are read at a time: the rest of a longer one is another row, which then does not fit."""


class NoTake(Exception):
    """A CSV file of something else."""


@dataclass(frozen=True)
class Recording:
    """A file of which the times are known. columns: of `names`, the wanted channels that it has. began: seconds since
    midnight of its first row. rows: with a face. pieces: on a clock that begins with the first row. notes: what was
    found."""

    path: Path
    width: int
    columns: tuple[int, ...]
    names: tuple[str, ...]
    began: float
    rows: int
    rate: float
    pieces: tuple[Stretch, ...]
    notes: tuple[str, ...]


def examine(path: Path, wanted: tuple[str, ...]) -> Recording:
    """The names and times of a file. Raises NoTake for a CSV file of something else, DataError for a broken one."""
    width, columns, names = _head(path, wanted)
    notes: list[str] = []
    clock = np.concatenate([times for times, _ in _blocks(path, width, (), notes)] or [np.zeros(0)])
    if len(clock) < 2:
        raise DataError(f"{path} has {len(clock)} rows with a face; a take has at least 2.")
    rate, _ = shown_rate(clock)
    if rate > RATES[1]:
        raise DataError(
            f"{path} has {rate:.4g} rows a second by its timecodes; at most {RATES[1]:g} are read."
        )
    pieces = tuple(stretches((clock - clock[0]) / CLOCK, rate))
    return Recording(
        path, width, columns, names, float(clock[0]) / CLOCK, len(clock), rate, pieces, tuple(notes)
    )


def rows_of(recording: Recording, piece: Stretch) -> tuple[Table, np.ndarray]:
    """The weights of a piece in the order of `names`, and its times in seconds since the first row. Raises DataError."""
    table, times, done = Table(len(recording.columns)), [], 0
    start = recording.began * CLOCK
    for clock, values in _blocks(recording.path, recording.width, recording.columns, []):
        part = slice(max(0, piece.first - done), max(0, piece.last + 1 - done))
        table.add(values[part])
        times.append(clock[part])
        done += len(clock)
        if done > piece.last:
            break
    return table, (np.concatenate(times) - start) / CLOCK


def _head(path: Path, wanted: tuple[str, ...]) -> tuple[int, tuple[int, ...], tuple[str, ...]]:
    """Cells in a row, and the columns and names of the wanted channels that are there."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            head = [cell.strip() for cell in next(csv.reader(_lines(file)), [])]
        except csv.Error as fault:
            raise NoTake(str(fault)) from None
    if head and _is_timecode(head[0]):
        raise DataError(
            f"{path}: the first line must name the columns; it begins with {','.join(head)[:40]!r}."
        )
    if [h.lower() for h in head[:1]] != ["timecode"]:
        raise NoTake("no timecodes")
    if len(head) < 3 or head[1].lower() not in COUNTS:
        raise DataError(
            f"{path}: the second column must be BlendShapeCount or NumProperties, not {','.join(head[1:2])[:40]!r}."
        )
    keys = [channel_key(cell) for cell in head]
    twice = sorted({key for key in keys[2:] if keys.count(key) > 1})
    if twice:
        raise DataError(f"{path} has two columns {twice[0]!r}, so its weights cannot be told apart.")
    there = tuple(name for name in wanted if name in keys)
    if not there:
        raise DataError(f"{path} has no column of an ARKit name; it has {', '.join(head[2:6])}, ….")
    return len(head), tuple(keys.index(name) for name in there), there


def _is_timecode(text: str) -> bool:
    try:
        clock_frames(text)
    except ValueError:
        return False
    return True


def _blocks(
    path: Path, width: int, columns: tuple[int, ...], notes: list[str]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of rising clock readings (n,), in frames of the 60-fps clock, and weights (n, columns).

    Rows without a face, and those that repeat a timecode, are left out and told. Raises DataError for rows that do not fit.
    """
    clock: list[float] = []
    cells: list[list[str]] = []
    last, first, faceless, again, days = -np.inf, 2, 0, 0, 0
    for line, row in _rows(path, width, notes):
        if len(row) > 1 and row[1].strip() in ("0", ""):
            faceless += 1
            continue
        try:
            time = clock_frames(row[0]) + days * DAY
        except ValueError:
            raise DataError(f"{path}, line {line}: {row[0][:40]!r} is no timecode HH:MM:SS:FF.mmm.") from None
        if time < last - DAY / 2:
            time, days = time + DAY, days + 1
        if time < last:
            raise DataError(f"{path}, line {line}: time goes back, to {row[0]}.")
        if time == last:
            again += 1
            continue
        last, first = time, first if clock else line
        clock.append(time)
        cells.append([row[column] for column in columns])
        if len(clock) == ROWS:
            yield np.array(clock), _numbers(path, cells, first)
            clock, cells = [], []
    if clock:
        yield np.array(clock), _numbers(path, cells, first)
    if faceless:
        notes.append(f"{faceless} rows without a face were left out.")
    if again:
        notes.append(f"{again} rows that repeat a timecode were left out.")


def _rows(path: Path, width: int, notes: list[str]) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each row. Raises DataError for one of another length, unless it is cut off at the end."""
    odd: tuple[int, int] | None = None
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(_lines(file))
        try:
            next(rows, None)
            for line, row in enumerate(rows, 2):
                if odd is not None:
                    raise DataError(f"{path}, line {odd[0]}: {odd[1]} cells stand under {width} names.")
                if row and len(row) != width and row[1:2] != ["0"]:
                    odd = (line, len(row))
                elif row:
                    yield line, row
        except csv.Error as fault:
            raise DataError(f"{path} is not a readable CSV file: {fault}.") from None
    if odd is not None and odd[1] > width:
        raise DataError(f"{path}, line {odd[0]}: {odd[1]} cells stand under {width} names.")
    if odd is not None:
        notes.append(f"its last line, {odd[0]}, is cut off and was not used.")


def _lines(file: TextIO) -> Iterator[str]:
    """The lines of a file, none of which is longer than LONGEST_LINE."""
    return iter(lambda: file.readline(LONGEST_LINE), "")


def _numbers(path: Path, cells: list[list[str]], first: int) -> np.ndarray:
    """(n, columns) float32. Raises DataError for other cells, and for NaN and infinite ones. first: line of the first
    row."""
    try:
        values = np.array(cells, np.float64).astype(np.float32)
    except ValueError:
        raise DataError(
            f"{path}: something else than a number stands in line {first} or soon after."
        ) from None
    good = np.isfinite(values).all(1)
    if not good.all():
        raise DataError(f"{path}: NaN or infinite numbers, about line {first + int(np.argmin(good))}.")
    return values
