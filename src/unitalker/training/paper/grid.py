"""A table of figures with the paper's beside them, as Markdown and as JSON."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from unitalker.evaluation.published import PUBLISHED, Published


@dataclass(frozen=True)
class Cell:
    """One figure. values: of every seed; paper: the paper's, None where it has none. factor: of our values when they are
    printed, so that they read in the paper's unit."""

    values: tuple[float, ...]
    paper: float | None = None
    factor: float = 1.0

    def text(self) -> str:
        """ "mean ± standard deviation (paper)"."""
        if not self.values:
            return "–" if self.paper is None else f"– ({self.paper:g})"
        mean = self.factor * statistics.fmean(self.values)
        spread = f" ± {_digits(self.factor * statistics.stdev(self.values))}" if len(self.values) > 1 else ""
        return f"{_digits(mean)}{spread}" + ("" if self.paper is None else f" ({self.paper:g})")


@dataclass
class Grid:
    """A table. name: the command. rows: label → cells by column. best: "lower" or "higher", marks the best of a column."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: dict[str, dict[str, Cell]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The table with its notes; the paper's figures in brackets."""
        lines = [
            f"## {self.title}",
            "",
            f"| | {' | '.join(self.columns)} |",
            "|---" * (len(self.columns) + 1) + "|",
        ]
        for label, cells in self.rows.items():
            texts = [self._marked(label, column, cells.get(column)) for column in self.columns]
            lines.append(f"| {label} | {' | '.join(texts)} |")
        return "\n".join([*lines, "", *[f"- {note}" for note in self.notes]])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        rows = {label: {c: asdict(cell) for c, cell in cells.items()} for label, cells in self.rows.items()}
        return {"format": "unitalker.bench", "version": 1, "name": self.name, "title": self.title, "rows": rows} | {
            "columns": list(self.columns), "notes": self.notes
        }  # fmt: skip

    def _marked(self, label: str, column: str, cell: Cell | None) -> str:
        """A cell's text, bold where its mean is the lowest of its column."""
        if cell is None:
            return ""
        means = [
            statistics.fmean(c[column].values) for c in self.rows.values() if column in c and c[column].values
        ]
        lowest = len(means) > 1 and cell.values and statistics.fmean(cell.values) == min(means)
        return f"**{cell.text()}**" if lowest else cell.text()


def cell(values: Sequence[float], table: str, row: str, column: str, factor: float = 1.0) -> Cell:
    """A figure with the paper's of a table, row and column beside it, where there is one."""
    found: Published | None = PUBLISHED.get(table)
    return Cell(tuple(values), None if found is None else found.at(row, column), factor)


def _digits(value: float) -> str:
    """Four digits that matter."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    return f"{value:.4g}"
