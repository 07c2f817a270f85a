"""Every measure against loops over frames and vertices, streams against whole clips, lips of codes against full meshes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unitalker.annotations.base import Annotation
from unitalker.annotations.builtin import flame_annotation, mesh_topology, weight_annotation
from unitalker.annotations.pca import fit_basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.errors import DataError
from unitalker.evaluation import metrics
from unitalker.evaluation.metrics.registry import METRICS, best_r, lag_ms, lively, ratio
from unitalker.evaluation.metrics.streams import ClipMeter, Regions, block_frames, speed_maps
from unitalker.rig import builtin_head
from unitalker.rig import lips as rig_lips

RNG = np.random.default_rng(5)
FPS = 25.0
LIPS, UPPER = np.array([1, 4, 5]), np.array([0, 7, 8])
PAIR = (np.array([1, 4]), np.array([5]))


def walk(frames: int, vertices: int = 9) -> np.ndarray:
    return (0.1 * RNG.standard_normal((frames, vertices, 3))).cumsum(0).astype(np.float32)


def length(vector: np.ndarray) -> float:
    return math.sqrt(sum(float(x) ** 2 for x in vector))


def spread(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))


def naive(truth: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """The frame and clip measures of one clip, by loops."""
    frames, vertices = range(len(truth)), range(truth.shape[1])
    lips, upper, every = [], [], []
    for t in frames:
        gaps = [length(truth[t, v] - made[t, v]) for v in vertices]
        lips.append(max(gaps[v] for v in LIPS))
        upper.append(sum(gaps[v] for v in UPPER) / len(UPPER))
        every.append(sum(gaps) / len(gaps))
    liveliness = [
        sum(spread([length(side[t, v]) ** 2 for t in frames]) for v in UPPER) / len(UPPER)
        for side in (truth, made)
    ]
    speeds = [
        [[length(side[t + 1, v] - side[t, v]) * FPS for t in frames[:-1]] for v in vertices]
        for side in (truth, made)
    ]
    jerks = [
        length(made[t, v].astype(float) - 3 * made[t - 1, v] + 3 * made[t - 2, v] - made[t - 3, v]) * FPS**3
        for t in frames[3:]
        for v in LIPS
    ]
    resting = [max(length(truth[t, v]) ** 2 for v in LIPS) for t in frames]
    return {
        "lve": sum(x * x for x in lips) / len(lips),
        "lvd": sum(lips) / len(lips),
        "lve_over_rest": sum(x * x for x in lips) / sum(resting),
        "mve": sum(every) / len(every),
        "ufve": sum(upper) / len(upper),
        "fdd": liveliness[0] - liveliness[1],
        "fdd_absolute": abs(liveliness[0] - liveliness[1]),
        "fdd_clips": abs(liveliness[0] - liveliness[1]),
        "velocity_mean": sum(
            abs(sum(a) - sum(b)) / len(a) for a, b in zip(*speeds, strict=True)
        ) / len(vertices),
        "velocity_std": sum(abs(spread(a) - spread(b)) for a, b in zip(*speeds, strict=True)) / len(vertices),
        "jitter": sum(jerks) / len(jerks),
    }  # fmt: skip


def openings(side: np.ndarray, rest: np.ndarray) -> list[float]:
    return [length(rest + (f[1] + f[4]) / 2 - f[5]) for f in side.astype(float)]


@pytest.fixture(scope="module")
def clip() -> tuple[np.ndarray, np.ndarray]:
    return walk(23), walk(23)


def metered(truth: np.ndarray, *made: np.ndarray, step: int = 4, phones: tuple = ()) -> dict[str, np.ndarray]:
    meter = ClipMeter(FPS, Regions(LIPS, UPPER, PAIR), np.array([0.0, 0.3, 0.1]), len(made))
    for start in range(0, len(truth), step):
        part = slice(start, start + step)
        meter.add(truth[part], [m[part] for m in made])
    return meter.sums(phones)


@pytest.mark.parametrize("step", [1, 2, 7, 100])
def test_streams_are_loops_whatever_the_blocks(clip: tuple[np.ndarray, np.ndarray], step: int) -> None:
    truth, made = clip
    sums, want = metered(truth, made, step=step), naive(*clip)
    for metric in METRICS:
        if metric.name in want:
            assert float(metric.fold(sums[metric.sums])) == pytest.approx(want[metric.name], rel=2e-4), (
                metric.name
            )
    rest = np.array([0.0, 0.3, 0.1])
    gaps = [openings(side, rest) for side in clip]
    mod = sum(abs(a - b) for a, b in zip(*gaps, strict=True)) / len(truth)
    assert float(ratio(sums["mod"])) == pytest.approx(mod, rel=1e-5)


def test_whole_clip_functions_are_loops(clip: tuple[np.ndarray, np.ndarray]) -> None:
    truth, made = clip
    want = naive(truth, made)
    assert metrics.lve(truth, made, LIPS).mean() == pytest.approx(want["lve"], rel=1e-5)
    assert metrics.lve(truth, made, LIPS, squared=False).mean() == pytest.approx(want["lvd"], rel=1e-5)
    assert metrics.jitter(made, FPS, LIPS).mean() == pytest.approx(want["jitter"], rel=1e-4)
    assert metrics.fdd([truth], [made], UPPER, absolute=True) == pytest.approx(want["fdd_clips"], rel=1e-4)
    maps = [np.abs(a - b).mean() for a, b in zip(*(metrics.velocity_maps(s, FPS) for s in clip), strict=True)]
    assert maps == pytest.approx([want["velocity_mean"], want["velocity_std"]], rel=1e-4)
    assert [m.tolist() for m in metrics.velocity_maps(truth[:1], FPS)] == [[0.0] * 9] * 2


def test_sums_of_clips_pool_frames_and_average_clips() -> None:
    pairs = [(walk(n), walk(n)) for n in (6, 17)]
    alone = [naive(*pair) for pair in pairs]
    total: dict[str, np.ndarray] = {}
    for pair in pairs:
        for name, values in metered(*pair).items():
            total[name] = total.get(name, 0) + values
    by_frames = (6 * alone[0]["lve"] + 17 * alone[1]["lve"]) / 23
    assert float(ratio(total["lve"])) == pytest.approx(by_frames, rel=1e-4)
    assert float(ratio(total["fdd"])) == pytest.approx((alone[0]["fdd"] + alone[1]["fdd"]) / 2, rel=1e-4)


def test_correlation_lag_and_amplitude_of_the_opening() -> None:
    times = np.arange(75) / FPS
    truth = [np.sin(9 * times + k) + 0.4 * np.sin(23 * times + 1) for k in range(3)]
    late = [np.interp(times - 0.04, times, 0.5 * t) for t in truth]
    sums = sum(metrics.moments(t, m, FPS) for t, m in zip(truth, late, strict=True)).reshape(-1)
    lag, r = metrics.best_lag(truth, FPS, late, [FPS] * 3)
    assert float(best_r(sums)) == pytest.approx(r, abs=1e-9) and r > 0.97
    assert float(lag_ms(sums)) == pytest.approx(1000 * lag) == pytest.approx(40)
    assert float(lively(sums)) == pytest.approx(metrics.amplitude(truth, late), rel=1e-6)


def test_closures_are_loops_over_the_phones() -> None:
    gap = np.abs(np.sin(np.arange(60) / 5)) * 10
    phones = [
        (0.0, 0.1, "p"),
        (0.3, 0.4, "M"),
        (0.5, 0.62, "aː"),
        (0.7, 0.701, "b"),
        (1.0, 1.2, "s"),
        (1.3, 1.5, "AE1"),
        (1.6, 1.8, "ˈaɪ"),
        (2.5, 2.6, "m"),
    ]
    large, met = float(np.percentile(gap, 95)), {"closure": [0, 0], "open": [0, 0]}
    for start, end, symbol in phones[:-1]:  # the last begins when the clip is over
        shuts = symbol.lower() in "pbm"
        edge = 0.04 if shuts else 0.0
        seen = [g for t, g in enumerate(gap) if start - edge - 1e-6 <= t / FPS <= end + edge + 1e-6]
        if shuts:
            met["closure"] = [met["closure"][0] + (min(seen) < 0.2 * large), met["closure"][1] + 1]
        elif symbol != "s":
            met["open"] = [met["open"][0] + (max(seen) > 0.3 * large), met["open"][1] + 1]
    assert {k: list(v) for k, v in metrics.closures(gap, FPS, phones).items()} == met
    assert met["closure"][1] == 3 and met["open"][1] == 3 and 0 < met["closure"][0] < 3
    still = metrics.closures(np.zeros(60), FPS, phones)
    assert still == {"closure": (3, 3), "open": (0, 3)} == metrics.closures(np.full(60, -1.0), FPS, phones)
    sums = metered(walk(60), walk(60), phones=tuple(phones))
    assert sums["closure"][1] == 3 == sums["closure_truth"][1] and sums["open"][1] == 3


def test_diversity_is_the_mean_over_pairs(clip: tuple[np.ndarray, np.ndarray]) -> None:
    styles = [walk(23) for _ in range(3)]
    want = 0.0
    for i in range(3):
        for j in range(i):
            want += sum(
                length(styles[i][t, v] - styles[j][t, v]) for t in range(23) for v in range(9)
            ) / (23 * 9 * 3)  # fmt: skip
    assert metrics.diversity(styles) == pytest.approx(want, rel=1e-5)
    sums = metered(clip[0], *styles)
    assert sums["diversity"].tolist() == pytest.approx([want, 1.0], rel=1e-5)
    assert sums["lve"][1] == 69 and sums["fdd"][1] == 3
    assert float(ratio(sums["mve"])) == pytest.approx(
        np.mean([naive(clip[0], s)["mve"] for s in styles]), rel=1e-5
    )
    assert metrics.diversity(styles[:1]) == 0.0


def test_a_constant_offset_does_not_spoil_deviations() -> None:
    truth = walk(40) + np.float32(300)
    sums = metered(truth, truth + np.float32(0.5))
    want = metrics.fdd([truth.astype(float)], [(truth + np.float32(0.5)).astype(float)], UPPER)
    assert float(ratio(sums["fdd"])) == pytest.approx(want, rel=1e-2)
    mean, deviation = speed_maps(np.array([[6.0], [14.0]]), 3)
    assert mean.tolist() == [2.0] and deviation.tolist() == pytest.approx([(14 / 3 - 4) ** 0.5])


def test_inner_lips_are_those_of_the_rig_however_the_head_is_turned() -> None:
    head = builtin_head()
    lips = np.sort(np.asarray(head.regions["lips"]))
    jaw = np.linspace(0, 1, 9)[:, None, None] * head.shape("jawOpen")[lips]
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0]
    want = [np.sort(side).tolist() for side in rig_lips.inner_lips(head)]
    for matrix in (np.eye(3), turn):
        found = metrics.inner_lips(head.vertices @ matrix, lips, jaw @ matrix)
        assert [side.tolist() for side in found] == want
    with pytest.raises(DataError, match="do not part"):
        metrics.inner_lips(head.vertices, lips, np.zeros((9, len(lips), 3)))


def _annotations() -> list[Annotation]:
    head = builtin_head()
    mesh = mesh_topology("face", head)
    moved = (1e-3 * RNG.standard_normal((40, mesh.dim)) + 1e-3).astype(np.float32)
    toy = VertexAnnotation("toy", FPS, "u", vertex_names(9), regions={"lips": LIPS})
    based = mesh.with_basis(fit_basis([moved], 6, centre="mean"))
    return [toy, based, weight_annotation("arkit51", head), flame_annotation(head)]


@pytest.mark.parametrize("annotation", _annotations(), ids=lambda a: a.name)
def test_lve_of_codes_is_that_of_the_full_decode(annotation: Annotation) -> None:
    truth, made = RNG.uniform(0, 0.5, (2, 7, annotation.head_dim)).astype(np.float32)
    lips = _full_lips(annotation, truth), _full_lips(annotation, made)
    want = metrics.lve(*lips)
    np.testing.assert_allclose(metrics.lve_of_codes(annotation, truth, made), want, rtol=2e-3)
    np.testing.assert_allclose(metrics.lve_of_codes(annotation, lips[0], made), want, rtol=2e-3)
    np.testing.assert_allclose(
        metrics.lve_of_codes(annotation, truth, made, squared=False), np.sqrt(want), rtol=1e-3
    )
    np.testing.assert_allclose(metrics.lips_of_codes(annotation, made), lips[1], atol=2e-6)


def _full_lips(annotation: Annotation, codes: np.ndarray) -> np.ndarray:
    """Lip rows of whole meshes: what `decode` gives, on the built-in head for weights."""
    values, head = annotation.decode(codes), builtin_head()
    if annotation.kind == "vertices":
        return values.reshape(len(values), -1, 3)[:, annotation.regions["lips"]]
    if annotation.kind == "flame":
        rest = annotation.vertices(annotation.decode(annotation.rest()[None]))
        return (annotation.vertices(values) - rest)[:, annotation.regions["lips"]]
    mesh = np.tensordot(head.weights(values, annotation.names), head.shapes, 1)
    return mesh[:, np.asarray(head.regions["lips"])]


def test_lve_agrees_with_torchmetrics() -> None:
    multimodal = pytest.importorskip("torchmetrics.multimodal")
    torch = pytest.importorskip("torch")
    truth, made = walk(12), walk(12)
    theirs = multimodal.LipVertexError(mouth_map=LIPS.tolist())(torch.tensor(made), torch.tensor(truth))
    assert metrics.lve(truth, made, LIPS).mean() == pytest.approx(float(theirs), rel=1e-5)


def test_the_registry_names_each_figure_once() -> None:
    names = [m.name for m in METRICS]
    assert len(set(names)) == len(names)
    assert all(m.formula and m.source and m.title and m.unit for m in METRICS)
    assert block_frames(23370) < 32 and block_frames(9) > 1000
