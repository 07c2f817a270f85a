"""Files appear whole or not at all: write beside the goal under another name, then rename. Arrays read in place."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unitalker.errors import ExportError, UniTalkerError

if TYPE_CHECKING:
    import numpy as np


def _sentence(path: Path, error: OSError, kind: type[UniTalkerError] = ExportError) -> UniTalkerError:
    reason = error.strerror or str(error) or type(error).__name__
    return kind(f"Cannot write {path}: {reason}.")


def _beside(path: Path) -> Path:
    """A fresh name in the same folder with the same suffix (writers that guess by suffix still can)."""
    return path.with_name(f".unitalker-{secrets.token_hex(6)}{path.suffix}")


@contextmanager
def atomic(path: str | Path, kind: type[UniTalkerError] = ExportError) -> Iterator[Path]:
    """Gives a temporary path to write to; it takes the goal's place at the end, or vanishes on any failure.

    Raises `kind`, with the system's reason, where the file cannot be written.
    """
    goal = Path(path)
    check_writable(goal, kind)
    draft = _beside(goal)
    try:
        yield draft
        draft.replace(goal)
    except OSError as error:
        raise _sentence(goal, error, kind) from error
    finally:
        draft.unlink(missing_ok=True)


def check_writable(path: str | Path, kind: type[UniTalkerError] = ExportError) -> None:
    """Raises `kind` where `path` cannot become a file: no such folder, a folder, no permission."""
    goal = Path(path)
    try:
        if goal.is_dir():
            raise kind(f"Cannot write {goal}: it is a folder; give a file name.")
        if not goal.parent.is_dir():
            raise kind(f"Cannot write {goal}: there is no folder {goal.parent}; make it first.")
        probe = _beside(goal)
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        probe.unlink()
    except OSError as error:
        raise _sentence(goal, error, kind) from error


def mapped_array(path: Path, start: int, size: int) -> np.ndarray:
    """The npy array in the bytes start … start + size of a larger file, memory-mapped there.

    Raises ValueError or EOFError for bytes that are none, and ValueError for Python objects.
    """
    import numpy as np

    with path.open("rb") as file:
        file.seek(start)
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read:
            raise ValueError(f"npy version {version} is unknown")
        shape, fortran, kind = read[version](file)
        offset = file.tell()
    if kind.hasobject:
        raise ValueError("it holds Python objects")
    if offset + kind.itemsize * int(np.prod(shape, dtype=object)) > start + size:
        raise ValueError("its data are cut off")
    return np.memmap(path, kind, "r", offset, shape, "F" if fortran else "C")
