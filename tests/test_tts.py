"""Text to speech: phone times against the sound's spectrum, voices, errors."""

from __future__ import annotations

import builtins
import itertools

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="the tts extra is not installed")

from unitalker.data import tts
from unitalker.data.articulation import is_vowel
from unitalker.errors import ConfigError, DataError


def high_share(samples: np.ndarray, start: float, end: float) -> float:
    """Share of the energy above 3.5 kHz in the middle half of an interval."""
    quarter = 0.25 * (end - start)
    part = samples[int((start + quarter) * tts.RATE) : int((end - quarter) * tts.RATE)]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)), 2048)) ** 2
    return float(power[int(3500 / 16000 * 2048) :].sum() / (power.sum() + 1e-12))


@pytest.mark.parametrize("voice", ["en-us", "de", "fr-fr", "en-us+f2", "en-us+m3"])
def test_hiss_is_where_the_s_is(voice: str) -> None:
    spoken = tts.speak("Essa, passe, Kuss, missa, lass, Fuss, toss, fosse, pass.", voice)
    hiss = [high_share(spoken.samples, p.start_s, p.end_s) for p in spoken.phones if p.ipa == "s"]
    vowels = [
        high_share(spoken.samples, p.start_s, p.end_s)
        for p in spoken.phones
        if is_vowel(p.ipa) and p.seconds > 0.05
    ]
    assert len(hiss) >= 6
    assert np.median(hiss) > 0.5
    assert np.median(vowels) < 0.15


def test_voiceless_stops_begin_with_their_silence() -> None:
    spoken = tts.speak("Papa bakes apple pie. A happy cop, a top, a cap, a copper cup.", "en-us")
    stops = [
        (a, b) for a, b in itertools.pairwise(spoken.phones) if b.ipa in ("p", "t", "k") and is_vowel(a.ipa)
    ]
    assert len(stops) >= 8
    loud = np.sqrt(np.mean(spoken.samples**2))
    quiet = 0
    for _, stop in stops:
        middle = stop.start_s + 0.3 * stop.seconds
        part = spoken.samples[int((middle - 0.008) * tts.RATE) : int((middle + 0.008) * tts.RATE)]
        quiet += np.sqrt(np.mean(part**2)) < 0.1 * loud
    assert quiet >= 0.85 * len(stops)


def test_burst_of_a_stop_lies_inside_its_phone() -> None:
    spoken = tts.speak("Ta. Pa. Ka.", "es")
    for phone in spoken.phones:
        if phone.ipa in ("p", "t", "k"):
            part = np.abs(spoken.samples[int(phone.start_s * tts.RATE) : int(phone.end_s * tts.RATE)])
            assert part[len(part) // 2 :].max() > 3 * part[: len(part) // 3].max()


@pytest.mark.parametrize("voice", ["en-us", "cmn", "fr-fr", "ru", "ar", "ja", "hi"])
def test_phones_cover_the_sound_without_gaps(voice: str) -> None:
    text = {"cmn": "你好，妈妈。", "ru": "Привет, мама.", "ar": "مرحبا", "ja": "こんにちは", "hi": "नमस्ते"}
    spoken = tts.speak(text.get(voice, "Hello, papa."), voice)
    assert spoken.samples.dtype == np.float32
    assert spoken.phones[0].start_s == 0
    assert spoken.phones[-1].end_s == pytest.approx(spoken.seconds)
    for a, b in itertools.pairwise(spoken.phones):
        assert a.end_s == pytest.approx(b.start_s)
        assert b.end_s > b.start_s
    assert not any(c in p.ipa for p in spoken.phones for c in "ˈˌ()0123456789#-")


def test_the_l_of_tell_gets_time() -> None:
    phones = [p for p in tts.speak("Tell me. All of them fell.", "en-us").phones if p.ipa.startswith("l")]
    assert len(phones) >= 2
    assert all(p.seconds > 0.03 for p in phones)


def test_speech_is_deterministic_and_settings_act() -> None:
    first = tts.speak("A small test", "en-us+f3", rate=1.2, pitch=70)
    other = tts.speak("A small test", "de")
    again = tts.speak("A small test", "en-us+f3", rate=1.2, pitch=70)
    assert np.array_equal(first.samples, again.samples)
    assert first.phones == again.phones
    assert len(other.samples) != len(first.samples)
    assert tts.speak("A small test", rate=0.7).seconds > 1.4 * tts.speak("A small test", rate=1.4).seconds


@pytest.mark.parametrize("alias", ["en", "EN-us", "en-gb", "fr", "de", "zh", "german", "pt-br", "en_GB"])
def test_friendly_names(alias: str) -> None:
    assert alias and tts.speak("1", alias).seconds > 0.1


def test_bad_requests_are_sentences() -> None:
    with pytest.raises(ConfigError, match="no voice 'frnch'; did you mean 'french'"):
        tts.speak("x", "frnch")
    with pytest.raises(ConfigError, match="voice variant 'f33'; did you mean 'f3'"):
        tts.speak("x", "en+f33")
    with pytest.raises(ConfigError, match="rate must be between"):
        tts.speak("x", rate=9)
    with pytest.raises(DataError, match="nothing to say"):
        tts.speak("   ")
    with pytest.raises(DataError, match="at most"):
        tts.speak("a" * (tts.MAX_CHARACTERS + 1))


def test_missing_extra_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: object, **kwargs: object) -> object:
        if name == "espeakng_loader":
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    tts._files.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DataError, match=r"pip install 'unitalker\[tts\]'"):
        tts.speak("hello")
