"""Procedural music: chords, plucked strings, organ, bells, drums, bass lines, strings with vibrato, bands.

Plucked strings follow Karplus & Strong, "Digital synthesis of plucked-string and drum timbres" (1983).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unitalker.audio.sound import RATE

MUSIC: tuple[str, ...] = (
    "chords", "pluck", "organ", "bells", "drums", "arpeggio", "bass", "strings", "flute", "band", "orchestra",
)  # fmt: skip
_SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 4, 7, 9),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 3, 5, 6, 7, 10),
)


@dataclass(frozen=True)
class _Note:
    start: float
    seconds: float
    midi: float
    gain: float


@dataclass(frozen=True)
class _Song:
    """What the parts share: beat length in seconds, key (MIDI), scale, and a chord (scale step) for each bar."""

    beat: float
    key: float
    scale: tuple[int, ...]
    steps: tuple[int, ...]
    beats: int

    def midi(self, step: int) -> float:
        octave, rest = divmod(step, len(self.scale))
        return self.key + 12 * octave + self.scale[rest]


def music(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) music of one kind of `MUSIC`, at any level; a new key, tempo and timbre on each call."""
    seconds = count / RATE
    song = _Song(
        beat=60 / rng.uniform(55, 180),
        key=rng.uniform(42, 62),
        scale=_SCALES[int(rng.integers(len(_SCALES)))],
        steps=tuple(int(s) for s in rng.choice((0, 0, 1, 2, 3, 4, 5), 8)),
        beats=int(rng.choice((3, 4, 4, 4))),
    )
    parts = {
        "band": ("drums", "bass", str(rng.choice(("chords", "pluck", "arpeggio"))), "lead"),
        "orchestra": ("strings", "flute", "bells", "chords"),
    }.get(kind, (kind,))
    wave = np.zeros(count)
    for part in parts:
        one = _PARTS[part](song, seconds, rng)[:count]
        wave[: len(one)] += rng.uniform(0.4, 1) * one / (np.abs(one).max() + 1e-9)
    return _room(wave, rng)


def _room(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sometimes an echoing room: convolution with decaying noise."""
    from scipy.signal import fftconvolve

    if rng.random() < 0.5:
        return wave
    size = int(rng.uniform(0.2, 1.5) * RATE)
    tail = rng.normal(size=size) * np.exp(-5 * np.arange(size) / size)
    tail *= rng.uniform(0.1, 0.5) / np.sqrt((tail**2).sum())
    return wave + fftconvolve(wave, tail)[: len(wave)]


def _render(
    notes: list[_Note], seconds: float, voice: Callable[[float, int], np.ndarray], tail_s: float = 0.0
) -> np.ndarray:
    """Sum of the notes, each played by `voice(frequency, samples)`."""
    wave = np.zeros(round(seconds * RATE) + 1)
    for note in notes:
        at = round(note.start * RATE)
        size = min(round((note.seconds + tail_s) * RATE), len(wave) - at)
        if at >= 0 and size > 32:
            wave[at : at + size] += note.gain * voice(440 * 2 ** ((note.midi - 69) / 12), size)
    return wave


def _envelope(size: int, attack_s: float, release_s: float) -> np.ndarray:
    t = np.arange(size) / RATE
    return np.minimum(np.clip(t / attack_s, 0, 1), np.clip((size / RATE - t) / release_s, 0, 1))


def _additive(
    rng: np.random.Generator, attack_s: float, release_s: float, *, vibrato: float = 0.0, decay_s: float = 0.0
) -> Callable[[float, int], np.ndarray]:
    """A voice of harmonics with random strengths, optional vibrato (semitones) and decay."""
    count = int(rng.integers(3, 16))
    strength = rng.uniform(0.1, 1, count) * np.arange(1, count + 1) ** -rng.uniform(0.5, 2)
    stretch = rng.choice((0.0, 0.0, rng.uniform(0, 0.002)))
    rate = rng.uniform(4.5, 6.5)

    def play(hertz: float, size: int) -> np.ndarray:
        t = np.arange(size) / RATE
        bend = 2 ** (vibrato * np.clip(t / 0.4, 0, 1) * np.sin(2 * np.pi * rate * t + rng.uniform(0, 6)) / 12)
        phase = 2 * np.pi * np.cumsum(hertz * bend) / RATE
        orders = [k for k in range(1, count + 1) if k * hertz < 0.45 * RATE]
        wave = np.zeros(size)
        for k in orders:
            wave += strength[k - 1] * np.sin(k * np.sqrt(1 + stretch * k * k) * phase + rng.uniform(0, 6.3))
        fade = np.exp(-t / decay_s) if decay_s else 1.0
        return wave * _envelope(size, attack_s, release_s) * fade

    return play


def _string(rng: np.random.Generator) -> Callable[[float, int], np.ndarray]:
    """Karplus–Strong: a burst of noise in a damped delay line."""
    from scipy.signal import lfilter

    loss, bright = rng.uniform(0.985, 0.999), rng.uniform(0.3, 0.7)

    def play(hertz: float, size: int) -> np.ndarray:
        period = max(int(RATE / hertz), 8)
        burst = np.zeros(size)
        burst[: min(period, size)] = rng.uniform(-1, 1, min(period, size))
        back = np.zeros(period + 2)
        back[0], back[period], back[period + 1] = 1, -loss * bright, -loss * (1 - bright)
        return np.asarray(lfilter([1], back, burst)) * _envelope(size, 0.001, 0.03)

    return play


def _bars(song: _Song, seconds: float) -> list[tuple[float, int]]:
    """(start in seconds, chord's scale step) of each bar."""
    bar = song.beat * song.beats
    return [(i * bar, song.steps[i % len(song.steps)]) for i in range(int(seconds / bar) + 1)]


def _chord_notes(song: _Song, seconds: float, rng: np.random.Generator, octave: int = 0) -> list[_Note]:
    length, tones = song.beat * song.beats, int(rng.integers(3, 5))
    spread = rng.uniform(0, 0.04)
    return [
        _Note(start + k * spread, length, song.midi(step + 2 * k) + 12 * octave, rng.uniform(0.6, 1))
        for start, step in _bars(song, seconds)
        for k in range(tones)
    ]


def _walk(song: _Song, seconds: float, rng: np.random.Generator, octave: int) -> list[_Note]:
    """A melody: steps up and down the scale in mixed note lengths, with rests."""
    notes, at, step = [], 0.0, 0
    while at < seconds:
        length = song.beat * float(rng.choice((0.25, 0.5, 0.5, 1, 1, 2)))
        step = int(np.clip(step + rng.choice((-3, -2, -1, -1, 0, 1, 1, 2, 3)), -4, 9))
        if rng.random() < 0.85:
            notes.append(_Note(at, length, song.midi(step) + 12 * octave, rng.uniform(0.5, 1)))
        at += length
    return notes


def _chords(song: _Song, seconds: float, rng: np.random.Generator) -> np.ndarray:
    voice = _additive(rng, rng.uniform(0.003, 0.2), 0.1, decay_s=float(rng.choice((0.0, 0.4, 1.0))))
    return _render(_chord_notes(song, seconds, rng), seconds, voice)


def _pluck(song: _Song, seconds: float, rng: np.random.Generator) -> np.ndarray:
    notes = _walk(song, seconds, rng, int(rng.integers(0, 2)))
    if rng.random() < 0.5:
        notes += _chord_notes(song, seconds, rng)
    return _render(notes, seconds, _string(rng), tail_s=0.6)


def _organ(song: _Song, seconds: float, rng: np.random.Generator) -> np.ndarray:
    voice = _additive(rng, 0.02, 0.05, vibrato=float(rng.choice((0.0, 0.1))))
    return _render(_chord_notes(song, seconds, rng) + _walk(song, seconds, rng, 1), seconds, voice)


def _bells(song: _Song, seconds: float, rng: np.random.Generator) -> np.ndarray:
    ratios = np.array([0.56, 0.92, 1.19, 1.7, 2.0, 2.74, 3.0, 3.76]) * rng.uniform(0.97, 1.03, 8)
    decays = rng.uniform(0.15, 1.5) / ratios

    def play(hertz: float, size: int) -> np.ndarray:
        t = np.arange(size)[None] / RATE
        tones = np.sin(2 * np.pi * np.minimum(hertz * ratios, 7500)[:, None] * t)
        return (tones * np.exp(-t / decays[:, None])).sum(0) * _envelope(size, 0.001, 0.05)

    return _render(_walk(song, seconds, rng, 1), seconds, play, tail_s=1.0)


def _drums(song: _Song, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Kick, snare and hat on a random sixteen-step pattern."""
    low, high = rng.uniform(45, 70), rng.uniform(90, 180)

    def kick(size: int) -> np.ndarray:
        t = np.arange(size) / RATE
        return np.sin(2 * np.pi * np.cumsum(low + high * np.exp(-t / 0.03)) / RATE) * np.exp(-t / 0.12)

    def snare(size: int) -> np.ndarray:
        t = np.arange(size) / RATE
        return 0.7 * rng.normal(size=size) * np.exp(-t / 0.07) + np.sin(2 * np.pi * 190 * t) * np.exp(
            -t / 0.05
        )

    def hat(size: int) -> np.ndarray:
        t = np.arange(size) / RATE
        return 0.4 * np.diff(rng.normal(size=size + 1)) * np.exp(-t / rng.uniform(0.01, 0.08))

    wave = np.zeros(round(seconds * RATE) + 1)
    step = song.beat / 4
    for sound, chance, pattern in ((kick, 0.25, 4), (snare, 0.15, 8), (hat, 0.6, 2)):
        hits = (rng.random(16) < chance) | (np.arange(16) % pattern == (4 if sound is snare else 0))
        for i in range(int(seconds / step)):
            at = round(i * step * RATE)
            if hits[i % 16] and at < len(wave) - 64:
                size = min(round(0.3 * RATE), len(wave) - at)
                wave[at : at + size] += rng.uniform(0.6, 1) * sound(size)
    return wave


def _arpeggio(song: _Song, seconds: float, rng: np.random.Generator) -> np.ndarray:
    step = song.beat / float(rng.choice((2, 3, 4)))
    bars = _bars(song, seconds)
    order = rng.permutation(4)
    notes = []
    for i in range(int(seconds / step)):
        chord = bars[min(int(i * step / (song.beat * song.beats)), len(bars) - 1)][1]
        notes.append(
            _Note(i * step, step, song.midi(chord + 2 * int(order[i % 4])) + 12, rng.uniform(0.5, 1))
        )
    voice = _string(rng) if rng.random() < 0.5 else _additive(rng, 0.005, 0.03, decay_s=0.25)
    return _render(notes, seconds, voice, tail_s=0.2)


def _bass(song: _Song, seconds: float, rng: np.random.Generator) -> np.ndarray:
    notes = [
        _Note(start + b * song.beat, song.beat * 0.9, song.midi(step) - 12, rng.uniform(0.6, 1))
        for start, step in _bars(song, seconds)
        for b in range(song.beats)
    ]
    voice = _string(rng) if rng.random() < 0.5 else _additive(rng, 0.01, 0.05, decay_s=0.5)
    return _render(notes, seconds, voice)


def _strings(song: _Song, seconds: float, rng: np.random.Generator) -> np.ndarray:
    voice = _additive(rng, rng.uniform(0.05, 0.3), 0.15, vibrato=rng.uniform(0.1, 0.5))
    notes = _walk(song, seconds, rng, int(rng.integers(0, 2)))
    if rng.random() < 0.6:
        notes += _chord_notes(song, seconds, rng)
    return _render(notes, seconds, voice, tail_s=0.1)


def _flute(song: _Song, seconds: float, rng: np.random.Generator) -> np.ndarray:
    tone = _additive(rng, 0.06, 0.08, vibrato=rng.uniform(0, 0.35))

    def play(hertz: float, size: int) -> np.ndarray:
        return tone(hertz, size) + 0.05 * rng.normal(size=size) * _envelope(size, 0.03, 0.1)

    return _render(_walk(song, seconds, rng, 1), seconds, play)


_PARTS: dict[str, Callable[[_Song, float, np.random.Generator], np.ndarray]] = {
    "chords": _chords,
    "pluck": _pluck,
    "organ": _organ,
    "bells": _bells,
    "drums": _drums,
    "arpeggio": _arpeggio,
    "bass": _bass,
    "strings": _strings,
    "flute": _flute,
    "lead": lambda song, seconds, rng: (_flute if rng.random() < 0.5 else _strings)(song, seconds, rng),
}
