"""Progress on stderr: a bar where someone watches, plain lines where nobody does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Tell = Callable[[float, Sequence[str]], None]
"""Called with how much is done so far, and lines to print above the bar."""


@contextmanager
def bar(title: str, total: float, quiet: bool = False) -> Iterator[Tell]:
    """A function that moves the bar to `done` of `total` and prints lines above it."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, lines=(): _lines(lines, quiet)
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)

        def tell(done: float, lines: Sequence[str] = ()) -> None:
            for line in lines:
                progress.console.print(line, highlight=False, markup=False)
            progress.update(task, completed=done)

        yield tell


def _lines(lines: Sequence[str], quiet: bool) -> None:
    if not quiet:
        for line in lines:
            print(line, file=sys.stderr)
