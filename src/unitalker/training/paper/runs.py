"""What a training run of the bench is, as data, and the settings that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unitalker.config import RecipeConfig, TrainConfig, UniTalkerConfig, give_way
from unitalker.data.dataset import Dataset
from unitalker.evaluation.protocols.base import Protocol
from unitalker.training import recipes
from unitalker.training.paper.scales import Scale, Tree
from unitalker.training.paper.sets import REPEATS, BenchSet

FREE = ("encoder", "decoder")
"""Settings that are replaced whole where a table names another kind."""
WEIGHTS = "weights"
"""What stays of a run that another begins with, besides a recipe's "all" and "encoder": tensors by name and shape."""

BESIDES = 40
"""Clips that could be trained on in the time that a run takes to be opened, written and measured, roughly."""


@dataclass(frozen=True)
class Made:
    """A dataset that a table makes of another: a part, or one on another topology. name: of its folder. make: writes a
    dataset into a folder; its manifest comes last."""

    name: str
    make: Callable[[Path], Any]


@dataclass(frozen=True)
class Run:
    """A training run. name: of its folder, with the seed; the same name is the same run in every table. sets: datasets by
    id. model: settings of the model, used where nothing gives it one. train: settings over the scale's. start: run to begin
    with; keep: what stays of it, all, encoder or weights. data: id → what is trained on in place of the dataset's codes.
    """

    name: str
    sets: tuple[str, ...]
    model: Tree = field(default_factory=dict)
    train: Tree = field(default_factory=dict)
    start: Run | None = None
    keep: str = "all"
    data: Mapping[str, Made] = field(default_factory=dict)

    @property
    def raw(self) -> bool:
        """Whether heads predict every coordinate."""
        return self.train.get("pca") is False

    def chain(self) -> list[Run]:
        """The run after those that it begins with."""
        return [*(self.start.chain() if self.start else ()), self]


@dataclass(frozen=True)
class View:
    """Another way to measure on a dataset than its protocol's. name: for files. dataset: in place of the bench's."""

    name: str
    dataset: Dataset
    protocol: Protocol


def recipe_of(run: Run, start: Path | None, datasets: Sequence[Dataset]) -> RecipeConfig:
    """What a run is begun with; start: the model folder of the run before. An annotation that it has no head for gets a
    new one."""
    if start is None or run.keep == WEIGHTS:
        return RecipeConfig()
    heads = UniTalkerConfig.load(start / "config.json").heads
    new = [d.annotation for d in datasets if d.annotation not in heads] if run.keep == "all" else []
    return RecipeConfig(
        finetune=str(start), keep="all" if run.keep == "all" else "encoder", new_head=next(iter(new), None)
    )


def settings_of(run: Run, scale: Scale) -> dict[str, Any]:
    """Settings of training: the scale's (of tuning where all of another model goes on), the run's, then the user's."""
    tuning = run.start is not None and run.keep == "all"
    tree: dict[str, Any] = {**scale.train, **(scale.tuning if tuning else {})}
    for changes in (run.train, scale.changes):
        tree = give_way(tree, changes) | dict(changes)
    return {key: value for key, value in tree.items() if value is not None}


def train_config(
    run: Run, seed: int, scale: Scale, sources: Mapping[str, Dataset], recipe: RecipeConfig
) -> TrainConfig:
    """The settings of a run on these datasets, by id."""
    tree, datasets = settings_of(run, scale), list(sources.values())
    if not any(clip.split == "val" for dataset in datasets for clip in dataset.clips):
        tree = {key: value for key, value in tree.items() if not key.startswith(("validate", "patience"))}
    if recipe.finetune is not None and recipe.keep == "all":
        found = recipes.settings(recipe, datasets)
        kept = {key: found[key] for key in ("model", "cards") if key in found}
    else:
        model = dict(run.model) | {"identities": (), "heads": {"any": 1}, "default_annotation": "any"}
        if recipe.finetune is not None and model["encoder"].get("kind") == "hf":
            model["encoder"] = {**model["encoder"], "pretrained": False}
        kept = {"model": model}
    listed = [{"path": str(d.folder), "repeat": REPEATS.get(n, 1.0)} for n, d in sources.items()]
    return TrainConfig.parse(kept | tree | {"sources": listed, "seed": seed})


def clips_seen(run: Run, scale: Scale, sets: Mapping[str, BenchSet]) -> float:
    """About how many clips a run trains on, repetitions counted, and what the rest takes: its share of the work."""
    tree = settings_of(run, scale)
    if tree.get("steps"):
        return BESIDES + tree["steps"] * tree.get("batch", 1)
    counts = [REPEATS.get(n, 1.0) * sum(c.split == "train" for c in sets[n].dataset.clips) for n in run.sets]
    return BESIDES + (tree.get("epochs") or 1) * sum(counts)


def laid_over(base: Tree, changes: Tree) -> dict[str, Any]:
    """Settings of a model with changes on top; an encoder or decoder of another kind takes the old one's place."""
    out = dict(base)
    for key, value in changes.items():
        inner = out.get(key)
        if (
            key in FREE
            and isinstance(inner, Mapping)
            and value.get("kind", inner.get("kind")) == inner.get("kind")
        ):
            value = {**inner, **value}
        out[key] = value
    return out
