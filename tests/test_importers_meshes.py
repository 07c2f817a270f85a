"""VOCASET and Multiface in both of their layouts, made up: values, splits, frame rates, missing frames, broken files."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unitalker.annotations.cards import load_card
from unitalker.cli import main
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.importers import expected, import_corpus
from unitalker.data.importers.corpus import Imported, Options
from unitalker.data.importers.multiface_facts import SENTENCES
from unitalker.data.importers.rows import pieces
from unitalker.data.importers.vocaset_facts import SPLITS, TRAIN, split_of
from unitalker.data.likes import LIKES, Size, make_like
from unitalker.errors import ConfigError, DataError

SMALL = Size(seconds=0.6)
SPOKEN = "SEN_they_enjoy_it_when_I_audition"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    for like in ("vocaset", "vocaset-raw", "multiface", "meshtalk"):
        make_like(like, folder / like, SMALL)
    return folder


def taken(kind: str, source: Path, out: Path, **options: object) -> tuple[Dataset, Imported]:
    (made,) = import_corpus(kind, source, out, Options(**options))  # type: ignore[arg-type]
    return open_dataset(made.folder), made


def test_both_layouts_of_vocaset_are_one_dataset(made_up: Path, tmp_path: Path) -> None:
    plain, told = taken("vocaset", made_up / "vocaset", tmp_path / "plain")
    raw, _ = taken("vocaset", made_up / "vocaset-raw", tmp_path / "raw")
    assert (plain.annotation, plain.fps, plain.unit, plain.scale) == ("FLAME_5023_vertices", 60, "m", 1)
    assert "train 2 of 383, val 2 of 48, test 2 of 48; in none: 0" in told.notes[-1]
    templates = pickle.loads((made_up / "vocaset" / "templates.pkl").read_bytes())
    assert [(c.id, c.subject, c.split) for c in plain.clips] == [
        (c.id, c.subject, c.split) for c in raw.clips
    ]
    for clip, other in zip(plain.clips, raw.clips, strict=True):
        source = np.load(made_up / "vocaset" / "vertices_npy" / f"{clip.id}.npy")
        moved = np.asarray(plain.motion(clip))
        assert np.abs(moved + templates[clip.subject].reshape(-1) - source).max() < 1e-7
        assert np.array_equal(moved, raw.motion(other)) and len(moved) == 36
        heard, said = plain.sound(clip)[0], raw.sound(other)[0]
        assert len(heard) == len(said) == 9600 and np.abs(heard - said).max() < 1e-3


def test_every_second_frame_only_when_asked(made_up: Path, tmp_path: Path) -> None:
    whole, _ = taken("vocaset", made_up / "vocaset-raw", tmp_path / "whole")
    for like in ("vocaset", "vocaset-raw"):
        half, told = taken("vocaset", made_up / like, tmp_path / like, fps=30.0)
        assert half.fps == 30 and "Every second frame was taken: 60 fps became 30." in told.notes
        assert load_card(half.folder / "annotations" / "FLAME_5023_vertices.json").fps == 30
        for clip, other in zip(half.clips, whole.clips, strict=True):
            assert np.array_equal(half.motion(clip), whole.motion(other)[::2])
    copy = shutil.copytree(made_up / "vocaset", tmp_path / "copy")
    for path in (copy / "vertices_npy").iterdir():
        np.save(path, np.load(path)[::2].astype(np.float64))
    half, told = taken("vocaset", copy, tmp_path / "told")
    assert half.fps == 30 and any("taken to be at 30 fps already" in note for note in told.notes)
    with pytest.raises(ConfigError, match="this copy has 30 frames a second"):
        taken("vocaset", copy, tmp_path / "x", fps=60.0)
    with pytest.raises(ConfigError, match="must be 60, or 30"):
        taken("vocaset", copy, tmp_path / "x", fps=25.0)


def test_vocaset_is_split_in_two_published_ways(made_up: Path, tmp_path: Path) -> None:
    table = expected("vocaset")
    assert table is not None and len(table.subjects) == 12
    for way, due in SPLITS.items():
        counts: dict[str, int] = {}
        for subject in table.subjects:
            own = [split_of(way, subject, number) for number in range(1, 41)]
            assert way == "faceformer" or [own.count(s) for s in due] == [32, 4, 4]
            for split in own:
                counts[split] = counts.get(split, 0) + 1
        assert {k: v for k, v in counts.items() if k != "unused"} == due
    assert split_of("faceformer", "FaceTalk_170731_00024_TA", 20) == "unused"
    assert split_of("faceformer", "FaceTalk_170731_00024_TA", 21) == "test"
    dataset, _ = taken("vocaset", made_up / "vocaset", tmp_path / "faceformer", split="faceformer")
    splits = {clip.subject: clip.split for clip in dataset.clips}
    assert splits == {TRAIN[0]: "train", "FaceTalk_170809_00138_TA": "test"}
    assert len(dataset.clips) == 6
    with pytest.raises(ConfigError, match="no way to split 'faceforner'; did you mean 'faceformer'"):
        taken("vocaset", made_up / "vocaset", tmp_path / "x", split="faceforner")


def test_raw_vocaset_in_half(made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = shutil.copytree(made_up / "vocaset-raw", tmp_path / "Wörk in progress")
    places = pickle.loads((root / "subj_seq_to_idx.pkl").read_bytes())
    heard = pickle.loads((root / "raw_audio_fixed.pkl").read_bytes())
    one, two = places
    first, second, third = places[one]
    del heard[one][first]
    places[one][second] = {i: row for i, row in places[one][second].items() if i not in (5, 6)}
    places[one][third] = {i: row for i, row in places[one][third].items() if not 9 <= i < 25}
    heard[two][list(places[two])[0]]["audio"] = np.array(["?"])
    (root / "subj_seq_to_idx.pkl").write_bytes(pickle.dumps(places, 0))
    (root / "raw_audio_fixed.pkl").write_bytes(pickle.dumps(heard, 1))
    verts = (root / "data_verts.npy").read_bytes()
    (root / "data_verts.npy").write_bytes(verts[:-40_000])
    assert main(["data", "import", "vocaset", str(root), str(tmp_path / "made")]) == 1
    told = capsys.readouterr().err
    assert f"{one}_{first} was left out: raw_audio_fixed.pkl has nothing of it." in told
    assert f"{one}_{second}: 2 missing frames were filled from their neighbours." in told
    assert f"{one}_{third}: frames are missing, so it became 2 clips." in told
    assert "data_verts.npy ends within frame" in told and "holds <U1 samples" in told
    assert "Partly imported: 3 left out" in told
    dataset, whole = open_dataset(tmp_path / "made"), np.load(made_up / "vocaset-raw" / "data_verts.npy")
    clips = {clip.id: clip for clip in dataset.clips}
    neutral = dataset.template(one)
    assert neutral is not None
    filled = np.asarray(dataset.motion(clips[f"{one}_{second}"])) + neutral.reshape(-1)
    rows = places[one][second]
    low, high = (whole[rows[i]].reshape(-1) for i in (4, 7))
    assert len(filled) == 36 and np.abs(filled[5] - (low + (high - low) / 3)).max() < 1e-6
    late, rows = clips[f"{one}_{third}_01"], places[one][third]
    stored = np.asarray(dataset.motion(late)) + neutral.reshape(-1)
    assert len(stored) == 11 and np.abs(stored[0] - whole[rows[25]].reshape(-1)).max() < 1e-7
    said = heard[one][third]["audio"]
    part = dataset.sound(late)[0]
    assert late.seconds == pytest.approx(11 / 60, abs=1e-4) and len(part) == round(11 / 60 * 16000)
    assert np.sqrt(np.mean(part**2)) == pytest.approx(
        np.sqrt(np.mean((said[round(25 / 60 * 22000) :] / 32768) ** 2)), rel=0.1
    )
    (root / "raw_audio_fixed.pkl").unlink()
    assert main(["data", "import", "vocaset", str(root), str(tmp_path / "none")]) == 2
    assert "lacks raw_audio_fixed.pkl" in capsys.readouterr().err


def test_multiface_by_frame_numbers(made_up: Path, tmp_path: Path) -> None:
    dataset, told = taken("multiface", made_up / "multiface", tmp_path / "faces")
    assert (dataset.annotation, dataset.fps, dataset.scale) == ("multiface_7306_vertices", 30, 0.001)
    assert {c.split for c in dataset.clips} == {"train", "val", "test"} and not told.problems
    for subject, step in (("002757580", 1), ("002539136", 3)):
        clip = next(c for c in dataset.clips if c.id == f"{subject}_{SPOKEN}")
        assert f"{clip.id}: 2 missing frames were filled from their neighbours." in told.notes
        assert clip.text == "they enjoy it when I audition" and clip.split == "val" and clip.seconds == 0.6
        folder = made_up / "multiface" / f"m--20180227--0000--{subject}--GHS" / "tracked_mesh"
        neutral = np.mean(
            [np.fromfile(p, "<f4") for p in (folder / "E001_Neutral_Eyes_Open").glob("*.bin")], axis=0
        )
        moved = np.asarray(dataset.motion(clip))
        stored = {n: np.fromfile(folder / SPOKEN / f"{102 + step * n:06d}.bin", "<f4") for n in (6, 9, 17)}
        assert len(moved) == 18
        for n in stored:
            assert np.abs(moved[n] + neutral - stored[n]).max() < 1e-4
        assert np.abs(moved[7] + neutral - (stored[6] + (stored[9] - stored[6]) / 3)).max() < 1e-4


def test_multiface_with_gaps_and_meshtalks_vertices(
    made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(made_up / "multiface", tmp_path / "faces of ours")
    lists = tmp_path / "lists"
    lists.mkdir()
    kept = np.arange(6172) + 7
    (lists / "meshtalk_vertices.txt").write_text("\n".join(map(str, kept)))
    one, other = sorted(root.iterdir())
    meshes = [sorted((folder / "tracked_mesh" / SPOKEN).glob("*.bin")) for folder in (one, other)]
    for path in meshes[0][6:13]:
        path.unlink()
    meshes[0][1].write_bytes(b"half")
    for path in meshes[1][5:12]:
        path.unlink()
    sound = other / "audio" / f"{SPOKEN}.wav"
    samples, rate = soundfile.read(sound)
    soundfile.write(sound, samples[: round(9 / 30 * rate)], rate)
    for path in (other / "tracked_mesh" / f"SEN_{SENTENCES[45]}").iterdir():
        path.unlink()
    shutil.rmtree(other / "tracked_mesh" / "E001_Neutral_Eyes_Open")
    (one / "audio" / f"SEN_{SENTENCES[0]}.wav").unlink()
    source, goal = str(root), str(tmp_path / "made")
    assert main(["data", "import", "multiface", source, goal, "--regions", str(lists)]) == 1
    told = capsys.readouterr().err
    name = f"{one.name}/{SPOKEN}"
    assert f"{name}: 1 meshes ({meshes[0][1].name}) have another size and count as missing." in told
    assert f"{name}: 10 of 18 frames are missing, so it became 2 clips." in told
    assert (
        f"{other.name}/{SPOKEN}: 9 of 18 frames are missing, and the sound is as long as the others alone"
        in told
    )
    assert (
        "its template is vert_mean.bin" in told
        and "it has no whole mesh" in told
        and "there is no sound" in told
    )
    dataset = open_dataset(tmp_path / "made")
    assert dataset.annotation == "meshtalk_6172_vertices" and len(dataset.names) == 18516
    subject = "002539136"
    clips = {clip.id: clip for clip in dataset.clips}
    assert [len(dataset.motion(clips[f"{subject}_{SPOKEN}_0{i}"])) for i in (0, 1)] == [6, 3]
    neutral = dataset.template(subject)
    assert neutral is not None
    last = np.fromfile(sorted((one / "tracked_mesh" / SPOKEN).glob("*.bin"))[-1], "<f4").reshape(-1, 3)[kept]
    stored = np.asarray(dataset.motion(clips[f"{subject}_{SPOKEN}_01"]))[-1].reshape(-1, 3) + neutral
    assert np.abs(stored - last).max() < 1e-4


def test_meshtalks_arrays_in_every_unit(made_up: Path, tmp_path: Path) -> None:
    dataset, _ = taken("multiface", made_up / "meshtalk", tmp_path / "mm")
    assert (dataset.annotation, dataset.scale) == ("meshtalk_6172_vertices", 0.001)
    low, high = np.array([-117.798, -213.735, -177.091]), np.array([125.922, 185.796, 75.365])
    for unit in ("scaled", "metres"):
        root = shutil.copytree(made_up / "meshtalk", tmp_path / unit)

        def change(values: np.ndarray, unit: str = unit) -> np.ndarray:
            flat = np.asarray(values, np.float64).reshape(-1, 3)
            new = flat / 1000 if unit == "metres" else (flat - low) / (high - low) * 2 - 1
            return new.reshape(np.shape(values))

        for path in (root / "vertices_npy").iterdir():
            np.save(path, change(np.load(path)))
        faces = pickle.loads((root / "templates.pkl").read_bytes())
        (root / "templates.pkl").write_bytes(pickle.dumps({k: change(v) for k, v in faces.items()}, 2))
        other, told = taken("multiface", root, tmp_path / f"from {unit}")
        assert any("millimetres by its published limits" in n or "metres already" in n for n in told.notes)
        for clip, same in zip(dataset.clips, other.clips, strict=True):
            due = np.asarray(dataset.motion(clip)) * dataset.scale
            assert np.abs(np.asarray(other.motion(same)) * other.scale - due).max() < 1e-7
            neutral, found = dataset.template(clip.subject), other.template(clip.subject)
            assert neutral is not None and found is not None
            assert np.abs(found * other.scale - neutral * dataset.scale).max() < 1e-6


def test_frame_numbers_become_pieces() -> None:
    (whole,) = pieces([10, 13, 16], 30, 3)
    assert (whole.start, len(whole), whole.filled) == (0, 3, 0)
    first, last = pieces([0, 1, 4, 20, 22], 30)
    assert (len(first), first.filled, last.start, len(last), last.filled) == (5, 2, 20, 3, 1)
    stored = np.arange(5.0)[:, None] ** 2
    read = lambda places: stored[places]  # noqa: E731
    assert np.allclose(first.block(0, 5, read)[:, 0], [0, 1, 2, 3, 4])
    assert np.allclose(last.block(1, 3, read)[:, 0], [12.5, 16])
    assert len(pieces([0, 7], 30)) == 1 and len(pieces([0, 8], 30)) == 2


def test_imitations_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="no layout to imitate 'bivi'; did you mean 'biwi'"):
        make_like("bivi", tmp_path / "x")
    with pytest.raises(ConfigError, match="0.5 to 60 s"):
        make_like("biwi", tmp_path / "x", Size(seconds=0.1))
    assert main(["data", "synthesize", "--like", "vocaset", str(tmp_path / "like"), "--seconds", "0.5"]) == 0
    assert main(["data", "synthesize", "--like", "vocaset", str(tmp_path / "like")]) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    assert {"biwi", "vocaset", "vocaset-raw", "multiface", "meshtalk"} <= set(LIKES)
    with pytest.raises(DataError, match="holds neither data_verts.npy"):
        taken("vocaset", tmp_path, tmp_path / ".." / "x")
    with pytest.raises(DataError, match="holds neither subjects' folders"):
        taken("multiface", tmp_path, tmp_path / ".." / "x")
    with pytest.raises(DataError, match="5023 vertices.*MeshTalk has 6172"):
        taken("multiface", tmp_path / "like", tmp_path / "x")
