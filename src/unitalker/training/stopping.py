"""Stopping a run from outside, between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """While it is open, the first SIGINT or SIGTERM sets `asked`; a second one acts as it would without.

    Outside the main thread, where Python takes no signals, nothing is ever asked.
    """

    def __init__(self) -> None:
        self.asked = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def _ask(self, number: int, _: FrameType | None) -> None:
        self.asked = True
        self._release()

    def _release(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._release()
