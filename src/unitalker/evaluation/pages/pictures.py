"""What is looked at on the page of an evaluation: maps on the head, openings, histograms, figures by what is spoken."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from unitalker.annotations import builtin
from unitalker.annotations.flame import FlameModel
from unitalker.data.dataset import Clip
from unitalker.errors import DataError
from unitalker.evaluation.metrics.curves import loudness
from unitalker.evaluation.metrics.registry import METRICS, best_r, lag_ms, ratio
from unitalker.evaluation.pages.markup import element, number, picture, plain
from unitalker.evaluation.plots import charts
from unitalker.evaluation.plots.colours import STOPS, Scale
from unitalker.evaluation.plots.heads import Mesh, View
from unitalker.evaluation.protocols.kept import Kept
from unitalker.evaluation.protocols.result import PartResult, Sequence
from unitalker.rig import builtin_head

SIZE = 300
"""Pixels of a head, twice what a page shows on a sharp screen's half."""
OUTLINED = ("lips", "upper_face")
SPREAD = ("lve", "lve_over_rest", "mve", "mod", "fdd")


def mesh_of(kept: Kept, subject: str) -> Mesh | None:
    """The face that was measured, with the triangles that are known of it; None where its neutral face is not known."""
    face, neutral = kept.face, kept.face.neutral(subject)
    if neutral is None or face.rows is not None:
        return None
    triangles, axes = getattr(face.annotation, "faces", None), face.annotation.axes
    model = getattr(face.annotation, "model", None)
    if isinstance(model, FlameModel):
        triangles = model.faces
    elif kept.dataset.unit == "weight":
        head = builtin_head()
        place = np.full(len(head.vertices), -1)
        rows = builtin.face_rows(head)
        place[rows] = np.arange(len(rows))
        triangles = place[head.faces]
        triangles = triangles[(triangles >= 0).all(1)]
    return Mesh(neutral, triangles, axes, face.regions)


def maps(part: PartResult, name: str) -> str:
    """Velocity means, deviations and errors on the head, truth beside prediction on one scale."""
    mesh = mesh_of(part.kept, part.sequences[0].subject) if part.kept and part.maps else None
    if mesh is None:
        return ""
    view, found, unit = View(mesh, SIZE), part.maps, part.unit
    rows = [
        (
            f"Velocity, {word}",
            f"{unit}/s",
            {"truth": found[f"velocity_{key}_truth"], name: found[f"velocity_{key}_prediction"]},
        )
        for key, word in (("mean", "mean"), ("std", "standard deviation"))
    ]
    rows.append(("Mean error", unit, {name: found["error"]}))
    drawn = "".join(_map_row(view, *row) for row in rows)
    lines = ", ".join(one.replace("_", " ") for one in OUTLINED if one in mesh.regions)
    about = f"Each vertex over all {part.facts['frames']} frames; truth and prediction on one scale."
    about += f" Lines: {lines}." if lines else ""
    about += (
        ""
        if mesh.faces is not None
        else " No triangles of this mesh are known, so its vertices are drawn as points."
    )
    return element("h3", "Maps") + element("p", plain(about), "small") + element("div", drawn, "maps")


def _map_row(view: View, title: str, unit: str, shown: Mapping[str, np.ndarray]) -> str:
    scale = Scale.of(list(shown.values()))
    heads = "".join(
        element(
            "div",
            picture(view.draw(values, scale, OUTLINED), f"{title}, {label}") + element("p", plain(label)),
            "head",
        )
        for label, values in shown.items()
    )
    more = f" (largest {number(scale.largest, 3)})" if scale.cut else ""
    ends = "".join(
        element("span", plain(one)) for one in (number(scale.low, 3), number(scale.high, 3) + more)
    )
    ramp = element("div", "", "ramp", style=f"background: linear-gradient(to right, {', '.join(STOPS)})")
    legend = ramp + element("div", ends, "ends")
    return element(
        "figure", element("figcaption", plain(f"{title}, {unit}")) + element("div", heads, "heads") + legend
    )


def phone_classes(part: PartResult) -> str:
    """LVE while each class of phones is spoken."""
    found = part.phone_classes()
    if not found:
        return ""
    rows = [
        charts.Bar(one.name, one.value, one.low, one.high, f"{one.phones} phones, {one.frames} frames")
        for one in found
    ]
    chart = charts.bars(rows, f"LVE, {part.unit}²").svg()
    about = (
        "Mean over the frames in which a phone of the class is spoken; lines: 95 % intervals over sequences."
    )
    return (
        element("h3", "LVE by what is spoken")
        + element("p", about, "small")
        + element("figure", chart, "chart")
    )


def chosen(part: PartResult) -> list[tuple[str, Sequence]]:
    """The worst, the median and the best sequence by LVE, of those whose opening is known; fewer of few."""
    kept = part.kept
    known = [one for one in part.sequences if "lve" in one.sums and kept and one.id in kept.openings]
    ranked = sorted(known, key=lambda one: (-float(ratio(one.sums["lve"])), one.id))
    if not ranked:
        return []
    if len(ranked) == 1:
        return [("the only one", ranked[0])]
    taken = {len(ranked) // 2: "median", len(ranked) - 1: "best", 0: "worst"}
    return [(taken[place], ranked[place]) for place in sorted(taken)]


def openings(part: PartResult, name: str) -> str:
    """The mouth's opening of the worst, the median and the best sequence."""
    kept = part.kept
    shown = "".join(_opening(part, kept, word, one, name) for word, one in chosen(part) if kept)
    if not shown:
        return ""
    spoken = any(kept.clips[one.id].phones for _, one in chosen(part)) if kept else False
    marked = " Orange: p, b, m; green: f, v; blue: open vowels." if spoken else ""
    about = f"Distance between the inner lips' middles; grey behind: loudness.{marked}"
    return element("h3", "Mouth opening") + element("p", about, "small") + shown


def _opening(part: PartResult, kept: Kept, word: str, one: Sequence, name: str) -> str:
    clip, curves, fps = kept.clips[one.id], kept.openings[one.id], part.facts["fps"]
    spoken = clip.phones or clip.words
    heard = _loudness(kept, clip, curves.shape[1], fps)
    chart = charts.openings(
        charts.Opening(fps, part.unit, curves[0], {name: curves[1:]}, spoken, not clip.phones, heard)
    ).svg()
    lag, r = float(lag_ms(one.sums["opening"])), float(best_r(one.sums["opening"]))
    when = "late" if lag > 0 else "early"
    behind = f"{number(abs(lag), 3)} ms {when}" if lag else "no lag"
    length = curves.shape[1] / fps
    cut = f", the {charts.SHOWN_S:g} s of most motion of {length:.1f} s" if length > charts.SHOWN_S else ""
    value = number(float(ratio(one.sums["lve"])), 4)
    title = f"{word}: {one.id}{cut}. LVE {value} {part.unit}²; the opening's r {number(r, 3)} at {behind}."
    return element("figure", element("figcaption", plain(title)) + chart, "chart")


def _loudness(kept: Kept, clip: Clip, frames: int, fps: float) -> np.ndarray | None:
    """(frames,) loudness of a clip's sound, None where it cannot be read."""
    try:
        samples, rate = kept.dataset.sound(clip)
    except (DataError, OSError):
        return None
    mono = samples if samples.ndim == 1 else samples.mean(1)
    return loudness(mono, np.arange(frames) / fps, rate)


def spread(part: PartResult) -> str:
    """Histograms of sequences' own figures, the pooled value as a line."""
    if len(part.sequences) < 3:
        return ""
    pooled = {figure.metric.name: figure.value for figure in part.figures()}
    columns, marks = {}, {}
    for metric in METRICS:
        rows = [one.sums[metric.sums] for one in part.sequences if metric.sums in one.sums]
        if metric.name in SPREAD and rows and math.isfinite(pooled.get(metric.name, math.nan)):
            title = f"{metric.title}, {part.unit_of(metric)}"
            columns[title] = metric.fold(np.stack(rows))
            marks[title] = pooled[metric.name]
    if not columns:
        return ""
    about = "Each sequence's own figure; the line is the figure of all."
    chart = element("figure", charts.histograms(columns, marks).svg(), "chart")
    return element("h3", "Spread over sequences") + element("p", about, "small") + chart
