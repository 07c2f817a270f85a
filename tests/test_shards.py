"""Shards: bytes as written, read by tarfile and in place; every clip once; nothing outside the folder."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from unitalker.annotations.cards import load_card, save_card
from unitalker.annotations.pca import Basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.cli import main
from unitalker.data.dataset import Clip, Dataset, open_dataset, write_manifest
from unitalker.data.shards import open_share, share, write_shards
from unitalker.errors import DataError


def write_set(folder: Path, train: int = 5) -> Dataset:
    """Clips of growing length with columns in Fortran order among them, a template and a card's file."""
    for part in ("audio", "motion", "annotations"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    clips = []
    for i in range(train + 2):
        sound = rng.integers(-3000, 3000, 1600 * (i + 1)).astype(np.int16)
        soundfile.write(folder / f"audio/{i}.flac", sound, 16000)
        motion = rng.standard_normal((3 * (i + 1), 6), np.float32)
        np.save(folder / f"motion/{i}.npy", np.asfortranarray(motion) if i % 2 else motion)
        split = "train" if i < train else "val"
        facts = {"text": "größer", "phones": ((0.0, 0.1, "a"),)}
        clips.append(
            Clip(f"clip {i}", "s", f"audio/{i}.flac", f"motion/{i}.npy", split, 0.1 * (i + 1), **facts)
        )
    np.savez(folder / "templates.npz", s=np.ones((2, 3), np.float32))
    (folder / "annotations" / "mesh.json").write_text("{}")
    names = tuple(f"v{i}.{axis}" for i in range(2) for axis in "xyz")
    facts = {"templates": "templates.npz", "extra": {"note": 1}}
    write_manifest(Dataset(folder, "set", "mesh", 30.0, "m", names, ("s",), tuple(clips), **facts))
    return open_dataset(folder)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Dataset, Dataset]:
    """A dataset, and what its shards of two clips give back."""
    whole = write_set(tmp_path / "whole")
    return whole, open_dataset(write_shards(whole, tmp_path / "cut", clips=2))


def test_round_trip(made: tuple[Dataset, Dataset]) -> None:
    whole, cut = made
    again = {c.id: c for c in cut.clips}
    assert sorted(again) == sorted(c.id for c in whole.clips)
    for clip in whole.clips:
        other = again[clip.id]
        assert (other.subject, other.split, other.seconds, other.text, other.phones) == (
            clip.subject, clip.split, clip.seconds, clip.text, clip.phones,
        )  # fmt: skip
        assert np.array_equal(cut.motion(other), np.load(whole.folder / clip.motion))
        with cut.open(other.audio) as file:
            assert file.read() == (whole.folder / clip.audio).read_bytes()
        samples, rate = soundfile.read(whole.folder / clip.audio, dtype="float32")
        found = cut.recording(other)
        assert isinstance(found, tuple) and found[1] == rate and np.array_equal(found[0], samples)
        assert whole.recording(clip) == whole.path(clip.audio)
    assert cut.extra["note"] == 1
    template = cut.template("s")
    assert template is not None
    assert np.array_equal(template, np.ones((2, 3)))
    assert (cut.folder / "annotations" / "mesh.json").read_text() == "{}"


def test_motion_is_mapped_in_the_tar(made: tuple[Dataset, Dataset]) -> None:
    motion = made[1].motion(made[1].clips[0])
    while not isinstance(motion, np.memmap):
        assert isinstance(motion.base, np.ndarray)
        motion = motion.base
    assert str(motion.filename).endswith(".tar")
    assert not motion.flags.writeable


def test_tarfile_reads_a_shard_one_clip_after_the_other(made: tuple[Dataset, Dataset]) -> None:
    whole, cut = made
    seen = {}
    for path in sorted((cut.folder / "shards").glob("train-*.tar")):
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            members = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
        for line, audio, motion in zip(members[::3], members[1::3], members[2::3], strict=True):
            key = line[0].removesuffix(".json")
            assert (audio[0], motion[0]) == (f"{key}.flac", f"{key}.npy")
            facts = json.loads(line[1])
            assert (facts["audio"], facts["motion"]) == (audio[0], motion[0])
            seen[facts["id"]] = audio[1]
    assert seen == {c.id: (whole.folder / c.audio).read_bytes() for c in whole.split("train")}


@given(st.integers(0, 40), st.integers(0, 2**31), st.integers(0, 9), st.integers(1, 9))
def test_every_shard_is_one_process_s_in_every_epoch(count: int, seed: int, epoch: int, world: int) -> None:
    parts = [share(count, seed, epoch, rank, world) for rank in range(world)]
    assert sorted(n for part in parts for n in part) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert parts == [share(count, seed, epoch, rank, world) for rank in range(world)]


def test_epochs_deal_shards_anew() -> None:
    assert len({tuple(share(20, 0, epoch, 0, 2)) for epoch in range(20)}) > 15


def test_a_share_opens_its_own_shards_alone(made: tuple[Dataset, Dataset]) -> None:
    cut = made[1]
    parts = [open_share(cut.folder, 3, 1, rank, 2) for rank in range(2)]
    assert sorted(c.id for p in parts for c in p.clips) == sorted(c.id for c in cut.clips)
    read = {name for name in cut.extra["shards"] for c in parts[0].clips if f"/{name}@" in c.audio}
    assert len(read) == len(cut.extra["shards"]) // 2
    for name in set(cut.extra["shards"]) - read:
        (cut.folder / "shards" / name.replace(".tar", ".json")).unlink()
    assert open_share(cut.folder, 3, 1, 0, 2).clips == parts[0].clips


def test_the_same_shards_are_written_twice(tmp_path: Path) -> None:
    whole = write_set(tmp_path / "whole")
    for name in ("a", "b"):
        write_shards(whole, tmp_path / name, clips=3)
    files = sorted(p.name for p in (tmp_path / "a" / "shards").iterdir())
    assert files == [
        "train-00000.json",
        "train-00000.tar",
        "train-00001.json",
        "train-00001.tar",
        "val-00000.json",
        "val-00000.tar",
    ]
    for name in files:
        assert (tmp_path / "a/shards" / name).read_bytes() == (tmp_path / "b/shards" / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../secret.tar", "is no name of a shard"),
        ("/etc/x.tar", "is no name"),
        (3, "is no name"),
        ("none.tar", "is not a readable index"),
    ],
)
def test_manifests_cannot_point_outside(made: tuple[Dataset, Dataset], name: object, told: str) -> None:
    path = made[1].folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shards": [name]}))
    with pytest.raises(DataError, match=told):
        open_dataset(made[1].folder)


def test_places_outside_a_shard_are_refused(made: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    cut = made[1]
    (tmp_path / "secret.tar").write_bytes(b"x" * 100)
    for place in ("../secret.tar@0+5", "shards/../../secret.tar@0+5", "../secret.tar"):
        with pytest.raises(DataError, match="outside its folder"):
            cut.open(place)
    with pytest.raises(DataError, match="behind the end"):
        cut.open(f"shards/{cut.extra['shards'][0]}@512+999999")
    start, size = cut.clips[0].motion.split("@")[1].split("+")
    shard = cut.clips[0].motion.split("@")[0]
    with pytest.raises(DataError, match="cut off"):
        cut.array(f"{shard}@{start}+{int(size) - 4}")
    with pytest.raises(DataError, match="not a readable npy array"):
        cut.array(f"{shard}@{int(start) + 1}+{size}")


def test_objects_in_motion_are_not_read(tmp_path: Path) -> None:
    whole = write_set(tmp_path / "whole", train=1)
    np.save(whole.folder / "motion/0.npy", np.array([{}], object), allow_pickle=True)
    cut = open_dataset(write_shards(whole, tmp_path / "cut"))
    with pytest.raises(DataError, match="Python objects"):
        cut.motion(cut.split("train")[0])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_set(tmp_path / "whole")
    assert main(["data", "shard", str(tmp_path / "whole"), "-o", str(tmp_path / "cut"), "--clips", "4"]) == 0
    assert str(tmp_path / "cut") in capsys.readouterr().out
    assert open_dataset(tmp_path / "cut").extra["shards"] == [
        "train-00000.tar",
        "train-00001.tar",
        "val-00000.tar",
    ]
    assert main(["data", "shard", str(tmp_path / "cut"), "-o", str(tmp_path / "more")]) == 2
    assert "in shards already" in capsys.readouterr().err
    assert main(["data", "shard", str(tmp_path / "whole"), "-o", str(tmp_path / "cut")]) == 2
    assert "give a new folder" in capsys.readouterr().err
    assert main(["data", "shard", str(tmp_path / "whole"), "-o", str(tmp_path / "x"), "--clips", "0"]) == 2
    assert "at least 1 clip" in capsys.readouterr().err


def test_a_card_s_components_stay_in_their_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    basis = Basis(np.zeros(30, np.float32), rng.standard_normal((4, 30), np.float32), 2.0)
    annotation = VertexAnnotation("mesh", 25.0, "m", vertex_names(10), basis=basis)
    for half in (False, True):
        save_card(annotation, tmp_path, half=half)
        with np.load(tmp_path / "mesh.npz") as stored:
            true = stored["pca.components"].astype(np.float32)
        again = load_card(tmp_path / "mesh.json")
        assert isinstance(again, VertexAnnotation) and again.basis is not None
        assert isinstance(again.basis.components, np.memmap) != half
        assert half or again.basis.components.ctypes.data % 64 == 0
        assert np.array_equal(again.basis.components, true)
        assert np.allclose(again.decode(np.ones((1, 4), np.float32)), 2 * true.sum(0), atol=1e-5)


def test_cards_of_other_writers_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    basis = Basis(np.zeros(30, np.float32), rng.standard_normal((4, 30), np.float32))
    save_card(VertexAnnotation("mesh", 25.0, "m", vertex_names(10), basis=basis), tmp_path)
    for writer in (np.savez, np.savez_compressed):
        for name in ("x", "xy", "xyz"):
            writer(
                tmp_path / "mesh.npz",
                **{name: np.zeros(1), "pca.components": basis.components, "pca.mean": basis.mean},
            )
            again = load_card(tmp_path / "mesh.json")
            assert isinstance(again, VertexAnnotation) and again.basis is not None
            assert np.array_equal(again.basis.components, basis.components)
            assert again.basis.components.flags.aligned
