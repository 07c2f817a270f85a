"""Which dataset stands for which of the paper's: those that are given, else small synthetic twins."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unitalker.data.dataset import Dataset, dataset_folders, open_dataset
from unitalker.data.pca import encode_dataset
from unitalker.data.synthesize import TWINS, synthesize
from unitalker.data.views import View, make_view
from unitalker.errors import DataError
from unitalker.evaluation.protocols.base import Part
from unitalker.evaluation.protocols.published import BENCH
from unitalker.evaluation.published import SETS
from unitalker.files import atomic
from unitalker.training.efficiency import with_clips

ENDS = 65536
"""Bytes of a file's beginning and end that tell it from others."""
TWIN, OPEN, GIVEN = "synthetic twin", "open benchmark", "given"
REPEATS = {"D0": 10.0, "D1": 5.0, "D2": 4.0}
"""How often an epoch holds each clip of a dataset, where not once: the paper's factors."""
FACES = tuple(name for name, twin in TWINS.items() if twin.kind != "rest")
PARTS = {part.name.split()[0]: part for part in BENCH}
"""The paper's datasets by id, as the protocol of A2F-Bench has them."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How much of datasets a bench uses. seconds, subjects: of each synthetic twin, None for its own. components: of PCA
    bases, at most. test: clips that a dataset is measured on at most, None for all."""

    seconds: float | None = None
    subjects: int | None = None
    components: int = 512
    test: int | None = None


@dataclass(frozen=True)
class BenchSet:
    """A dataset of the bench. id: D0 … D7, or its own name where it is none of them. dataset: as given, which is measured
    on. values: what models train on that predict every coordinate: in the protocol's splits and at its frame rate. codes:
    the same for models with PCA; the folder of values where there are no vertices. kind: twin, open or given."""

    id: str
    dataset: Dataset
    values: Path
    codes: Path
    kind: str

    @property
    def whole(self) -> bool:
        """Whether values are there, not codes of a basis alone."""
        return self.dataset.stored == "values"

    @property
    def about(self) -> str:
        """A line for reports: what it is, how much of it."""
        part = PARTS.get(self.id, Part(self.id))
        clips = {split: part.clips(self.dataset, split) for split in ("train", "val", "test")}
        minutes = sum(c.seconds for found in clips.values() for c in found) / 60
        listed = " / ".join(str(len(found)) for found in clips.values())
        return (
            f"{self.id}: {self.dataset.name} ({self.kind}), {self.dataset.annotation}, {len(self.dataset.subjects)} "
            f"subjects, {listed} clips, {minutes:.1f} min"
        )


def find_sets(data: Sequence[Path], out: Path, sizes: Sizes, say: Say) -> dict[str, BenchSet]:
    """The datasets of a bench by id, in the paper's order, others behind.

    data: dataset folders, or folders of them; none: twins, made in out/sets. Vertices get their PCA codes in out/codes, and
    datasets of other splits or frame rates than the paper's what it trains on in out/values, all once. Raises DataError for
    two datasets of one id, for a folder that is none, and for other recordings than those that `out` was begun with.
    """
    folders = dataset_folders(data) if data else _twins(out / "sets", sizes, say)
    given: dict[str, Dataset] = {}
    for folder in folders:
        dataset = open_dataset(folder)
        name = _id(dataset)
        if name in given:
            raise DataError(f"{given[name].folder} and {folder} are both {name}; give one of them.")
        given[name] = dataset
    _check_same(given, out / "sources.json")
    order = {name: place for place, name in enumerate(SETS)}
    cards: dict[str, Path] = {}
    found = {}
    for name in sorted(given, key=lambda name: (order.get(name, len(order)), name)):
        values = _values(given[name], PARTS.get(name), out / "values" / name, say)
        codes = _codes(values, out / "codes" / name, cards, sizes.components, say)
        found[name] = BenchSet(name, given[name], values.folder, codes, _kind(given[name]))
    return found


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of a dataset's manifest and cards, and of the length, beginning and end of every file of motion and sound."""
    found = hashlib.sha256()
    cards = sorted(dataset.cards.iterdir()) if dataset.cards else []
    for path in (dataset.folder / "dataset.json", *cards):
        found.update(path.read_bytes())
    for name in (name for clip in dataset.clips for name in (clip.motion, clip.audio) if name):
        with dataset.open(name) as file:
            found.update(file.read(ENDS))
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - ENDS))
            found.update(length.to_bytes(8, "little") + file.read())
    return found.hexdigest()


def _check_same(given: Mapping[str, Dataset], path: Path) -> None:
    """Note what the datasets are; raises DataError where a folder was begun with others of the same ids."""
    known = json.loads(path.read_text()) if path.is_file() else {}
    now = {name: fingerprint(dataset) for name, dataset in given.items()}
    if other := [name for name in now if known.get(name, now[name]) != now[name]]:
        raise DataError(
            f"{path.parent} holds work on other recordings, splits or lists of {', '.join(other)} than those of "
            f"{given[other[0]].folder}: use another output folder."
        )
    with atomic(path) as draft:
        draft.write_text(json.dumps(known | now, indent=1))


def _twins(place: Path, sizes: Sizes, say: Say) -> list[Path]:
    missing = [name for name in FACES if not (place / name / "dataset.json").is_file()]
    if missing:
        say(f"No --data: making synthetic twins, {', '.join(missing)} …")
        synthesize(place, kinds=missing, seconds=sizes.seconds, subjects=sizes.subjects)
    return [place / name for name in FACES]


def _id(dataset: Dataset) -> str:
    """The paper's name of a dataset, by what its manifest says; its own name for others."""
    if dataset.extra.get("benchmark"):
        return dataset.name
    return next((name for name, part in PARTS.items() if part.fits(dataset)), dataset.name)


def _kind(dataset: Dataset) -> str:
    if dataset.name in TWINS:
        return TWIN
    return OPEN if dataset.extra.get("benchmark") else GIVEN


def _values(dataset: Dataset, part: Part | None, made: Path, say: Say) -> Dataset:
    """The dataset as the paper trains on it: as given, or made in `made` with the protocol's splits and frame rate."""
    if part is None:
        return dataset
    clips = dataset.clips
    if part.split_of is not None:
        clips = tuple(replace(clip, split=part.split_of(clip)) for clip in clips)
    slower = part.fps is not None and dataset.fps > part.fps + 1e-3
    if not slower and clips == dataset.clips:
        return dataset
    if (made / "dataset.json").is_file():
        return open_dataset(made)
    if slower:
        say(f"{dataset.name} at {part.fps:g} frames a second …")
        return make_view(replace(dataset, clips=clips), made, View(fps=part.fps)).dataset
    return with_clips(dataset, made, clips)


def _codes(dataset: Dataset, made: Path, cards: dict[str, Path], components: int, say: Say) -> Path:
    """The dataset of PCA codes of one of vertices; other datasets as they are. Datasets of one annotation have the basis of
    the first, whose card is kept in `cards`."""
    if dataset.unit in ("weight", "flame"):
        return dataset.folder
    if dataset.stored == "codes":
        made = dataset.folder
    elif not (made / "dataset.json").is_file():
        say(f"PCA of {dataset.name} …")
        encode_dataset(dataset, made, components, card=cards.get(dataset.annotation))
    cards.setdefault(dataset.annotation, made / "annotations" / f"{dataset.annotation}.json")
    return made
