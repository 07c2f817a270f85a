"""The paper's tables as commands: their form, their figures, doing nothing twice, going on, refusing with sentences."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation_sets import make_set, motion
from unitalker.annotations import builtin
from unitalker.cli import main
from unitalker.cli.tables import EVERY
from unitalker.data.dataset import open_dataset
from unitalker.errors import DataError, DivergedError
from unitalker.evaluation.published import PUBLISHED
from unitalker.models import checkpoint
from unitalker.rig import builtin_head
from unitalker.training import trainer as training
from unitalker.training.paper import bench
from unitalker.training.paper.grid import ASIDE

pytest.importorskip("transformers", reason="the quick form has small encoders of the transformers library")

TABLE2 = {"LVE": ("lve", 1e5), "MVE": ("mve", 1e3), "UFVE": ("ufve", 1e3), "FDD": ("fdd_absolute", 1e7)}
"""Column → metric, and what it is multiplied by in print."""
FEW = ("--quick", "--set", "steps=2", "--set", "batch=2", "--set", "warmup_steps=1")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mesh that calls itself D0 and weights that call themselves D7, two subjects each, about a second a clip."""
    place, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    splits = ("train", "train", "val", "test")

    def clips(make):
        return {f"s{s}_{i}": (f"s{s}", split, make(28)) for s in range(2) for i, split in enumerate(splits)}

    weights = builtin.weight_annotation("arkit52", builtin_head(), 1.0)
    make_set(place / "mesh", clips(lambda n: motion(n, rng)), name="biwi")
    made = clips(lambda n: rng.uniform(0, 0.3, (n, 52)).astype(np.float32))
    make_set(place / "weights", made, weights, 30.0, name="song")
    return place


@pytest.fixture(scope="module")
def out(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Table 5 of both, done once."""
    place = tmp_path_factory.mktemp("bench")
    assert main(["bench", "table5", *FEW, "--data", str(data), "-o", str(place)]) == 0
    return place


def stamps(place: Path) -> dict[str, int]:
    """File → when it was written, of runs and figures."""
    return {
        str(p): p.stat().st_mtime_ns
        for room in ("runs", "figures")
        for p in (place / room).rglob("*")
        if p.is_file()
    }


def test_a_table_has_a_row_a_model_a_column_a_dataset_and_the_paper_s_figures(out: Path) -> None:
    tree = json.loads((out / "table5.json").read_text())
    (grid,) = tree["grids"]
    assert grid["columns"] == ["D0", "D7"] and list(grid["rows"]) == ["L-[D*]", "L-[D0-D7]", "L-FT"]
    assert grid["rows"]["L-FT"]["D7"]["paper"] == 1.178
    for cells in grid["rows"].values():
        assert all(len(one["values"]) == 1 and one["values"][0] > 0 for one in cells.values())
    text = (out / "table5.md").read_text()
    assert "| | D0, 1e-4 u² | D7, 1e-6 m² |" in text  # the toy's u, since it is not BIWI's mesh
    assert ASIDE in text and "| L-FT | 3.816 | 1.178 |" in text and "(1.178)" not in text
    assert "On D0, only-D0, all, tuned-D0: biwi has the annotation 'toy', not 'BIWI_23370_vertices'" in text
    assert "sequences: 2, published: 24" in text
    assert "[D0-D7] stands for all datasets that are here: D0, D7." in text
    assert "biwi (given)" in text and "song (given)" in text and "twin" not in text
    assert {p.name for p in (out / "runs").iterdir()} == {
        f"{name}.0" for name in ("all", "only-D0", "only-D7", "tuned-D0", "tuned-D7")
    }


@pytest.mark.parametrize("run", ["all.0", "tuned-D7.0"])
def test_figures_are_those_of_evaluate(out: Path, data: Path, run: str, tmp_path: Path) -> None:
    given, name = ("weights", "D7") if "D7" in run else ("mesh", "D0")
    command = [
        "evaluate",
        str(out / "runs" / run / "model"),
        "--protocol",
        "a2f-bench",
        "--data",
        str(data / given),
    ]
    assert main([*command, "--json", str(tmp_path / "f.json")]) == 0
    found = json.loads((tmp_path / "f.json").read_text())["metrics"]
    kept = json.loads((out / "figures" / f"{run}.{name}.json").read_text())["metrics"]
    assert {k: v["value"] for k, v in kept.items()} == {k: v["value"] for k, v in found.items()}
    row = {"all.0": "L-[D0-D7]", "tuned-D7.0": "L-FT"}[run]
    printed = json.loads((out / "table5.json").read_text())["grids"][0]["rows"][row][name]["values"][0]
    factor = {"D0": 1e4, "D7": 1.0}[name]
    assert printed == pytest.approx(found["lve"]["value"] * factor, rel=1e-6)


def test_a_second_call_and_other_tables_do_nothing_twice(out: Path, data: Path) -> None:
    before, page = stamps(out), (out / "table5.md").read_text()
    assert main(["bench", "table5", *FEW, "--data", str(data), "-o", str(out)]) == 0
    assert stamps(out) == before and (out / "table5.md").read_text() == page
    assert main(["bench", "table7", *FEW, "--data", str(data), "-o", str(out), "--sets", "D7"]) == 0
    after = stamps(out)
    assert {k: after[k] for k in before} == before
    new = {Path(path).relative_to(out).parts[1] for path in set(after) - set(before)}
    assert new == {"decoder-transformer.0", "decoder-transformer.0.D7.json", "decoder-transformer.0.D7.npz"}


def test_a_run_that_is_stopped_goes_on_and_ends_as_the_others(
    out: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGINT in the middle of the second run, by the real handler."""
    step, begun = training.Trainer._train_step, []

    def interrupted(self, batches):
        step(self, batches)
        begun.append(self.folder.path.name)
        if begun == ["only-D0.0", "only-D0.0", "only-D7.0"]:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training.Trainer, "_train_step", interrupted)
    command = ["bench", "table5", *FEW, "--data", str(data), "-o", str(tmp_path)]
    assert main(command) == 3
    assert "the same command goes on" in capsys.readouterr().err
    assert len(begun) == 3 and not (tmp_path / "runs" / "only-D7.0" / "done.json").exists()
    assert main(command) == 0
    assert begun[3:5] == ["only-D7.0", "all.0"]
    assert json.loads((tmp_path / "table5.json").read_text()) == json.loads((out / "table5.json").read_text())


def test_a_run_that_diverges_is_a_result(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self, batches):
        raise DivergedError("The loss is not finite at step 0; lower --lr.")

    monkeypatch.setattr(training.Trainer, "_train_step", fails)
    command = ["bench", "table7", *FEW, "--data", str(data), "-o", str(tmp_path), "--sets", "D0"]
    assert main(command) == 0
    text = (tmp_path / "table7.md").read_text()
    assert "| TCN | diverged |" in text and "not finite at step 0" in text
    assert json.loads((tmp_path / "table7.json").read_text())["grids"][0]["rows"]["TCN"]["D0"]["values"] == [
        None
    ]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bench all`, a step or two a run, on a mesh that calls itself D1 and weights that call themselves D7."""
    place, rng, head = tmp_path_factory.mktemp("all"), np.random.default_rng(2), builtin_head()
    weights, face = builtin.weight_annotation("arkit52", head, 1.0), builtin.mesh_topology("face", head)
    splits = ("train", "train", "val", "test")
    made = {
        f"s{s}_{i}": (f"s{s}", split, rng.uniform(0, 0.3, (28, 52)).astype(np.float32))
        for s in range(2)
        for i, split in enumerate(splits)
    }
    meshes = {
        name: (who, split, builtin.displacements("face", head, values, weights.names).astype(np.float32))
        for name, (who, split, values) in made.items()
    }
    make_set(place / "sets" / "face", meshes, face, 30.0, name="d1", templates=None)
    make_set(place / "sets" / "weights", made, weights, 30.0, name="song")
    flags = ["--quick", "--set", "steps=1", "--set", "batch=2", "--data", str(place / "sets")]
    assert main(["bench", EVERY, *flags, "-o", str(place / "out")]) == 0
    return place / "out"


def grids(out: Path, name: str) -> list[dict]:
    assert (out / f"{name}.md").is_file()
    return json.loads((out / f"{name}.json").read_text())["grids"]


def test_compared_models_with_parameters_and_seconds(everything: Path) -> None:
    """Tab. 2 with all baselines, CodeTalker in two stages; Tab. 10."""
    (grid,) = grids(everything, "table2")
    rows, known = grid["rows"], PUBLISHED["table2-vocaset"]
    assert list(rows)[:4] == ["FaceFormer", "CodeTalker", "SelfTalk", "FaceDiffuser"] and len(rows) == 7
    assert all(rows[name]["LVE"]["paper"] == known.at(name, "LVE") for name in list(rows)[:4])
    b = rows["UniTalker-B-[D0-D7]"]
    assert b["× B"]["values"] == [1.0] and rows["FaceFormer"]["× B"]["paper"] == round(0.624 / 0.022, 1)
    for cells in rows.values():
        ratio = cells["seconds"]["values"][0] / b["seconds"]["values"][0]
        assert cells["× B"]["values"][0] == pytest.approx(ratio)
    runs = {"FaceFormer": "faceformer-D1", "SelfTalk": "selftalk-D1", "UniTalker-L-[D0-D7]": "all"}
    for label, run in runs.items():
        kept = json.loads((everything / "figures" / f"{run}.0.D1.json").read_text())["metrics"]
        for column, (name, factor) in TABLE2.items():
            assert kept[name]["unit"] in ("m", "m²")
            assert rows[label][column]["values"] == [pytest.approx(kept[name]["value"] * factor)]
    stages = [everything / "runs" / f"{name}-D1.0" / "model" for name in ("codetalker-motion", "codetalker")]
    trained = sum(
        p.numel() for one in stages for p in checkpoint.load(one).model.parameters() if p.requires_grad
    )
    assert rows["CodeTalker"]["params, M"]["values"] == [pytest.approx(trained / 1e6)]
    (ten,) = grids(everything, "table10")
    assert list(ten["rows"]) == ["autoregressive", "not autoregressive"]
    assert ten["rows"]["autoregressive"]["LVE"]["values"] == rows["FaceFormer"]["LVE"]["values"]


def test_growing_sets_one_sentence_and_less_data(everything: Path) -> None:
    (four,) = grids(everything, "table4")
    assert four["columns"] == ["D1", "D1-D7"]
    assert four["rows"]["Preprocessing"]["D1"]["values"] == four["rows"]["UniTalker"]["D1"]["values"]
    carried = open_dataset(everything / "made" / "D7-on-D1")
    assert (carried.annotation, carried.stored) == ("face", "codes")
    (eight,) = grids(everything, "table8")
    assert len(eight["rows"]) == 3 and all(cells["LVD"]["values"][0] > 0 for cells in eight["rows"].values())
    one = open_dataset(everything / "made" / "one-sentence-D1")
    assert [(clip.id, clip.split) for clip in one.clips] == [("s0_0", "train")]
    kept = json.loads((everything / "figures" / "one-shot-D1-all.0.D1-one-shot.json").read_text())
    assert kept["asked"]["clips"] == ["s0_1", "s0_2", "s0_3"]
    assert not (everything / "runs" / "one-shot-D1-all.0" / "best").exists()
    after = checkpoint.load(
        everything / "runs" / "one-shot-D1-decoder.0" / "model"
    ).model.encoder.state_dict()
    before = checkpoint.load(everything / "runs" / "without-D1.0" / "model").model.encoder.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    share, who = grids(everything, "fig4")
    assert list(share["rows"]) == ["1", "0.25"] and share["columns"][1] == "UniTalker-[D7]"
    assert len(open_dataset(everything / "made" / "D1-0.25").split("train")) == 2
    assert who["columns"][:3] == ["own", "pivot", "others"] and len(who["rows"]) == 2
    assert all(len(one["values"]) == 1 for cells in who["rows"].values() for one in cells.values())


def test_pictures_and_pages(everything: Path) -> None:
    """Fig. 5 and 6 and the study's pages; maps are those of evaluate."""
    (five,) = grids(everything, "fig5")
    assert len(five["rows"]) == 4 and five["columns"] == ["16", "64"]
    for name in (
        "fig4.png",
        "fig5.tcn.D1.png",
        "fig5.tcn.D1.training.png",
        "fig6.models.D1.png",
        "fig6.D7.png",
    ):
        with Image.open(everything / name) as image:
            assert min(image.size) > 100 and len(set(image.convert("L").tobytes())) > 20
        assert f"![{name}]({name})" in (everything / f"{name[:4]}.md").read_text()
    (six,) = grids(everything, "fig6")
    with np.load(everything / "figures" / "all.0.D1.npz") as maps:
        error = six["rows"]["UniTalker-L-[D0-D7]"]["error"]["values"][0]
        assert error == pytest.approx(float(maps["map.error"].mean()))
    pages = {label: everything / "table3" / label for label in ("FaceFormer", "CodeTalker", "SelfTalk")}
    for label, page in pages.items():
        key = json.loads((page / "study.json").read_text())
        assert key["b"] == label and label not in (page / "index.html").read_text()


def test_answers_of_the_study_stand_in_its_table(everything: Path, tmp_path: Path) -> None:
    """One person prefers UniTalker everywhere, in the study beside SelfTalk."""
    key = json.loads((everything / "table3" / "SelfTalk" / "study.json").read_text())
    answers = [
        {"clip": clip, "question": question, "side": key["a_is"][clip]}
        for clip in key["clips"]
        for question in key["questions"]
    ]
    sheet = {"format": "unitalker.answers", "rater": "r", "answers": answers} | {
        name: key[name] for name in ("study", "seed", "drawn_among")
    }
    (tmp_path / "r.json").write_text(json.dumps(sheet))
    sets = everything.parent / "sets"
    flags = ["--quick", "--set", "steps=1", "--set", "batch=2", "--data", str(sets), "-o", str(everything)]
    assert main(["bench", "table3", *flags, "--answers", str(tmp_path / "r.json")]) == 0
    (grid,) = grids(everything, "table3")
    cells = grid["rows"]["UniTalker beside SelfTalk, 1 answering"]
    assert [one["values"] for one in cells.values()] == [[100.0]] * 3
    assert cells["emotion"]["paper"] == 82.1


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--data", "nowhere"], "There is no dataset folder nowhere"),
        (["--data", "{data}", "--sets", "D3"], "There is no dataset 'D3'"),
        (["--data", "{data}", "--data", "{data}/mesh"], "are both D0; give one of them"),
        (["--data", "{data}", "--seeds", "0,x"], "--seeds takes different whole numbers"),
        (["--data", "{data}", "--scale", "quik"], "did you mean 'quick'?"),
        (["--data", "{data}", "--scale", "full", "--quick"], "--quick is --scale quick"),
        (["--data", "{data}", "--set", "stepz=1"], "did you mean 'steps'"),
        (["--data", "{data}", "--set", "model=1"], "There is no setting 'model'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    flags: list[str], sentence: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = [] if "--scale" in flags else ["--quick"]
    given = [flag.replace("{data}", str(data)) for flag in flags]
    assert main(["bench", "table5", *quick, *given, "-o", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_folder_holds_runs_of_one_choice_of_settings(
    out: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "table5", "--quick", "--set", "steps=3", "--data", str(data), "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert "only-D0.0 holds a run with other settings (" in said and "steps" in said


def test_other_recordings_of_the_same_names_are_refused(
    out: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data, tmp_path / "data")
    (motion_file,) = (tmp_path / "data" / "mesh" / "motion").glob("s0_0.npy")
    values = np.load(motion_file)
    np.save(motion_file, values[::-1])
    before = stamps(out)
    command = ["bench", "table5", *FEW, "--data", str(tmp_path / "data"), "-o", str(out)]
    assert main(command) == 2
    assert "holds work on other recordings, splits or lists of D0" in capsys.readouterr().err
    np.save(motion_file, values)
    assert main(command) == 0 and stamps(out) == before


def test_one_table_that_cannot_be_made_leaves_the_others(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bad(lab):
        raise DataError("there is no such mesh.")

    monkeypatch.setattr(bench, "TABLES", {"table4": bad, "table7": bench.TABLES["table7"]})
    command = ["bench", EVERY, *FEW, "--data", str(data), "-o", str(tmp_path), "--sets", "D7"]
    assert main(command) == 1
    seen = capsys.readouterr()
    assert "table4 could not be made: there is no such mesh." in seen.err
    assert (tmp_path / "table7.md").is_file() and not (tmp_path / "table4.md").exists()


def test_a_study_of_models_that_diverged_is_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = training.Trainer._train_step

    def fails(self, batches):
        if "faceformer" in self.folder.path.name:
            raise DivergedError("The loss is not finite at step 0; lower --lr.")
        step(self, batches)

    monkeypatch.setattr(training.Trainer, "_train_step", fails)
    monkeypatch.setattr("unitalker.training.paper.people.RIVALS", {"FaceFormer": "faceformer"})
    flags = ["--quick", "--set", "steps=1", "--set", "batch=2", "--data", str(data), "-o", str(tmp_path)]
    assert main(["bench", "table3", *flags]) == 0
    text = (tmp_path / "table3.md").read_text()
    assert (
        "faceformer-D0, seed 0: The loss is not finite" in text and "index.html" not in text.split("Send")[0]
    )
