"""The lab: trains the models that tables ask for and measures them, each once; what is there is not made again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unitalker.animation.animator import Animator
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.errors import AnnotationError, ConfigError, DataError, DivergedError, unknown
from unitalker.evaluation.predictions import FromModel
from unitalker.evaluation.protocols import PROTOCOLS
from unitalker.evaluation.protocols.base import Protocol
from unitalker.evaluation.protocols.run import NOT_GIVEN, Options, run
from unitalker.evaluation.published import SETS
from unitalker.models import checkpoint
from unitalker.training import recipes
from unitalker.training.paper.maps import save_maps
from unitalker.training.paper.progress import Progress
from unitalker.training.paper.records import check_same_run, check_start, identity_of, kept, write
from unitalker.training.paper.runs import WEIGHTS, Made, Run, View, clips_seen, recipe_of, train_config
from unitalker.training.paper.scales import FULL, Scale
from unitalker.training.paper.sets import GIVEN, PARTS, TWIN, BenchSet
from unitalker.training.paper.timing import seconds_of, trainable

Figures = dict[str, dict[str, Any]]
NAMED = 3
"""Runs that a remark of an evaluation names, at most."""


@dataclass(frozen=True)
class Wishes:
    """What a user may say. columns: ids of the datasets to measure on, default all. flame: file of a FLAME model. audio: folder
    of sounds for the user study, answers: files of its answers."""

    columns: tuple[str, ...] = ()
    flame: Path | None = None
    audio: Path | None = None
    answers: tuple[Path, ...] = ()


class Lab:
    """Datasets, sizes and the folder where runs and figures stay.

    out: folder. sets: from `find_sets`. seeds: every figure is of so many runs. progress: told what is done; while it is
    planning, nothing is trained or measured, only counted. bench: ids of the paper's datasets that are there, where there is
    none of all. skipped: sentences for what could not be measured. remarks: (dataset, what the evaluation told of it) → the
    runs that it was told of. failed: table → why it could not be made.
    """

    def __init__(
        self,
        out: Path,
        sets: Mapping[str, BenchSet],
        scale: Scale,
        seeds: Sequence[int],
        progress: Progress,
        wishes: Wishes | None = None,
    ) -> None:
        self.out, self.sets, self.scale, self.seeds = out, sets, scale, tuple(seeds)
        self.progress, self.wishes = progress, wishes or Wishes()
        self.bench = tuple(name for name in sets if name in SETS) or tuple(sets)
        for name in self.wishes.columns:
            if name not in self.bench:
                raise ConfigError(unknown("dataset", name, self.bench))
        self.columns = self.wishes.columns or self.bench
        self.skipped: list[str] = []
        self.remarks: dict[tuple[str, str], list[str]] = {}
        self.failed: dict[str, str] = {}

    @property
    def full(self) -> bool:
        """Whether models have the paper's sizes."""
        return self.scale.name == FULL.name

    def comparable(self, name: str) -> bool:
        """Whether errors on a dataset compare with the paper's: of its recordings, on its mesh, by models of its sizes."""
        part, given = PARTS.get(name), self.sets[name]
        alike = part is not None and bool(part.unit) and given.dataset.annotation == part.annotation
        return self.full and alike and given.kind == GIVEN

    def has(self, *names: str) -> bool:
        """Whether all these datasets are there."""
        return all(name in self.sets for name in names)

    def rate(self, name: str) -> float:
        """Frames a second that models of a dataset are trained at."""
        part, fps = PARTS.get(name), self.sets[name].dataset.fps
        return fps if part is None or part.fps is None else min(part.fps, fps)

    def size(self, name: str) -> float:
        """How much of a dataset's annotation's unit the unit of published figures is."""
        part, annotation = PARTS.get(name), self.sets[name].dataset.annotation
        return part.size if part is not None and part.annotation == annotation else 1.0

    def folder(self, plan: Run, seed: int) -> Path:
        """The folder of a run."""
        return self.out / "runs" / f"{plan.name}.{seed}"

    def made(self, one: Made) -> Path:
        """The folder of a dataset that a table makes, made unless it is there."""
        folder = self.out / "made" / one.name
        if not (folder / "dataset.json").is_file():
            self.progress.say(f"making {one.name} …")
            folder.parent.mkdir(parents=True, exist_ok=True)
            one.make(folder)
        return folder

    def train(self, plan: Run, seed: int) -> Path | None:
        """The model folder of a run, trained unless it is there; a run that was stopped goes on. None while planning.

        Raises KeyboardInterrupt where it was asked to stop, DivergedError where the loss became no number, ConfigError where
        the folder holds a run of other settings.
        """
        if self.progress.planning:
            for one in plan.chain():
                done = (self.folder(one, seed) / "done.json").is_file()
                self.progress.expect(
                    f"{one.name}.{seed}", 0.0 if done else clips_seen(one, self.scale, self.sets)
                )
            return None
        before = None if plan.start is None else self.train(plan.start, seed)
        folder, sources = self.folder(plan, seed), self._sources(plan)
        recipe = recipe_of(plan, before, list(sources.values()))
        config = train_config(plan, seed, self.scale, sources, recipe)
        told = identity_of(config, sources, plan)
        done = folder / "done.json"
        if done.is_file():
            old = json.loads(done.read_text())
            check_same_run(folder, old, told)
            check_start(self.folder(plan.start, seed) if plan.start else None, folder)
            if old.get("failed"):
                raise DivergedError(old["failed"])
            return recipes.result(folder)
        with self.progress.run(f"{plan.name}, seed {seed}", f"{plan.name}.{seed}") as report:
            start = self.folder(plan.start, seed) if plan.start is not None and plan.keep == WEIGHTS else None
            trainer = recipes.open_recipe(recipe, config, folder, start=start, say=lambda line: None)
            try:
                trainer.run(lambda step, figures: report(step / trainer.steps, figures), workers=0)
            except DivergedError as fault:
                write(done, told | {"failed": str(fault)})
                raise
            if not trainer.ended:
                raise KeyboardInterrupt
            write(done, told)
        return recipes.result(folder)

    def _sources(self, plan: Run) -> dict[str, Dataset]:
        return {
            n: open_dataset(
                self.made(plan.data[n])
                if n in plan.data
                else self.sets[n].values
                if plan.raw
                else self.sets[n].codes
            )
            for n in plan.sets
        }

    def figures(
        self, plan: Run, seed: int, name: str, identity: str | None = None, view: View | None = None
    ) -> Figures:
        """Metric → its entry (value, unit, interval, counts) of a run's model on a dataset's test clips, or its validation
        clips where it has no test clips. identity: another rule than each clip's own subject. view: another way to measure.

        Empty while planning, where the loss became no number, and where the model has no head for the dataset.
        """
        path = self._figures_path(plan, seed, view.name if view else name, identity)
        if self.progress.planning:
            self.train(plan, seed)
            return {}
        try:
            model = self.train(plan, seed)
        except DivergedError as fault:
            self.skip(f"{plan.name}, seed {seed}: {fault}")
            return {"diverged": {"value": float("nan")}}
        assert model is not None
        protocol, dataset = (view.protocol, view.dataset) if view else self.measured(name)
        asked = {"protocol": protocol.name, "clips": [c.id for c in dataset.clips], "dataset": dataset.name}
        found = kept(path, model, asked)
        if found is None:
            self.progress.note(f"measuring {plan.name} on {name}")
            try:
                found = {"asked": asked} | self._measure(plan, model, protocol, dataset, identity, path)
            except (AnnotationError, DataError) as fault:
                self.skip(f"{plan.name} on {name}: {fault}")
                return {}
            write(path, found)
        # Of twins the report's head says that nothing of them is as published.
        twin = self.sets[name].kind == TWIN
        for told in [*found["told"], *(() if twin else found["differences"])]:
            runs = self.remarks.setdefault((name, told), [])
            if plan.name not in runs:
                runs.append(plan.name)
        return found["metrics"]

    def _measure(
        self,
        plan: Run,
        model: Path,
        protocol: Protocol,
        dataset: Dataset,
        identity: str | None,
        path: Path,
    ) -> dict[str, Any]:
        """What the evaluation of a model finds, its maps written beside `path`. told: its notes and problems."""
        source = FromModel(Animator(checkpoint.load(model)), "the model")
        options = Options(identity=identity, flame=self.wishes.flame, keep=True)
        result = run(protocol, [dataset], source, options)
        part = result.parts[0]
        save_maps(part, path.with_suffix(".npz"))
        own = [note for note in result.notes if not note.startswith(NOT_GIVEN)]
        told = [*own, *(f"left out: {line}" for line in part.problems)]
        if part.facts["split"] == "val":
            told.append("its validation clips chose the weights as well, so figures on them are too good.")
        figures = part.to_dict()["metrics"]
        return {"facts": part.facts, "metrics": figures, "told": told, "differences": part.differences}

    def _figures_path(self, plan: Run, seed: int, name: str, identity: str | None) -> Path:
        whose = f".{identity.replace('/', '-')}" if identity else ""
        return self.out / "figures" / f"{plan.name}.{seed}.{name}{whose}.json"

    def maps(self, plan: Run, seed: int, name: str) -> Path | None:
        """The file of a run's maps on a dataset (see `maps.py`), None where `figures` is empty or has no maps."""
        if not self.figures(plan, seed, name) or self.progress.planning:
            return None
        path = self._figures_path(plan, seed, name, None).with_suffix(".npz")
        return path if path.is_file() else None

    def measured(self, name: str) -> tuple[Protocol, Dataset]:
        """How a dataset is measured: the protocol, and the dataset with no more test clips than the scale wants."""
        dataset, most = self.sets[name].dataset, self.scale.sizes.test
        held = PARTS[name].clips(dataset) if name in PARTS else []
        protocol = PROTOCOLS["a2f-bench" if held else "open"]
        test = (
            held
            or [c for c in dataset.clips if c.split == "test"]
            or [c for c in dataset.clips if c.split == "val"]
        )
        if most is None or len(test) <= most:
            return protocol, dataset
        kept = {test[i * len(test) // most].id for i in range(most)}
        left = {clip.id for clip in test} - kept
        return protocol, replace(dataset, clips=tuple(c for c in dataset.clips if c.id not in left))

    def values(
        self, plan: Run, name: str, metric: str, identity: str | None = None, view: View | None = None
    ) -> list[tuple[float, str]]:
        """A figure of every seed's run with its unit; none where the dataset has no such figure."""
        found = [self.figures(plan, seed, name, identity, view) for seed in self.seeds]
        entries = [one.get(metric, one.get("diverged")) for one in found]
        return [(float(e["value"]), str(e.get("unit", ""))) for e in entries if e is not None]

    def times(self, table: str, rows: Mapping[str, tuple[Run, str]]) -> dict[str, float]:
        """Row → seconds to animate 10 s of noise with the first seed's model, through a dataset's head; all rows one after
        the other, again and again, so that ratios are fair."""
        plans = {label: plan for label, (plan, _) in rows.items()}
        if self.progress.planning:
            for plan in plans.values():
                self.train(plan, self.seeds[0])
            return {}
        folders = {label: self.model(plan) for label, plan in plans.items()}
        folders = {label: folder for label, folder in folders.items() if folder is not None}
        path = self.out / "figures" / f"seconds.{table}.json"
        newest = max(((f / "model.safetensors").stat().st_mtime for f in folders.values()), default=0.0)
        if path.is_file() and path.stat().st_mtime > newest:
            kept = json.loads(path.read_text())
            if list(kept) == list(folders):
                return kept
        self.progress.note("timing")
        asked = {
            label: (folder, self.sets[rows[label][1]].dataset.annotation, self.rate(rows[label][1]))
            for label, folder in folders.items()
        }
        found = seconds_of(asked, self.scale.repeats)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, found)
        return found

    def model(self, plan: Run) -> Path | None:
        """The model folder of a run's first seed; None while planning, and where its loss became no number, which is noted."""
        try:
            return self.train(plan, self.seeds[0])
        except DivergedError as fault:
            self.skip(f"{plan.name}, seed {self.seeds[0]}: {fault}")
            return None

    def parameters(self, plan: Run) -> list[float]:
        """Millions of parameters that train, in all runs that lead to a model by way of weights."""
        chain = [one for one in plan.chain() if one is plan or plan.keep == WEIGHTS]
        folders = [] if self.progress.planning else [self.model(one) for one in chain]
        found = [trainable(folder) for folder in folders if folder is not None]
        return [sum(found) / 1e6] if len(found) == len(chain) else []

    def curve(self, plan: Run, seed: int) -> list[dict[str, float]]:
        """The lines of a run's log, of a run that failed too."""
        path = self.folder(plan, seed) / "metrics.jsonl"
        if self.progress.planning or not path.is_file():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()]

    def skip(self, text: str) -> None:
        """Note a sentence for the report."""
        if text not in self.skipped:
            self.skipped.append(text)

    def forget(self) -> None:
        """Begin another report."""
        self.skipped.clear()
        self.remarks.clear()

    def sentences(self) -> list[str]:
        """What a report has to tell besides its figures: what could not be measured, and what evaluations told."""
        told = []
        for (name, text), runs in self.remarks.items():
            more = f" and {len(runs) - NAMED} more" if len(runs) > NAMED else ""
            told.append(f"On {name}, {', '.join(runs[:NAMED])}{more}: {text}")
        return [*self.skipped, *told]
