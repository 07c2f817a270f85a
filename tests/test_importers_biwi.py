"""BIWI's layout, made up: what is read, how it is split, and what other preparations and broken files are told."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unitalker.annotations.cards import load_card
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.cli import main
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import expected, import_corpus
from unitalker.data.importers.biwi import split_of
from unitalker.data.importers.corpus import Options
from unitalker.data.likes import Size, make_like
from unitalker.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_like("biwi", tmp_path_factory.mktemp("corpora") / "Bïwi of mine", Size(seconds=0.6))


def test_what_is_stored_is_the_source(corpus: Path, tmp_path: Path) -> None:
    (made,) = import_corpus("biwi", corpus, tmp_path / "biwi")
    dataset = open_dataset(made.folder)
    assert not made.problems and "train 1 of 190, val 1 of 24, test 1 of 24, test_b 3 of 32" in made.notes[0]
    assert (dataset.annotation, dataset.fps, dataset.scale, dataset.unit) == (
        "BIWI_23370_vertices",
        25,
        0.2,
        "u",
    )
    assert {c.id: c.split for c in dataset.clips} == {
        "F2_e01": "train",
        "F2_e33": "val",
        "F2_e37": "test",
        **{f"F1_e{i}": "test_b" for i in (38, 39, 40)},
    }
    templates = pickle.loads((corpus / "templates.pkl").read_bytes())
    for clip in dataset.clips:
        neutral = templates[clip.subject]
        assert np.array_equal(dataset.template(clip.subject), neutral)
        source = np.load(corpus / "vertices_npy" / f"{clip.id}.npy")
        assert np.abs(np.asarray(dataset.motion(clip)) + neutral.reshape(-1) - source).max() < 1e-6
        assert soundfile.info(dataset.path(clip.audio)).frames == 9600
    card = load_card(tmp_path / "biwi" / "annotations" / "BIWI_23370_vertices.json")
    assert isinstance(card, VertexAnnotation) and {k: len(v) for k, v in card.regions.items()} == {
        "lips": 4996,
        "upper_face": 7784,
    }
    assert np.array_equal(card.templates["biwi/F2"], templates["F2"] * np.float32(0.2))


def test_splits_are_the_published_ones() -> None:
    table = expected("biwi")
    assert table is not None and len(table.subjects) == 14
    counts: dict[str, int] = {}
    for subject in table.subjects:
        for number in range(1, 41):
            if f"{subject}_e{number:02d}" not in table.missing:
                split = split_of(subject, number)
                counts[split] = counts.get(split, 0) + 1
    assert {k: v for k, v in counts.items() if k != "unused"} == table.clips
    assert split_of("F2", 41) == split_of("X1", 1) == "unused"
    own = {
        split: sum(split_of("F1", n, emotional=True) == split for n in range(1, 81))
        for split in ("train", "val", "test")
    }
    assert own == {"train": 72, "val": 4, "test": 4}


def copied(corpus: Path, folder: Path, rename: dict[str, str] | None = None) -> Path:
    """The corpus in a folder around it, its files linked, some under another name."""
    root = folder / "around it" / "BIWI"
    for path in sorted(p for p in corpus.rglob("*") if p.is_file()):
        inside = str(path.relative_to(corpus))
        for old, new in (rename or {}).items():
            inside = inside.replace(old, new)
        (root / inside).parent.mkdir(parents=True, exist_ok=True)
        (root / inside).write_bytes(path.read_bytes())
    return root


def test_broken_takes_are_left_out_and_named(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copied(corpus, tmp_path)
    motion = root / "vertices_npy"
    whole = (motion / "F2_e01.npy").read_bytes()
    (motion / "F2_e01.npy").write_bytes(whole[: len(whole) // 2])
    (root / "wav" / "F2_e33.wav").unlink()
    (motion / "F1_e38.npy").unlink()
    long = np.load(motion / "F1_e39.npy")
    np.save(motion / "F1_e39.npy", np.tile(long, (3, 1)))
    np.save(motion / "F1_e40.npy", long[:, :300])
    np.save(motion / "F9_e01.npy", long)
    np.save(motion / "notes.npy", long)
    for name in ("F9_e01", "notes"):
        soundfile.write(root / "wav" / f"{name}.wav", np.zeros(9600), 16000)
    bad = np.load(motion / "F2_e37.npy")
    shorter = bad[:13].copy()
    np.save(motion / "F2_e37.npy", shorter)
    bad[7, 5] = np.nan
    np.save(motion / "F2_e02.npy", bad)
    (root / "wav" / "F2_e02.wav").write_bytes((root / "wav" / "F2_e37.wav").read_bytes())
    (root / "wav" / "F2_e03.wav").write_bytes(b"RIFF")
    np.save(motion / "F2_e03.npy", long)
    assert main(["data", "import", "biwi", str(root.parent), str(tmp_path / "made")]) == 1
    told = capsys.readouterr().err
    for sentence in (
        "F2_e01.npy is cut off",
        "F2_e33 was left out: vertices_npy/F2_e33.npy has no sound",
        "F1_e38 was left out: wav/F1_e38.wav has no motion",
        "F1_e39 was left out: its motion lasts 1.80 s, its sound only 0.60 s",
        "F1_e40.npy has 300 numbers a frame (100 vertices)",
        "F2_e02 was left out: its motion holds NaN or infinite numbers, the first in frame 7",
        "F2_e03 was left out:",
        "no face of 'F9'",
        "notes was left out: takes are called as F2_e01",
        "Partly imported: 9 left out",
    ):
        assert sentence in told, sentence
    dataset = open_dataset(tmp_path / "made")
    assert [c.id for c in dataset.clips] == ["F2_e37"] and len(dataset.motion(dataset.clips[0])) == 13
    assert sorted(p.name for p in (tmp_path / "made" / "motion").iterdir()) == ["F2_e37.npy"]
    assert json.loads((tmp_path / "made" / "dataset.json").read_text())["problems"]


def test_other_preparations_are_told_apart(corpus: Path, tmp_path: Path) -> None:
    root = copied(corpus, tmp_path, {"F1_e38": "F1_78", "F1_e39": "F1_79"})
    faces = pickle.loads((root / "templates.pkl").read_bytes())
    spans = {name: np.ptp(face, axis=0) for name, face in faces.items()}
    (root / "templates.pkl").unlink()
    (root / "templates_scaled.pkl").write_bytes(pickle.dumps({n: f / spans[n] for n, f in faces.items()}, 2))
    (made,) = import_corpus("biwi", root, tmp_path / "axes")
    dataset = open_dataset(made.folder)
    assert dataset.annotation == "FaceXHuBERT_23370_vertices" and dataset.scale == 1
    assert {c.id: c.split for c in dataset.clips}["F1_79"] == "test" and "Every axis spans 1" in "".join(
        made.notes
    )

    (root / "templates_scaled.pkl").write_bytes(pickle.dumps({n: f * 180 for n, f in faces.items()}, 2))
    with pytest.raises(DataError, match=r"are 1\d\d wide or high.*unprepared scans"):
        import_corpus("biwi", root, tmp_path / "scans")
    (root / "templates_scaled.pkl").unlink()
    with pytest.raises(DataError, match="lacks templates.pkl"):
        import_corpus("biwi", root, tmp_path / "none")
    (root / "templates.pkl").write_bytes(pickle.dumps({n: f[:3895] for n, f in faces.items()}, 2))
    for path in (root / "vertices_npy").iterdir():
        np.save(path, np.load(path)[:, :11685])
    (made,) = import_corpus("biwi", root, tmp_path / "reduced")
    assert open_dataset(made.folder).annotation == "BIWI_3895_vertices"
    assert any("region lists are of 23370" in note for note in made.notes)


def test_broken_motions_and_templates_are_named(corpus: Path, tmp_path: Path) -> None:
    root = copied(corpus, tmp_path, {})
    for path in (root / "vertices_npy").iterdir():
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"No motion of .* can be read\. .*F1_e\d\d\.npy"):
        import_corpus("biwi", root, tmp_path / "made")
    with (root / "templates.pkl").open("r+b") as file:
        file.write(b"This is text, and no pickle at all.")
    with pytest.raises(DataError, match="cut off or damaged, or another kind of file"):
        import_corpus("biwi", root, tmp_path / "made")


def test_another_mesh_is_told_before_its_lists(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 70110 numbers a frame .*; VOCASET has 5023 vertices"):
        import_corpus("vocaset", corpus, tmp_path / "made")


def test_subjects_of_one_name_and_long_pauses(corpus: Path, tmp_path: Path) -> None:
    root = copied(corpus, tmp_path, {"F1_e40": "f1_e40"})
    faces = pickle.loads((root / "templates.pkl").read_bytes())
    (root / "templates.pkl").write_bytes(pickle.dumps(faces | {"f1": faces["F1"]}, 2))
    soundfile.write(root / "wav" / "F2_e01.wav", np.zeros(3 * 44100), 44100)
    np.save(
        root / "vertices_npy" / "F2_e33.npy", np.tile(np.load(root / "vertices_npy" / "F2_e33.npy"), (2, 1))
    )
    (made,) = import_corpus("biwi", root, tmp_path / "made")
    assert any("f1_e40 was left out: its subject 'f1' and 'F1' have one name" in p for p in made.problems)
    assert "F2_e01: the sound is 2.40 s longer than the motion; its end was cut." in made.notes
    assert "F2_e33: the motion is 0.60 s longer than the sound; its end was cut." in made.notes
    dataset = open_dataset(made.folder)
    clips = {clip.id: clip for clip in dataset.clips}
    assert clips["F2_e01"].seconds == 0.6 and len(dataset.motion(clips["F2_e33"])) == 15
    with pytest.raises(DataError, match="is a dataset of biwi already"):
        import_corpus("vocaset", make_like("vocaset", tmp_path / "other", Size(1, 1, 0.5)), tmp_path / "made")
    (again,) = import_corpus("biwi", root, tmp_path / "made")
    assert again.notes[0] == f"The earlier dataset in {made.folder} (5 clips) was replaced."
    assert again.notes[1:] == made.notes and len(open_dataset(again.folder).clips) == len(dataset.clips)
    with pytest.raises(DataError, match="lies in"):
        import_corpus("biwi", root, root / "inside")
    with pytest.raises(DataError, match="lacks the folder vertices_npy"):
        import_corpus("biwi", tmp_path / "around it" / "BIWI" / "wav", tmp_path / "x")


def test_region_lists_from_elsewhere(corpus: Path, tmp_path: Path) -> None:
    root = copied(corpus, tmp_path)
    for path in (root / "regions").iterdir():
        path.unlink()
    lists = tmp_path / "lists"
    lists.mkdir()
    with pytest.raises(DataError, match="holds no region list"):
        import_corpus("biwi", root, tmp_path / "a", Options(regions=lists))
    (lists / "lips.txt").write_text("5 6\n7")
    (made,) = import_corpus("biwi", root, tmp_path / "a", Options(regions=lists))
    card = load_card(made.folder / "annotations" / "BIWI_23370_vertices.json")
    assert card.regions["lips"].tolist() == [5, 6, 7] and "upper_face" not in card.regions
    assert "lips.txt lists 3 vertices; the published list has 4996." in made.notes
    assert any("No list of the upper face (fdd.txt)" in note for note in made.notes)
    (lists / "lips.txt").write_text("5 23370")
    with pytest.raises(DataError, match="from 0 to 23369"):
        import_corpus("biwi", root, tmp_path / "b", Options(regions=lists))
    with pytest.raises(ConfigError, match="--fps is for vocaset"):
        import_corpus("biwi", root, tmp_path / "b", Options(fps=30))
