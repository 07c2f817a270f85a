"""Importers against small corpora made here, and against the published ones where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unitalker.data.importers import IMPORTERS, importer
from unitalker.data.importers.facegood import KNOWN_ARKIT, advance, cut_points
from unitalker.data.importers.grid import KNOWN, fill_gaps, parse_words, rest_frames
from unitalker.data.importers.writing import read_speech
from unitalker.errors import DataError

PAIRS = Path(__file__).parents[2] / "shared" / "assets" / "pairs_train"
needs_pairs = pytest.mark.skipif(
    not PAIRS.is_dir(), reason="the published corpora (shared/assets) are absent"
)
ALIGN = "0 15000 sil|15000 25000 bin|25000 35000 a|35000 50000 sil"


def _tone(seconds: float) -> np.ndarray:
    return (0.1 * np.sin(np.arange(round(seconds * 16000)) * 0.1)).astype(np.float32)


def _grid(folder: Path, clips: int = 103) -> np.ndarray:
    """A corpus of constant 0.2 faces that open the jaw by 0.5 in the middle; returns the tracked numbers."""
    (folder / "audio").mkdir(parents=True)
    names = ["_neutral", "browDownLeft", "jawOpen", "mouthClose"]
    motion = np.full((clips, 50, 4), 0.2, np.float16)
    motion[:, 15:35, 2] = 0.7
    motion[:, 20, 3] = 0.1
    valid = np.ones((clips, 50), bool)
    valid[0, 20:22] = False
    motion[0, 20:22] = np.nan
    ids = [f"clip{i:03d}" for i in range(clips)]
    for name in ids:
        soundfile.write(folder / "audio" / f"{name}.flac", _tone(2.0), 16000)
    np.savez(
        folder / "grid_s1.npz",
        clip=np.array(ids[::-1]),
        arkit_mp=motion,
        names=np.array(names),
        valid=valid,
        align=np.array([ALIGN] * clips),
        transcript=np.array(["sil bin a sil"] * clips),
        fps=np.float32(25),
    )
    return motion


def test_grid_corpus_becomes_a_dataset(tmp_path: Path) -> None:
    _grid(tmp_path / "src")
    (folder,) = importer("grid")(tmp_path / "src", tmp_path / "out")
    manifest = json.loads((folder / "dataset.json").read_text())
    assert (manifest["format"], manifest["version"], manifest["annotation"]) == (
        "unitalker.dataset",
        1,
        "arkit52",
    )
    assert manifest["fps"] == 25 and manifest["known"] == list(KNOWN) and len(manifest["names"]) == 52
    splits = [c["split"] for c in manifest["clips"]]
    assert splits == ["train"] * 3 + ["val"] * 100
    assert [c["id"] for c in manifest["clips"]] == sorted(c["id"] for c in manifest["clips"])
    clip = manifest["clips"][-1]  # stored first, with two frames without a face
    assert clip["words"] == [[0.6, 1.0, "bin"], [1.0, 1.4, "a"]] and clip["text"] == "bin a"
    motion = np.load(folder / clip["motion"])
    jaw = manifest["names"].index("jawOpen")
    want = np.zeros((50, 52), np.float32)
    want[15:35, jaw] = 0.5  # relative to rest; mouthClose 0.1 at rest 0.2 is below rest: 0
    np.testing.assert_allclose(motion, want, atol=1e-3)
    samples, rate = soundfile.read(folder / clip["audio"], dtype="float32")
    assert rate == 16000 and clip["seconds"] == 2.0
    np.testing.assert_allclose(samples, _tone(2.0), atol=1 / 32768)
    assert not list(folder.rglob(".*"))


def test_words_rest_and_gaps() -> None:
    words = parse_words(ALIGN)
    assert words[1] == (0.6, 1.0, "bin")
    rest = rest_frames(words, 50, 25.0)
    times = np.arange(50) / 25
    np.testing.assert_array_equal(rest, (times <= 0.48) | (times >= 1.5))
    with pytest.raises(DataError, match="not .start end word"):
        parse_words("0 x sil")
    values = np.array([[0.0], [9.0], [9.0], [3.0], [9.0]])
    filled = fill_gaps(values, np.array([1, 0, 0, 1, 0], bool))
    np.testing.assert_allclose(filled[:, 0], [0, 1, 2, 3, 3])
    with pytest.raises(DataError, match="no frame in which"):
        fill_gaps(values, np.zeros(5, bool))


def test_motion_is_advanced_by_interpolation() -> None:
    times = np.arange(40) / 30
    values = np.stack([np.sin(times), times], 1)
    moved = advance(values, 0.05, 30.0)
    np.testing.assert_allclose(moved[:-2, 1], times[:-2] + 0.05, atol=1e-6)
    np.testing.assert_allclose(moved[:-2, 0], np.sin(times[:-2] + 0.05), atol=2e-4)
    np.testing.assert_allclose(moved[-1], values[-1], atol=1e-6)


def test_cuts_cover_everything_and_fall_in_pauses() -> None:
    still = np.zeros(1000, bool)
    for middle in (50, 190, 330, 700, 900):
        still[middle - 4 : middle + 4] = True
    cuts = cut_points(still, 200)
    assert cuts == [0, 190, 330, 530, 700, 900, 1000]
    assert max(np.diff(cuts)) <= 200
    assert cut_points(np.ones(20, bool), 50) == [0, 20]


def test_unknown_kind_and_broken_sources_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no importer 'grd'; did you mean 'grid'"):
        importer("grd")
    assert {"grid", "facegood", "folder"} < set(IMPORTERS)
    with pytest.raises(DataError, match="has no file grid_s1.npz; this corpus is a folder with"):
        importer("grid")(tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="no .npz recordings"):
        importer("facegood")(tmp_path, tmp_path / "out")
    np.savez(tmp_path / "grid_s1.npz", clip=np.array(["a"]))
    with pytest.raises(DataError, match="has no array 'arkit_mp'"):
        importer("grid")(tmp_path, tmp_path / "out")
    soundfile.write(tmp_path / "x.flac", np.zeros((100, 2)), 8000)
    with pytest.raises(DataError, match="2 channels of 100 samples at 8000 Hz"):
        read_speech(tmp_path / "x.flac")


@needs_pairs
def test_facegood_loses_nothing_and_runs_in_step(tmp_path: Path) -> None:
    raw_folder, arkit_folder = importer("facegood")(PAIRS / "facegood", tmp_path)
    raw = json.loads((raw_folder / "dataset.json").read_text())
    arkit = json.loads((arkit_folder / "dataset.json").read_text())
    assert len(raw["names"]) == 116 and raw["known"] == raw["names"]
    assert arkit["known"] == list(KNOWN_ARKIT) and set(KNOWN_ARKIT) <= set(arkit["names"])
    assert all(c["seconds"] <= 20.0 for c in raw["clips"])
    assert {c["id"][:9] for c in raw["clips"] if c["split"] == "val"} == {"1114_2_03"}
    clips = [c for c in raw["clips"] if c["id"].startswith("1114_2_01")]
    sound = np.concatenate([soundfile.read(raw_folder / c["audio"])[0] for c in clips])
    np.testing.assert_array_equal(sound, soundfile.read(PAIRS / "facegood" / "1114_2_01.flac")[0])
    motion = np.concatenate([np.load(raw_folder / c["motion"]) for c in clips])
    whole = np.load(PAIRS / "facegood" / "1114_2_01.npz")["raw116"]
    assert motion.shape == whole.shape
    np.testing.assert_allclose(motion[:-1], 0.01 * whole[:-1] + 0.99 * whole[1:], atol=1e-5)
