"""Refused commands leave nothing behind, and a new import takes the place of an earlier one, whole or not at all."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unitalker.cli import main
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import IMPORTERS, import_corpus
from unitalker.data.importers.folder import import_folder
from unitalker.data.likes import LIKES, Size, make_like, reader
from unitalker.data.shards import write_shards
from unitalker.data.views import View, make_view
from unitalker.errors import DataError


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder by its place."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_like("talkshow-flat", tmp_path_factory.mktemp("corpus") / "talk", Size(1, 3, 0.5))


def broken(corpus: Path, tmp_path: Path) -> Path:
    """A copy of which nothing can be used."""
    root = tmp_path / "broken"
    shutil.copytree(corpus, root)
    for path in root.rglob("*.wav"):
        path.write_bytes(b"no sound")
    return root


def test_a_refused_import_leaves_nothing(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dataset was written"):
        import_corpus("talkshow", broken(corpus, tmp_path), tmp_path / "new" / "sets" / "a")
    assert not (tmp_path / "new").exists()


def test_a_new_import_takes_the_place_of_an_earlier_one(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    (first,) = import_corpus("talkshow", corpus, out)
    (out / "mine.txt").write_text("kept")
    (out / "audio" / "mine.flac").write_bytes(b"kept")
    before = tree(out)

    with pytest.raises(DataError, match="no dataset was written"):
        import_corpus("talkshow", broken(corpus, tmp_path), out)
    assert tree(out) == before

    fewer = tmp_path / "fewer"
    shutil.copytree(corpus, fewer)
    gone = open_dataset(out).clips[0]
    next(fewer.rglob("5000*.wav")).unlink()
    (second,) = import_corpus("talkshow", fewer, out)
    assert not any("earlier dataset" in note for note in first.notes)
    assert second.notes[0] == f"The earlier dataset in {out} (3 clips) was replaced."
    left = {name: content for name, content in tree(out).items() if name in before}
    assert set(before) - set(left) == {gone.audio, gone.motion}
    assert left["mine.txt"] == left["audio/mine.flac"] == b"kept" and not set(tree(out)) - set(before)
    named = {name for clip in open_dataset(out).clips for name in (clip.audio, clip.motion)}
    assert all((out / name).is_file() for name in named) and len(named) == 4


def test_a_manifest_of_names_elsewhere_takes_nothing_away(corpus: Path, tmp_path: Path) -> None:
    (made,) = import_corpus("talkshow", corpus, tmp_path / "made")
    (tmp_path / "mine.npy").write_bytes(b"kept")
    path = made.folder / "dataset.json"
    data = json.loads(path.read_text())
    data["clips"][0]["motion"] = "../mine.npy"
    path.write_text(json.dumps(data))
    import_corpus("talkshow", corpus, made.folder)
    assert (tmp_path / "mine.npy").read_bytes() == b"kept"


def test_files_that_are_no_dataset_of_ours_are_not_mixed_in(corpus: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    for kind in ("talkshow", "grid"):
        with pytest.raises(DataError, match="so that nothing of yours is mixed in"):
            import_corpus(kind, corpus, full)
    with pytest.raises(DataError, match="so that nothing of yours is mixed in"):
        import_folder(corpus, full)
    assert [*tree(full)] == ["notes.txt"]


def test_an_import_that_was_stopped_can_be_begun_again(corpus: Path, tmp_path: Path) -> None:
    left = tmp_path / "made" / ".unitalker-draft" / "audio"
    left.mkdir(parents=True)
    (left / "half.flac").write_bytes(b"")
    (made,) = import_corpus("talkshow", corpus, tmp_path / "made")
    assert not left.parent.exists() and len(open_dataset(made.folder).clips) == 3


def test_refused_copies_of_a_dataset_leave_nothing(corpus: Path, tmp_path: Path) -> None:
    (made,) = import_corpus("talkshow", corpus, tmp_path / "made")
    dataset = open_dataset(made.folder)
    (made.folder / dataset.clips[-1].audio).unlink()
    with pytest.raises(DataError, match="is missing"):
        write_shards(dataset, tmp_path / "new" / "shards")
    with pytest.raises(DataError, match="is missing"):
        make_view(dataset, tmp_path / "new" / "view", View(fps=15.0))
    assert not (tmp_path / "new").exists()
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    for write in (write_shards, lambda one, out: make_view(one, out, View(fps=15.0))):
        with pytest.raises(DataError, match="so that nothing of yours is mixed in"):
            write(dataset, full)
    assert [*tree(full)] == ["notes.txt"]


def test_a_folder_over_its_own_earlier_import(tmp_path: Path) -> None:
    source, out = tmp_path / "takes", tmp_path / "made"
    source.mkdir()
    for name in ("one", "two"):
        soundfile.write(source / f"{name}.wav", np.zeros(16000, np.float32), 16000)
        np.save(source / f"{name}.npy", np.random.default_rng(0).random((30, 5, 3), np.float32))
    (source / "fps.txt").write_text("30")
    import_folder(source, out)
    (source / "two.npy").unlink()
    again = import_folder(source, out)
    assert again.notes[0] == f"The earlier dataset in {out} (2 clips) was replaced."
    assert sorted(p.name for p in (out / "motion").iterdir()) == ["one.npy"]
    assert open_dataset(out).name == "made"


def test_layouts_name_their_importers_and_their_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match="`data import vocaset` reads it"):
        import_corpus("vocaset-raw", tmp_path, tmp_path / "made")
    with pytest.raises(DataError) as near:
        import_corpus("bwi", tmp_path, tmp_path / "made")
    assert "did you mean 'biwi'?" in str(near.value)
    for kind in ("flame-flat", "talkshow-flat"):
        folder = tmp_path / f"made up {kind}"
        assert main(["data", "synthesize", "--like", kind, str(folder), "--seconds", "0.6"]) == 0
        told = capsys.readouterr().err.rpartition("Now import it: unitalker ")[2]
        *command, out = [part for part in shlex.split(told) if part not in ("--fps", "25")]
        more = ["--fps", "25"] if "--fps 25" in told else []
        assert main([*command, str(tmp_path / out), *more]) == 0
        capsys.readouterr()
    assert all(reader(kind) in IMPORTERS for kind in LIKES)


@pytest.mark.parametrize(("flag", "value"), [("--seconds", "0"), ("--seed", "-1")])
def test_one_flag_is_named(flag: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "synthesize", "--like", "beat", str(tmp_path / "a"), flag, value]) == 2
    told = capsys.readouterr().err
    assert told.startswith(flag) and value in told and "people" not in told and not (tmp_path / "a").exists()


def test_sounds_of_broken_motion_are_not_called_unpaired(tmp_path: Path) -> None:
    root = make_like("audio2face", tmp_path / "a2f", Size(1, 3, 0.6))
    first = min(root.rglob("*.json"))
    first.write_text(first.read_text()[:200])
    (made,) = import_corpus("audio2face", root, tmp_path / "made")
    assert len(made.problems) == 1 and not any("without motion" in note for note in made.notes)
