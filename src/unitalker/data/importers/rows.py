"""Motion read in pieces, without filling memory: rows of npy files, and numbered frames put in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unitalker.errors import DataError

BLOCK_BYTES = 8 << 20
"""Motion is read, moved and written in pieces of this size."""
LONGEST_FILL = 0.2
"""Seconds of missing frames that are filled by linear interpolation; at longer gaps a sequence is cut in two."""


@dataclass(frozen=True)
class NpyRows:
    """An npy file of numbers as rows (count, width). Rows are read from the file, not mapped: mapped pages would count
    as memory in use. Row r begins at `start + r · row bytes`."""

    path: Path
    kind: np.dtype
    shape: tuple[int, ...]
    start: int

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return int(np.prod(self.shape[1:], dtype=object))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start … stop as they are stored, (n, width). Raises DataError where the file ends earlier."""
        with self.path.open("rb") as file:
            file.seek(self.start + start * self.width * self.kind.itemsize)
            flat = np.fromfile(file, self.kind, (stop - start) * self.width)
        if flat.size != (stop - start) * self.width:
            raise DataError(f"{self.path} ends within frame {start + flat.size // max(1, self.width)}.")
        return flat.reshape(stop - start, self.width)

    def gather(self, rows: Sequence[int]) -> np.ndarray:
        """Some rows, (n, width), runs of neighbours in one reading. Raises DataError for rows that are not there."""
        numbers = np.asarray(rows, np.int64)
        if not 0 <= numbers.min() <= numbers.max() < len(self):
            raise DataError(f"{self.path} has {len(self)} frames; number {numbers.max()} is asked for.")
        cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
        runs = [self.read(int(run[0]), int(run[-1]) + 1) for run in np.split(numbers, cuts)]
        return runs[0] if len(runs) == 1 else np.concatenate(runs)


def open_rows(path: Path, whole: bool = True) -> NpyRows:
    """The header of an npy file of numbers, at least two-dimensional. Raises DataError for any other file.

    whole: raise for a file that is cut off too; else its last rows cannot be read.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            reader = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, kind = reader(file)
            start = file.tell()
    except (OSError, ValueError, EOFError) as fault:
        raise DataError(f"{path} is not a readable npy array: {fault}.") from None
    if kind.kind not in "fiu" or len(shape) < 2 or min(shape) < 1 or fortran:
        order = " in column order" if fortran else ""
        raise DataError(f"{path} should hold numbers of shape (frames, …), not {kind} {shape}{order}.")
    rows = NpyRows(path, kind, tuple(int(n) for n in shape), start)
    due, there = start + len(rows) * rows.width * kind.itemsize, path.stat().st_size
    if whole and there < due:
        raise DataError(f"{path} is cut off: it has {there} of {due} bytes; fetch it again.")
    return rows


@dataclass(frozen=True)
class Frames:
    """Motion of a sequence: `count` frames, which `blocks` reads anew each time as (n, D) in pieces.

    file: an npy file that holds just these frames and can be linked. positions: whether it holds vertices, of which the
    frames are displacements.
    """

    count: int
    blocks: Callable[[], Iterator[np.ndarray]]
    notes: tuple[str, ...] = ()
    file: Path | None = None
    positions: bool = False


def steps(count: int, width: int) -> Iterator[tuple[int, int]]:
    """Starts and stops of blocks of rows of so many numbers."""
    rows = max(1, BLOCK_BYTES // (4 * max(1, width)))
    for start in range(0, count, rows):
        yield start, min(start + rows, count)


def displacements(
    rows: NpyRows, template: np.ndarray, step: int = 1, factor: np.ndarray | None = None
) -> Frames:
    """Every step-th row of vertices over a template (V, 3), as float32. factor (3,): each axis is multiplied by it."""
    flat, count = np.asarray(template, np.float32).reshape(-1), -(-len(rows) // step)
    each = None if factor is None else np.tile(np.asarray(factor, np.float32), flat.size // 3)

    def blocks() -> Iterator[np.ndarray]:
        for start, stop in steps(count, rows.width * step):
            values = rows.read(start * step, min(stop * step, len(rows)))[::step]
            moved = values.astype(np.float32)
            moved -= flat
            yield moved if each is None else moved * each

    return Frames(count, blocks)


@dataclass(frozen=True)
class Piece:
    """An unbroken stretch of a sequence of numbered frames. start: frames behind the sequence's first one. below, above:
    (n,) places of the two stored frames that frame n lies between; share (n,): how far it is from the lower one."""

    start: int
    below: np.ndarray
    above: np.ndarray
    share: np.ndarray

    def __len__(self) -> int:
        return len(self.below)

    @property
    def filled(self) -> int:
        """Frames that are not stored and come from their neighbours."""
        return int((self.share > 0).sum())

    def block(self, start: int, stop: int, read: Callable[[Sequence[int]], np.ndarray]) -> np.ndarray:
        """Frames start … stop, (n, D) float32, of what `read` gives for places of stored frames."""
        part = slice(start, stop)
        if not self.share[part].any():
            return read(self.below[part].tolist()).astype(np.float32)
        places, back = np.unique(np.concatenate([self.below[part], self.above[part]]), return_inverse=True)
        stored = read(places.tolist()).astype(np.float32)
        low, high = stored[back[: stop - start]], stored[back[stop - start :]]
        share = self.share[part, None].astype(np.float32)
        return np.where(share > 0, low + share * (high - low), low)


def piece_frames(
    piece: Piece,
    read: Callable[[Sequence[int]], np.ndarray],
    template: np.ndarray,
    step: int = 1,
    notes: Iterable[str] = (),
) -> Frames:
    """Every step-th frame of a piece over a template (V, 3); `read` gives stored frames (n, 3V) by their places."""
    flat, count = np.asarray(template, np.float32).reshape(-1), -(-len(piece) // step)

    def blocks() -> Iterator[np.ndarray]:
        for start, stop in steps(count, flat.size * step):
            moved = piece.block(start * step, min(stop * step, len(piece)), read)[::step]
            moved -= flat
            yield moved

    return Frames(count, blocks, tuple(notes))


def pieces(numbers: Sequence[int], fps: float, step: int = 1) -> list[Piece]:
    """Ascending frame numbers, `step` apart where none is missing, as unbroken pieces.

    Gaps of up to LONGEST_FILL seconds are filled from both sides, longer ones end a piece.
    """
    at = np.round((np.asarray(numbers, np.int64) - numbers[0]) / step).astype(np.int64)
    cuts = np.flatnonzero(np.diff(at) - 1 > LONGEST_FILL * fps) + 1
    made = []
    for run in np.split(np.arange(len(at)), cuts):
        times = np.arange(int(at[run[0]]), int(at[run[-1]]) + 1)
        below = run[0] + np.searchsorted(at[run], times, side="right") - 1
        above = np.minimum(below + 1, run[-1])
        apart = np.maximum(at[above] - at[below], 1)
        share = (times - at[below]) / apart
        made.append(Piece(int(at[run[0]]), below, np.where(share > 0, above, below), share))
    return made


def usual_step(sequences: Iterable[Sequence[int]]) -> int:
    """The most common difference of neighbouring frame numbers; 1 without any."""
    seen: Counter[int] = Counter()
    for numbers in sequences:
        seen.update(np.diff(numbers).tolist())
    return max(1, seen.most_common(1)[0][0]) if seen else 1
