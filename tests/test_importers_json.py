"""Weights in JSON as other tools write it: Audio2Face's exports and MediaPipe's scores, written here by the json module."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from unitalker.annotations.layouts import layout
from unitalker.cli import main
from unitalker.data.importers import import_corpus
from unitalker.data.importers.corpus import Imported, Options
from unitalker.errors import DataError

ARKIT = layout("arkit52").names
CATEGORIES = ["_neutral", *sorted(n for n in ARKIT if n != "tongueOut")]
RATE = 16000


def voice(path: Path, seconds: float = 2.0, quiet: float = 0.0) -> None:
    """A buzz after `quiet` seconds of silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * RATE)) / RATE
    soundfile.write(path, 0.3 * np.sin(1500 * times) * (times >= quiet), RATE)


def write(path: Path, held: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(held), encoding="utf-8")
    return path


def only(made: list[Imported]) -> tuple[dict, dict[str, np.ndarray]]:
    """The manifest, and clip → motion."""
    manifest = json.loads((made[0].folder / "dataset.json").read_text())
    return manifest, {c["id"]: np.load(made[0].folder / c["motion"]) for c in manifest["clips"]}


def export(
    names: list[str], rows: np.ndarray, fps: float | None = 30.0, track: str = "", **more: Any
) -> dict:
    held = {"exportFps": fps, "trackPath": track, "numPoses": len(names), "numFrames": len(rows)}
    held = {k: v for k, v in held.items() if v is not None}
    return held | {"facsNames": names, "weightMat": rows.tolist()} | more


def test_audio2face_numbers_arrive_under_their_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [*(n[0].upper() + n[1:] for n in reversed(ARKIT)), "tongueTipUp"]
    rows = rng.random((60, 53)).round(5)
    write(
        tmp_path / "in" / "anna" / "x.json",
        export(names, rows, track="D:\\voices\\hello there.wav", joints=["jaw"]),
    )
    voice(tmp_path / "in" / "anna" / "hello there.wav")
    (tmp_path / "in" / "settings.json").write_text('{"colour": "blue"}')
    made = import_corpus("audio2face", tmp_path / "in", tmp_path / "out")
    manifest, motion = only(made)
    assert manifest["annotation"] == "arkit52" and manifest["fps"] == 30
    np.testing.assert_array_equal(motion["anna_x"], rows[:, 51::-1].astype(np.float32))
    told = "\n".join(made[0].notes)
    assert (
        "tongueTipUp" in told and "its joints were left out" in told and "settings.json is no export" in told
    )


def test_audio2face_names_of_its_own_are_an_annotation_of_their_own(tmp_path: Path) -> None:
    rows = np.linspace(0, 1, 180).reshape(60, 3)
    for name in ("a", "b"):
        write(tmp_path / "in" / f"{name}.json", export(["jawDrop", "pucker", "lipSuck"], rows))
        voice(tmp_path / "in" / f"{name}.wav")
    write(tmp_path / "in" / "c.json", export(["jawDrop", "pucker", "funneler"], rows))
    voice(tmp_path / "in" / "c.wav")
    made = import_corpus("audio2face", tmp_path / "in", tmp_path / "out")
    manifest, motion = only(made)
    assert manifest["names"] == ["jawDrop", "pucker", "lipSuck"] and sorted(motion) == ["a", "b"]
    assert (made[0].folder / "annotations" / f"{manifest['annotation']}.json").is_file()
    np.testing.assert_array_equal(motion["a"], rows.astype(np.float32))
    assert "differ in the channel 'funneler'" in made[0].problems[0]


def test_audio2face_rates_are_brought_together_and_asked_for(tmp_path: Path) -> None:
    for name, fps in (("a", 30.0), ("b", 30.0), ("c", 60.0)):
        times = np.arange(round(2 * fps)) / fps
        wave = np.stack([0.5 + 0.4 * np.sin(5 * times), 0 * times], 1)
        write(tmp_path / "in" / f"{name}.json", export(["jawOpen", "mouthClose"], wave, fps))
        voice(tmp_path / "in" / f"{name}.wav")
    _, motion = only(import_corpus("audio2face", tmp_path / "in", tmp_path / "out"))
    inside = slice(15, 45)
    jaw = ARKIT.index("jawOpen")
    np.testing.assert_allclose(motion["c"][inside, jaw], motion["a"][inside, jaw], atol=2e-3)
    for name in "abc":
        held = json.loads((tmp_path / "in" / f"{name}.json").read_text())
        del held["exportFps"]
        write(tmp_path / "in" / f"{name}.json", held)
    with pytest.raises(DataError, match="does not say its exportFps; give --fps"):
        import_corpus("audio2face", tmp_path / "in", tmp_path / "other")
    manifest, _ = only(import_corpus("audio2face", tmp_path / "in", tmp_path / "more", Options(fps=25.0)))
    assert manifest["fps"] == 25


ROWS = np.linspace(0, 1, 120).reshape(60, 2)
GOOD = export(["jawOpen", "mouthClose"], ROWS)
BROKEN: dict[str, tuple[Any, str]] = {
    "half a file": (json.dumps(GOOD)[:-300], "is not a whole JSON file"),
    "no names": ({k: v for k, v in GOOD.items() if k != "facsNames"}, "no list facsNames"),
    "no frames": (GOOD | {"weightMat": []}, "has no frames in weightMat"),
    "one row is short": (GOOD | {"weightMat": [[0, 0]] * 9 + [[0]]}, "frame 9 has 1 numbers, not 2"),
    "a word": (GOOD | {"weightMat": [[0, 0]] * 9 + [[0, "wide"]]}, "something else than numbers"),
    "nan": (
        GOOD | {"weightMat": [[0, 0]] * 9 + [[0, float("nan")]]},
        "NaN or infinite numbers, the first in frame 9",
    ),
    "a name twice": (GOOD | {"facsNames": ["jawOpen", "JawOpen"]}, "names jawOpen twice"),
    "no rate": (GOOD | {"exportFps": "fast"}, "has the exportFps 'fast'"),
    "bytes": (b"\xff\xfe\x00{", "is not a whole JSON file"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_exports_are_named_and_the_others_imported(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held, said = BROKEN[fault]
    write(tmp_path / "in" / "good one.json", GOOD)
    bad = tmp_path / "in" / "bäd.json"
    if isinstance(held, bytes):
        bad.write_bytes(held)
    else:
        bad.write_text(held if isinstance(held, str) else json.dumps(held))
    for name in ("good one", "bäd"):
        voice(tmp_path / "in" / f"{name}.wav")
    assert main(["data", "import", "audio2face", str(tmp_path / "in"), str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "bäd was left out" in told and said in told
    assert [c["id"] for c in json.loads((tmp_path / "out" / "dataset.json").read_text())["clips"]] == [
        "good_one"
    ]


def test_audio2face_without_sound_and_without_anything(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.json", export(["jawOpen"], ROWS[:, :1], track="/x/lost.wav"))
    with pytest.raises(DataError, match="a.json has no sound of its name or 'lost'"):
        import_corpus("audio2face", tmp_path / "in", tmp_path / "out")
    write(tmp_path / "in" / "a.json", {"a": 1})
    with pytest.raises(DataError, match="holds no JSON of Audio2Face"):
        import_corpus("audio2face", tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out" / "dataset.json").exists()


def scores(count: int = 60, fps: float = 30.0) -> np.ndarray:
    """(T, 52) in MediaPipe's order: _neutral 1e-6, jawOpen a ramp, all else its column's number over 100."""
    values = np.tile(np.arange(52) / 100, (count, 1))
    values[:, 0], values[:, CATEGORIES.index("jawOpen")] = 1e-6, np.arange(count) / fps / 4
    return values


def category(name: str, score: float, key: str) -> dict:
    return {"index": 0, "score": score, key: name, "displayName": ""}


def categories(row: np.ndarray, key: str = "categoryName") -> list[dict]:
    return [category(n, float(s), key) for n, s in zip(CATEGORIES, row, strict=True)]


FORMS = {
    "lists of categories": lambda rows: [categories(r) for r in rows],
    "python's spelling": lambda rows: {
        "fps": 30,
        "frames": [{"face_blendshapes": [categories(r, "category_name")]} for r in rows],
    },
    "objects with times in ms": lambda rows: [
        {"timestampMs": 1000 * t / 30, "faceBlendshapes": [{"categories": categories(r)}]}
        for t, r in enumerate(rows)
    ],
    "names to scores, seconds": lambda rows: {
        "results": [
            {"time": t / 30, "blendshapes": dict(zip(CATEGORIES, map(float, r), strict=True))}
            for t, r in enumerate(rows)
        ]
    },
    "names and frames": lambda rows: {"fps": 30, "names": CATEGORIES, "frames": rows.tolist()},
    "shuffled categories": lambda rows: [
        categories(r)[::-1] if t % 2 else categories(r) for t, r in enumerate(rows)
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_mediapipe_forms_are_one_motion(form: str, tmp_path: Path) -> None:
    write(tmp_path / "in" / "Ä b.json", FORMS[form](scores()))
    voice(tmp_path / "in" / "Ä b.wav")
    fps = Options(fps=30.0) if "categories" in form else None
    made = import_corpus("mediapipe", tmp_path / "in", tmp_path / "out", fps)
    manifest, motion = only(made)
    assert manifest["known"] == [n for n in ARKIT if n != "tongueOut"] and not made[0].problems
    want = np.zeros((60, 52), np.float32)
    for k, name in enumerate(CATEGORIES[1:], 1):
        want[:, ARKIT.index(name)] = scores()[:, k]
    np.testing.assert_allclose(motion["Ä_b"], want, atol=1e-6)


def test_mediapipe_npz_and_losses_of_the_face(tmp_path: Path) -> None:
    rows = scores(120)
    rows[10:13] = np.nan
    rows[60:90] = np.nan
    (tmp_path / "in").mkdir()
    np.savez(
        tmp_path / "in" / "a.npz",
        blendshapes=rows,
        timestamps=0,
        timestamp_ms=5e6 + np.arange(120) * 1000 / 30,
    )
    voice(tmp_path / "in" / "a.wav", 4.0)
    made = import_corpus("mediapipe", tmp_path / "in", tmp_path / "out")
    _, motion = only(made)
    jaw = ARKIT.index("jawOpen")
    np.testing.assert_allclose(motion["a_00"][:, jaw], np.arange(60) / 120, atol=1e-6)
    np.testing.assert_allclose(motion["a_01"][:, jaw], np.arange(90, 120) / 120, atol=1e-6)
    told = "\n".join(made[0].notes)
    assert "33 of 120 frames are without a face" in told and "of another clock" in told


def test_mediapipe_resting_face_is_taken_away_when_asked(tmp_path: Path) -> None:
    rows = scores()
    jaw = CATEGORIES.index("jawOpen")
    rows[:, jaw] = 0.1
    rows[30:, jaw] = 0.6
    write(tmp_path / "in" / "a.json", {"fps": 30, "frames": [{"blendshapes": categories(r)} for r in rows]})
    voice(tmp_path / "in" / "a.wav", quiet=1.0)
    kept = import_corpus("mediapipe", tmp_path / "in", tmp_path / "kept")
    assert any("--neutral takes it away" in note for note in kept[0].notes)
    made = import_corpus("mediapipe", tmp_path / "in", tmp_path / "out", Options(neutral=True))
    _, motion = only(made)
    want = np.zeros((60, 52), np.float32)
    want[30:, ARKIT.index("jawOpen")] = 0.5
    np.testing.assert_allclose(motion["a"], want, atol=1e-6)
    voice(tmp_path / "in" / "a.wav")
    loud = import_corpus("mediapipe", tmp_path / "in", tmp_path / "loud", Options(neutral=True))
    assert any("no silence, so the resting face is still in its weights" in note for note in loud[0].notes)
    np.testing.assert_array_equal(only(loud)[1]["a"], only(kept)[1]["a"])


LISTS = [categories(r) for r in scores()]
FAULTS: dict[str, tuple[Any, str]] = {
    "half a file": (json.dumps({"fps": 30, "frames": LISTS})[:-99], "is not a whole JSON file"),
    "no rate": ({"frames": LISTS}, "neither time stamps nor fps"),
    "time goes back": ([{"time": -t, "blendshapes": r} for t, r in enumerate(LISTS)], "time does not go on"),
    "time is a word": ([{"time": "soon", "blendshapes": r} for r in LISTS], "frame 0 has the time 'soon'"),
    "time is lost": (
        [{"time": 0, "blendshapes": LISTS[0]}, {"blendshapes": LISTS[1]}],
        "has neither time stamps nor fps",
    ),
    "a name is lost": (
        {"fps": 30, "frames": [*LISTS[:9], LISTS[9][1:]]},
        "frame 9 and the first one differ in the name '_neutral'",
    ),
    "numbers without names": (
        {"fps": 30, "names": ["jawOpen"], "frames": [[0, 1], [0, 1]]},
        "frame 0 has 2 scores for 1 names",
    ),
    "nan": (
        {"fps": 30, "names": ["jawOpen"], "frames": [[0], [float("nan")]]},
        "NaN or infinite numbers, the first in frame 1",
    ),
    "no face": ({"fps": 30, "frames": [[], None, []]}, "0 frames with a face"),
    "no sound": ({"fps": 30, "frames": LISTS}, "has no sound or film of its name"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_scores_are_named_and_the_others_imported(fault: str, tmp_path: Path) -> None:
    held, said = FAULTS[fault]
    write(tmp_path / "in" / "good.json", {"fps": 30, "frames": LISTS})
    (tmp_path / "in" / "bad.json").write_text(held if isinstance(held, str) else json.dumps(held))
    for name in ("good", *(["bad"] if fault != "no sound" else [])):
        voice(tmp_path / "in" / f"{name}.wav")
    made = import_corpus("mediapipe", tmp_path / "in", tmp_path / "out")
    assert list(only(made)[1]) == ["good"]
    (problem,) = made[0].problems
    assert problem.startswith("bad was left out") and said in problem


def test_json_of_something_else_is_told(tmp_path: Path) -> None:
    for name, held in (
        ("a", {"license": "MIT"}),
        ("b", [1, 2, 3]),
        ("c", [{"box": 1}]),
        ("d", {"data": ["x"]}),
    ):
        write(tmp_path / "in" / f"{name}.json", held)
    with pytest.raises(DataError, match="holds no scores of MediaPipe's face landmarker"):
        import_corpus("mediapipe", tmp_path / "in", tmp_path / "out")
