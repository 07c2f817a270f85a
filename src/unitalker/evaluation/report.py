"""Scoring predictions: `score_cases` on arrays, `evaluate` with an animator over a dataset, the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from unitalker.errors import DataError
from unitalker.evaluation import captured, metrics
from unitalker.evaluation.captured import Case, LipGauge
from unitalker.motion import Motion

if TYPE_CHECKING:
    from unitalker.annotations.base import Annotation
    from unitalker.data.dataset import Clip, Dataset
    from unitalker.rig.rig import Rig

ARKIT = "arkit52"
MEASURED = ("jawOpen", "lipGap")


class Animator(Protocol):
    """What `evaluate` needs of an animator: motions of a sound file, by annotation name."""

    def animate(
        self, path: Any, *, annotations: Sequence[str], identity: Any = None
    ) -> Mapping[str, Motion]: ...


@dataclass(frozen=True)
class Report:
    """Figures of one dataset split.

    facts: what was measured: dataset, split, clips, seconds, identity, rig, model. groups: head → its
    figures.
    rest: sound without speech → mean jawOpen.
    """

    facts: dict[str, Any]
    groups: dict[str, dict[str, Any]]
    rest: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dictionary."""
        return {
            "format": "unitalker.report",
            "version": 1,
            "facts": self.facts,
            "groups": self.groups,
            "rest": self.rest,
        }

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


def score_cases(
    cases: Sequence[Case | tuple[Motion, Motion, np.ndarray]],
    *,
    rig: Rig | None = None,
    known: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Figures of one group of clips with ARKit weights; see docs/measurements.md for each.

    cases: Case objects or (truth, prediction, samples at 16 kHz). Predictions may have another frame rate;
    they are sampled at the truth's frame times. rig: the head whose lips are measured (default: the built-in
    one).
    known: the truth's channels worth a correlation of their own (default: all that move).
    Raises DataError when there is no case.
    """
    full = [c if isinstance(c, Case) else Case(str(i), *c) for i, c in enumerate(cases)]
    if not full:
        raise DataError("There is nothing to score: no clip was given.")
    gauge = LipGauge.of(_default_rig() if rig is None else rig)
    lag, jaw_r = captured.common_lag(full)
    gaps = [gauge.gap_cm(c.truth) for c in full]
    moved = [metrics.sample_at(gauge.gap_cm(c.prediction), c.prediction.fps, c.times + lag) for c in full]
    heard = [metrics.sample_at(gauge.gap_cm(c.prediction), c.prediction.fps, c.times) for c in full]
    out: dict[str, Any] = {
        "clips": len(full),
        "frames": sum(len(c.truth) for c in full),
        "lag_ms": round(1000 * lag),
        "r": {"jawOpen": jaw_r, "lipGap": metrics.pooled_correlation(gaps, moved)},
        "loudness": _loudness(full, gaps),
        "amplitude": {"jawOpen": _jaw_amplitude(full, lag), "lipGap": _amplitude(gaps, moved)},
        "channels": captured.channel_correlations(full, known or full[0].truth.names, lag),
        "words": captured.word_recall(heard, full),
        "words_truth": captured.word_recall(gaps, full),
    }
    return out | captured.lip_errors(full, gauge)


def vertex_scores(
    truth: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    lips: np.ndarray | None = None,
    upper_face: np.ndarray | None = None,
) -> dict[str, float]:
    """LVE (u²), LVD, MVE, UFVE (u) and FDD (u²) of displacements (T, V, 3) a clip, pooled over all frames.

    u is the arrays' unit of length. Without a region its measures are left out (LVE and LVD need `lips`).
    """
    pairs = list(zip(truth, predicted, strict=True))

    def pooled(measure: Callable[..., np.ndarray], rows: np.ndarray | None) -> float:
        return float(np.concatenate([measure(t, p, rows) for t, p in pairs]).mean())

    out = {"mve": pooled(metrics.mve, None)}
    if lips is not None:
        out |= {"lve": pooled(metrics.lve, lips), "lvd": pooled(metrics.lvd, lips)}
    if upper_face is not None:
        out |= {
            "ufve": pooled(metrics.mve, upper_face),
            "fdd": metrics.fdd(truth, predicted, upper_face),
        }
        out["fdd_absolute"] = abs(out["fdd"])
    return out


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
    `<dataset>/<subject>`.
    progress: called as (clips done, clips in all). Blendshape datasets are scored as ARKit weights, through
    the head of the dataset's annotation (converted by name) and through the `arkit52` head; vertex datasets
    by the vertex errors. Raises DataError for a broken dataset and whatever the animator raises.
    """
    from unitalker.data.dataset import open_dataset

    dataset = open_dataset(dataset_dir)
    clips = dataset.split(split)
    blendshapes = dataset.unit == "weight"
    heads = list(dict.fromkeys([dataset.annotation, ARKIT] if blendshapes else [dataset.annotation]))
    made: list[Mapping[str, Motion]] = []
    for done, clip in enumerate(clips):
        who = f"{dataset.name}/{clip.subject}" if identity == "subject" else identity
        made.append(animator.animate(dataset.path(clip.audio), annotations=heads, identity=who))
        if progress:
            progress(done + 1, len(clips))
    facts: dict[str, Any] = {
        "dataset": dataset.name,
        "split": split,
        "clips": len(clips),
        "seconds": round(sum(c.seconds for c in clips), 1),
        "identity": identity or "default",
    }
    if not blendshapes:
        regions = getattr(animator, "annotations", {}).get(dataset.annotation)
        return Report(facts, {dataset.annotation: _vertex_group(dataset, clips, made, regions)})
    facts["rig"] = "builtin" if rig is None else rig.name
    groups = {
        head: score_cases(_cases(dataset, clips, [m[head] for m in made]), rig=rig, known=_known(dataset))
        for head in heads
    }
    return Report(facts, groups, _rest(animator))


def rest_sounds(rate: int = 16000, seconds: float = 4.0) -> dict[str, np.ndarray]:
    """Sounds without speech, (N,) float32: silence, white and pink noise, a chord. The same at every call."""
    count = round(rate * seconds)
    times = np.arange(count) / rate
    white = np.random.default_rng(7).standard_normal(count)
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    notes = [220.0, 277.18, 329.63, 440.0]
    strike = np.exp(-3 * (times % 0.5))
    chord = sum(np.sin(2 * np.pi * f * k * times) / k for f in notes for k in (1, 2, 3)) * strike
    sounds = {"silence": np.zeros(count), "white noise": white, "pink noise": pink, "chord": chord}
    return {n: (0.1 * x / max(np.std(x), 1e-9)).clip(-1, 1).astype(np.float32) for n, x in sounds.items()}


def _rest(animator: Animator) -> dict[str, float]:
    import tempfile

    import soundfile

    motions = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, samples in rest_sounds().items():
            path = Path(folder) / f"{name.replace(' ', '_')}.wav"
            soundfile.write(str(path), samples, 16000)
            motions[name] = animator.animate(path, annotations=[ARKIT])[ARKIT]
    return captured.rest_jaw(motions)


def _cases(dataset: Dataset, clips: Sequence[Clip], predictions: Sequence[Motion]) -> list[Case]:
    import soundfile

    from unitalker.annotations.layouts import convert

    cases = []
    for clip, prediction in zip(clips, predictions, strict=True):
        values = np.array(dataset.motion(clip), np.float32)
        truth = Motion(values, dataset.names, dataset.fps, dataset.annotation, dataset.unit)
        samples, _ = soundfile.read(str(dataset.path(clip.audio)), dtype="float32")
        words = tuple((float(a), float(b), str(w)) for a, b, w in clip.words)
        cases.append(Case(clip.id, convert(truth, ARKIT), convert(prediction, ARKIT), samples, words))
    return cases


def _known(dataset: Dataset) -> Sequence[str] | None:
    return dataset.known if dataset.annotation == ARKIT else None


def _vertex_group(
    dataset: Dataset,
    clips: Sequence[Clip],
    made: Sequence[Mapping[str, Motion]],
    annotation: Annotation | None,
) -> dict[str, Any]:
    truth, predicted = [], []
    for clip, motions in zip(clips, made, strict=True):
        motion = motions[dataset.annotation]
        values = np.array(dataset.motion(clip), np.float32)
        if dataset.stored == "codes":
            if annotation is None:
                raise DataError(f"{dataset.name} stores codes; its vertices need the annotation's basis.")
            values = annotation.decode(values)
        moved = metrics.sample_at(motion.values, motion.fps, np.arange(len(values)) / dataset.fps)
        truth.append(values.reshape(len(values), -1, 3))
        predicted.append(moved.reshape(len(values), -1, 3))
    regions = annotation.regions if annotation else {}
    scores: dict[str, Any] = vertex_scores(truth, predicted, regions.get("lips"), regions.get("upper_face"))
    return {"clips": len(clips), "frames": sum(map(len, truth)), "unit": dataset.unit} | scores


def _loudness(cases: Sequence[Case], gaps: Sequence[np.ndarray]) -> dict[str, float]:
    lag, jaw = captured.loudness_alone(cases, [c.truth.channel("jawOpen") for c in cases])
    return {"jawOpen": jaw, "lipGap": captured.loudness_alone(cases, gaps)[1], "lag_ms": round(1000 * lag)}


def _jaw_amplitude(cases: Sequence[Case], lag: float) -> float:
    truth = [c.truth.channel("jawOpen") for c in cases]
    return _amplitude(
        truth,
        [metrics.sample_at(c.prediction.channel("jawOpen"), c.prediction.fps, c.times + lag) for c in cases],
    )


def _amplitude(truth: Sequence[np.ndarray], predicted: Sequence[np.ndarray]) -> float:
    """Standard deviation within clips of the prediction over that of the truth; 1 is the right liveliness."""
    energy = [np.concatenate([x - x.mean() for x in side]).std() for side in (truth, predicted)]
    return float(energy[1] / energy[0]) if energy[0] > 0 else float("nan")


def _rows(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name in MEASURED if "r" in figures else ():
        r, loud = figures["r"][name], figures["loudness"][name]
        rows.append((f"{name} r", f"{r:.3f}  (loudness alone {loud:.3f}, {r - loud:+.3f})"))
        rows.append((f"{name} amplitude over truth", f"{figures['amplitude'][name]:.2f}"))
    for name, label in (("closure", "bilabial closure recall"), ("open", "vowels open")):
        if name in figures.get("words", {}):
            count, truth = figures["words"][f"{name}_words"], figures["words_truth"][name]
            share = figures["words"][name]
            rows.append((label, f"{share:.3f}  ({count} words; captured motion {truth:.3f})"))
    plain = ("lag_ms", "lve_mm2", "lve_over_rest", "lve_over_loudness_jaw", "frames", "unit")
    plain += ("lve", "lvd", "mve", "ufve", "fdd")
    for name in plain:
        if name in figures:
            value = figures[name]
            rows.append((name, f"{value:.4g}" if isinstance(value, float) else str(value)))
    if figures.get("channels"):
        listed = sorted(figures["channels"].items(), key=lambda item: -item[1])
        rows.append(("channels r", ", ".join(f"{n} {r:.2f}" for n, r in listed)))
    return rows


def _default_rig() -> Rig:
    from unitalker.rig import builtin_head

    return builtin_head()
