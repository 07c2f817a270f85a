"""What a trained UniTalker gives to other data: the paper's Tab. 4 and 8, and Fig. 4."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from unitalker.annotations import builtin
from unitalker.data.dataset import Clip, Dataset, open_dataset
from unitalker.data.pca import encode_dataset
from unitalker.data.unify import unify
from unitalker.errors import DataError
from unitalker.evaluation.plots.charts import efficiency
from unitalker.evaluation.protocols.base import Part, Protocol
from unitalker.evaluation.published import HALF_BIWI_LVE, PUBLISHED
from unitalker.models.unitalker import PIVOT
from unitalker.training.efficiency import subset, with_clips
from unitalker.training.paper.grid import Cell, Grid, Report, cell
from unitalker.training.paper.lab import Lab
from unitalker.training.paper.runs import Made, Run, View
from unitalker.training.paper.sets import PARTS
from unitalker.training.paper.tables import FACTORS, lve, single, up_to, whole

STRANGERS = 3
"""Identities of other annotations that clips are animated as; their errors are averaged."""


def table4(lab: Lab) -> Report:
    """More and more datasets, by one head each or all brought to D1's topology: up to fifteen runs."""
    report = Report("table4", PUBLISHED["table4"].title)
    meshes = [n for n in lab.bench if _carried(lab, n) and lab.sets[n].dataset.unit != "weight"]
    target = "D1" if "D1" in meshes else next(iter(meshes), None)
    if target is None:
        report.notes.append("Needs a dataset of vertices (not of codes alone), such as D1: there is none.")
        return report
    grown = _growing(lab, target)
    rows: dict[str, dict[str, Cell]] = {"Preprocessing": {}, "UniTalker": {}}
    for label, sets in grown.items():
        for row, plan in (("Preprocessing", _one_head(lab, target, sets)), ("UniTalker", up_to(lab, sets))):
            found = lab.values(plan, target, "lve") if plan is not None else []
            known = lab.comparable(target)
            rows[row][label] = cell(found, "table4", row, label, FACTORS.get(target, 1e6), known)
    report.grids = [Grid(f"LVE on {target}", tuple(grown), rows)]
    left = [n for n in lab.bench if not _carried(lab, n)]
    if left:
        report.notes.append(
            f"{', '.join(left)}: FLAME numbers, or codes without their vertices, which `unitalker data unify` does not carry; they "
            "are in no one-head model."
        )
    report.notes.append(
        f"Preprocessing: vertices carried to {target}'s topology by registration of neutral faces, weights through the "
        f"built-in head; codes of {target}'s basis, one head (`unitalker data unify`)."
    )
    return report


def _growing(lab: Lab, target: str) -> dict[str, tuple[str, ...]]:
    """The paper's column → datasets: the target alone, then the first ones that have it among them."""
    found: dict[str, tuple[str, ...]] = {target: (target,)}
    for count in range(2, len(lab.bench) + 1):
        sets = lab.bench[:count]
        if target in sets:
            found[f"{sets[0]}-{sets[-1]}"] = sets
    if lab.scale.growth is None:
        return found
    return {label: sets for label, sets in found.items() if len(sets) in (*lab.scale.growth, len(lab.bench))}


def _carried(lab: Lab, name: str) -> bool:
    return lab.sets[name].dataset.unit != "flame" and lab.sets[name].whole


def _one_head(lab: Lab, target: str, sets: tuple[str, ...]) -> Run | None:
    """The run on all these datasets brought to the target's topology; the target alone is the same run in both rows."""
    there = tuple(name for name in sets if _carried(lab, name))
    if there == (target,):
        return single(lab, target)
    made = {
        name: Made(f"{name}-on-{target}", partial(_unified, lab, name, target))
        for name in there
        if name != target
    }
    return Run(f"one-head-{target}-{'-'.join(there)}", there, lab.scale.large, data=made)


def _unified(lab: Lab, name: str, target: str, out: Path) -> None:
    """Codes of a dataset on the target's topology. Weights go to a topology of someone else's by way of the built-in one;
    the vertices, which are large, are removed again."""
    source, goal = open_dataset(lab.sets[name].values), open_dataset(lab.sets[target].values)
    basis = lab.sets[target].codes / "annotations" / f"{goal.annotation}.json"
    to = goal.annotation
    place, way = (out.with_name(f"{out.name}-{stage}") for stage in ("vertices", "way"))
    if to not in builtin.MESHES:
        to = str(basis)
        if source.unit == "weight":
            source = _once(source, way, "face")
    encode_dataset(_once(source, place, to), out, card=basis)
    for folder in (place, way):
        shutil.rmtree(folder, ignore_errors=True)


def _once(source: Dataset, place: Path, to: str) -> Dataset:
    if not (place / "dataset.json").is_file():
        return unify(source, place, to).dataset
    return open_dataset(place)


def table8(lab: Lab) -> Report:
    """One sentence of one subject of D1 to learn from: a run on all others, and three short ones."""
    report = Report("table8", PUBLISHED["table8"].title)
    name = "D1" if "D1" in lab.sets else lab.bench[0]
    others = tuple(n for n in lab.bench if n != name)
    if not others:
        report.notes.append("Needs a second dataset to train on before.")
        return report
    subject, sentence, held = _one_shot(lab.sets[name].dataset)
    one = {name: Made(f"one-sentence-{name}", partial(_cut, lab.sets[name].codes, sentence.id))}
    before = whole(lab, f"without-{name}", sets=others)
    rows = {
        "encoder alone": Run(f"one-shot-{name}-encoder", (name,), lab.scale.large, data=one),
        "UniTalker-L-[D0, D2-D7]": Run(f"one-shot-{name}-all", (name,), start=before, data=one),
        "Decoder of UniTalker-L-[D0, D2-D7]": Run(
            f"one-shot-{name}-decoder", (name,), train={"freeze": ("encoder",)}, start=before, data=one
        ),
    }
    view = _held_out(lab, name, held)
    grid = Grid("", ("LVE", "LVD"))
    for label, plan in rows.items():
        grid.rows[label] = {
            title: cell(
                lab.values(plan, name, title.lower(), view=view),
                "table8",
                label,
                title,
                factor,
                lab.comparable(name),
            )
            for title, factor in (("LVE", 1e5), ("LVD", 1e3))
        }
    report.grids = [grid]
    report.notes += [
        f"Trained on the sentence {sentence.id} of {name}, {sentence.seconds:.1f} s; measured on {len(view.dataset.clips)} other "
        f"sentences of {subject}, with the last weights of each run: nothing is chosen by them. The paper has 38 of them, in its "
        "own choice of subject and sentence.",
        "The PCA basis is that of all the dataset's training clips, not of the one sentence.",
    ]
    return report


def _one_shot(dataset: Dataset) -> tuple[str, Clip, tuple[str, ...]]:
    """The first subject with several clips, its first clip, and the ids of its others."""
    for subject in dataset.subjects:
        mine = [clip for clip in dataset.clips if clip.subject == subject]
        if len(mine) > 1:
            return subject, mine[0], tuple(clip.id for clip in mine[1:])
    raise DataError(f"{dataset.name}: no subject has a second clip to measure on.")


def _cut(codes: Path, sentence: str, out: Path) -> None:
    """One clip to train on and none to choose weights by: the subject's others are measured."""
    dataset = open_dataset(codes)
    with_clips(dataset, out, tuple(replace(c, split="train") for c in dataset.clips if c.id == sentence))


def _held_out(lab: Lab, name: str, held: tuple[str, ...]) -> View:
    """How the other sentences are measured: as the dataset's test clips are, but for the split."""
    dataset, most = lab.sets[name].dataset, lab.scale.sizes.test
    clips = [replace(clip, split="test") for clip in dataset.clips if clip.id in held][:most]
    part = replace(
        PARTS.get(name, Part(name)), split_of=None, split="test", sequences=None, frames=None, absent=()
    )
    protocol = Protocol("one-shot", "other sentences of the one subject", (part,), "own", "UniTalker, Tab. 8")
    return View(f"{name}-one-shot", replace(dataset, clips=tuple(clips)), protocol)


def fig4(lab: Lab) -> Report:
    """Less and less of D0, from UniTalker's encoder and from the plain one, two runs a fraction; and whose identity fits whom."""
    report = Report("fig4", "Data efficiency on an unseen annotation, and identities of other annotations")
    name, most = lab.bench[0], lab.scale.fractions
    others = tuple(n for n in lab.bench if n != name)
    if others:
        report.grids.append(_efficiency(lab, name, others, most))
        report.plots["fig4.png"] = partial(_draw_efficiency, report.grids[0])
    report.grids.append(_identities(lab))
    report.notes += [
        f"Paper: UniTalker-[D1-D7] tuned on half of D0 has {HALF_BIWI_LVE} (1e-4 U²), SelfTalk on all of it 4.249; the curve's "
        "other values are not printed. Only the encoder is taken over, as there; the decoder begins anew in both.",
        "own: each clip as its own subject. pivot: as the pivot identity. others: as subjects of other annotations, the mean "
        f"of {STRANGERS}. Without pivot: trained without replacing identities by the pivot, whose row is then the mean of all.",
    ]
    return report


def _efficiency(lab: Lab, name: str, others: tuple[str, ...], fractions: tuple[float, ...]) -> Grid:
    before = whole(lab, f"without-{name}", sets=others)
    label = f"UniTalker-[{'-'.join(dict.fromkeys((others[0], others[-1])))}]"
    grid = Grid(f"LVE on {name} by the share of its training clips", ("plain encoder", label), marked=())
    for share in fractions:
        part = {name: Made(f"{name}-{share:g}", partial(_part, lab.sets[name].codes, share))}
        plain = Run(f"share-{share:g}-{name}-plain", (name,), lab.scale.large, data=part)
        if share == 1:
            plain = single(lab, name)
        tuned = Run(
            f"share-{share:g}-{name}-unitalker",
            (name,),
            lab.scale.large,
            start=before,
            keep="encoder",
            data=part,
        )
        pair = zip(grid.columns, (plain, tuned), strict=True)
        grid.rows[f"{share:.3g}"] = {column: lve(lab, plan, name, "", "") for column, plan in pair}
    return grid


def _part(codes: Path, share: float, out: Path) -> None:
    subset(open_dataset(codes), out, share)


def _draw_efficiency(grid: Grid, path: Path) -> None:
    shares = [float(share) for share in grid.rows]
    errors = {column: [cells[column].mean for cells in grid.rows.values()] for column in grid.columns}
    unit = next(iter(grid.rows.values()))[grid.columns[0]].unit
    efficiency(shares, errors, f"LVE, {unit}", "share of the training clips").save(path)


def _identities(lab: Lab) -> Grid:
    """LVE as own, pivot and strangers, with and without crops of the pivot."""
    plans = {"": whole(lab), ", without pivot": replace(whole(lab, "no-pivot"), train={"pivot": 0.0})}
    columns = tuple(f"{who}{ending}" for ending in plans for who in ("own", "pivot", "others"))
    grid = Grid("LVE by whose identity speaks", columns)
    for name in lab.columns:
        cells: dict[str, Cell] = {}
        for ending, plan in plans.items():
            found = [lab.values(plan, name, "lve", who) for who in strangers(lab, name)]
            cells[f"own{ending}"] = lve(lab, plan, name, "", "")
            cells[f"pivot{ending}"] = lve(lab, plan, name, "", "", PIVOT)
            cells[f"others{ending}"] = cell(_averaged(found), factor=FACTORS.get(name, 1e6))
        unit = next((one.unit for one in cells.values() if one.unit), "")
        grid.rows[f"{name}, {unit}"] = {column: replace(one, unit="") for column, one in cells.items()}
    return replace(grid, marked=())


def strangers(lab: Lab, name: str) -> list[str]:
    """The first identity of the first datasets that have another annotation than this one."""
    found: dict[str, str] = {}
    for other in lab.bench:
        dataset = lab.sets[other].dataset
        if dataset.annotation != lab.sets[name].dataset.annotation:
            speaking = [clip.subject for clip in dataset.clips if clip.split == "train"]
            found.setdefault(dataset.annotation, f"{dataset.name}/{next(iter(speaking), '')}")
    return list(found.values())[:STRANGERS]


def _averaged(found: list[list[tuple[float, str]]]) -> list[tuple[float, str]]:
    """For each seed the mean over several identities."""
    there = [one for one in found if one]
    if not there:
        return []
    unit, seeds = there[0][0][1], min(len(one) for one in there)
    return [(sum(one[seed][0] for one in there) / len(there), unit) for seed in range(seeds)]
