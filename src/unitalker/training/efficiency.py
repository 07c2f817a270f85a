"""Data efficiency: how good a new annotation becomes with less and less data, from a trained encoder and from none.

The paper's Fig. 4 asks this of UniTalker's encoder. Each point is a run of its own: the same settings and the same number
of steps, a fraction of each subject's training clips, measured on all validation clips.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unitalker.animation.animator import Animator
from unitalker.config import RecipeConfig, TrainConfig, give_way, merged
from unitalker.data.dataset import Clip, Dataset, link, open_dataset, write_manifest
from unitalker.errors import ConfigError
from unitalker.models import checkpoint
from unitalker.training import recipes
from unitalker.training.table import MILLIMETRES, Comparison, compare

FRACTIONS = (1.0, 0.5, 0.25, 0.125)
STARTS = ("trained", "random")
"""Encoders that a run begins with: the model's, or one of the same architecture with random weights."""


@dataclass(frozen=True)
class Point:
    """One fraction of the data. clips, seconds: in training. errors: start → the comparison with a resting face."""

    fraction: float
    clips: int
    seconds: float
    errors: Mapping[str, Comparison]


def subset(dataset: Dataset, out: Path, fraction: float) -> Dataset:
    """A dataset folder with a fraction of each subject's training clips and all others, its files hard links.

    Clips are taken in the order of the SHA-256 of their ids, at least one of each subject, so that smaller sets are
    parts of larger ones. Raises ConfigError for a fraction outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"A fraction of the data must lie above 0 and at most at 1, not {fraction:g}.")
    chosen: set[str] = set()
    for subject in dataset.subjects:
        mine = [c.id for c in dataset.clips if c.subject == subject and c.split == "train"]
        mine.sort(key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        chosen |= set(mine[: math.ceil(fraction * len(mine))])
    clips = tuple(c for c in dataset.clips if c.split != "train" or c.id in chosen)
    return with_clips(dataset, out, clips)


def with_clips(dataset: Dataset, out: Path, clips: Sequence[Clip]) -> Dataset:
    """The dataset with these of its clips, in splits of their own, as a folder whose files are hard links."""
    for place in _files(dataset, clips):
        (out / place).parent.mkdir(parents=True, exist_ok=True)
        link(dataset.path(place), out / place)
    if dataset.cards is not None:
        shutil.copytree(dataset.cards, out / "annotations", dirs_exist_ok=True)
    made = replace(dataset, folder=out, clips=tuple(clips))
    write_manifest(made)
    return made


def _files(dataset: Dataset, clips: Sequence[Clip]) -> Iterator[str]:
    if dataset.templates is not None:
        yield dataset.templates
    for clip in clips:
        for kind in ("audio", "motion", "residual"):
            if getattr(clip, kind):
                yield getattr(clip, kind)


def curve(
    data: Path,
    model: str,
    out: Path,
    *,
    fractions: Sequence[float] = FRACTIONS,
    changes: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Point]:
    """Train on every fraction of a dataset, from the model's encoder and from a random one; decoder and head are new.

    changes: settings over those of an annotation transfer. Sets and runs go into `out`, and runs that are complete are
    not trained again. Raises what the data, the model or training raise.
    """
    dataset = open_dataset(data)
    points = []
    for fraction in fractions:
        part = subset(dataset, out / f"{fraction:g}" / dataset.folder.name, fraction)
        training = part.split("train")
        errors = {}
        for start in STARTS:
            if say:
                say(f"{fraction:g} of {dataset.name} ({len(training)} clips), {start} encoder …")
            run = out / f"{fraction:g}" / start
            _train(part, model, run, start == "trained", changes or {})
            errors[start] = compare(part, Animator(checkpoint.load(recipes.result(run))), None)
        points.append(Point(fraction, len(training), sum(c.seconds for c in training), errors))
    return points


def _train(part: Dataset, model: str, run: Path, trained: bool, changes: Mapping[str, Any]) -> None:
    """One run of the curve; both starts have the same settings."""
    recipe = RecipeConfig(finetune=model, keep="encoder")
    tree = recipes.settings(recipe, [part], anew=True) | {"sources": [{"path": str(part.folder)}]}
    config = TrainConfig.parse(merged(give_way(tree, changes), changes))
    trainer = recipes.open_recipe(recipe if trained else RecipeConfig(), config, run)
    trainer.run(workers=0)


def curve_table(points: Sequence[Point], figure: str = "LVE") -> str:
    """The curve as Markdown: one figure after each start, beside a resting face's. Lengths are printed in mm."""
    lines = [
        f"| data | clips | minutes | {figure} of a resting face | from a random encoder | from the model's | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for point in points:
        found = point.errors
        size = MILLIMETRES.get(found["trained"].unit, 1.0) ** (2 if figure == "LVE" else 1)
        rest, random, trained = (
            size * figures[figure]
            for figures in (found["trained"].before, found["random"].after, found["trained"].after)
        )
        lines.append(
            f"| {point.fraction:g} | {point.clips} | {point.seconds / 60:.2f} | {rest:.4g} | {random:.4g} | "
            f"{trained:.4g} | {trained / random:.2f} |"
        )
    return "\n".join(lines)
