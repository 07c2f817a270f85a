"""Phones by what the mouth does for them: whether it shuts and opens, and the lips' error while each class is spoken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from unitalker.data.articulation import Sound, closure, sounds
from unitalker.errors import DataError

BILABIALS, LABIODENTALS, OPEN, ROUNDED, CLOSE, CONSONANTS, SILENCE = CLASSES = (
    "bilabials",
    "labiodentals",
    "open vowels",
    "rounded vowels and w",
    "other vowels",
    "other consonants",
    "silence",
)
"""In the order of reports."""
BEFORE, AFTER = 0.040, 0.040
"""Seconds around a bilabial in which the lips may shut."""
CLOSED, WIDE, LARGE = 0.20, 0.30, 95.0
"""Shares of the clip's 95th percentile gap: below the first lips are shut, above the second they are open."""

Timed = Sequence[tuple[float, float, str]]
"""(start, end, symbol) in seconds."""
SUMS = "lve while "
PAUSES = frozenset({"", "_", "-", "#", "h#", "pau", "sil", "sp", "spn", "<eps>", "silence", "<p:>"})
OPEN_HEIGHT, ROUND = 0.7, 0.6
"""An open vowel's height at least, from 0 close to 1 open; a rounded sound's rounding at least."""
_ARPABET = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "b": "b", "ch": "tʃ",
    "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "er": "ɝ", "ey": "eɪ", "f": "f", "g": "ɡ", "hh": "h", "ih": "ɪ",
    "ix": "ɨ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ",
    "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j",
    "z": "z", "zh": "ʒ",
}  # fmt: skip
_STRESSED = re.compile(r"([A-Za-z]+)[012]?")


@cache
def phone_class(symbol: str) -> str:
    """Class of a phone in IPA or ARPABET (`AH0`, `sh`), of silence too; "" for a symbol that is neither.

    The first that fits: p b m close the lips; f v bring the lower one to the teeth; vowels by their most open letter are
    open from the height of æ on, except where rounded (a diphthong like aʊ is open, oʊ is rounded, w too).
    """
    if symbol.strip().casefold() in PAUSES:
        return SILENCE
    match = _STRESSED.fullmatch(symbol)
    named = _ARPABET.get(match[1].casefold()) if match else None
    two_letters = named is not None and match is not None and (len(match[1]) > 1 or symbol.isupper())
    try:
        parts = sounds(named if two_letters and named else symbol)
    except DataError:
        return ""
    return _class_of(parts) if parts else ""


def _class_of(parts: tuple[Sound, ...]) -> str:
    shut = {closure(sound) for sound in parts}
    vowels = [sound for sound in parts if sound.kind == "vowel"]
    if "lips" in shut:
        return BILABIALS
    if "teeth" in shut:
        return LABIODENTALS
    if not vowels:
        return ROUNDED if any(s.round >= ROUND and s.kind == "glide" for s in parts) else CONSONANTS
    widest = max(vowels, key=lambda sound: sound.height)
    if widest.round >= ROUND:
        return ROUNDED
    return OPEN if widest.height >= OPEN_HEIGHT else CLOSE


def closures(gap: np.ndarray, fps: float, phones: Timed) -> dict[str, tuple[int, int]]:
    """{"closure": (met, phones), "open": (met, phones)} of one clip's gap (T,), the opening over that at rest.

    Closure recall: the share of p, b and m within whose time (±40 ms) the gap falls to 20 % of the clip's 95th percentile.
    Open recall: the share of open vowels within whose time it exceeds 30 %. Read both together: lips that never part shut on
    every bilabial. Phones that begin after the last frame are not counted. After the bilabial accuracies of visual-speech
    papers; the windows are ours.
    """
    times, large = np.arange(len(gap)) / fps, _largest(gap)
    shut, wide = [0, 0], [0, 0]
    for start, end, symbol in phones:
        kind = phone_class(symbol) if _heard(start, end, len(gap), fps) else None
        if kind == BILABIALS:
            shut[0] += bool(_within(gap, times, start - BEFORE, end + AFTER).min() <= CLOSED * large)
            shut[1] += 1
        elif kind == OPEN:
            wide[0] += bool(_within(gap, times, start, end).max() > WIDE * large)
            wide[1] += 1
    return {"closure": (shut[0], shut[1]), "open": (wide[0], wide[1])}


def classes_of_frames(frames: int, fps: float, phones: Timed, gaps: bool) -> np.ndarray:
    """(frames,) index in CLASSES of what is spoken at t / fps seconds, start ≤ t < end; -1 where nothing is told.

    gaps: whether frames that no phone covers are silence, as in whole transcriptions.
    """
    out = np.full(frames, CLASSES.index(SILENCE) if gaps else -1)
    for start, end, symbol in phones:
        first, stop = (max(0, int(np.ceil(round(s * fps, 6)))) for s in (start, end))
        name = phone_class(symbol)
        out[first:stop] = CLASSES.index(name) if name else -1
    return out


def lve_by_class(errors: np.ndarray, fps: float, phones: Timed, gaps: bool = True) -> dict[str, np.ndarray]:
    """LVE while each class is spoken, as sums: class → (Σ error, frames of all styles, phones).

    errors: (styles, T) or (T,) LVE of each frame, u². A figure is the first sum over the second. See classes_of_frames.
    """
    rows = np.atleast_2d(np.asarray(errors, np.float64))
    which = classes_of_frames(rows.shape[1], fps, phones, gaps)
    told = [phone_class(symbol) for start, end, symbol in phones if _heard(start, end, rows.shape[1], fps)]
    out = {}
    for number, name in enumerate(CLASSES):
        there = which == number
        if there.any():
            out[name] = np.array(
                [rows[:, there].sum(), there.sum() * len(rows), told.count(name)], np.float64
            )
    return out


def of_clip(errors: np.ndarray | None, fps: float, phones: Timed, words: Timed) -> dict[str, np.ndarray]:
    """`lve_by_class` of a clip under the names that sums of sequences have (SUMS + class). words: what is known of phones
    from words alone, for clips without phones; nothing then tells where silence is."""
    if errors is None or not (phones or words):
        return {}
    found = lve_by_class(errors, fps, phones or words, gaps=bool(phones))
    return {SUMS + name: sums for name, sums in found.items()}


def _largest(gap: np.ndarray) -> float:
    """The clip's large gap, over which closed and open are told: its 95th percentile, 0 for lips that never part."""
    return max(0.0, float(np.percentile(gap, LARGE)))


def _heard(start: float, end: float, frames: int, fps: float) -> bool:
    """Whether any of that time, in seconds, is within so many frames."""
    return end > 0 and start < frames / fps


def _within(gap: np.ndarray, times: np.ndarray, start: float, end: float) -> np.ndarray:
    """The gap from start to end, at least the frame nearest to the middle."""
    inside = (times >= start - 1e-6) & (times <= end + 1e-6)
    return gap[inside] if inside.any() else gap[[np.argmin(np.abs(times - (start + end) / 2))]]
