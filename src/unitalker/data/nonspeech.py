"""Sounds that are no voice: silence, noises, machines, weather, birds, music. They teach a model to rest.

Everything is made from random numbers and oscillators; nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unitalker.audio.sound import RATE
from unitalker.data.nonspeech_music import MUSIC, music
from unitalker.errors import ConfigError, unknown


def nonspeech(kind: str, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) float32 at 16 kHz, N = round(seconds · 16000), within [-1, 1]; a different sound for each rng state.

    kind: one of `KINDS`. Loudness varies as it does in recordings; `silence` is digital silence.
    Raises ConfigError for an unknown kind or a negative length.
    """
    if kind not in _MAKERS and kind not in MUSIC:
        raise ConfigError(unknown("kind of sound", kind, KINDS, limit=len(KINDS)))
    if not 0 <= seconds <= 3600:
        raise ConfigError(f"The length must be between 0 and 3600 seconds, not {seconds}.")
    count = round(seconds * RATE)
    if count == 0:
        return np.zeros(0, np.float32)
    wave = music(kind, count, rng) if kind in MUSIC else _MAKERS[kind](count, rng)
    top = float(np.abs(wave).max())
    if top > 0:
        level = rng.uniform(-75, -45) if kind == "floor" else rng.uniform(-30, -1)
        wave = wave * (10 ** (level / 20) / top)
    return wave.astype(np.float32)


def random_nonspeech(seconds: float, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """A kind drawn at random (music two times in five) and its sound; now and then two kinds at once."""
    names = list(MUSIC) if rng.random() < 0.4 else list(_MAKERS)
    kind = names[int(rng.integers(len(names)))]
    wave = nonspeech(kind, seconds, rng)
    if rng.random() < 0.25:
        other = KINDS[int(rng.integers(len(KINDS)))]
        wave = np.clip(wave + 0.5 * nonspeech(other, seconds, rng), -1, 1)
        kind = f"{kind}+{other}"
    return kind, wave.astype(np.float32)


def coloured(count: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) noise whose power falls with frequency to the power `slope`: 0 white, 1 pink, 2 brown; unit RMS."""
    half = count // 2 + 1
    spectrum = rng.normal(size=half) + 1j * rng.normal(size=half)
    hertz = np.arange(half) * (RATE / max(count, 1))
    wave = np.fft.irfft(spectrum * np.maximum(hertz, 20.0) ** (-slope / 2), count)
    return wave / (np.sqrt(np.mean(wave**2)) + 1e-12)


def _slow(count: int, hertz: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) smooth random curve with about `hertz` changes a second, zero mean, unit deviation."""
    knots = max(int(count / RATE * hertz) + 4, 4)
    values = rng.normal(size=knots)
    where = np.linspace(0, knots - 1.001, count)
    low = where.astype(int)
    part = where - low
    part = part * part * (3 - 2 * part)
    return values[low] * (1 - part) + values[np.minimum(low + 1, knots - 1)] * part


def _band(wave: np.ndarray, low: float, high: float) -> np.ndarray:
    from scipy.signal import butter, sosfilt

    edges = (max(low, 15.0), min(high, 0.49 * RATE))
    return np.asarray(sosfilt(butter(2, edges, "bandpass", fs=RATE, output="sos"), wave))


def _ring(count: int, starts: np.ndarray, gains: np.ndarray, hertz: float, decay_s: float) -> np.ndarray:
    """A damped oscillator struck at the given samples."""
    from scipy.signal import lfilter

    strikes = np.zeros(count)
    np.add.at(strikes, starts, gains)
    r, w = np.exp(-1 / (decay_s * RATE)), 2 * np.pi * hertz / RATE
    return np.asarray(lfilter([np.sin(w)], [1, -2 * r * np.cos(w), r * r], strikes))


def _noise(slope: float) -> Callable[[int, np.random.Generator], np.ndarray]:
    def make(count: int, rng: np.random.Generator) -> np.ndarray:
        wave = coloured(count, slope + rng.uniform(-0.2, 0.2), rng)
        if rng.random() < 0.4:
            wave = wave * (1 + 0.8 * np.tanh(_slow(count, rng.uniform(0.3, 6), rng)))
        if rng.random() < 0.3:
            low = rng.uniform(50, 2500)
            wave = _band(wave, low, low * rng.uniform(1.5, 8))
        return wave

    return make


def _silence(count: int, rng: np.random.Generator) -> np.ndarray:
    return np.zeros(count)


def _hum(count: int, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(count) / RATE
    base = float(rng.choice((50, 60, 100, 120))) + rng.normal(0, 0.2)
    wave = sum(
        rng.random() / k * np.sin(2 * np.pi * base * k * t + rng.uniform(0, 6.3)) for k in range(1, 12)
    )
    return wave + 0.03 * coloured(count, 1, rng)


def _wind(count: int, rng: np.random.Generator) -> np.ndarray:
    wave = coloured(count, 1.6, rng)
    gusts = np.exp(0.8 * _slow(count, rng.uniform(0.3, 1.5), rng))
    whistle = _band(coloured(count, 0, rng), *np.array([0.85, 1.15]) * rng.uniform(300, 900))
    return gusts * (wave + 0.3 * gusts * whistle)


def _rain(count: int, rng: np.random.Generator) -> np.ndarray:
    wave = 0.3 * _band(coloured(count, 0.3, rng), 800, 7500)
    seconds = count / RATE
    for _ in range(4):
        drops = int(rng.uniform(5, 80) * seconds) + 1
        wave += _ring(
            count, rng.integers(0, count, drops), rng.exponential(1, drops), rng.uniform(700, 5500), 0.004
        )
    return wave


def _clicks(count: int, rng: np.random.Generator) -> np.ndarray:
    hits = max(int(rng.uniform(0.5, 12) * count / RATE), 1)
    starts = np.sort(rng.integers(0, count, hits))
    wave = np.zeros(count)
    for _ in range(int(rng.integers(2, 5))):
        gains = rng.exponential(1, hits)
        wave += _ring(count, starts, gains, rng.uniform(250, 6000), rng.uniform(0.001, 0.03))
    return wave + 0.02 * coloured(count, 1, rng)


def _applause(count: int, rng: np.random.Generator) -> np.ndarray:
    crowd = int(rng.uniform(5, 250) * count / RATE)
    wave = np.zeros(count)
    for _ in range(5):
        part = crowd // 5 + 1
        low = rng.uniform(600, 2200)
        wave += _ring(
            count, rng.integers(0, count, part), rng.exponential(1, part), low, rng.uniform(0.002, 0.008)
        )
    burst = _band(coloured(count, 0, rng), 700, 4500)
    return wave / (np.abs(wave).max() + 1e-9) + 0.2 * burst * np.exp(0.4 * _slow(count, 4, rng))


def _engine(count: int, rng: np.random.Generator) -> np.ndarray:
    speed = rng.uniform(15, 110) * np.exp(rng.uniform(0.02, 0.3) * _slow(count, rng.uniform(0.1, 0.8), rng))
    phase = 2 * np.pi * np.cumsum(speed) / RATE
    falls = rng.uniform(0.6, 1.4)
    orders = range(1, int(rng.integers(8, 30)))
    wave = sum(rng.random() / k**falls * np.sin(k * phase + rng.uniform(0, 6.3)) for k in orders)
    rumble = coloured(count, 1.3, rng) * (1 + 0.5 * np.sin(phase))
    return wave + rng.uniform(0.1, 0.8) * rumble


def _birds(count: int, rng: np.random.Generator) -> np.ndarray:
    wave = rng.uniform(0.001, 0.02) * coloured(count, 1, rng)
    for _ in range(int(rng.integers(1, 4))):
        base, at = rng.uniform(1600, 5500), int(rng.uniform(0, 0.4) * RATE)
        while at < count:
            size = int(rng.uniform(0.03, 0.35) * RATE)
            t = np.arange(min(size, count - at)) / RATE
            sweep = base * np.exp(rng.uniform(-0.5, 0.5) * t / (size / RATE))
            sweep = sweep * (1 + rng.uniform(0, 0.2) * np.sin(2 * np.pi * rng.uniform(8, 50) * t))
            shape = np.sin(np.pi * np.arange(len(t)) / size) ** 0.7
            wave[at : at + len(t)] += (
                rng.uniform(0.2, 1) * shape * np.sin(2 * np.pi * np.cumsum(sweep) / RATE)
            )
            at += size + int(rng.choice((rng.uniform(0.02, 0.15), rng.uniform(0.3, 1.5))) * RATE)
    return wave


def _beeps(count: int, rng: np.random.Generator) -> np.ndarray:
    """Telephone tones, alarms and sirens."""
    t = np.arange(count) / RATE
    base = rng.uniform(300, 2000)
    if rng.random() < 0.4:
        sweep = base * 2 ** (rng.uniform(0.2, 1) * np.sin(2 * np.pi * rng.uniform(0.2, 4) * t))
        return np.sin(2 * np.pi * np.cumsum(sweep) / RATE)
    on = (t * rng.uniform(0.7, 5)) % 1 < rng.uniform(0.2, 0.7)
    second = np.sin(2 * np.pi * base * rng.uniform(1.1, 1.5) * t) * (rng.random() < 0.5)
    return on * (np.sin(2 * np.pi * base * t) + second)


def _rustle(count: int, rng: np.random.Generator) -> np.ndarray:
    """Bursts of broad noise: paper, cloth, footsteps, knocks, breath-like puffs."""
    wave = _band(coloured(count, rng.uniform(0, 1), rng), rng.uniform(80, 1500), rng.uniform(3000, 7800))
    return wave * np.maximum(_slow(count, rng.uniform(2, 14), rng) - rng.uniform(0, 1), 0) ** 1.5


def _water(count: int, rng: np.random.Generator) -> np.ndarray:
    bubbles = int(rng.uniform(10, 60) * count / RATE) + 1
    wave = 0.1 * _band(coloured(count, 0.8, rng), 200, 5000)
    for _ in range(6):
        part = bubbles // 6 + 1
        starts, gains = rng.integers(0, count, part), rng.exponential(1, part)
        wave += _ring(count, starts, gains, rng.uniform(300, 2200), rng.uniform(0.005, 0.03))
    return wave


_MAKERS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "silence": _silence,
    "floor": _noise(0.7),
    "white": _noise(0.0),
    "pink": _noise(1.0),
    "brown": _noise(2.0),
    "hum": _hum,
    "wind": _wind,
    "rain": _rain,
    "clicks": _clicks,
    "applause": _applause,
    "engine": _engine,
    "birds": _birds,
    "beeps": _beeps,
    "rustle": _rustle,
    "water": _water,
}
KINDS: tuple[str, ...] = (*_MAKERS, *MUSIC)
"""Every kind that `nonspeech` makes."""
