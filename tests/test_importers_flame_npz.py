"""Sequences of FLAME parameters: every form is written here by NumPy; rotations are compared with series of matrices."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from unitalker.annotations.flame import FLAME_NAMES
from unitalker.cli import main
from unitalker.data.importers import import_corpus
from unitalker.data.importers.corpus import Imported, Options
from unitalker.data.importers.flame_npz_files import two_columns
from unitalker.errors import DataError

RATE = 16000
COLUMN = {name: k for k, name in enumerate(FLAME_NAMES)}
RNG = np.random.default_rng(3)
SHAPE, EXPRESSION = RNG.normal(size=(50, 100)), RNG.normal(size=(50, 100))
JAW, TURN, MOVE = RNG.uniform(0, 0.3, (50, 3)), RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3))


def voice(path: Path, seconds: float = 2.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.2 * np.sin(0.1 * np.arange(round(seconds * RATE))), RATE)


def only(made: list[Imported]) -> tuple[dict, dict[str, np.ndarray]]:
    manifest = json.loads((made[0].folder / "dataset.json").read_text())
    return manifest, {c["id"]: np.load(made[0].folder / c["motion"]) for c in manifest["clips"]}


def part(values: np.ndarray, first: str, count: int) -> np.ndarray:
    return values[:, COLUMN[first] : COLUMN[first] + count]


def turned(turns: np.ndarray) -> np.ndarray:
    """First two columns of exp of the cross-product matrices, by their power series."""
    out = []
    for x, y, z in turns:
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        total, term = np.eye(3), np.eye(3)
        for k in range(1, 40):
            term = term @ cross / k
            total = total + term
        out.append(np.concatenate([total[:, 0], total[:, 1]]))
    return np.array(out)


def test_axis_angles_are_matrices() -> None:
    turns = np.concatenate([TURN, [[0, 0, 0], [0, 0, 3.0], [1e-9, 0, 0]]])
    np.testing.assert_allclose(two_columns(turns), turned(turns), atol=1e-9)


FORMS: dict[str, tuple[Any, int, int, bool, bool]] = {
    "npz": (
        {"expression": EXPRESSION, "jaw_pose": JAW, "betas": SHAPE[0], "global_pose": TURN, "transl": MOVE},
        100,
        100,
        True,
        True,
    ),
    "exp and pose": (
        {"exp": EXPRESSION[:, :50], "pose": np.hstack([TURN, JAW]), "shape": SHAPE[:1]},
        100,
        50,
        True,
        True,
    ),
    "full pose": (
        {"expr": EXPRESSION, "full_pose": np.hstack([TURN, MOVE, JAW, 0 * SHAPE[:, :6]])},
        0,
        100,
        True,
        True,
    ),
    "jaw alone": ({"exp": EXPRESSION[:, :10], "jaw": JAW, "neck_pose": MOVE}, 0, 10, True, False),
    "deeptalk": (np.hstack([SHAPE, EXPRESSION[:, :50], TURN, JAW]), 100, 50, True, True),
    "artalk": (np.hstack([EXPRESSION, TURN, JAW]), 0, 100, True, True),
    "artalk in npz": ({"motioncode": np.hstack([EXPRESSION, TURN, JAW])}, 0, 100, True, True),
    "3dmead": (np.hstack([EXPRESSION[:, :50], JAW]), 0, 50, True, False),
    "tfhp": (np.hstack([EXPRESSION[:, :50], TURN, JAW]), 0, 50, True, True),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_413_numbers(form: str, tmp_path: Path) -> None:
    held, shapes, expressions, jaw, rotation = FORMS[form]
    path = tmp_path / "in" / "anna" / "tåke 1"
    voice(path.parent / "tåke 1.wav")
    if isinstance(held, dict):
        np.savez(f"{path}.npz", **held, fps=25)
    else:
        np.save(f"{path}.npy", held.astype(np.float32))
    fps = None if isinstance(held, dict) else Options(fps=25.0)
    made = import_corpus("flame-npz", tmp_path / "in", tmp_path / "out", fps)
    manifest, motion = only(made)
    values = motion["anna_tåke_1"]
    assert values.shape == (50, 413) and not made[0].problems and manifest["subjects"] == ["anna"]
    want = np.zeros((50, 400))
    want[:, :shapes] = SHAPE[:, :shapes] if form == "deeptalk" else SHAPE[:1, :shapes]
    want[:, 300 : 300 + expressions] = EXPRESSION[:, :expressions]
    np.testing.assert_allclose(values[:, :400], want, atol=1e-6)
    np.testing.assert_allclose(part(values, "jaw.x", 3), JAW if jaw else 0 * JAW, atol=1e-6)
    rest = np.tile([1, 0, 0, 0, 1, 0], (50, 1))
    np.testing.assert_allclose(part(values, "rotation0", 6), turned(TURN) if rotation else rest, atol=1e-6)
    np.testing.assert_allclose(
        part(values, "translation.x", 3), MOVE if form == "npz" else 0 * MOVE, atol=1e-6
    )
    np.testing.assert_array_equal(part(values, "scale", 1), 1)
    assert (form == "jaw alone") == any("no place for them: neck_pose" in note for note in made[0].notes)


def test_other_rates_are_read_at_one_and_rotations_stay_rotations(tmp_path: Path) -> None:
    for name, fps in (("a", 25), ("b", 25), ("c", 50)):
        times = np.arange(2 * fps) / fps
        turn = np.stack([0.3 * np.sin(3 * times), 0 * times, 0.2 * np.cos(2 * times)], 1)
        exp = np.sin(4 * times)[:, None] * np.ones(50)
        (tmp_path / "in").mkdir(exist_ok=True)
        np.savez(tmp_path / "in" / f"{name}.npz", exp=exp, pose=np.hstack([turn, 0 * turn]), fps=fps)
        voice(tmp_path / "in" / f"{name}.wav")
    manifest, motion = only(import_corpus("flame-npz", tmp_path / "in", tmp_path / "out"))
    assert manifest["fps"] == 25
    np.testing.assert_allclose(motion["c"][15:35], motion["a"][15:35], atol=5e-3)
    first, second = part(motion["c"], "rotation0", 3), part(motion["c"], "rotation3", 3)
    np.testing.assert_allclose((first * first).sum(1), 1, atol=1e-5)
    np.testing.assert_allclose((first * second).sum(1), 0, atol=1e-5)


def _object_array(path: Path) -> None:
    np.save(path, np.array({"exp": EXPRESSION}, dtype=object), allow_pickle=True)


BROKEN: dict[str, tuple[Any, str]] = {
    "a width nobody uses": (EXPRESSION[:, :7], "has 7 numbers a frame; arrays without names have 53, 56"),
    "jaw in degrees": (np.hstack([EXPRESSION[:, :50], 60 * JAW]), "axis-angles are radians"),
    "nan": (
        np.hstack([EXPRESSION, np.where(JAW > 0.29, np.nan, JAW)]),
        "NaN or infinite numbers, the first in frame",
    ),
    "no expression": ({"jaw": JAW, "fps": 25}, "has no expression; it holds jaw"),
    "nothing": ({"fps": 25}, "has no expression; it holds nothing"),
    "frames that differ": ({"exp": EXPRESSION, "jaw": JAW[:9]}, "jaw has 9 frames, the expression 50"),
    "a pose of three": ({"exp": EXPRESSION, "pose": JAW}, "pose has 3 numbers a frame"),
    "too many": (
        {"exp": np.hstack([EXPRESSION, EXPRESSION])},
        "exp has 200 numbers a frame; FLAME's expression has 100",
    ),
    "a pickle": (_object_array, "should hold numbers"),
    "no npz": (b"PK\x03\x04 half", "is not a readable npz file"),
    "half an npy": (b"\x93NUMPY\x01\x00", "is not a readable npy array"),
    "an odd rate": ({"exp": EXPRESSION, "fps": 0.0}, "fps must lie between 1 and 240, not be 0"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_sequences_are_named_and_the_others_imported(fault: str, tmp_path: Path) -> None:
    held, said = BROKEN[fault]
    for name in ("good", "bad"):
        voice(tmp_path / "in" / f"{name}.wav")
    np.savez(tmp_path / "in" / "good.npz", exp=EXPRESSION, jaw=JAW, fps=25)
    if isinstance(held, dict):
        np.savez(tmp_path / "in" / "bad.npz", **held)
    elif isinstance(held, bytes):
        (tmp_path / "in" / f"bad.{'npz' if held[:2] == b'PK' else 'npy'}").write_bytes(held)
    elif callable(held):
        held(tmp_path / "in" / "bad.npy")
    else:
        np.save(tmp_path / "in" / "bad.npy", held)
    made = import_corpus("flame-npz", tmp_path / "in", tmp_path / "out", Options(fps=25.0))
    assert list(only(made)[1]) == ["good"]
    (problem,) = made[0].problems
    assert problem.startswith("bad was left out") and said in problem


def test_what_is_missing_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice(tmp_path / "in" / "a.wav")
    np.save(tmp_path / "in" / "a.npy", np.hstack([EXPRESSION, JAW]))
    with pytest.raises(DataError, match="by its sound it has about 25. Give --fps"):
        import_corpus("flame-npz", tmp_path / "in", tmp_path / "out")
    np.save(tmp_path / "in" / "B.npy", np.hstack([EXPRESSION, JAW]))
    np.savez(tmp_path / "in" / "a.npz", exp=EXPRESSION)
    given = ["data", "import", "flame-npz", str(tmp_path / "in"), str(tmp_path / "out"), "--fps", "25"]
    assert main(given) == 1
    told = capsys.readouterr().err
    assert "a.npz was not used: a.npy is of the same take 'a'" in told
    assert "B was left out: B.npy has no sound or film of its name" in told
    with pytest.raises(DataError, match="has no folder|There is no folder"):
        import_corpus("flame-npz", tmp_path / "none", tmp_path / "more")


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    voice(tmp_path / "in" / "a.wav")
    np.save(tmp_path / "in" / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    (tmp_path / "in" / "a.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError):
        import_corpus("flame-npz", tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "sprung").exists()
