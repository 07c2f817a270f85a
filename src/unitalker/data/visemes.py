"""Phones → the mouth's curves: dominance functions with hard constraints for the lips' closures.

Each sound asks for targets and insists on them with a dominance that falls off around it in time; the mouth is
the dominance-weighted mean of all requests (Cohen & Massaro, "Modeling coarticulation in synthetic visual
speech", 1993). Lip gestures reach further ahead than back, so that rounding starts early. On top, and after all
smoothing, p b m shut the lips and f v bring the lower lip to the teeth; where nobody speaks the face is at rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from unitalker.annotations.layouts import layout
from unitalker.audio.sound import RATE
from unitalker.data.articulation import FIELDS, Sound, closure, sounds, targets
from unitalker.data.tts import Phone
from unitalker.data.visemes_style import Style
from unitalker.data.visemes_upper import add_upper_face, both
from unitalker.errors import ConfigError, DataError
from unitalker.motion import frame_count

NAMES: tuple[str, ...] = layout("arkit52").names
COLUMN: dict[str, int] = {n: i for i, n in enumerate(NAMES)}

_LIP_FIELDS = ("pucker", "funnel", "spread", "narrow")
_REACH_S = {"jaw": (0.06, 0.06), "lips": (0.085, 0.075)}
"""Width of a sound's influence before and after it, seconds."""
_EDGE_S, _PAUSE_EDGE_S = 0.035, 0.12
"""Longest transition at each end of a sound (30 % of it if shorter); pauses let go of the mouth earlier."""
_OPEN_S, _CLOSE_S = 0.08, 0.12
_LIPS_EARLY_S = 0.14
_BLOCK = 480
_FAR_S = 0.7


def perform(
    phones: Sequence[Phone],
    seconds: float,
    fps: float,
    style: Style | None = None,
    energy: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """ARKit weights (T, 52) float32 in `arkit52` order, T = round(seconds · fps), for phones in time order.

    energy: (T,) loudness in 0 … 1 (see `loudness`), opens the jaw a little wider on loud syllables.
    rng: source of blinks, gaze and brow accents; without it the upper face shows only the emotion.
    Raises DataError for phones out of order, for letters that are not IPA, and for a wrong energy length.
    """
    if not (fps > 0 and seconds >= 0):
        raise ConfigError(f"seconds must not be negative and fps must be above 0, not {seconds} and {fps}.")
    style = style or Style()
    count = frame_count(seconds, fps)
    if energy is not None and len(energy) != count:
        raise DataError(
            f"The energy curve has {len(energy)} frames, but {seconds} s at {fps} fps have {count}."
        )
    times = np.arange(count) / fps
    units = _units(phones)
    fields = _smooth(_blend(times, units, style), fps, 0.016 * style.coarticulation)
    mouth = {name: fields[:, i] for i, name in enumerate(FIELDS)}
    spans = speech_spans(phones)
    _apply_gates(mouth, times, spans)
    _apply_style(mouth, style, energy, fps)
    shut, teeth, puff = _closures(times, units, style)
    curves = np.zeros((count, len(NAMES)), np.float32)
    _close_mouth(mouth, shut, teeth)
    _write(curves, mouth, style)
    _write_contacts(curves, shut, teeth, puff, mouth["jaw"], style)
    add_upper_face(curves, COLUMN, times, phones, spans, style, rng)
    _finish(curves, shut)
    return curves


def loudness(samples: np.ndarray, seconds: float, fps: float, rate: int = RATE) -> np.ndarray:
    """(T,) loudness per frame: RMS over 80 ms around each frame time, over its own 95th percentile, in 0 … 1."""
    count = frame_count(seconds, fps)
    power = np.concatenate([[0.0], np.cumsum(np.asarray(samples, np.float64) ** 2)])
    centre = np.arange(count) / fps * rate
    low = np.clip(centre - 0.04 * rate, 0, len(samples)).astype(int)
    high = np.clip(centre + 0.04 * rate, 0, len(samples)).astype(int)
    rms = np.sqrt((power[high] - power[low]) / np.maximum(high - low, 1))
    top = np.percentile(rms, 95) if count else 1.0
    return np.clip(rms / max(top, 1e-6), 0, 1)


def lip_gap(curves: np.ndarray) -> np.ndarray:
    """(T,) stand-in for the height between the lips: jawOpen − mouthClose and half of the lips' own parting."""
    own = curves[:, [COLUMN[n + s] for n in ("mouthLowerDown", "mouthUpperUp") for s in ("Left", "Right")]]
    return curves[:, COLUMN["jawOpen"]] - curves[:, COLUMN["mouthClose"]] + 0.25 * own.sum(1)


def speech_spans(phones: Sequence[Phone]) -> np.ndarray:
    """(S, 2) start and end of each stretch of phones without a pause between them."""
    spans: list[list[float]] = []
    for p in phones:
        if not p.ipa:
            continue
        if spans and p.start_s - spans[-1][1] < 1e-6:
            spans[-1][1] = p.end_s
        else:
            spans.append([p.start_s, p.end_s])
    return np.array(spans, float).reshape(-1, 2)


class _Units:
    """Sounds in time: start, end and inner edge (N,), targets and dominance (N, F), the sounds (None: pause)."""

    def __init__(self, rows: list[tuple[float, float, Sound | None, int]]) -> None:
        self.start = np.array([r[0] for r in rows])
        self.end = np.array([r[1] for r in rows])
        self.sounds = [r[2] for r in rows]
        most = np.array([_PAUSE_EDGE_S if r[2] is None else _EDGE_S for r in rows])
        self.inner = np.minimum(0.3 * (self.end - self.start), most)
        pairs = [_row(r[2]) for r in rows]
        self.target = np.array([p[0] for p in pairs]).reshape(-1, len(FIELDS))
        self.weight = np.array([p[1] for p in pairs]).reshape(-1, len(FIELDS))
        for i, (_, _, sound, stress) in enumerate(rows):
            if sound is not None and sound.kind == "vowel":
                held = np.clip((self.end[i] - self.start[i] - 0.2) / 0.3, 0, 1)
                self.target[i, 0] *= (0.9, 1.03, 1.12)[stress] * (1 + 0.15 * held)
                self.weight[i] *= (0.85, 1.0, 1.2)[stress] * (1.6 if self._enclosed(rows, i) else 1.0)

    @staticmethod
    def _enclosed(rows: list[tuple[float, float, Sound | None, int]], i: int) -> bool:
        """A vowel between two lip closures, which would hardly open without more weight."""
        around = [rows[j][2] for j in (i - 1, i + 1) if 0 <= j < len(rows)]
        return any(s is not None and closure(s) == "lips" for s in around)


@cache
def _row(sound: Sound | None) -> tuple[np.ndarray, np.ndarray]:
    if sound is None:
        weight = np.array([0.5 if f in _LIP_FIELDS else 1.0 for f in FIELDS])
        return np.zeros(len(FIELDS)), weight
    wanted = targets(sound)
    return np.array([wanted[f][0] for f in FIELDS]), np.array([wanted[f][1] for f in FIELDS])


def _units(phones: Sequence[Phone]) -> _Units:
    """Phones cut into their sounds, each with a share of the time."""
    rows: list[tuple[float, float, Sound | None, int]] = []
    last = -1e-6
    for p in phones:
        if p.start_s < last - 1e-6 or p.end_s < p.start_s:
            raise DataError(
                f"Phones must follow each other in time, but {p.ipa!r} runs from {p.start_s:.3f} to "
                f"{p.end_s:.3f} s after a phone that ends at {last:.3f} s."
            )
        last = p.end_s
        parts: Sequence[Sound | None] = sounds(p.ipa) or (None,)
        shares = np.cumsum([0.0] + [s.weight if s else 1.0 for s in parts])
        edges = p.start_s + shares / shares[-1] * p.seconds
        rows += [(edges[i], edges[i + 1], s, p.stress) for i, s in enumerate(parts)]
    return _Units(rows)


def _blend(times: np.ndarray, units: _Units, style: Style) -> np.ndarray:
    """(T, F) dominance-weighted mean of the targets, in blocks of frames with the sounds near them."""
    out = np.zeros((len(times), len(FIELDS)))
    lips = np.array([f in _LIP_FIELDS for f in FIELDS])
    for a in range(0, len(times), _BLOCK):
        t = times[a : a + _BLOCK]
        near = (units.end > t[0] - _FAR_S) & (units.start < t[-1] + _FAR_S)
        if not near.any():
            continue
        for group, pick in (("jaw", ~lips), ("lips", lips)):
            start, end = units.start[near] + units.inner[near], units.end[near] - units.inner[near]
            pull = _dominance(t, start, end, _REACH_S[group], style.coarticulation)
            weight = units.weight[near][:, pick]
            total = pull @ weight
            out[a : a + _BLOCK, pick] = (pull @ (weight * units.target[near][:, pick])) / (total + 1e-9)
    return out


def _dominance(
    t: np.ndarray, start: np.ndarray, end: np.ndarray, reach: tuple[float, float], width: float
) -> np.ndarray:
    """(T, N) exp(-(distance / reach)^1.5), 1 from `start` to `end` of each sound's steady part."""
    ahead = np.maximum(start - t[:, None], 0) / (reach[0] * width)
    behind = np.maximum(t[:, None] - end, 0) / (reach[1] * width)
    return np.exp(-((ahead + behind) ** 1.5))


def _smooth(values: np.ndarray, fps: float, sigma_s: float) -> np.ndarray:
    """Gaussian smoothing over time, ends held."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(values, sigma_s * fps, axis=0, mode="nearest") if len(values) else values


def ramp(x: np.ndarray) -> np.ndarray:
    """Smooth step: 0 at 0 and below, 1 at 1 and above."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def speech_gate(times: np.ndarray, spans: np.ndarray, before_s: float, after_s: float) -> np.ndarray:
    """(T,) 1 in speech, 0 in silence; it rises from `before_s` before each span and is 0 `after_s` after it."""
    gate = np.zeros(len(times))
    for start, end in spans:
        a, b = np.searchsorted(times, (start - before_s, end + after_s))
        t = times[a:b]
        lead = min(0.1, 0.5 * (end - start)) if before_s <= 0.1 else before_s
        rise = ramp((t - start + before_s) / lead)
        fall = ramp((end + after_s - t) / (after_s + 0.04))
        gate[a:b] = np.maximum(gate[a:b], np.minimum(rise, fall))
    return gate


def _apply_gates(mouth: dict[str, np.ndarray], times: np.ndarray, spans: np.ndarray) -> None:
    mouth_gate = speech_gate(times, spans, _OPEN_S, _CLOSE_S)
    lips_gate = speech_gate(times, spans, _LIPS_EARLY_S, _CLOSE_S + 0.03)
    for name in mouth:
        mouth[name] = mouth[name] * (lips_gate if name in ("pucker", "funnel") else mouth_gate)
    mouth["gate"] = mouth_gate


def _apply_style(mouth: dict[str, np.ndarray], style: Style, energy: np.ndarray | None, fps: float) -> None:
    loud = 1.0 if energy is None else 0.75 + 0.35 * np.sqrt(_smooth(energy, fps, 0.04))
    for name in FIELDS:
        mouth[name] = mouth[name] * style.articulation
    mouth["jaw"] = np.clip(mouth["jaw"] * style.jaw * loud, 0, 0.9)
    for name in ("pucker", "funnel", "narrow"):
        mouth[name] = mouth[name] * style.rounding
    for name in ("spread", "stretch", "dimple"):
        mouth[name] = mouth[name] * style.spreading
    mouth["upper_up"] = mouth["upper_up"] * style.upper_lip * loud
    mouth["lower_down"] = mouth["lower_down"] * loud


def _closures(times: np.ndarray, units: _Units, style: Style) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T,) envelopes in 0 … 1: lips shut (p b m), lower lip at the teeth (f v), breath behind shut lips (p b)."""
    shut, teeth, puff = (np.zeros(len(times)) for _ in range(3))
    for i, sound in enumerate(units.sounds):
        kind = closure(sound) if sound else ""
        if not sound or not kind:
            continue
        start, end = units.start[i], units.end[i]
        part = 0.6 if sound.kind == "stop" else 0.9
        first, last = start, start + part * (end - start)
        if i == 0 or units.sounds[i - 1] is None:
            first -= 0.06
        first = min(first, last - 0.05)
        into, out = (0.06, 0.045) if kind == "lips" else (0.07, 0.06)
        into = min(into * style.coarticulation**0.5, _room(units, i - 1))
        out = min(out * style.coarticulation**0.5, _room(units, i + 1) + end - last)
        a, b = np.searchsorted(times, (first - into, last + out))
        t = times[a:b]
        level = np.minimum(ramp((t - first + into) / into), ramp((last + out - t) / out))
        held = shut if kind == "lips" else teeth
        held[a:b] = np.maximum(held[a:b], level)
        if sound.kind == "stop":
            puff[a:b] = np.maximum(puff[a:b], level * ramp((t - first) / max(last - first, 0.02)))
    return shut, teeth, puff


def _room(units: _Units, i: int) -> float:
    """Seconds of a neighbouring sound that a closing or opening gesture may take: 40 %, at least 15 ms."""
    if not 0 <= i < len(units.sounds) or units.sounds[i] is None:
        return 1.0
    return max(0.4 * float(units.end[i] - units.start[i]), 0.015)


def _close_mouth(mouth: dict[str, np.ndarray], shut: np.ndarray, teeth: np.ndarray) -> None:
    """Bring jaw and lips to their contact levels; done after smoothing, so that closures always survive."""
    held = np.minimum(mouth["jaw"], 0.12)
    mouth["jaw"] = mouth["jaw"] * (1 - shut) + held * shut
    held = np.minimum(mouth["jaw"], 0.09)
    mouth["jaw"] = mouth["jaw"] * (1 - teeth) + held * teeth
    mouth["narrow"] = np.minimum(mouth["narrow"], 0.5 * mouth["jaw"])
    mouth["narrow"] = mouth["narrow"] * (1 - teeth) + 0.35 * mouth["jaw"] * teeth
    mouth["narrow"] = mouth["narrow"] * (1 - shut) + mouth["jaw"] * shut
    for name in ("lower_down", "upper_up", "stretch", "tongue"):
        mouth[name] = mouth[name] * (1 - shut) * (1 - 0.9 * teeth)
    mouth["funnel"] = mouth["funnel"] * (1 - shut) * (1 - 0.4 * teeth)
    mouth["pucker"] = mouth["pucker"] * (1 - 0.12 * shut) * (1 - 0.25 * teeth)


def _write(curves: np.ndarray, mouth: dict[str, np.ndarray], style: Style) -> None:
    """Mouth fields → ARKit channels, with the speaker's asymmetry on paired ones."""
    single = {
        "jawOpen": "jaw", "mouthClose": "narrow", "mouthPucker": "pucker", "mouthFunnel": "funnel",
        "jawForward": "jaw_forward", "tongueOut": "tongue", "mouthShrugUpper": "shrug",
        "mouthShrugLower": "shrug",
    }  # fmt: skip
    for channel, name in single.items():
        curves[:, COLUMN[channel]] = mouth[name]
    smile = mouth["spread"] + style.smile * mouth["gate"] * (1 - np.clip(mouth["pucker"], 0, 1))
    paired = {
        "mouthSmile": smile, "mouthStretch": mouth["stretch"], "mouthDimple": mouth["dimple"],
        "mouthLowerDown": mouth["lower_down"], "mouthUpperUp": mouth["upper_up"],
    }  # fmt: skip
    for channel, curve in paired.items():
        both(curves, COLUMN, channel, curve, style.asymmetry)
    lean = 0.12 * style.asymmetry * mouth["jaw"]
    curves[:, COLUMN["mouthLeft"]] = np.maximum(lean, 0)
    curves[:, COLUMN["mouthRight"]] = np.maximum(-lean, 0)


def _write_contacts(
    curves: np.ndarray, shut: np.ndarray, teeth: np.ndarray, puff: np.ndarray, jaw: np.ndarray, style: Style
) -> None:
    """Channels that only contacts move: pressed and rolled lips, breath in the cheeks."""
    both(curves, COLUMN, "mouthPress", 0.22 * style.press * shut**2, style.asymmetry)
    curves[:, COLUMN["mouthRollLower"]] += 0.14 * style.press * shut + 0.42 * teeth
    curves[:, COLUMN["mouthRollUpper"]] += 0.10 * style.press * shut
    curves[:, COLUMN["mouthShrugLower"]] += 0.06 * shut + 0.10 * teeth
    curves[:, COLUMN["cheekPuff"]] += 0.12 * puff
    both(curves, COLUMN, "mouthUpperUp", 0.14 * style.upper_lip * teeth * (1 - shut), 0.0)


def _finish(curves: np.ndarray, shut: np.ndarray) -> None:
    """Clip to 0 … 1, keep mouthClose within the jaw's opening and equal to it where the lips are shut."""
    np.clip(curves, 0, 1, out=curves)
    jaw, close = COLUMN["jawOpen"], COLUMN["mouthClose"]
    curves[:, close] = np.clip(curves[:, close], shut * curves[:, jaw], curves[:, jaw])
    for name in ("mouthLowerDown", "mouthUpperUp", "mouthStretch"):
        for side in ("Left", "Right"):
            curves[:, COLUMN[name + side]] *= 1 - shut
