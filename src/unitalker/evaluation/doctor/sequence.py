"""One clip as the doctor sees it: its files read once, what its sound predicts, and what can be measured alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from unitalker.data.dataset import Clip, Dataset
from unitalker.errors import UniTalkerError
from unitalker.evaluation.doctor import frames, levels, offset
from unitalker.evaluation.doctor.offset import Trace
from unitalker.evaluation.doctor.reading import Reading, mouth_of_weights
from unitalker.motion import Motion

Predictor = Callable[[np.ndarray, int], Motion]
"""(samples, rate) → ARKit weights by name that the sound suggests, without delay."""
Numbers = dict[str, float]
SHORTEST = 4
"""Frames below which there is nothing to measure."""


@dataclass
class Sequence:
    """What is known of one clip. numbers: measure → value, see measures.py. trace: None where no offset can be told.
    missing, broken: sentences of files that are not there or cannot be used. sides: (P,) mean of left minus right of
    each pair of channels. clipped: the channel that is cut off most. jumps: (T,) of frames.jumps."""

    clip: Clip
    numbers: Numbers = field(default_factory=dict)
    trace: Trace | None = None
    missing: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    sides: np.ndarray | None = None
    clipped: str = ""
    jumps: np.ndarray | None = None


def look(dataset: Dataset, clip: Clip, how: Reading, predict: Predictor) -> Sequence:
    """Read one clip and measure it. Nothing is raised for a clip at fault: the sequence says it."""
    seen = Sequence(clip)
    sound = _sound(dataset, clip, seen)
    motion = _motion(dataset, clip, seen)
    if sound is not None:
        seen.numbers |= levels.of_sound(*sound)
    if motion is None:
        return seen
    seen.numbers["motion_s"] = len(motion) / dataset.fps
    holes = sum(int((~np.isfinite(part).all(1)).sum()) for part in _blocks(motion))
    seen.numbers["not_finite_frames"] = float(holes)
    if len(motion) < SHORTEST:
        seen.broken.append(f"{clip.motion} holds {len(motion)} frames; {SHORTEST} or more are needed.")
    elif not holes:
        _measure(dataset, how, seen, motion, None if sound is None else _heard(predict, sound, seen))
    return seen


def _blocks(motion: np.ndarray, frames: int = 256) -> Iterator[np.ndarray]:
    return (motion[i : i + frames] for i in range(0, len(motion), frames))


def _measure(
    dataset: Dataset, how: Reading, seen: Sequence, motion: np.ndarray, heard: Motion | None
) -> None:
    """Everything that a readable motion (T, D) tells, alone and beside what the sound suggests."""
    mouth = np.asarray(how.mouth(motion), np.float32)
    some = np.asarray(motion[:, how.columns], np.float32) * how.scale
    seen.numbers["amplitude"] = float(np.abs(mouth[:, 0] - np.median(mouth[:, 0])).mean())
    seen.numbers["reach"] = how.reach(motion)
    seen.jumps = frames.jumps(some)
    if how.kind == "weights":
        measured, seen.clipped = levels.of_weights(motion, dataset.names)
        seen.numbers |= measured
        seen.sides = levels.sides(motion, dataset.names)
        agreement = levels.gaze_agreement(motion, dataset.names)
        seen.numbers |= {} if agreement is None else {"gaze_agreement": agreement}
    if heard is None:
        seen.numbers |= frames.faults(some, dataset.fps, None)
        return
    felt = mouth_of_weights(heard.values, heard.names)
    seen.numbers |= frames.faults(some, dataset.fps, (felt[:, 0], heard.fps))
    seconds = min(len(motion) / dataset.fps, heard.seconds)
    if seconds >= offset.SHORTEST_S:
        seen.trace = Trace(
            offset.on_grid(some, dataset.fps, seconds),
            offset.on_grid(heard.values, heard.fps, seconds),
            offset.on_grid(mouth, dataset.fps, seconds),
            offset.on_grid(felt[:, : mouth.shape[1]], heard.fps, seconds),
        )


def _heard(predict: Predictor, sound: tuple[np.ndarray, int], seen: Sequence) -> Motion | None:
    try:
        return predict(*sound)
    except UniTalkerError as fault:
        seen.broken.append(str(fault))
        return None


def _sound(dataset: Dataset, clip: Clip, seen: Sequence) -> tuple[np.ndarray, int] | None:
    if (problem := _absent(dataset, clip.audio)) is not None:
        seen.missing.append(problem)
        return None
    try:
        samples, rate = dataset.sound(clip)
    except UniTalkerError as fault:
        seen.broken.append(str(fault))
        return None
    samples = samples.mean(1) if samples.ndim == 2 else samples
    seen.numbers["sound_s"] = len(samples) / rate
    if not len(samples):
        seen.broken.append(f"{clip.audio} holds no samples.")
        return None
    return samples, rate


def _motion(dataset: Dataset, clip: Clip, seen: Sequence) -> np.ndarray | None:
    if (problem := _absent(dataset, clip.motion)) is not None:
        seen.missing.append(problem)
        return None
    try:
        return dataset.motion(clip)
    except (UniTalkerError, ValueError) as fault:
        seen.broken.append(str(fault))
        return None


def _absent(dataset: Dataset, relative: str) -> str | None:
    """The sentence for a file that is not there or lies outside the folder; None where it can be opened."""
    try:
        dataset.open(relative).close()
    except UniTalkerError as fault:
        return str(fault)
    except OSError as fault:
        return f"{relative} cannot be opened: {fault.strerror}."
    return None
