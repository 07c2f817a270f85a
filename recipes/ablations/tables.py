"""From the runs' figures to tables: LVE as a share of a resting face's, its interval over seeds, paired changes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .data import NAMES
from .intervals import interval, paired
from .measure import FOREIGN, OWN
from .settings import Setting, adaptors, core, rates, singles, tuned, widths

Runs = dict[str, dict[int, dict[str, Any]]]
"""Setting → seed → a run's figures."""
THREE = ("d0", "d1", "d6")
LABELS = {
    "full": "PCA, warm-up, pivot identity (full)",
    "no-pca": "without PCA",
    "no-pca-cm": "without PCA, vertices in cm",
    "no-warmup": "without warm-up",
    "no-pivot": "without pivot identity",
    "vanilla": "without all three",
    "after-decoder": "adaptor after the decoder",
    "long-full": "full, three sets, longer",
    "long-no-pivot": "the same without pivot identity",
}

PARTS = {
    "full": "PCA, warm-up",
    "vanilla": "neither, vertices in m",
    "cm": "neither, vertices in cm",
}


def read_runs(root: Path) -> Runs:
    """All figures below `root`/results."""
    runs: Runs = {}
    for path in sorted((root / "results").glob("*.json")):
        facts = json.loads(path.read_text())
        runs.setdefault(facts["setting"]["name"], {})[facts["seed"]] = facts
    return runs


def ratio(run: Mapping[str, Any], name: str, identity: str = OWN) -> float:
    """LVE on a dataset over a resting face's; infinite for a run whose loss was not finite."""
    if "lve_mm2" not in run:
        return math.inf
    return run["lve_mm2"][name][identity] / run["lve_mm2"][name]["rest"]


def by_seed(runs: Runs, setting: str, names: Sequence[str], identity: str = OWN) -> dict[int, float]:
    """Mean over datasets of the log of `ratio` of each seed: differences of it are relative changes of LVE, each dataset
    counting alike. Seeds that were not trained on all of the datasets are left out."""
    return {
        seed: float(np.mean([math.log(ratio(run, name, identity)) for name in names]))
        for seed, run in runs.get(setting, {}).items()
        if set(names) <= set(run["setting"]["datasets"])
    }


def share(runs: Runs, setting: str, name: str, identity: str = OWN) -> str:
    """LVE over a resting face's in percent, with its interval over seeds."""
    values = [100 * math.exp(x) for x in by_seed(runs, setting, (name,), identity).values()]
    return interval(values).text() if values else ""


def change(
    runs: Runs,
    setting: str,
    names: Sequence[str],
    base: str = "full",
    identities: tuple[str, str] = (OWN, OWN),
) -> str:
    """Change of LVE in percent against another setting, the same seeds compared; bold where zero lies outside."""
    one, other = by_seed(runs, setting, names, identities[0]), by_seed(runs, base, names, identities[1])
    difference = paired(one, other)
    return "" if difference is None else difference.change()


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; nothing where there is no row."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def seeds(runs: Runs, setting: str) -> str:
    """How many seeds a setting has."""
    return str(len(runs.get(setting, {})))


def core_table(runs: Runs, settings: Sequence[Setting] | None = None) -> str:
    """The full model and what each part changes, every dataset as its own subjects."""
    rows = []
    for setting in settings or [*core(), *adaptors()]:
        if setting.name in runs:
            cells = [share(runs, setting.name, n) for n in NAMES]
            gap = "" if setting.name == "full" else change(runs, setting.name, NAMES)
            rows.append([LABELS[setting.name], seeds(runs, setting.name), *cells, gap])
    return markdown(["", "seeds", *NAMES, "all, against full, %"], rows)


def identity_table(runs: Runs) -> str:
    """What another identity than a clip's own costs, with and without pivot identity."""
    rows = []
    for setting, base, names in (
        ("full", "", NAMES),
        ("no-pivot", "full", NAMES),
        ("long-full", "", THREE),
        ("long-no-pivot", "long-full", THREE),
    ):
        for identity in (OWN, "pivot", FOREIGN):
            if setting in runs:
                cells = [share(runs, setting, n, identity) for n in NAMES]
                gap = "" if identity == OWN else change(runs, setting, names, setting, (identity, OWN))
                lost = change(runs, setting, names, base, (identity, identity)) if base else ""
                rows.append([LABELS[setting], seeds(runs, setting), identity, *cells, gap, lost])
    head = ["", "seeds", "identity", *NAMES, "against own, %", "against the same with pivot identity, %"]
    return markdown(head, rows)


def scale_table(runs: Runs) -> str:
    """One dataset alone, all together, all and then one; the last column is the mean over datasets."""
    alone, together, after = [s.name for s in singles()], ["full"] * len(NAMES), [s.name for s in tuned()]
    rows = []
    for label, names in (("alone", alone), ("all", together), ("all, then tuned", after)):
        rows.append([label, *[share(runs, s, n) for s, n in zip(names, NAMES, strict=True)], ""])
    for label, names, base in (
        ("all, against alone, %", together, alone),
        ("all, then tuned, against alone, %", after, alone),
        ("all, then tuned, against all, %", after, together),
    ):
        pairs = list(zip(names, base, NAMES, strict=True))
        mean = paired(over_datasets(runs, names), over_datasets(runs, base))
        cells = [change(runs, one, (n,), other) for one, other, n in pairs]
        rows.append([label, *cells, "" if mean is None else mean.change()])
    return markdown(["", *NAMES, "mean"], rows)


def over_datasets(runs: Runs, settings: Sequence[str]) -> dict[int, float]:
    """Mean over d0 … d7 of the log of `ratio`, each dataset measured on a setting of its own, by seed."""
    each = [by_seed(runs, setting, (name,)) for setting, name in zip(settings, NAMES, strict=True)]
    shared = set.intersection(*map(set, each))
    return {seed: float(np.mean([one[seed] for one in each])) for seed in sorted(shared)}


def growth_table(runs: Runs) -> str:
    """LVE on d1 as datasets join, each run as many passes over its clips."""
    names = ["grow-d1", *[f"grow-d0-d{n}" for n in range(1, 7)], "full"]
    label = ["d1", *[f"d0-d{n}" for n in range(1, 8)]]
    steps = [str(next(iter(runs[n].values()))["setting"]["steps"]) if n in runs else "" for n in names]
    rows = [
        ["steps", *steps],
        ["LVE, % of rest", *[share(runs, n, "d1") for n in names]],
        ["against d1, %", *["" if n == "grow-d1" else change(runs, n, ("d1",), "grow-d1") for n in names]],
    ]
    return markdown(["", *label], rows)


def width_table(runs: Runs) -> str:
    """Decoder widths with and without PCA and warm-up."""
    rows = []
    for setting in widths():
        if setting.name in runs:
            cells = [share(runs, setting.name, n) if n in setting.datasets else "" for n in ("d0", "d1")]
            parts = PARTS[setting.name.rsplit("-", 1)[1]]
            trained = ", ".join(setting.datasets)
            rows.append([trained, str(setting.width), parts, seeds(runs, setting.name), *cells])
    return markdown(["trained on", "width", "", "seeds", "d0", "d1"], rows)


def rate_table(runs: Runs) -> str:
    """Other learning rates."""
    rows = []
    for setting in rates():
        if setting.name in runs:
            cells = [share(runs, setting.name, n) for n in NAMES]
            label = LABELS[setting.name.rsplit("-", 1)[1]]
            rows.append([label, f"{setting.rate:g}", seeds(runs, setting.name), *cells])
    return markdown(["", "rate", "seeds", *NAMES], rows)


def report(root: Path) -> str:
    """Every table that there are runs for."""
    runs = read_runs(root)
    parts = {
        "LVE in % of a resting face's, own subjects": core_table(runs),
        "Identities": identity_table(runs),
        "All datasets": scale_table(runs),
        "More and more datasets, LVE on d1": growth_table(runs),
        "Decoder widths": width_table(runs),
        "Learning rates": rate_table(runs),
    }
    return "\n".join(f"### {title}\n\n{table}" for title, table in parts.items() if table)
