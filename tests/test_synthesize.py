"""Synthetic clips and datasets: lengths, determinism, rest without voice, singing in tune, the twins' form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="the tts extra is not installed")

from unitalker.annotations.layouts import layout
from unitalker.data.dataset import ANY, open_dataset
from unitalker.data.singing import sing
from unitalker.data.synthesize import TWINS, rotation_columns, synthesize, utterances
from unitalker.data.texts import languages, random_text
from unitalker.data.tts import RATE
from unitalker.data.visemes import COLUMN, NAMES, lip_gap
from unitalker.errors import ConfigError
from unitalker.rig import builtin_head

MOUTH = [i for i, n in enumerate(NAMES) if n.startswith(("mouth", "jaw", "tongue", "cheekPuff"))]


def test_utterances_are_a_function_of_the_seed() -> None:
    first = list(utterances(3, 0.02))
    again = list(utterances(3, 0.02))
    other = list(utterances(4, 0.02))
    assert len(first) == len(again)
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.samples, b.samples)
        assert np.array_equal(a.weights60, b.weights60)
        assert np.array_equal(a.head_pose, b.head_pose)
        assert a.phones == b.phones
    assert first[0].text != other[0].text or len(first[0].samples) != len(other[0].samples)


def test_utterances_have_the_right_form() -> None:
    kinds, codes, seconds = set(), set(), 0.0
    for one in utterances(0, 0.1):
        assert one.samples.dtype == np.float32
        assert np.abs(one.samples).max() <= 1
        assert one.weights60.shape == (round(one.seconds * 60), 52)
        assert one.head_pose.shape == (len(one.weights60), 3)
        assert one.phones[0].ipa == ""
        assert one.phones[-1].end_s == pytest.approx(one.seconds)
        kinds.add(one.kind)
        codes.add(one.language)
        seconds += one.seconds
        if one.kind == "rest":
            assert not one.weights60[:, MOUTH].any()
        else:
            assert one.weights60[:, COLUMN["jawOpen"]].max() > 0.05
            assert not one.weights60[0, MOUTH].any()
    assert kinds == {"speech", "song", "rest"}
    assert len(codes) > 12
    assert seconds >= 360


def test_without_blinks_the_eyes_rest() -> None:
    eyes = [i for i, n in enumerate(NAMES) if n.startswith("eye")]
    for one in utterances(1, 0.01, kinds=("speech",), blinks=False):
        assert not one.weights60[:, eyes].any()


def test_english_is_about_a_quarter() -> None:
    codes = [u.language for u in utterances(5, 0.2, kinds=("speech",))]
    assert 0.15 < codes.count("en") / len(codes) < 0.4


def test_bad_requests() -> None:
    with pytest.raises(ConfigError, match="did you mean 'speech'"):
        next(utterances(0, 1, kinds=("speach",)))
    with pytest.raises(ConfigError, match="language with built-in text"):
        next(utterances(0, 1, languages=["xx"]))
    with pytest.raises(ConfigError, match="did you mean 'syn-d0'"):
        synthesize("unused", kinds=["syn-d00"])
    with pytest.raises(ConfigError, match="above 0 seconds"):
        synthesize("unused", seconds=0)
    with pytest.raises(ConfigError, match="above 0 seconds"):
        synthesize("unused", seconds=float("inf"))
    with pytest.raises(ConfigError, match="0 or more, not -1"):
        synthesize("unused", seed=-1)


def test_every_language_gives_text() -> None:
    rng = np.random.default_rng(0)
    assert len(languages()) >= 25
    for code in languages():
        assert all(random_text(code, rng).strip() for _ in range(20))


def peak_hertz(samples: np.ndarray, near: float) -> float:
    """Frequency of the strongest autocorrelation within 3 semitones of a guess."""
    part = samples - samples.mean()
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 16)) ** 2
    auto = np.fft.irfft(power)
    lags = np.arange(int(RATE / near / 1.19), int(RATE / near * 1.19) + 2)
    best = lags[np.argmax(auto[lags])]
    a, b, c = auto[best - 1 : best + 2]
    return RATE / (best + 0.5 * (a - c) / (a - 2 * b + c))


@pytest.mark.parametrize("voice", ["en-us+f2", "en-us+m3", "it"])
def test_songs_are_in_tune_and_keep_their_phone_times(voice: str) -> None:
    name, _, variant = voice.partition("+")
    spoken, notes = sing(
        "La luna bella canta ancora", name, rng=np.random.default_rng(1), variant=variant or None
    )
    assert len(notes) >= 8
    wrong = 0
    for note in notes:
        size = note.end_s - note.start_s
        middle = spoken.samples[
            int((note.start_s + 0.3 * size) * RATE) : int((note.end_s - 0.25 * size) * RATE)
        ]
        wrong += abs(12 * np.log2(peak_hertz(middle, note.hertz) / note.hertz)) > 0.7
    assert wrong <= 1
    assert spoken.phones[-1].end_s == pytest.approx(spoken.seconds, abs=1e-3)
    silent = [p for p in spoken.phones if not p.ipa and p.seconds > 0.05]
    loud = np.sqrt(np.mean(spoken.samples**2))
    for p in silent:
        part = spoken.samples[int((p.start_s + 0.02) * RATE) : int((p.end_s - 0.02) * RATE)]
        assert np.sqrt(np.mean(part**2)) < 0.1 * loud


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("sets")
    names = ["syn-d0", "syn-d2", "syn-d4", "syn-d6", "syn-d7", "syn-rest"]
    return {p.name: p for p in synthesize(out, kinds=names, seconds=1)}


def test_twins_read_back(folders: dict[str, Path]) -> None:
    import soundfile

    for name, folder in folders.items():
        data = open_dataset(folder)
        twin = TWINS[name]
        assert (data.annotation, data.fps, data.unit) == (twin.annotation, twin.fps, twin.unit)
        assert len(data.subjects) == twin.subjects
        for clip in data.clips:
            samples, rate = soundfile.read(data.path(clip.audio))
            assert rate == RATE
            assert len(samples) / rate == pytest.approx(clip.seconds)
            values = data.motion(clip)
            assert values.shape == (round(clip.seconds * data.fps), len(data.names))
            assert values.dtype == np.float32
        assert not list(folder.rglob("*.part*"))


def test_vertices_are_displacements_of_the_rig(folders: dict[str, Path]) -> None:
    data = open_dataset(folders["syn-d0"])
    rig = builtin_head()
    template = data.template(data.subjects[0])
    assert template is not None
    assert template.shape == rig.vertices.shape
    height = np.ptp(template[:, 1])
    assert height == pytest.approx(np.ptp(rig.vertices[:, 1]) / 0.2, rel=0.25)
    motion = data.motion(data.clips[0])
    assert not motion[0].any() or np.abs(motion[0]).max() < 0.05
    assert 0.01 < np.abs(motion).max() < 0.5
    millimetres = open_dataset(folders["syn-d2"])
    assert 2 < np.abs(millimetres.motion(millimetres.clips[0])).max() < 60
    assert millimetres.scale == pytest.approx(0.001)


def test_rest_set_is_for_everyone(folders: dict[str, Path]) -> None:
    data = open_dataset(folders["syn-rest"])
    assert data.subjects == (ANY,)
    assert all(c.subject == ANY for c in data.clips)
    assert not any(data.motion(c)[:, MOUTH].any() for c in data.clips)


def test_channels_are_selected_by_name(folders: dict[str, Path]) -> None:
    data = open_dataset(folders["syn-d6"])
    assert data.names == layout("arkit51").names
    clip = data.clips[0]
    motion = data.motion(clip)
    curves = np.zeros((len(motion), 52), np.float32)
    for i, name in enumerate(data.names):
        curves[:, COLUMN[name]] = motion[:, i]
    jaw = curves[:, COLUMN["jawOpen"]]
    assert (curves[:, COLUMN["mouthClose"]] <= jaw + 1e-6).all()
    times = np.arange(len(jaw)) / data.fps
    shut = [p for p in clip.phones if p[2] in ("p", "m")]
    for start, end, _ in shut:
        assert lip_gap(curves)[(times > start - 0.06) & (times < end)].min() < 0.03


def test_emotions_take_turns(folders: dict[str, Path]) -> None:
    data = open_dataset(folders["syn-d4"])
    assert {c.notes for c in data.clips} == {"neutral"}
    assert TWINS["syn-d4"].emotions


def test_rotation_columns_follow_the_axes() -> None:
    """+pitch looks down, +yaw to +X, +roll carries the top of the head to +X."""
    angle = 0.3
    pitch, yaw, roll = (rotation_columns(np.eye(3)[[k]] * angle)[0] for k in range(3))

    def matrix(six: np.ndarray) -> np.ndarray:
        a, b = six[:3], six[3:]
        return np.stack([a, b, np.cross(a, b)], axis=1)

    assert matrix(pitch) @ [0, 0, 1] == pytest.approx([0, -np.sin(angle), np.cos(angle)], abs=1e-6)
    assert matrix(yaw) @ [0, 0, 1] == pytest.approx([np.sin(angle), 0, np.cos(angle)], abs=1e-6)
    assert matrix(roll) @ [0, 1, 0] == pytest.approx([np.sin(angle), np.cos(angle), 0], abs=1e-6)


def test_flame_twin(tmp_path: Path) -> None:
    import unitalker.data.synthesize as module

    small = {**module.TWINS, "syn-d5": module.Twin("flame413", 30, 3, unit="flame")}
    module_twins, module.TWINS = module.TWINS, small
    try:
        data = open_dataset(synthesize(tmp_path, kinds=["syn-d5"], seconds=1)[0])
    finally:
        module.TWINS = module_twins
    values = np.array(data.motion(data.clips[0]))
    assert values.shape[1] == 413
    assert np.allclose(values[:, 412], 1)
    assert np.ptp(values[:, 400]) > 0.01
    assert np.ptp(values[:, 403:409], axis=0).max() > 0.001
    assert not np.ptp(values[:, :300], axis=0).any()
