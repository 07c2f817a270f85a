"""Text to speech with phone times: espeak-ng, through the optional package `espeakng_loader`, by ctypes.

espeak-ng (GPL-3) is only ever called as a separate library that the user installs; nothing of it is copied.
It keeps its state in globals, and what it said before changes what it says next (the phase of its oscillators, up to
0.3 ms of the times). So each utterance loads the library afresh, which takes half a millisecond: equal calls give
equal samples, and calls are serialised by a lock.
"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from unitalker.audio.sound import RATE
from unitalker.data.tts_phones import NATIVE_RATE, Phone, cleaned, timed_phones
from unitalker.errors import ConfigError, DataError, unknown

__all__ = ["RATE", "Phone", "Spoken", "check_installed", "resolve_voice", "speak", "variants", "voices"]

MAX_CHARACTERS = 20000
_WORDS_A_MINUTE = 175
_BROKEN = {"fo", "kaa", "xex"}
_ALIASES = {
    "en": "en-us", "en-uk": "en-gb", "fr": "fr-fr", "zh": "cmn", "zh-cn": "cmn", "mandarin": "cmn",
    "no": "nb", "jp": "ja", "es-mx": "es-419", "es-es": "es", "de-de": "de", "it-it": "it",
    "pt-pt": "pt", "english": "en-us", "french": "fr-fr", "portuguese": "pt", "spanish": "es",
    "chinese": "cmn", "cantonese": "yue",
}  # fmt: skip
_PHONEME_EVENT = 7


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
            "install it with: pip install 'unitalker[tts]'"
        ) from None
    return Path(str(espeakng_loader.get_library_path())), Path(str(espeakng_loader.get_data_path()))


def check_installed() -> None:
    """Raises DataError, with the way to install it, when the optional package is missing."""
    _files()


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
        if rate != NATIVE_RATE:
            self._unload()
            raise DataError(f"espeak-ng did not start (it answered {rate}, not {NATIVE_RATE} Hz).")
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
        raw = text.encode("utf-8", "replace")
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
    if wave.size == 0 or not any(cleaned(symbol)[0] for _, symbol in events):
        raise DataError(f"The voice {voice!r} finds nothing to say in {text[:60]!r}.")
    return _spoken(wave, events, text, voice)


def _within(name: str, value: float | None, default: float, low: float, high: float) -> float:
    if value is None:
        return default
    if not low <= value <= high:
        raise ConfigError(f"{name} must be between {low} and {high}, not {value}.")
    return value


def _spoken(wave: np.ndarray, events: list[tuple[int, str]], text: str, voice: str) -> Spoken:
    from unitalker.audio.resampling import Resampler

    resampler = Resampler(NATIVE_RATE, RATE)
    samples = np.concatenate([*resampler.feed(wave), *resampler.finish()])
    phones = timed_phones(events, wave)
    end = len(samples) / RATE
    phones = [Phone(p.start_s, min(p.end_s, end), p.ipa, p.stress) for p in phones if p.start_s < end]
    if phones:
        last = phones[-1]
        phones[-1] = Phone(last.start_s, end, last.ipa, last.stress)
    return Spoken(np.clip(samples, -1, 1), phones, text, voice)
