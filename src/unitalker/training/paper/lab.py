"""The lab: trains the models that tables ask for and measures them, each once; what is there is not made again."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from unitalker.animation.animator import Animator
from unitalker.config import RecipeConfig, TrainConfig
from unitalker.data.dataset import open_dataset
from unitalker.errors import ConfigError
from unitalker.evaluation.predictions import FromModel
from unitalker.evaluation.protocols import PROTOCOLS
from unitalker.evaluation.protocols.run import Options, run
from unitalker.evaluation.published import SETS
from unitalker.files import atomic
from unitalker.models import checkpoint
from unitalker.training import recipes
from unitalker.training.paper.scales import Scale, Tree
from unitalker.training.paper.sets import REPEATS, BenchSet

Say = Callable[[str], None]
FREE = ("encoder", "decoder")
"""Settings that are replaced whole where a table names another kind."""


@dataclass(frozen=True)
class Run:
    """A training run. name: of its folder, with the seed; the same name is the same run in every table. sets: datasets by
    id. model: settings over the scale's base. train: settings over the scale's. start: run to go on from; keep: what stays
    of it. folders: id → another dataset folder than the set's own, such as a part of it.
    """

    name: str
    sets: tuple[str, ...]
    model: Tree = field(default_factory=dict)
    train: Tree = field(default_factory=dict)
    start: Run | None = None
    keep: str = "all"
    folders: Mapping[str, Path] = field(default_factory=dict)


class Lab:
    """Datasets, sizes and the folder where runs and figures stay.

    out: folder. sets: from `find_sets`. seeds: every figure is of so many runs. say: told what is done.
    """

    def __init__(
        self, out: Path, sets: Mapping[str, BenchSet], scale: Scale, seeds: Sequence[int], say: Say
    ) -> None:
        self.out, self.sets, self.scale, self.seeds, self.say = out, sets, scale, tuple(seeds), say

    def has(self, *names: str) -> bool:
        """Whether all these datasets are there."""
        return all(name in self.sets for name in names)

    @property
    def bench(self) -> tuple[str, ...]:
        """Ids of the paper's datasets that are there; where there is none, of all."""
        return tuple(name for name in self.sets if name in SETS) or tuple(self.sets)

    def train(self, plan: Run, seed: int) -> Path:
        """The model folder of a run, trained unless it is there; a run that was stopped goes on.

        Raises KeyboardInterrupt where it was asked to stop, ConfigError where the folder holds a run of other settings.
        """
        folder = self.out / "runs" / f"{plan.name}.{seed}"
        start = None if plan.start is None else self.train(plan.start, seed)
        recipe = (
            RecipeConfig()
            if start is None
            else RecipeConfig.parse({"finetune": str(start), "keep": plan.keep})
        )
        config = TrainConfig.parse(self._settings(plan, seed, recipe))
        done = folder / "done.json"
        told = json.loads(json.dumps({"train": config.model_dump(mode="json"), "start": str(start)}))
        if done.is_file():
            if json.loads(done.read_text()) != told:
                raise ConfigError(
                    f"{folder} holds a run of other settings; use another output folder, or take it away."
                )
            return recipes.result(folder)
        self.say(f"training {plan.name}, seed {seed} …")
        trainer = recipes.open_recipe(recipe, config, folder, say=lambda line: None)
        trainer.run(workers=0)
        if not trainer.ended:
            raise KeyboardInterrupt
        with atomic(done) as draft:
            draft.write_text(json.dumps(told))
        return recipes.result(folder)

    def figures(
        self, plan: Run, seed: int, name: str, identity: str | None = None
    ) -> dict[str, dict[str, Any]]:
        """Metric → its entry (value, unit, interval, counts) of a run's model on a dataset's test clips, or its validation
        clips where it has no test clips. identity: another rule than each clip's own subject."""
        path = self.out / "figures" / f"{plan.name}.{seed}.{name}{'.' + identity if identity else ''}.json"
        model = self.train(plan, seed)
        if path.is_file() and path.stat().st_mtime > (model / "model.safetensors").stat().st_mtime:
            return json.loads(path.read_text())
        protocol = PROTOCOLS["a2f-bench" if name in SETS else "open"]
        source = FromModel(Animator(checkpoint.load(model)), plan.name)
        result = run(protocol, [self.sets[name].dataset], source, Options(identity=identity))
        found = result.parts[0].to_dict()["metrics"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as draft:
            draft.write_text(json.dumps(found, indent=1))
        return found

    def values(self, plan: Run, name: str, metric: str, identity: str | None = None) -> list[float]:
        """A figure of every seed's run; empty where the dataset has no such figure."""
        found = [self.figures(plan, seed, name, identity).get(metric) for seed in self.seeds]
        return [float(entry["value"]) for entry in found if entry is not None]

    def seconds(self, plan: Run, name: str, length: float = 10.0) -> float:
        """Seconds to animate 10 s of noise with the first seed's model, the median of three, one head."""
        animator = Animator(checkpoint.load(self.train(plan, self.seeds[0])))
        sound = 0.1 * torch.randn(round(16000 * length), generator=torch.Generator().manual_seed(0)).numpy()
        head = [self.sets[name].dataset.annotation]
        taken = []
        for _ in range(4):
            begun = time.perf_counter()
            animator.animate((sound, 16000), annotations=head)
            taken.append(time.perf_counter() - begun)
        return statistics.median(taken[1:])

    def parameters(self, plan: Run) -> float:
        """Millions of parameters of a run's model."""
        model = checkpoint.load(self.train(plan, self.seeds[0])).model
        return sum(p.numel() for p in model.parameters()) / 1e6

    def _settings(self, plan: Run, seed: int, recipe: RecipeConfig) -> dict[str, Any]:
        train = dict(self.scale.train) | (dict(self.scale.tuning) if plan.start else {}) | dict(plan.train)
        raw = train.get("pca") is False
        folders = {
            n: plan.folders.get(n) or (self.sets[n].dataset.folder if raw else self.sets[n].codes)
            for n in plan.sets
        }
        tree: dict[str, Any] = {}
        if plan.start is not None:
            anew = plan.keep != "all"
            tree = recipes.settings(recipe, [open_dataset(f) for f in folders.values()], anew=anew)
        else:
            facts = {"identities": (), "heads": {"any": 1}, "default_annotation": "any"}
            tree["model"] = laid_over(self.scale.base, plan.model) | facts
        sources = [{"path": str(folder), "repeat": REPEATS.get(n, 1.0)} for n, folder in folders.items()]
        kept = {key: tree[key] for key in ("model", "cards") if key in tree}
        return {key: value for key, value in (kept | train).items() if value is not None} | {
            "sources": sources,
            "seed": seed,
        }


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
