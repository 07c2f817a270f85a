"""`unitalker models`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

NAMES = Parameter(help="Only these models, by name or folder; all that are installed by default.")
AS_JSON = Parameter(name="--json", negative=(), show_default=False, help="Print JSON instead of text.")


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
