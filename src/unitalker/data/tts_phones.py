"""Phones with their times, from espeak-ng's events and the sound itself.

The events' times are exact but for three habits, which are mended here: the silent closure of a voiceless stop is
counted to the sound before it, an /l/ after a vowel often gets no time, and vowels are linked by "pauses" that sound.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np

NATIVE_RATE = 22050
"""Sample rate of espeak-ng, Hz."""
_HOP = 88
_VOICELESS = tuple("ptkqcʈ")
_VOWELS = set("aeiouyæœøɐɑɒɔəɘɚɛɜɝɞɤɨɪɯɵɶʉʊʌʏɿʅᵻᵊ")
Event = tuple[int, str]
"""A phone's first sample at NATIVE_RATE, and its symbol as espeak-ng writes it."""


@dataclass(frozen=True)
class Phone:
    """One sound: [start_s, end_s) in seconds, its IPA without stress marks ("" is a pause), stress 0, 1 or 2."""

    start_s: float
    end_s: float
    ipa: str
    stress: int = 0

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s


def timed_phones(events: list[Event], wave: np.ndarray) -> list[Phone]:
    """Phones without gaps from 0 to the end of `wave`, (N,) at NATIVE_RATE."""
    quiet = _quiet(wave)
    return _give_closures(_voice_pauses(_phones(events, len(wave)), quiet), quiet)


def cleaned(symbol: str) -> tuple[str, int]:
    """IPA letters and diacritics, and the stress (-1 for a language switch such as "(en)")."""
    if symbol.startswith("("):
        return "", -1
    stress = 2 if "ˈ" in symbol else 1 if "ˌ" in symbol else 0
    kept = [c for c in symbol if c == "." or unicodedata.category(c) in ("Ll", "Lu", "Lo", "Lm", "Mn", "Sk")]
    return "".join(c for c in kept if c not in "ˈˌˑ"), stress


def _phones(events: list[tuple[int, str]], total: int) -> list[Phone]:
    """Phones from the events' start samples; equal neighbours of silence merge, late /l/ gets its share."""
    marks: list[tuple[int, str, int]] = [(0, "", 0)]
    for sample, symbol in events:
        ipa, stress = cleaned(symbol)
        if stress >= 0:
            marks.append((min(max(sample, marks[-1][0]), total), ipa, stress))
    edges = [m[0] for m in marks[1:]] + [total]
    spans = [[start, end, ipa, stress] for (start, ipa, stress), end in zip(marks, edges, strict=True)]
    for before, here in zip(spans, spans[1:], strict=False):
        vowel = bool(before[2]) and before[2].rstrip("ː\u0303")[-1:] in _VOWELS
        if here[2].startswith(("l", "ɫ")) and vowel and here[1] - here[0] < 0.035 * NATIVE_RATE:
            split = before[1] - round(0.4 * (before[1] - before[0]))
            before[1] = here[0] = split
    out: list[Phone] = []
    for start, end, ipa, stress in spans:
        if end <= start:
            continue
        if out and not ipa and not out[-1].ipa:
            out[-1] = Phone(out[-1].start_s, end / NATIVE_RATE, "")
        else:
            out.append(Phone(start / NATIVE_RATE, end / NATIVE_RATE, ipa, stress))
    return out


def _quiet(wave: np.ndarray) -> np.ndarray:
    """True for each hop of `_HOP` samples that is silent against the utterance's loud parts."""
    count = len(wave) // _HOP
    if count == 0:
        return np.zeros(0, bool)
    level = np.sqrt((wave[: count * _HOP].reshape(count, _HOP) ** 2).mean(1))
    return level < 0.04 * np.percentile(level, 95)


def _voice_pauses(phones: list[Phone], quiet: np.ndarray) -> list[Phone]:
    """Pauses that in fact sound (espeak-ng's links between vowels) go to the phone that follows."""
    out: list[Phone] = []
    start: float | None = None
    for i, p in enumerate(phones):
        part = quiet[round(p.start_s * NATIVE_RATE / _HOP) : round(p.end_s * NATIVE_RATE / _HOP)]
        if not p.ipa and part.size and part.mean() < 0.5 and i + 1 < len(phones) and p.seconds < 0.12:
            start = p.start_s if start is None else start
            continue
        out.append(p if start is None else Phone(start, p.end_s, p.ipa, p.stress))
        start = None
    return out


def _give_closures(phones: list[Phone], quiet: np.ndarray, longest_s: float = 0.12) -> list[Phone]:
    """Move the start of voiceless stops back over the silent closure that espeak-ng counts to what precedes."""
    out = list(phones)
    for i in range(1, len(out)):
        here, before = out[i], out[i - 1]
        if not here.ipa.startswith(_VOICELESS):
            continue
        frame = min(round(here.start_s * NATIVE_RATE / _HOP), len(quiet))
        first = next((f for f in range(frame, max(frame - 4, 0), -1) if quiet[f - 1]), frame)
        limit = 0.06 if not before.ipa and before.seconds > longest_s else longest_s
        while first > 0 and quiet[first - 1] and (frame - first) * _HOP / NATIVE_RATE < limit:
            first -= 1
        least = before.start_s + (0.0 if not before.ipa else 0.3 * before.seconds)
        start = max(first * _HOP / NATIVE_RATE, least)
        if start < here.start_s:
            out[i - 1] = Phone(before.start_s, start, before.ipa, before.stress)
            out[i] = Phone(start, here.end_s, here.ipa, here.stress)
    return [p for p in out if p.end_s > p.start_s]
