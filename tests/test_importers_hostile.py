"""Files that were made to break an importer, or that an odd archive left: named in a sentence, everything else imported."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unitalker.cli import main
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import import_corpus
from unitalker.data.importers.corpus import LONGEST_ID, file_name, spelt
from unitalker.data.importers.json_stream import parts
from unitalker.data.importers.npz_rows import npz_number, npz_rows, npz_whole
from unitalker.data.importers.rows import open_rows
from unitalker.data.likes import Size, make_like
from unitalker.errors import DataError


def like(kind: str, folder: Path) -> Path:
    return make_like(kind, folder, Size(people=1, takes=2, seconds=1.0))


def header(shape: str, kind: str = "<f4") -> bytes:
    """The first bytes of an npy file, whatever shape it claims."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text + b"\n"


def archive(path: Path, name: str, held: bytes, way: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", way) as zipped:
        zipped.writestr(name, held)
    return path


def an_npy(path: Path) -> None:
    np.save(path.with_suffix(".npy"), np.zeros((30, 53), np.float32))
    path.with_suffix(".npy").replace(path)


def no_suffix(path: Path) -> None:
    archive(path, "expression", header("(30, 50)") + bytes(30 * 50 * 4))


def spoilt_lzma(path: Path) -> None:
    archive(path, "expression.npy", header("(30, 50)") + os.urandom(6000), zipfile.ZIP_LZMA)
    held = bytearray(path.read_bytes())
    held[60:90] = b"\xff" * 30
    path.write_bytes(held)


def negative(path: Path) -> None:
    archive(path, "expression.npy", header("(-30, 50)") + bytes(6000))


SPOILS: dict[str, Callable[[Path], None]] = {
    "an npy by another name": an_npy,
    "an array without .npy": no_suffix,
    "a spoilt stream": spoilt_lzma,
    "a negative shape": negative,
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
@pytest.mark.parametrize("kind", ["flame-npz", "mediapipe"])
def test_odd_archives_are_named_and_the_rest_is_imported(
    tmp_path: Path, kind: str, spoil: Callable[[Path], None]
) -> None:
    source = like(kind, tmp_path / "in")
    broken = next(source.rglob("take1.*")).with_suffix(".npz")
    for path in source.rglob("take1.json"):
        path.unlink()
    spoil(broken)
    (made,) = import_corpus(kind, source, tmp_path / "out")
    assert len(open_dataset(made.folder).clips) == 1
    assert "take1.npz" in " ".join((*made.problems, *made.notes))


def test_a_small_archive_of_a_huge_array_is_not_unpacked(tmp_path: Path) -> None:
    claim = archive(tmp_path / "a.npz", "time.npy", header("(9000000000,)", "<f8"))
    with pytest.raises(DataError, match=r"a\.npz: time should hold .* at most 64 MB"):
        npz_whole(claim, "time")
    with pytest.raises(DataError, match=r"a\.npz: time .* has 0 of 72000000000 bytes"):
        npz_rows(claim, "time")
    cut = archive(tmp_path / "b.npz", "fps.npy", header("()", "<f8") + b"1234")
    assert npz_number(cut, "fps") is None


def test_whole_arrays_are_what_numpy_reads(tmp_path: Path) -> None:
    texts, stamps = np.array(["jawOpen", "größe"]), np.arange(7, dtype=">i4")
    np.savez_compressed(tmp_path / "a.npz", names=texts, time=stamps)
    assert npz_whole(tmp_path / "a.npz", "names").tolist() == texts.tolist()
    assert npz_whole(tmp_path / "a.npz", "time").tolist() == stamps.tolist()


def test_rows_of_a_negative_shape_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(header("(-3, -4)") + bytes(48))
    with pytest.raises(DataError, match=r"a\.npy should hold numbers"):
        open_rows(tmp_path / "a.npy")


KINDS = ("3detf-hdtf", "livelink", "mediapipe", "talkshow", "flame-npz", "beat")


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_are_no_utf8(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = like(kind, tmp_path / "in")
    for path in [p for p in source.rglob("*") if p.is_file()]:
        name = path.name.encode()
        name = name.replace(b"wayne", b"way\xe9ne") if kind == "beat" else b"caf\xe9_" + name
        path.rename(path.parent / os.fsdecode(name))
    code = main(["data", "import", kind, os.fspath(source), "-o", os.fspath(tmp_path / "out")])
    made = open_dataset(tmp_path / "out")
    assert code == 0 and len(made.clips) == 2
    for clip in made.clips:
        assert len(made.motion(clip)) >= 2 and len(made.sound(clip)[0]) > 8000
    (tmp_path / "out" / "dataset.json").read_bytes().decode("utf-8")


def test_spelling() -> None:
    assert spelt("Zoe\u0308 \udce9") == "Zo\u00eb ?"
    names = ["a" * 300, "a" * 301, "語" * 150, "plain.name-1"]
    ids = [file_name(name) for name in names]
    assert len(set(ids)) == 4 and ids[3] == "plain.name-1"
    assert all(len(one.encode()) <= LONGEST_ID for one in ids)


HOSTILE: dict[str, dict[str, Any]] = {
    "half a letter": {"annot_path": "\ud800.npy"},
    "a long name": {"annot_path": "a" * 5000},
    "a long way": {"audio_path": "a/" * 3000 + "x"},
    "no number": {"fps": float("nan")},
    "outside": {"audio_path": "../../etc/passwd"},
    "a list": {"dataset": ["D1"]},
}


@pytest.mark.parametrize("edit", HOSTILE.values(), ids=HOSTILE)
def test_entries_of_the_release_that_name_no_file(
    tmp_path: Path, edit: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    source = like("unitalker-v1", tmp_path / "in")
    path = next(source.rglob("D6*/train.json"))
    held = json.loads(path.read_text())
    held["data"].append(held["data"][0] | edit)
    path.write_text(json.dumps(held))
    folder = os.fspath(path.parent)
    assert main(["data", "import", "unitalker-v1", folder, "-o", os.fspath(tmp_path / "out")]) == 1
    assert "was left out: it" in capsys.readouterr().err
    assert len(open_dataset(tmp_path / "out" / "D6").clips) == 2


def test_lists_that_are_nested_too_deeply(tmp_path: Path) -> None:
    source = like("unitalker-v1", tmp_path / "in")
    next(source.rglob("D6*/train.json")).write_text("[" * 100_000)
    made = import_corpus("unitalker-v1", source, tmp_path / "out")
    told = " ".join(line for one in made for line in (*one.notes, *one.problems))
    assert "train.json was left out" in told and {m.folder.name for m in made} >= {"D5", "D7"}
    source = like("talkshow", tmp_path / "talk")
    (source / "train_val_test.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"train_val_test\.json should hold lists"):
        import_corpus("talkshow", source, tmp_path / "talk-out")


def test_one_line_without_end_is_not_read_whole(tmp_path: Path) -> None:
    source = like("livelink", tmp_path / "in")
    path = next(p for p in source.rglob("*.csv") if not p.stem.endswith(("_neutral", "_raw")))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], lines[3] + ",0.1" * 700_000, *lines[4:]]) + "\n")
    (made,) = import_corpus("livelink", source, tmp_path / "out")
    assert any("cells stand under" in problem and path.name in problem for problem in made.problems)


def test_what_an_object_holds_beside_its_frames_is_not_kept(tmp_path: Path) -> None:
    """A million other keys: what importing takes does not grow with them."""
    import tracemalloc

    from unitalker.data.importers.mediapipe_files import NoScores, examine

    path = tmp_path / "points.json"
    with path.open("w") as file:
        file.write("{" + ",".join(f'"frame{i}": [{i}.5, 1, 2]' for i in range(60_000)) + "}")
    assert sum(1 for _ in parts(path)) == 60_000
    tracemalloc.start()
    with pytest.raises(NoScores):
        examine(path, ("jawOpen",), 30.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


@pytest.mark.parametrize("unit, told", [(1e-3, "frames a second by its time stamps"), (1.0, "")])
def test_seconds_under_a_name_of_milliseconds_are_noticed(tmp_path: Path, unit: float, told: str) -> None:
    source = like("mediapipe", tmp_path / "in")
    path = next(source.rglob("take1.json"))
    held = json.loads(path.read_text())
    for frame in held:
        frame["timestamp"] = frame.pop("timestampMs") * unit
    path.write_text(json.dumps(held))
    (made,) = import_corpus("mediapipe", source, tmp_path / "out")
    assert (told in " ".join(made.problems)) if told else not made.problems
    assert open_dataset(made.folder).fps <= 60


def test_an_npy_by_another_name_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    an_npy(tmp_path / "in" / "1114_2_01.npz")
    with pytest.raises(DataError, match=r"1114_2_01\.npz cannot be read as an npz file"):
        import_corpus("facegood", tmp_path / "in", tmp_path / "out")
