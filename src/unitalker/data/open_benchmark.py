"""The open benchmark: four annotations of real speech from public recordings, with fixed splits. See docs/open.md.

Everything is built in a hidden folder beside the sets and takes its place when it is whole; the card is written last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from unitalker.annotations import builtin
from unitalker.annotations.base import Annotation
from unitalker.annotations.cards import save_card
from unitalker.data.dataset import Dataset, open_dataset, write_manifest
from unitalker.data.importers import importer
from unitalker.data.open_card import RULES, Ledger, SetFacts, card, markdown
from unitalker.data.open_deal import SETS, few
from unitalker.data.open_sets import (
    COMPONENTS,
    Piece,
    Topology,
    grid_clips,
    head_topology,
    mesh_topology,
    recorded_clips,
    trusted,
)
from unitalker.data.pca import encode_dataset
from unitalker.data.placing import new_folder
from unitalker.errors import DataError
from unitalker.files import atomic
from unitalker.rig import builtin_head

MARK = "unitalker.open"
CARD, TEXT = "card.json", "CARD.md"
MADE_OF = ("grid_s1", "facegood")

OTHERS = {
    "source": "of other recordings",
    "rig": "of another --rig",
    "quick": "of the other size (with or without --quick)",
    "vertices": "with other files kept (with or without --vertices)",
}
"""What differs between two builds, in words."""

Progress = Callable[[float, str], None]
"""Called with the share that is done, and what is being done."""
Clips = Callable[[], Iterator[Piece]]


@dataclass(frozen=True)
class Options:
    """rig: file of the second mesh's topology, else the front skin of the built-in head. vertices: keep the meshes'
    vertices as datasets too. quick: an eighth of all clips."""

    rig: Path | None = None
    vertices: bool = False
    quick: bool = False


def build(source: Path, out: Path, options: Options | None = None, progress: Progress | None = None) -> bool:
    """Write the four datasets and their card to the folder `out`; False where the same ones are there already.

    source: folder with grid_s1/ and facegood/. Raises DataError for recordings that are missing or unknown, for one
    sound in two places, and where `out` holds other files under the names of the sets.
    """
    options, tell = options or Options(), progress or (lambda share, what: None)
    _check_source(source)
    made_from = {
        "source": _fingerprint(source),
        "rig": None if options.rig is None else _digest(options.rig),
        "quick": options.quick,
        "vertices": options.vertices,
    }
    if _already(out, made_from):
        return False
    with new_folder(out), TemporaryDirectory(prefix=".open-", dir=out) as hidden:
        work = _Work(Path(hidden), options, tell)
        facts = work.sets(source)
        told = card(facts, work.ledger, made_from)
        _place(Path(hidden), out, work.folders)
        for name, text in ((TEXT, markdown(told)), (CARD, json.dumps(told, indent=1) + "\n")):
            with atomic(out / name, DataError) as draft:
                draft.write_text(text, encoding="utf-8")
    tell(1.0, "done")
    return True


def _check_source(source: Path) -> None:
    missing = [name for name in MADE_OF if not (source / name).is_dir()]
    if missing:
        raise DataError(
            f"{source} has no folder {missing[0]}; the benchmark is made of {' and '.join(MADE_OF)} (docs/open.md says "
            "where they come from)."
        )


def _already(out: Path, made_from: dict[str, Any]) -> bool:
    """Whether `out` holds just this benchmark. Raises DataError where it holds something else under our names."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; give a folder for the benchmark.")
    for name in _names(True):
        path = out / name
        if path.exists() and not _ours(path):
            raise DataError(f"{path} is there already and no part of the benchmark; give another folder.")
    if not (out / CARD).is_file():
        return False
    try:
        old = json.loads((out / CARD).read_text(encoding="utf-8"))["made_from"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{out / CARD} is no card of the benchmark; give another folder.") from None
    if old != made_from:
        other = " and ".join(OTHERS[k] for k in made_from if old.get(k) != made_from[k])
        raise DataError(
            f"{out} holds the benchmark {other} already; give another folder, or remove it first."
        )
    return all((out / name / "dataset.json").is_file() for name in _names(made_from["vertices"]))


def _names(vertices: bool) -> tuple[str, ...]:
    return (*SETS, *(f"{name}-vertices" for name in SETS[2:] if vertices))


def _ours(folder: Path) -> bool:
    try:
        return open_dataset(folder).extra.get("benchmark") == MARK
    except DataError:
        return False


def _place(hidden: Path, out: Path, folders: Iterable[str]) -> None:
    """Move whole sets to their places; what an earlier, stopped run left there goes away with the hidden folder."""
    for name in folders:
        if (out / name).exists():
            (out / name).rename(hidden / f"old-{name}")
        (hidden / name).rename(out / name)


def _digest(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"There is no rig file {path}.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fingerprint(source: Path) -> str:
    """SHA-256 of the names and sizes of all files of the source, and of the npz files' content."""
    total = hashlib.sha256()
    for path in sorted(p for name in MADE_OF for p in (source / name).rglob("*") if p.is_file()):
        content = _digest(path) if path.suffix == ".npz" else ""
        total.update(f"{path.relative_to(source).as_posix()} {path.stat().st_size} {content}\n".encode())
    return total.hexdigest()


class _Work:
    """The building of the four sets in a hidden folder. ledger: every clip that was written; folders: what is whole."""

    def __init__(self, hidden: Path, options: Options, tell: Progress) -> None:
        self.hidden, self.options, self.tell = hidden, options, tell
        self.ledger = Ledger()
        self.folders: list[str] = []

    def sets(self, source: Path) -> list[SetFacts]:
        """Import, deal, write."""
        self.tell(0.0, "importing GRID")
        grid = _imported("grid", source / "grid_s1", self.hidden / "from-grid")[0]
        self.tell(0.25, "importing FACEGOOD")
        raw, arkit = _imported("facegood", source / "facegood", self.hidden / "from-facegood")
        self.tell(0.3, "writing grid")
        facts = [self._weights("grid", grid, lambda: grid_clips(grid, "grid"))]
        self.tell(0.45, "writing facegood")
        facts.append(self._weights("facegood", raw, lambda: recorded_clips(raw, raw, "facegood", raw.fps)))
        self.tell(0.5, "writing head")
        facts.append(self._mesh("head", head_topology(), lambda: _driving(grid, None, "head"), (grid,)))
        self.tell(0.75, "writing mesh")
        second, both = mesh_topology(self.options.rig), (arkit, raw)
        facts.append(self._mesh("mesh", second, lambda: _driving(grid, both, "mesh"), (grid, arkit)))
        return facts

    def _weights(self, name: str, source: Dataset, clips: Clips) -> SetFacts:
        face = builtin.weight_annotation(source.annotation, builtin_head())
        facts = {"names": source.names, "known": source.known}
        made = self._write(self.hidden / name, self._noted(name, clips), face, (source,), facts)
        self.folders.append(name)
        measured = builtin.mesh_topology("face", builtin_head())
        return _facts(name, made, face, measured.regions)

    def _mesh(self, name: str, topology: Topology, clips: Clips, drivers: tuple[Dataset, ...]) -> SetFacts:
        """Vertices, then codes of a basis fitted on the training split."""
        face, folder = topology.annotation, f"{name}-vertices"
        moved = (replace(one, values=topology.move(one.values)) for one in self._noted(name, clips))
        facts = {"extra": {"driven_by": [one.name for one in drivers]}}
        with TemporaryDirectory(prefix="vertices-", dir=self.hidden) as room:
            values = self._write(Path(room) / name, moved, face, drivers, facts)
            save_card(face, values.folder / "annotations")
            made = encode_dataset(values, self.hidden / name, COMPONENTS, centre="rest")
            if self.options.vertices:
                values.folder.rename(self.hidden / folder)
                self.folders.append(folder)
        self.folders.append(name)
        return _facts(name, made.dataset, made.annotation, face.regions)

    def _write(
        self,
        folder: Path,
        pieces: Iterator[Piece],
        face: Annotation,
        of: tuple[Dataset, ...],
        facts: dict[str, Any],
    ) -> Dataset:
        """A dataset of pieces, in the words of the datasets that they are of."""
        for room in ("audio", "motion"):
            (folder / room).mkdir(parents=True)
        extra = {
            "benchmark": MARK,
            "notes": list(RULES),
            "before": {one.name: one.extra.get("notes") for one in of},
        }
        dataset = Dataset(
            folder,
            f"open-{folder.name}",
            face.name,
            of[0].fps,
            face.unit,
            facts.get("names", face.names),
            (),
            tuple(piece.write(folder) for piece in pieces),
            known=facts.get("known"),
            licence="; ".join(one.licence for one in of),
            source="; ".join(one.source for one in of),
            extra=extra | facts.get("extra", {}),
        )
        dataset = replace(dataset, subjects=tuple(sorted({clip.subject for clip in dataset.clips})))
        write_manifest(dataset)
        return dataset

    def _noted(self, name: str, clips: Clips) -> Iterator[Piece]:
        """The clips of a set, each entered in the ledger; with --quick a few of each split."""
        chosen = None
        if self.options.quick:
            ids: dict[str, list[str]] = {}
            for clip in clips():
                ids.setdefault(clip.split, []).append(clip.id)
            chosen = {one for split in ids.values() for one in few(split)}
        for clip in clips():
            if chosen is None or clip.id in chosen:
                self.ledger.note(name, clip)
                yield clip


def _imported(kind: str, source: Path, out: Path) -> list[Dataset]:
    """Datasets of a corpus; a folder that is a dataset already (videos tracked by `data annotate`) as it is."""
    if (source / "dataset.json").is_file():
        return [open_dataset(source)]
    made = [open_dataset(folder) for folder in importer(kind)(source, out)]
    for problem in (line for one in made for line in one.extra.get("problems", ())):
        raise DataError(f"The benchmark needs every recording of {source}. {problem}")
    return made


def _driving(grid: Dataset, recorded: tuple[Dataset, Dataset] | None, home: str) -> Iterator[Piece]:
    """Clips of a mesh set with weights of arkit52 in place of vertices, channels that are not trusted at 0."""
    for clip in grid_clips(grid, home):
        yield replace(clip, values=trusted(grid, clip.values))
    if recorded is not None:
        shown, raw = recorded
        for clip in recorded_clips(raw, shown, home, grid.fps):
            yield replace(clip, values=trusted(shown, clip.values))


def _facts(name: str, dataset: Dataset, face: Annotation, regions: Any) -> SetFacts:
    masks = {k: np.sort(np.asarray(regions[k])) for k in ("lips", "upper_face") if k in regions}
    return SetFacts(name, dataset, face, masks)
