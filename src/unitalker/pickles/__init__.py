"""Pickles of research corpora read as plain data: nothing in them is ever called, and no package is imported.

A pickle is a program that names the functions to call. Here every name stands for one of a few inert stand-ins of ours:
NumPy arrays, dtypes and scalars (in the spellings of NumPy 1 and 2), PyTorch's tensors, scipy's csc and csr matrices,
and chumpy's Ch, of which the last four become arrays. Any other name ends the reading with an error that tells it.
Python-2 strings are read as latin1.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from unitalker.errors import DataError
from unitalker.pickles.stand_ins import STAND_INS, Object, Refused
from unitalker.pickles.tensors import TENSORS

SIZE_LIMIT = 2_000_000_000
"""Largest pickle that is read, in bytes."""
KNOWN = STAND_INS | TENSORS
"""Names that a pickle may ask for, and what they stand for."""


def read_pickle(path: str | Path, limit: int = SIZE_LIMIT) -> Any:
    """What a pickle holds: dicts, lists, tuples, sets, texts, bytes, numbers and NumPy arrays.

    limit: largest file in bytes. Raises DataError for a file that is missing, too large, damaged, or that names
    anything but arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.stat().st_size > limit:
        raise DataError(f"{path} has {path.stat().st_size} bytes, more than the {limit} that are read.")
    try:
        with path.open("rb") as file:
            found = _Reader(file).load()
        return _plain(found, {})
    except Refused as refused:
        raise DataError(f"{path} is not read, because {refused}.") from None
    except RecursionError:
        raise DataError(f"{path} is nested too deeply to be data.") from None
    except Exception as fault:  # a damaged pickle fails in any way there is
        ours = isinstance(fault, ValueError) and not isinstance(fault, UnicodeError)
        said = str(fault) if ours and str(fault) else "it is cut off or damaged, or another kind of file"
        raise DataError(f"{path} is not a whole pickle of arrays: {said}.") from None


class _Bounded:
    """A file that never makes room for more bytes than it has left, whatever a pickle says comes next."""

    def __init__(self, file: BinaryIO) -> None:
        self.left = os.fstat(file.fileno()).st_size
        self.file = file

    def read(self, size: int) -> bytes:
        """`size` bytes. Raises EOFError where there are fewer."""
        if not 0 <= size <= self.left:
            raise EOFError("it is cut off or damaged")
        self.left -= size
        return self.file.read(size)

    def readline(self) -> bytes:
        """The bytes up to the end of a line."""
        line = self.file.readline()
        self.left -= len(line)
        return line


class _Reader(pickle._Unpickler):
    """The unpickler written in Python, whose memory grows with the file alone: the one in C makes room for any memo
    number that a few bytes name."""

    def __init__(self, file: BinaryIO) -> None:
        self.bounded = _Bounded(file)
        super().__init__(self.bounded, fix_imports=False, encoding="latin1")

    def load_bytearray8(self) -> None:
        """Bytes of a writable array, read before there is room for them."""
        (size,) = struct.unpack("<Q", self.read(8))  # type: ignore[attr-defined]
        self.append(bytearray(self.read(size)))  # type: ignore[attr-defined]

    dispatch = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: load_bytearray8}  # type: ignore[assignment]

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a name."""
        place = f"{module.replace('numpy._core', 'numpy.core')}.{name}"
        if place not in KNOWN:
            raise Refused(
                f"it asks for {module}.{name}, and only plain data, NumPy arrays, PyTorch's tensors, scipy's csc_matrix "
                "and csr_matrix and chumpy's Ch are read from pickles"
            )
        return KNOWN[place]

    def get_extension(self, code: int) -> None:
        """Names by number, which no corpus uses."""
        raise Refused(f"it names a class by the number {code}")

    def persistent_load(self, pid: Any) -> Any:
        """Objects outside the file."""
        raise Refused(f"it points outside the file ({pid!r})")


def _plain(found: Any, done: dict[int, Any]) -> Any:
    """The same data without stand-ins. done: by id, with the objects, so that shared parts stay shared."""
    if isinstance(found, (str, bytes, bytearray, int, float, complex, type(None))):
        return found
    if id(found) in done:
        made = done[id(found)][1]
        if made is _plain:
            raise Refused("it holds itself")
        return made
    done[id(found)] = (found, _plain)
    made = _part(found, lambda part: _plain(part, done))
    done[id(found)] = (found, made)
    return made


def _part(found: Any, plain: Callable[[Any], Any]) -> Any:
    if isinstance(found, dict):
        return {plain(k): plain(v) for k, v in found.items()}
    if isinstance(found, (list, tuple, set, frozenset)):
        return type(found)(plain(v) for v in found)
    if isinstance(found, Object):
        made = found.value(plain)
        found.__setstate__(None)  # what it was made of need not stay in memory
        return made
    raise Refused("it holds a function or a class, no data")
