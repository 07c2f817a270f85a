"""The paper's data release, used in place: the folders D0_BIWI … D7_unitalker_song become one dataset each.

A folder is usable when it has train.json, val.json or test.json with the files that these name and, for vertices,
id_template.npy. Motion and 16 kHz sound are linked, not copied; vertices stay positions and become displacements when
they are read. Datasets are called D0 … D7 and their subjects as imported checkpoints call them, so that identities agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unitalker.annotations.released.cards import card_of
from unitalker.annotations.released.folder import LISTS, PCA, TEMPLATE, DataFolder, subject_names
from unitalker.annotations.released.resources import Resources
from unitalker.annotations.released.sets import ANNOTATIONS, SETS, ReleasedSet
from unitalker.data.importers.corpus import Corpus, Imported, Options, Progress, write_corpus
from unitalker.data.importers.expected import Expected
from unitalker.data.importers.release_entries import Part, Reader, read_lists
from unitalker.errors import ConfigError, DataError, UniTalkerError

KIND = "unitalker-v1"
ROOT = "unitalker_data_release_V1"
RESOURCES = "resources"
PREPARATION = "release"
"""The one preparation that can be asked for: the published code's."""
COUNTS = {
    "D0": (238, 0.33),
    "D1": (473, 0.56),
    "D2": (612, 0.67),
    "D3": (2039, 5.49),
    "D4": (1440, 1.48),
    "D5": (1714, 3.65),
    "D6": (789, 1.24),
    "D7": (1349, 5.11),
}
"""Dataset → sequences and hours, as the paper counts them."""
CORPORA = {
    "D0": "biwi",
    "D1": "vocaset",
    "D2": "multiface",
    "D3": "3detf-hdtf",
    "D4": "3detf-ravdess",
}
"""Dataset → importer of the corpus that it is made of."""


def _expected(known: ReleasedSet) -> Expected:
    annotation = ANNOTATIONS[known.annotation]
    sequences, hours = COUNTS[known.id]
    return Expected(
        corpus=KIND,
        annotation=annotation.name,
        unit=annotation.unit,
        fps=annotation.fps,
        width=annotation.dim,
        scale=known.scale,
        sequences=sequences,
        people=known.subjects,
        hours=hours,
        licence="the UniTalker data release has no licence of its own; each part has that of its corpus",
        source=f"UniTalker data release V1, {known.folder}",
    )


EXPECTED = {known.id: _expected(known) for known in SETS}


@dataclass
class State:
    """What a folder of the release is: usable or not, and the sentence about it."""

    known: ReleasedSet
    usable: bool
    text: str


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write a dataset `out`/D0 … for each usable folder. Raises DataError where there is none."""
    if options.preparation not in (None, PREPARATION):
        raise ConfigError(f"--preparation can be {PREPARATION!r} alone, not {options.preparation!r}.")
    if options.preparation and options.fps:
        raise ConfigError("--preparation release says the frame rate itself; leave --fps out.")
    folder, chosen = _folder(source)
    resources, told = _resources(folder.root, options.regions)
    states = [_state(folder, known) for known in chosen]
    lacking = [state.text for state in states]
    reader = Reader(options.preparation == PREPARATION, options.fps)
    corpora, problems = [], []
    for state in states:
        if state.usable:
            try:
                corpora.append(_corpus(folder, state.known, resources, reader))
            except UniTalkerError as fault:
                problems.append(f"{state.known.folder} was left out: {fault}")
    made = list(_written(corpora, out, problems, progress))
    if not made:
        raise DataError(" ".join(["No folder of the release can be used.", *lacking, *problems]))
    first = made[0]
    made[0] = replace(first, notes=(*lacking, *told, *first.notes), problems=(*problems, *first.problems))
    return made


def _folder(source: Path) -> tuple[DataFolder, list[ReleasedSet]]:
    """The release's folder, and which of its datasets are meant: all, or the one that `source` is the folder of."""
    whole = source.resolve()
    for known in SETS:
        parts = Path(known.folder).parts
        if whole.parts[-len(parts) :] == parts:
            return DataFolder(whole.parents[len(parts) - 1]), [known]
    inside = source / ROOT
    return DataFolder(inside if inside.is_dir() else source), list(SETS)


def _resources(root: Path, given: Path | None) -> tuple[Resources | None, list[str]]:
    """The release's resources folder: the one given, or the one beside the data; and what is told of it."""
    beside = root.resolve().parent / RESOURCES
    if given is None and not beside.is_dir():
        return None, [
            f"There is no folder {RESOURCES} beside the release: weights count on the built-in head, and LVE of vertices "
            "cannot be measured; say where it is with --regions."
        ]
    place = given or beside
    return Resources(place), [f"Lips, triangles and rigs are those of {place}."]


def _state(folder: DataFolder, known: ReleasedSet) -> State:
    """Whether a folder is whole enough to be used, and what it lacks."""
    place = folder.place(known)
    if not place.is_dir():
        return State(known, False, f"{known.folder} is not there.")
    there = [name for name in (TEMPLATE, PCA) if (place / name).is_file()]
    lists = [name for name in LISTS if (place / name).is_file()]
    remedy = (
        f" `unitalker data import {CORPORA[known.id]}` reads the corpus itself."
        if known.id in CORPORA
        else ""
    )
    if not lists:
        has = f"holds {' and '.join(there)}, but" if there else "holds"
        return State(
            known, False, f"{known.folder} {has} none of {', '.join(LISTS)}: it has no clips.{remedy}"
        )
    vertices = ANNOTATIONS[known.annotation].kind == "vertices"
    if vertices and TEMPLATE not in there:
        return State(
            known, False, f"{known.folder} lacks {TEMPLATE}, without which its vertices mean nothing.{remedy}"
        )
    absent = [name for name in LISTS if name not in lists]
    absent += [PCA] if vertices and PCA not in there else []
    lacks = f", without {' and '.join(absent)}" if absent else ""
    return State(known, True, f"{known.folder} is used as {known.id}{lacks}.")


def _corpus(folder: DataFolder, known: ReleasedSet, resources: Resources | None, reader: Reader) -> Corpus:
    """A folder as a corpus that can be written."""
    annotation, rows = ANNOTATIONS[known.annotation], folder.neutral(known)
    lists = read_lists(folder.place(known))
    people = len(rows) if rows is not None else len(lists.subjects) or known.subjects
    names = subject_names(lists.subjects, people)
    part = Part(known, annotation, folder.place(known).resolve(), names, rows)
    basis = folder.basis(known) if annotation.kind == "vertices" else None
    neutral: dict[str, np.ndarray] = {} if rows is None else dict(zip(names, rows, strict=True))
    added = {f"{known.id}/{name}": row for name, row in neutral.items()}
    corpus = Corpus(
        known.id,
        EXPECTED[known.id],
        card_of(annotation, added if annotation.kind != "vertices" else None, basis, resources),
        (),
        {name: row.reshape(-1, 3) for name, row in neutral.items()} if annotation.kind == "vertices" else {},
        link=True,
        notes=lists.notes(people),
        problems=lists.problems,
    )
    corpus.fps = reader.takes(part, lists, corpus)
    sequences = EXPECTED[known.id].sequences
    corpus.notes.insert(
        0, f"{known.id}: {len(corpus.takes)} sequences of {sequences}, {corpus.fps:g} frames a second."
    )
    return corpus


def _written(
    corpora: list[Corpus], out: Path, problems: list[str], progress: Progress | None
) -> Iterator[Imported]:
    """Write the corpora one after the other; one of which nothing can be used is a problem."""
    total, before = sum(len(corpus.takes) for corpus in corpora), 0
    for corpus in corpora:
        try:
            yield write_corpus(corpus, out / corpus.name, _shifted(progress, before, total))
        except UniTalkerError as fault:
            problems += [*corpus.problems, str(fault)]
        before += len(corpus.takes)


def _shifted(progress: Progress | None, before: int, total: int) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    tell = progress
    return lambda done, _: tell(before + done, total)
