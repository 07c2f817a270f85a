"""The ablation recipe: its statistics against SciPy's, its settings, its measure, a toy run."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1]))

from recipes.ablations import data, measure, running, settings, tables
from recipes.ablations.intervals import Interval, interval, paired

from unitalker.annotations.builtin import weight_annotation
from unitalker.annotations.cards import save_card
from unitalker.data.dataset import Clip, Dataset, write_manifest
from unitalker.models.unitalker import UniTalker
from unitalker.rig import builtin_head


def test_interval_is_the_t_interval_of_scipy() -> None:
    values = [3.1, 2.4, 5.0, 4.4]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    made = interval(values)
    np.testing.assert_allclose([made.mean - made.half, made.mean + made.half], [low, high])
    assert np.isnan(interval([1.0]).half)


def test_paired_is_the_interval_of_the_paired_t_test() -> None:
    one, other = {0: 1.0, 1: 2.5, 2: 2.0, 7: 9.0}, {0: 0.7, 1: 2.1, 2: 1.9, 8: 1.0}
    expected = stats.ttest_rel([1.0, 2.5, 2.0], [0.7, 2.1, 1.9]).confidence_interval(0.95)
    made = paired(one, other)
    assert made is not None
    np.testing.assert_allclose([made.mean - made.half, made.mean + made.half], expected)
    assert paired({0: 1.0}, {1: 1.0}) is None


def test_three_seeds_cover_the_mean_as_often_as_they_say() -> None:
    draws = np.random.default_rng(0).normal(2.0, 1.0, (3000, 3))
    inside = [abs(i.mean - 2.0) <= i.half for i in map(interval, draws)]
    assert 0.935 < np.mean(inside) < 0.965


def test_changes_are_told_in_percent_with_both_sides() -> None:
    assert Interval(float(np.log(1.1)), float(np.log(1.2)), 3).change() == "+10.0 [-8, +32]"
    assert Interval(float(np.log(0.5)), float(np.log(1.6)), 3).change() == "**-50.0 [-69, -20]**"
    assert Interval(0.0, float("nan"), 1).change() == "+0.0"


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("full", set()),
        ("no-pca", {"pca", "cards", "sources"}),
        ("no-pca-cm", {"pca", "cards"}),
        ("no-warmup", {"warmup_steps"}),
        ("no-pivot", {"pivot"}),
        ("vanilla", {"pca", "cards", "sources", "warmup_steps", "pivot"}),
        ("after-decoder", {"model"}),
        ("rate-0.001-vanilla", {"pca", "cards", "sources", "warmup_steps", "pivot", "lr"}),
    ],
)
def test_a_setting_differs_from_the_full_model_in_what_it_names(name: str, changed: set[str]) -> None:
    every = {s.name: s for s in [*settings.core(), *settings.adaptors(), *settings.rates()]}
    full = settings.config(every["full"], 1, Path("r")).model_dump()
    other = settings.config(every[name], 1, Path("r")).model_dump()
    assert {key for key in full if full[key] != other[key]} == changed


def test_growing_runs_make_equal_passes_over_their_clips() -> None:
    clips = dict(zip(data.NAMES, (70, 111, 128, 968, 293, 635, 184, 488), strict=True))
    runs = settings.growing(clips)
    counts = [sum(settings.REPEATS.get(n, 1) * clips[n] for n in run.datasets) for run in runs]
    passes = [run.steps / count for run, count in zip(runs, counts, strict=True)]
    whole = sum(settings.REPEATS.get(n, 1) * clips[n] for n in data.NAMES)
    np.testing.assert_allclose(passes, settings.STEPS / whole, rtol=0.05)
    assert [run.datasets[-1] for run in runs] == ["d1", "d1", "d2", "d3", "d4", "d5", "d6"]


def toy(root: Path, name: str, seed: int = 0) -> Dataset:
    """A dataset of 52 weights: six clips of noise of one second, with constant faces."""
    rng = np.random.default_rng(seed)
    folder = root / name
    (folder / "audio").mkdir(parents=True)
    names = weight_annotation("arkit52", builtin_head()).names
    clips = []
    for number, split in enumerate(("train", "train", "train", "val", "test", "train")):
        clip = Clip(f"c{number}", f"s{number % 2}", f"audio/{number}.wav", f"{number}.npy", split, 1.0)
        soundfile.write(folder / clip.audio, 0.1 * rng.standard_normal(16000), 16000, subtype="PCM_16")
        np.save(folder / clip.motion, np.tile(np.linspace(0, 1, 52, dtype=np.float32), (30, 1)))
        clips.append(dataclasses.replace(clip, phones=((0.0, 0.5, "a"), (0.5, 1.0, ""))))
    dataset = Dataset(folder, name, "arkit52", 30.0, "weight", names, ("s0", "s1"), tuple(clips))
    write_manifest(dataset)
    return dataset


def test_nothing_that_trains_is_held_out(tmp_path: Path) -> None:
    dataset = toy(tmp_path, "d3")
    held = {c.id for c in data.held_out(dataset)}
    assert held == {"c3", "c4"}
    assert held.isdisjoint(c.id for c in dataset.split("train"))


def test_measured_errors_are_zero_for_the_truth_and_rest_for_an_untrained_head(tmp_path: Path) -> None:
    dataset = toy(tmp_path, "d3")
    annotation = weight_annotation("arkit52", builtin_head())
    config = settings.model(16, 4).model_copy(update={"identities": ("d3/s0", "d3/s1")})
    model = UniTalker(config).eval()
    still = measure.measure(model, {"arkit52": annotation}, {"d3": dataset})["d3"]
    rig = builtin_head()
    moved = rig.weights(np.linspace(0, 1, 52, dtype=np.float32)[None], annotation.names) @ rig.shapes.reshape(len(rig.shape_names), -1)  # fmt: skip
    lips = 1000 * moved.reshape(-1, 3)[np.asarray(rig.regions["lips"])]
    assert still["rest"] == pytest.approx(np.square(lips).sum(1).max(), rel=1e-4)
    assert still["own"] == pytest.approx(still["rest"])
    assert still["frames"] == 60
    assert "foreign" not in still
    with torch.no_grad():
        model.heads["arkit52"].bias.copy_(torch.linspace(0, 1, 52))
    exact = measure.measure(model, {"arkit52": annotation}, {"d3": dataset})["d3"]
    assert exact["own"] < 1e-6 * still["rest"]


def test_a_toy_run_is_trained_measured_kept_and_not_repeated(tmp_path: Path) -> None:
    toy(tmp_path / "data", "d3")
    toy(tmp_path, "speech", seed=1)
    save_card(weight_annotation("arkit52", builtin_head()), tmp_path / "cards")
    heard = settings.listener(tmp_path).model_copy(update={"steps": 2, "batch": 2})
    running.train_listener(tmp_path, heard)
    setting = settings.Setting("full", ("d3",), steps=3, width=16)
    facts = running.run_setting(tmp_path, setting, 0)
    assert facts is not None
    assert facts["lve_mm2"]["d3"]["own"] > 0
    stored = json.loads((tmp_path / "results" / "full.0.json").read_text())
    assert stored["lve_mm2"] == facts["lve_mm2"]
    assert running.run_setting(tmp_path, setting, 0) is None
    running.run_setting(tmp_path, setting, 1)
    after = dataclasses.replace(setting, name="tuned-d3", start="full", steps=1)
    assert running.run_setting(tmp_path, after, 0) is not None
    assert not (tmp_path / "work" / "tuned-d3.0").exists()
    runs = tables.read_runs(tmp_path)
    assert set(runs) == {"full", "tuned-d3"}
    assert "±" in tables.share(runs, "full", "d3")
    assert tables.scale_table(runs).count("\n") == 8
