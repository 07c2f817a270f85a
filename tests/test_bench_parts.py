"""What the paper's tables are made of: data as it is trained on, cells, units, losses, the paper's own figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from evaluation_sets import make_set, motion, toy
from unitalker.cli import main
from unitalker.cli.tables import EVERY, NAMES
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import vocaset_facts
from unitalker.data.pca import encode_dataset
from unitalker.evaluation.published import HALF_BIWI_LVE, HOURS, PUBLISHED
from unitalker.models.presets import preset
from unitalker.training.paper import bench
from unitalker.training.paper.compared import in_unit
from unitalker.training.paper.grid import ASIDE, Cell, Grid, cell
from unitalker.training.paper.sets import Sizes, find_sets

pytest.importorskip("transformers", reason="the quick form has small encoders of the transformers library")

SHARED = Path(__file__).parents[2] / "shared" / "paper"
BASELINES = ("selftalk", "facediffuser", "codetalker", "codetalker-motion")
FEW = ("--quick", "--set", "steps=2", "--set", "batch=2", "--set", "warmup_steps=1")


def test_training_has_the_protocol_s_splits_and_rate(tmp_path: Path) -> None:
    """A copy split for FaceFormer, at 60 fps, is trained on in the paper's way, so that no test clip is learnt."""
    subject = vocaset_facts.TRAIN[0]
    rng = np.random.default_rng(1)
    names = [f"{subject}_sentence{i:02d}" for i in range(1, 13)]
    clips = {name: (subject, "train", motion(60, rng)) for name in names}
    given = make_set(tmp_path / "given", clips, toy(), 60.0, name="vocaset")
    (one,) = find_sets([given.folder], tmp_path, Sizes(components=8), lambda line: None).values()
    due = {n: vocaset_facts.split_of("unitalker", subject, int(n[-2:])) for n in names}
    for folder in (one.values, one.codes):
        made = open_dataset(folder)
        assert one.id == "D1" and made.fps == 30 and {c.id: c.split for c in made.clips} == due
        assert made.name == given.name and len(made.motion(made.clips[0])) == 30
    assert "test" in due.values() and "train" in due.values()
    assert one.dataset.fps == 60


def test_codes_without_their_vertices_are_used_as_they_are(tmp_path: Path) -> None:
    """Alone they can be learnt by heads of codes, measured, and compared with no model that predicts every coordinate."""
    rng = np.random.default_rng(3)
    clips = {
        f"a_{i}": ("a", split, motion(30, rng)) for i, split in enumerate(("train", "train", "val", "test"))
    }
    made = make_set(tmp_path / "mesh", clips, name="mine")
    encode_dataset(made, tmp_path / "codes", 6)
    flags = [*FEW, "--data", str(tmp_path / "codes"), "-o", str(tmp_path / "out")]
    assert main(["bench", "table7", *flags]) == 0 and main(["bench", "table4", *flags]) == 0
    (grid,) = json.loads((tmp_path / "out" / "table7.json").read_text())["grids"]
    assert grid["columns"] == ["mine"] and grid["rows"]["TCN"]["mine"]["values"][0] > 0
    assert "Needs a dataset of vertices" in (tmp_path / "out" / "table4.md").read_text()


def test_every_command_has_its_table_and_help() -> None:
    assert list(NAMES) == [*bench.TABLES, EVERY]


def test_cells_tell_seeds_units_and_the_paper() -> None:
    assert cell([(2.0, "mm²"), (4.0, "mm²")], "table5", "L-FT", "D1", 1e6).text() == "3 ± 1.414 (8.06)"
    assert cell([(2.0, "mm²")], factor=1e6).unit == "1e-6 m²" and cell([(2.0, "mm²")], factor=1e6).values == (
        2.0,
    )
    assert cell([(5e-4, "U²")], factor=1e4).text() == "5" and cell([(1.5, "mm")], factor=1e3).values == (1.5,)
    assert Cell((float("nan"),), "", 1.5).text() == "diverged (1.5)" and Cell((), "", 1.5).text() == "– (1.5)"
    apart = Grid("", ("a", "b"), {"x": {"a": Cell((2.0,), "", 3.0, False), "b": Cell((1.0,), "", 5.0)}})
    assert apart.markdown().splitlines()[2:] == [
        "| x | 2 | 1 (5) |", "", ASIDE, "", "| paper | a |", "|---|---|", "| x | 3 |"
    ]  # fmt: skip
    grid = Grid(
        "", ("a",), {"x": {"a": Cell((2.0,))}, "y": {"a": Cell((1.0,))}, "z": {"a": Cell((float("nan"),))}}
    )
    assert grid.markdown().splitlines()[2:] == ["| x | 2 |", "| y | **1** |", "| z | diverged |"]


def test_baselines_keep_the_published_balance_of_losses_in_another_unit() -> None:
    """Numbers of 0.2 of the files': squares are 0.04 of theirs, absolute values and noise 0.2."""
    balanced = {name: in_unit(preset(f"{name}-25"), 0.2)["decoder"] for name in BASELINES}
    assert balanced["selftalk"]["motion_weight"] * 0.04 == pytest.approx(1000)
    assert balanced["selftalk"]["velocity_weight"] * 0.04 == pytest.approx(1000)
    assert balanced["facediffuser"]["noise"] / 0.2 == pytest.approx(1)
    assert balanced["codetalker"]["motion_weight"] * 0.04 == pytest.approx(1)
    first = balanced["codetalker-motion"]["autoencoder"]["quantiser_weight"]
    assert 0.2 / first == pytest.approx(1)
    assert in_unit(preset("codetalker"), 1.0) == preset("codetalker")


def test_published_figures_are_the_paper_s() -> None:
    """Read once more from the paper's text, where it lies beside this checkout."""
    if not (SHARED / "unitalker-paper.txt").is_file():
        pytest.skip("the paper's text is not here")
    text = (SHARED / "unitalker-paper.txt").read_text()
    rows = [
        [part.strip() for part in line.strip("| \n").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    numbers = [tuple(float(p.rstrip("%")) for p in row if re.fullmatch(r"[0-9.]+%?", p)) for row in rows]
    for name, table in PUBLISHED.items():
        for label, figures in table.rows.items():
            printed = tuple(value for value in figures if value is not None)
            if name != "table10":
                assert printed in numbers, f"{name}, {label}"
                continue
            assert any(set(printed) <= set(row) for row in numbers), label
    assert f"{HALF_BIWI_LVE}" in text
    hours = [tuple(float(p[:-1]) for p in row if re.fullmatch(r"[0-9.]+h", p)) for row in rows]
    assert tuple(HOURS.values()) in hours
