"""Tables of figures with the paper's beside them, and the report that they make, as Markdown and as JSON."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unitalker.evaluation.published import PUBLISHED

ASIDE = "The paper's figures do not compare with these: other recordings, faces or sizes. They are:"
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
DRAWN = Callable[[Path], None]
"""Draws a plot into a file."""


@dataclass(frozen=True)
class Cell:
    """One figure. values: of every seed, as printed; unit: theirs. paper: the paper's, None where it has none; comparable:
    whether the two compare, being of the same data, faces and sizes."""

    values: tuple[float, ...]
    unit: str = ""
    paper: float | None = None
    comparable: bool = True

    @property
    def mean(self) -> float:
        """Over seeds; NaN for none."""
        return statistics.fmean(self.values) if self.values else math.nan

    def text(self) -> str:
        """ "mean ± standard deviation (paper)"; the paper's is left out where it does not compare."""
        paper = "" if self.paper is None or not self.comparable else f" ({self.paper:g})"
        if not self.values:
            return f"–{paper}"
        if not math.isfinite(self.mean):
            return f"diverged{paper}"
        spread = f" ± {_digits(statistics.stdev(self.values))}" if len(self.values) > 1 else ""
        return f"{_digits(self.mean)}{spread}{paper}"


@dataclass
class Grid:
    """A table. title: over it, may be empty. rows: label → cells by column. marked: columns whose lowest figure is bold, None
    for all."""

    title: str
    columns: tuple[str, ...]
    rows: dict[str, dict[str, Cell]] = field(default_factory=dict)
    marked: tuple[str, ...] | None = None

    def markdown(self) -> str:
        """The table; units in its head, the paper's figures in brackets, or in a table below where they do not compare."""
        heads = [self._head(column) for column in self.columns]
        lines = [f"### {self.title}", ""] if self.title else []
        lines += [f"| | {' | '.join(heads)} |", "|---" * (len(self.columns) + 1) + "|"]
        for label, cells in self.rows.items():
            texts = [self._marked(column, cells.get(column)) for column in self.columns]
            lines.append(f"| {label} | {' | '.join(texts)} |")
        return "\n".join([*lines, *self._apart()])

    def _apart(self) -> list[str]:
        """Lines of the paper's figures that do not compare with ours, where there are any."""
        rows = {
            label: {c: one.paper for c, one in cells.items() if one.paper is not None and not one.comparable}
            for label, cells in self.rows.items()
        }
        columns = [column for column in self.columns if any(column in told for told in rows.values())]
        if not columns:
            return []
        lines = ["", ASIDE, "", f"| paper | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for label, told in rows.items():
            if told:
                texts = [f"{told[column]:g}" if column in told else "" for column in columns]
                lines.append(f"| {label} | {' | '.join(texts)} |")
        return lines

    def _head(self, column: str) -> str:
        units = {c[column].unit for c in self.rows.values() if column in c and c[column].unit}
        return f"{column}, {units.pop()}" if len(units) == 1 else column

    def _marked(self, column: str, cell: Cell | None) -> str:
        """A cell's text, bold where its mean is the lowest of its column."""
        if cell is None:
            return ""
        means = [c[column].mean for c in self.rows.values() if column in c and math.isfinite(c[column].mean)]
        wanted = self.marked is None or column in self.marked
        lowest = wanted and len(means) > 1 and cell.mean == min(means)
        return f"**{cell.text()}**" if lowest else cell.text()


@dataclass
class Report:
    """A table or figure of the paper. name: its command. notes: what to know about it. plots: file name → what draws it.
    texts: Markdown behind the tables. extra: more for the JSON file."""

    name: str
    title: str
    grids: list[Grid] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    plots: dict[str, DRAWN] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def markdown(self, head: Sequence[str], drawn: Sequence[str]) -> str:
        """The whole page. head: lines on data and sizes; drawn: names of the plots that were made."""
        parts = [f"# {self.title}", "\n".join(f"- {line}" for line in head)]
        parts += [grid.markdown() for grid in self.grids if grid.columns] + self.texts
        parts += [f"![{name}]({name})" for name in drawn]
        parts += ["\n".join(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n\n".join(parts) + "\n"

    def to_json(self, head: Sequence[str]) -> str:
        """Everything as JSON text; figures that are no numbers are null."""
        tree = {
            "format": "unitalker.bench",
            "version": 1,
            "name": self.name,
            "title": self.title,
            "about": list(head),
            "grids": [asdict(grid) for grid in self.grids],
            "notes": self.notes,
        }
        return json.dumps(_finite(tree | self.extra), indent=1, ensure_ascii=False, allow_nan=False)


def cell(
    found: Sequence[tuple[float, str]],
    table: str = "",
    row: str = "",
    column: str = "",
    factor: float = 1.0,
    comparable: bool = True,
) -> Cell:
    """A figure with the paper's of a table, row and column beside it, where there is one.

    found: value and unit for each seed; lengths in metres, or parts of them, are printed in metres times the factor.
    comparable: whether the two compare.
    """
    known = PUBLISHED.get(table)
    paper = None if known is None else known.at(row, column)
    if not found:
        return Cell((), "", paper, comparable)
    unit = next((unit for _, unit in found if unit), "")
    length, power = unit.rstrip("²"), 2 if unit.endswith("²") else 1
    size = METRES.get(length)
    if size is not None:
        length = "m"
    else:
        size = 1.0
    values = tuple(value * size**power * factor for value, _ in found)
    told = f"{1 / factor:.0e}".replace("e-0", "e-") if factor != 1 else ""
    shown = f"{told} {length}{'²' if power == 2 else ''}".strip() if unit else ""
    return Cell(values, shown, paper, comparable)


def plain(values: Sequence[float], table: str, row: str, column: str, comparable: bool) -> Cell:
    """A figure without unit, see `cell`."""
    known = PUBLISHED.get(table)
    return Cell(tuple(values), "", None if known is None else known.at(row, column), comparable)


def _digits(value: float) -> str:
    """Four digits that matter."""
    return f"{value:.4g}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
