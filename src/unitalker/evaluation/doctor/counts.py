"""A dataset counted against what its authors published."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from unitalker.data.dataset import Dataset
from unitalker.data.importers.expected import Expected
from unitalker.motion import frame_count

CLOSE = 0.02
"""Share by which hours may differ."""


@dataclass(frozen=True)
class Count:
    """One published number. found and published: numbers or names; agrees: whether they are the same."""

    what: str
    found: float | str
    published: float | str
    agrees: bool


def count(dataset: Dataset, expected: Expected) -> list[Count]:
    """The dataset beside the published table, number by number."""
    clips, frames = Counter[str](), Counter[str]()
    for clip in dataset.clips:
        clips[clip.split] += 1
        frames[clip.split] += frame_count(clip.seconds, dataset.fps)
    out = [_equal(f"sequences, {split}", clips[split], n) for split, n in expected.clips.items()]
    out += [
        _equal(f"frames, {split}", frames[split], n)
        for split, n in expected.frames.items()
        if dataset.fps == expected.fps
    ]
    out += [
        _equal(f"sequences, {s}", n, 0)
        for s, n in clips.items()
        if expected.clips and s not in expected.clips
    ]
    if expected.subjects:
        out.append(_equal("subjects", len(set(dataset.subjects)), len(expected.subjects)))
    if expected.hours:
        hours = dataset.seconds() / 3600
        out.append(Count("hours", round(hours, 2), expected.hours, abs(hours / expected.hours - 1) <= CLOSE))
    if dataset.stored == "values":
        out.append(_equal("numbers a frame", len(dataset.names), expected.width))
    out.append(_equal("frames a second", dataset.fps, expected.fps))
    return out


def absent(dataset: Dataset, expected: Expected) -> list[str]:
    """What is known by name and not there: subjects, and what the importer could not use."""
    gone = [f"subject {name}" for name in expected.subjects if name not in dataset.subjects]
    return gone + [str(line) for line in dataset.extra.get("problems", ())]


def _equal(what: str, found: float, published: float) -> Count:
    return Count(what, found, published, found == published)
