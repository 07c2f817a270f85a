"""Which dataset stands for which of the paper's: those that are given, else small synthetic twins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.pca import encode_dataset
from unitalker.data.synthesize import TWINS, synthesize
from unitalker.errors import DataError
from unitalker.evaluation.protocols.published import BENCH
from unitalker.evaluation.published import SETS

TWIN, OPEN, GIVEN = "twin", "open", "given"
REPEATS = {"D0": 10.0, "D1": 5.0, "D2": 4.0}
"""How often an epoch holds each clip of a dataset, where not once: the paper's factors."""
FACES = tuple(name for name, twin in TWINS.items() if twin.kind != "rest")


@dataclass(frozen=True)
class BenchSet:
    """A dataset of the bench. id: D0 … D7, or its own name where it is none of them. dataset: as captured. codes: what models
    with PCA train on, the same folder where there are no vertices. kind: twin, open or given."""

    id: str
    dataset: Dataset
    codes: Path
    kind: str

    @property
    def about(self) -> str:
        """A line for reports: what it is, how much of it."""
        clips = self.dataset.clips
        counts = {split: sum(c.split == split for c in clips) for split in ("train", "val", "test")}
        minutes = sum(c.seconds for c in clips if c.split in counts) / 60
        kind = {TWIN: "synthetic twin", OPEN: "open benchmark", GIVEN: "given"}[self.kind]
        listed = " / ".join(str(n) for n in counts.values())
        return f"{self.id}: {self.dataset.name} ({kind}), {listed} clips, {minutes:.1f} min"


def find_sets(
    data: Sequence[Path], out: Path, seconds: float | None, say: Callable[[str], None]
) -> dict[str, BenchSet]:
    """The datasets of a bench by id, in the paper's order, others behind.

    data: dataset folders, or folders of them; none: twins of `seconds` each (None: their own length), made in out/sets.
    Vertices get their PCA codes in out/codes, once. Raises DataError for two datasets of one id and for a folder that
    is none.
    """
    folders = expanded(data) if data else _twins(out / "sets", seconds, say)
    found: dict[str, BenchSet] = {}
    cards: dict[str, Path] = {}
    for folder in folders:
        dataset = open_dataset(folder)
        name = _id(dataset)
        if name in found:
            raise DataError(f"{found[name].dataset.folder} and {folder} are both {name}; give one of them.")
        if dataset.stored == "codes":
            raise DataError(
                f"{folder} stores codes; give the dataset of vertices, and the bench makes codes itself."
            )
        found[name] = BenchSet(name, dataset, _codes(dataset, out / "codes", cards, say), _kind(dataset))
    order = {name: place for place, name in enumerate(SETS)}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def expanded(folders: Sequence[Path]) -> list[Path]:
    """The folders, one that is no dataset but holds some replaced by those."""
    out: list[Path] = []
    for folder in folders:
        inside = sorted(path.parent for path in folder.glob("*/dataset.json"))
        out += [folder] if (folder / "dataset.json").is_file() or not inside else inside
    return out


def _twins(place: Path, seconds: float | None, say: Callable[[str], None]) -> list[Path]:
    missing = [name for name in FACES if not (place / name / "dataset.json").is_file()]
    if missing:
        say(f"No --data: making synthetic twins, {', '.join(missing)} …")
        synthesize(place, kinds=missing, seconds=seconds)
    return [place / name for name in FACES]


def _id(dataset: Dataset) -> str:
    """The paper's name of a dataset, by what its manifest says; its own name for others."""
    if dataset.extra.get("benchmark"):
        return dataset.name
    return next((part.name.split()[0] for part in BENCH if part.fits(dataset)), dataset.name)


def _kind(dataset: Dataset) -> str:
    if dataset.name in TWINS:
        return TWIN
    return OPEN if dataset.extra.get("benchmark") else GIVEN


def _codes(dataset: Dataset, place: Path, cards: dict[str, Path], say: Callable[[str], None]) -> Path:
    """The dataset of PCA codes of one of vertices; other datasets as they are. Datasets of one annotation have the basis of
    the first, whose card is kept in `cards`."""
    if dataset.unit in ("weight", "flame"):
        return dataset.folder
    made = place / dataset.folder.name
    if not (made / "dataset.json").is_file():
        say(f"PCA of {dataset.name} …")
        encode_dataset(dataset, made, card=cards.get(dataset.annotation))
    cards.setdefault(dataset.annotation, made / "annotations" / f"{dataset.annotation}.json")
    return made
