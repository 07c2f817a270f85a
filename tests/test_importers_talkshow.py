"""TalkSHOW's layouts, made up, and tensors in pickles; all three corpora of bodies and phones trained, measured, examined."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from doctor_sets import heard
from unitalker.cli import main
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.importers import expected, import_corpus
from unitalker.data.importers.corpus import Imported
from unitalker.data.likes import Size, make_like
from unitalker.data.likes import beat as beat_like
from unitalker.data.likes import talkshow as talkshow_like
from unitalker.errors import DataError
from unitalker.evaluation.doctor.examine import examine
from unitalker.pickles import read_pickle

VIDEO, CLIP = "A_show_00-made_up.webm", "5000-00_00_00-00_00_10"
SETTINGS = (
    "steps=2",
    "warmup_steps=1",
    "batch=2",
    "crop_seconds=0.6",
    "checkpoint_steps=2",
    "precision=fp32",
    "phone_weight=0",
    "closure_weight=0",
    "model.encoder.kind=mini",
    "model.encoder.width=8",
    "model.decoder.width=8",
)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    for like in ("talkshow", "talkshow-flat"):
        make_like(like, folder / like, Size(seconds=0.8))
    return folder


def taken(source: Path, out: Path) -> tuple[Dataset, Imported]:
    (made,) = import_corpus("talkshow", source, out)
    return open_dataset(made.folder), made


def test_jaw_and_expression_of_every_form(made_up: Path, tmp_path: Path) -> None:
    dataset, told = taken(made_up / "talkshow", tmp_path / "set")
    flat, _ = taken(made_up / "talkshow-flat", tmp_path / "flat")
    table = expected("talkshow")
    assert table is not None and sum(table.clips.values()) == 17165 and not told.problems
    assert told.notes[0].startswith(
        "Clips by train_val_test.json: train 2 of 13727, val 2 of 1722, test 2 of 1716"
    )
    assert dataset.subjects == ("oliver", "seth") and (dataset.annotation, dataset.fps) == (
        "FLAME_2020_parameters",
        30,
    )
    for clip, same in zip(dataset.clips, flat.clips, strict=True):
        subject, video, name = clip.subject, clip.id.split("_5")[0].split("_", 1)[1], clip.id[-22:]
        held = pickle.loads((made_up / "talkshow" / subject / video / name / f"{name}.pkl").read_bytes())
        motion = np.asarray(dataset.motion(clip))
        assert np.array_equal(motion[:, 300:400], held["expression"]) and not motion[:, :300].any()
        assert np.array_equal(motion[:, 400:403], held["jaw_pose"]) and held["jaw_pose"].any()
        assert (motion[:, 403:] == [1, 0, 0, 0, 1, 0, 0, 0, 0, 1]).all() and len(motion) == 24
        assert np.array_equal(motion, flat.motion(same)) and clip.split == same.split
        assert len(dataset.sound(clip)[0]) == 12800 and clip.language == "en"


def test_other_forms_and_splits(made_up: Path, tmp_path: Path) -> None:
    """npz, a list of one, fewer expressions, no list, folders of splits, one speaker's folder."""
    dataset, _ = taken(made_up / "talkshow", tmp_path / "set")
    root = shutil.copytree(made_up / "talkshow", tmp_path / "Tälk show")
    (root / "train_val_test.json").unlink()
    paths = sorted(root.rglob("*.pkl"))
    first = pickle.loads(paths[0].read_bytes())
    paths[0].unlink()
    kept: dict[str, Any] = {name: first[name] for name in ("expression", "jaw_pose", "betas")}
    np.savez(paths[0].with_suffix(".npz"), **kept)
    second = pickle.loads(paths[1].read_bytes())
    paths[1].write_bytes(pickle.dumps([second | {"jaw_pose": torch.from_numpy(second["jaw_pose"])}]))
    third = pickle.loads(paths[2].read_bytes())
    paths[2].write_bytes(pickle.dumps(third | {"expression": third["expression"][:, :50]}))
    other, told = taken(root, tmp_path / "other")
    for i in (0, 1):
        assert np.array_equal(dataset.motion(dataset.clips[i]), other.motion(other.clips[i]))
    assert not np.asarray(other.motion(other.clips[2]))[:, 350:400].any()
    assert any("it has 50 of 100 expressions" in note for note in told.notes)
    assert any("dealt out 8 : 1 : 1" in note for note in told.notes) and other.extra["way"] == "own"
    by_video = {tuple(c.id.split("_5")[:1]): c.split for c in other.clips}
    assert all(by_video[tuple(c.id.split("_5")[:1])] == c.split for c in other.clips)
    video = root / "seth" / VIDEO
    (video / "test").mkdir()
    (video / CLIP).rename(video / "test" / CLIP)
    alone, told = taken(root / "seth", tmp_path / "alone")
    assert (
        alone.subjects == ("seth",) and {c.id: c.split for c in alone.clips}[f"seth_{VIDEO}_{CLIP}"] == "test"
    )
    assert told.notes[0].startswith(
        "Clips by folders: train 0 of 13727, val 0 of 1722, test 1 of 1716; in no published split: 2"
    )


def test_broken_clips_are_left_out_and_named(
    made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(made_up / "talkshow", tmp_path / "in the wild")
    paths = sorted(root.rglob("*.pkl"))
    held = pickle.loads(paths[0].read_bytes())
    paths[0].write_bytes(paths[0].read_bytes()[:500])
    paths[1].with_suffix(".wav").unlink()
    paths[2].write_bytes(b"cos\nsystem\n(S'echo bad'\ntR.")
    long = {k: np.tile(v, (5, 1)) for k, v in held.items() if k in ("expression", "jaw_pose")}
    paths[3].write_bytes(pickle.dumps(long))
    bad = held["jaw_pose"].copy()
    bad[5, 1] = np.nan
    paths[4].write_bytes(pickle.dumps({**held, "jaw_pose": bad}))
    extra = root / "oliver" / VIDEO
    for name, data in (
        ("a b", {"expression": held["expression"]}),
        ("c", {"expression": held["expression"][:9], "jaw_pose": held["jaw_pose"]}),
        ("d", {"expression": np.array(["?"]), "jaw_pose": held["jaw_pose"]}),
        ("e", 3),
        ("f", {**held, "jaw_pose": held["jaw_pose"] + 40}),
    ):
        (extra / f"{name}.pkl").write_bytes(pickle.dumps(data))
        soundfile.write(extra / f"{name}.wav", np.zeros(12800), 16000)
    np.save(extra / "g.npy", np.zeros((24, 300), np.float32))
    for name in ("g", "h"):
        soundfile.write(extra / f"{name}.wav", np.zeros(12800), 16000)
    (root / "stray.pkl").write_bytes(pickle.dumps(held))
    assert main(["data", "import", "talkshow", str(root), str(tmp_path / "made")]) == 1
    told = capsys.readouterr().err
    for sentence in (
        "is not a whole pickle of arrays",
        f"{CLIP[:1]}001-00_00_00-00_00_10.pkl has no sound beside it",
        "it asks for os.system",
        "its motion lasts 4.00 s, its sound only 0.80 s",
        "NaN or infinite numbers, the first in frame 5",
        "a b.pkl has no 'jaw_pose'; it holds expression.",
        "should hold jaw_pose (T, 3) and expression (T, 100), not (24, 3) and (9, 100)",
        "expression should hold numbers, frame by frame, not <U1 (1,)",
        "holds int, not arrays by name",
        "its jaw is turned by up to 40",
        "g.npy has 300 numbers a frame; the flat form has 265",
        f"oliver/{VIDEO}/h was left out: h.wav has no motion beside it",
        "stray.pkl was left out: clips lie in <speaker>/<video>/",
        "Partly imported: 13 left out",
    ):
        assert sentence in told, sentence
    assert len(open_dataset(tmp_path / "made").clips) == 1
    (root / "train_val_test.json").write_text('{"train": []}')
    with pytest.raises(DataError, match="should hold lists of clips for train, val, test"):
        taken(root, tmp_path / "x")
    with pytest.raises(DataError, match="holds no clips"):
        taken(tmp_path / "made" / "audio", tmp_path / "x")


def test_tensors_in_pickles_are_what_pytorch_says(tmp_path: Path) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    held = {
        "part": base.t()[1:3],
        "same": base,
        "one": torch.tensor(3),
        "flags": torch.tensor([True, False]),
        "none": torch.zeros(0, 3),
        "half": torch.ones(2).half(),
        "learnt": torch.rand(2, 2, dtype=torch.float64, requires_grad=True),
    }
    path = tmp_path / "tensors.pkl"
    for protocol in (2, 3, 4, 5):
        path.write_bytes(pickle.dumps(held, protocol))
        found = read_pickle(path)
        for name, tensor in held.items():
            due = tensor.detach().numpy()
            assert found[name].dtype == due.dtype and np.array_equal(found[name], due), (protocol, name)
    whole = pickle.dumps(base, 2)
    for data, sentence in (
        (pickle.dumps(torch.ones(1).expand(10**9)), "does not lie within its storage"),
        (pickle.dumps(torch.ones(2, dtype=torch.bfloat16)), "asks for torch.BFloat16Storage"),
        (pickle.dumps(torch.nn.Linear(2, 2)), "asks for torch.nn"),
        (whole.replace(b"FloatStorage", b"FloatStorabe"), "asks for torch.FloatStorabe"),
        (whole.replace(b"_load_from_bytes", b"_load_from_bytez"), "asks for torch.storage._load_from_bytez"),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=sentence):
            read_pickle(path)


MAKERS: dict[str, Callable[..., Path]] = {
    "beat": beat_like.make,
    "beat2": beat_like.make_body,
    "talkshow": talkshow_like.make,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_they_can_be_trained_and_measured_on(kind: str, tmp_path: Path) -> None:
    source = make_like(kind, tmp_path / "source", Size(people=1, seconds=0.8))
    assert main(["data", "import", kind, str(source), str(tmp_path / "set")]) == 0
    chosen = [part for text in SETTINGS for part in ("--set", text)]
    places = ["--data", str(tmp_path / "set"), "-o", str(tmp_path / "run")]
    assert main(["train", *places, "--preset", "mini", *chosen]) == 0
    given = ["--split", "test", "--identity", "subject", "-o", str(tmp_path / "figures.json")]
    assert main(["evaluate", str(tmp_path / "run" / "model"), str(tmp_path / "set"), *given]) == 0
    (figures,) = json.loads((tmp_path / "figures.json").read_text())["groups"].values()
    assert figures and all(np.isfinite(value) for value in figures.values() if isinstance(value, float))


@pytest.mark.parametrize("kind", MAKERS)
def test_the_doctor_finds_what_was_planted_in_each_file(kind: str, tmp_path: Path) -> None:
    """Offsets as these corpora have them, other ones in each file, by a predictor that hears loudness alone."""
    planted = np.random.default_rng(3).uniform(0.07, 0.4, 12) * np.tile([1, -1, 0], 4)
    (tmp_path / "in").mkdir()
    MAKERS[kind](tmp_path / "in", Size(people=1, takes=12, seconds=5.0), planted.tolist())
    (made,) = import_corpus(kind, tmp_path / "in", tmp_path / "set")
    seen = examine(open_dataset(made.folder), heard)
    numbers = {s.clip.id: s.numbers["offset_ms"] for s in seen.sequences}
    order = [made.stem for made in beat_like.sequences(Size(1, 12, 0.5), 30.0)]
    if kind == "talkshow":
        order = sorted(numbers)
    found = np.array([numbers[name] for name in order])
    assert np.abs(found - 1000 * planted).max() <= 20
    late = {
        s.clip.id
        for s, found in zip(seen.sequences, seen.findings, strict=True)
        if any(f.kind == "offset" for f in found)
    }
    assert late == {name for name, offset in zip(order, planted, strict=True) if offset}
