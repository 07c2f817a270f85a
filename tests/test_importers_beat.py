"""BEAT's and BEAT2's layouts, made up: values, clocks, splits, halves, long gaps, and broken files."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from unitalker.annotations.layouts import layout
from unitalker.cli import main
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.importers import expected, import_corpus
from unitalker.data.importers.beat_facts import EMOTIONS, SPEAKERS, parse, split_of
from unitalker.data.importers.beat_json import look
from unitalker.data.importers.corpus import Imported
from unitalker.data.importers.textgrid import read_words, words_within
from unitalker.data.likes import Size, make_like
from unitalker.data.likes.beat import STORED
from unitalker.errors import DataError

ARKIT = layout("arkit52").names


@pytest.fixture(scope="module")
def beat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_like("beat", tmp_path_factory.mktemp("corpora") / "Bëat of mine", Size(seconds=0.8))


def taken(kind: str, source: Path, out: Path) -> tuple[Dataset, Imported]:
    (made,) = import_corpus(kind, source, out)
    return open_dataset(made.folder), made


def face(
    folder: Path, stem: str, times: Any, rows: Any = None, names: Any = STORED, sound: float = 0
) -> Path:
    """A face file, and sound of so many seconds beside it."""
    rows = np.zeros((len(times), len(STORED))).tolist() if rows is None else rows
    frames = [{"weights": row, "time": float(t)} for row, t in zip(rows, times, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.json"
    path.write_text(json.dumps({"names": list(names), "frames": frames}))
    if sound:
        soundfile.write(folder / f"{stem}.wav", np.full(round(sound * 16000), 0.1), 16000)
    return path


def test_beat_is_read_by_name(beat: Path, tmp_path: Path) -> None:
    dataset, told = taken("beat", beat, tmp_path / "set")
    assert not told.problems and "train 2 of 1342, val 2 of 400, test 2 of 385" in told.notes[0]
    assert (dataset.annotation, dataset.fps, dataset.names) == ("arkit52", 60, ARKIT)
    assert dataset.known is not None and set(ARKIT) - set(dataset.known) == {"tongueOut"}
    assert dataset.subjects == ("1_wayne", "2_scott") and "data doctor" in told.notes[-1]
    for clip in dataset.clips:
        speaker = clip.subject.split("_")[0]
        held = json.loads((beat / speaker / f"{clip.id}.json").read_text())
        motion = np.asarray(dataset.motion(clip))
        for j, name in enumerate(ARKIT):
            stored = (
                [f["weights"][held["names"].index(name)] for f in held["frames"]] if name in STORED else 0
            )
            assert np.abs(motion[:, j] - stored).max() < 1e-6
        assert clip.language == "en" and clip.text == "syllables" and clip.words == ((0.1, 0.7, "syllables"),)
        assert clip.notes == "Speech, neutral." and len(dataset.sound(clip)[0]) == 12800


def read(dataset: Dataset, clip: int, name: str = "jawOpen") -> np.ndarray:
    return np.asarray(dataset.motion(dataset.clips[clip]))[:, ARKIT.index(name)]


def test_time_stamps_count_not_the_order_of_frames(tmp_path: Path) -> None:
    """Against a curve that is known at any time: numpy's interpolation over the stamps."""
    rng = np.random.default_rng(1)
    steady = np.arange(240) / 60
    uneven = np.sort(rng.uniform(0.05, 4, 200))
    gaps = np.concatenate([steady[:60], steady[66:100], steady[150:]])
    order = rng.permutation(51)
    for speaker, times in ((1, steady), (2, uneven), (3, gaps), (4, steady[10:] + 7000)):
        rows = np.zeros((len(times), 51))
        rows[:, list(order).index(STORED.index("jawOpen"))] = np.sin(times)
        face(tmp_path / "in", f"{speaker}_x_0_9_9", times, rows.tolist(), [STORED[i] for i in order], 4.0)
    dataset, told = taken("beat", tmp_path / "in", tmp_path / "set")
    assert [c.id for c in dataset.clips] == [
        "1_x_0_9_9", "2_x_0_9_9", "3_x_0_9_9_00", "3_x_0_9_9_01", "4_x_0_9_9",
    ]  # fmt: skip
    assert np.abs(read(dataset, 0) - np.sin(steady)).max() < 1e-6
    clock = np.arange(len(read(dataset, 1))) / 60
    exact = np.interp(clock, uneven, np.sin(uneven))
    assert np.abs(read(dataset, 1) - exact).max() < 0.0021 and len(clock) == 240
    filled, late = read(dataset, 2), read(dataset, 3)
    assert len(filled) == 100 and np.abs(filled - np.interp(steady[:100], gaps, np.sin(gaps))).max() < 1e-6
    assert len(late) == 90 and np.abs(late - np.sin(steady[150:])).max() < 1e-6
    assert [c.seconds for c in dataset.clips[2:4]] == [pytest.approx(100 / 60, abs=1e-4), 1.5]
    assert np.abs(read(dataset, 4) - np.sin(steady[10:] + 7000)).max() < 1e-6
    text = " ".join(told.notes)
    assert "2_x_0_9_9: the first frame stands at" in text and "frames lie between time stamps" in text
    assert "3_x_0_9_9: frames are missing for more than 0.2 s, so it became 2 clips." in text
    assert "its time begins at 7000.167 s, of another clock" in text and "1_x_0_9_9:" not in text
    assert "Speakers that the corpus does not have: 1_x, 2_x, 3_x, 4_x." in told.notes


def test_the_published_rule_splits_and_halves(tmp_path: Path) -> None:
    table = expected("beat")
    assert table is not None and table.subjects == SPEAKERS and len(SPEAKERS) == 30
    counts: Counter[str] = Counter()
    for speaker in SPEAKERS:
        english = [f"{speaker}_0_{n}_{n}" for n in range(1, 119)] + [
            f"{speaker}_1_{n}_{n}" for n in range(13)
        ]
        for stem in set(english) - set(table.missing):
            name = parse(stem)
            assert name is not None
            short = name.id not in (1, 2, 3, 4, 6, 7, 8, 9, 11, 21)
            if short and name.kind == 1 and name.start in (0, 4) and name.id != 29:
                continue
            counts[split_of(name)] += 1
            counts["val"] += name.cut is not None
    assert {split: counts[split] for split in table.clips} == table.clips
    splits = {
        "1_wayne_0_1_8": "test",
        "1_wayne_0_65_72": "train",
        "12_zhao_2_57_57": "val",
        "31_x_0_9_9": "unused",
    }
    splits |= {"5_stewart_0_65_a": "test", "5_stewart_0_65_b": "val", "5_stewart_0_17_17": "unused"}
    for stem, split in splits.items():
        name = parse(stem)
        assert name is not None and split_of(name) == split, stem
    assert parse("wayne_0_1_1") is None and parse("1_wayne_8_1_1") is None
    said = [parse(stem) for stem in (*(f"1_wayne_0_{n}_{n}" for n in EMOTIONS), "1_wayne_3_2_2")]
    assert [name.about for name in said if name] == [f"Speech, {felt}." for felt in EMOTIONS.values()] + [
        "Conversation, neutral."
    ]
    assert list(EMOTIONS.items())[:3] == [(64, "neutral"), (72, "happiness"), (80, "anger")]
    times = np.arange(32 * 60) / 60
    rows = np.zeros((len(times), 51))
    rows[:, 0] = times / 100
    face(tmp_path / "in", "5_stewart_0_65_65", times, rows.tolist(), sound=33.0)
    dataset, made = taken("beat", tmp_path / "in", tmp_path / "set")
    assert [(c.id, c.split, c.seconds) for c in dataset.clips] == [
        ("5_stewart_0_65_a", "test", 30.0),
        ("5_stewart_0_65_b", "val", 2.0),
    ]
    assert read(dataset, 1, "browDownLeft")[0] == pytest.approx(0.3) and len(read(dataset, 0)) == 1800
    assert [n for n in made.notes if "65" in n] == [
        "5_stewart_0_65_b: the sound is 1.00 s longer than the motion; its end was cut."
    ]


def test_broken_sequences_are_left_out_and_named(
    beat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(beat, tmp_path / "in the wild")
    one = root / "1" / "1_wayne_0_9_9.json"
    one.write_text(one.read_text()[:10_000])
    (root / "1" / "1_wayne_0_57_57.wav").unlink()
    (root / "1" / "1_wayne_0_57_57.json").rename(root / "1" / "1_wayne_0_58_58.json")
    (root / "1" / "1_wayne_0_1_1.TextGrid").write_text("nothing")
    clock, good = np.arange(30) / 60, np.zeros((30, 51)).tolist()
    folder = root / "30"
    face(folder, "30_a_0_1_1", clock, names=("jawOpen", *STORED[1:]), sound=0.5)
    face(folder, "30_a_0_2_2", clock, names=STORED[:50], sound=0.5)
    face(folder, "30_a_0_3_3", clock, [*good[:29], good[0][:50]], sound=0.5)
    face(folder, "30_a_0_4_4", clock, [*good[:7], [float("nan")] * 51, *good[8:]], sound=0.5)
    face(folder, "30_a_0_5_5", clock[::-1], sound=0.5)
    face(folder, "30_a_0_6_6", np.arange(180) / 60, sound=0.5)
    face(folder, "30_a_0_7_7", [], sound=0.5)
    face(folder, "30_a_0_8_8", clock, names=(), sound=0.5)
    face(folder, "30_a_0_9_9", clock, [*good[:29], ["x"] * 51], sound=0.5)
    face(folder, "settings", clock)
    (folder / "30_a_0_10_10.json").write_text("[" * 100_000)
    soundfile.write(folder / "30_a_0_10_10.wav", np.zeros(8000), 16000)
    (folder / "30_a_0_11_11.json").write_bytes(b'{"names": ["\xff"]}')
    soundfile.write(folder / "30_a_0_11_11.wav", np.zeros(8000), 16000)
    assert main(["data", "import", "beat", str(root), str(tmp_path / "made")]) == 1
    told = capsys.readouterr().err
    for sentence in (
        "1_wayne_0_9_9.json is not a whole JSON file (",
        "1_wayne_0_58_58.json has no sound of the same name",
        "1_wayne_0_1_1: its words were not taken over",
        "30_a_0_1_1.json names jawOpen twice",
        "30_a_0_2_2.json lacks noseSneerRight of its names",
        "30_a_0_3_3.json: frame 29 has 50 weights, the ones before 51",
        "30_a_0_4_4.json: NaN or infinite numbers, the first in frame 7",
        "30_a_0_5_5.json: time goes back at frame 1",
        "30_a_0_6_6 was left out: its motion lasts 3.00 s, its sound only 0.50 s",
        "30_a_0_7_7.json has no frames",
        "30_a_0_8_8.json has no names",
        "30_a_0_9_9.json: a frame from 0 on holds something else than numbers",
        "settings.json was left out: sequences are called as 1_wayne_0_9_9",
        "30_a_0_10_10.json is not a whole JSON file",
        "30_a_0_11_11.json is not a whole JSON file",
    ):
        assert sentence in told, sentence
    assert [c.id for c in open_dataset(tmp_path / "made").clips][:1] == ["1_wayne_0_1_1"]
    with pytest.raises(DataError, match="holds no face files of this corpus"):
        taken("beat", tmp_path / "made", tmp_path / "x")


def test_json_in_any_order_and_in_small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a few characters at a time, with keys that nobody asked for, it is what json.load gives."""
    rng = np.random.default_rng(2)
    rows = rng.random((70, 51))
    names = ["tongueOut", *STORED]
    held = {
        "version": 12345,
        "frames": [
            {"time": t / 60, "rotation": [], "weights": [0.0, *row]} for t, row in enumerate(rows.tolist())
        ],
        "info": {"a": [1, {"names": 2}]},
        "names": names,
    }
    path = tmp_path / "1_wayne_0_9_9.json"
    path.write_text("\ufeff" + json.dumps(held, indent=1))
    soundfile.write(tmp_path / "1_wayne_0_9_9.wav", np.zeros(round(70 / 60 * 16000)), 16000)
    monkeypatch.setattr("unitalker.data.importers.json_stream.PIECE", 7)
    monkeypatch.setattr("unitalker.data.importers.json_stream.AHEAD", 5)
    monkeypatch.setattr("unitalker.data.importers.beat_json.ROWS", 16)
    dataset, told = taken("beat", tmp_path, tmp_path.parent / "pieces")
    found = np.asarray(dataset.motion(dataset.clips[0]))
    assert np.abs(found[:, [ARKIT.index(n) for n in STORED]] - rows).max() < 1e-6
    assert "1_wayne_0_9_9: channels beside the 51 were left out: tongueOut." in told.notes
    assert look(path, STORED).columns == tuple(range(1, 52))


def test_words_of_a_textgrid(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    head = 'item [1]:\n name = "words"\n'
    row = '  xmin = {} \n  xmax = {} \n  text = "{}" \n'
    tail = 'item [2]:\n name = "phones"\n' + row.format(0, 1, "AH0")
    marks = ((0, 0.2, ""), (0.2, 0.5, 'say ""hi""'), (0.5, 0.9, "grün"), (0.9, 1, "sil"))
    for encoding in ("utf-8", "utf-16"):
        path.write_text(head + "".join(row.format(*mark) for mark in marks) + tail, encoding=encoding)
        assert read_words(path) == ((0.2, 0.5, 'say "hi"'), (0.5, 0.9, "grün"))
    assert words_within(read_words(path), 0.4, 1.0) == ((0.1, 0.5, "grün"),)


def test_beat2_keeps_jaw_and_expression(tmp_path: Path) -> None:
    source = make_like("beat2", tmp_path / "Bëat 2", Size(seconds=0.8))
    dataset, told = taken("beat2", source, tmp_path / "set")
    assert not told.problems and (dataset.annotation, dataset.fps, dataset.unit) == (
        "FLAME_2020_parameters",
        30,
        "flame",
    )
    assert (
        told.notes[0] == "beat_english_v2.0.0: test 2 of 2, train 2 of 2, val 2 of 2 in train_test_split.csv."
    )
    for clip in dataset.clips:
        with np.load(source / "beat_english_v2.0.0" / "smplxflame_30" / f"{clip.id}.npz") as held:
            poses, expressions = held["poses"], held["expressions"]
        motion = np.asarray(dataset.motion(clip))
        assert motion.shape == (24, 413) and np.abs(motion[:, 400:403] - poses[:, 66:69]).max() < 1e-6
        assert np.abs(motion[:, 300:400] - expressions).max() < 1e-6 and not motion[:, :300].any()
        assert (motion[:, 403:] == [1, 0, 0, 0, 1, 0, 0, 0, 0, 1]).all() and poses.any()
        assert clip.text == "syllables" and clip.language == "en"


def test_beat2_broken_and_in_half(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_like("beat2", tmp_path / "in", Size(takes=6, people=1, seconds=0.8)) / "beat_english_v2.0.0"
    motion = root / "smplxflame_30"
    stems = [f"1_wayne_0_{n}_{n}" for n in (1, 10, 11, 12, 57, 9)]
    poses, faces = np.zeros((24, 165)), np.zeros((24, 100))

    def put(stem: str, **arrays: np.ndarray) -> None:
        np.savez_compressed(motion / f"{stem}.npz", **arrays)  # type: ignore[arg-type]

    whole = (motion / f"{stems[0]}.npz").read_bytes()
    (motion / f"{stems[0]}.npz").write_bytes(whole[: len(whole) // 2])
    put(stems[1], poses=poses.astype(object), expressions=faces)
    put(stems[2], poses=poses, expressions=faces[:20])
    put(stems[3], poses=np.full_like(poses, 90.0), expressions=faces)
    put(stems[4], poses=poses, expressions=faces, mocap_frame_rate=np.array(60))
    put(stems[5], poses=np.asfortranarray(poses.reshape(24, 55, 3)), expressions=np.asfortranarray(faces))
    (root / "wave16k" / "1_wayne_0_99_99.wav").write_bytes(b"")
    (root / "train_test_split.csv").write_text(f"id,type\n{stems[5]},additional\nx,test\n")
    assert main(["data", "import", "beat2", str(root), str(tmp_path / "made")]) == 1
    told = capsys.readouterr().err
    for sentence in (
        f"{stems[0]}.npz is not a readable npz file",
        "poses holds Python objects, which can run code when made",
        "should hold poses (T, 165) and expressions (T, 100), not (24, 165) and (20, 100)",
        "its jaw is turned by up to 90",
        "has 60 frames a second; this corpus has 30",
        "1_wayne_0_99_99 was left out:",
        "beat_english_v2.0.0: additional 1 of 1, test 0 of 1, unused 5 of 0",
    ):
        assert sentence in told, sentence
    dataset = open_dataset(tmp_path / "made")
    assert [(c.id, c.split) for c in dataset.clips] == [(stems[5], "additional")]
    (root / "train_test_split.csv").unlink()
    _, again = taken("beat2", root, tmp_path / "ruled")
    assert any("split by the rule that BEAT's authors give" in note for note in again.notes)
    (root / "train_test_split.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="columns id and type"):
        taken("beat2", root, tmp_path / "x")
    with pytest.raises(DataError, match="holds no smplxflame_30"):
        taken("beat2", motion, tmp_path / "x")
