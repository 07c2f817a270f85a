"""3D-ETF's two parts, made up: what is read, whose it is, how it is split, and what broken copies are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unitalker.annotations.cards import load_card
from unitalker.annotations.layouts import layout
from unitalker.cli import main
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import expected, hdtf, import_corpus, ravdess
from unitalker.data.importers.corpus import Options
from unitalker.data.likes import Size, make_like
from unitalker.errors import ConfigError, DataError

SMALL = Size(seconds=0.7)
TRAIN = (
    "steps=2 warmup_steps=1 batch=2 crop_seconds=0.6 checkpoint_steps=2 precision=fp32 phone_weight=0 "
    "closure_weight=0 model.encoder.kind=mini model.encoder.width=8 model.decoder.width=8"
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_like("3detf-hdtf", tmp_path_factory.mktemp("corpora") / "vidéos of mine", SMALL)


@pytest.fixture(scope="module")
def actors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_like("3detf-ravdess", tmp_path_factory.mktemp("corpora") / "actors", SMALL)


@pytest.mark.parametrize("kind", ("3detf-hdtf", "3detf-ravdess"))
def test_what_is_stored_is_the_source(kind: str, videos: Path, actors: Path, tmp_path: Path) -> None:
    source = {"3detf-hdtf": videos, "3detf-ravdess": actors}[kind]
    (made,) = import_corpus(kind, source, tmp_path / "made")
    dataset = open_dataset(made.folder)
    facts = (dataset.annotation, dataset.fps, dataset.scale, dataset.unit, dataset.names)
    assert facts == ("3DETF_blendshape_weight", 30, 1, "weight", layout("3detf52").names)
    assert dataset.names == tuple(sorted(layout("arkit52").names))
    assert not made.problems and len(dataset.clips) == 6
    assert {c.split for c in dataset.clips} == {"train", "val", "test"}
    for clip in dataset.clips:
        stored = np.load(next(source.rglob(f"{clip.id}.npy")))
        assert np.array_equal(np.asarray(dataset.motion(clip)), stored)
        assert soundfile.info(dataset.path(clip.audio)).samplerate == 16000
        assert stored.min() < 0
    assert "Weights leave 0 … 1 in 6 of 6 sequences, from -0.02" in made.notes[1]
    assert load_card(made.folder / "annotations" / "3DETF_blendshape_weight.json").card()["bounds"] is None


def test_subjects_and_splits() -> None:
    assert [hdtf.named(n)[0] for n in ("RD_Radio11_000_02", "RD_Radio11_000", "WDA_A_B1_001", "plain")] == [  # type: ignore[index]
        "RD_Radio11",
        "RD_Radio11",
        "WDA_A_B1",
        "plain",
    ]
    assert hdtf.named("03-01-01-01-01-01-07") is None
    shares = np.array([[hdtf.split_of(f"v{i}") == s for s in ("train", "val", "test")] for i in range(4000)])
    assert np.abs(shares.mean(0) - (0.8, 0.1, 0.1)).max() < 0.02
    table = expected("3detf-ravdess")
    assert table is not None and len(ravdess.SENTENCES) == 60 and table.sequences == 24 * 60
    counts: dict[str, int] = {}
    for actor in ravdess.ACTORS:
        for what in ravdess.SENTENCES:
            found = ravdess.named(f"03-01-{what}-{actor}")
            assert found is not None and found[0] == actor
            counts[found[1]] = counts.get(found[1], 0) + 1
    assert counts == table.clips
    assert ravdess.named("01_01_06_02_01_02_24") == ("24", ravdess.split_of("24", "06-02-01-02"))
    assert ravdess.named("03-02-03-01-01-01-05") == ("05", "unused")
    assert ravdess.named("03-01-03-01-01-01-25") is None and ravdess.named("RD_Radio11_000") is None


def test_a_copy_in_folders_of_its_own(videos: Path, tmp_path: Path) -> None:
    """As the release lays it out: sound and weights side by side in train, val and test; weights stored by columns."""
    for number, path in enumerate(sorted(videos.rglob("*.npy"))):
        goal = tmp_path / "D3_HDTF" / ("train", "val", "test")[number % 3]
        goal.mkdir(parents=True, exist_ok=True)
        np.save(goal / path.name, np.asfortranarray(np.load(path)))
        sound = path.parents[1] / "audio" / f"{path.stem}.wav"
        (goal / sound.name).write_bytes(sound.read_bytes())
    np.save(tmp_path / "D3_HDTF" / "id_template.npy", np.zeros((141, 52)))
    (made,) = import_corpus("3detf-hdtf", tmp_path, tmp_path.with_name("made"))
    dataset = open_dataset(made.folder)
    assert not made.problems and [len(dataset.split(s)) for s in ("train", "val", "test")] == [2, 2, 2]
    assert "split by the copy's own folders" in made.notes[0]
    clip = dataset.clips[0]
    assert np.array_equal(dataset.motion(clip), np.load(next(videos.rglob(f"{clip.id}.npy"))))


def test_broken_files_are_left_out_and_named(
    actors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "RAVDESS"
    names = sorted(path.stem for path in actors.rglob("*.npy"))
    for path in actors.rglob("*.*"):
        (root / path.parent.name).mkdir(parents=True, exist_ok=True)
        (root / path.parent.name / path.name).write_bytes(path.read_bytes())
    motion, sound = root / "blendshape", root / "audio"
    whole = (motion / f"{names[0]}.npy").read_bytes()
    (motion / f"{names[0]}.npy").write_bytes(whole[: len(whole) // 2])
    (sound / f"{names[1]}.wav").unlink()
    np.save(motion / f"{names[2]}.npy", np.zeros((21, 51), np.float32))
    bad = np.load(motion / f"{names[3]}.npy")
    bad[4, 1] = np.nan
    np.save(motion / f"{names[3]}.npy", bad)
    np.save(motion / f"{names[4]}.npy", np.zeros((90, 52)))
    (root / "again").mkdir()
    (root / "again" / f"{names[5]}.npy").write_bytes(whole)
    np.save(motion / "notes.npy", np.zeros((21, 52)))
    soundfile.write(sound / "notes.wav", np.zeros(11200), 16000)
    assert main(["data", "import", "3detf-ravdess", str(root), str(tmp_path / "made")]) == 1
    told = capsys.readouterr().err
    for sentence in (
        f"{names[0]}.npy is cut off",
        f"{names[1]} was left out: blendshape/{names[1]}.npy has no sound",
        f"{names[2]}.npy has 51 numbers a frame, not 52",
        f"{names[3]} was left out: its motion holds NaN",
        f"{names[4]} was left out: its motion lasts 3.00 s, its sound only 0.70 s",
        f"blendshape/{names[5]}.npy was left out: again/{names[5]}.npy has its name already",
        "notes was left out: this is no name of 3D-ETF, RAVDESS",
        "Sequences: 5 of 1440; subjects: 2 of 24",
    ):
        assert sentence in told, sentence
    assert [c.id for c in open_dataset(tmp_path / "made").clips] == [names[5]]


def test_what_cannot_be_such_a_copy(videos: Path, actors: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no name of 3D-ETF, HDTF"):
        import_corpus("3detf-hdtf", actors, tmp_path / "a")
    with pytest.raises(DataError, match="no sound with weights of the same name"):
        import_corpus("3detf-hdtf", videos / "3D-ETF" / "HDTF" / "audio", tmp_path / "a")
    slow = tmp_path / "slow"
    slow.mkdir()
    np.save(slow / "V_000.npy", np.zeros((50, 52)))
    soundfile.write(slow / "V_000.wav", np.zeros(32000), 16000)
    with pytest.raises(DataError, match="about 25 frames for a second of sound, not 30.*--fps 25"):
        import_corpus("3detf-hdtf", slow, tmp_path / "a")
    (made,) = import_corpus("3detf-hdtf", slow, tmp_path / "a", Options(fps=25))
    assert open_dataset(made.folder).fps == 25 and "All weights lie in 0 … 1." in made.notes
    with pytest.raises(ConfigError, match="--fps must lie between 1 and 240"):
        import_corpus("3detf-hdtf", slow, tmp_path / "a", Options(fps=0))


def test_from_the_made_up_copy_to_figures(actors: Path, tmp_path: Path) -> None:
    made, run = str(tmp_path / "set"), tmp_path / "run"
    assert main(["data", "import", "3detf-ravdess", str(actors), made]) == 0
    chosen = [part for text in TRAIN.split() for part in ("--set", text)]
    assert main(["train", "--data", made, "-o", str(run), "--preset", "mini", *chosen]) == 0
    given = ["--split", "test", "--identity", "subject", "-o", str(tmp_path / "figures.json")]
    assert main(["evaluate", str(run / "model"), made, *given]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())["groups"]["3DETF_blendshape_weight"]
    assert figures["lve_mm2"] > 0
