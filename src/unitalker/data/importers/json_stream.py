"""Large JSON files read bit by bit, so that memory does not grow with their length."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from unitalker.errors import DataError

PIECE = 1 << 20
"""Characters read at a time."""
AHEAD = 1 << 16
"""Characters that are there before a value is looked for; a frame has about a thousand."""
LONGEST_VALUE = 1 << 24
"""Characters of one value (a frame, a list of names) that are read at most."""


class Text:
    """A JSON text of which only a window is in memory."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self.file, self.path = file, path
        self.window, self.at, self.ended = "", 0, False
        self.decoder = json.JSONDecoder()

    def fill(self, ahead: int = AHEAD) -> bool:
        """Have `ahead` characters before the place of reading. Returns whether there was more to read."""
        if self.ended or len(self.window) - self.at >= ahead:
            return False
        more = self.file.read(max(PIECE, ahead))
        self.window, self.at, self.ended = self.window[self.at :] + more, 0, not more
        return bool(more)

    def sign(self) -> str:
        """The next character that is no blank, not taken; empty at the end."""
        while True:
            self.fill()
            while self.at < len(self.window) and self.window[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.window) or self.ended:
                return self.window[self.at : self.at + 1]

    def take(self, wanted: str) -> str:
        """The next character. Raises DataError for one that is not among `wanted`, or the end of the file."""
        found = self.sign()
        if not found or found not in wanted:
            raise DataError(
                broken(self.path, "ends too early" if not found else f"has {found!r} for {wanted}")
            )
        self.at += 1
        return found

    def value(self) -> Any:
        """The next value. Raises DataError for what is none, or is larger than any frame."""
        self.sign()
        while True:
            try:
                found, self.at = self.decoder.raw_decode(self.window, self.at)
                return found
            except (ValueError, RecursionError) as fault:
                size = len(self.window) - self.at
                if size > LONGEST_VALUE or not self.fill(2 * size + 1):
                    raise DataError(broken(self.path, str(fault) if size else "ends too early")) from None

    def items(self) -> Iterator[Any]:
        """The values of the list that comes next, one by one."""
        self.take("[")
        while self.sign() != "]":
            yield self.value()
            if self.sign() != "]":
                self.take(",")
        self.take("]")


def broken(path: Path, what: str) -> str:
    """The sentence for a file that ends too early or holds something else."""
    return f"{path} is not a whole JSON file ({what}); fetch it again."


def parts(path: Path, long: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """An object's keys and values as (key, value); of lists under a key among `long`, and of a file that is a list (key
    ""), each item by itself. Raises DataError for broken JSON."""

    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _parts(Text(file, path), long)
    except OSError as fault:
        raise DataError(f"{path} cannot be read: {fault}.") from None
    except UnicodeDecodeError as fault:
        raise DataError(broken(path, str(fault))) from None


def _parts(text: Text, long: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if text.sign() == "[":
        yield from (("", item) for item in text.items())
        return
    text.take("{")
    while text.sign() != "}":
        key = text.value()
        text.take(":")
        if key in long and text.sign() == "[":
            yield from ((str(key), item) for item in text.items())
        else:
            yield str(key), text.value()
        if text.sign() != "}":
            text.take(",")
