"""CSV, JSON and NPZ: exact headers, exact numbers, files that appear whole or not at all."""

import csv
import doctest
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test_layouts import CSV_HEADER
from unitalker.annotations.layouts import convert, layout
from unitalker.errors import ExportError
from unitalker.export import WRITERS, check, check_channels, csv_livelink, read, write
from unitalker.files import atomic
from unitalker.motion import Motion


def talk(name="arkit52", frames=9, fps=60.0, seed=0) -> Motion:
    names = layout(name).names
    values = np.random.default_rng(seed).normal(0.3, 0.4, (frames, len(names)))
    return Motion(values, names, fps, name, "weight", "set/anna", {"model": "mini", "note": "é ✓"})


def mesh(frames=3) -> Motion:
    names = [f"v{i}.{axis}" for i in range(4) for axis in "xyz"]
    rng = np.random.default_rng(0)
    template = rng.normal(size=(4, 3)).astype(np.float32)
    return Motion(rng.normal(size=(frames, 12)) * 1e-4, names, 25, "head", "m", template=template)


def same(a: Motion, b: Motion) -> None:
    assert (a.names, a.fps, a.annotation, a.unit, a.identity, a.provenance) == (
        b.names,
        b.fps,
        b.annotation,
        b.unit,
        b.identity,
        b.provenance,
    )
    np.testing.assert_array_equal(a.values, b.values)
    assert (a.template is None) == (b.template is None)
    if a.template is not None:
        np.testing.assert_array_equal(a.template, b.template)


@pytest.mark.parametrize("suffix", [".json", ".npz", ".JSON"])
@pytest.mark.parametrize("motion", [talk(), mesh(), talk(frames=0), talk("facegood116", fps=29.97)])
def test_exact_round_trip(tmp_path, suffix, motion):
    same(read(write(motion, tmp_path / f"a{suffix}")), motion)


FLOATS = st.floats(-2, 2, width=32) | st.sampled_from([0.0, -0.0, 1e-30, -3e-12, 0.1, 1.0, 123456.78])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=5), st.floats(1, 240))
def test_json_keeps_every_bit_of_the_numbers(tmp_path_factory, rows, fps):
    path = tmp_path_factory.mktemp("json") / "a.json"
    motion = Motion(np.array(rows, np.float32).reshape(-1, 2), ("a", "b"), fps, "x", "weight")
    got = read(write(motion, path))
    np.testing.assert_array_equal(got.values, motion.values)
    assert got.fps == fps


def test_json_is_the_documented_object(tmp_path):
    data = json.loads(write(talk(frames=2), tmp_path / "a.json").read_text(encoding="utf-8"))
    assert list(data) == [
        "format",
        "version",
        "annotation",
        "identity",
        "fps",
        "unit",
        "names",
        "frames",
        "provenance",
    ]
    assert (data["format"], data["version"], data["fps"], data["unit"]) == (
        "unitalker.motion",
        1,
        60,
        "weight",
    )
    assert data["names"] == list(layout("arkit52").names)
    assert [len(row) for row in data["frames"]] == [52, 52] and data["provenance"]["note"] == "é ✓"
    assert "template" in json.loads(write(mesh(), tmp_path / "b.json").read_text())


def test_npz_is_plain_arrays(tmp_path):
    with np.load(write(talk(frames=2), tmp_path / "a.npz"), allow_pickle=False) as z:
        assert set(z.files) == {"values", "names", "fps", "annotation", "unit", "identity", "provenance"}
        assert z["values"].dtype == np.float32 and z["values"].shape == (2, 52)
        assert z["names"].tolist() == list(layout("arkit52").names) and float(z["fps"]) == 60
        assert json.loads(str(z["provenance"]))["model"] == "mini"


def test_csv_header_and_rows(tmp_path):
    motion = talk(frames=3, fps=30)
    with write(motion, tmp_path / "a.csv").open(newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == ["Timecode", "BlendShapeCount", *CSV_HEADER]
    assert [row[0] for row in rows] == ["00:00:00:00.000", "00:00:00:02.000", "00:00:00:04.000"]
    assert all(row[1] == "61" and len(row) == 63 for row in rows)
    assert all(len(cell.split(".")[1]) == 10 for cell in rows[1][2:])
    jaw = head.index("JawLeft")
    assert float(rows[1][jaw]) == pytest.approx(motion.channel("jawLeft")[1], abs=1e-9)
    assert {float(cell) for cell in rows[1][-9:]} == {0.0}


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30, 50, 59.94, 60, 100, 12.5])
@pytest.mark.parametrize("frames", [2, 7, 400])
def test_csv_round_trip_at_any_rate(tmp_path, fps, frames):
    motion = talk(frames=frames, fps=fps)
    got = read(write(motion, tmp_path / "a.csv"))
    assert len(got) == frames and got.fps == pytest.approx(fps, rel=2e-3 / frames + 1e-4)
    if fps == int(fps):
        assert got.fps == fps
    np.testing.assert_allclose(got.values, convert(motion, "livelink_csv").values, atol=1e-7)
    assert got.annotation == "livelink_csv"


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10**6), st.sampled_from([24.0, 25.0, 30.0, 59.94, 60.0, 120.0]))
def test_timecode_tells_the_time(frame, fps):
    hours, minutes, seconds, rest = csv_livelink.timecode(frame, fps).split(":")
    assert int(minutes) < 60 and int(seconds) < 60 and float(rest) < 60
    told = int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(rest) / 60
    assert math.isclose(told, frame / fps, abs_tol=0.51 / 60000, rel_tol=1e-12)


def test_timecode_doctest():
    assert doctest.testmod(csv_livelink).failed == 0


def recording(tmp_path, times, count="BlendShapeCount", values=None):
    """A Live Link file by hand: jawOpen rises with the frame clock."""
    lines = [",".join(["Timecode", count, *CSV_HEADER])]
    for i, time in enumerate(times):
        cells = ["0.0"] * 61
        cells[CSV_HEADER.index("JawOpen")] = str(float(time.split(":")[-1]) / 100)
        lines.append(",".join([time, "61", *cells]) if values is None or values[i] else f"{time},0")
    path = tmp_path / "take.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_csv_of_2024_and_its_clock_that_runs_at_5994(tmp_path):
    times = [f"10:02:03:{i * 1.0015:06.3f}" for i in range(40)]
    got = read(recording(tmp_path, times, "BlendshapeCount"))
    assert len(got) == 40 and got.fps == pytest.approx(60 / 1.0015, rel=1e-3)


def test_csv_with_dropped_frames_is_filled_in(tmp_path):
    times = [f"10:02:03:{f:02d}.000" for f in (2, 4, 6, 10, 12, 14)]
    got = read(recording(tmp_path, times))
    assert got.fps == 30 and len(got) == 7
    np.testing.assert_allclose(got.channel("jawOpen"), np.arange(2, 15, 2) / 100, atol=1e-6)


def test_csv_rows_without_a_face_are_filled_in(tmp_path):
    times = [f"10:02:03:{f:02d}.000" for f in range(6)]
    got = read(recording(tmp_path, times, values=[1, 1, 0, 0, 1, 1]))
    assert got.fps == 60 and len(got) == 6
    np.testing.assert_allclose(got.channel("jawOpen"), np.arange(6) / 100, atol=1e-6)


def test_csv_over_midnight(tmp_path):
    got = read(
        recording(tmp_path, ["23:59:59:58.000", "23:59:59:59.000", "00:00:00:00.000", "00:00:00:01.000"])
    )
    assert got.fps == 60 and len(got) == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must begin with Timecode"),
        ("a,b\n1,2\n", "must begin with Timecode"),
        ("Timecode,BlendShapeCount,JawOpen\n", "lacks 60 of the 61 columns"),
        ("Timecode,BlendShapeCount," + ",".join(CSV_HEADER) + "\n", "no frames with a face"),
        (
            "Timecode,BlendShapeCount," + ",".join(CSV_HEADER) + "\n1:2,61,0\n",
            "line 2: a timecode and 61 numbers",
        ),
    ],
)
def test_broken_csv(tmp_path, text, says):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ExportError, match=says):
        read(path)


GOOD = {
    "format": "unitalker.motion",
    "version": 1,
    "annotation": "x",
    "identity": "pivot",
    "fps": 30,
    "unit": "weight",
    "names": ["a", "b"],
    "frames": [[0, 1], [1, 0]],
    "provenance": {},
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "other"}, "is not a motion"),
        ({"version": 2}, "version 2"),
        ({"fps": "30"}, "'fps' is missing or of the wrong type"),
        ({"fps": True}, "'fps' is missing"),
        ({"fps": 0}, "fps must be above 0"),
        ({"frames": [[0], [1]]}, "every frame must hold 2 numbers"),
        ({"frames": [[0, 1], [1]]}, "every frame must hold 2 numbers"),
        ({"frames": [["x", "y"]]}, "every frame must hold 2 numbers"),
        ({"names": ["a", "a"]}, "stands twice"),
        ({"template_": 1}, "did you mean 'template'"),
    ],
)
def test_broken_json(tmp_path, change, says):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD))
    assert len(read(path)) == 2
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(ExportError, match=says):
        read(path)


def test_broken_npz(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ExportError, match="is not a motion"):
        read(path)
    np.savez(path, values=np.zeros((1, 2)))
    with pytest.raises(ExportError, match="lacks names, fps"):
        read(path)
    np.savez(path, **{key: np.array([object()]) for key in ("values", "names")})
    with pytest.raises(ExportError, match="lacks fps"):
        read(path)
    facts = dict.fromkeys(("fps", "annotation", "unit", "identity", "provenance"), np.str_("1"))
    np.savez(path, values=np.array([object()]), names=np.array(["a"]), **facts)
    with pytest.raises(ExportError, match="Object arrays cannot be loaded"):
        read(path)


def test_unknown_suffix_lists_those_that_exist(tmp_path):
    with pytest.raises(ExportError) as caught:
        write(talk(), tmp_path / "a.fbx")
    assert all(suffix in str(caught.value) for suffix in WRITERS) and "'.fbx'" in str(caught.value)
    with pytest.raises(ExportError, match="A suffix must say the format"):
        check(tmp_path / "out")
    with pytest.raises(ExportError, match="did you mean|Known: .csv, .json, .npz"):
        read(tmp_path / "a.glb")
    with pytest.raises(ExportError, match="there is no such file"):
        read(tmp_path / "a.json")


def test_csv_holds_only_weights(tmp_path):
    with pytest.raises(
        ExportError,
        match=r"but the motion of head holds vertices, not weights. Formats that can hold it: .json",
    ):
        write(mesh(), tmp_path / "a.csv")
    with pytest.raises(ExportError, match=r"No channel of x \(smirk\) has a place in Live Link Face"):
        write(Motion(np.zeros((1, 1)), ("smirk",), 30, "x", "weight"), tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["arkit52", "arkit51", "3detf52", "facegood116"])
@pytest.mark.parametrize("suffix", ["csv", "glb", "mp4", "json"])
def test_layouts_that_the_package_knows_lose_no_channel(name, suffix):
    names = layout(name).names
    assert check_channels(f"a.{suffix}", Motion(np.zeros((1, len(names))), names, 30, name, "weight")) == ()


def test_provenance_must_be_json(tmp_path):
    motion = Motion(np.zeros((1, 1)), ("a",), 30, "x", "weight", provenance={"path": tmp_path})
    for suffix in (".json", ".npz"):
        with pytest.raises(ExportError, match="cannot be written as JSON"):
            write(motion, tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


def test_nothing_half_written(tmp_path):
    goal = tmp_path / "a.txt"
    goal.write_text("before")
    with pytest.raises(RuntimeError), atomic(goal) as draft:
        draft.write_text("half")
        raise RuntimeError("power cut")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and goal.read_text() == "before"
    with atomic(goal) as draft:
        assert draft.suffix == ".txt" and draft.parent == tmp_path
        draft.write_text("after")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and goal.read_text() == "after"


def test_unwritable_outputs(tmp_path):
    with pytest.raises(ExportError, match="there is no folder"):
        check(tmp_path / "no" / "a.json")
    (tmp_path / "dir.json").mkdir()
    with pytest.raises(ExportError, match="it is a folder"):
        check(tmp_path / "dir.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="Cannot write"):
        check(tmp_path / "file" / "a.json")
    with pytest.raises(ExportError, match="File name too long"):
        check(tmp_path / ("a" * 300 + ".json"))
