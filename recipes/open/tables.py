"""Tables of the open benchmark's results: test LVE by set, mean over seeds, and changes with paired intervals."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from recipes.ablations.intervals import Interval, interval, paired

from unitalker.data.open_deal import SETS

Figures = dict[str, dict[str, dict[int, float]]]
"""Run → set → seed → LVE."""
ROWS = (
    "single",
    "all",
    "tuned",
    "longer",
    "without",
    "faceformer",
    "parallel",
    "codetalker",
    "selftalk",
    "facediffuser",
)
"""Beginnings of run names, in the order of the table."""


def results(root: Path) -> list[dict[str, Any]]:
    """What every finished run left."""
    return [json.loads(path.read_text()) for path in sorted((root / "results").glob("*.json"))]


def figures(found: list[dict[str, Any]]) -> Figures:
    """LVE of every run on its sets. A run of one set counts under the name before its set's."""
    out: Figures = defaultdict(lambda: defaultdict(dict))
    for facts in found:
        name = facts["run"]
        alone = len(facts["sets"]) == 1
        for one, metrics in facts["test"].items():
            row = name.removesuffix(f"-{one}") if alone else name
            out[row][one][facts["seed"]] = metrics["lve"]["value"]
    return out


def report(root: Path) -> str:
    """Markdown: LVE of every run, and its change against a model of the set alone. All else is in the JSON files."""
    found = results(root)
    if not found:
        return f"{root} has no results yet."
    told, units = figures(found), _units(found)
    heads = [f"{name}, {units.get(name, '')}" for name in SETS]
    rule = "|" + "---|" * (len(SETS) + 1)
    lines = [f"| LVE | {' | '.join(heads)} |", rule]
    for row in sorted(told, key=_place):
        lines.append(f"| {row} | {' | '.join(_value(told[row].get(n)) for n in SETS)} |")
    lines += ["", f"| change of LVE against single, % | {' | '.join(SETS)} |", rule]
    for row in sorted(told, key=_place):
        base = told["spoken-single" if row.startswith("spoken-") else "single"]
        if base is not told[row]:
            cells = (_change(told[row].get(n), base.get(n)) for n in SETS)
            lines.append(f"| {row} | {' | '.join(cells)} |")
    steps = defaultdict(list)
    for facts in found:
        steps[facts["run"]].append(facts["steps"])
    lines += [
        "",
        "Steps: " + ", ".join(f"{name} {', '.join(map(str, s))}" for name, s in steps.items()) + ".",
    ]
    return "\n".join(lines)


def listed(root: Path) -> str:
    """CSV: every run, seed and set with its steps, LVE, the interval over clips, and the opening's correlation."""
    lines = ["run,seed,steps,set,unit,lve,low,high,opening_r"]
    for facts in results(root):
        for one, metrics in facts["test"].items():
            lve = metrics["lve"]
            values = (lve["value"], *lve["interval"], metrics["opening_r"]["value"])
            head = f"{facts['run']},{facts['seed']},{facts['steps']},{one},{lve['unit']}"
            lines.append(f"{head},{','.join(f'{value:.6g}' for value in values)}")
    return "\n".join(lines) + "\n"


def _place(row: str) -> tuple[bool, int, str]:
    bare = row.removeprefix("spoken-")
    kind = next((i for i, name in enumerate(ROWS) if bare.startswith(name)), len(ROWS))
    return row != bare, kind, row


def _units(found: list[dict[str, Any]]) -> dict[str, str]:
    return {one: metrics["lve"]["unit"] for facts in found for one, metrics in facts["test"].items()}


def _value(seeds: dict[int, float] | None) -> str:
    if not seeds:
        return ""
    its: Interval = interval(list(seeds.values()))
    return f"{its.mean:.4g}" if math.isnan(its.half) else f"{its.mean:.4g} ± {its.half:.2g}"


def _change(one: dict[int, float] | None, base: dict[int, float] | None) -> str:
    """Change in percent, 95 % interval of the paired log ratios over seeds, bold where it leaves out zero."""
    if not one or not base:
        return ""
    logs = [{seed: math.log(value) for seed, value in side.items()} for side in (one, base)]
    gap = paired(*logs)
    return "" if gap is None else gap.change()
