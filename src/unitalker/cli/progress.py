"""Progress on stderr: a bar where someone watches, plain lines where nobody does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol


class Tell(Protocol):
    """Called with how much is done so far, lines to print above the bar, and a note to show in it."""

    def __call__(self, done: float, lines: Sequence[str] = (), note: str = "") -> None: ...


def watched() -> bool:
    """Whether stderr is a terminal that someone looks at."""
    return sys.stderr.isatty()


@contextmanager
def bar(title: str, total: float, show: bool = True) -> Iterator[Tell]:
    """A function that moves the bar to `done` of `total` and prints lines. One bar at a time; show=False: none."""
    if not (show and watched()):
        yield _print
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)

        def tell(done: float, lines: Sequence[str] = (), note: str = "") -> None:
            for line in lines:
                progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
            progress.update(task, completed=done, description=f"{title}  {escape(note)}" if note else None)

        yield tell


def _print(done: float, lines: Sequence[str] = (), note: str = "") -> None:
    for line in lines:
        say(line)


def say(line: str) -> None:
    """A line on stderr. Where its reader has gone, as with `2>&1 | tee log` and Ctrl-C, it is lost: work is not."""
    try:
        print(line, file=sys.stderr, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
