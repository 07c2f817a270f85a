"""UniTalker beside other models: the paper's Tab. 2 and 10, and the runs of the baselines that Tab. 3 and Fig. 6 look at too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from unitalker.config import merged
from unitalker.evaluation.published import PUBLISHED
from unitalker.training.paper.grid import Cell, Grid, Report, cell, plain
from unitalker.training.paper.lab import Lab
from unitalker.training.paper.runs import WEIGHTS, Run
from unitalker.training.paper.tables import whole, with_encoder

BASE = "wavlm-base-plus"
"""Encoder of UniTalker-B."""
BASELINES = {
    "FaceFormer": "faceformer",
    "CodeTalker": "codetalker",
    "SelfTalk": "selftalk",
    "FaceDiffuser": "facediffuser",
}
"""Row → preset."""
STAGES = {"codetalker": "codetalker-motion"}
"""Preset → that of the run whose weights it stands on."""
METRICS = {"LVE": "lve", "MVE": "mve", "UFVE": "ufve", "FDD": "fdd_absolute"}
TABLES2 = {"D0": "table2", "D1": "table2-vocaset"}
FACTORS = {
    "table2": {"LVE": 1e4, "MVE": 1e3, "UFVE": 1e3, "FDD": 1e5},
    "table2-vocaset": {"LVE": 1e5, "MVE": 1e3, "UFVE": 1e3, "FDD": 1e7},
}
"""What figures are multiplied by in print, as the paper's; FDD on VOCASET by size, the paper gives no unit."""
MILLIMETRES = {"LVE": 1e6, "MVE": 1e3, "UFVE": 1e3, "FDD": 1e6}
COMPARED = ("D0", "D1")
NONE = "Needs a dataset of values: models that predict every coordinate cannot learn from codes of a basis alone."
SELFTALK_WEIGHT = 1000.0
"""Of SelfTalk's errors of motion and velocity, in the files' numbers."""


def targets(lab: Lab) -> tuple[str, ...]:
    """The datasets that models are compared on: the paper's two, else the first two that there are. Models that predict every
    coordinate need more than codes of a basis."""
    there = tuple(name for name in lab.columns if lab.sets[name].whole)
    return tuple(name for name in COMPARED if name in there) or there[:2]


def baseline(lab: Lab, preset: str, name: str) -> Run:
    """A baseline's run on one dataset, after the run that it stands on."""
    plan = _form(lab, preset, name)
    return (
        plan if preset not in STAGES else replace(plan, start=_form(lab, STAGES[preset], name), keep=WEIGHTS)
    )


def _form(lab: Lab, preset: str, name: str) -> Run:
    model, train = lab.scale.baseline(preset, lab.rate(name))
    return Run(f"{preset}-{name}", (name,), in_unit(model, lab.size(name)), train)


def in_unit(model: dict[str, Any], size: float) -> dict[str, Any]:
    """A baseline's settings for annotations whose numbers are `size` of the published files': the balance of its losses, and
    its noise, stay the published ones.

    CodeTalker's first stage has the absolute error of the motion beside the quantiser's, which has no unit; its second the
    squared error beside that of vectors, which have none either.
    """
    balance = SELFTALK_WEIGHT / size**2
    changes: dict[str, dict[str, Any]] = {
        "selftalk": {"motion_weight": balance, "velocity_weight": balance},
        "facediffuser": {"noise": size},
        "codetalker": {"motion_weight": 1 / size**2, "autoencoder": {"quantiser_weight": size}},
    }
    return model if size == 1 else merged(model, {"decoder": changes.get(model["decoder"]["kind"], {})})


def base(lab: Lab, name: str | None = None) -> Run:
    """UniTalker-B on one dataset, or on all."""
    return with_encoder(lab, BASE) if name is None else Run(f"base-{name}", (name,), lab.scale.base)


def systems(lab: Lab, name: str) -> dict[str, Run]:
    """Row of Tab. 2 → run, for a dataset."""
    found = {label: baseline(lab, preset, name) for label, preset in BASELINES.items()}
    return found | {
        f"UniTalker-B-[{name}]": base(lab, name),
        "UniTalker-B-[D0-D7]": base(lab),
        "UniTalker-L-[D0-D7]": whole(lab),
    }


def table2(lab: Lab) -> Report:
    """UniTalker and four published models on D0 and D1: five runs a dataset (CodeTalker's are two) and two on all datasets."""
    report = Report("table2", "UniTalker beside published models")
    for name in targets(lab):
        report.grids.append(_compared(lab, name))
    report.notes += [
        "Parameters are those that train; of CodeTalker, of both stages. Seconds are of 10 s of sound on this machine, all "
        "models one after the other in one process; × B: over UniTalker-B's on all datasets. The paper's are on a V100.",
        "The paper's FaceFormer, CodeTalker, SelfTalk and FaceDiffuser on BIWI are the released models; here all are trained.",
        "FDD is the absolute value; the paper gives no unit of it on VOCASET (here 1e-7 m²).",
    ]
    return report


def _compared(lab: Lab, name: str) -> Grid:
    table = TABLES2.get(name, "")
    factors = FACTORS.get(table, MILLIMETRES)
    grid = Grid(f"On {name}", (*METRICS, "params, M", "seconds", "× B"), marked=tuple(METRICS))
    plans = systems(lab, name)
    times = lab.times(f"table2.{name}", {label: (plan, name) for label, plan in plans.items()})
    for label, plan in plans.items():
        cells: dict[str, Cell] = {
            title: cell(
                lab.values(plan, name, metric), table, label, title, factors[title], lab.comparable(name)
            )
            for title, metric in METRICS.items()
        }
        cells["params, M"] = plain(lab.parameters(plan), table, label, "params", lab.full)
        cells |= timed(lab, times, table, label, "seconds", "UniTalker-B-[D0-D7]")
        grid.rows[label] = cells
    return grid


def timed(
    lab: Lab, times: dict[str, float], table: str, label: str, column: str, reference: str
) -> dict[str, Cell]:
    """Cells of a row's seconds and of their ratio to another row's, the paper's beside both."""
    known = PUBLISHED.get(table)
    paper = None if known is None else known.at(label, column)
    other = None if known is None else known.at(reference, column)
    own = (times[label],) if label in times else ()
    ratio = (times[label] / times[reference],) if label in times and reference in times else ()
    beside = None if paper is None or not other else round(paper / other, 1)
    return {"seconds": Cell(own, "", paper, lab.full), "× B": Cell(ratio, "", beside, lab.full)}


def table10(lab: Lab) -> Report:
    """FaceFormer with and without autoregression: two runs a dataset, D0 and D1."""
    report = Report("table10", PUBLISHED["table10"].title)
    printed = {"D0": "BIWI", "D1": "VOCASET"}
    for name in targets(lab):
        rows = {
            "autoregressive": baseline(lab, "faceformer", name),
            "not autoregressive": parallel(lab, name),
        }
        times = lab.times(f"table10.{name}", {label: (plan, name) for label, plan in rows.items()})
        grid = Grid(f"On {name}", ("LVE", "seconds", "× without"), marked=("LVE",))
        factors = FACTORS.get(TABLES2.get(name, ""), MILLIMETRES)
        for label, plan in rows.items():
            column = f"{printed.get(name, name)} LVE"
            seconds = f"{printed.get(name, name)} seconds"
            cells = timed(lab, times, "table10", label, seconds, "not autoregressive")
            found, known = lab.values(plan, name, "lve"), lab.comparable(name)
            grid.rows[label] = {
                "LVE": cell(found, "table10", label, column, factors["LVE"], known),
                "seconds": cells["seconds"],
                "× without": cells["× B"],
            }
        report.grids.append(grid)
    report.notes.append("Seconds are of 10 s of sound on this machine; the paper's are on a V100.")
    return report


def parallel(lab: Lab, name: str) -> Run:
    """FaceFormer without autoregression, in the sizes of its form for the dataset's frame rate."""
    own, plan = (_form(lab, preset, name) for preset in ("faceformer", "faceformer-non-autoregressive"))
    kept = {key: own.model["decoder"][key] for key in ("width", "period")}
    decoder = {**plan.model["decoder"], **kept}
    return replace(plan, model={**plan.model, "decoder": decoder})
