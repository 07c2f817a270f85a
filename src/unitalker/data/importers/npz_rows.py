"""Arrays of an npz file as rows, unpacked in blocks: an hour of motion is never in memory at once."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from unitalker.errors import DataError

WHOLE_LIMIT = 512_000_000
"""Bytes of an array in column order, which can only be read whole."""
SMALL_LIMIT = 64_000_000
"""Bytes of an array that is wanted whole: names, time stamps."""


@dataclass(frozen=True)
class NpzRows:
    """An array of an npz file as rows (count, width)."""

    path: Path
    name: str
    kind: np.dtype
    shape: tuple[int, ...]
    columns_first: bool

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return int(np.prod(self.shape[1:], dtype=object))

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Blocks (rows, width) as they are stored, the last one shorter. Raises DataError where the file is broken."""
        with _member(self.path, self.name) as file:
            _header(file, self.path)
            if self.columns_first:
                flat = np.frombuffer(file.read(), self.kind)
                whole = flat.reshape(self.shape, order="F").reshape(len(self), self.width)
                yield from (whole[i : i + rows] for i in range(0, len(self), rows))
                return
            size = self.width * self.kind.itemsize
            for start in range(0, len(self), rows):
                count = min(rows, len(self) - start)
                flat = np.frombuffer(file.read(count * size), self.kind)
                if flat.size != count * self.width:
                    raise DataError(
                        f"{self.path}: {self.name} ends within frame {start + flat.size // self.width}."
                    )
                yield flat.reshape(count, self.width)


def npz_rows(path: Path, name: str) -> NpzRows:
    """An array of numbers of an npz file, its header alone read. Raises DataError where it is missing, or holds Python
    objects, which are never made."""
    with _member(path, name) as file:
        shape, columns_first, kind = _header(file, path)
        start = file.tell()
    if kind.hasobject:
        raise DataError(
            f"{path}: {name} holds Python objects, which can run code when made; only numbers are read."
        )
    if kind.kind not in "fiu" or not shape or not all(shape):
        raise DataError(f"{path}: {name} should hold numbers, frame by frame, not {kind} {shape}.")
    rows = NpzRows(path, name, kind, tuple(int(n) for n in shape), columns_first)
    due = len(rows) * rows.width * kind.itemsize
    with _archive(path) as archive:
        there = archive.getinfo(f"{name}.npy").file_size - start
    if there != due or (columns_first and due > WHOLE_LIMIT):
        raise DataError(f"{path}: {name} {kind} {shape} has {there} of {due} bytes; fetch it again.")
    return rows


def npz_names(path: Path) -> list[str]:
    """Names of the arrays of an npz file. Raises DataError for another file."""
    with _archive(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def npz_whole(path: Path, name: str) -> np.ndarray:
    """An array of numbers or texts of an npz file, (N,) in the order of its bytes. Raises DataError for one that is
    missing, cut off, larger than SMALL_LIMIT, or of Python objects."""
    with _member(path, name) as file:
        shape, _, kind = _header(file, path)
        count = int(np.prod(shape, dtype=object))
        if kind.kind not in "fiuUS" or count * kind.itemsize > SMALL_LIMIT:
            raise DataError(
                f"{path}: {name} should hold numbers or texts, at most {SMALL_LIMIT // 1_000_000} MB of them, not {kind} "
                f"{shape}."
            )
        held = file.read(count * kind.itemsize)
        if not kind.itemsize or len(held) != count * kind.itemsize:
            raise DataError(f"{path}: {name} {kind} {shape} is cut off; fetch it again.")
        return np.frombuffer(held, kind)


def npz_number(path: Path, name: str) -> float | None:
    """A single number of an npz file, None where there is none of that name, or no number."""
    if name not in npz_names(path):
        return None
    with _member(path, name) as file:
        shape, _, kind = _header(file, path)
        if kind.kind not in "fiu" or int(np.prod(shape, dtype=object)) != 1:
            return None
        held = file.read(kind.itemsize)
    return float(np.frombuffer(held, kind)[0]) if len(held) == kind.itemsize else None


FAULTS = (
    *(OSError, EOFError, NotImplementedError, RuntimeError, struct.error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What Python raises for archives that are no npz files, or broken ones."""


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FAULTS as fault:
        raise DataError(f"{path} is not a readable npz file: {fault}.") from None


@contextmanager
def _member(path: Path, name: str) -> Iterator[IO[bytes]]:
    """An array's file in the npz. Raises DataError with what there is where it is missing."""
    names = npz_names(path)
    if name not in names:
        raise DataError(f"{path} has no array {name!r}; it holds {', '.join(names[:12]) or 'none'}.")
    with _archive(path) as archive, archive.open(f"{name}.npy") as file:
        yield file


def _header(file: IO[bytes], path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, columns_first, kind = read(file)
        if min(shape, default=0) < 0:
            raise ValueError(f"its shape is {shape}")
        return shape, columns_first, kind
    except ValueError as fault:
        raise DataError(f"{path}: an array's header cannot be read: {fault}.") from None
