"""Curves of runs as pictures, in the look of all charts; they need matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unitalker.evaluation.plots.canvas import Canvas, literal, styled
from unitalker.evaluation.plots.charts import SERIES

FEW = 12
"""Points that are still marked one by one."""


@dataclass(frozen=True)
class Curve:
    """A line by its label and points. dashed: drawn so."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One plot: title, what its axes are, its lines. doublings: the x axis is a scale of doublings; rising: y is
    logarithmic."""

    title: str
    across: str
    up: str
    lines: Sequence[Curve]
    doublings: bool = False
    rising: bool = False


@styled
def panels(shown: Sequence[Panel], columns: int = 2) -> Canvas:
    """The panels on one sheet."""
    wide = min(columns, len(shown))
    high = -(-len(shown) // wide)
    canvas = Canvas(4.6 * wide, 3.1 * high, high, wide)
    for axes in canvas.axes[len(shown) :]:
        axes.set_visible(False)
    for axes, panel in zip(canvas.axes, shown, strict=False):
        for number, line in enumerate(panel.lines):
            axes.plot(
                list(line.x),
                list(line.y),
                color=SERIES[number // 2 % len(SERIES)]
                if any(one.dashed for one in panel.lines)
                else SERIES[number % len(SERIES)],
                linestyle="--" if line.dashed else "-",
                marker="o" if len(line.x) < FEW else "",
                markersize=4,
                label=literal(line.label),
            )
        if panel.doublings:
            ticks = sorted({x for line in panel.lines for x in line.x})
            axes.set_xscale("log", base=2)
            axes.set_xticks(ticks, [f"{one:g}" for one in ticks])
            axes.minorticks_off()
        if panel.rising:
            axes.set_yscale("log")
        axes.set(title=literal(panel.title), xlabel=panel.across, ylabel=panel.up)
        if panel.lines:
            axes.legend()
    return canvas
