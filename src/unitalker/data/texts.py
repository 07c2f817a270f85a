"""Text to speak: sentences and words in thirty languages, command phrases, templates and nonsense syllables.

All of it was written for this project (texts.json beside this file); nothing comes from a corpus.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.errors import ConfigError, unknown


@cache
def _material() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "texts.json").read_text(encoding="utf-8"))


def languages() -> tuple[str, ...]:
    """Codes of the languages there is text for; English comes first."""
    return tuple(_material()["languages"])


def _language(code: str) -> dict[str, Any]:
    known = _material()["languages"]
    if code not in known:
        raise ConfigError(unknown("language with built-in text", code, known))
    return known[code]


def voices_of(code: str) -> tuple[str, ...]:
    """Voices that read a language's text, common ones repeated so that drawing favours them."""
    return tuple(_language(code)["voices"])


def sentences(code: str) -> tuple[str, ...]:
    """The language's sentences. Raises ConfigError for a language without text."""
    return tuple(_language(code)["sentences"])


def words(code: str) -> tuple[str, ...]:
    """The language's words. Raises ConfigError for a language without text."""
    return tuple(_language(code)["words"])


def _pick(rng: np.random.Generator, items: Sequence[str]) -> str:
    return items[int(rng.integers(len(items)))]


def word_list(code: str, rng: np.random.Generator, count: int) -> str:
    """Words one by one, with pauses between them (a full stop after each)."""
    stop = "。" if code in ("zh", "yue", "ja") else ". "
    return stop.join(_pick(rng, words(code)) for _ in range(count)) + stop.strip()


def command(rng: np.random.Generator) -> str:
    """A six-word English command: verb, colour, preposition, letter, digit, adverb."""
    parts = _language("en")["grid"]
    order = ("command", "colour", "preposition", "letter", "digit", "adverb")
    return " ".join(_spelled(_pick(rng, parts[k])) for k in order) + "."


def _spelled(word: str) -> str:
    return word.upper() if len(word) == 1 else word


def template(rng: np.random.Generator) -> str:
    """An English sentence from a template with random words."""
    en = _language("en")
    text = _pick(rng, en["templates"])
    while "{" in text:
        head, rest = text.split("{", 1)
        slot, tail = rest.split("}", 1)
        text = head + _pick(rng, en["slots"][slot]) + tail
    return text


def syllables(rng: np.random.Generator, count: int) -> str:
    """Nonsense syllables in English spelling, sometimes repeated ("ba ba ba"), in small groups."""
    parts = _material()["syllables"]
    out: list[str] = []
    while len(out) < count:
        one = _pick(rng, parts["onsets"]) + _pick(rng, parts["vowels"]) + _pick(rng, parts["codas"])
        out += [one] * int(rng.choice((1, 1, 1, 3)))
    groups = [" ".join(out[i : i + 4]) for i in range(0, count, 4)]
    return _pick(rng, (", ", " ", ". ")).join(groups) + "."


def numbers(rng: np.random.Generator) -> str:
    """Digits, a date-like pair or a large number, read in the voice's own language."""
    form = int(rng.integers(3))
    if form == 0:
        return ", ".join(str(rng.integers(10)) for _ in range(int(rng.integers(3, 9)))) + "."
    if form == 1:
        return f"{rng.integers(1, 32)}, {rng.integers(1, 13)}, {rng.integers(1900, 2031)}."
    return f"{rng.integers(10, 10 ** int(rng.integers(2, 7)))}."


def letters(rng: np.random.Generator) -> str:
    """Single Latin letters with pauses."""
    return ". ".join(_pick(rng, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(int(rng.integers(3, 8)))) + "."


def random_text(code: str, rng: np.random.Generator) -> str:
    """A text of a random kind: mostly sentences, also isolated words, numbers, letters, and in English more."""
    draw = rng.random()
    if code == "en":
        if draw < 0.14:
            return command(rng)
        if draw < 0.36:
            return template(rng)
        if draw < 0.44:
            return syllables(rng, int(rng.integers(4, 13)))
    if draw < 0.62:
        return " ".join(_pick(rng, sentences(code)) for _ in range(int(rng.integers(1, 3))))
    if draw < 0.74:
        return _pick(rng, sentences(code))
    if draw < 0.90:
        return word_list(code, rng, int(rng.integers(1, 7)))
    if draw < 0.95:
        return numbers(rng)
    if code in ("en", "de", "fr", "es", "it", "nl", "pl"):
        return letters(rng)
    mixed = [_pick(rng, words(code)) for _ in range(int(rng.integers(3, 9)))]
    return ("" if code in ("zh", "yue", "ja") else " ").join(mixed)
