"""Text to speech with phone times: espeak-ng, through the optional package `espeakng_loader`, by ctypes.

espeak-ng (GPL-3) is only ever called as a separate library that the user installs; nothing of it is copied.
It keeps its state in globals, and what it said before changes what it says next (the phase of its oscillators, up to
0.3 ms of the times). So each utterance loads the library afresh, which takes half a millisecond: equal calls give
equal samples, and calls are serialised by a lock.
"""

from __future__ import annotations

import ctypes
import threading
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from unitalker.errors import ConfigError, DataError, unknown

RATE = 16000
"""Sample rate of everything that is spoken here, Hz."""

MAX_CHARACTERS = 20000
_NATIVE = 22050
_HOP = 88
_WORDS_A_MINUTE = 175
_BROKEN = {"fo", "kaa", "xex"}
_ALIASES = {
    "en": "en-us", "en-uk": "en-gb", "fr": "fr-fr", "zh": "cmn", "zh-cn": "cmn", "mandarin": "cmn",
    "no": "nb", "jp": "ja", "es-mx": "es-419", "es-es": "es", "de-de": "de", "it-it": "it",
    "pt-pt": "pt", "english": "en-us", "french": "fr-fr", "portuguese": "pt", "spanish": "es",
    "chinese": "cmn", "cantonese": "yue",
}  # fmt: skip
_VOICELESS = tuple("ptkqcʈ")
_VOWELS = set("aeiouyæœøɐɑɒɔəɘɚɛɜɝɞɤɨɪɯɵɶʉʊʌʏɿʅᵻᵊ")
_PHONEME_EVENT = 7


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


@dataclass(frozen=True)
class Spoken:
    """samples: (N,) float32 at 16 kHz in [-1, 1]; phones: in order, without gaps, from 0 to the end."""

    samples: np.ndarray
    phones: list[Phone]
    text: str = ""
    voice: str = ""

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


class _Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng/speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("string", ctypes.c_char * 8),
    ]


class _Voice(ctypes.Structure):
    """espeak_VOICE of espeak-ng/speak_lib.h."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


_LOCK = threading.Lock()


@cache
def _files() -> tuple[Path, Path]:
    """The library and its data folder. Raises DataError when the optional package is missing."""
    try:
        import espeakng_loader
    except ImportError:
        raise DataError(
            "Text-to-speech needs the optional package espeakng_loader; "
            "install it with: pip install unitalker[tts]"
        ) from None
    return Path(str(espeakng_loader.get_library_path())), Path(str(espeakng_loader.get_data_path()))


class _Espeak:
    """espeak-ng, loaded for one task: `with _Espeak() as engine`. Holds the process's lock meanwhile."""

    def __enter__(self) -> _Espeak:
        library, data = _files()
        _LOCK.acquire()
        self.lib = ctypes.CDLL(str(library))
        self.blocks: list[np.ndarray] = []
        self.events: list[tuple[int, str]] = []
        self._callback = _CALLBACK(self._collect)
        synchronous, flags = 2, 0x0001 | 0x0002 | 0x8000  # phoneme events, as IPA, do not exit on error
        rate = self.lib.espeak_Initialize(synchronous, 0, str(data).encode(), flags)
        if rate != _NATIVE:
            self._unload()
            raise DataError(f"espeak-ng did not start (it answered {rate}, not {_NATIVE} Hz).")
        self.lib.espeak_SetSynthCallback(self._callback)
        return self

    def __exit__(self, *_: object) -> None:
        self.lib.espeak_Terminate()
        self._unload()

    def _unload(self) -> None:
        import _ctypes

        try:
            getattr(_ctypes, "dlclose", getattr(_ctypes, "FreeLibrary", lambda handle: None))(
                self.lib._handle
            )
        finally:
            _LOCK.release()

    def _collect(self, wave: ctypes._Pointer, count: int, events: ctypes._Pointer) -> int:
        if wave and count > 0:
            self.blocks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        i = 0
        while events[i].type != 0:
            if events[i].type == _PHONEME_EVENT:
                self.events.append((events[i].sample, events[i].string.decode("utf-8", "ignore")))
            i += 1
        return 0

    def list_voices(self) -> list[tuple[str, str, str]]:
        """(language tag, name, identifier) of every voice."""
        self.lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        found = self.lib.espeak_ListVoices(None)
        out, i = [], 0
        while found[i]:
            voice = found[i].contents
            tag = voice.languages[1:].split(b"\0")[0].decode().lower()
            out.append((tag, voice.name.decode(), voice.identifier.decode()))
            i += 1
        return out

    def set_voice(self, name: str) -> None:
        if self.lib.espeak_SetVoiceByName(name.encode()) != 0:
            raise DataError(f"espeak-ng could not load its voice {name!r}.")

    def synth(
        self, text: str, settings: dict[int, int], ssml: bool
    ) -> tuple[np.ndarray, list[tuple[int, str]]]:
        for parameter, value in settings.items():
            self.lib.espeak_SetParameter(parameter, value, 0)
        raw = text.encode("utf-8")
        flags = 1 | (0x10 if ssml else 0)
        self.lib.espeak_Synth(raw, ctypes.c_size_t(len(raw) + 1), 0, 1, 0, flags, None, None)
        self.lib.espeak_Synchronize()
        wave = np.concatenate(self.blocks) if self.blocks else np.zeros(0, np.int16)
        return wave.astype(np.float32) / 32768.0, self.events


@cache
def _listed() -> tuple[tuple[str, str, str], ...]:
    """(language tag, name, file name) of every usable voice."""
    with _Espeak() as engine:
        found = engine.list_voices()
    return tuple(
        (tag, title, identifier.split("/")[-1]) for tag, title, identifier in found if tag not in _BROKEN
    )


@cache
def _table() -> dict[str, str]:
    """Language tag → the file name espeak-ng loads it by (`en-gb` is `en`, `fr-fr` is `fr`)."""
    table: dict[str, str] = {}
    for tag, _, file in _listed():
        table.setdefault(tag, file)
    return table


@cache
def variants() -> tuple[str, ...]:
    """Names of the speaker variants (`f3`, `m1`, `whisper`, …) that may follow a voice after a plus sign."""
    return tuple(sorted(p.name for p in (_files()[1] / "voices" / "!v").iterdir()))


def voices() -> list[str]:
    """Voices that `speak` takes: language tags such as `en-us`, `fr-fr`, `cmn`, in alphabetical order.

    Raises DataError when the optional package is missing.
    """
    return sorted(_table())


def resolve_voice(voice: str) -> str:
    """espeak-ng's file name for a language tag, alias (`en`, `fr`, `zh`) or name (`german`).

    Raises ConfigError with the nearest names for an unknown voice.
    """
    table = _table()
    name = voice.strip().lower().replace("_", "-")
    name = _ALIASES.get(name, name)
    if name in table:
        return table[name]
    for tag, title, _ in _listed():
        if title.lower().split(" (")[0].strip() == name:
            return table[tag]
    for stem in (name.split("-")[0], _ALIASES.get(name.split("-")[0], "")):
        if "-" in name and stem in table:
            return table[stem]
    raise ConfigError(unknown("voice", voice, [*_ALIASES, *voices()]))


def speak(
    text: str,
    voice: str = "en-us",
    *,
    rate: float | None = None,
    pitch: float | None = None,
    pitch_range: float | None = None,
    variant: str | None = None,
    ssml: bool = False,
) -> Spoken:
    """Speak `text`: 16 kHz sound and the phones with their times.

    voice: a language tag, alias or English language name; `en-us+f3` names a variant too.
    rate: times normal speed, 0.45 to 2.5. pitch, pitch_range: 0 to 99, 50 is normal; range 0 is monotone.
    Raises DataError when the extra is missing or nothing was said, ConfigError for a bad voice or setting.
    """
    if len(text) > MAX_CHARACTERS:
        raise DataError(f"The text has {len(text)} characters; at most {MAX_CHARACTERS} are spoken at once.")
    name, _, inline = voice.partition("+")
    chosen = variant or inline
    full = resolve_voice(name)
    if chosen:
        if chosen not in variants():
            raise ConfigError(unknown("voice variant", chosen, variants()))
        full = f"{full}+{chosen}"
    settings = {
        1: round(_WORDS_A_MINUTE * _within("rate", rate, 1.0, 0.45, 2.5)),
        3: round(_within("pitch", pitch, 50, 0, 99)),
        4: round(_within("pitch_range", pitch_range, 50, 0, 99)),
    }
    with _Espeak() as engine:
        engine.set_voice(full)
        wave, events = engine.synth(text.replace("\0", " "), settings, ssml)
    if wave.size == 0 or not any(_clean(symbol)[0] for _, symbol in events):
        raise DataError(f"The voice {voice!r} finds nothing to say in {text[:60]!r}.")
    return _spoken(wave, events, text, voice)


def _within(name: str, value: float | None, default: float, low: float, high: float) -> float:
    if value is None:
        return default
    if not low <= value <= high:
        raise ConfigError(f"{name} must be between {low} and {high}, not {value}.")
    return value


def _spoken(wave: np.ndarray, events: list[tuple[int, str]], text: str, voice: str) -> Spoken:
    import soxr

    samples = np.asarray(soxr.resample(wave, _NATIVE, RATE), np.float32)
    quiet = _quiet(wave)
    phones = _give_closures(_voice_pauses(_phones(events, len(wave)), quiet), quiet)
    end = len(samples) / RATE
    phones = [Phone(p.start_s, min(p.end_s, end), p.ipa, p.stress) for p in phones if p.start_s < end]
    if phones:
        last = phones[-1]
        phones[-1] = Phone(last.start_s, end, last.ipa, last.stress)
    return Spoken(np.clip(samples, -1, 1), phones, text, voice)


def _clean(symbol: str) -> tuple[str, int]:
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
        ipa, stress = _clean(symbol)
        if stress >= 0:
            marks.append((min(max(sample, marks[-1][0]), total), ipa, stress))
    edges = [m[0] for m in marks[1:]] + [total]
    spans = [[start, end, ipa, stress] for (start, ipa, stress), end in zip(marks, edges, strict=True)]
    for before, here in zip(spans, spans[1:], strict=False):
        vowel = bool(before[2]) and before[2].rstrip("ː\u0303")[-1:] in _VOWELS
        if here[2].startswith(("l", "ɫ")) and vowel and here[1] - here[0] < 0.035 * _NATIVE:
            split = before[1] - round(0.4 * (before[1] - before[0]))
            before[1] = here[0] = split
    out: list[Phone] = []
    for start, end, ipa, stress in spans:
        if end <= start:
            continue
        if out and not ipa and not out[-1].ipa:
            out[-1] = Phone(out[-1].start_s, end / _NATIVE, "")
        else:
            out.append(Phone(start / _NATIVE, end / _NATIVE, ipa, stress))
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
        part = quiet[round(p.start_s * _NATIVE / _HOP) : round(p.end_s * _NATIVE / _HOP)]
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
        frame = min(round(here.start_s * _NATIVE / _HOP), len(quiet))
        first = next((f for f in range(frame, max(frame - 4, 0), -1) if quiet[f - 1]), frame)
        limit = 0.06 if not before.ipa and before.seconds > longest_s else longest_s
        while first > 0 and quiet[first - 1] and (frame - first) * _HOP / _NATIVE < limit:
            first -= 1
        least = before.start_s + (0.0 if not before.ipa else 0.3 * before.seconds)
        start = max(first * _HOP / _NATIVE, least)
        if start < here.start_s:
            out[i - 1] = Phone(before.start_s, start, before.ipa, before.stress)
            out[i] = Phone(start, here.end_s, here.ipa, here.stress)
    return [p for p in out if p.end_s > p.start_s]
