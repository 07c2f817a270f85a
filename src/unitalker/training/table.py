"""What a recipe changed: errors on validation clips before and after, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unitalker.animation.animator import Animator
from unitalker.annotations import builtin
from unitalker.annotations.base import Annotation
from unitalker.annotations.layouts import convert, layout
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.data.dataset import Clip, Dataset
from unitalker.errors import AnnotationError
from unitalker.evaluation import metrics
from unitalker.files import atomic
from unitalker.models.unitalker import PIVOT
from unitalker.motion import Motion, by_name
from unitalker.rig import builtin_head

SPLITS = ("val", "test", "train")
"""Splits to measure on: the first that a dataset has."""
FRAMES = 256
"""Frames that are vertices at a time."""
MILLIMETRES = {"m": 1000.0, "cm": 10.0, "mm": 1.0}
RESTING = "resting face"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Surface:
    """How values (T, D) of an annotation become displacements (T, V, 3) from rest in `unit`, and the lip vertices."""

    displacements: Callable[[np.ndarray], np.ndarray]
    unit: str
    lips: np.ndarray | None = None


@dataclass(frozen=True)
class Comparison:
    """Figures of one dataset before and after. before, after: figure → mean over all frames of the clips.

    LVE (unit²), LVD and MVE (unit) are those of docs/measurements.md; numbers without a mesh have RMS alone, the root
    mean square error of their values.
    """

    dataset: str
    split: str
    clips: int
    unit: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    notes: Sequence[str] = field(default=())


def surface(annotation: Annotation) -> Surface | None:
    """The mesh that errors are measured on; the built-in head for weights. None for numbers that move no mesh."""
    lips = annotation.regions.get("lips")
    if annotation.kind == "vertices":
        return Surface(lambda values: values.reshape(len(values), -1, 3), annotation.unit, lips)
    if isinstance(annotation, FlameAnnotation):
        whole = builtin.completed(annotation, builtin_head())
        try:
            rest = whole.vertices(whole.decode(whole.rest()[None]))
        except AnnotationError:
            return None
        moved = lambda values: whole.vertices(whole.decode(whole.encode(values))) - rest  # noqa: E731
        return Surface(moved, "m", whole.regions.get("lips"))
    return _weights(annotation)


def _weights(annotation: Annotation) -> Surface | None:
    """The built-in head, through the weights' ARKit names."""
    arkit, rig = layout("arkit52").names, builtin_head()

    def displacements(values: np.ndarray) -> np.ndarray:
        motion = convert(
            Motion(values, annotation.names, annotation.fps, annotation.name, "weight"), "arkit52"
        )
        return np.tensordot(rig.weights(motion.values, arkit), rig.shapes, 1).astype(np.float32)

    try:
        displacements(np.zeros((1, annotation.dim), np.float32))
    except AnnotationError:
        return None
    return Surface(displacements, "m", np.asarray(rig.regions["lips"]))


def compare(
    dataset: Dataset, after: Animator, before: Animator | None, progress: Progress | None = None
) -> Comparison:
    """Animate a dataset's validation clips with both models and measure both; before=None: a resting face.

    Each clip speaks as its own subject where both models know it, else as the pivot in both, which the notes count; a
    subject's own numbers are added to the resting face too. Channels that the dataset does not vouch for (`known`) count on neither side. A dataset without
    validation clips is measured on another split.
    """
    annotation = after.annotations[dataset.annotation]
    split = next(s for s in SPLITS if any(c.split == s for c in dataset.clips))
    clips, mesh = dataset.split(split), surface(annotation)
    old, new, own = _Means(), _Means(), 0
    for done, clip in enumerate(clips):
        who = _identity(dataset, clip, after, before)
        own += who != PIVOT
        known = _known(dataset, annotation)
        truth = _truth(dataset, clip, annotation) * known
        for means, model in ((old, before), (new, after)):
            made = _resting(dataset, clip, annotation, len(truth))
            if model is not None:
                made = _animated(model, dataset, clip, annotation, who, len(truth))
            for real, guess in _pieces(truth, made):
                means.add(_errors(mesh, real, guess * known))
        if progress:
            progress(done + 1, len(clips))
    unit = annotation.unit if mesh is None else mesh.unit
    notes = [_spoken(dataset, own, len(clips) - own), *_notes(dataset, split)]
    return Comparison(dataset.name, split, len(clips), unit, old.result(), new.result(), notes)


class _Means:
    """Sums of errors per frame, and how many frames."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.frames = 0

    def add(self, errors: Mapping[str, np.ndarray]) -> None:
        """Errors (n,) of the same n frames."""
        for name, values in errors.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(values.sum(dtype=np.float64))
        self.frames += len(next(iter(errors.values())))

    def result(self) -> dict[str, float]:
        """Means over all frames; of the squared error its root."""
        means = {name: total / self.frames for name, total in self.sums.items()}
        return {name: value**0.5 if name == "RMS" else value for name, value in means.items()}


def _truth(dataset: Dataset, clip: Clip, annotation: Annotation) -> np.ndarray:
    """The captured values (T, D), in the annotation's channels where it names them otherwise."""
    stored = np.asarray(dataset.motion(clip), np.float32)
    if dataset.stored == "codes":
        return annotation.decode(stored)
    values = stored * np.float32(dataset.scale)
    named = annotation.kind != "vertices" and dataset.names != annotation.names
    return by_name(values, dataset.names, annotation.names) if named else values


def _identity(dataset: Dataset, clip: Clip, *models: Animator | None) -> str:
    """The clip's own identity where all models know it, else the pivot: one for both sides of a row."""
    who = f"{dataset.name}/{clip.subject}"
    return who if all(who in model.identities for model in models if model is not None) else PIVOT


def _animated(
    model: Animator, dataset: Dataset, clip: Clip, annotation: Annotation, who: str, frames: int
) -> np.ndarray:
    name = annotation.name
    made = model.animate(
        dataset.recording(clip),
        annotations=[name],
        identity=who,
        fps=dataset.fps,
    )[name]
    return metrics.sample_at(made.values, made.fps, np.arange(frames) / dataset.fps)


def _resting(dataset: Dataset, clip: Clip, annotation: Annotation, frames: int) -> np.ndarray:
    """(T, D) a face that never moves: displacements of zero, or a head's numbers at rest and what the subject adds."""
    if annotation.kind == "vertices":
        return np.broadcast_to(np.float32(0), (frames, annotation.dim))
    rest, added = (
        annotation.decode(annotation.rest()[None]),
        annotation.added(f"{dataset.name}/{clip.subject}"),
    )
    return np.broadcast_to(rest if added is None else rest + added, (frames, annotation.dim))


def _pieces(truth: np.ndarray, made: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(truth), FRAMES):
        part = slice(start, start + FRAMES)
        yield truth[part], made[part]


def _known(dataset: Dataset, annotation: Annotation) -> np.ndarray:
    """(D,) or one number: 1 for values that count."""
    if dataset.known is None or annotation.kind != "blendshapes":
        return np.ones(1, np.float32)
    return np.isin(annotation.names, dataset.known).astype(np.float32)


def _errors(mesh: Surface | None, truth: np.ndarray, made: np.ndarray) -> dict[str, np.ndarray]:
    """Errors of n frames, (n,) each."""
    if mesh is None:
        return {"RMS": np.square(truth - made).mean(1)}
    moved, guess = mesh.displacements(truth), mesh.displacements(made)
    errors = {"MVE": metrics.mve(moved, guess)}
    if mesh.lips is not None:
        errors = {
            "LVE": metrics.lve(moved, guess, mesh.lips),
            "LVD": metrics.lvd(moved, guess, mesh.lips),
        } | errors
    return errors


def _spoken(dataset: Dataset, own: int, pivot: int) -> str:
    """Which identities both sides spoke as."""
    told = [f"{name} {_clips(count)}" for name, count in (("own", own), ("pivot", pivot)) if count]
    return f"{dataset.name}, identities: {', '.join(told)}."


def _clips(count: int) -> str:
    return f"{count} clip{'' if count == 1 else 's'}"


def _notes(dataset: Dataset, split: str) -> list[str]:
    notes = []
    if split != SPLITS[0]:
        notes.append(f"{dataset.name} has no validation clips: measured on {split}.")
    if dataset.stored == "codes":
        notes.append(f"{dataset.name} stores codes: what lies outside their basis is in neither figure.")
    return notes


def table(found: Sequence[Comparison], before: str, after: str) -> str:
    """The comparisons as Markdown; before, after: what the models are called. Lengths are printed in mm."""
    lines = [f"| on | figure | before: {before} | after: {after} | change |", "|---|---|---|---|---|"]
    for one in found:
        size = MILLIMETRES.get(one.unit, 1.0)
        unit = "mm" if one.unit in MILLIMETRES else one.unit
        for name, value in one.after.items():
            power = 2 if name == "LVE" else 1
            old, new = one.before[name] * size**power, value * size**power
            change = _change(new / old) if old > 0 else ""
            figure = f"{name}, {unit}{'²' if power == 2 else ''}"
            lines.append(
                f"| {one.dataset} {one.split}, {_clips(one.clips)} | {figure} | {old:.4g} | {new:.4g} | {change} |"
            )
    notes = [note for one in found for note in one.notes]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _change(ratio: float) -> str:
    """ "-12.5 %", or "× 24" where percents no longer tell much."""
    return f"{100 * (ratio - 1):+.1f} %" if ratio < 10 else f"× {ratio:.3g}"


def write_table(text: str, path: Path) -> None:
    """The table as a Markdown file, whole or not at all."""
    with atomic(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")
