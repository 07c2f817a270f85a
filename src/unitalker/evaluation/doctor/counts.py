"""A dataset counted against what its authors published."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from unitalker.data.dataset import Dataset
from unitalker.data.importers.corpus import UNUSED
from unitalker.data.importers.expected import Expected
from unitalker.errors import DataError

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
    clips, due = Counter(clip.split for clip in dataset.clips), splits(dataset, expected)
    out = [_equal(f"sequences, {split}", clips[split], n) for split, n in due.items()]
    if dataset.fps == expected.fps and due == expected.clips:
        out += [
            _equal(f"frames, {split}", _frames(dataset, split), n) for split, n in expected.frames.items()
        ]
    if due:
        others = [split for split in clips if split not in due and split != UNUSED]
        out += [_equal(f"sequences, {split}", clips[split], 0) for split in others]
    if expected.sequences is not None:
        out.append(_equal("sequences", len(dataset.clips), expected.sequences))
    people = expected.people or len(expected.subjects)
    if people:
        out.append(_equal("subjects", len(set(dataset.subjects)), people))
    if expected.hours:
        hours = dataset.seconds() / 3600
        out.append(Count("hours", round(hours, 2), expected.hours, abs(hours / expected.hours - 1) <= CLOSE))
    if dataset.stored == "values":
        out.append(_equal("numbers a frame", len(dataset.names), expected.width))
    out.append(_equal("frames a second", dataset.fps, expected.fps))
    return out


def splits(dataset: Dataset, expected: Expected) -> dict[str, int]:
    """Split → sequences that a whole copy has, by the way to split that the dataset's manifest names; by the usual one
    where it names none."""
    return expected.ways.get(str(dataset.extra.get("way", "")), expected.clips)


def absent(dataset: Dataset, expected: Expected) -> list[str]:
    """What is known by name and not there: subjects, and what the importer could not use."""
    gone = [f"subject {name}" for name in expected.subjects if name not in dataset.subjects]
    return gone + [str(line) for line in dataset.extra.get("problems", ())]


def _frames(dataset: Dataset, split: str) -> int:
    """Frames of the split's motion; clips that cannot be read have none."""
    total = 0
    for clip in dataset.clips:
        if clip.split == split:
            with suppress(DataError):
                total += len(dataset.motion(clip))
    return total


def _equal(what: str, found: float, published: float) -> Count:
    return Count(what, found, published, found == published)
