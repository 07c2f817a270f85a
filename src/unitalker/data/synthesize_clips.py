"""Synthetic clips: espeak-ng speaks and sings, `visemes.perform` moves the face, with people and voices varied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unitalker.data import texts, tts
from unitalker.data.nonspeech import random_nonspeech
from unitalker.data.singing import sing
from unitalker.data.tts import RATE, Phone, Spoken
from unitalker.data.visemes import loudness, perform
from unitalker.data.visemes_style import Style, random_style
from unitalker.data.visemes_upper import head_motion
from unitalker.errors import ConfigError, DataError, unknown

FPS = 60
KINDS = ("speech", "song", "rest")
SHARES = {"speech": 0.78, "song": 0.10, "rest": 0.12}
SONG_JAW = 1.1
"""Singers open the jaw wider than speakers."""
SUBJECTS = 64
"""Synthetic people that `utterances` draws from; each has a voice of its own and a style of its own."""

_FEMALE = [
    "f1",
    "f2",
    "f3",
    "f4",
    "f5",
    "Annie",
    "Alicia",
    "Andrea",
    "anika",
    "aunty",
    "belinda",
    "grandma",
    "linda",
    "steph",
    "steph2",
    "shelby",
]
_MALE = [
    "m1",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6",
    "m7",
    "m8",
    "adam",
    "Alex",
    "Andy",
    "Denis",
    "Diogo",
    "Gene",
    "Henrique",
    "Hugo",
    "Jacky",
    "Lee",
    "Marco",
    "Michael",
    "Mike",
    "antonio",
    "benjamin",
    "boris",
    "caleb",
    "david",
    "ed",
    "edward",
    "ian",
    "iven",
    "john",
    "max",
    "michel",
    "miguel",
    "norbert",
    "pablo",
    "paul",
    "pedro",
    "quincy",
    "rob",
    "robert",
    "sandro",
    "travis",
    "victor",
    "zac",
    "klatt2",
    "klatt4",
    "klatt6",
]
_ODD = ["whisper", "whisperf", "croak", "grandpa", "klatt3", "UniRobot"]


@dataclass(frozen=True)
class Person:
    """A synthetic speaker: espeak-ng variant ("" is the plain voice), base pitch and liveliness, and a style."""

    name: str
    variant: str
    pitch: float
    pitch_range: float
    style: Style


PROSODY: dict[str, tuple[float, float, float, float]] = {
    "neutral": (1.0, 0.0, 0.0, 0.0),
    "happy": (1.08, 12.0, 20.0, 0.3),
    "sad": (0.84, -10.0, -30.0, -0.7),
    "angry": (1.12, 4.0, 15.0, 0.9),
    "surprised": (1.05, 22.0, 35.0, 0.5),
    "fear": (1.18, 18.0, -5.0, -0.1),
    "disgust": (0.9, -6.0, 10.0, 0.1),
    "contempt": (0.92, -5.0, -15.0, -0.2),
}
"""Emotion → how the voice shows it: times the rate, added pitch, added pitch range (0 to 99), added effort."""


@dataclass(frozen=True)
class Utterance:
    """One clip: sound at 16 kHz, its phones, ARKit weights (T, 52) at 60 fps, T = round(seconds · 60)."""

    samples: np.ndarray
    phones: list[Phone]
    weights60: np.ndarray
    subject_name: str
    style: Style
    language: str
    kind: str
    head_pose: np.ndarray
    text: str = ""

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def person(index: int, seed: int = 0) -> Person:
    """Synthetic person number `index` of the family `seed`: always the same."""
    rng = np.random.default_rng([seed, 7919, index])
    draw = rng.random()
    if draw < 0.42:
        variant, pitch = _pick(rng, _FEMALE), rng.uniform(40, 80)
    elif draw < 0.84:
        variant, pitch = _pick(rng, _MALE), rng.uniform(20, 65)
    elif draw < 0.91:
        variant, pitch = "", rng.uniform(30, 65)
    elif draw < 0.96:
        variant, pitch = _pick(rng, ["f2", "f4", "f5"]), rng.uniform(85, 99)
    else:
        variant, pitch = _pick(rng, _ODD), rng.uniform(30, 70)
    liveliness = float(np.clip(rng.normal(55, 20), 5, 99))
    return Person(f"s{index:03d}", variant, float(pitch), liveliness, random_style(rng))


def utterances(
    seed: int,
    hours: float,
    *,
    languages: Sequence[str] | None = None,
    kinds: Sequence[str] = KINDS,
    subjects: int = SUBJECTS,
    blinks: bool = True,
) -> Iterator[Utterance]:
    """Clips of synthetic people until `hours` of sound are made; a pure function of the arguments.

    languages: codes of `texts.languages()`; default all, English a quarter. kinds: any of KINDS.
    blinks: False leaves out what sound cannot tell (blinks, gaze, random brow accents).
    Raises ConfigError for an unknown kind or language, DataError when the TTS extra is missing.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(unknown("kind of utterance", kind, KINDS))
    codes, chances = _language_shares(languages)
    shares = np.array([SHARES[k] for k in kinds])
    made, index = 0.0, 0
    while made < hours * 3600:
        rng = np.random.default_rng([seed, index])
        kind = str(rng.choice(list(kinds), p=shares / shares.sum()))
        code = str(rng.choice(codes, p=chances))
        who = person(int(rng.integers(subjects)))
        one = make_utterance(kind, code, who, rng, blinks=blinks)
        made += one.seconds
        index += 1
        yield one


def _language_shares(languages: Sequence[str] | None) -> tuple[list[str], np.ndarray]:
    known = texts.languages()
    codes = list(languages or known)
    for code in codes:
        if code not in known:
            raise ConfigError(unknown("language with built-in text", code, known))
    if "en" not in codes or len(codes) < 3:
        return codes, np.full(len(codes), 1 / len(codes))
    favoured = {"en": 0.25, "zh": 0.08, "de": 0.05, "fr": 0.05, "es": 0.05}
    rest = [c for c in codes if c not in favoured]
    chances = np.array([favoured.get(c, 0.52 / max(len(rest), 1)) for c in codes])
    return codes, chances / chances.sum()


def make_utterance(
    kind: str,
    code: str,
    who: Person,
    rng: np.random.Generator,
    *,
    blinks: bool = True,
    text: str | None = None,
) -> Utterance:
    """One clip of `who`: speech or song in language `code`, or a sound without a voice and a face at rest.

    `who.style.emotion` colours the voice too (see PROSODY). text: what to say, default drawn.
    """
    if kind == "rest":
        _, samples = random_nonspeech(float(rng.uniform(2, 8)), rng)
        silent = Spoken(samples, [Phone(0.0, len(samples) / RATE, "")])
        return _performed(silent, who, who.style, rng, blinks, ("", "rest"))
    spoken = _sing(code, who, rng) if kind == "song" else _say(code, who, rng, text)
    effort = float(np.clip(rng.normal(PROSODY[who.style.emotion][3], 0.5), -1, 1))
    placed = _framed(replace(spoken, samples=tilt(spoken.samples, effort)), rng)
    wide = (1 + 0.18 * effort) * (SONG_JAW if kind == "song" else 1.0)
    style = replace(who.style, jaw=who.style.jaw * wide)
    one = _performed(placed, who, style, rng, blinks, (code, kind))
    return replace(one, samples=_levelled(one.samples, rng))


def _performed(
    spoken: Spoken, who: Person, style: Style, rng: np.random.Generator, blinks: bool, labels: tuple[str, str]
) -> Utterance:
    """The face and head that go with the sound. labels: language and kind."""
    seconds = spoken.seconds
    energy = loudness(spoken.samples, seconds, FPS)
    weights = perform(spoken.phones, seconds, FPS, style, energy, rng if blinks else None)
    head = head_motion(spoken.phones, seconds, FPS, style, rng)
    code, kind = labels
    return Utterance(spoken.samples, spoken.phones, weights, who.name, style, code, kind, head, spoken.text)


def _levelled(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech at a random level from -32 to -12 dB RMS, half of the time over a faint noise floor."""
    rms, peak = float(np.sqrt(np.mean(samples**2))), float(np.abs(samples).max())
    gain = min(10 ** (rng.uniform(-32, -12) / 20) / max(rms, 1e-6), 0.98 / max(peak, 1e-6))
    out = samples * gain
    if rng.random() < 0.5:
        out = out + rng.normal(0, 10 ** (rng.uniform(-85, -62) / 20), len(out))
    return np.clip(out, -1, 1).astype(np.float32)


def _say(code: str, who: Person, rng: np.random.Generator, text: str | None) -> Spoken:
    tts.check_installed()
    voice = _pick(rng, texts.voices_of(code))
    faster, higher, livelier, _ = PROSODY[who.style.emotion]
    for _ in range(8):
        words = text or texts.random_text(code, rng)
        try:
            return tts.speak(
                words,
                voice,
                rate=float(np.clip(faster * np.exp(rng.normal(0, 0.2)), 0.7, 1.5)),
                pitch=float(np.clip(who.pitch + higher + rng.normal(0, 6), 0, 99)),
                pitch_range=float(np.clip(who.pitch_range + livelier + rng.normal(0, 10), 0, 99)),
                variant=who.variant or None,
            )
        except DataError:
            if text:
                raise
    raise DataError(f"The voice {voice!r} could say none of eight texts in the language {code!r}.")


def _sing(code: str, who: Person, rng: np.random.Generator) -> Spoken:
    """A sentence or some words, sung; whispering voices sing with the plain voice."""
    tts.check_installed()
    variant = None if who.variant.startswith("whisper") else who.variant or None
    voice = _pick(rng, texts.voices_of(code))
    for _ in range(8):
        words = _pick(rng, texts.sentences(code)) if rng.random() < 0.7 else texts.word_list(code, rng, 5)
        try:
            return sing(words, voice, rng=rng, pitch=who.pitch, variant=variant)[0]
        except DataError:
            continue
    raise DataError(f"The voice {voice!r} could sing none of eight texts in the language {code!r}.")


def tilt(samples: np.ndarray, effort: float) -> np.ndarray:
    """Vocal effort -1 (soft) … 1 (shouted) as spectral tilt: up to 9 dB less or more above about 1 kHz."""
    from scipy.signal import lfilter

    low = lfilter([0.28], [1, -0.72], samples)
    return low + (samples - low) * 10 ** (9 * effort / 20)


def _framed(spoken: Spoken, rng: np.random.Generator) -> Spoken:
    """The clip with silence before and after, and the phones moved along."""
    before, after = rng.uniform(0.2, 0.9), rng.uniform(0.15, 1.0)
    if rng.random() < 0.1:
        before += rng.uniform(0.5, 2.0)
    head, tail = int(before * RATE), int(after * RATE)
    out = np.concatenate([np.zeros(head), spoken.samples, np.zeros(tail)]).astype(np.float32)
    shift, end = head / RATE, len(out) / RATE
    moved = [Phone(p.start_s + shift, p.end_s + shift, p.ipa, p.stress) for p in spoken.phones]
    last = moved[-1].end_s if moved else shift
    return replace(spoken, samples=out, phones=[Phone(0.0, shift, ""), *moved, Phone(last, end, "")])


def _pick(rng: np.random.Generator, items: Sequence[str]) -> str:
    return items[int(rng.integers(len(items)))]
