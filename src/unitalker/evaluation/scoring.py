"""From predictions to figures: ARKit weights, meshes, and any other numbers.

A scorer takes one clip at a time with `add` and gives its figures with `result`, so that meshes of a whole
dataset never lie in memory together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from unitalker.errors import DataError
from unitalker.evaluation import captured, metrics
from unitalker.evaluation.captured import Case, LipGauge
from unitalker.motion import Motion

if TYPE_CHECKING:
    from unitalker.annotations.base import Annotation
    from unitalker.rig.rig import Rig

ARKIT = "arkit52"


class Scorer(Protocol):
    """Collects clips of one head and sums them up."""

    def add(self, case: Case) -> None:
        """Take one clip; truth and prediction are in the dataset's annotation."""
        ...

    def result(self) -> dict[str, Any]:
        """The figures of all clips taken."""
        ...


def score_cases(
    cases: Sequence[Case | tuple[Motion, Motion, np.ndarray]],
    *,
    rig: Rig | None = None,
    known: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Figures of one group of clips with ARKit weights; docs/measurements.md explains each.

    cases: Case objects or (truth, prediction, samples at 16 kHz). Predictions may have another frame rate;
    they are sampled at the truth's frame times. rig: the head whose lips are measured (default: the built-in
    one). known: the truth's channels worth a correlation of their own (default: all that move). Raises
    DataError when there is no case.
    """
    full = [c if isinstance(c, Case) else Case(str(i), *c) for i, c in enumerate(cases)]
    if not full:
        raise DataError("There is nothing to score: no clip was given.")
    gauge = LipGauge.of(_builtin() if rig is None else rig)
    lag, jaw_r = captured.common_lag(full)
    gaps = [gauge.gap_cm(c.truth) for c in full]
    made = [gauge.gap_cm(c.prediction) for c in full]
    late = [metrics.sample_at(g, c.prediction.fps, c.times + lag) for g, c in zip(made, full, strict=True)]
    heard = [metrics.sample_at(g, c.prediction.fps, c.times) for g, c in zip(made, full, strict=True)]
    figures: dict[str, Any] = {
        "clips": len(full),
        "frames": sum(len(c.truth) for c in full),
        "lag_ms": round(1000 * lag),
        "r": {"jawOpen": jaw_r, "lipGap": metrics.pooled_correlation(gaps, late)},
        "loudness": _loudness(full, gaps),
        "amplitude": {"jawOpen": _jaw_amplitude(full, lag), "lipGap": metrics.amplitude(gaps, late)},
        "channels": captured.channel_correlations(full, known or full[0].truth.names, lag),
        "words": captured.word_recall(heard, full),
        "words_truth": captured.word_recall(gaps, full),
    }
    return figures | captured.lip_errors(full, gauge)


class ArkitScorer:
    """Scores weights of any layout that converts to ARKit by name."""

    def __init__(self, rig: Rig | None, known: Sequence[str] | None) -> None:
        self.rig, self.known = rig, known
        self.cases: list[Case] = []

    def add(self, case: Case) -> None:
        """See Scorer.add."""
        from unitalker.annotations.layouts import convert

        truth, prediction = convert(case.truth, ARKIT), convert(case.prediction, ARKIT)
        self.cases.append(Case(case.id, truth, prediction, case.samples, case.words))

    def result(self) -> dict[str, Any]:
        """See score_cases."""
        return score_cases(self.cases, rig=self.rig, known=self.known)


class VertexScorer:
    """LVE (u²), LVD, MVE, UFVE (u) and FDD (u²) of meshes over all frames; u is the annotation's unit.
    FLAME numbers become vertices in metres; those that no head predicts (the person's shape, the head's pose) rest.

    Without a region "lips" or "upper_face" its measures are left out.
    """

    def __init__(self, annotation: Annotation) -> None:
        self.annotation = annotation
        self.lips = annotation.regions.get("lips")
        self.upper = annotation.regions.get("upper_face")
        self.frames: dict[str, list[np.ndarray]] = {}
        self.deviations: list[float] = []

    def add(self, case: Case) -> None:
        """See Scorer.add."""
        moved = metrics.sample_at(case.prediction.values, case.prediction.fps, case.times)
        self.add_meshes(self._mesh(case.truth.values), self._mesh(moved))

    def add_meshes(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Take displacements (T, V, 3) of one clip."""
        self._keep("mve", metrics.mve(truth, predicted))
        if self.lips is not None:
            self._keep("lve", metrics.lve(truth, predicted, self.lips))
            self._keep("lvd", metrics.lvd(truth, predicted, self.lips))
            self._keep("lve_rest", metrics.lve(truth, np.zeros_like(truth), self.lips))
        if self.upper is not None:
            self._keep("ufve", metrics.mve(truth, predicted, self.upper))
            self.deviations.append(metrics.fdd([truth], [predicted], self.upper))

    def result(self) -> dict[str, Any]:
        """Means over all frames of all clips; FDD is the mean over clips, signed and absolute."""
        out: dict[str, Any] = {name: float(np.concatenate(v).mean()) for name, v in self.frames.items()}
        if "lve" in out:
            rest = out.pop("lve_rest")
            out["lve_over_rest"] = out["lve"] / rest if rest > 0 else float("nan")
        if self.deviations:
            out["fdd"] = float(np.mean(self.deviations))
            out["fdd_absolute"] = abs(out["fdd"])
        frames = sum(map(len, self.frames["mve"]))
        unit = "m" if self.annotation.kind == "flame" else self.annotation.unit
        return {"clips": len(self.frames["mve"]), "frames": frames, "unit": unit} | out

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.frames.setdefault(name, []).append(values)

    def _mesh(self, values: np.ndarray) -> np.ndarray:
        if self.annotation.kind == "vertices":
            return values.reshape(len(values), -1, 3)
        rest = self.annotation.decode(self.annotation.rest()[None])
        moving = self.annotation.decode(self.annotation.encode(values))
        return self.annotation.vertices(moving) - self.annotation.vertices(rest)


class ChannelScorer:
    """Pooled r and root mean square error of every channel, for numbers without lips to measure."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Motion, np.ndarray]] = []

    def add(self, case: Case) -> None:
        """See Scorer.add."""
        moved = case.prediction.select(case.truth.names)
        self.pairs.append((case.truth, metrics.sample_at(moved, case.prediction.fps, case.times)))

    def result(self) -> dict[str, Any]:
        """{"channels": name → r, "rmse": name → error in the channel's unit, "rms": of all channels} and counts."""
        names = self.pairs[0][0].names
        truth, moved = [t.values for t, _ in self.pairs], [m for _, m in self.pairs]
        r, rmse = {}, {}
        for k, name in enumerate(names):
            if max(float(t[:, k].std()) for t in truth) > 1e-6:
                r[name] = metrics.pooled_correlation([t[:, k] for t in truth], [m[:, k] for m in moved])
            gap = np.concatenate([t[:, k] - m[:, k] for t, m in zip(truth, moved, strict=True)])
            rmse[name] = float(np.sqrt(np.mean(gap**2)))
        every = float(np.sqrt(np.mean(np.square(list(rmse.values())))))
        counts = {"clips": len(self.pairs), "frames": sum(map(len, truth)), "unit": self.pairs[0][0].unit}
        return counts | {"channels": r, "rmse": rmse, "rms": every}


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


def _loudness(cases: Sequence[Case], gaps: Sequence[np.ndarray]) -> dict[str, float]:
    lag, jaw = captured.loudness_alone(cases, [c.truth.channel("jawOpen") for c in cases])
    gap_lag, gap = captured.loudness_alone(cases, gaps)
    lags = {"lag_ms": round(1000 * lag), "lipGap_lag_ms": round(1000 * gap_lag)}
    return {"jawOpen": jaw, "lipGap": gap} | lags


def _jaw_amplitude(cases: Sequence[Case], lag: float) -> float:
    moved = [
        metrics.sample_at(c.prediction.channel("jawOpen"), c.prediction.fps, c.times + lag) for c in cases
    ]
    return metrics.amplitude([c.truth.channel("jawOpen") for c in cases], moved)


def _builtin() -> Rig:
    from unitalker.rig import builtin_head

    return builtin_head()
