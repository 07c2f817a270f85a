"""Measures against naive loops, NumPy, SciPy and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr

from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.errors import DataError
from unitalker.evaluation import metrics
from unitalker.evaluation.scoring import VertexScorer

RNG = np.random.default_rng(3)


def test_sampling_is_numpys_interpolation() -> None:
    values = RNG.standard_normal((40, 3))
    times = np.sort(RNG.uniform(-0.2, 2.0, 77))
    got = metrics.sample_at(values, 25.0, times)
    want = np.stack([np.interp(times, np.arange(40) / 25, values[:, k]) for k in range(3)], 1)
    np.testing.assert_allclose(got, want, atol=1e-12)
    with pytest.raises(DataError, match="without frames"):
        metrics.sample_at(values[:0], 25.0, times)


def test_pooled_correlation_is_pearson_of_the_centred_clips() -> None:
    truth = [RNG.standard_normal(n) + 5 * i for i, n in enumerate((30, 50, 20))]
    guess = [t * 0.5 + RNG.standard_normal(len(t)) - 9 for t in truth]
    flat = [np.concatenate([c - c.mean() for c in side]) for side in (truth, guess)]
    assert metrics.pooled_correlation(truth, guess) == pytest.approx(pearsonr(*flat)[0])
    assert metrics.pooled_correlation(truth, [np.ones(len(t)) for t in truth]) == 0.0
    with pytest.raises(DataError, match="100 frames but the prediction 99"):
        metrics.pooled_correlation(truth, [*guess[:2], guess[2][1:]])


@pytest.mark.parametrize("delay", [-0.12, -0.05, 0.0, 0.08])
def test_a_late_prediction_has_a_positive_lag(delay: float) -> None:
    def curve(t: np.ndarray) -> np.ndarray:
        return np.sin(9 * t) + 0.4 * np.sin(23 * t + 1)

    truth = [curve(np.arange(75) / 25 + k) for k in range(3)]
    late = [curve(np.arange(180) / 60 + k - delay) for k in range(3)]
    lag, r = metrics.best_lag(truth, 25.0, late, [60.0] * 3)
    assert lag == pytest.approx(delay) and r > 0.97


def test_loudness_is_the_root_of_the_rms_around_the_time() -> None:
    samples = RNG.standard_normal(16000).astype(np.float32)
    times = np.array([0.1, 0.5, 0.95])
    got = metrics.loudness(samples, times)
    for value, time in zip(got, times, strict=True):
        middle = round(time * 16000)
        window = samples[middle - 400 : middle + 400].astype(float)
        assert value == pytest.approx(np.sqrt(np.sqrt(np.mean(window**2))), rel=1e-6)
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
    assert metrics.loudness(tone, np.array([0.5]))[0] == pytest.approx((0.5 / 2**0.5) ** 0.5, rel=1e-3)
    assert metrics.loudness(samples, np.array([-1.0, 9.0])).tolist() == [0.0, 0.0]


def test_vertex_errors_match_loops() -> None:
    truth, guess = RNG.standard_normal((2, 6, 9, 3))
    lips, upper = np.array([1, 4, 5]), np.array([0, 8])
    distance = np.zeros((6, 9))
    for t in range(6):
        for v in range(9):
            distance[t, v] = sum((truth[t, v, k] - guess[t, v, k]) ** 2 for k in range(3)) ** 0.5
    np.testing.assert_allclose(metrics.lve(truth, guess, lips), (distance[:, lips] ** 2).max(1))
    np.testing.assert_allclose(metrics.lvd(truth, guess, lips), distance[:, lips].max(1))
    np.testing.assert_allclose(metrics.mve(truth, guess), distance.mean(1))
    np.testing.assert_allclose(metrics.mve(truth, guess, upper), distance[:, upper].mean(1))
    with pytest.raises(DataError, match="two equal"):
        metrics.lve(truth, guess[:5])


def test_dynamics_deviation_matches_its_formula_and_is_signed() -> None:
    truth = [RNG.standard_normal((n, 5, 3)) for n in (8, 20)]
    guess = [0.5 * t for t in truth]
    region = np.array([0, 3])
    want = 0.0
    for t, p in zip(truth, guess, strict=True):
        per_vertex = [np.std((t[:, v] ** 2).sum(1)) - np.std((p[:, v] ** 2).sum(1)) for v in region]
        want += np.mean(per_vertex) / 2
    assert metrics.fdd(truth, guess, region) == pytest.approx(want)
    assert metrics.fdd(guess, truth, region) == pytest.approx(-want)


def test_pooling_counts_frames_not_clips() -> None:
    truth = [np.zeros((1, 2, 3)), np.zeros((9, 2, 3))]
    guess = [np.ones((1, 2, 3)), np.zeros((9, 2, 3))]
    regions = {"lips": np.array([0]), "upper_face": np.array([1])}
    scores = _scores(truth, guess, regions)
    assert scores["lve"] == pytest.approx(0.3) and scores["mve"] == pytest.approx(3**0.5 / 10)
    assert (
        scores["lve_over_rest"] != scores["lve"]
        and scores["ufve"] == scores["mve"]
        and scores["fdd_absolute"] == abs(scores["fdd"])
    )
    assert set(_scores(truth, guess, {})) == {"clips", "frames", "unit", "mve"}


def _scores(
    truth: list[np.ndarray], guess: list[np.ndarray], regions: dict[str, np.ndarray]
) -> dict[str, Any]:
    scorer = VertexScorer(VertexAnnotation("toy", 25.0, "mm", vertex_names(2), regions=regions))
    for t, p in zip(truth, guess, strict=True):
        scorer.add_meshes(t, p)
    return scorer.result()


def test_twin_energy() -> None:
    clean = RNG.standard_normal((30, 4))
    assert metrics.twin_energy(clean, clean) == 0
    assert metrics.twin_energy(clean, 1.5 * clean) == pytest.approx(0.25)
    with pytest.raises(DataError, match="never leaves rest"):
        metrics.twin_energy(np.zeros((3, 2)), clean)
