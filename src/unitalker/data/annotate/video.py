"""One video → the clips of a dataset: sound, motion, head pose, and what is known of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from unitalker.annotations.layouts import layout
from unitalker.audio import write_sound
from unitalker.audio.pictures import open_pictures
from unitalker.config import SAMPLE_RATE
from unitalker.data.annotate.clock import on_clock
from unitalker.data.annotate.rest import LEAST_REST, Track, quiet_frames
from unitalker.data.annotate.shots import Rules, Shot, Shots
from unitalker.data.annotate.trackers import Tracker
from unitalker.data.dataset import Clip
from unitalker.errors import DataError
from unitalker.files import atomic
from unitalker.motion import by_name

KEPT_REST = 64
"""Silent frames of a clip that are remembered for those clips of the video that have none."""

Tell = Callable[[float], None]


@dataclass(frozen=True)
class Job:
    """How videos are annotated, the same for all of them. out: the dataset's folder; neutral: take the resting face
    away from weights."""

    out: Path
    fps: float
    rules: Rules
    neutral: bool = True


@dataclass
class Video:
    """What came of one video. facts: clip id → what tracking.json says of it; notes: the summary, line by line."""

    path: Path
    clips: list[Clip] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def remove(self, out: Path) -> None:
        """Take the files of a video that failed away again."""
        for clip in self.clips:
            for name in (clip.audio, clip.motion, pose_file(clip.id)):
                (out / name).unlink(missing_ok=True)


def pose_file(clip: str) -> str:
    """Where a clip's head pose lies in the dataset's folder."""
    return f"pose/{clip}.npy"


def annotate(video: Video, name: str, subject: str, tracker: Tracker, job: Job, tell: Tell) -> None:
    """Fill `video` with the clips of its file, named `name`_000, …, and write their files.

    Memory is that of one shot; sound lies in a temporary file. tell: called with the seconds that are done. Raises
    AudioError or DataError for a file without sound or pictures, damage, several faces, and no clip at all.
    """
    with (
        TemporaryDirectory(prefix=".annotate-", dir=job.out) as folder,
        open_pictures(video.path) as pictures,
    ):
        sound = Track(video.path, Path(folder) / "sound")
        shots = Shots(tracker, job.rules, sound.quietest, video.path.name)

        def watched():
            for seconds, image in pictures.frames():
                tell(seconds)
                yield seconds, image

        for shot in shots.run(watched()):
            _write(video, f"{name}_{len(video.clips):03d}", subject, shot, sound, tracker, job)
        if not video.clips:
            raise DataError(
                f"{video.path} gave no clip: {shots.counts['with a face']} of {shots.counts['pictures']} pictures show "
                f"a face, and no stretch of them with sound lasts {job.rules.shortest:g} s."
            )
        _tell_counts(video, shots)
        if job.neutral and tracker.unit == "weight":
            _remove_neutral(video, sound, job)


def channels(tracker: Tracker) -> tuple[str, ...]:
    """Channel names of the dataset: the layout's for weights, the tracker's own for other numbers."""
    return layout(tracker.annotation).names if tracker.unit == "weight" else tracker.names


def _write(
    video: Video, name: str, subject: str, shot: Shot, sound: Track, tracker: Tracker, job: Job
) -> None:
    """Write one shot as a clip; where the sound ends earlier the motion does too."""
    made, fps = on_clock(shot, job.fps), job.fps
    heard = int((len(sound) / SAMPLE_RATE - made.first / fps) * fps + 1e-6)
    count = min(len(made.values), heard)
    if count / fps < job.rules.shortest:
        video.notes.append(f"{name}: left out, the sound ends before or soon after it begins.")
        return
    values = by_name(made.values[:count], tracker.names, channels(tracker))
    values = np.clip(values, 0.0, 1.0) if tracker.unit == "weight" else values
    start, stop = (round(k / fps * SAMPLE_RATE) for k in (made.first, made.first + count))
    samples = sound.part(start, stop)
    clip = Clip(name, subject, f"audio/{name}.flac", f"motion/{name}.npy", "train", 0.0)
    clip = replace(clip, seconds=round(len(samples) / SAMPLE_RATE, 6), notes=_short_note(made.bridged))
    video.clips.append(clip)
    write_sound(job.out / clip.audio, samples)
    _save(job.out / clip.motion, values)
    if made.pose is not None:
        (job.out / "pose").mkdir(exist_ok=True)
        _save(job.out / pose_file(name), made.pose[:count])
    video.facts[name] = {
        "video": video.path.name,
        "start": round(made.first / fps, 6),
        "end": round((made.first + count) / fps, 6),
        "ended": shot.ended,
        "confidence": round(made.confidence, 4),
        "bridged": made.bridged,
        "pose": pose_file(name) if made.pose is not None else None,
    }


def _short_note(bridged: tuple[tuple[float, float], ...]) -> str:
    return f"{len(bridged)} short losses of the face interpolated" if bridged else ""


def _save(path: Path, values: np.ndarray) -> None:
    with atomic(path, DataError) as draft:
        np.save(draft, np.ascontiguousarray(values, np.float32))


def _tell_counts(video: Video, shots: Shots) -> None:
    """Notes of what was found, cut, bridged and left out."""
    counts, seconds = shots.counts, sum(clip.seconds for clip in video.clips)
    share = counts["with a face"] / counts["pictures"]
    lines = [
        f"{len(video.clips)} clips, {seconds:.1f} s; a face in {share:.1%} of {counts['pictures']} pictures"
    ]
    reasons = {"cut": "cuts", "jump": "jumps of the face", "loss": "losses of the face", "hole": "holes"}
    lines += [f"split at {word}: {counts[k]}" for k, word in reasons.items() if counts[k]]
    if counts["bridged"]:
        lines.append(f"pictures without a face interpolated: {counts['bridged']}")
    if counts["several"]:
        lines.append(f"several faces in {counts['several']} pictures")
    if counts["short"]:
        lines.append(f"{counts['short']} stretches too short to keep left out ({shots.left_out:.1f} s)")
    video.notes.append(f"{video.path.name}: {'; '.join(lines)}.")


def clip_name(path: Path, taken: set[str]) -> str:
    """The file's stem as the beginning of clip names, unlike all that are taken."""
    base = re.sub(r"[^\w-]+", "_", path.stem).strip("_") or "video"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name


def _remove_neutral(video: Video, sound: Track, job: Job) -> None:
    """Take each clip's resting face, the median of its silent frames, away from it, and what is below 0 then.

    A clip with fewer than LEAST_REST silent frames takes the video's; a video without any stays as it was tracked.
    """
    rest: dict[str, np.ndarray] = {}
    for clip in video.clips:
        values = np.load(job.out / clip.motion)
        start = round(video.facts[clip.id]["start"] * SAMPLE_RATE)
        samples = sound.part(start, start + round(clip.seconds * SAMPLE_RATE))
        rows = values[quiet_frames(samples, len(values), job.fps)]
        rest[clip.id] = rows[:: max(1, -(-len(rows) // KEPT_REST))]
        video.facts[clip.id]["silent frames"] = len(rows)
    shared = np.concatenate(list(rest.values()))
    without = [name for name, rows in rest.items() if len(rows) < LEAST_REST]
    if len(shared) < LEAST_REST:
        video.notes.append(f"{video.path.name}: no silence, so the resting face is still in its weights.")
        return
    if without:
        video.notes.append(
            f"{video.path.name}: without silence of their own, so relative to the rest of the whole video: "
            f"{', '.join(without)}."
        )
    for clip in video.clips:
        rows = shared if clip.id in without else rest[clip.id]
        values = np.load(job.out / clip.motion)
        _save(job.out / clip.motion, np.clip(values - np.median(rows, axis=0), 0.0, 1.0))
