"""The doctor's counts: a whole copy of each corpus agrees with its table, by every way to split it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from unitalker.cli import main
from unitalker.data.dataset import Clip, Dataset, open_dataset
from unitalker.data.importers import biwi, expected, multiface_facts, vocaset_facts
from unitalker.data.importers.expected import Expected
from unitalker.data.likes import Size, make_like
from unitalker.evaluation.doctor.counts import absent, count

Split = Callable[[str, int], str]


def whole(table: Expected, numbers: range, name: Callable[[str, int], str], split: Split) -> list[Clip]:
    """The clips of a copy that lacks nothing but what no copy has."""
    return [
        Clip(name(who, n), who, "a.flac", "m.npy", split(who, n), 2.0)
        for who in table.subjects
        for n in numbers
        if name(who, n) not in table.missing
    ]


def held(table: Expected, clips: list[Clip], way: str = "") -> Dataset:
    names = tuple(f"n{i}" for i in range(table.width))
    facts = (Path("none"), "whole", table.annotation, table.fps, table.unit, names, table.subjects)
    return Dataset(*facts, tuple(clips), extra={"corpus": table.corpus, "way": way})


def copies() -> Iterator[tuple[str, Expected, list[Clip]]]:
    table = replace(biwi.EXPECTED, frames={})
    yield "", table, whole(table, range(1, 41), lambda who, n: f"{who}_e{n:02d}", biwi.split_of)
    table = vocaset_facts.EXPECTED
    for way in table.ways:
        split = partial(vocaset_facts.split_of, way)
        yield way, table, whole(table, range(1, 41), lambda who, n: f"{who}_sentence{n:02d}", split)
    table = multiface_facts.EXPECTED
    yield (
        "",
        table,
        whole(table, range(1, 51), lambda w, n: f"{w}_{n}", lambda _, n: multiface_facts.split_of(n)),
    )


@pytest.mark.parametrize("way, table, clips", tuple(copies()), ids=lambda x: getattr(x, "corpus", None) or "")
def test_a_whole_copy_agrees_with_its_table(way: str, table: Expected, clips: list[Clip]) -> None:
    dataset = held(table, clips, way)
    assert [c for c in count(dataset, table) if not c.agrees] == [] and absent(dataset, table) == []
    (lost,) = [c for c in count(replace(dataset, clips=dataset.clips[1:]), table) if not c.agrees]
    assert lost.found == float(lost.published) - 1 and lost.what == f"sequences, {clips[0].split}"


def test_unused_sequences_are_no_mismatch_and_unknown_splits_are() -> None:
    table = vocaset_facts.EXPECTED
    clips = [Clip("a", table.subjects[0], "a", "m", split, 1.0) for split in ("unused", "tets")]
    told = {c.what: c for c in count(held(table, clips, "faceformer"), table)}
    assert "sequences, unused" not in told and not told["sequences, tets"].agrees
    assert told["sequences, test"].published == 39 and told["sequences, train"].published == 320


def test_the_way_of_an_import_reaches_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_like("vocaset", tmp_path / "source", Size(people=1, takes=3, seconds=1.0))
    assert (
        main(["data", "import", "vocaset", str(source), str(tmp_path / "set"), "--split", "faceformer"]) == 0
    )
    assert open_dataset(tmp_path / "set").extra["way"] == "faceformer"
    capsys.readouterr()
    assert main(["data", "doctor", str(tmp_path / "set")]) == 0
    told = capsys.readouterr().out
    table = expected("vocaset")
    assert table is not None
    for split, due in table.ways["faceformer"].items():
        assert f"published: sequences, {split} {due}, here" in told
    assert "sequences, unused" not in told and "383" not in told
