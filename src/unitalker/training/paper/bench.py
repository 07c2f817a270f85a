"""Carrying a table out: first its runs are counted, then they are done, then it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import unitalker
from unitalker.config import TrainConfig
from unitalker.errors import ConfigError, UniTalkerError, unknown
from unitalker.evaluation.published import SETS
from unitalker.files import atomic
from unitalker.training.paper import ablated, compared, people, tables, transfer
from unitalker.training.paper.grid import Report
from unitalker.training.paper.lab import Lab, Wishes
from unitalker.training.paper.progress import Progress
from unitalker.training.paper.scales import Scale
from unitalker.training.paper.sets import TWIN, find_sets

Table = Callable[[Lab], Report]
TABLES: dict[str, Table] = {
    "table2": compared.table2,
    "table3": people.table3,
    "table4": transfer.table4,
    "table5": tables.table5,
    "table6": tables.table6,
    "table7": tables.table7,
    "table8": transfer.table8,
    "table9": tables.table9,
    "table10": compared.table10,
    "table11": tables.table11,
    "fig4": transfer.fig4,
    "fig5": ablated.fig5,
    "fig6": ablated.fig6,
}
"""Command → what makes its report."""
OURS = ("sources", "cards", "model", "seed", "pca", "freeze", "only_heads")
"""Settings that tables say themselves."""


def open_lab(
    data: Sequence[Path],
    out: Path,
    scale: Scale,
    seeds: Sequence[int],
    progress: Progress,
    wishes: Wishes | None = None,
) -> Lab:
    """The lab of a folder, with its datasets made ready. Raises DataError and ConfigError for what cannot be used."""
    for name in scale.changes:
        if name not in TrainConfig.model_fields or name in OURS:
            allowed = [key for key in TrainConfig.model_fields if key not in OURS]
            raise ConfigError(f"--set: {unknown('setting', name, allowed)}")
    return Lab(out, find_sets(data, out, scale.sizes, progress.say), scale, seeds, progress, wishes)


def about(lab: Lab) -> list[str]:
    """What a report begins with: how it was made, and of which data."""
    twins = any(one.kind == TWIN for one in lab.sets.values())
    changed = "".join(f", {key}={value}" for key, value in lab.scale.changes.items())
    seeds = f"{len(lab.seeds)} seeds" if len(lab.seeds) > 1 else "one seed"
    told = [
        f"Scale {lab.scale.about}",
        f"unitalker {unitalker.__version__}, {seeds} ({', '.join(map(str, lab.seeds))}){changed}.",
    ]
    if twins:
        told.append(
            "Synthetic twins have the paper's datasets' form, not their recordings: figures on them do not compare with the "
            "paper's."
        )
    if lab.bench != SETS:
        told.append(f"[D0-D7] stands for all datasets that are here: {', '.join(lab.bench)}.")
    return [*told, *(one.about for one in lab.sets.values())]


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """While a bench works in a folder. Raises ConfigError where another one does."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (out / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"Another bench works in {out}; wait for its end, or use another folder."
            ) from None
        yield


def carry_out(lab: Lab, tables: Mapping[str, Table]) -> list[Path]:
    """Make tables and write `<name>.md`, `<name>.json` and their plots into the lab's folder. Returns the Markdown files.

    Of several, one that cannot be made is told and the others are made all the same. Raises KeyboardInterrupt where it is
    asked to stop, what was trained and measured stays; the error of a single table.
    """
    planned: dict[str, Table] = {}
    for name, make in tables.items():
        with _told(lab, name, len(tables) == 1):
            make(lab)
            planned[name] = make
    lab.progress.start()
    head, written = about(lab), []
    for name, make in planned.items():
        begun = time.monotonic()
        lab.forget()
        with _told(lab, name, len(tables) == 1):
            report = make(lab)
            report.notes += lab.sentences()
            written.append(write(report, lab.out, head))
            lab.progress.say(f"{name}: {written[-1]}, {time.monotonic() - begun:.0f} s")
    return written


@contextmanager
def _told(lab: Lab, name: str, alone: bool) -> Iterator[None]:
    """While a table is made: what cannot be used becomes a line and an entry of `lab.failed`, unless the table is alone."""
    try:
        yield
    except UniTalkerError as fault:
        if alone:
            raise
        lab.failed[name] = str(fault)
        lab.progress.say(f"{name} could not be made: {fault}")


def write(report: Report, out: Path, head: Sequence[str]) -> Path:
    """Write a report's files; a plot that cannot be drawn becomes a note."""
    drawn = []
    for name, draw in report.plots.items():
        try:
            draw(out / name)
            drawn.append(name)
        except ConfigError as fault:
            if str(fault) not in report.notes:
                report.notes.append(str(fault))
    with atomic(out / f"{report.name}.json") as draft:
        draft.write_text(report.to_json(head) + "\n", encoding="utf-8")
    page = out / f"{report.name}.md"
    with atomic(page) as draft:
        draft.write_text(report.markdown(head, drawn), encoding="utf-8")
    return page
