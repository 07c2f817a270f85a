"""What a bench does and how long it will still take, from what it has done so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Tell = Callable[[float, tuple[str, ...], str], None]
"""Called with the share that is done, lines to keep, and a note on what is going on."""
EVERY_S = 30.0
"""Seconds between lines of one run."""


class Progress:
    """Counts the work of runs beforehand, then tells how much of it is done. planning: nothing is done yet, only counted."""

    def __init__(self, tell: Tell) -> None:
        self.tell, self.planning = tell, True
        self.work: dict[str, float] = {}
        self.done: set[str] = set()
        self.begun = self.spoken = time.monotonic()

    def expect(self, key: str, work: float) -> None:
        """A run that will be asked for; the same key is the same run."""
        self.work.setdefault(key, work)

    def start(self) -> None:
        """Planning is over: the clock runs."""
        self.planning = False
        self.done = {key for key, work in self.work.items() if work == 0}

    def say(self, line: str) -> None:
        """A line to keep."""
        self.tell(self._share(), (line,), "")

    def note(self, text: str) -> None:
        """What is going on, where someone watches."""
        self.tell(self._share(), (), text)

    @contextmanager
    def run(self, title: str, key: str) -> Iterator[Callable[[float, Mapping[str, float]], None]]:
        """While a run trains; gives what to call with its share done and its figures."""
        if not self._finished():
            self.begun = time.monotonic()
        number = len(self.done) + 1
        self.say(f"[{number}/{max(len(self.work), number)}] training {title}{self._left()}")
        own = self.work.get(key, 0.0)

        def report(share: float, figures: Mapping[str, float]) -> None:
            shown = "  ".join(f"{n} {v:.4g}" for n, v in list(figures.items())[:3])
            self.tell(self._share(share * own), (), f"{title}: {shown}")
            if time.monotonic() - self.spoken > EVERY_S:
                self.spoken = time.monotonic()
                self.tell(
                    self._share(share * own), (f"    {share:.0%}  {shown}{self._left(share * own)}",), ""
                )

        yield report
        self.done.add(key)

    def _finished(self, more: float = 0.0) -> float:
        return sum(self.work.get(key, 0.0) for key in self.done) + more

    def _share(self, more: float = 0.0) -> float:
        return min(self._finished(more) / max(sum(self.work.values()), 1e-9), 1.0) if self.work else 0.0

    def _left(self, more: float = 0.0) -> str:
        """ ", about 12 min left", once something is done."""
        finished = self._finished(more)
        if not finished:
            return ""
        seconds = (time.monotonic() - self.begun) * (sum(self.work.values()) - finished) / finished
        return f", about {_spoken(max(seconds, 0.0))} left"


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
