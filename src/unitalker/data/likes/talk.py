"""Made-up speech with the face that speaks it: syllables of a buzzing voice, and ARKit weights in step with them.

No person is imitated, and no speech synthesizer is needed: loud, open vowels and silent closures are enough for what
imitations of corpora are for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitalker.annotations.layouts import layout

NAMES = layout("arkit52").names


@dataclass(frozen=True)
class Talk:
    """samples (N,) float32 at `rate`; weights (T, 52) float32 at `fps` in arkit52's order; frame t at t / fps seconds."""

    samples: np.ndarray
    rate: int
    weights: np.ndarray
    fps: float


def talk(seconds: float, fps: float, rng: np.random.Generator, rate: int = 16000) -> Talk:
    """`seconds` of talk that begins and ends with a closed, silent mouth. Frames are round(seconds · fps)."""
    times = np.arange(round(seconds * rate)) / rate
    loud, wide = _syllables(times, seconds, rng)
    pitch = rng.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.3, 0.8) * times))
    phase = np.cumsum(pitch) / rate
    buzz = sum(np.sin(2 * np.pi * k * phase) / k for k in range(1, 9))
    hiss = rng.standard_normal(len(times)) * 0.01
    samples = (0.15 * loud * (buzz + wide * np.sin(2 * np.pi * 3 * phase)) + hiss * (loud > 0.05)).astype(
        np.float32
    )
    frames = np.arange(round(seconds * fps)) / fps
    return Talk(np.clip(samples, -1, 1), rate, _weights(frames, times, loud, wide, rng), fps)


def _syllables(times: np.ndarray, seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Loudness and width (N,) from 0 to 1: raised cosines of 0.12 to 0.25 s with short pauses."""
    loud, wide = np.zeros(len(times)), np.zeros(len(times))
    start = 0.1
    while (length := rng.uniform(0.12, 0.25)) + start < seconds - 0.05:
        inside = (times >= start) & (times < start + length)
        shape = 0.5 - 0.5 * np.cos(2 * np.pi * (times[inside] - start) / length)
        loud[inside], wide[inside] = shape * rng.uniform(0.5, 1), shape * rng.uniform(0, 1)
        start += length + rng.choice([0.02, 0.05, 0.3], p=[0.5, 0.35, 0.15])
    return loud, wide


def _weights(
    frames: np.ndarray, times: np.ndarray, loud: np.ndarray, wide: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Jaw and lips with the voice, a blink now and then, brows that drift."""
    out = np.zeros((len(frames), len(NAMES)), np.float32)
    jaw, stretch = np.interp(frames, times, loud), np.interp(frames, times, wide)
    drift = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.2, 0.5) * frames + rng.uniform(0, 6))
    blink = np.exp(-0.5 * np.square((frames % 3.1 - rng.uniform(0.3, 3.0)) / 0.05))
    moves = {
        "jawOpen": 0.6 * jaw,
        "mouthFunnel": 0.4 * jaw * (1 - stretch),
        "mouthPressLeft": 0.2 * (1 - jaw),
        "mouthPressRight": 0.2 * (1 - jaw),
        "mouthSmileLeft": 0.4 * stretch,
        "mouthSmileRight": 0.35 * stretch,
        "browInnerUp": 0.3 * drift,
        "eyeBlinkLeft": blink,
        "eyeBlinkRight": blink,
    }
    for name, values in moves.items():
        out[:, NAMES.index(name)] = values
    return out
