"""What an evaluation found: figures with intervals, one row a sequence, and all that differs from the protocol."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unitalker.evaluation.bootstrap import LEVEL, RESAMPLES, draws, interval
from unitalker.evaluation.metrics.phones import CLASSES, SUMS
from unitalker.evaluation.metrics.registry import METRICS, Metric, ratio
from unitalker.evaluation.metrics.streams import Sums
from unitalker.evaluation.protocols.base import Protocol
from unitalker.evaluation.protocols.kept import Kept

FRAME_SUMS = "frames"


@dataclass(frozen=True)
class MaskUsed:
    """A region that was measured: vertices, SHA-256 of their numbers, where they come from."""

    vertices: int
    sha256: str
    source: str


@dataclass(frozen=True)
class Sequence:
    """One sequence: frames compared, as whom it was predicted, and its sums."""

    id: str
    subject: str
    frames: int
    styles: tuple[str, ...]
    sums: Sums


@dataclass(frozen=True)
class Figure:
    """One figure of a part. value: pooled as its metric says; clip_mean: mean of the sequences' own figures, the value itself
    where that is such a mean; low, high: the 95 % interval of the value over sequences; sequences, frames: those that have
    it; count: the frames (of all styles), sequences or phones that it is a mean of."""

    metric: Metric
    unit: str
    value: float
    clip_mean: float
    low: float
    high: float
    sequences: int
    frames: int
    count: int


@dataclass(frozen=True)
class ClassFigure:
    """LVE while the phones of a class are spoken, with its 95 % interval over sequences. frames: of all styles."""

    name: str
    value: float
    low: float
    high: float
    frames: int
    phones: int


@dataclass
class PartResult:
    """One dataset. facts: what was measured; differences: what is not as the protocol says; maps: (V,) arrays for plots;
    kept: what else plots need, where it was asked for."""

    name: str
    unit: str
    facts: dict[str, Any]
    masks: dict[str, MaskUsed]
    sequences: list[Sequence]
    differences: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    seed: int = 0
    kept: Kept | None = None

    def figures(self) -> list[Figure]:
        """Every figure that there is data for, in the registry's order."""
        drawn = draws(len(self.sequences), self.seed)
        found = []
        for metric in METRICS:
            having = [i for i, one in enumerate(self.sequences) if metric.sums in one.sums]
            if not having:
                continue
            ours = [self.sequences[i] for i in having]
            rows = np.stack([one.sums[metric.sums] for one in ours])
            used = drawn[:, having] if len(having) < len(self.sequences) else drawn
            alone = metric.fold(rows)
            low, high = interval(rows, metric.fold, used)
            known = alone[np.isfinite(alone)]
            value = float(metric.fold(rows.sum(0)))
            mean = float(known.mean()) if len(known) else math.nan
            mean = value if metric.pooling == "clips" else mean
            if math.isfinite(value):
                counts = len(ours), sum(one.frames for one in ours), _count(metric, ours, rows)
                found.append(Figure(metric, self.unit_of(metric), value, mean, low, high, *counts))
        return found

    def phone_classes(self) -> list[ClassFigure]:
        """LVE by what is spoken, in the order of CLASSES; empty without phones or words that tell some."""
        drawn = draws(len(self.sequences), self.seed)
        found = []
        for name in CLASSES:
            having = [i for i, one in enumerate(self.sequences) if SUMS + name in one.sums]
            if having:
                rows = np.stack([self.sequences[i].sums[SUMS + name] for i in having])
                low, high = interval(rows, ratio, drawn[:, having])
                total = rows.sum(0)
                counts = round(float(total[1])), round(float(total[2]))
                found.append(ClassFigure(name, float(ratio(total)), low, high, *counts))
        return found

    def unit_of(self, metric: Metric) -> str:
        """The metric's unit in words."""
        return metric.unit.format(u=self.unit)

    def mask_of(self, metric: Metric) -> MaskUsed | None:
        """The mask of a metric, None for all vertices and for numbers."""
        return self.masks.get(metric.region)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "name": self.name,
            "facts": self.facts,
            "masks": {name: vars(mask) for name, mask in self.masks.items()},
            "metrics": {figure.metric.name: self._entry(figure) for figure in self.figures()},
            "lve_by_phones": {one.name: self._while(one) for one in self.phone_classes()},
            "differences": self.differences,
            "problems": self.problems,
        }

    def _while(self, figure: ClassFigure) -> dict[str, Any]:
        span = [figure.low, figure.high] if math.isfinite(figure.low) else None
        counts = {"frames": figure.frames, "phones": figure.phones}
        return {"value": figure.value, "unit": f"{self.unit}²", "interval": span, **counts}

    def _entry(self, figure: Figure) -> dict[str, Any]:
        mask, metric = self.mask_of(figure.metric), figure.metric
        single = not math.isfinite(figure.low)
        return {
            "value": figure.value,
            "unit": figure.unit,
            "interval": None if single else [figure.low, figure.high],
            "clip_mean": figure.clip_mean,
            "frames": figure.frames,
            "sequences": figure.sequences,
            "count": figure.count,
            "pooling": metric.pooling,
            "mask": metric.region or "all",
            "mask_vertices": mask.vertices if mask else None,
            "mask_sha256": mask.sha256 if mask else None,
            "formula": metric.formula,
            "source": metric.source,
        }


@dataclass
class Result:
    """An evaluation by a protocol. about: the model or the predictions; notes: what was decided on the way; datasets: why
    some datasets are in no part."""

    protocol: Protocol
    about: dict[str, Any]
    parts: list[PartResult]
    notes: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """All that was left out because it is missing or broken."""
        return [*self.datasets, *(line for part in self.parts for line in part.problems)]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able. `metrics` stands at the top as well where there is one dataset."""
        told = {
            "format": "unitalker.evaluation",
            "version": 1,
            "protocol": self.protocol.name,
            "about": self.protocol.about,
            "source": self.protocol.source,
            "pooling": self.protocol.pooling,
            "intervals": f"{LEVEL:.0%} percentile bootstrap over sequences, {RESAMPLES} resamples, seed {self.parts[0].seed}",
            "predictions": self.about,
            "notes": self.notes,
            "problems": self.datasets,
            "parts": [part.to_dict() for part in self.parts],
        }
        if len(self.parts) == 1 and not self.datasets:
            told["metrics"] = told["parts"][0]["metrics"]
        return told

    def to_json(self) -> str:
        """As JSON text; figures that are no numbers are null."""
        return json.dumps(_finite(self.to_dict()), indent=1, ensure_ascii=False, allow_nan=False)

    def to_csv(self) -> str:
        """One row a sequence: its own figures, with units in the head."""
        units = {m.name: {part.unit_of(m) for part in self.parts} for m in METRICS}
        heads = [f"{n} [{next(iter(u))}]" if len(u) == 1 else n for n, u in units.items()]
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["part", "sequence", "subject", "styles", "unit", "frames", *heads])
        for part in self.parts:
            for one in part.sequences:
                row = [part.name, one.id, one.subject, " ".join(one.styles), part.unit, one.frames]
                table.writerow([*row, *(_cell(metric, one.sums) for metric in METRICS)])
        return out.getvalue()

    def text(self) -> str:
        """For people to read: a table for each part, its masks, and every difference."""
        lines = [f"{self.protocol.name}: {self.protocol.about}", f"source: {self.protocol.source}"]
        lines += [f"{key}: {value}" for key, value in self.about.items()]
        for part in self.parts:
            lines += ["", *_told(part)]
        lines += ["", f"Pooling: {self.protocol.pooling}."]
        lines += self.notes
        lines += [f"left out: {line}" for line in self.datasets]
        return "\n".join(lines)


def _told(part: PartResult) -> Iterator[str]:
    """Lines of one part."""
    facts = part.facts
    yield f"{part.name}: {facts['dataset']}, split {facts['split']}, predicted as {facts['identity']}"
    yield f"  {facts['vertices']}; {facts['fps']:g} fps; unit: {facts['unit']}"
    yield f"  {_counted('sequences', facts)}, {_counted('frames', facts)}"
    for name, mask in part.masks.items():
        yield f"  mask {name}: {mask.vertices} vertices, SHA-256 {mask.sha256}, from {mask.source}"
    yield f"  {'figure':<32} {'value':>11}  {'95 % interval':<25} {'clip mean':>11}  unit"
    for one in part.figures():
        span = f"{one.low:.4g} … {one.high:.4g}" if math.isfinite(one.low) else "one sequence"
        yield f"  {one.metric.title:<32} {one.value:>11.5g}  {span:<25} {one.clip_mean:>11.5g}  {one.unit}"
    for line in part.differences:
        yield f"  differs: {line}"
    for line in part.problems:
        yield f"  left out: {line}"


def _count(metric: Metric, sequences: list[Sequence], rows: np.ndarray) -> int:
    """What a figure of these sequences, with these sums (S, k), is a mean of."""
    if metric.pooling == "correlation" or metric.sums == "over_rest":
        return sum(one.frames * len(one.styles) for one in sequences)
    return round(float(rows[:, 1].sum()))


def _counted(what: str, facts: Mapping[str, Any]) -> str:
    due = facts[f"expected_{what}"]
    return f"{what}: {facts[what]}" + ("" if due is None else f" ({facts['expected_by']}: {due})")


def _cell(metric: Metric, sums: Mapping[str, np.ndarray]) -> str:
    if metric.sums not in sums:
        return ""
    value = float(metric.fold(sums[metric.sums]))
    return repr(value) if math.isfinite(value) else ""


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
