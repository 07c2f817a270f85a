"""What each table of the paper is: its rows as runs, its columns as datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unitalker.evaluation.published import PUBLISHED
from unitalker.training.paper.grid import Grid, cell
from unitalker.training.paper.lab import Lab, Run
from unitalker.training.paper.scales import Tree

FACTORS = {"D0": 1e4, "D1": 1e6, "D2": 1e6}
"""What a dataset's LVE is multiplied by in print, so that it reads as the paper's does (Tab. 5); others as they are."""


def whole(lab: Lab, name: str = "all", model: Tree | None = None, sets: Sequence[str] | None = None) -> Run:
    """The run on all datasets (or on `sets`), with a model's settings over the base."""
    return Run(name, tuple(lab.bench if sets is None else sets), laid(lab.scale.large, model))


def laid(base: Tree, changes: Tree | None) -> Tree:
    """Settings of a size with a table's on top."""
    from unitalker.training.paper.lab import laid_over

    return laid_over(base, changes or {})


def single(lab: Lab, name: str) -> Run:
    """The run on one dataset."""
    return Run(f"only-{name}", (name,), lab.scale.large)


def by_set(lab: Lab, table: str, rows: Mapping[str, Mapping[str, Run]], identity: str | None = None) -> Grid:
    """A table of LVE: label → dataset → the run that is measured on it."""
    columns = tuple(name for name in lab.bench if any(name in runs for runs in rows.values()))
    grid = Grid(table, PUBLISHED[table].title, columns)
    for label, runs in rows.items():
        grid.rows[label] = {
            name: cell(lab.values(plan, name, "lve", identity), table, label, name, FACTORS.get(name, 1.0))
            for name, plan in runs.items()
            if name in columns
        }
    grid.notes.append(f"Paper's figures in brackets: {PUBLISHED[table].unit}.")
    return grid


def table5(lab: Lab) -> Grid:
    """Models of one dataset, of all, and fine-tuned on each."""
    every = whole(lab)
    tuned = {n: Run(f"tuned-{n}", (n,), start=every) for n in lab.bench}
    rows = {
        "L-[D*]": {n: single(lab, n) for n in lab.bench},
        "L-[D0-D7]": dict.fromkeys(lab.bench, every),
        "L-FT": tuned,
    }
    return by_set(lab, "table5", rows)


def table6(lab: Lab) -> Grid:
    """Audio encoders."""
    runs = {
        name: whole(lab, f"encoder-{name}", {"encoder": lab.scale.encoders[name], "grid": "aligned_corners"})
        for name in PUBLISHED["table6"].rows
    }
    return by_set(lab, "table6", {name: dict.fromkeys(lab.bench, run) for name, run in runs.items()})


def table7(lab: Lab) -> Grid:
    """Motion decoders: TCN and transformer, both of 3 layers."""
    width = lab.scale.large["decoder"].get("width", 256)
    other = {"decoder": {"kind": "transformer", "width": width}}
    rows = {"TCN": whole(lab), "Transformer": whole(lab, "decoder-transformer", other)}
    return by_set(lab, "table7", {label: dict.fromkeys(lab.bench, run) for label, run in rows.items()})


def table9(lab: Lab) -> Grid:
    """Places of the frequency adaptor: before the encoder's transformer, behind it."""
    name = "wav2vec2-large-xlsr-53"
    encoder = {"encoder": lab.scale.encoders[name], "grid": "aligned_corners"}
    rows = {
        "Pos-0": whole(lab, "adaptor-before", encoder | {"adaptor": "before_transformer"}),
        "Pos-1": whole(lab, f"encoder-{name}", encoder),
    }
    return by_set(lab, "table9", {label: dict.fromkeys(lab.bench, run) for label, run in rows.items()})


def table11(lab: Lab) -> Grid:
    """Hard datasets left out of training or not, animated as the pivot."""
    bench = lab.bench
    rows = {}
    for target, before, after in (("D4", "D3", "D4"), ("D7", "D6", "D7")):
        if target not in bench:
            continue
        for last in (before, after):
            sets = tuple(n for n in bench if n <= last)
            run = whole(lab) if sets == bench else whole(lab, f"up-to-{last}", sets=sets)
            rows[f"UniTalker-[D0-{last}]"] = {target: run}
    return by_set(lab, "table11", rows, "pivot")


TABLES = {"table5": table5, "table6": table6, "table7": table7, "table9": table9, "table11": table11}
"""Command → what makes its table."""
