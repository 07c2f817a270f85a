"""Sung phrases: speech of one pitch, its vowels stretched to notes and moved to a melody.

Time-domain pitch-synchronous overlap-add (Moulines & Charpentier, "Pitch-synchronous waveform processing
techniques for text-to-speech synthesis using diphones", 1990), written here in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from unitalker.data.articulation import is_vowel, split
from unitalker.data.tts import RATE, Phone, Spoken, speak

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "blues": (0, 3, 5, 6, 7, 10),
}
_UNVOICED_STEP = round(0.005 * RATE)


@dataclass(frozen=True)
class Note:
    """A sung tone: [start_s, end_s) in seconds and its frequency in hertz, vibrato aside."""

    start_s: float
    end_s: float
    hertz: float


def sing(
    text: str,
    voice: str = "en-us",
    *,
    rng: np.random.Generator,
    pitch: float = 50,
    variant: str | None = None,
    tempo: float | None = None,
    scale: str | None = None,
) -> tuple[Spoken, list[Note]]:
    """Sing `text` on a random melody: one note a vowel, sometimes two; 16 kHz sound with exact phone times.

    tempo: quarter notes a minute, default drawn from 60 to 150. scale: one of SCALES, default drawn.
    Raises what `speak` raises.
    """
    spoken = speak(text, voice, pitch=pitch, pitch_range=0, rate=0.95, variant=variant)
    marks, periods = pitch_marks(spoken.samples)
    base = RATE / float(np.median(periods[periods > 0])) if (periods > 0).any() else 150.0
    beat = 60 / (tempo if tempo is not None else rng.uniform(60, 150))
    steps = SCALES[scale or str(rng.choice(list(SCALES)))]
    inside, outside, phones = _timing(spoken, beat, rng)
    notes = _melody(phones, base, steps, rng)
    length = outside[-1]
    curve = _pitch_curve(notes, length, rng)
    samples = _overlap_add(spoken.samples, marks, periods, inside, outside, curve)
    return replace(spoken, samples=samples, phones=phones), notes


def _timing(
    spoken: Spoken, beat: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[Phone]]:
    """Corner points of the time map (speech seconds, song seconds) and the song's phones.

    Only the steady part of a vowel is stretched: its middle, or the first half of a diphthong.
    """
    inside, outside, phones = [0.0], [0.0], []
    now = 0.0
    for p in spoken.phones:
        size = p.seconds
        if is_vowel(p.ipa):
            parts = split(p.ipa)
            low, high = (0.3, 0.65) if len(parts) == 1 else (0.2, 0.45)
            wanted = max(beat * float(rng.choice((0.5, 0.5, 1, 1, 2))) - 0.1, size)
            hold = wanted - size * (1 - high + low)
            inside += [p.start_s + low * size, p.start_s + high * size, p.end_s]
            outside += [now + low * size, now + low * size + hold, now + wanted]
            if len(parts) == 2:
                turn = now + low * size + hold + 0.1 * size
                phones += [
                    Phone(now, turn, parts[0], p.stress),
                    Phone(turn, now + wanted, parts[1], p.stress),
                ]
            else:
                phones.append(Phone(now, now + wanted, p.ipa, p.stress))
            now += wanted
        else:
            size_out = size if p.ipa else min(size, beat)
            inside.append(p.end_s)
            outside.append(now + size_out)
            phones.append(Phone(now, now + size_out, p.ipa, p.stress))
            now += size_out
    return np.array(inside), np.array(outside), phones


def _melody(phones: list[Phone], base: float, scale: tuple[int, ...], rng: np.random.Generator) -> list[Note]:
    """A walk on the scale from a little below the speaking pitch to an octave and more above it."""
    key = base * 2 ** (rng.uniform(-3, 6) / 12)
    step, notes = int(rng.integers(0, 4)), []
    for p in phones:
        if not is_vowel(p.ipa) or (notes and p.start_s - notes[-1].end_s < 1e-6 and p.seconds < 0.1):
            continue
        cuts = [p.start_s, p.end_s]
        if p.seconds > 0.6 and rng.random() < 0.3:
            cuts.insert(1, float(rng.uniform(0.4, 0.6)) * p.seconds + p.start_s)
        for a, b in zip(cuts, cuts[1:], strict=False):
            step = int(np.clip(step + rng.choice((-2, -1, -1, 0, 1, 1, 2, 3)), -3, 8))
            octave, rest = divmod(step, len(scale))
            notes.append(Note(a, b, key * 2 ** (octave + scale[rest] / 12)))
    return notes


def _pitch_curve(
    notes: list[Note], seconds: float, rng: np.random.Generator, step_s: float = 0.005
) -> np.ndarray:
    """Hertz every 5 ms: notes joined by 60 ms glides, vibrato that grows after 0.15 s, a little jitter."""
    from scipy.ndimage import gaussian_filter1d

    count = int(seconds / step_s) + 2
    t = np.arange(count) * step_s
    if not notes:
        return np.full(count, 150.0)
    index = np.clip(np.searchsorted([n.start_s for n in notes], t, side="right") - 1, 0, len(notes) - 1)
    line = gaussian_filter1d(np.log2([n.hertz for n in notes])[index], 0.02 / step_s, mode="nearest")
    age = t - np.array([n.start_s for n in notes])[index]
    depth = rng.uniform(0.0, 0.6) / 12 * np.clip((age - 0.15) / 0.3, 0, 1)
    wobble = depth * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * t) + gaussian_filter1d(
        rng.normal(0, 0.01, count), 4
    )
    return 2 ** (line + wobble)


def pitch_marks(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sample indices one period apart in voiced sound (5 ms apart elsewhere), and the period there (0: unvoiced)."""
    periods = _frame_periods(samples)
    hop = round(0.01 * RATE)
    marks: list[int] = []
    kept: list[int] = []
    at = 0
    while at < len(samples):
        period = int(periods[min(at // hop, len(periods) - 1)]) if len(periods) else 0
        if period and kept and kept[-1]:
            low, high = marks[-1] + int(0.8 * period), marks[-1] + int(1.25 * period) + 1
            part = samples[low:high]
            at = low + int(np.argmax(part)) if len(part) else len(samples)
        elif period:
            part = samples[at : at + period]
            at = at + int(np.argmax(part))
        if at >= len(samples):
            break
        if marks and at <= marks[-1]:
            at = marks[-1] + 1
        marks.append(at)
        kept.append(period)
        at += period or _UNVOICED_STEP
    return np.array(marks, int), np.array(kept, int)


def _frame_periods(samples: np.ndarray) -> np.ndarray:
    """Period in samples every 10 ms by normalised autocorrelation over 50 ms; 0 where it is below 0.5."""
    hop, size = round(0.01 * RATE), round(0.05 * RATE)
    low, high = RATE // 500, RATE // 60
    padded = np.pad(samples.astype(np.float64), (size // 2, size))
    count = max(len(samples) // hop, 1)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:count]
    frames = (frames - frames.mean(1, keepdims=True)) * np.hanning(size)
    spectrum = np.abs(np.fft.rfft(frames, 2048, axis=1)) ** 2
    auto = np.fft.irfft(spectrum, axis=1)[:, : high + 1]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(size), 2048)) ** 2)[: high + 1]
    auto = auto / (auto[:, :1] + 1e-9) / (window / window[0])
    best = auto[:, low:].max(1)
    first = (auto[:, low:] > 0.88 * best[:, None]).argmax(1) + low
    around = np.clip(first[:, None] + np.arange(0, 12), low, high)
    peak = around[np.arange(count), np.take_along_axis(auto, around, 1).argmax(1)]
    loud = (frames**2).mean(1) > 1e-6
    return np.where((best > 0.5) & loud, peak, 0)


def _overlap_add(
    samples: np.ndarray,
    marks: np.ndarray,
    periods: np.ndarray,
    inside: np.ndarray,
    outside: np.ndarray,
    curve: np.ndarray,
) -> np.ndarray:
    """The song: two-period grains of the speech, laid one target period apart along the new time axis."""
    total = round(float(outside[-1]) * RATE)
    middle = (marks[1:] + marks[:-1]) // 2
    nearest = np.searchsorted(middle, np.arange(len(samples)))
    out = np.zeros(total + RATE // 4)
    weight = np.zeros_like(out)
    at = 0.0
    sources = np.interp(np.arange(0, total + 16, 16) / RATE, outside, inside) * RATE
    while at < total and len(marks):
        source = sources[int(at) // 16]
        i = nearest[min(int(source), len(samples) - 1)]
        half = int(periods[i]) or _UNVOICED_STEP
        target = RATE / curve[min(int(at / RATE / 0.005), len(curve) - 1)] if periods[i] else _UNVOICED_STEP
        a, b = int(marks[i]) - half, int(marks[i]) + half
        window = _window(half)
        grain = samples[max(a, 0) : min(b, len(samples))]
        window = window[max(-a, 0) : max(-a, 0) + len(grain)]
        start = round(at) - half + max(-a, 0)
        if start >= 0:
            out[start : start + len(grain)] += grain * window
            weight[start : start + len(grain)] += window
        at += target
    return np.clip(out[:total] / np.maximum(weight[:total], 0.6), -1, 1).astype(np.float32)


@cache
def _window(half: int) -> np.ndarray:
    return np.hanning(2 * half + 2)[1:-1]
