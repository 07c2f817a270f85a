"""What a protocol is: which sequences, which vertices, which unit, predicted as whom. Data only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from unitalker.data.dataset import Clip, Dataset


@dataclass(frozen=True)
class Mask:
    """A region. source: where its list comes from; vertices, sha256: of the published list, 0 and "" where unknown."""

    source: str
    vertices: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class Part:
    """One dataset's share of a protocol.

    keys: what a dataset's manifest calls its corpus, benchmark or itself, in lower case; empty: any dataset. annotation:
    the one that published figures are of. split: the manifest's, or what `split_of` gives for a clip. fps: frames a second
    that are compared, None for the dataset's. unit, size, unit_about: the unit of lengths,
    how much of the annotation's unit it is, and what it is.
    sequences, frames: expected counts; counted_by: who says so. absent: sequences that no copy has. masks: by region.
    subjects: published training subjects, for datasets without training clips.
    """

    name: str
    keys: tuple[str, ...] = ()
    annotation: str = ""
    split: str = "test"
    split_of: Callable[[Clip], str] | None = None
    fps: float | None = None
    unit: str = ""
    size: float = 1.0
    unit_about: str = ""
    sequences: int | None = None
    frames: int | None = None
    counted_by: str = "published"
    absent: tuple[str, ...] = ()
    masks: dict[str, Mask] = field(default_factory=dict)
    subjects: tuple[str, ...] = ()

    def clips(self, dataset: Dataset, split: str | None = None) -> list[Clip]:
        """The dataset's clips of the part's split, or of another one of the same way to split."""
        wanted = split or self.split
        if self.split_of is None:
            return [clip for clip in dataset.clips if clip.split == wanted]
        return [clip for clip in dataset.clips if self.split_of(clip) == wanted]

    def training(self, dataset: Dataset) -> tuple[str, ...]:
        """Subjects of the training split, as they come; the published ones for a dataset without it."""
        there = tuple(dict.fromkeys(clip.subject for clip in self.clips(dataset, "train")))
        return there or self.subjects

    def fits(self, dataset: Dataset) -> bool:
        """Whether a dataset is meant."""
        told = (dataset.extra.get("corpus"), dataset.extra.get("benchmark"), dataset.name)
        return not self.keys or any(str(one).casefold() in self.keys for one in told if one)


@dataclass(frozen=True)
class Protocol:
    """A named way to evaluate. identity: a rule of predictions.RULES. each: every dataset given is measured by the one
    part; else each is one of the parts, and parts without data are told. pooling, source: sentences for reports and docs."""

    name: str
    about: str
    parts: tuple[Part, ...]
    identity: str
    source: str
    each: bool = False
    pooling: str = (
        "errors are pooled over all frames of all sequences (clip_mean: each sequence counts alike); FDD, velocity maps and "
        "diversity are means over sequences"
    )
