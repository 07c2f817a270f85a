"""What the parts of the model do, and what its motion looks like: the paper's Fig. 5 and 6."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from unitalker.training.paper.compared import systems, targets
from unitalker.training.paper.grid import Cell, Grid, Report
from unitalker.training.paper.lab import Lab
from unitalker.training.paper.maps import KEYS, draw_systems, draw_truth, load_maps
from unitalker.training.paper.plotting import Curve, Panel, panels
from unitalker.training.paper.runs import Run, laid_over
from unitalker.training.paper.scales import Tree
from unitalker.training.paper.tables import lve, whole

NO_PCA: Tree = {"pca": False}
NO_WARMUP: Tree = {"warmup_epochs": None, "warmup_steps": 0}
VARIANTS: dict[str, Tree] = {
    "PCA and warm-up": {},
    "without PCA": NO_PCA,
    "without warm-up": NO_WARMUP,
    "vanilla": {**NO_PCA, **NO_WARMUP},
}
NAMED = {"tcn": "TCN", "transformer": "transformer"}
SIZE = 260
"""Pixels of a head."""


def fig5(lab: Lab) -> Report:
    """PCA and warm-up by the decoder's kind and channels, on D0, on D1 and on both: four runs for each."""
    report = Report("fig5", "PCA, decoder warm-up and the decoder's channels")
    names = targets(lab)
    alone = [(name,) for name in names] if lab.scale.alone else []
    for sets in dict.fromkeys([*alone, names]):
        for kind in lab.scale.decoders:
            _variants(lab, report, sets, kind)
    report.notes += [
        "The paper prints curves without numbers: its vanilla model collapses in many settings, and the best number of channels "
        "differs by dataset; with PCA and warm-up all settings converge.",
        "Curves of training are the loss of Eq. 2 by head, as logged; without PCA its second term is another one, so compare "
        "their shapes, and the LVE between variants.",
    ]
    return report


def _variants(lab: Lab, report: Report, sets: tuple[str, ...], kind: str) -> None:
    """The grids and plots of one choice of datasets and decoder."""
    title = f"{NAMED[kind]} on {' and '.join(sets)}"
    plans = {
        (label, width): _plan(lab, sets, kind, label, width)
        for label in VARIANTS
        for width in lab.scale.widths
    }
    for name in sets:
        grid = Grid(f"LVE on {name}, {title}, by the decoder's channels", tuple(map(str, lab.scale.widths)))
        for label in VARIANTS:
            grid.rows[label] = {
                str(width): lve(lab, plans[label, width], name, "", "") for width in lab.scale.widths
            }
        report.grids.append(grid)
    stem = f"fig5.{kind}.{'-'.join(sets)}"
    report.plots[f"{stem}.png"] = partial(_draw_widths, report.grids[-len(sets) :])
    logs = {key: lab.curve(plan, lab.seeds[0]) for key, plan in plans.items()}
    report.plots[f"{stem}.training.png"] = partial(_draw_training, lab, sets, logs)


def _plan(lab: Lab, sets: tuple[str, ...], kind: str, label: str, width: int) -> Run:
    model = laid_over(lab.scale.large, {"decoder": {"kind": kind, "width": width}})
    name = f"wide-{kind}-{width}-{'-'.join(sets)}-{label.replace(' ', '-')}"
    return Run(name, sets, model, VARIANTS[label])


def _draw_widths(grids: list[Grid], path: Path) -> None:
    shown = []
    for grid in grids:
        lines = [
            Curve(label, [int(c) for c in cells], [one.mean for one in cells.values()])
            for label, cells in grid.rows.items()
        ]
        unit = next((one.unit for cells in grid.rows.values() for one in cells.values() if one.unit), "")
        shown.append(Panel(grid.title, "channels", f"LVE, {unit}", lines, doublings=True, rising=True))
    panels(shown).save(path)


def _draw_training(
    lab: Lab, sets: tuple[str, ...], logs: Mapping[tuple[str, int], list[dict[str, float]]], path: Path
) -> None:
    """One panel a dataset and number of channels: the logged loss of its head."""
    shown = []
    for name in sets:
        head = lab.sets[name].dataset.annotation
        for width in lab.scale.widths:
            lines = []
            for label in VARIANTS:
                rows = [row for row in logs[label, width] if head in row]
                lines.append(Curve(label, [row["step"] for row in rows], [row[head] for row in rows]))
            shown.append(Panel(f"{name}, {width} channels", "step", "loss", lines, rising=True))
    panels(shown).save(path)


def fig6(lab: Lab) -> Report:
    """Velocity and error maps on the head, of the datasets' motion and of Tab. 2's models."""
    report = Report("fig6", "Velocity means and deviations, and errors, on the head")
    seed = lab.seeds[0]
    for name in targets(lab):
        found = {label: lab.maps(plan, seed, name) for label, plan in systems(lab, name).items()}
        files = {label: file for label, file in found.items() if file is not None}
        unit = _unit(lab, name)
        report.grids.append(_means(name, files, unit))
        if files:
            report.plots[f"fig6.models.{name}.png"] = partial(draw_systems, files, unit, size=SIZE)
    every = whole(lab)
    for name in lab.columns:
        file = lab.maps(every, seed, name)
        if file is not None:
            unit = _unit(lab, name)
            report.plots[f"fig6.{name}.png"] = partial(draw_truth, name, file, unit, size=SIZE)
    report.notes += [
        "Speeds are of displacements from frame to frame, over all test clips; the first picture of each dataset has the models "
        "of Tab. 2, the others the captured motion (paper: Fig. 6 a). Colours of the first end at twice the truth's largest velocity and "
        "four times the best model's largest error.",
        "The paper prints no numbers. In its maps SelfTalk is nearest to the truth's velocities, UniTalker has the least "
        "error.",
    ]
    return report


def _unit(lab: Lab, name: str) -> str:
    return next((unit for _, unit in lab.values(whole(lab), name, "mve")), "")


def _means(name: str, files: Mapping[str, Path], unit: str) -> Grid:
    """Means over the vertices of each map, the truth's in the first row."""
    columns = (*KEYS.values(), "error")
    grid = Grid(f"On {name}, means over vertices ({unit}/s, {unit}/s, {unit})", columns, marked=("error",))
    for label, file in files.items():
        _, maps = load_maps(file)
        if not grid.rows:
            grid.rows["truth"] = {title: _mean(maps[f"{key}_truth"]) for key, title in KEYS.items()}
        grid.rows[label] = {title: _mean(maps[f"{key}_prediction"]) for key, title in KEYS.items()}
        grid.rows[label]["error"] = _mean(maps["error"])
    return grid


def _mean(values: np.ndarray) -> Cell:
    return Cell((float(np.mean(values)),))
