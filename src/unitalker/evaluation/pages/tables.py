"""What is read on the page of an evaluation: what was measured, what differs from the protocol, figures, sequences, masks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from unitalker.evaluation.bootstrap import LEVEL, RESAMPLES
from unitalker.evaluation.metrics.registry import METRICS, Metric
from unitalker.evaluation.pages.markup import element, number, plain, table
from unitalker.evaluation.protocols.result import Figure, PartResult, Result
from unitalker.evaluation.protocols.result import Sequence as Row

HEADLINE = ("lve", "lve_over_rest", "mve", "ufve", "fdd", "opening_r", "closure")
BY_SEQUENCE = (
    "lve", "lve_over_rest", "mve", "ufve", "fdd", "mod", "opening_r", "opening_lag_ms", "jaw_r", "closure",
)  # fmt: skip
MOST_LINES = 6
"""Notes and things left out that are told at once; the others unfold. Differences from the protocol are all told."""
BARE = ("r", "ratio", "share")
"""Units that are told by a column's title."""
SURE = f"{100 * LEVEL:g} %"
MOST_ROWS = 2000
"""Sequences that are listed, the worst by LVE; all stand in the CSV file."""


def head(result: Result) -> str:
    """What was evaluated and how; all that is not as the protocol says, before any figure."""
    told = {
        **{key.replace("_", " "): value for key, value in result.about.items()},
        "protocol": f"{result.protocol.name}: {result.protocol.about}",
        "source": result.protocol.source,
        "pooling": result.protocol.pooling,
        "intervals": f"{SURE}, {RESAMPLES} resamples of whole sequences, seed {result.parts[0].seed}",
    }
    several = len(result.parts) > 1
    differ = [(part.name if several else "", line) for part in result.parts for line in part.differences]
    gone = [("", line) for line in result.datasets]
    gone += [(part.name if several else "", line) for part in result.parts for line in part.problems]
    return "\n".join(
        (
            _pairs(told),
            _notice("differs", f"Not as the protocol {result.protocol.name} says", differ),
            _notice("gone", "Left out", gone),
            "" if differ or gone else element("p", "Nothing differs from the protocol.", "agrees"),
            _notice("notes", "Decided on the way", [("", line) for line in result.notes]),
        )
    )


def _pairs(told: dict[str, object], kind: str = "") -> str:
    rows = (
        element("div", element("dt", plain(key)) + element("dd", plain(one))) for key, one in told.items()
    )
    return element("dl", "".join(rows), kind)


def _notice(kind: str, title: str, lines: Sequence[tuple[str, str]]) -> str:
    if not lines:
        return ""
    items = [
        element("li", (element("b", plain(who)) + " " if who else "") + plain(line)) for who, line in lines
    ]
    most = len(items) if kind == "differs" or len(items) <= MOST_LINES + 1 else MOST_LINES
    told = element("h3", plain(title)) + element("ul", "".join(items[:most]))
    if more := items[most:]:
        told += element("details", element("summary", f"{len(more)} more") + element("ul", "".join(more)))
    return element("div", told, f"notice {kind}")


def facts(part: PartResult) -> str:
    """Dataset, split, counts beside the published ones, identity, unit."""
    told = dict(part.facts)
    for what in ("sequences", "frames"):
        due = told.pop(f"expected_{what}", None)
        if due is not None:
            told[what] = f"{told[what]} ({told['expected_by']}: {due})"
    told.pop("expected_by", None)
    shown = {key: f"{value:g}" if isinstance(value, float) else value for key, value in told.items()}
    return _pairs({key: value for key, value in shown.items() if value is not None}, "facts")


def headline(part: PartResult) -> str:
    """The figures that are looked at first, large."""
    found = {figure.metric.name: figure for figure in part.figures()}
    cards = []
    for name in HEADLINE:
        if figure := found.get(name):
            value = element("strong", number(figure.value, 4)) + " " + element("span", plain(figure.unit))
            cards.append(
                element(
                    "div",
                    element("h4", plain(figure.metric.title)) + value + element("p", _span(figure)),
                    "card",
                )
            )
    return element("div", "".join(cards), "cards")


def _span(figure: Figure, digits: int = 4) -> str:
    if not math.isfinite(figure.low):
        return "one sequence"
    return f"{number(figure.low, digits)} … {number(figure.high, digits)}"


def figures(part: PartResult) -> str:
    """Every figure with its interval; its formula, source and mask unfold at its name."""
    heads = [element("th", one) for one in ("figure", "value", f"{SURE} interval", "clip mean")]
    heads += [element("th", one, "words") for one in ("unit", "better", "of")]
    rows = [_figure_row(part, figure) for figure in part.figures()]
    return element("h3", "Figures") + table(heads, rows, "figures")


def _figure_row(part: PartResult, figure: Figure) -> str:
    metric, mask = figure.metric, part.mask_of(figure.metric)
    where = (
        f"{metric.region}, {mask.vertices} vertices, SHA-256 {mask.sha256[:12]}…" if mask else "all vertices"
    )
    if metric.region and not mask:
        where = metric.region
    about = "".join(
        element("p", element("b", key) + " " + plain(text))
        for key, text in (("formula", metric.formula), ("measured on", where), ("source", metric.source))
    )
    name = element("details", element("summary", plain(metric.title)) + about, title=metric.formula)
    counted = {"clips": "sequence", "phones": "phone"}.get(metric.pooling, "frame")
    counted += "" if figure.count == 1 else "s"
    cells = (
        element("th", name, scope="row"),
        element("td", number(figure.value), data_value=repr(figure.value)),
        element("td", _span(figure)),
        element("td", number(figure.clip_mean)),
        element("td", plain(figure.unit), "words"),
        element("td", plain(metric.better), "words"),
        element("td", f"{figure.count} {counted}", "words"),
    )
    return element("tr", "".join(cells), data_metric=metric.name)


def sequences(part: PartResult) -> str:
    """One row a sequence, worst first; a click on a head sorts by it."""
    there = [
        m for m in METRICS if m.name in BY_SEQUENCE and any(m.sums in one.sums for one in part.sequences)
    ]
    listed = sorted(part.sequences, key=lambda one: -_first(one, there))
    units = ("" if m.unit in BARE else f", {part.unit_of(m)}" for m in there)
    heads = ["sequence", "subject", "frames", *(m.title + unit for m, unit in zip(there, units, strict=True))]
    told = (
        element("th", element("button", plain(one), type="button"), "words" if one == "subject" else "")
        for one in heads
    )
    rows = (_sequence_row(one, there) for one in listed[:MOST_ROWS])
    lost = len(listed) - MOST_ROWS
    more = element("p", f"{lost} more are in the file of --csv.", "small") if lost > 0 else ""
    title = element("h3", f"Sequences ({len(listed)}), worst first; click a column’s head to sort")
    return title + table(told, rows, "sortable") + more


def _first(one: Row, metrics: Iterable[Metric]) -> float:
    """What sequences are sorted by: the first figure there is, -inf without it."""
    metric = next(iter(metrics), None)
    value = float(metric.fold(one.sums[metric.sums])) if metric and metric.sums in one.sums else -math.inf
    return value if math.isfinite(value) else -math.inf


def _sequence_row(one: Row, metrics: Sequence[Metric]) -> str:
    cells = [element("th", plain(one.id), scope="row", data_value=one.id)]
    cells += [element("td", plain(one.subject), "words", data_value=one.subject)]
    cells += [element("td", str(one.frames), data_value=one.frames)]
    for metric in metrics:
        value = float(metric.fold(one.sums[metric.sums])) if metric.sums in one.sums else math.nan
        cells.append(element("td", number(value, 4), data_value=repr(value) if math.isfinite(value) else ""))
    return element("tr", "".join(cells))


def masks(part: PartResult) -> str:
    """Which vertices were measured."""
    rows = (
        element(
            "tr",
            element("th", plain(name), scope="row")
            + element("td", str(mask.vertices))
            + element("td", element("code", plain(mask.sha256)), "words")
            + element("td", plain(mask.source), "words"),
        )
        for name, mask in part.masks.items()
    )
    heads = [element("th", "region"), element("th", "vertices")]
    heads += [element("th", one, "words") for one in ("SHA-256 of their numbers", "from")]
    return element("h3", "Masks") + table(heads, rows) if part.masks else ""
