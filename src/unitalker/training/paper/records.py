"""What a bench's folder keeps of runs and measurements, and whether that is what is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unitalker.config import TrainConfig
from unitalker.data.dataset import Dataset
from unitalker.errors import ConfigError
from unitalker.files import atomic
from unitalker.training.paper.runs import Run


def identity_of(config: TrainConfig, sources: Mapping[str, Dataset], plan: Run) -> dict[str, Any]:
    """What a run is, wherever its datasets lie: settings, and of each dataset what tells it from others."""
    data = {n: [d.name, len(d.clips), round(d.seconds(), 3)] for n, d in sources.items()}
    settings = config.model_dump(mode="json", exclude={"sources", "cards"})
    start = plan.start.name if plan.start else None
    return json.loads(json.dumps({"settings": settings, "data": data, "start": start, "keep": plan.keep}))


def check_same_run(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raises ConfigError where a run that is there is not the one that is asked for."""
    if [old.get(key) for key in ("start", "keep")] != [new["start"], new["keep"]]:
        raise ConfigError(
            f"{folder} holds a run that began with {old.get('start') or 'fresh weights'}, not with "
            f"{new['start'] or 'fresh weights'}: use another output folder, or remove that run."
        )
    for part in ("settings", "data"):
        was, now = old.get(part, {}), new[part]
        other = [key for key in {**was, **now} if was.get(key) != now.get(key)]
        if other:
            raise ConfigError(
                f"{folder} holds a run with other {part} ({', '.join(sorted(other))}): use another output folder, or remove "
                "that run."
            )


def check_start(start: Path | None, folder: Path) -> None:
    """Raises ConfigError where the run that a run began with has been trained anew since."""
    done = None if start is None else start / "done.json"
    if done is not None and done.is_file() and done.stat().st_mtime > (folder / "done.json").stat().st_mtime:
        raise ConfigError(
            f"{folder} holds a run that began with another {done.parent.name} than the one that is there now: remove "
            "that run."
        )


def kept(path: Path, model: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an earlier measurement of these weights by the same question found, None where there is none."""
    if not path.is_file() or path.stat().st_mtime <= (model / "model.safetensors").stat().st_mtime:
        return None
    old = json.loads(path.read_text())
    return old if old["asked"] == asked and "differences" in old else None


def write(path: Path, tree: Any) -> None:
    with atomic(path) as draft:
        draft.write_text(json.dumps(tree, indent=1))
