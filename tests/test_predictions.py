"""Another tool's predictions: read, scored as by the published script, refused with sentences."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from evaluation_fixtures import predict
from evaluation_sets import make_set, template
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.layouts import layout
from unitalker.cli import main
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import biwi
from unitalker.errors import DataError
from unitalker.evaluation.predictions import FromFolder
from unitalker.evaluation.protocols import find_protocol
from unitalker.evaluation.protocols.run import Options, run

RNG = np.random.default_rng(11)


def published(corpus: Path, made: dict[str, np.ndarray]) -> dict[str, float]:
    """What the published script computes, written out: pooled frames, whole vertices, templates.pkl's units."""
    regions = corpus / "source" / "regions"
    lips, upper = ([int(v) for v in (regions / f"{n}.txt").read_text().split(",")] for n in ("lve", "fdd"))
    neutral = open_dataset(corpus / "set")
    real_frames, made_frames, gaps = [], [], []
    for name, guess in made.items():
        clip, who = name.split("_condition_")[0], name.split("_")[0]
        real = np.load(corpus / "source" / "vertices_npy" / f"{clip}.npy").reshape(-1, biwi.VERTICES, 3)
        guess = guess.reshape(-1, biwi.VERTICES, 3)[: len(real)]
        real = real[: len(guess)]
        face = neutral.template(who)
        spread = [
            np.std(np.sum((side - face)[:, upper] ** 2, axis=2), axis=0).mean() for side in (real, guess)
        ]
        gaps.append(spread[0] - spread[1])
        real_frames.extend(real)
        made_frames.extend(guess)
    apart = np.array(real_frames, float) - np.array(made_frames, float)
    away = np.linalg.norm(apart, axis=2)
    return {
        "lve": float((away[:, lips] ** 2).max(1).mean()),
        "lvd": float(away[:, lips].max(1).mean()),
        "mve": float(away.mean()),
        "ufve": float(away[:, upper].mean()),
        "fdd": float(np.mean(gaps)),
        "fdd_clips": float(np.mean(np.abs(gaps))),
    }


def test_another_tools_files_score_as_by_the_published_script(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = predict(corpus, tmp_path / "made", "test")
    (name,) = made
    longer = np.concatenate([made[name], made[name][-2:]])
    np.save(tmp_path / "made" / f"{name}.npy", longer.reshape(len(longer), -1, 3))
    out, rows = tmp_path / "f.json", tmp_path / "f.csv"
    given = [
        "--protocol",
        "biwi-testA",
        "--data",
        str(corpus / "set"),
        "--json",
        str(out),
        "--csv",
        str(rows),
    ]
    assert (
        main(["evaluate", "--predictions", str(tmp_path / "made"), *given, "--maps", str(tmp_path / "m.npz")])
        == 0
    )
    told, seen = json.loads(out.read_text()), capsys.readouterr().out
    for metric, value in published(corpus, made).items():
        assert told["metrics"][metric]["value"] == pytest.approx(value, rel=1e-4), metric
    assert (
        f"longer than the truth: 1, by {len(longer) - 22} frames" in seen
        and "frames: 22, published: 3879" in seen
    )
    assert "sequences: 1, published: 24" in seen and "vertices of the region lips are not those" in seen
    lve, lips = (
        told["metrics"]["lve"],
        (corpus / "source" / "regions" / "lve.txt").read_text().replace(" ", ""),
    )
    assert lve["mask_sha256"] == hashlib.sha256(lips.encode()).hexdigest() and lve["mask_vertices"] == 4996
    assert lve["unit"] == "U²" and lve["frames"] == lve["count"] == 22 and lve["interval"] is None
    (row,) = csv.DictReader(io.StringIO(rows.read_text()))
    assert row["sequence"] == "F2_e37" and float(row["lve [U²]"]) == lve["value"]
    with np.load(tmp_path / "m.npz") as maps:
        assert maps["BIWI-Test-A/error"].mean() == pytest.approx(told["metrics"]["mve"]["value"], rel=1e-4)
        assert maps["BIWI-Test-A/velocity_std_truth"].shape == (biwi.VERTICES,)


def test_every_training_style_is_averaged_and_missing_files_are_named(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = predict(corpus, tmp_path / "made", "test_b", ["F2"])
    given = ["--protocol", "biwi-testB", "--data", str(corpus / "set"), "--json", str(tmp_path / "f.json")]
    command = ["evaluate", "--predictions", str(tmp_path / "made"), *given]
    assert main(command) == 0
    want = published(corpus, made)
    found = json.loads((tmp_path / "f.json").read_text())["metrics"]
    assert found["lve"]["value"] == pytest.approx(want["lve"], rel=1e-4) and found["lve"]["sequences"] == 3
    low, high = found["lve"]["interval"]
    assert low <= found["lve"]["value"] <= high
    gone = sorted((tmp_path / "made").glob("*.npy"))
    gone[0].unlink()
    assert main(command) == 1
    seen = capsys.readouterr()
    assert f"left out: {gone[0].name} is missing" in seen.out and "Partly measured: 1 left out" in seen.err
    for path in gone[1:]:
        path.rename(path.with_name(f"other_{path.name}"))
    assert main(command) == 2
    assert f"No sequence of set could be measured. {gone[0].name} is missing." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda real, face: real - face, "not displacements"),
        (lambda real, face: 0.2 * real, r"0.20\d times as large"),
        (lambda real, face: real[:, :-3], r"has the shape \(22, 70107\)"),
        (lambda real, face: np.where(real == real[3, 7], np.nan, real), "as F2 has NaN or infinite numbers in frame 3"),
        (lambda real, face: np.repeat(real, 3, 0), "has 66 frames where 22 are due at 25 fps; it has another"),
        (lambda real, face: real.astype(str), "holds no numbers"),
        (lambda real, face: real.reshape(22, -1, 3).transpose(0, 2, 1), r"has the shape \(22, 3, 23370\)"),
        (lambda real, face: real.reshape(22, -1, 3)[:, ::-1], "Their order is another, or the face stands elsewhere"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_such_predictions_are_refused(
    change: object, sentence: str, corpus: Path, tmp_path: Path
) -> None:
    made = predict(corpus, tmp_path / "made", "test")
    (name,) = made
    dataset = open_dataset(corpus / "set")
    face = dataset.template("F2")
    assert face is not None
    np.save(tmp_path / "made" / f"{name}.npy", change(made[name], face.reshape(-1)))  # type: ignore[operator]
    with pytest.raises(DataError, match=sentence):
        run(find_protocol("biwi-testA"), [dataset], FromFolder(tmp_path / "made"))


def test_files_of_another_frame_rate_are_told(
    toys: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    """25 frames a second against 30: too near to be refused, too far to be kept quiet."""
    dataset = open_dataset(toys[0])
    for name, moved in toys[1].items():
        wanted = np.linspace(0, len(moved) - 1, round(len(moved) * 1.2)).round().astype(int)
        np.save(tmp_path / f"{name}.npy", moved[wanted] + template().reshape(-1))
    told = run(find_protocol("open"), [dataset], FromFolder(tmp_path)).parts[0].differences
    assert "3, by 18 frames together" in told[-2] and "120% of the truth's frames" in told[-1]


def test_files_of_weights_are_read_in_the_datasets_order(tmp_path: Path) -> None:
    names = layout("arkit52").names[::-1][1:]
    values = RNG.random((30, len(names)), np.float32)
    stored = BlendshapeAnnotation("arkit52", 25.0, "weight", names)
    make_set(tmp_path / "set", {"one": ("s", "test", values)}, stored)
    (tmp_path / "set" / "annotations" / "arkit52.json").unlink()
    (tmp_path / "made").mkdir()
    np.save(tmp_path / "made" / "one.npy", values)
    dataset = open_dataset(tmp_path / "set")
    assert dataset.names == names
    found = run(find_protocol("open"), [dataset], FromFolder(tmp_path / "made")).to_dict()["metrics"]
    assert found["lve"]["value"] == found["mve"]["value"] == 0.0 and found["jaw_r"]["value"] == pytest.approx(
        1
    )
    with (tmp_path / "made" / "one.npy").open("wb") as file:
        np.savez(file, values)
    with pytest.raises(DataError, match=r"one\.npy is an archive of arrays"):
        run(find_protocol("open"), [dataset], FromFolder(tmp_path / "made"))


def test_files_that_are_not_measured_are_counted(
    toys: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    for name, moved in toys[1].items():
        np.save(tmp_path / f"{name}.npy", moved + template().reshape(-1))
    np.save(tmp_path / "nobody_condition_x.npy", np.zeros(3))
    result = run(find_protocol("open"), [open_dataset(toys[0])], FromFolder(tmp_path))
    assert any("such as nobody_condition_x.npy, are of no sequence" in note for note in result.notes)


def test_one_file_for_all_styles_is_told(toys: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> None:
    for name, moved in toys[1].items():
        np.save(tmp_path / f"{name}.npy", moved + template().reshape(-1))
    for rule, noted in (("training", True), ("own", False)):
        result = run(
            find_protocol("open"), [open_dataset(toys[0])], FromFolder(tmp_path), Options(identity=rule)
        )
        assert any("one file without a condition" in note for note in result.notes) is noted
