"""Evaluating an animator on a dataset, and the report that it gives as text and as JSON."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from unitalker.errors import AnnotationError
from unitalker.evaluation import captured
from unitalker.evaluation.captured import Case
from unitalker.evaluation.scoring import (
    ARKIT,
    ArkitScorer,
    ChannelScorer,
    Scorer,
    VertexScorer,
    rest_sounds,
    score_cases,
)
from unitalker.motion import Motion

if TYPE_CHECKING:
    from unitalker.annotations.base import Annotation
    from unitalker.data.dataset import Clip, Dataset
    from unitalker.rig.rig import Rig

__all__ = ["Animator", "Report", "evaluate", "score_cases"]


class Animator(Protocol):
    """What `evaluate` needs of an animator: its annotations, and motions of a sound by annotation name."""

    @property
    def annotations(self) -> Mapping[str, Annotation]:
        """Annotation of each head by name."""
        ...

    def animate(
        self, source: Any, /, *, annotations: Sequence[str], identity: str | None = None
    ) -> Mapping[str, Motion]:
        """Motions of a sound file or (samples, rate), by annotation."""
        ...


@dataclass(frozen=True)
class Report:
    """Figures of one dataset split.

    facts: what was measured: dataset, split, clips, seconds, identity, rig. groups: head → its figures.
    rest: sound without speech → mean jawOpen.
    """

    facts: dict[str, Any]
    groups: dict[str, dict[str, Any]]
    rest: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dictionary."""
        head = {"format": "unitalker.report", "version": 1}
        return head | {"facts": self.facts, "groups": self.groups, "rest": self.rest}

    def to_json(self) -> str:
        """The report as JSON text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    def table(self) -> str:
        """The report as plain text, one figure a line, with units and what it is compared with."""
        lines = ["  ".join(f"{k}: {v}" for k, v in self.facts.items())]
        for name, figures in self.groups.items():
            lines += ["", f"head {name}"]
            lines += [f"  {label:<34} {value}" for label, value in _rows(figures)]
        if self.rest:
            lines += ["", "mean jawOpen without speech (0 is closed)"]
            lines += [f"  {label:<34} {value:.4f}" for label, value in self.rest.items()]
        return "\n".join(lines)


def evaluate(
    animator: Animator,
    dataset_dir: str | Path,
    *,
    split: str = "val",
    rig: Rig | None = None,
    identity: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Animate every clip of a dataset's split and score the result.

    identity: passed to the animator (None: its default); "subject" means each clip's own
    `<dataset>/<subject>`. progress: called as (clips done, clips in all). Weights that convert to ARKit are
    scored as such, through the head of the dataset's annotation and through `arkit52` where the model has it;
    meshes by vertex errors; other numbers channel by channel. Raises DataError for a broken dataset and
    whatever the animator raises.
    """
    from unitalker.data.dataset import open_dataset

    dataset = open_dataset(dataset_dir)
    clips = dataset.split(split)
    scorers = _scorers(animator, dataset, rig)
    for done, clip in enumerate(clips):
        truth, samples = _truth(dataset, clip, animator.annotations.get(dataset.annotation))
        who = f"{dataset.name}/{clip.subject}" if identity == "subject" else identity
        made = animator.animate(dataset.recording(clip), annotations=list(scorers), identity=who)
        words = tuple((float(a), float(b), str(w)) for a, b, w in clip.words)
        for head, scorer in scorers.items():
            scorer.add(Case(clip.id, truth, made[head], samples, words))
        if progress:
            progress(done + 1, len(clips))
    facts = {
        "dataset": dataset.name,
        "split": split,
        "clips": len(clips),
        "seconds": round(sum(c.seconds for c in clips), 1),
        "identity": identity or "default",
        "rig": "builtin" if rig is None else rig.name,
    }
    rest = _rest(animator, identity) if ARKIT in scorers else {}
    return Report(facts, {head: scorer.result() for head, scorer in scorers.items()}, rest)


def _scorers(animator: Animator, dataset: Dataset, rig: Rig | None) -> dict[str, Scorer]:
    name = dataset.annotation
    if dataset.unit == "weight" and _is_face(dataset):
        known = dataset.known if name == ARKIT else None
        heads = {name, ARKIT} if ARKIT in animator.annotations else {name}
        return {head: ArkitScorer(rig, known) for head in sorted(heads, key=lambda h: h != name)}
    annotation = animator.annotations.get(name)
    if annotation is not None and annotation.kind == "flame":
        annotation = _with_model(annotation)
    if annotation is not None and _has_mesh(annotation):
        return {name: VertexScorer(annotation)}
    return {name: ChannelScorer()}


def _with_model(annotation: Annotation) -> Annotation:
    """A built-in FLAME annotation with the model that its card leaves out; others as they are."""
    from unitalker.annotations.builtin import completed
    from unitalker.rig import builtin_head

    return completed(annotation, builtin_head())


def _is_face(dataset: Dataset) -> bool:
    """Whether the dataset's weights convert to ARKit's, jawOpen among them."""
    from unitalker.annotations.layouts import convert

    one = Motion(
        np.ones((1, len(dataset.names)), np.float32), dataset.names, 1.0, dataset.annotation, "weight"
    )
    try:
        return bool(convert(one, ARKIT).channel("jawOpen")[0])
    except AnnotationError:
        return False


def _has_mesh(annotation: Annotation) -> bool:
    if annotation.kind == "vertices":
        return True
    try:
        annotation.vertices(annotation.decode(annotation.rest()[None]))
    except AnnotationError:
        return False
    return True


def _truth(dataset: Dataset, clip: Clip, annotation: Annotation | None) -> tuple[Motion, np.ndarray]:
    """The captured motion in the annotation's unit and the clip's samples at 16 kHz."""
    values = np.array(dataset.motion(clip), np.float32) * dataset.scale
    names, unit = dataset.names, dataset.unit
    if dataset.stored == "codes":
        if annotation is None:
            raise AnnotationError(
                f"{dataset.name} stores codes of {dataset.annotation!r}, which the model lacks."
            )
        values, names, unit = annotation.decode(values), annotation.names, annotation.unit
    return Motion(values, names, dataset.fps, dataset.annotation, unit), dataset.sound(clip)[0]


def _rest(animator: Animator, identity: str | None) -> dict[str, float]:
    import soundfile

    who = None if identity == "subject" else identity
    motions = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, samples in rest_sounds().items():
            path = Path(folder) / f"{name.replace(' ', '_')}.wav"
            soundfile.write(str(path), samples, 16000)
            motions[name] = animator.animate(path, annotations=[ARKIT], identity=who)[ARKIT]
    return captured.rest_jaw(motions)


def _rows(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, r in figures.get("r", {}).items():
        loud = figures["loudness"][name]
        rows.append((f"{name} r", f"{r:.3f}  (loudness alone {loud:.3f}, {r - loud:+.3f})"))
        rows.append((f"{name} amplitude over truth", f"{figures['amplitude'][name]:.2f}"))
    for name, label in (("closure", "bilabial closure recall"), ("open", "vowels open")):
        if name in figures.get("words", {}):
            share, truth = figures["words"][name], figures["words_truth"][name]
            count = figures["words"][f"{name}_words"]
            rows.append((label, f"{share:.3f}  ({count} words; captured motion {truth:.3f})"))
    for name, label in _PLAIN.items():
        if name in figures:
            value = figures[name]
            label = label.format(unit=figures.get("unit", "u"))
            rows.append((label, f"{value:.4g}" if isinstance(value, float) else str(value)))
    if figures.get("channels"):
        listed = sorted(figures["channels"].items(), key=lambda item: -item[1])
        rows.append(("channels r", ", ".join(f"{n} {r:.2f}" for n, r in listed[:60])))
    return rows


_PLAIN = {
    "lag_ms": "lag, ms (positive: late)",
    "lve_mm2": "LVE on the rig, mm²",
    "lve_over_rest": "LVE over a resting face's",
    "lve_over_loudness_jaw": "LVE over a loudness jaw's",
    "frames": "frames",
    "rms": "RMS error of all channels, {unit}",
    "lve": "LVE, {unit}² (max squared, mean of frames)",
    "lvd": "LVD, {unit}",
    "mve": "MVE, {unit}",
    "ufve": "UFVE, {unit}",
    "fdd": "FDD, {unit}² (signed)",
}
