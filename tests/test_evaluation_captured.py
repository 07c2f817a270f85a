"""Measures on captured motion: on a toy head in closed form, and on the captured corpora themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from unitalker.data.importers import importer
from unitalker.errors import DataError, RigError
from unitalker.evaluation import captured
from unitalker.evaluation.captured import Case, LipGauge, word_scores
from unitalker.evaluation.scoring import ARKIT, rest_sounds, score_cases
from unitalker.motion import Motion
from unitalker.rig import builtin_head
from unitalker.rig.lips import inner_lips
from unitalker.rig.rig import Rig

ASSETS = Path(__file__).parents[2] / "shared" / "assets"
needs_assets = pytest.mark.skipif(
    not ASSETS.is_dir(), reason="the captured corpora (shared/assets) are absent"
)
NAMES = ("jawOpen", "mouthClose", "mouthPucker")


def _toy(count: int = 20) -> Rig:
    """Two lips of `count` vertices, 4 cm wide; jawOpen drops the lower by 3 cm, mouthClose lifts it."""
    x = np.linspace(-0.02, 0.02, count)
    vertices = np.array([*[(v, 0.001, 0.1) for v in x], *[(v, -0.001, 0.1) for v in x]], np.float32)
    shapes = np.zeros((3, 2 * count, 3), np.float32)
    shapes[0, count:, 1], shapes[1, count:, 1], shapes[2, :, 2] = -0.03, 0.03, 0.01
    faces = np.array([[0, count, 1]])
    return Rig("toy", vertices, faces, NAMES, shapes, regions={"lips": np.arange(2 * count)})


def _motion(values: Any, fps: float = 25.0, names: Sequence[str] = NAMES) -> Motion:
    return Motion(np.asarray(values, np.float32), tuple(names), fps, ARKIT, "weight")


def test_lip_gauge_reads_the_gap_of_the_posed_mesh() -> None:
    with pytest.raises(RigError, match="does not part its lips: 1 vertices"):
        inner_lips(_toy(7))
    rig = _toy()
    upper, lower = inner_lips(rig)
    assert set(upper) <= set(range(20)) and set(lower) <= set(range(20, 40))
    motion = _motion(np.random.default_rng(0).uniform(0, 1, (9, 3)))
    posed = rig.pose(rig.weights(motion.values, motion.names))
    rest = rig.vertices[upper, 1].mean() - rig.vertices[lower, 1].mean()
    gap = posed[:, upper, 1].mean(1) - posed[:, lower, 1].mean(1) - rest
    gauge = LipGauge.of(rig)
    np.testing.assert_allclose(gauge.gap_cm(motion), 100 * gap, atol=1e-4)
    np.testing.assert_allclose(
        gauge.gap_cm(motion), 3 * (motion.values[:, 0] - motion.values[:, 1]), atol=1e-4
    )
    with pytest.raises(RigError, match="no region 'lips'"):
        inner_lips(Rig("bare", rig.vertices, rig.faces, NAMES, rig.shapes))


def test_the_builtin_heads_gauge_sits_at_its_lip_landmarks() -> None:
    head = builtin_head()
    upper, lower = inner_lips(head)
    for name, rows in (("upper_lip_inner", upper), ("lower_lip_inner", lower)):
        apart = head.vertices[rows] - head.vertices[head.landmarks[name]]
        assert np.linalg.norm(apart, axis=1).min() < 0.003
    gauge = LipGauge.of(head)
    open_cm = dict(zip(gauge.names, gauge.gap, strict=True))
    assert open_cm["jawOpen"] == pytest.approx(-open_cm["mouthClose"], abs=0.1) and open_cm["jawOpen"] > 1


def test_word_scores_in_closed_form() -> None:
    gap = np.ones(75)
    gap[10] = 0.1  # 0.40 s
    bin_, red = (0.45, 0.6, "bin"), (1.0, 1.4, "red")
    assert word_scores(gap, 25.0, [bin_, red]) == {"closure": (1, 1), "open": (1, 1)}
    assert word_scores(gap, 25.0, [(0.55, 0.7, "bin")])["closure"] == (0, 1)  # window from 0.45 s
    assert word_scores(gap, 25.0, [(0.1, 0.5, "m")])["closure"] == (1, 1)  # 0.36 to 0.56 s
    assert word_scores(gap, 25.0, [(0.1, 0.6, "m")])["closure"] == (0, 1)  # 0.46 to 0.66 s
    assert word_scores(gap, 25.0, [(0.3, 0.5, "six")]) == {"closure": (0, 0), "open": (0, 0)}
    shut = np.where(np.arange(75) < 40, 0.0, 1.0)
    assert word_scores(shut, 25.0, [(0.2, 1.0, "red"), (1.9, 2.3, "lay")])["open"] == (1, 2)
    assert word_scores(shut, 25.0, [(2.01, 2.02, "a")])["open"] == (1, 1)  # shorter than a frame
    late = len(shut) / 25 + 1
    assert word_scores(shut, 25.0, [(late, late + 1, "bin")]) == {"closure": (0, 0), "open": (0, 0)}
    assert word_scores(np.zeros(50), 25.0, [bin_, red]) == {"closure": (1, 1), "open": (0, 1)}


def test_scores_of_a_perfect_a_resting_and_a_late_prediction() -> None:
    rng = np.random.default_rng(5)
    curve = np.convolve(rng.uniform(0, 1, 400), np.ones(9) / 9, "same")
    sound = (0.2 * rng.standard_normal(16 * 16000)).astype(np.float32)
    truth = _motion(np.stack([curve, 0.2 * curve, 0 * curve], 1))
    same = score_cases([(truth, truth, sound)], rig=_toy())
    assert same["r"]["jawOpen"] == pytest.approx(1) and same["lag_ms"] == 0
    assert same["lve_mm2"] == pytest.approx(0, abs=1e-9) and same["amplitude"]["lipGap"] == pytest.approx(1)
    assert set(same["channels"]) == {"jawOpen", "mouthClose"}
    rest = score_cases([(truth, truth.with_values(truth.values * 0), sound)], rig=_toy())
    assert rest["lve_over_rest"] == pytest.approx(1) and rest["r"]["jawOpen"] == 0
    assert rest["lve_mm2"] == pytest.approx(np.mean((30 * (curve - 0.2 * curve)) ** 2), rel=1e-4)
    late = truth.with_values(np.roll(truth.values, 2, axis=0))
    moved = score_cases([(truth, late, sound)], rig=_toy())
    assert moved["lag_ms"] == 80 and moved["r"]["jawOpen"] > 0.99
    with pytest.raises(DataError, match="nothing to score"):
        score_cases([])


def test_best_gain_of_the_loudness_jaw_is_least_squares() -> None:
    rng = np.random.default_rng(6)
    sound = (rng.standard_normal(32000) * np.repeat(rng.uniform(0, 0.5, 20), 1600)).astype(np.float32)
    gauge = LipGauge.of(_toy())
    envelope = captured.loudness(sound, np.arange(50) / 25)
    truth = _motion(
        np.stack([0.7 * envelope + 0.02 * rng.standard_normal(50), 0 * envelope, 0 * envelope], 1)
    )
    gain = np.linalg.lstsq(envelope[:, None], truth.values[:, 0], rcond=None)[0][0]
    want = np.mean((30 * (truth.values[:, 0] - gain * envelope)) ** 2)
    scores = captured.lip_errors([Case("a", truth, truth.with_values(truth.values * 0), sound)], gauge)
    assert scores["lve_mm2"] / scores["lve_over_loudness_jaw"] == pytest.approx(want, rel=1e-3)


def test_rest_sounds_are_fixed_and_sane() -> None:
    first, second = rest_sounds(), rest_sounds()
    assert set(first) == {"silence", "white noise", "pink noise", "chord"}
    for name, samples in first.items():
        np.testing.assert_array_equal(samples, second[name])
        assert samples.dtype == np.float32 and len(samples) == 64000 and np.abs(samples).max() <= 1
    assert not first["silence"].any()


def _makehuman() -> Rig:
    with np.load(ASSETS / "makehuman_arkit" / "makehuman_head_arkit.npz") as stored:
        return Rig(
            "makehuman",
            (stored["neutral"] / 100).astype(np.float32),
            stored["triangles"],
            tuple(str(n) for n in stored["arkit_names"]),
            (stored["arkit_deltas"] / 100).astype(np.float32),
            regions={"lips": stored["idx_lips"]},
        )


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Every clip of the captured sentence corpus, with the truth as its own prediction."""
    (folder,) = importer("grid")(ASSETS / "pairs_train" / "grid_s1", tmp_path_factory.mktemp("grid"))
    manifest = json.loads((folder / "dataset.json").read_text())
    cases = []
    for clip in manifest["clips"]:
        motion = _motion(np.load(folder / clip["motion"]), 25.0, manifest["names"])
        samples, _ = soundfile.read(folder / clip["audio"], dtype="float32")
        cases.append(Case(clip["id"], motion, motion, samples, [tuple(w) for w in clip["words"]]))
    return cases


@needs_assets
def test_captured_motion_closes_and_opens_where_words_say(spoken: list[Case]) -> None:
    gauge = LipGauge.of(_makehuman())
    scores = captured.word_recall([gauge.gap_cm(c.truth) for c in spoken], spoken)
    assert scores["closure_words"] == 1238 and scores["open_words"] == 2339
    assert scores["closure"] == pytest.approx(0.99, abs=0.015)
    assert scores["open"] == pytest.approx(0.91, abs=0.015)


@needs_assets
def test_loudness_alone_on_captured_motion(spoken: list[Case]) -> None:
    scores = score_cases(spoken[-100:], rig=_makehuman())
    assert scores["loudness"]["jawOpen"] == pytest.approx(0.66, abs=0.02)
    assert scores["r"]["jawOpen"] == pytest.approx(1) and scores["lve_over_rest"] < 1e-6
