"""Faults to plant into a healthy dataset: one a clip, in a copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unitalker.audio.writing import write_sound
from unitalker.data.dataset import Clip, Dataset, write_manifest
from unitalker.evaluation.metrics import loudness, sample_at

RATE = 16000


@dataclass(frozen=True)
class Healthy:
    """A clip to spoil. values: (T, D); samples: (N,) at 16 kHz; other: the sound of another clip."""

    values: np.ndarray
    samples: np.ndarray
    other: np.ndarray
    fps: float
    names: tuple[str, ...]

    def lively(self, frames: int, rng: np.random.Generator) -> int:
        """A frame from which on the voice is loud for so many frames."""
        times = np.arange(len(self.values)) / self.fps
        loud = np.convolve(loudness(self.samples, times), np.ones(frames), "valid")[2:-3]
        best = np.flatnonzero(loud >= np.quantile(loud, 0.7))
        return 2 + int(rng.choice(best))


Pair = tuple[np.ndarray, np.ndarray]
Fault = Callable[[Healthy, np.random.Generator], Pair]
"""(healthy clip, chance) → spoilt motion and sound."""


def offset_ms(rng: np.random.Generator) -> float:
    """Uniform in ±40 … ±400 milliseconds."""
    return float(rng.uniform(40, 400) * rng.choice([-1, 1]))


def moved(values: np.ndarray, fps: float, late_s: float) -> np.ndarray:
    """The motion `late_s` later, the ends held."""
    return sample_at(values, fps, np.arange(len(values)) / fps - late_s)


def _offset(clip: Healthy, rng: np.random.Generator) -> Pair:
    return moved(clip.values, clip.fps, offset_ms(rng) / 1000), clip.samples


def _drift(clip: Healthy, rng: np.random.Generator) -> Pair:
    gain = 0.2 * float(rng.choice([-1, 1])) / (len(clip.values) / clip.fps / 2)
    times = np.arange(len(clip.values)) / clip.fps
    return sample_at(clip.values, clip.fps, times * (1 + gain)), clip.samples


def _duration(clip: Healthy, rng: np.random.Generator) -> Pair:
    return clip.values[: -round(rng.uniform(0.3, 1.0) * clip.fps)], clip.samples


def _frozen(clip: Healthy, rng: np.random.Generator) -> Pair:
    count = round(rng.uniform(0.3, 0.8) * clip.fps)
    at, spoilt = clip.lively(count, rng), clip.values.copy()
    spoilt[at : at + count] = spoilt[at]
    return spoilt, clip.samples


def _repeated(clip: Healthy, rng: np.random.Generator) -> Pair:
    spoilt = clip.values.copy()
    spoilt[5::5] = spoilt[4:-1:5][: len(spoilt[5::5])]
    return spoilt, clip.samples


def _dropped(clip: Healthy, rng: np.random.Generator) -> Pair:
    count = round(rng.uniform(0.15, 0.4) * clip.fps)
    at = clip.lively(count, rng)
    held = np.repeat(clip.values[-1:], count, axis=0)
    return np.concatenate([clip.values[:at], clip.values[at + count :], held]), clip.samples


def _jitter(clip: Healthy, rng: np.random.Generator) -> Pair:
    noise = rng.standard_normal(clip.values.shape) * clip.values.std(0) * rng.uniform(0.08, 0.2)
    return (clip.values + noise).astype(np.float32), clip.samples


def _clipped_motion(clip: Healthy, rng: np.random.Generator) -> Pair:
    return np.minimum(clip.values, rng.uniform(0.4, 0.7) * clip.values.max(0)), clip.samples


def _range(clip: Healthy, rng: np.random.Generator) -> Pair:
    return clip.values * 1.5 - rng.uniform(0.1, 0.3), clip.samples


def _scale(clip: Healthy, rng: np.random.Generator) -> Pair:
    return clip.values * np.float32(rng.choice([0.01, 0.1, 10, 100])), clip.samples


def _sides(clip: Healthy, rng: np.random.Generator) -> Pair:
    from unitalker.annotations.layouts import mirrored_name

    column = {n: i for i, n in enumerate(clip.names)}
    return clip.values[:, [column[mirrored_name(n)] for n in clip.names]], clip.samples


def _gaze(clip: Healthy, rng: np.random.Generator) -> Pair:
    column = {n: i for i, n in enumerate(clip.names)}
    order = np.arange(len(clip.names))
    a, b = column["eyeLookInLeft"], column["eyeLookInRight"]
    order[[a, b]] = b, a
    return clip.values[:, order], clip.samples


def _silent(clip: Healthy, rng: np.random.Generator) -> Pair:
    return clip.values, rng.standard_normal(len(clip.samples)) * 10 ** (rng.uniform(-90, -60) / 20)


def _clipped_sound(clip: Healthy, rng: np.random.Generator) -> Pair:
    limit = rng.uniform(0.15, 0.4) * np.abs(clip.samples).max()
    return clip.values, np.clip(clip.samples, -limit, limit)


def _mismatch(clip: Healthy, rng: np.random.Generator) -> Pair:
    return clip.values, np.resize(clip.other, len(clip.samples))


def _still(clip: Healthy, rng: np.random.Generator) -> Pair:
    return np.repeat(clip.values[:1], len(clip.values), axis=0), clip.samples


def _not_finite(clip: Healthy, rng: np.random.Generator) -> Pair:
    spoilt = clip.values.copy()
    spoilt[rng.integers(len(spoilt)), rng.integers(spoilt.shape[1])] = np.nan
    return spoilt, clip.samples


FAULTS: dict[str, Fault] = {
    "offset": _offset,
    "drift": _drift,
    "duration": _duration,
    "frozen": _frozen,
    "repeated": _repeated,
    "dropped": _dropped,
    "jitter": _jitter,
    "clipped motion": _clipped_motion,
    "range": _range,
    "scale": _scale,
    "sides": _sides,
    "gaze": _gaze,
    "silent": _silent,
    "clipped sound": _clipped_sound,
    "mismatch": _mismatch,
    "still": _still,
    "not finite": _not_finite,
    "missing": lambda clip, rng: (clip.values, clip.samples),
    "unreadable": lambda clip, rng: (clip.values, clip.samples),
}
"""Kind → how it is made; missing and unreadable are done to the files."""
WEIGHTS_ONLY = ("clipped motion", "range", "sides", "gaze")
DRIFT_S = 8.5
"""Length from which on a drift is planted."""


def plant(
    source: Dataset, clips: Sequence[Clip], out: Path, kinds: Sequence[str], share: float, seed: int
) -> tuple[Dataset, dict[str, str]]:
    """A copy of some clips of a dataset in which about `share` of them have a fault; also clip → kind."""
    rng = np.random.default_rng(seed)
    (out / "audio").mkdir(parents=True, exist_ok=True)
    (out / "motion").mkdir(exist_ok=True)
    spoilt = rng.permutation(len(clips))[: round(share * len(clips))]
    kept, planted = [], {}
    for number, clip in enumerate(clips):
        other = clips[(number + len(clips) // 2) % len(clips)]
        values = np.array(source.motion(clip), np.float32)
        healthy = Healthy(values, source.sound(clip)[0], source.sound(other)[0], source.fps, source.names)
        made = healthy.values, healthy.samples
        if number in spoilt:
            fit = [k for k in kinds if k != "drift" or clip.seconds >= DRIFT_S]
            kind = fit[len(planted) % len(fit)]
            planted[clip.id] = kind
            made = FAULTS[kind](healthy, rng)
        audio, motion = f"audio/{clip.id}.flac", f"motion/{clip.id}.npy"
        np.save(out / motion, np.asarray(made[0], np.float32))
        write_sound(out / audio, np.asarray(made[1], np.float32))
        _break(out / motion, planted.get(clip.id))
        kept.append(replace(clip, audio=audio, motion=motion, residual=""))
    copy = replace(source, folder=out, clips=tuple(kept))
    write_manifest(copy)
    return copy, planted


def _break(motion: Path, kind: str | None) -> None:
    if kind == "missing":
        motion.unlink()
    if kind == "unreadable":
        motion.write_bytes(motion.read_bytes()[:70])
