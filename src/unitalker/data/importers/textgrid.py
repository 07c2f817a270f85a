"""Words of a TextGrid, the form in which Praat and forced aligners write when each word is said."""

from __future__ import annotations

import re
from pathlib import Path

from unitalker.errors import DataError

SIZE_LIMIT = 32_000_000
TIER = re.compile(r'name\s*=\s*"words"(.*?)(?=\n\s*item\s*\[|\Z)', re.DOTALL | re.IGNORECASE)
INTERVAL = re.compile(r'xmin\s*=\s*([0-9.eE+-]+)\s+xmax\s*=\s*([0-9.eE+-]+)\s+text\s*=\s*"((?:[^"]|"")*)"')
SILENT = ("", "sil", "sp", "spn", "<eps>")

Word = tuple[float, float, str]


def read_words(path: Path) -> tuple[Word, ...]:
    """(start s, end s, word) of the tier "words", silences left out. Raises DataError for a file without that tier."""
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise DataError(f"{path} is larger than {SIZE_LIMIT // 1_000_000} MB, too large for words.")
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise DataError(f"{path} cannot be read as text: {fault}.") from None
    tier = TIER.search(text)
    if tier is None:
        raise DataError(f'{path} has no tier "words" in the long form of TextGrids.')
    try:
        found = [
            (float(a), float(b), word.replace('""', '"').strip()) for a, b, word in INTERVAL.findall(tier[1])
        ]
    except ValueError as fault:
        raise DataError(f"{path} holds a time that is no number: {fault}.") from None
    return tuple(row for row in found if row[2].lower() not in SILENT and row[0] <= row[1])


def words_within(words: tuple[Word, ...], start: float, stop: float | None) -> tuple[Word, ...]:
    """The words that lie wholly in a part of a recording, told from the part's start."""
    return tuple(
        (round(a - start, 4), round(b - start, 4), word)
        for a, b, word in words
        if a >= start and (stop is None or b <= stop)
    )
