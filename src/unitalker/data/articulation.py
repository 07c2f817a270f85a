"""What the mouth does for each sound: IPA symbols → phonetic features → mouth targets.

Any IPA string is read letter by letter; diacritics change the features of the letter before them. So every
language is covered by one table of about a hundred letters, and a letter that is not in it is an error.
Feature values follow the chart of the International Phonetic Association. Target levels were set so that
spoken sentences reach the levels of tracked speech (jaw 0.15–0.2 in close, 0.3–0.4 in open vowels).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from functools import cache

from unitalker.errors import DataError

FIELDS = (
    "jaw", "pucker", "funnel", "spread", "stretch", "lower_down", "upper_up", "shrug", "dimple",
    "jaw_forward", "tongue", "narrow",
)  # fmt: skip
"""Mouth targets: ARKit weights but for `spread` (smile) and `narrow` (mouthClose of rounded lips)."""


@dataclass(frozen=True)
class Sound:
    """One IPA letter with its diacritics.

    kind: vowel, glide, stop, nasal, fricative, liquid, tap or glottal. place: lips, teeth_lips, teeth, ridge,
    post, retroflex, palate, velum, uvula, throat. height 0 close … 1 open, back 0 front … 1 back, round 0 … 1.
    weight: its share of the time when several letters make one phone.
    """

    kind: str
    place: str = ""
    voiced: bool = True
    height: float = 0.5
    back: float = 0.5
    round: float = 0.0
    weight: float = 1.0


def _vowel(height: float, back: float, rounding: float) -> Sound:
    return Sound("vowel", "", True, height, back, rounding)


_HEIGHTS = {
    0.0: (("i", 0, 0), ("y", 0, 1), ("ɨ", 0.5, 0), ("ʉ", 0.5, 0.8), ("ɯ", 1, 0), ("u", 1, 1)),
    0.15: (("ɪ", 0.2, 0), ("ʏ", 0.2, 0.8), ("ʊ", 0.8, 0.6), ("ᵻ", 0.5, 0), ("ɿ", 0.3, 0), ("ʅ", 0.5, 0)),
    0.35: (("e", 0, 0), ("ø", 0, 0.85), ("ɘ", 0.5, 0), ("ɵ", 0.5, 0.7), ("ɤ", 1, 0), ("o", 1, 0.85)),
    0.45: (("ə", 0.5, 0.05), ("ɚ", 0.5, 0.25)),
    0.6: (("ɛ", 0, 0), ("ε", 0, 0), ("œ", 0, 0.65), ("ɜ", 0.5, 0.1), ("ɝ", 0.5, 0.3), ("ɞ", 0.5, 0.6)),
    0.62: (("ʌ", 1, 0), ("ɔ", 1, 0.65)),
    0.72: (("æ", 0, 0), ("ɐ", 0.5, 0)),
    1.0: (("a", 0.3, 0), ("ɶ", 0, 0.5), ("ɑ", 1, 0), ("ɒ", 1, 0.45), ("A", 0.6, 0)),
}
_CONSONANTS = {
    ("stop", "lips"): "p b", ("stop", "ridge"): "t d", ("stop", "retroflex"): "ʈ ɖ",
    ("stop", "palate"): "c ɟ", ("stop", "velum"): "k ɡ", ("stop", "uvula"): "q ɢ",
    ("nasal", "lips"): ". m", ("nasal", "teeth_lips"): ". ɱ", ("nasal", "ridge"): ". n",
    ("nasal", "retroflex"): ". ɳ", ("nasal", "palate"): ". ɲ", ("nasal", "velum"): ". ŋ",
    ("nasal", "uvula"): ". ɴ", ("fricative", "lips"): "ɸ β", ("fricative", "teeth_lips"): "f v",
    ("fricative", "teeth"): "θ ð", ("fricative", "ridge"): "s z", ("fricative", "post"): "ʃ ʒ",
    ("fricative", "retroflex"): "ʂ ʐ", ("fricative", "alveolopalatal"): "ɕ ʑ",
    ("fricative", "palate"): "ç ʝ", ("fricative", "velum"): "x ɣ", ("fricative", "uvula"): "χ ʁ",
    ("fricative", "throat"): "ħ ʕ", ("glottal", "throat"): "h ɦ", ("liquid", "ridge"): ". l",
    ("trill", "ridge"): ". r", ("tap", "ridge"): ". ɾ", ("tap", "retroflex"): ". ɽ",
    ("fricative", "lateral"): "ɬ ɮ", ("liquid", "retroflex"): ". ɭ", ("liquid", "palate"): ". ʎ",
    ("liquid", "velum"): ". ʟ", ("trill", "uvula"): ". ʀ", ("trill", "lips"): ". ʙ",
    ("glide", "palate"): ". j", ("glide", "lips"): "ʍ w", ("glide", "velum"): ". ɰ",
    ("glide", "teeth_lips"): ". ʋ", ("glide", "front"): ". ɥ", ("approximant", "post"): ". ɹ",
    ("approximant", "retroflex"): ". ɻ",
}  # fmt: skip
_ROUND = {"w": 1.0, "ʍ": 1.0, "ɥ": 0.9, "ɹ": 0.35, "ɻ": 0.3, "ʃ": 0.35, "ʒ": 0.35}
_SAME = {
    "g": "ɡ", "ɫ": "l", "ʧ": "tʃ", "ʤ": "dʒ", "ʦ": "ts", "ʣ": "dz", "ɓ": "b", "ɗ": "d", "ʄ": "ɟ", "ɠ": "ɡ",
    "ɺ": "ɾ", "ɧ": "ʃ", "ʜ": "ħ", "ʢ": "ʕ", "ʡ": "ʔ", "ǀ": "t", "ǃ": "t", "ǂ": "c", "ǁ": "l", "ɩ": "ɪ",
    "ʘ": "p", "ʨ": "tɕ", "ʥ": "dʑ", "ᵊ": "ə", "ɷ": "ʊ", "β": "β", "ϑ": "θ", "ɡ": "ɡ", "ⱱ": "v",
}  # fmt: skip
_TIME = {"glide": 0.6, "approximant": 0.6, "tap": 0.5, "vowel": 1.0}


@cache
def _letters() -> dict[str, Sound]:
    table = {s: _vowel(h, b, float(r)) for h, row in _HEIGHTS.items() for s, b, r in row}
    for (kind, place), pair in _CONSONANTS.items():
        for letter, voiced in zip(pair.split(), (False, True), strict=True):
            if letter != ".":
                share = _TIME.get(kind, 0.7)
                table[letter] = Sound(kind, place, voiced, 0.3, 0.5, _ROUND.get(letter, 0.0), share)
    table["ʔ"] = Sound("glottal", "throat", False, weight=0.4)
    return table


def _modified(sound: Sound, mark: str) -> Sound:
    """The sound with one diacritic; marks of voice, length, tone or release do not move the lips."""
    if mark == "ʷ" or mark == "ᵝ" or mark == "̹":
        return replace(sound, round=max(sound.round, 0.7 if mark == "ʷ" else 0.3))
    if mark == "̜":
        return replace(sound, round=0.5 * sound.round)
    if sound.kind == "vowel" and mark in "̞̝̈̽":
        step = {"̞": 0.12, "̝": -0.12}.get(mark, 0.0)
        back = 0.5 * (sound.back + 0.5) if mark in "̈̽" else sound.back
        return replace(sound, height=min(max(sound.height + step, 0.0), 1.0), back=back)
    if mark == "ː":
        return replace(sound, weight=1.5 * sound.weight)
    if mark == "." and sound.kind in ("fricative", "stop", "liquid", "trill", "nasal"):
        return replace(sound, place="retroflex")
    return sound


def _plain(ipa: str) -> str:
    """Letters and diacritics apart (but for c with cedilla, a letter of its own), rare letters as their kin."""
    apart = unicodedata.normalize("NFD", ipa).replace("c\u0327", "\u00e7")
    return "".join(_SAME.get(c, c) for c in apart)


@cache
def sounds(ipa: str) -> tuple[Sound, ...]:
    """The sounds of one phone: ("tʃ") two, ("aɪ") two, ("") none.

    Raises DataError, naming the letter, when it is not an IPA letter.
    """
    table = _letters()
    out: list[Sound] = []
    for letter in _plain(ipa):
        if letter in table:
            out.append(table[letter])
        elif unicodedata.category(letter) in ("Mn", "Lm", "Sk") or letter in ".:ˈˌ͜͡-'~^*?@":
            if out:
                out[-1] = _modified(out[-1], letter)
            elif letter == "ʲ":
                out.append(replace(table["j"], weight=0.3))
        else:
            name = unicodedata.name(letter, "unnamed")
            raise DataError(
                f"{letter!r} ({name}) in the phone {ipa!r} is not an IPA letter with a mouth shape."
            )
    return tuple(out)


@cache
def split(ipa: str) -> tuple[str, ...]:
    """One phone's letters, each with its diacritics: "aɪ" → ("a", "ɪ")."""
    table, out = _letters(), []
    for letter in _plain(ipa):
        if letter in table or not out:
            out.append(letter)
        else:
            out[-1] += letter
    return tuple(out)


def is_vowel(ipa: str) -> bool:
    """Whether a phone holds a vowel."""
    return any(s.kind == "vowel" for s in sounds(ipa))


def targets(sound: Sound) -> dict[str, tuple[float, float]]:
    """field → (target, dominance): where the sound wants the mouth, and how much it insists (0 … 2)."""
    return _vowel_targets(sound) if sound.kind == "vowel" else _consonant_targets(sound)


def _vowel_targets(s: Sound) -> dict[str, tuple[float, float]]:
    h, r = s.height, s.round
    spread = (1 - s.back) * (1 - r)
    lax = 0.6 if 0.4 < h < 0.5 else 1.0
    return {
        "jaw": (0.16 + 0.22 * h - 0.12 * r * (0.3 + 0.7 * min(h / 0.6, 1.0)), lax),
        "pucker": (r * (0.52 - 0.3 * h), 0.9 * lax + 0.3 * r),
        "funnel": (r * (0.16 + 0.24 * min(h, 0.6)), 0.8 * lax + 0.3 * r),
        "spread": (0.16 * spread * (1 - 0.75 * h), 0.6 + 0.4 * spread),
        "stretch": (0.15 * spread * (1 - 0.5 * h), 0.6),
        "lower_down": ((0.05 + 0.22 * h) * (1 - 0.7 * r), lax),
        "upper_up": ((0.02 + 0.10 * h) * (1 - 0.6 * r), lax),
        "shrug": (0.0, 0.5),
        "dimple": (0.06 * spread * (1 - h), 0.5),
        "jaw_forward": (0.04 * r, 0.3),
        "tongue": (0.0, 0.6),
        "narrow": (0.07 * r * (1 - h), 0.6 + 0.4 * r),
    }


_JAW = {
    "lips": (0.06, 1.6), "teeth_lips": (0.05, 1.6), "teeth": (0.08, 1.0), "ridge": (0.18, 0.6),
    "post": (0.08, 1.2), "alveolopalatal": (0.08, 1.2), "retroflex": (0.13, 0.8), "palate": (0.14, 0.7),
    "lateral": (0.15, 0.6), "velum": (0.21, 0.45), "uvula": (0.22, 0.4), "throat": (0.22, 0.25),
    "front": (0.10, 1.0),
}  # fmt: skip


def _consonant_targets(s: Sound) -> dict[str, tuple[float, float]]:
    hiss = s.kind == "fricative" and s.place in ("ridge", "post", "retroflex", "alveolopalatal")
    post = s.place == "post" and s.kind == "fricative"
    jaw, firm = _JAW[s.place]
    if hiss:
        jaw, firm = (0.09, 1.2) if post else (0.12, 1.1)
    elif s.kind == "nasal" and s.place == "ridge":
        jaw, firm = 0.14, 0.7
    if s.kind == "glottal":
        jaw, firm = 0.2, 0.08
    elif s.kind in ("liquid", "tap", "trill"):
        jaw, firm = (0.16, 0.55) if s.place != "lips" else (jaw, firm)
    elif s.kind in ("glide", "approximant"):
        jaw, firm = (0.06, 1.5) if s.place in ("lips", "front") else (0.06, 1.3) if s.round else (0.13, 0.9)
    show = 0.2 if hiss else 0.1 if s.place in ("teeth", "ridge", "lateral") else 0.05
    loose = 0.12 if s.kind == "glottal" else 0.3
    rounded = s.round > 0.3
    return {
        "jaw": (jaw, firm),
        "pucker": (s.round * 0.42, 1.3 if rounded else 0.3),
        "funnel": (0.3 if post else 0.22 * s.round, 1.1 if rounded else 0.15),
        "spread": (0.05 if s.place == "palate" else 0.0, 0.8 if rounded else 0.15),
        "stretch": (0.08 if hiss and not rounded else 0.0, 0.8 if rounded or hiss else 0.15),
        "lower_down": (show * (1 - 0.5 * s.round), 0.9 if hiss else loose),
        "upper_up": (0.5 * show, 0.9 if hiss or rounded else loose),
        "shrug": (0.08 if post else 0.0, 0.4),
        "dimple": (0.0, 0.2),
        "jaw_forward": (0.06 if hiss else 0.0, 0.6),
        "tongue": (0.22 if s.place == "teeth" else 0.03 if s.kind == "liquid" else 0.0, 1.0),
        "narrow": (0.05 * s.round, 0.8 if rounded else 0.15),
    }


def closure(sound: Sound) -> str:
    """ "lips" for sounds that shut the lips (p b m), "teeth" for lower lip to upper teeth (f v), else ""."""
    if sound.place == "lips" and sound.kind in ("stop", "nasal", "trill"):
        return "lips"
    return "teeth" if sound.place == "teeth_lips" and sound.kind in ("fricative", "nasal") else ""
