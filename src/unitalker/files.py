"""Files appear whole or not at all: write beside the goal under another name, then rename."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unitalker.errors import ExportError, UniTalkerError


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
