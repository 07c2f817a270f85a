"""Charts of plain arrays: the mouth's opening over time, histograms, figures by what is spoken, data efficiency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from unitalker.errors import DataError
from unitalker.evaluation.metrics.phones import BILABIALS, LABIODENTALS, OPEN, SILENCE, Timed, phone_class
from unitalker.evaluation.plots.canvas import AMBER, BLUE, GREY, INK, RED, TEAL, Canvas, literal, styled

SHOWN_S = 6.0
"""Seconds of a clip that are drawn: of a longer one those in which the captured mouth moves most."""
LETTER = 0.0065
"""Share of a chart's width that a letter of what is spoken takes; what has less room is not written."""
SERIES = (RED, BLUE, TEAL, AMBER, GREY)
_MARKED = {BILABIALS: AMBER, LABIODENTALS: TEAL, OPEN: BLUE}
_SOUND = "#8a8f98"


@dataclass(frozen=True)
class Opening:
    """The mouth's opening in one sequence. truth: (T,); predictions: name → (T,), or (S, T) for S styles; unit of both.

    spoken: (start s, end s, symbol) of phones, or of words where `words` is set. loudness: (T,), of any scale, or None.
    """

    fps: float
    unit: str
    truth: np.ndarray
    predictions: Mapping[str, np.ndarray]
    spoken: Timed = ()
    words: bool = False
    loudness: np.ndarray | None = None


def busiest(curve: np.ndarray, length: int) -> int:
    """First frame of the `length` frames in which a curve (T,) deviates most from their mean; 0 for a short curve."""
    if len(curve) <= length:
        return 0
    sums = np.cumsum([np.zeros(len(curve) + 1), np.zeros(len(curve) + 1)], axis=1)
    away = np.asarray(curve, np.float64) - np.mean(curve)
    sums[:, 1:] = np.cumsum([away, np.square(away)], axis=1)
    total, squares = sums[:, length:] - sums[:, :-length]
    return int(np.argmax(squares - np.square(total) / length))


@styled
def openings(shown: Opening, seconds: float = SHOWN_S) -> Canvas:
    """The opening against truth, what is spoken under it and loudness behind. Raises DataError for unequal lengths."""
    count = len(shown.truth)
    length = max(1, min(count, round(seconds * shown.fps)))
    first = busiest(shown.truth, length)
    part = slice(first, first + length)
    times = np.arange(first, first + length) / shown.fps
    canvas = Canvas(
        9.2, 2.5 if shown.spoken else 2.1, 2 if shown.spoken else 1, 1, (9, 2) if shown.spoken else None
    )
    axes = canvas.axes[0]
    top = max(float(np.max(one)) for one in (shown.truth, *shown.predictions.values()))
    if shown.loudness is not None and (peak := float(np.max(shown.loudness, initial=0))) > 0:
        loud = np.asarray(shown.loudness)[part] / peak * top
        axes.fill_between(times, 0, loud, color=_SOUND, alpha=0.22, linewidth=0, label="loudness")
    axes.plot(times, shown.truth[part], color=INK, linewidth=1.4, label="truth")
    for (name, curve), colour in zip(shown.predictions.items(), cycle(SERIES), strict=False):
        rows = np.atleast_2d(curve)
        if rows.shape[1] != count:
            raise DataError(f"The truth has {count} frames, {name} {rows.shape[1]}; cut them to the same.")
        if len(rows) > 1:
            axes.fill_between(
                times, rows.min(0)[part], rows.max(0)[part], color=colour, alpha=0.2, linewidth=0
            )
        label = name if len(rows) == 1 else f"{name}, mean of {len(rows)} styles"
        axes.plot(times, rows.mean(0)[part], color=colour, linewidth=1.4, label=literal(label))
    axes.set(
        ylabel=f"opening, {shown.unit}",
        xlim=(times[0], times[0] + length / shown.fps),
        ylim=(0, 1.05 * top or 1),
    )
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    if shown.spoken:
        axes.tick_params(labelbottom=False)
        _spoken(canvas, shown, axes.get_xlim())
    canvas.axes[-1].set_xlabel("seconds")
    return canvas


def _spoken(canvas: Canvas, shown: Opening, span: tuple[float, float]) -> None:
    """A strip of what is spoken, with the sounds that ask most of the lips in colour."""
    strip = canvas.axes[1]
    strip.set(xlim=span, ylim=(0, 1), yticks=[])
    strip.spines["left"].set_visible(False)
    for start, end, symbol in shown.spoken:
        kind = "" if shown.words else phone_class(symbol)
        if kind == SILENCE or end <= span[0] or start >= span[1]:
            continue
        strip.axvspan(
            start, end, color=_MARKED.get(kind, GREY), alpha=0.45 if kind in _MARKED else 0.15, linewidth=0
        )
        if kind in _MARKED:
            canvas.axes[0].axvspan(start, end, color=_MARKED[kind], alpha=0.12, linewidth=0)
        first, last = max(start, span[0]), min(end, span[1])
        if last - first > LETTER * len(symbol) * (span[1] - span[0]):
            canvas.text(strip, (first + last) / 2, 0.5, symbol, ha="center", va="center", fontsize=7.5)


@styled
def histograms(columns: Mapping[str, np.ndarray], marks: Mapping[str, float] | None = None) -> Canvas:
    """Histograms side by side. columns: title with unit → (N,) one figure a sequence; marks: title → a line."""
    canvas = Canvas(9.2, 1.9, 1, max(len(columns), 1))
    for axes, (title, values) in zip(canvas.axes, columns.items(), strict=False):
        known = np.asarray(values, float)[np.isfinite(values)]
        axes.hist(known, bins=bins(known).tolist(), color=BLUE, alpha=0.75)
        if marks and np.isfinite(marks.get(title, np.nan)):
            axes.axvline(marks[title], color=RED, linewidth=1.4)
        axes.set(title=title)
        axes.locator_params(axis="y", integer=True, nbins=4)
        axes.locator_params(axis="x", nbins=4)
    canvas.axes[0].set_ylabel("sequences")
    return canvas


def bins(values: np.ndarray) -> np.ndarray:
    """Edges of even bins, about √N of them, over the values' range."""
    low, high = (float(np.min(values)), float(np.max(values))) if len(values) else (0.0, 1.0)
    high = high if high > low else low + max(abs(low), 1.0) * 0.1
    return np.linspace(low, high, int(np.clip(round(np.sqrt(len(values))), 3, 30)) + 1)


@dataclass(frozen=True)
class Bar:
    """One bar: its value, the interval (NaN where there is none), and what is written beside it."""

    name: str
    value: float
    low: float
    high: float
    note: str = ""


@styled
def bars(rows: Sequence[Bar], label: str) -> Canvas:
    """Horizontal bars with intervals, the first on top. label: what the values are, with the unit."""
    canvas = Canvas(9.2, 0.5 + 0.3 * len(rows))
    axes, place = canvas.axes[0], np.arange(len(rows))[::-1]
    values = np.array([row.value for row in rows])
    ends = np.array([[row.low, row.high] for row in rows])
    axes.barh(place, values, height=0.62, color=[_MARKED.get(row.name, GREY) for row in rows], alpha=0.75)
    known = np.isfinite(ends).all(1)
    reach = np.abs(ends[known].T - values[known])
    axes.errorbar(values[known], place[known], xerr=reach, fmt="none", ecolor=INK, elinewidth=1, capsize=2.5)
    right = float(np.nanmax(np.concatenate([values, ends.reshape(-1)]), initial=0)) or 1.0
    for at, row in zip(place, rows, strict=True):
        canvas.text(axes, 1.02 * right, at, row.note, va="center", fontsize=8, color=GREY)
    axes.set_yticks(place, [row.name for row in rows])
    axes.set(xlabel=label, xlim=(0, 1.18 * right))
    axes.tick_params(axis="y", length=0)
    return canvas


@styled
def efficiency(
    amount: Sequence[float],
    errors: Mapping[str, Sequence[float]],
    label: str,
    amount_label: str = "share of the training data",
    rest: float | None = None,
) -> Canvas:
    """Errors over the amount of data, on a scale of doublings, as the paper's Fig. 4. errors: name → one a point; rest: a
    resting face's. Raises DataError for unequal numbers of points or an amount that is not above 0."""
    canvas = Canvas(5.2, 3.2)
    axes, order = canvas.axes[0], np.argsort(amount)
    x = np.asarray(amount, float)[order]
    if not len(x) or x[0] <= 0:
        raise DataError(f"Amounts of data must be above 0, not {list(amount)}.")
    for (name, values), colour in zip(errors.items(), cycle(SERIES), strict=False):
        if len(values) != len(x):
            raise DataError(f"{name} has {len(values)} points, the amounts of data are {len(x)}.")
        axes.plot(
            x, np.asarray(values, float)[order], color=colour, marker="o", markersize=4, label=literal(name)
        )
    if rest is not None:
        axes.axhline(rest, color=GREY, linestyle="--", linewidth=1, label="a resting face")
    axes.set_xscale("log", base=2)
    axes.set_xticks(x, [f"{one:g}" for one in x])
    axes.set(xlabel=amount_label, ylabel=label, ylim=(0, None))
    axes.minorticks_off()
    axes.legend()
    return canvas
