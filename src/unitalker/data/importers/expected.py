"""What a corpus holds as its authors published it, as data: importers split by it, the doctor counts against it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Expected:
    """One corpus. Only what its authors, or the papers that use it, say.

    subjects: names. clips: split → sequences of a whole copy, without those that no copy has. frames: split → frames at
    `fps`, where they are published. missing: sequences that no copy has. sequences, people: numbers of clips and subjects,
    where only those are published. scale: the annotation's units in one unit of the files. width: numbers a frame. hours:
    of all clips. ways: way to split → `clips` of it, where there are several; the manifest's `way` says which one was
    taken. licence, source: for people, and for the manifest.
    """

    corpus: str
    annotation: str
    unit: str
    fps: float
    width: int
    scale: float = 1.0
    subjects: tuple[str, ...] = ()
    clips: dict[str, int] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    ways: dict[str, dict[str, int]] = field(default_factory=dict)
    sequences: int | None = None
    people: int | None = None
    hours: float | None = None
    licence: str = ""
    source: str = ""
