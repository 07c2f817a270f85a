"""Live Link Face takes: names, timecodes, gaps, alignment with the sound; written here by the csv module and by hand."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unitalker.annotations.layouts import layout
from unitalker.audio import read
from unitalker.audio.timecode import began
from unitalker.cli import main
from unitalker.data.importers import import_corpus
from unitalker.errors import DataError

ARKIT = layout("arkit52").names
APP = [name[0].upper() + name[1:] for name in layout("livelink_csv").names]
RATE = 16000


def label(frames: float) -> str:
    """A timecode of the 60-fps clock, by whole thousandths of a frame, of any day."""
    thousandths = round(frames * 1000) % (24 * 60 * 60 * 60 * 1000)
    hours, rest = divmod(thousandths, 60 * 60 * 60 * 1000)
    minutes, rest = divmod(rest, 60 * 60 * 1000)
    seconds, rest = divmod(rest, 60 * 1000)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def take(
    path: Path,
    clock: Sequence[float] | np.ndarray,
    jaw: np.ndarray,
    count: str = "BlendShapeCount",
    names: Sequence[str] = APP,
) -> Path:
    """A CSV file in which JawOpen moves as told, JawLeft is 0.25, JawRight 0.5 and MouthLeft 0.75."""
    still = {"JawLeft": 0.25, "JawRight": 0.5, "MouthLeft": 0.75}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["Timecode", count, *names])
        for time, value in zip(clock, jaw, strict=True):
            row = [f"{value if name == 'JawOpen' else still.get(name, 0.0):.10f}" for name in names]
            out.writerow([label(time), len(names), *row])
    return path


def voice(path: Path, seconds: float) -> np.ndarray:
    samples = 0.3 * np.sin(np.arange(round(seconds * RATE)) ** 1.5 / 900)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)
    return read(path).samples


def motion(folder: Path, clip: dict) -> np.ndarray:
    return np.load(folder / clip["motion"])


def clips(folder: Path) -> dict[str, dict]:
    return {clip["id"]: clip for clip in json.loads((folder / "dataset.json").read_text())["clips"]}


def jaw(folder: Path, clip: dict) -> np.ndarray:
    return motion(folder, clip)[:, ARKIT.index("jawOpen")]


@pytest.mark.parametrize(
    ("count", "names"),
    [
        ("BlendShapeCount", APP),
        ("BlendshapeCount", APP),
        ("NumProperties", ["jawOpen", *sorted(APP, reverse=True), "MyCurve"]),
    ],
)
def test_numbers_arrive_under_their_names(count: str, names: list[str], tmp_path: Path) -> None:
    names = [n for n in names if n != "JawOpen"] if "jawOpen" in names else names
    shown = np.linspace(0, 1, 60).round(4)
    names = ["JawOpen" if n == "jawOpen" else n for n in names]
    take(tmp_path / "in" / "anna" / "take.csv", 1000.5 + np.arange(60), shown, count, names)
    voice(tmp_path / "in" / "anna" / "take.wav", 1.0)
    (made,) = import_corpus("livelink", tmp_path / "in", tmp_path / "out")
    assert not made.problems
    clip = clips(made.folder)["anna_take"]
    assert clip["subject"] == "anna"
    values = dict(zip(ARKIT, motion(made.folder, clip).T, strict=True))
    np.testing.assert_array_equal(values["jawOpen"], shown.astype(np.float32))
    assert {n: float(v[0]) for n, v in values.items() if v[0] != 0} == {
        "jawLeft": 0.25,
        "jawRight": 0.5,
        "mouthLeft": 0.75,
    }


@pytest.mark.parametrize("rate", (60.0, 60000 / 1001, 30.0, 24.0))
def test_times_come_from_timecodes_across_midnight(rate: float, tmp_path: Path) -> None:
    day = 24 * 3600 * 60
    seconds = np.arange(round(3 * rate)) / rate
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * 1.3 * seconds)
    take(tmp_path / "in" / "t.csv", day - 90 + seconds * 60, wave)
    voice(tmp_path / "in" / "t.wav", 3.0)
    (made,) = import_corpus("livelink", tmp_path / "in", tmp_path / "out")
    (clip,) = clips(made.folder).values()
    fps = json.loads((made.folder / "dataset.json").read_text())["fps"]
    assert fps == round(rate)
    found = jaw(made.folder, clip)
    at = np.arange(len(found)) / fps
    inside = (at > 0.5) & (at < 2.4)
    np.testing.assert_allclose(found[inside], 0.5 + 0.4 * np.sin(2 * np.pi * 1.3 * at[inside]), atol=2e-3)


def test_short_gaps_are_filled_and_long_ones_cut(tmp_path: Path) -> None:
    clock = np.delete(np.arange(240.0), [*range(20, 26), *range(100, 160)])
    take(tmp_path / "in" / "t.csv", 500 + clock, clock / 240)
    heard = voice(tmp_path / "in" / "t.wav", 4.0)
    (made,) = import_corpus("livelink", tmp_path / "in", tmp_path / "out")
    assert any("6 frames are missing in short gaps" in n for n in made.notes)
    assert any("cut it into 2 clips" in n for n in made.notes)
    found = clips(made.folder)
    for name, first, last in (("t_00", 0, 100), ("t_01", 160, 240)):
        np.testing.assert_allclose(jaw(made.folder, found[name]), np.arange(first, last) / 240, atol=1e-6)
        samples = read(made.folder / found[name]["audio"]).samples
        np.testing.assert_allclose(
            samples, heard[round(first / 60 * RATE) : round(last / 60 * RATE)], atol=2e-4
        )


def broadcast(path: Path, seconds: float, reference: float) -> np.ndarray:
    """A broadcast wav, chunk by chunk, whose first sample stands `reference` seconds after midnight."""
    data = np.round(8000 * np.sin(np.arange(round(seconds * RATE)) ** 1.5 / 900)).astype("<i2")
    bext = bytes(338) + struct.pack("<Q", round(reference * RATE)) + struct.pack("<H", 1) + bytes(254)
    form = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    body = b"WAVE"
    for name, chunk in ((b"fmt ", form), (b"bext", bext), (b"data", data.tobytes())):
        body += name + struct.pack("<I", len(chunk)) + chunk
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return data / 32768


def film(path: Path, seconds: float, code: str) -> None:
    """A QuickTime film of 30 pictures a second with a timecode track and sound."""
    import av

    with av.open(str(path), "w", format="mov") as file:
        video = file.add_stream("mpeg4", rate=30)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.metadata["timecode"] = code
        audio = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for number in range(round(30 * seconds)):
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            picture.pts = number
            file.mux(video.encode(picture))
        file.mux(video.encode(None))
        data = np.round(8000 * np.sin(np.arange(round(seconds * RATE)) ** 1.5 / 900)).astype(np.int16)
        block = av.AudioFrame.from_ndarray(data[None], format="s16", layout="mono")
        block.sample_rate, block.pts = RATE, 0
        file.mux(audio.encode(block))


@pytest.mark.parametrize("way", ("wav before", "mov before", "wav after"))
def test_timecodes_of_the_sound_align_it(way: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    moment = 10 * 3600 + 59 * 60 + 59.5
    late = -0.5 if "after" in way else 0.5
    take(tmp_path / "in" / "t.csv", (moment + late) * 60 + np.arange(60.0), np.arange(60) / 60)
    path = tmp_path / "in" / ("t.mov" if "mov" in way else "t.wav")
    if "mov" in way:
        film(path, 3.0, "10:59:59:15")
    else:
        broadcast(path, 3.0, moment)
    start = began(path)
    assert start is not None and start.seconds == pytest.approx(moment)
    (made,) = import_corpus("livelink", tmp_path / "in", tmp_path / "out")
    (clip,) = clips(made.folder).values()
    lost = 30 if late < 0 else 0
    np.testing.assert_allclose(jaw(made.folder, clip), np.arange(lost, 60) / 60, atol=1e-6)
    heard, first = read(path).samples, round(max(late, 0) * RATE)
    samples = read(made.folder / clip["audio"]).samples
    np.testing.assert_allclose(samples, heard[first : first + len(samples)], atol=2e-4)
    assert any("the sound begins 0.500 s" in note for note in made.notes)


def test_timecodes_that_do_not_meet_are_told_and_not_used(tmp_path: Path) -> None:
    take(tmp_path / "in" / "t.csv", 5000 + np.arange(60.0), np.arange(60) / 60)
    broadcast(tmp_path / "in" / "t.wav", 1.0, 3600.0)
    (made,) = import_corpus("livelink", tmp_path / "in", tmp_path / "out")
    assert any("aligned at their starts" in note for note in made.notes)


def test_takes_that_are_longer_or_shorter_than_their_sound(tmp_path: Path) -> None:
    frames = {"short": 120, "long": 120, "longest": 480}
    for name, seconds in (("short", 0.6), ("long", 1.7), ("longest", 0.5)):
        count = frames[name]
        take(tmp_path / "in" / f"{name}.csv", np.arange(float(count)), np.linspace(0, 1, count))
        voice(tmp_path / "in" / f"{name}.wav", seconds + 0.5 if name == "short" else seconds + 1)
    (made,) = import_corpus("livelink", tmp_path / "in", tmp_path / "out")
    assert any("short: the motion is 0.90 s longer than the sound" in n for n in made.notes)
    assert any("long: the sound is 0.70 s longer than the motion" in n for n in made.notes)
    found = clips(made.folder)
    assert len(motion(made.folder, found["short"])) == 66 and len(motion(made.folder, found["long"])) == 120
    assert any("longest: the motion is 6.50 s longer than the sound" in n for n in made.notes)
    assert len(motion(made.folder, found["longest"])) == 90
    assert not made.problems


def _cells(path: Path, change) -> None:
    rows = list(csv.reader(path.open(newline="")))
    change(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


BROKEN = {
    "nameless": (lambda rows: rows.pop(0), "first line must name the columns"),
    "no count": (lambda rows: rows[0].__setitem__(1, "Subject"), "must be BlendShapeCount or NumProperties"),
    "twice": (lambda rows: rows[0].__setitem__(5, "jawOpen"), "two columns 'jawOpen'"),
    "short row": (lambda rows: rows[20].pop(), "line 21: 62 cells stand under 63 names"),
    "long row": (lambda rows: rows[20].append("1"), "line 21: 64 cells stand under 63 names"),
    "back": (lambda rows: rows[20].__setitem__(0, "00:00:00:02.000"), "line 21: time goes back"),
    "no time": (lambda rows: rows[20].__setitem__(0, "noon"), "line 21: 'noon' is no timecode"),
    "nan": (lambda rows: rows[20].__setitem__(19, "nan"), "NaN or infinite numbers, about line 21"),
    "word": (lambda rows: rows[20].__setitem__(19, "open"), "something else than a number"),
    "empty": (lambda rows: rows.__delitem__(slice(1, None)), "0 rows with a face"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_takes_are_named_and_the_others_imported(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = BROKEN[fault]
    for name in ("good take", "schlechter Täke"):
        take(tmp_path / "in" / f"{name}.csv", np.arange(60.0), np.linspace(0, 1, 60))
        voice(tmp_path / "in" / f"{name}.wav", 1.0)
    _cells(tmp_path / "in" / "schlechter Täke.csv", change)
    assert main(["data", "import", "livelink", str(tmp_path / "in"), str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "schlechter Täke was left out" in told and said in told
    assert list(clips(tmp_path / "out")) == ["good_take"]


def test_what_lies_beside_takes_is_told(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for end in ("", "_cal", "_raw"):
        take(
            root / "20240131_MySlate_3" / f"MySlate_3_iPhone{end}.csv",
            np.arange(60.0),
            np.full(60, len(end) / 10),
        )
    take(root / "20240131_MySlate_3" / "MySlate_3_iPhone_neutral.csv", [0.0], np.zeros(1))
    voice(root / "20240131_MySlate_3" / "recorder.wav", 1.0)
    take(root / "alone.csv", np.arange(60.0), np.zeros(60))
    (root / "frame_log.csv").write_text("frame,time\n1,2\n")
    take(root / "b" / "Take.csv", np.arange(60.0), np.zeros(60))
    voice(root / "b" / "Take.wav", 1.0)
    take(root / "B" / "take.csv", np.arange(60.0), np.zeros(60))
    voice(root / "B" / "take.wav", 1.0)
    voice(root / "unused.wav", 1.0)
    (made,) = import_corpus("livelink", root, tmp_path / "out")
    notes, problems = "\n".join(made.notes), "\n".join(made.problems)
    assert "MySlate_3_iPhone_cal.csv was used, not MySlate_3_iPhone.csv, MySlate_3_iPhone_raw.csv" in notes
    assert "frame_log.csv is no take of Live Link Face" in notes and "unused.wav" in notes
    assert "alone was left out: alone.csv has no film or sound" in problems
    assert "have one name" in problems
    found = clips(made.folder)
    assert sorted(c["subject"] for c in found.values()) in (["B", "speaker"], ["b", "speaker"])
    (slate,) = (c for c in found.values() if c["subject"] == "speaker")
    np.testing.assert_allclose(jaw(made.folder, slate), 0.4)


def test_a_last_line_that_is_cut_off_costs_that_line_alone(tmp_path: Path) -> None:
    path = take(tmp_path / "in" / "t.csv", np.arange(60.0), np.linspace(0, 1, 60))
    path.write_text(path.read_text()[:-200])
    voice(tmp_path / "in" / "t.wav", 1.0)
    (made,) = import_corpus("livelink", tmp_path / "in", tmp_path / "out")
    assert any("its last line, 61, is cut off" in note for note in made.notes)
    assert len(motion(made.folder, clips(made.folder)["t"])) == 59


def test_folders_without_takes_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="holds no CSV file of Live Link Face"):
        import_corpus("livelink", tmp_path / "in", tmp_path / "out")
    with pytest.raises(DataError, match="There is no folder"):
        import_corpus("livelink", tmp_path / "none", tmp_path / "out")


@pytest.mark.parametrize(
    ("rate", "clock"),
    [(58.7, 60), (59.94, 60), (29.97, 30), (23.976, 24), (25.0, 25), (15.0, 15), (49.2, 50)],
)
def test_a_films_labels_count_a_usual_clock(rate: float, clock: int) -> None:
    """A phone's film of varying rate is labelled by the rate that it was set to."""
    from unitalker.audio.timecode import _label_clock

    assert _label_clock(rate) == clock
