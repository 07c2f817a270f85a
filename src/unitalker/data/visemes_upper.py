"""The upper face and the head: brows that follow prosody, blinks, small gaze moves, emotions, head turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unitalker.data.tts import Phone
from unitalker.data.visemes_style import EMOTIONS, Style

BLINK_S = (0.07, 0.03, 0.13)
"""Closing, closed and opening time of a blink, seconds."""


def both(
    curves: np.ndarray, column: Mapping[str, int], channel: str, values: np.ndarray, asymmetry: float
) -> None:
    """Add to the left and right channel; asymmetry -1 … 1 favours the left when positive."""
    curves[:, column[channel + "Left"]] += values * (1 + asymmetry)
    curves[:, column[channel + "Right"]] += values * (1 - asymmetry)


def add_upper_face(
    curves: np.ndarray,
    column: Mapping[str, int],
    times: np.ndarray,
    phones: Sequence[Phone],
    spans: np.ndarray,
    style: Style,
    rng: np.random.Generator | None,
) -> None:
    """Add emotion, and with an rng brow accents, blinks and gaze, to `curves` (T, 52) in place."""
    if len(times) == 0:
        return
    talk = _slow_gate(times, spans)
    _add_emotion(curves, column, talk, style)
    if rng is None:
        return
    accents = _accents(times, phones, rng) * style.brows
    curves[:, column["browInnerUp"]] += 0.16 * accents
    both(curves, column, "browOuterUp", 0.12 * accents, style.asymmetry)
    blink = blinks(times, spans, style.blink_rate, rng)
    for side in ("Left", "Right"):
        curves[:, column["eyeBlink" + side]] = np.maximum(curves[:, column["eyeBlink" + side]], blink)
    _add_gaze(curves, column, times, rng)


def _slow_gate(times: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """1 around speech, easing over 0.4 s: the time in which an emotion shows."""
    gate = np.zeros(len(times))
    for start, end in spans:
        x = np.minimum((times - start + 0.4) / 0.4, (end + 0.5 - times) / 0.4)
        gate = np.maximum(gate, np.clip(x, 0, 1))
    return gate * gate * (3 - 2 * gate)


def _add_emotion(curves: np.ndarray, column: Mapping[str, int], talk: np.ndarray, style: Style) -> None:
    for channel, level in EMOTIONS[style.emotion].items():
        offset = level * style.emotion_level * talk
        if channel == "jawOpen":
            offset = offset * (curves[:, column["jawOpen"]] > 0.12)
        if channel in column:
            curves[:, column[channel]] += offset
        else:
            both(curves, column, channel, offset, style.asymmetry)


def _accents(times: np.ndarray, phones: Sequence[Phone], rng: np.random.Generator) -> np.ndarray:
    """(T,) brow raises: a bump on some stressed vowels, larger on the first of a stretch."""
    out = np.zeros(len(times))
    fresh = True
    for p in phones:
        if not p.ipa:
            fresh = True
        elif p.stress == 2 and rng.random() < (0.6 if fresh else 0.3):
            centre, width = 0.5 * (p.start_s + p.end_s), rng.uniform(0.09, 0.2)
            a, b = np.searchsorted(times, (centre - 4 * width, centre + 4 * width))
            bump = np.exp(-0.5 * ((times[a:b] - centre) / width) ** 2)
            out[a:b] = np.maximum(out[a:b], rng.uniform(0.4, 1.3) * bump)
            fresh = False
    return out


def blinks(times: np.ndarray, spans: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """(T,) eyelid curve: blinks at `rate` a minute, some drawn to the ends of speech as people do."""
    total = float(times[-1]) if len(times) else 0.0
    at = list(np.cumsum(rng.exponential(60 / max(rate, 1e-3), 1 + int(total * rate / 30))))
    at += [end + 0.1 for _, end in spans if rng.random() < 0.35]
    shut, held, opened = BLINK_S
    out = np.zeros(len(times))
    for start in at:
        a, b = np.searchsorted(times, (start, start + shut + held + opened))
        t = times[a:b] - start
        lid = np.minimum(np.clip(t / shut, 0, 1), np.clip((shut + held + opened - t) / opened, 0, 1))
        out[a:b] = np.maximum(out[a:b], lid * rng.uniform(0.8, 1.0))
    return out


def _add_gaze(
    curves: np.ndarray, column: Mapping[str, int], times: np.ndarray, rng: np.random.Generator
) -> None:
    """Fixations of 0.4–2.5 s, a few degrees apart, joined by 50 ms saccades."""
    count = 2 + int(times[-1] / 0.8)
    starts = np.cumsum(rng.uniform(0.4, 2.5, count))
    aim = np.vstack([np.zeros(2), rng.normal(0, (0.1, 0.06), (count, 2))])
    index = np.searchsorted(starts, times)
    since = times - np.concatenate([[-1.0], starts])[index]
    mix = np.clip(since / 0.05, 0, 1)[:, None]
    gaze = aim[np.maximum(index - 1, 0)] * (1 - mix) + aim[index] * mix
    across, up = gaze[:, 0], gaze[:, 1]
    for name, values in (
        ("eyeLookOutLeft", across), ("eyeLookInRight", across), ("eyeLookInLeft", -across),
        ("eyeLookOutRight", -across), ("eyeLookUpLeft", up), ("eyeLookUpRight", up),
        ("eyeLookDownLeft", -up), ("eyeLookDownRight", -up),
    ):  # fmt: skip
        curves[:, column[name]] += np.maximum(values, 0)


def head_motion(
    phones: Sequence[Phone], seconds: float, fps: float, style: Style, rng: np.random.Generator
) -> np.ndarray:
    """(T, 3) head rotations in radians (pitch, yaw, roll): slow sway, and nods on stressed syllables.

    Positive pitch looks down, positive yaw turns to the character's left, positive roll tilts to its left.
    """
    from scipy.ndimage import gaussian_filter1d

    count = round(seconds * fps)
    if count == 0:
        return np.zeros((0, 3), np.float32)
    times = np.arange(count) / fps
    spans = np.array([(p.start_s, p.end_s) for p in phones if p.ipa], float).reshape(-1, 2)
    noise = gaussian_filter1d(rng.normal(size=(count, 3)), 0.35 * fps, axis=0, mode="reflect")
    sway = noise / (noise.std(0) + 1e-9) * np.radians([1.8, 2.6, 1.2]) * style.head
    sway *= (0.25 + 0.75 * gaussian_filter1d(_slow_gate(times, spans), 0.2 * fps))[:, None]
    sway[:, 0] += np.radians(2.2) * style.head * _accents(times + 0.05, phones, rng)
    return sway.astype(np.float32)
