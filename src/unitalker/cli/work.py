"""`unitalker models` and `evaluate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from unitalker.cli.progress import bar
from unitalker.cli.run import load_rig

NAMES = Parameter(help="Only these models, by name or folder; all that are installed by default.")
AS_JSON = Parameter(name="--json", negative=(), show_default=False, help="Print JSON instead of text.")
SPLIT = Parameter(help="Which part of the dataset: train, val or test.")
WHO = Parameter(help="Identity to animate with; `subject` takes each clip's own.")
OUT = Parameter(name=("--output", "-o"), help="Write the figures to this .json file too.")
RIG = Parameter(help="Rig that lip distances are measured on, as in `animate`; default: the built-in head.")


def models(*names: Annotated[str, NAMES], as_json: Annotated[bool, AS_JSON] = False) -> int:
    """List the installed models, with their sizes, annotations and identities."""
    from unitalker.config import UniTalkerConfig
    from unitalker.models import checkpoint

    folders = {name: checkpoint.locate(name) for name in names} or checkpoint.installed()
    if not folders:
        print("No model is installed; --model takes a model folder.", file=sys.stderr)
    listed = []
    for name, folder in folders.items():
        config = UniTalkerConfig.load(folder / "config.json")
        facts = _facts(name, folder, config.heads, config.identities, config.default_annotation)
        listed.append(facts | checkpoint.sizes(folder))
    print(json.dumps(listed, indent=1) if as_json else "\n\n".join(map(_text, listed)))
    return 0


def _facts(
    name: str, folder: Path, heads: dict[str, int], identities: tuple[str, ...], default: str
) -> dict[str, Any]:
    """What there is to say about a model, from its config and annotation cards."""
    from unitalker.annotations.cards import load_card

    cards = [load_card(folder / "annotations" / f"{head}.json") for head in heads]
    return {
        "name": name,
        "folder": str(folder),
        "default": default,
        "annotations": [
            {"name": c.name, "kind": c.kind, "numbers": c.dim, "unit": c.unit, "fps": c.fps} for c in cards
        ],
        "identities": ["pivot", *identities],
    }


def _text(facts: dict[str, Any], shown: int = 12) -> str:
    """The facts of a model for people to read."""
    weights, whole = facts["weight_bytes"] / 1e6, facts["bytes_on_disk"] / 1e6
    lines = [f"{facts['name']}  ({facts['folder']})"]
    lines.append(f"  {facts['parameters']:,} parameters; weights {weights:.2f} MB, with cards {whole:.2f} MB")
    lines += [f"  SHA-256 of the weights: {facts['sha256']}", "  annotations:"]
    for entry in facts["annotations"]:
        mark = "  (default)" if entry["name"] == facts["default"] else ""
        about = f"{entry['kind']}, {entry['numbers']} numbers a frame ({entry['unit']}), {entry['fps']:g} fps"
        lines.append(f"    {entry['name']:<16} {about}{mark}")
    names = facts["identities"]
    lines.append(f"  identities ({len(names)}):")
    lines += [f"    {name}" for name in names[:shown]]
    if len(names) > shown:
        lines.append(f"    … and {len(names) - shown} more: unitalker models {facts['name']} --json")
    return "\n".join(lines)


def evaluate(
    model: str,
    dataset: Path,
    *,
    split: Annotated[str, SPLIT] = "val",
    identity: Annotated[str, WHO] = "pivot",
    rig: Annotated[str | None, RIG] = None,
    output: Annotated[Path | None, OUT] = None,
) -> int:
    """Animate a dataset's clips with a model and compare with the captured motion.

    Parameters
    ----------
    model
        Name of an installed model, or a model folder.
    dataset
        Folder with dataset.json (see `unitalker data`).
    """
    from unitalker.animation.animator import load
    from unitalker.evaluation.report import evaluate as measure
    from unitalker.files import atomic, check_writable

    if output is not None:
        check_writable(output)
    head = load_rig(rig) if rig else None
    with bar("Animating", 1.0) as tell:

        def step(done: int, total: int) -> None:
            tell(done / total, ())

        report = measure(load(model), dataset, split=split, rig=head, identity=identity, progress=step)
    print(report.table())
    if output is not None:
        with atomic(output) as draft:
            draft.write_text(report.to_json() + "\n", encoding="utf-8")
    return 0
