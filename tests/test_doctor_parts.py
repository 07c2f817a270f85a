"""The doctor's measures and its copy, against closed forms, other libraries and brute force."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor_sets import FPS, NAMES, RATE, heard, late, write_set
from unitalker.annotations.layouts import mirrored_name
from unitalker.data.dataset import open_dataset
from unitalker.data.shards import write_shards
from unitalker.errors import DataError
from unitalker.evaluation.doctor import frames, levels, offset
from unitalker.evaluation.doctor.curate import curate, in_time
from unitalker.evaluation.doctor.examine import Examination, examine
from unitalker.evaluation.doctor.offset import FINE_S, GRID, INDEPENDENT, NEAR_S, Ear, Trace, estimate
from unitalker.evaluation.doctor.report import Report


def test_posterior_of_a_parabola_is_a_normal_distribution() -> None:
    most, seconds, weight, width = 30, 5.0, 2.0, 0.05
    lags = np.arange(-most, most + 1) / GRID
    found = estimate((0.8 - ((lags - 0.1234) / width) ** 2 / 2)[:, None], np.array([weight]), seconds)
    spread = width / math.sqrt(INDEPENDENT * seconds * weight)
    assert found.offset_s == pytest.approx(0.1234, abs=FINE_S / 2 + 1e-9)
    assert found.spread_s == pytest.approx(spread, rel=0.02)
    assert found.confidence == pytest.approx(math.erf(NEAR_S / spread / math.sqrt(2)), abs=0.03)
    assert found.match == pytest.approx(0.8, abs=1e-3)


def test_correlations_are_those_of_numpy_at_every_lag() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 90, 2))
    r = offset.correlations(a, b, 0.2)
    for row, lag in enumerate(range(-10, 11)):
        for k in range(2):
            pairs = [(a[t + lag, k], b[t, k]) for t in range(90) if 0 <= t + lag < 90]
            assert r[row, k] == pytest.approx(np.corrcoef(np.array(pairs).T)[0, 1], abs=1e-9)


def test_pairs_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.cross_decomposition import CCA

    rng = np.random.default_rng(2)
    shared = rng.standard_normal((4000, 2)) * (3, 1)
    a = np.hstack([shared + 0.5 * rng.standard_normal((4000, 2)), rng.standard_normal((4000, 1))])
    b = np.hstack(
        [shared @ [[1, 0.4], [-0.3, 1]] + rng.standard_normal((4000, 2)), rng.standard_normal((4000, 2))]
    )
    a, b = (x - x.mean(0) for x in (a, b))
    monkeypatch.setattr(offset, "RIDGE", 0.0)
    ear = Ear.fit([Trace(a, b, a, b)], [0.0])
    theirs = CCA(2).fit(a, b)
    u, v = theirs.transform(a, b)
    expected = [np.corrcoef(u[:, k], v[:, k])[0, 1] for k in range(2)]
    np.testing.assert_allclose(ear.rho[:2], expected, atol=2e-3)


def test_grid_keeps_time_and_power() -> None:
    times = np.arange(600) / 60
    wave = np.sin(2 * np.pi * 3 * times)[:, None].astype(np.float32)
    out = offset.on_grid(wave + 7, 60.0, 10.0)[:, 0]
    assert len(out) == 500 and np.sqrt(np.mean(out**2)) == pytest.approx(1, abs=1e-3)
    middle = slice(50, 450)
    expected = np.sqrt(2) * np.sin(2 * np.pi * 3 * np.arange(500) / GRID)
    np.testing.assert_allclose(out[middle], expected[middle], atol=0.06)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_jitter_is_the_share_of_white_noise(share: float) -> None:
    rng, times = np.random.default_rng(1), np.arange(900)[:, None] / 60
    smooth = np.sin(times * np.linspace(1, 4, 40) + rng.uniform(0, 6, 40))
    noisy = smooth + share * smooth.std() * rng.standard_normal(smooth.shape)
    found = frames.faults(noisy, 60.0, None)["jitter_share"]
    assert (
        found == pytest.approx(share, rel=0.35) and frames.faults(smooth, 60.0, None)["jitter_share"] < 0.002
    )


def test_a_freeze_counts_only_while_the_voice_goes_on_and_off_a_known_rest() -> None:
    rng = np.random.default_rng(0)
    some = np.cumsum(rng.standard_normal((120, 4)), axis=0)
    some[30:45] = some[30]
    talking, silent = (np.sin(np.arange(240) / 3), 60.0), (np.zeros(240), 60.0)
    assert frames.faults(some, 30.0, talking)["frozen_s"] == pytest.approx(14 / 30)
    assert frames.faults(some, 30.0, talking)["frozen_at_s"] == pytest.approx(1.0)
    assert frames.faults(some, 30.0, silent)["frozen_s"] == 0
    some[80:90] = some[30]
    assert frames.faults(some, 30.0, talking)["frozen_s"] == 0


def test_runs_are_those_that_a_loop_finds() -> None:
    marked = np.random.default_rng(3).random(200) < 0.4
    expected, start = [], None
    for i, one in enumerate([*marked, False]):
        if one and start is None:
            start = i
        elif not one and start is not None:
            expected.append((start, i))
            start = None
    assert frames.runs(marked) == expected


def test_loudness_is_in_decibels_of_full_scale() -> None:
    tone = 0.1 * np.sqrt(2) * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    assert levels.of_sound(tone, RATE)["loudness_dbfs"] == pytest.approx(-20, abs=0.05)
    assert levels.of_sound(np.zeros(RATE), RATE)["loudness_dbfs"] == pytest.approx(-120)
    assert levels.of_sound(tone, RATE)["clipped_sound_share"] < 0.02
    assert levels.of_sound(np.clip(tone, -0.07, 0.07), RATE)["clipped_sound_share"] == pytest.approx(
        np.mean(np.abs(tone) >= 0.07), abs=0.02
    )


def test_sides_are_paired_by_name() -> None:
    pairs = levels.side_pairs(
        ("jawOpen", "mouthSmileRight", "mouth_up_l", "mouthSmileLeft", "mouth_up_r", "eyeLookInLeft")
    )
    assert sorted(pairs) == [(2, 4), (3, 1)]


@settings(max_examples=200, deadline=None)
@given(
    late_s=st.floats(-1.5, 1.5),
    fps=st.sampled_from([25.0, 29.97, 30.0, 60.0]),
    count=st.integers(20, 400),
    extra=st.floats(-0.5, 0.5),
)
def test_after_the_cut_every_frame_meets_its_sound(
    late_s: float, fps: float, count: int, extra: float
) -> None:
    sound_s = max(count / fps + extra, 0.1)
    try:
        cut = in_time(late_s, fps, count, sound_s)
    except DataError:
        return
    for frame in (0, cut.count - 1):
        heard_at = (cut.frames + frame) / fps - late_s
        assert cut.start_s + frame / fps == pytest.approx(heard_at, abs=1e-9)
    assert cut.start_s >= -1e-6 and cut.frames + cut.count <= count
    assert cut.start_s + cut.count / fps <= sound_s + 1e-5
    if late_s > 0:
        assert cut.start_s < 1 / fps


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> Examination:
    spoilt = {
        1: lambda m, s: late(m, s, 0.2),
        3: lambda m, s: late(m, s, -0.15),
        5: lambda m, s: (m, 0 * s),
        7: lambda m, s: (m[:-20], s),
    }
    return examine(write_set(tmp_path_factory.mktemp("sets") / "set", spoilt), heard)


def digests(folder: Path) -> dict[str, str]:
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir()) if p.is_file()
    }


def test_the_copy_is_in_time_and_says_why(examined: Examination, tmp_path: Path) -> None:
    before = digests(examined.dataset.folder)
    copy = open_dataset(curate(examined, tmp_path / "copy"))
    assert digests(examined.dataset.folder) == before
    assert [c.id for c in copy.clips] == [f"c{i}" for i in range(12) if i != 5]
    told = {c["id"]: c for c in json.loads((tmp_path / "copy" / "decisions.json").read_text())["clips"]}
    assert len(told) == 12 and told["c0"] == {"id": "c0", "decision": "keep", "reasons": []}
    assert told["c5"]["decision"] == "exclude" and "silent" in told["c5"]["reasons"][0]
    assert told["c1"]["decision"] == "shift" and told["c1"]["shift_ms"] == pytest.approx(-200, abs=20)
    again = {s.clip.id: s.numbers for s in examine(copy, heard).sequences}
    assert max(abs(n["offset_ms"]) for n in again.values()) <= 20
    assert max(abs(n["motion_s"] - n["sound_s"]) for n in again.values()) <= 0.5 / FPS + 1e-3


def test_shifted_clips_are_parts_of_the_original(examined: Examination, tmp_path: Path) -> None:
    copy = open_dataset(curate(examined, tmp_path / "copy"))
    told = {c["id"]: c for c in json.loads((tmp_path / "copy" / "decisions.json").read_text())["clips"]}
    for clip in copy.clips:
        old = next(c for c in examined.dataset.clips if c.id == clip.id)
        frames_in, first = (
            told[clip.id].get("frames_dropped", 0),
            round(told[clip.id].get("sound_dropped_s", 0) * RATE),
        )
        motion, sound = copy.motion(clip), copy.sound(clip)[0]
        np.testing.assert_array_equal(
            motion, examined.dataset.motion(old)[frames_in : frames_in + len(motion)]
        )
        np.testing.assert_array_equal(sound, examined.dataset.sound(old)[0][first : first + len(sound)])
        assert clip.seconds == pytest.approx(len(sound) / RATE, abs=1e-5)
        assert ("Curated" in clip.notes) == (clip.id in ("c1", "c3", "c7"))


def test_a_set_in_shards_is_curated_as_well(examined: Examination, tmp_path: Path) -> None:
    write_shards(examined.dataset, tmp_path / "shards", 5)
    sharded = examine(open_dataset(tmp_path / "shards"), heard)
    copy = open_dataset(curate(sharded, tmp_path / "copy"))
    plain = open_dataset(curate(examined, tmp_path / "plain"))
    assert {c.id for c in copy.clips} == {c.id for c in plain.clips}
    for clip in plain.clips:
        other = next(c for c in copy.clips if c.id == clip.id)
        np.testing.assert_array_equal(copy.motion(other), plain.motion(clip))
        np.testing.assert_array_equal(copy.sound(other)[0], plain.sound(clip)[0])


def test_the_copy_never_takes_the_place_of_something(examined: Examination, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for place in (
        tmp_path / "full",
        examined.dataset.folder,
        examined.dataset.folder / "in",
        examined.dataset.folder.parent,
    ):
        with pytest.raises(DataError, match="not an empty folder|lie in one another"):
            curate(examined, place)


def test_words_move_with_the_sound(tmp_path: Path) -> None:
    from doctor_sets import with_clip

    dataset = write_set(tmp_path / "set", {1: lambda m, s: late(m, s, -0.2)})
    spans = ((0.0, 0.1, "gone"), (0.1, 0.5, "cut"), (1.0, 1.5, "moved"))
    copy = open_dataset(curate(examine(with_clip(dataset, 1, words=spans), heard), tmp_path / "copy"))
    first, second = next(c for c in copy.clips if c.id == "c1").words
    assert (first[0], first[2], second[2]) == (0.0, "cut", "moved")
    assert second[1] - second[0] == pytest.approx(0.5, abs=1e-4) and second[0] == pytest.approx(0.8, abs=0.02)


def test_gaze_agreement_changes_sign_with_one_swap() -> None:
    from doctor_sets import take

    motion, _ = take(np.random.default_rng(0))
    order = list(range(len(NAMES)))
    a, b = NAMES.index("eyeLookInLeft"), NAMES.index("eyeLookInRight")
    order[a], order[b] = b, a
    together, against = (levels.gaze_agreement(x, NAMES) for x in (motion, motion[:, order]))
    assert together is not None and against is not None
    assert together > 0.5 and against == pytest.approx(-together)
    assert levels.gaze_agreement(motion[:, :5], NAMES[:5]) is None


def test_a_cut_is_a_jump_of_all_numbers_and_a_blink_is_none() -> None:
    rng, times = np.random.default_rng(2), np.arange(200)[:, None] / 30
    some = np.sin(times * np.linspace(1, 4, 20) + rng.uniform(0, 6, 20)) + 0.01 * rng.standard_normal(
        (200, 20)
    )
    blink = some.copy()
    blink[120, :5] += 2.0
    cut = np.concatenate([some[:90], some[102:]])
    whole, blinked, found = (frames.jumps(x) for x in (some, blink, cut))
    assert len(found) == 188 and int(found.argmax()) == 90
    assert found.max() > 2 * max(whole.max(), blinked[119:122].max())
    held = cut.copy()
    held[80:90] = held[80]
    assert frames.jumps(held)[90] == -1 and (frames.jumps(np.zeros((50, 3))) == -1).all()


def test_a_pair_of_sides_is_told_by_how_far_each_goes() -> None:
    names = ("mouthSmileLeft", "mouthSmileRight", "browDownLeft", "browDownRight", "eyeLookInLeft")
    values = np.tile([0.3, 0.1, 0.001, 0.004, 0.9], (40, 1))
    assert levels.sides(values, names) == pytest.approx([0.5, 0.0])
    assert levels.sides(values[:, [1, 0, 2, 3, 4]], names) == pytest.approx([-0.5, 0.0])
    assert levels.sides(7 * values, names)[0] == pytest.approx(0.5)


def test_an_even_face_says_nothing_of_its_sides_and_a_leaning_one_does(tmp_path: Path) -> None:
    order = [NAMES.index(mirrored_name(name)) for name in NAMES]
    spoilt = {1: lambda m, s: (m[:, order], s)}
    leaning = examine(write_set(tmp_path / "leaning", spoilt, clips=6), heard)
    scores = [s.numbers["mirror_nats"] for s in leaning.sequences]
    assert scores[1] < -5 and min(scores[:1] + scores[2:]) > 5
    assert leaning.sequences[0].numbers["mirror_worth_nats"] > 5

    def even(motion: np.ndarray, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (motion + motion[:, order]) / 2, sound

    faces = examine(write_set(tmp_path / "even", dict.fromkeys(range(6), even), clips=6), heard)
    assert max(abs(s.numbers["mirror_worth_nats"]) for s in faces.sequences) < 1
    few = examine(write_set(tmp_path / "few", spoilt, clips=3), heard)
    assert "mirror_nats" not in few.sequences[1].numbers


FLAME = tuple(f"expr{i}" for i in range(11)) + ("jaw.x", "jaw.y", "jaw.z", "neck.x")
READ = {
    "arkit52, weight, values": (NAMES, "lip gap, jaw, rounding and pressing of the weights"),
    "own, weight, values": (tuple(f"shape {i}" for i in range(15)), "the direction in which the face moves most"),
    "flame, flame, values": (FLAME, "the jaw's opening angle"),
    "scan, mm, values": (tuple(f"v{i}.{a}" for i in range(5) for a in "xyz"), "the direction in which the face moves most"),
    "scan, mm, codes": (tuple(f"v{i}.{a}" for i in range(90) for a in "xyz"), "the direction in which the face moves most"),
    "pose, bar, values": (tuple(f"n{i}" for i in range(15)), "the direction in which the face moves most"),
}  # fmt: skip
"""Annotation, unit and what is stored → names, and how the mouth is read."""


@pytest.mark.parametrize("form", READ)
def test_every_annotation_is_read_and_the_report_says_how(tmp_path: Path, form: str) -> None:
    names, about = READ[form]
    annotation, unit, stored = form.split(", ")
    dataset = write_set(tmp_path / "set", {2: lambda m, s: late(m, s, 0.2)}, clips=4)
    dataset = replace(dataset, annotation=annotation, unit=unit, stored=stored, names=names)
    seen = examine(dataset, heard)
    assert seen.how.about == about and about in Report(seen).text()
    assert all("offset_ms" in s.numbers for s in seen.sequences)
    assert not {f.kind for found in seen.findings for f in found} & {"unreadable", "missing", "not finite"}
