"""Which datasets' subjects are the rows of a published identity table, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product
from pathlib import Path

from unitalker.annotations.released.folder import LISTS, DataFolder, subject_names
from unitalker.annotations.released.sets import SETS, ReleasedSet
from unitalker.errors import ModelError, unknown


@dataclass(frozen=True)
class Cast:
    """A dataset whose subjects are in the table. subjects: their number; told: who says so; names: `D0/<subject>`."""

    dataset: ReleasedSet
    subjects: int
    told: str
    names: tuple[str, ...] = ()


def cast_of(
    heads: Sequence[str], rows: int, folder: DataFolder | None, asked: Sequence[str], source: Path
) -> tuple[list[Cast], list[str]]:
    """The datasets of an identity table in its order, with the names of their subjects, and remarks on them.

    heads: annotations of the checkpoint. rows: identities in the table, pivot excluded. asked: what --datasets says,
    as "D0" or "D0:6". Raises ModelError where the numbers of subjects do not add up, or add up in several ways.
    """
    known = {s.id: _counted(s, folder) for s in SETS}
    if asked:
        groups = [_asked(asked, heads, known)]
    else:
        groups = [[known[s.id] for s in sets] for sets in _subsets(heads)]
    fits = [group for group in groups if sum(c.subjects for c in group) == rows]
    if len(fits) > 1:
        ways = " or ".join(",".join(c.dataset.id for c in group) for group in fits[:4])
        raise ModelError(
            f"{source} may have been trained on {ways}: all have {rows} subjects. Say which with --datasets."
        )
    remarks: list[str] = []
    whole = fits[0] if fits else _completed(groups[-1], rows)
    if whole is None:
        raise ModelError(_mismatch(groups[-1], rows, source))
    if not fits:
        guess = next(c for c in whole if c.told == "the rows that remain")
        remarks.append(
            f"{guess.dataset.id} is taken to have {guess.subjects} subjects, the rows that remain."
        )
    return [_named(c, folder, remarks) for c in whole], remarks


def _counted(dataset: ReleasedSet, folder: DataFolder | None) -> Cast:
    found = folder.subjects(dataset) if folder else None
    if found is None:
        return Cast(dataset, dataset.subjects, "published")
    return Cast(dataset, found, "the data folder")


def _asked(asked: Sequence[str], heads: Sequence[str], known: dict[str, Cast]) -> list[Cast]:
    group = []
    for text in asked:
        name, _, count = text.partition(":")
        if name not in known:
            raise ModelError(unknown("released dataset", name, known))
        if count and not (count.isdecimal() and int(count) > 0):
            raise ModelError(f"--datasets {text}: the number of subjects must be 1 or more, not {count!r}.")
        dataset = known[name].dataset
        group.append(Cast(dataset, int(count), "--datasets") if count else known[name])
        if dataset.annotation not in heads:
            raise ModelError(f"--datasets names {name}, but the checkpoint has no head {dataset.annotation}.")
    missing = [h for h in heads if h not in {c.dataset.annotation for c in group}]
    if missing:
        owners = [s.id for s in SETS if s.annotation == missing[0]]
        raise ModelError(
            f"--datasets names none with the checkpoint's head {missing[0]}; add {' or '.join(owners)}."
        )
    if len({c.dataset.id for c in group}) < len(group):
        raise ModelError(f"--datasets names a dataset twice: {', '.join(asked)}.")
    return group


def _subsets(heads: Sequence[str]) -> Iterator[list[ReleasedSet]]:
    """Every choice of datasets that gives exactly these heads, the whole last."""
    choices = []
    for head in heads:
        owners = [s for s in SETS if s.annotation == head]
        choices.append([c for n in range(1, len(owners) + 1) for c in combinations(owners, n)])
    for picked in product(*choices):
        yield sorted(chain(*picked), key=SETS.index)


def _completed(group: list[Cast], rows: int) -> list[Cast] | None:
    """The group with the count of its one dataset that only the publication tells set to what remains of the rows."""
    open_ones = [c for c in group if c.told == "published"]
    rest = rows - sum(c.subjects for c in group if c.told != "published")
    if len(open_ones) != 1 or len(group) == 1 or rest < 1:
        return None
    return [Cast(c.dataset, rest, "the rows that remain") if c is open_ones[0] else c for c in group]


def _mismatch(group: list[Cast], rows: int, source: Path) -> str:
    counts = ", ".join(f"{c.dataset.id} {c.subjects} ({c.told})" for c in group)
    return (
        f"The identity table of {source} has {rows} subjects and the pivot, but the datasets of its heads have "
        f"{sum(c.subjects for c in group)}: {counts}. Give the data folder that it was trained with (--data-root), say "
        "the datasets, with their numbers of subjects if need be (--datasets D0:6,D1:12), or --without-pivot if it was "
        "trained without a pivot identity."
    )


def _named(cast: Cast, folder: DataFolder | None, remarks: list[str]) -> Cast:
    listed = folder.listed(cast.dataset) if folder else ()
    if listed and len(listed) != cast.subjects:
        remarks.append(
            f"{cast.dataset.id} has {cast.subjects} subjects, but {', '.join(LISTS)} name {len(listed)}; "
            "they are called by number."
        )
    subjects = subject_names(listed, cast.subjects)
    return Cast(cast.dataset, cast.subjects, cast.told, tuple(f"{cast.dataset.id}/{s}" for s in subjects))
