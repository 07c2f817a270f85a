"""The paper's data release, made up: used in place, complete and incomplete folders, its preparation, and broken files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import unitalker
from published_form import SUBJECTS, data_folder, publish, save
from unitalker.annotations.released.folder import DataFolder
from unitalker.annotations.released.sets import SETS
from unitalker.cli import main
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import expected, import_corpus
from unitalker.data.importers.corpus import Imported, Options
from unitalker.data.likes import Size, make_like
from unitalker.data.positions import Displacements
from unitalker.data.shards import write_shards
from unitalker.errors import ConfigError, DataError, ModelError

ROOT = "unitalker_data_release_V1"
TRAIN = (
    "steps=2 warmup_steps=1 batch=2 crop_seconds=0.6 checkpoint_steps=2 precision=fp32 phone_weight=0 "
    "closure_weight=0 model.encoder.kind=mini model.encoder.width=8 model.decoder.width=8"
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return (
        make_like("unitalker-v1", tmp_path_factory.mktemp("corpora") / "thé release", Size(seconds=0.7))
        / ROOT
    )


@pytest.fixture(scope="module")
def made(release: Path) -> dict[str, Imported]:
    return {
        one.folder.name: one for one in import_corpus("unitalker-v1", release, release.parents[1] / "sets")
    }


def copied(release: Path, tmp_path: Path, *folders: str) -> Path:
    """Some folders of the release, to be broken."""
    for folder in folders:
        shutil.copytree(release / folder, tmp_path / ROOT / folder)
    return tmp_path / ROOT


def changed(path: Path, **change: Any) -> None:
    """Change the first entry of a list."""
    held = json.loads(path.read_text())
    held["data"][0] |= change
    path.write_text(json.dumps(held))


def test_what_is_read_is_the_source(release: Path, made: dict[str, Imported]) -> None:
    assert list(made) == ["D1", "D4", "D5", "D6", "D7"]
    for known in SETS:
        if known.id not in made:
            continue
        dataset, place = open_dataset(made[known.id].folder), release / known.folder
        assert (dataset.name, dataset.annotation, dataset.scale) == (known.id, known.annotation, known.scale)
        faces = np.load(place / "id_template.npy").reshape(known.subjects, -1)
        for split in ("train", "val", "test"):
            held = json.loads((place / f"{split}.json").read_text())
            for clip, entry in zip(dataset.split(split), held["data"], strict=True):
                stored = np.load(place / entry["annot_path"])
                flat = stored.reshape(len(stored), -1)
                flat = flat - faces[entry["id"]] if known.id == "D1" else flat
                assert np.array_equal(np.asarray(dataset.motion(clip)), flat)
                assert clip.subject == held["info"]["id_list"][entry["id"]]
                assert dataset.fps == entry["fps"] and len(stored) == round(0.7 * dataset.fps)
                assert dataset.path(clip.motion).samefile(place / entry["annot_path"])
                samples, rate = dataset.sound(clip)
                heard = place / entry["audio_path"]
                if heard.suffix == ".npy":
                    assert rate == 16000 and np.abs(samples - np.load(heard)).max() <= 0.5 / 32768
                else:
                    assert dataset.path(clip.audio).samefile(heard)
    first = made["D1"].notes
    assert (
        "D0_BIWI holds id_template.npy and pca.npz, but none of train.json, val.json, test.json" in first[0]
    )
    assert any("`unitalker data import 3detf-hdtf` reads the corpus itself" in note for note in first)
    assert any("12 files are used in place: hard links" in note for note in made["D4"].notes)
    assert not any(one.problems for one in made.values())


def test_vertices_are_displacements_when_they_are_read(
    release: Path, made: dict[str, Imported], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    stored, face = random.normal(size=(9, 6)).astype(np.float32), random.normal(size=6).astype(np.float32)
    lazy, whole = Displacements(stored, face), stored - face
    for key in (
        slice(None),
        slice(1, 8, 3),
        4,
        (slice(None), np.array([5, 0])),
        (slice(2, 4), slice(1, 3)),
        [3, 1],
    ):
        assert np.array_equal(np.asarray(lazy[key]), whole[key])
    assert np.array_equal(np.asarray(lazy[::2][1:3]), whole[::2][1:3])
    assert lazy.shape == (9, 6) and len(lazy) == 9 and np.array_equal(np.multiply(lazy, 2), whole * 2)
    assert np.asarray(lazy, np.float64).dtype == np.float64

    dataset = open_dataset(made["D1"].folder)
    shards = open_dataset(write_shards(dataset, tmp_path / "shards"))
    for clip in shards.clips:
        mine = next(c for c in dataset.clips if c.id == clip.id)
        assert np.array_equal(np.asarray(shards.motion(clip)), np.asarray(dataset.motion(mine)))
    other = tmp_path / "other"
    shutil.copytree(dataset.folder, other)
    np.savez(other / "templates.npz", allow_pickle=False, **{dataset.clips[0].subject: np.zeros((4, 3))})
    with pytest.raises(DataError, match="it has a template of 12 numbers"):
        open_dataset(other).motion(open_dataset(other).clips[0])


def test_published_counts() -> None:
    tables = [expected("unitalker-v1", known.id) for known in SETS]
    assert all(table is not None for table in tables)
    assert (
        sum(t.sequences or 0 for t in tables if t) == 8654 and sum(t.people or 0 for t in tables if t) == 934
    )
    assert sum(t.hours or 0 for t in tables if t) == pytest.approx(18.53)
    assert expected("unitalker-v1", "mine") is None


def test_the_release_prepares_sequences(release: Path, tmp_path: Path) -> None:
    """Against the rules as the published code has them, in its order of steps."""
    root = copied(release, tmp_path, "D1_vocaset", "D7_unitalker_song")
    song, random = root / "D7_unitalker_song", np.random.default_rng(0)
    cases = {"000_000": (21.0, 20.7), "001_000": (0.7, 0.73), "long": (3.04, 2.9), "short": (0.45, 0.6)}
    held = json.loads((song / "train.json").read_text())
    for name, (heard, moved) in cases.items():
        np.save(song / "train" / f"{name}.npy", random.random((round(moved * 30), 51)))
        soundfile.write(song / "train" / f"{name}.wav", random.normal(size=round(heard * 16000)) / 9, 16000)
    held["data"] = [
        held["data"][0] | {"annot_path": f"train/{name}.npy", "audio_path": f"train/{name}.wav"}
        for name in cases
    ]
    (song / "train.json").write_text(json.dumps(held))
    one, two = import_corpus("unitalker-v1", root, tmp_path / "out", Options(preparation="release"))
    assert not one.problems and not two.problems
    vertices, songs = open_dataset(one.folder), open_dataset(two.folder)
    assert vertices.fps == 30 and any("of 60 frames a second 1 in 2 is taken, 30 (6)" in n for n in one.notes)
    clip = vertices.split("train")[0]
    stored = np.load(root / "D1_vocaset" / "train" / "000_000.npy")[::2].reshape(-1, 15069)
    face = np.load(root / "D1_vocaset" / "id_template.npy")[0].reshape(-1)
    assert np.array_equal(np.asarray(vertices.motion(clip)), stored - face)
    found = {clip.id.removeprefix("train_"): clip for clip in songs.split("train")}
    assert set(found) == set(cases) - {"short"}
    for name, clip in found.items():
        seconds = min(
            len(soundfile.read(song / "train" / f"{name}.wav")[0]) / 16000,
            round(cases[name][1] * 30) / 30,
            20,
        )
        assert len(songs.motion(clip)) == round(seconds * 30)
        assert len(songs.sound(clip)[0]) == round(seconds * 16000)
    assert any("dropped, being shorter than 0.5 s, as the release does (1)" in n for n in two.notes)
    assert any("cut to 20 s, as the release does (1)" in n for n in two.notes)
    whole = import_corpus("unitalker-v1", song, tmp_path / "whole")
    assert [one.folder.name for one in whole] == ["D7"]
    assert (
        "D7: train/000_000" not in " ".join(whole[0].notes)
        and len(open_dataset(whole[0].folder).split("train")) == 4
    )
    (half,) = import_corpus("unitalker-v1", root / "D1_vocaset", tmp_path / "half", Options(fps=30))
    assert open_dataset(half.folder).fps == 30
    with pytest.raises(ConfigError, match="leave --fps out"):
        import_corpus("unitalker-v1", root, tmp_path / "x", Options(fps=30, preparation="release"))
    with pytest.raises(ConfigError, match="'release' alone, not 'mine'"):
        import_corpus("unitalker-v1", root, tmp_path / "x", Options(preparation="mine"))


def test_broken_files_are_left_out_and_named(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("D1_vocaset", "D5_unitalker_faceforensics++", "D6_unitalker_Chinese_speech", "D7_unitalker_song")
    root = copied(release, tmp_path, *names)
    vertices, flame, speech, song = (root / name for name in names)
    (vertices / "id_template.npy").unlink()
    whole = (flame / "train" / "000_000.npy").read_bytes()
    (flame / "train" / "000_000.npy").write_bytes(whole[: len(whole) // 2])
    np.save(flame / "train" / "001_000.npy", np.zeros((21, 412), np.float32))
    changed(flame / "val.json", annot_type="24_viseme")
    (flame / "test.json").write_text("{")
    (speech / "train" / "000_000.wav").unlink()
    changed(speech / "val.json", id=8)
    changed(speech / "test.json", annot_path="../../D7_unitalker_song/train/000_000.npy")
    (tmp_path / "secret.npy").write_bytes((song / "train" / "000_000.npy").read_bytes())
    (song / "train" / "000_000.npy").unlink()
    (song / "train" / "000_000.npy").symlink_to(tmp_path / "secret.npy")
    changed(song / "val.json", dataset="D2")
    changed(song / "test.json", fps="fast")
    held = json.loads((song / "train.json").read_text())
    held["data"] += ["no object", held["data"][1], {"annot_type": "FLAME_SUB_2055_vertices"}]
    (song / "train.json").write_text(json.dumps(held))
    np.save(song / "test" / "001_002_audio.npy", np.zeros((2, 11200), np.float32))
    assert main(["data", "import", "unitalker-v1", str(root), str(tmp_path / "made")]) == 1
    told = capsys.readouterr().err
    for sentence in (
        "D1_vocaset lacks id_template.npy, without which its vertices mean nothing",
        "000_000.npy is cut off",
        "001_000.npy has 412 numbers a frame, not 413",
        "its annotation is '24_viseme'; D5 has flame_params_from_dadhead",
        "test.json was left out:",
        "its audio_path 'train/000_000.wav' is missing",
        "its id is 8; the 8 subjects are 0 to 7",
        "its annot_path points outside the folder: '../../D7",
        "its annot_path points outside the folder: 'train/000_000.npy'",
        "it says that it is of 'D2', whose unit is not that of D7",
        "its fps is 'fast'",
        "entry 2 of train.json was left out: it should be an object, not str",
        "it and train/001_000 would be one clip",
        "its annotation is 'FLAME_SUB_2055_vertices'",
        "should hold samples (N,), not float32 (2, 11200)",
        "D0_BIWI is not there",
    ):
        assert sentence in told, sentence
    clips = {
        name: [c.id for c in open_dataset(tmp_path / "made" / name).clips] for name in ("D5", "D6", "D7")
    }
    assert clips == {
        "D5": ["val_001_001"],
        "D6": ["train_001_000", "val_001_001", "test_001_002"],
        "D7": ["train_001_000", "val_001_001"],
    }
    assert not (tmp_path / "made" / "D1").exists()


def test_what_cannot_be_used_at_all(release: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No folder of the release can be used. D0_BIWI holds"):
        import_corpus("unitalker-v1", release / "D0_BIWI", tmp_path / "a")
    with pytest.raises(ModelError, match="not the release's data folder"):
        import_corpus("unitalker-v1", tmp_path, tmp_path.with_name("b"))
    root = copied(release, tmp_path, "D6_unitalker_Chinese_speech")
    speech = root / "D6_unitalker_Chinese_speech"
    for split in ("train", "val", "test"):
        (speech / f"{split}.json").write_text(json.dumps({"info": [], "data": []}))
    with pytest.raises(DataError, match="Nothing of D6 can be used"):
        import_corpus("unitalker-v1", root, tmp_path / "c")


def test_sound_that_a_dataset_cannot_hold_is_written(release: Path, tmp_path: Path) -> None:
    """Float samples would be read as integers near 0; other rates and frame rates are brought to one."""
    root = copied(release, tmp_path, "D6_unitalker_Chinese_speech")
    speech = root / "D6_unitalker_Chinese_speech"
    samples = soundfile.read(speech / "train" / "000_000.wav")[0]
    soundfile.write(speech / "train" / "000_000.wav", samples, 16000, subtype="FLOAT")
    soundfile.write(speech / "train" / "001_000.wav", np.zeros((33600, 2)), 48000)
    changed(speech / "val.json", fps=60)
    np.save(speech / "val" / "000_001.npy", np.repeat(np.load(speech / "val" / "000_001.npy"), 2, 0))
    changed(speech / "test.json", fps=25)
    (made,) = import_corpus("unitalker-v1", root, tmp_path / "out")
    dataset = open_dataset(made.folder)
    clips = {clip.id: clip for clip in dataset.clips}
    one, two = clips["train_000_000"], clips["train_001_000"]
    assert one.audio.endswith(".flac") and np.abs(dataset.sound(one)[0] - samples).max() <= 0.5 / 32768
    assert dataset.sound(two)[0].shape == (11200,)
    assert dataset.fps == 30 and "D6: of 60 frames a second 1 in 2 is taken, 30 (1)." in made.notes
    assert [p for p in made.problems if "25 frames a second, of which 30 cannot be taken evenly" in p]


def test_an_imported_checkpoint_speaks_as_the_datasets_subjects(tmp_path: Path) -> None:
    """What a published model says with a subject's identity and face, stored as the release stores it, has no error."""
    pytest.importorskip("transformers")
    root = data_folder(tmp_path / ROOT)
    sound = np.random.default_rng(0).normal(size=20000).astype(np.float32) / 9
    for folder, count in SUBJECTS.items():
        for split in ("train", "test"):
            (root / folder / f"{split}.json").write_text(
                json.dumps({"info": {"id_list": [f"p {i}" for i in range(count)]}, "data": []})
            )
        soundfile.write(root / folder / "said.wav", sound, 16000, subtype="PCM_16")
    model = tmp_path / "model"
    published = save(publish(), tmp_path / "tiny.pt")
    assert main(["import", str(published), "--data-root", str(root), "-o", str(model)]) == 0
    animator, data = unitalker.load(model), DataFolder(root)
    for known in SETS:
        if known.folder not in SUBJECTS:
            continue
        place, who = data.place(known), f"{known.id}/p_1"
        motion = animator.animate(
            place / "said.wav", annotations=[known.annotation], identity=who, template=who
        )
        values = motion[known.annotation].values
        faces = data.templates(known)
        assert faces is not None
        values = values + faces[1] if known.id == "D1" else values
        np.save(place / "said.npy", values / np.float32(known.scale))
        held = json.loads((place / "test.json").read_text())
        entry = {"annot_path": "said.npy", "audio_path": "said.wav", "id": 1, "fps": 30}
        held["data"] = [entry | {"annot_type": known.annotation, "dataset": known.id}]
        (place / "test.json").write_text(json.dumps(held))
    for one in import_corpus("unitalker-v1", root, tmp_path / "sets"):
        given = ["--split", "test", "--identity", "subject", "-o", str(tmp_path / "figures.json")]
        assert main(["evaluate", str(model), str(one.folder), *given]) == 0
        (figures,) = json.loads((tmp_path / "figures.json").read_text())["groups"].values()
        errors = [figures[name] for name in ("mve", "lve_mm2") if name in figures]
        assert all(error < 1e-4 for error in errors) and (errors or min(figures["channels"].values()) > 0.999)


def test_from_the_made_up_release_to_figures(made: dict[str, Imported], tmp_path: Path) -> None:
    chosen = [part for text in TRAIN.split() for part in ("--set", text)]
    data = [part for one in made.values() for part in ("--data", str(one.folder))]
    assert main(["train", *data, "-o", str(tmp_path / "run"), "--preset", "mini", *chosen]) == 0
    for name, one in made.items():
        given = ["--split", "test", "--identity", "subject", "-o", str(tmp_path / f"{name}.json")]
        assert main(["evaluate", str(tmp_path / "run" / "model"), str(one.folder), *given]) == 0
        assert json.loads((tmp_path / f"{name}.json").read_text())["facts"]["clips"] == 2
    assert main(["data", "doctor", str(made["D1"].folder)]) == 0
