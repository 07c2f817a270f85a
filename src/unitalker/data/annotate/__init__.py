"""Videos of speaking faces → a dataset: tracked motion on one clock, sound at 16 kHz, and what is known of each clip."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unitalker.audio.pictures import open_pictures
from unitalker.data.annotate.shots import Rules
from unitalker.data.annotate.trackers import POSE_NAMES, FlameTracker, Seen, Tracker, flame_tracker
from unitalker.data.annotate.video import Job, Video, annotate, channels, clip_name
from unitalker.data.dataset import Clip, Dataset, write_manifest
from unitalker.data.views_resample import FILTER
from unitalker.errors import DataError, UniTalkerError
from unitalker.files import atomic

__all__ = ["Annotated", "FlameTracker", "Rules", "Seen", "Tracker", "annotate_videos", "flame_tracker"]

RATES = (10.0, 120.0)
USUAL_RATE = 30.0
TENTH = 10

Progress = Callable[[Path, float], None]
"""Called with a video and the seconds of it that are done."""


@dataclass(frozen=True)
class Annotated:
    """The dataset that was written, the summary, and a sentence for each video that could not be used."""

    dataset: Dataset
    notes: tuple[str, ...]
    refused: dict[Path, str]


def annotate_videos(
    paths: Sequence[Path],
    out: Path,
    tracker: Tracker,
    *,
    fps: float | None = None,
    subject: str | None = None,
    rules: Rules | None = None,
    neutral: bool = True,
    progress: Progress | None = None,
) -> Annotated:
    """Write the dataset `out` of the faces that `tracker` finds in the videos, one after the other, and close it.

    fps: of the motion; default the first usable video's. subject: who all of them show; default: each somebody else,
    named as its file. Videos that cannot be used are left out and told. Raises DataError where none can, where `out` is
    a dataset already, and for rules that leave no clip.
    """
    rules = rules or Rules()
    rules.check()
    if (out / "dataset.json").exists():
        raise DataError(f"{out} is a dataset already; give another folder, or remove it first.")
    job = Job(out, _rate(paths) if fps is None else _checked(fps), rules, neutral)
    for room in ("audio", "motion"):
        (out / room).mkdir(parents=True, exist_ok=True)
    videos, refused, taken = [], {}, set()
    for path in paths:
        video, name = Video(path), clip_name(path, taken)

        def tell(seconds: float, path: Path = path) -> None:
            if progress:
                progress(path, seconds)

        try:
            annotate(video, name, subject or name, tracker, job, tell)
            videos.append(video)
        except UniTalkerError as fault:
            video.remove(out)
            refused[path] = str(fault)
    tracker.close()
    if not videos:
        raise DataError(" ".join(refused.values()) or "There is no video to annotate.")
    return _finish(videos, refused, tracker, job)


def _checked(fps: float) -> float:
    if not RATES[0] <= fps <= RATES[1]:
        raise DataError(
            f"The motion's frames a second must lie between {RATES[0]:g} and {RATES[1]:g}, not {fps}."
        )
    return fps


def _rate(paths: Sequence[Path]) -> float:
    """Frame rate of the first video that states a usual one."""
    for path in paths:
        try:
            with open_pictures(path) as pictures:
                rate = pictures.rate
        except UniTalkerError:
            continue
        if rate and RATES[0] <= rate <= RATES[1]:
            return round(rate, 3)
    return USUAL_RATE


def split_clips(videos: Sequence[Sequence[Clip]]) -> list[Clip]:
    """All clips with their splits, so that no stretch of speech is in two.

    Of three or more videos one in ten (at least one) is for test and the next as many for val, the last of them by
    name; of fewer, the last tenth of each one's clips (at least one of two or more) is for val.
    """
    order = sorted(range(len(videos)), key=lambda i: videos[i][0].id)
    part = max(1, round(len(videos) / TENTH))
    if len(videos) >= 3:
        kind = dict.fromkeys(order, "train") | dict.fromkeys(order[-2 * part :], "val")
        kind |= dict.fromkeys(order[-part:], "test")
        return [replace(clip, split=kind[i]) for i, clips in enumerate(videos) for clip in clips]
    out = []
    for clips in videos:
        held = max(1, round(len(clips) / TENTH)) if len(clips) > 1 else 0
        out += [replace(c, split="val" if i >= len(clips) - held else "train") for i, c in enumerate(clips)]
    return out


def _finish(videos: list[Video], refused: dict[Path, str], tracker: Tracker, job: Job) -> Annotated:
    """Write tracking.json and the manifest."""
    notes = [*_method(tracker, job), *(note for video in videos for note in video.notes)]
    notes += [f"{path.name}: not used. {sentence}" for path, sentence in refused.items()]
    clips = split_clips([video.clips for video in videos])
    facts = {name: told for video in videos for name, told in video.facts.items()}
    with atomic(job.out / "tracking.json", DataError) as draft:
        text = json.dumps({"pose": POSE_NAMES, "clips": facts}, ensure_ascii=False, indent=1)
        draft.write_text(text + "\n", encoding="utf-8")
    known: dict[str, Any] = {"known": tracker.known} if tracker.known else {}
    dataset = Dataset(
        job.out,
        job.out.resolve().name,
        tracker.annotation,
        job.fps,
        tracker.unit,
        channels(tracker),
        tuple(dict.fromkeys(clip.subject for clip in clips)),
        tuple(clips),
        source="tracked from video",
        extra={"notes": notes, "tracking": "tracking.json"},
        **known,
    )
    write_manifest(dataset)
    return Annotated(dataset, tuple(notes), refused)


def _method(tracker: Tracker, job: Job) -> list[str]:
    """Notes of how the numbers came about."""
    notes = [
        tracker.about,
        f"Read at {job.fps:g} frames a second by the pictures' time stamps; filter: {FILTER}. Uneven times are first "
        "interpolated linearly at their usual spacing.",
        f"Losses of the face of up to {job.rules.bridge:g} s are interpolated linearly; longer ones end a clip, as do "
        f"cuts and jumps of the face. Clips last {job.rules.shortest:g} to {job.rules.longest:g} s.",
        "Confidence of a clip: the share of its pictures with a face, times the mean of the tracker's scores if it "
        "gives any.",
    ]
    if tracker.unit == "weight":
        taken = "The median of each clip's silent frames is taken away from its weights, and what is below 0 then is 0."
        notes.append(taken if job.neutral else "Weights are as tracked, with the resting face in them.")
    return notes
