"""Mouth curves: lips shut at every p b m, teeth at f v, open vowels, early rounding, rest in silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitalker.data import texts, tts
from unitalker.data.articulation import closure, is_vowel, sounds, targets
from unitalker.data.tts import Phone
from unitalker.data.visemes import COLUMN, NAMES, lip_gap, loudness, perform
from unitalker.data.visemes_style import EMOTIONS, Style, random_style
from unitalker.data.visemes_upper import blinks, head_motion
from unitalker.errors import ConfigError, DataError

MOUTH = [i for i, n in enumerate(NAMES) if n.startswith(("mouth", "jaw", "tongue", "cheekPuff"))]


def phones_of(*parts: tuple[str, float]) -> list[Phone]:
    out, now = [], 0.0
    for ipa, seconds in parts:
        out.append(Phone(now, now + seconds, ipa, 2 if ipa and is_vowel(ipa) else 0))
        now += seconds
    return out


def curve(curves: np.ndarray, name: str) -> np.ndarray:
    return curves[:, COLUMN[name]]


def spoken_everywhere() -> list[tuple[str, tts.Spoken]]:
    pytest.importorskip("espeakng_loader", reason="the tts extra is not installed")
    out = []
    for code in texts.languages():
        voice = texts.voices_of(code)[0]
        out += [(code, tts.speak(s, voice)) for s in texts.sentences(code)[:4]]
    return out


@pytest.fixture(scope="module")
def corpus() -> list[tuple[str, tts.Spoken]]:
    return spoken_everywhere()


def test_every_phone_of_every_language_has_a_mouth_shape() -> None:
    pytest.importorskip("espeakng_loader", reason="the tts extra is not installed")
    assert len(texts.languages()) >= 25
    seen: set[str] = set()
    for code in texts.languages():
        for voice in dict.fromkeys(texts.voices_of(code)):
            lines = (*texts.sentences(code), ". ".join(texts.words(code)), "0 1 2 3 4 5 6 7 8 9 21 1999")
            seen |= {p.ipa for line in lines for p in tts.speak(line, voice).phones}
    assert len(seen) > 200
    for ipa in seen:
        assert bool(sounds(ipa)) == bool(ipa)


def test_unknown_letters_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="SNOWMAN"):
        sounds("b☃")


@pytest.mark.parametrize("fps", [25, 30, 60])
def test_lips_shut_at_every_bilabial_in_every_language(
    corpus: list[tuple[str, tts.Spoken]], fps: int
) -> None:
    rng = np.random.default_rng(0)
    missed, total = [], 0
    for code, spoken in corpus:
        style = random_style(rng)
        curves = perform(spoken.phones, spoken.seconds, fps, style, rng=rng)
        gap, times = lip_gap(curves), np.arange(len(curves)) / fps
        wide = np.percentile(gap, 95)
        for p in spoken.phones:
            if p.ipa and any(closure(s) == "lips" for s in sounds(p.ipa)):
                near = (times > p.start_s - 0.06) & (times < p.end_s + 0.02)
                total += 1
                if near.any() and gap[near].min() > 0.02 + 0.03 * wide:
                    missed.append((code, p.ipa, float(gap[near].min())))
    assert total > 200
    assert not missed


def test_vowels_open_in_every_language(corpus: list[tuple[str, tts.Spoken]]) -> None:
    wide, narrow = [], []
    for _, spoken in corpus:
        curves = perform(spoken.phones, spoken.seconds, 60)
        jaw, times = curve(curves, "jawOpen"), np.arange(len(curves)) / 60
        for p in spoken.phones:
            inside = (times > p.start_s) & (times < p.end_s)
            if p.ipa[:1] in ("a", "ɑ", "æ") and p.seconds > 0.09 and inside.any():
                wide.append(jaw[inside].max())
            if p.ipa[:1] == "i" and p.seconds > 0.09 and len(p.ipa) < 3 and inside.any():
                narrow.append(np.median(jaw[inside]))
    assert np.median(wide) > 0.25
    assert np.percentile(wide, 5) > 0.13
    assert 0.08 < np.median(narrow) < 0.22


def test_p_between_open_vowels_in_detail() -> None:
    phones = phones_of(("", 0.3), ("ɑ", 0.2), ("p", 0.1), ("ɑ", 0.2), ("", 0.4))
    curves = perform(phones, 1.2, 60)
    jaw, close, gap = curve(curves, "jawOpen"), curve(curves, "mouthClose"), lip_gap(curves)
    at = round(0.53 * 60)
    assert gap[at] < 0.005
    assert close[at] == pytest.approx(jaw[at], abs=1e-6)
    assert 0.02 < jaw[at] < 0.13
    assert curve(curves, "mouthPressLeft")[at] > 0.1
    assert gap[round(0.4 * 60)] > 0.3
    assert gap[round(0.7 * 60)] > 0.3
    shut = np.flatnonzero(gap[20:46] < 0.02)
    assert 3 <= len(shut) <= 8


def test_f_and_v_bring_the_lower_lip_to_the_teeth() -> None:
    curves = perform(phones_of(("a", 0.2), ("f", 0.1), ("a", 0.2)), 0.5, 60)
    at = 15
    assert curve(curves, "mouthRollLower")[at] > 0.3
    assert curve(curves, "jawOpen")[at] < 0.12
    assert curve(curves, "mouthLowerDownLeft")[at] < 0.05
    assert curve(curves, "mouthUpperUpLeft")[at] > 0.05
    assert curve(curves, "mouthRollLower")[5] < 0.02


def test_rounding_starts_before_the_vowel() -> None:
    curves = perform(
        phones_of(("", 0.2), ("i", 0.15), ("s", 0.1), ("t", 0.08), ("u", 0.2), ("", 0.3)), 1.03, 60
    )
    pucker = curve(curves, "mouthPucker")
    top = pucker.max()
    onset = np.flatnonzero(pucker > 0.2 * top)[0] / 60
    assert 0.08 < 0.53 - onset < 0.25
    assert top > 0.4


def test_silence_is_exactly_rest() -> None:
    phones = phones_of(("", 1.0), ("m", 0.1), ("a", 0.3), ("", 1.0), ("u", 0.3), ("", 1.0))
    curves = perform(phones, 3.7, 60, random_style(np.random.default_rng(1)), rng=np.random.default_rng(2))
    times = np.arange(len(curves)) / 60
    silent = (times < 0.85) | ((times > 1.56) & (times < 2.25)) | (times > 2.86)
    assert np.all(curves[silent][:, MOUTH] == 0)
    jaw = curve(curves, "jawOpen")
    assert np.all(jaw[times < 0.91] == 0)
    assert np.all(perform([Phone(0, 2.0, "")], 2.0, 60) == 0)


def test_no_phones_and_no_time() -> None:
    assert perform([], 0.5, 30).shape == (15, 52)
    assert perform([], 0.0, 30).shape == (0, 52)
    assert not perform([], 0.5, 30).any()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(["", "p", "m", "a", "uː", "tʃ", "f", "aɪ", "l", "ŋ"]),
                       st.floats(0.01, 0.5)), max_size=20),
    st.sampled_from([24.0, 25.0, 29.97, 60.0]),
)  # fmt: skip
def test_curves_stay_in_range_and_have_the_right_length(parts: list[tuple[str, float]], fps: float) -> None:
    phones = phones_of(*parts)
    seconds = phones[-1].end_s if phones else 0.0
    curves = perform(
        phones, seconds, fps, random_style(np.random.default_rng(0)), rng=np.random.default_rng(0)
    )
    assert curves.shape == (round(seconds * fps), 52)
    assert curves.dtype == np.float32
    assert np.isfinite(curves).all()
    assert curves.min(initial=0) >= 0
    assert curves.max(initial=0) <= 1
    assert (curve(curves, "mouthClose") <= curve(curves, "jawOpen") + 1e-6).all()


def test_curves_are_smooth() -> None:
    """No jump of the jaw above 12 units a second (a fast human jaw closes 0.4 in 50 ms)."""
    phones = phones_of(
        ("", 0.3), *[(c, 0.09) for c in ("m", "a", "t", "ʃ", "o", "f", "i", "b", "ɑ", "l")], ("", 0.4)
    )
    jaw = curve(perform(phones, 1.6, 60), "jawOpen")
    assert np.abs(np.diff(jaw)).max() * 60 < 12


def test_styles_act_and_emotions_show() -> None:
    phones = phones_of(("", 0.2), ("ɑ", 0.3), ("u", 0.3), ("", 0.4))
    plain = perform(phones, 1.2, 60)
    wide = perform(phones, 1.2, 60, Style(jaw=1.5))
    assert curve(wide, "jawOpen").max() > 1.3 * curve(plain, "jawOpen").max()
    for emotion, offsets in EMOTIONS.items():
        felt = perform(phones, 1.2, 60, Style(emotion=emotion))
        assert (not offsets) == np.allclose(felt, plain)
        assert np.isfinite(felt).all()
    with pytest.raises(ConfigError, match="did you mean 'happy'"):
        Style(emotion="hapy")


def test_loudness_opens_the_jaw_and_lengths_must_agree() -> None:
    phones = phones_of(("ɑ", 0.4), ("t", 0.1), ("ɑ", 0.4))
    energy = np.r_[np.full(27, 1.0), np.full(27, 0.1)]
    jaw = curve(perform(phones, 0.9, 60, energy=energy), "jawOpen")
    assert jaw[12] > 1.15 * jaw[42]
    with pytest.raises(DataError, match="energy curve has 3 frames"):
        perform(phones, 0.9, 60, energy=energy[:3])
    tone = np.r_[np.zeros(8000), np.sin(np.arange(8000))]
    level = loudness(tone, 1.0, 60)
    assert level.shape == (60,)
    assert level[5] == 0
    assert level[50] == pytest.approx(1.0, abs=0.05)


def test_phones_out_of_order_are_refused() -> None:
    with pytest.raises(DataError, match="follow each other"):
        perform([Phone(0.2, 0.4, "a"), Phone(0.0, 0.2, "b")], 0.5, 60)


def test_blinks_last_as_human_ones_do() -> None:
    lid = blinks(np.arange(36000) / 60, np.zeros((0, 2)), 15, np.random.default_rng(0))
    edges = np.diff((lid > 0.3).astype(int))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    lengths = (ends - starts) / 60
    assert 90 < len(starts) < 220
    assert 0.08 < np.median(lengths) < 0.3


def test_head_moves_a_little_and_deterministically() -> None:
    phones = phones_of(("", 0.5), *[("ɑ", 0.2), ("t", 0.1)] * 10, ("", 0.5))
    head = head_motion(phones, 4.0, 60, Style(), np.random.default_rng(3))
    again = head_motion(phones, 4.0, 60, Style(), np.random.default_rng(3))
    assert head.shape == (240, 3)
    assert np.array_equal(head, again)
    assert 0.5 < np.degrees(np.abs(head).max()) < 20


def test_targets_follow_the_phonetic_chart() -> None:
    def jaw(ipa: str) -> float:
        return targets(sounds(ipa)[0])["jaw"][0]

    assert jaw("i") < jaw("e") < jaw("ɛ") < jaw("a")
    assert targets(sounds("u")[0])["pucker"][0] > targets(sounds("ɔ")[0])["pucker"][0] > 0.1
    assert targets(sounds("i")[0])["pucker"][0] == 0
    assert sounds("kʷ")[0].round > 0.5
    assert sounds("ç")[0].kind == "fricative"
    assert [s.kind for s in sounds("tʃ")] == ["stop", "fricative"]
