"""Augmentation of waveforms: what rooms, microphones, codecs and other voices do to speech.

Every function takes a NumPy generator, so that a batch is a pure function of its seed.
"""

from __future__ import annotations

import numpy as np

from unitalker.config import SAMPLE_RATE, AugmentConfig


def loudness(samples: np.ndarray) -> float:
    """Root mean square of the louder half of 20 ms pieces: the level of the voice, pauses left out."""
    pieces = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    if not len(pieces):
        return float(np.sqrt(np.mean(samples**2) + 1e-12))
    power = np.sort((pieces**2).mean(1))
    return float(np.sqrt(power[len(power) // 2 :].mean() + 1e-12))


def mix(voice: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Voice + noise at a signal-to-noise ratio; noise is repeated or cut to the voice's length."""
    noise = np.resize(noise, len(voice))
    gain = loudness(voice) / max(float(np.sqrt(np.mean(noise**2))), 1e-6) * 10 ** (-snr_db / 20)
    return voice + gain * noise


def reverberate(samples: np.ndarray, rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Convolve with a random exponentially decaying room response whose reverberation time is `seconds`."""
    length = int(seconds * SAMPLE_RATE)
    decay = np.exp(-6.9 * np.arange(length) / length)
    room = rng.standard_normal(length).astype(np.float32) * decay * rng.uniform(0.01, 0.06)
    room[0] = 1.0
    size = 1 << (len(samples) + length - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(room, size), size)
    return wet[: len(samples)].astype(np.float32)


def equalise(samples: np.ndarray, rng: np.random.Generator, depth_db: float) -> np.ndarray:
    """Multiply the spectrum by a smooth random curve of ±depth_db over eight points on a log axis."""
    size = 1 << (len(samples) - 1).bit_length()
    bins = np.log(np.linspace(0, SAMPLE_RATE / 2, size // 2 + 1) + 100)
    points = np.linspace(bins[0], bins[-1], 8)
    curve = np.interp(bins, points, rng.uniform(-depth_db, depth_db, 8))
    out = np.fft.irfft(np.fft.rfft(samples, size) * 10 ** (curve / 20), size)
    return out[: len(samples)].astype(np.float32)


def telephone(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Band limit (300 Hz to 3.4…7 kHz) and 8-bit μ-law companding (ITU-T G.711 curve, μ = 255)."""
    size = 1 << (len(samples) - 1).bit_length()
    freq = np.linspace(0, SAMPLE_RATE / 2, size // 2 + 1)
    top = rng.uniform(3200, 7000)
    gate = 1 / (1 + np.exp(-(freq - 250) / 40)) / (1 + np.exp((freq - top) / 100))
    limited = np.fft.irfft(np.fft.rfft(samples, size) * gate, size)[: len(samples)]
    peak = np.abs(limited).max() + 1e-9
    pressed = np.sign(limited) * np.log1p(255 * np.abs(limited) / peak) / np.log(256)
    levels = np.round(pressed * 127) / 127
    return (np.sign(levels) * (256 ** np.abs(levels) - 1) / 255 * peak).astype(np.float32)


def gain_steps(samples: np.ndarray, rng: np.random.Generator, depth_db: float) -> np.ndarray:
    """A slow random gain curve within ±depth_db, as when a speaker turns away."""
    points = rng.uniform(-depth_db, depth_db, 4)
    curve = np.interp(np.linspace(0, 3, len(samples)), np.arange(4), points)
    return (samples * 10 ** (curve / 20)).astype(np.float32)


def corrupt(
    samples: np.ndarray, noise: np.ndarray | None, rng: np.random.Generator, config: AugmentConfig
) -> np.ndarray:
    """One waveform through a random chain: equaliser, room, gain curve, added sound, telephone, clipping."""
    if rng.random() < config.equalise:
        samples = equalise(samples, rng, 10.0)
    if rng.random() < config.reverberate:
        samples = reverberate(samples, rng, rng.uniform(0.1, 0.7))
    if rng.random() < config.gain:
        samples = gain_steps(samples, rng, 8.0)
    if noise is not None and rng.random() < config.noise:
        samples = mix(samples, noise, rng.uniform(*config.snr_db))
    if rng.random() < config.telephone:
        samples = telephone(samples, rng)
    if rng.random() < config.clip:
        limit = np.abs(samples).max() * rng.uniform(0.2, 0.7)
        samples = np.clip(samples, -limit, limit)
    hiss = loudness(samples) * 10 ** (rng.uniform(-90, -40) / 20)
    return (samples + hiss * rng.standard_normal(len(samples))).astype(np.float32)
