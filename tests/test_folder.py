"""Ordinary folders become datasets: vertices, weights, subjects, templates, splits, cuts, and every refusal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.cards import load_card
from unitalker.annotations.layouts import layout
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.cli import main
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.importers import importer
from unitalker.data.importers.folder import FolderOptions, import_folder
from unitalker.data.importers.folder_faces import resting_face, silent_frames
from unitalker.errors import AudioError, DataError
from unitalker.export import read
from unitalker.export import write as write_motion
from unitalker.motion import Motion
from unitalker.rig import builtin_head

NEUTRAL = np.random.default_rng(1).standard_normal((7, 3)).astype(np.float32)
ARKIT = layout("arkit52").names


def sound(path: Path, seconds: float = 2.0, quiet: float = 1.0) -> None:
    """`quiet` seconds of silence, then noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.2 * np.random.default_rng(0).standard_normal(round(seconds * 16000))
    samples[: round(quiet * 16000)] = 0
    soundfile.write(path, samples, 16000)


def moving(frames: int = 50, still: int = 25, neutral: np.ndarray = NEUTRAL) -> np.ndarray:
    """(T, V, 3): a neutral face for `still` frames, then all vertices somewhere else."""
    out = np.tile(neutral, (frames, 1, 1))
    out[still:] += 1 + np.random.default_rng(frames).standard_normal(out[still:].shape).astype(np.float32)
    return out


def vertices(folder: Path, *names: str, quiet: float = 1.0) -> Path:
    for name in names or ("a", "b", "c", "d"):
        sound(folder / f"{name}.wav", quiet=quiet)
        np.save(folder / f"{name}.npy", moving())
    return folder


def made(source: Path, out: Path, **options: object) -> tuple[Dataset, tuple[str, ...]]:
    result = import_folder(source, out, FolderOptions(**options), read=read)  # type: ignore[arg-type]
    return open_dataset(result.folder), (*result.notes, *result.problems)


def test_vertices_become_displacements_over_the_face_at_rest(tmp_path: Path) -> None:
    source = vertices(tmp_path / "takes")
    (source / "lips.txt").write_text("3, 5\n1")
    dataset, notes = made(source, tmp_path / "mine", fps=25, unit="mm")
    assert (dataset.annotation, dataset.fps, dataset.unit, dataset.subjects) == (
        "mine",
        25,
        "mm",
        ("speaker",),
    )
    assert dataset.names[:4] == ("v0.x", "v0.y", "v0.z", "v1.x") and len(dataset.names) == 21
    card = load_card(tmp_path / "mine" / "annotations" / "mine.json")
    assert isinstance(card, VertexAnnotation) and card.metres == 0.001 and card.basis is None
    template = card.template("mine/speaker")
    assert template is not None and np.array_equal(template, NEUTRAL)
    assert card.regions["lips"].tolist() == [1, 3, 5]
    for clip in dataset.clips:
        back = card.vertices(np.asarray(dataset.motion(clip)), template)
        assert np.abs(back - np.load(source / f"{clip.id}.npy")).max() < 1e-6
        assert soundfile.info(dataset.path(clip.audio)).frames == 32000 and clip.seconds == 2.0
    assert sorted(c.split for c in dataset.clips) == ["test", "train", "train", "val"]
    assert any("Template of speaker: the median of" in n and "sound is silent" in n for n in notes)
    assert json.loads((tmp_path / "mine" / "dataset.json").read_text())["notes"] == list(notes)


def test_subjects_rooms_templates_and_partners(tmp_path: Path) -> None:
    source = tmp_path / "corpus"
    for place in ("anna/audio", "audio/ben"):
        sound(source / place / "one.wav")
    for place, shift in (("anna/motion", 0), ("motion/ben", 2)):
        (source / place).mkdir(parents=True)
        np.save(source / place / "one.npy", moving(neutral=NEUTRAL + shift).reshape(50, -1))
    np.save(source / "anna" / "template.npy", NEUTRAL.reshape(-1))
    lines = [f"v {x} {y} {z}" for x, y, z in (NEUTRAL + 2).tolist()]
    (source / "template.obj").write_text("\n".join([*lines, "f 1/1 2/2 3/3 4/4", "f -1 -2 -3"]))
    sound(source / "anna" / "alone.wav")
    np.save(source / "lost.npy", moving())
    (source / "readme.md").write_text("hello")
    dataset, notes = made(source, tmp_path / "out", fps=25)
    assert dataset.subjects == ("anna", "ben") and [c.id for c in dataset.clips] == ["anna-one", "ben-one"]
    assert all(c.split == "train" for c in dataset.clips)
    card = load_card(tmp_path / "out" / "annotations" / "out.json")
    assert isinstance(card, VertexAnnotation) and card.faces is not None
    assert card.faces.tolist() == [[0, 1, 2], [0, 2, 3], [6, 5, 4]]
    assert np.allclose(card.templates["out/ben"] - card.templates["out/anna"], 2)
    assert np.abs(np.asarray(dataset.motion(dataset.clips[1]))[:25]).max() < 1e-6
    told = "\n".join(notes)
    assert (
        "anna/alone.wav was left out: it has no partner of the same stem." in told and "lost.npy was" in told
    )
    assert "not looked at: readme.md" in told and "unit of their own, u" in told
    assert "No lips.txt: lip errors (LVE, LVD) are taken over all vertices." in told
    assert card.regions["lips"].tolist() == list(range(7))


def test_weights_of_every_form_are_the_same_dataset(tmp_path: Path) -> None:
    source, names = tmp_path / "takes", ("jawOpen", "puff", "smile")
    values = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    for name in ("csv", "json", "npz", "plain"):
        sound(source / f"{name}.wav")
    turned = [",".join(map(repr, row[[2, 0, 1]].tolist())) for row in values]
    (source / "csv.csv").write_text("\n".join(["smile,jawOpen,puff", *turned]))
    for suffix in ("json", "npz"):
        write_motion(Motion(values, names, 25, "x", "weight"), source / f"{suffix}.{suffix}")
    np.save(source / "plain.npy", values.astype(np.float64))
    (source / "names.txt").write_text("jawOpen\npuff\nsmile\n")
    (source / "fps.txt").write_text("25\n")
    dataset, notes = made(source, tmp_path / "three")
    assert (dataset.unit, dataset.fps, set(dataset.names)) == ("weight", 25, set(names))
    column = [dataset.names.index(n) for n in names]
    for clip in dataset.clips:
        assert np.array_equal(np.asarray(dataset.motion(clip))[:, column], values), clip.id
    card = load_card(tmp_path / "three" / "annotations" / "three.json")
    assert isinstance(card, BlendshapeAnnotation) and card.bounds == (0, 1)
    assert any("1 of 3 channels move the built-in head" in n for n in notes)
    jaw, rig = np.eye(3, dtype=np.float32)[[card.names.index("jawOpen")]], builtin_head()
    moved = rig.shapes[rig.shape_names.index("jawOpen"), rig.regions["lips"]]
    assert np.allclose(card.lips(torch.tensor(jaw))[0], moved, atol=1e-7)
    rest = float(card.loss(torch.zeros(1, 3), torch.tensor(jaw)))
    square = np.square(rig.shapes[rig.shape_names.index("jawOpen")] * 100).mean()
    assert rest == pytest.approx(square + 1e-4 / 3, rel=1e-4)


def test_weights_beyond_one_are_kept(tmp_path: Path) -> None:
    sound(tmp_path / "in" / "a.wav")
    rows = ["puff,blow", *["-0.5,2"] * 25, *["0,0"] * 25]
    (tmp_path / "in" / "a.csv").write_text("\n".join(rows))
    dataset, notes = made(tmp_path / "in", tmp_path / "odd", fps=25)
    card = load_card(tmp_path / "odd" / "annotations" / "odd.json")
    assert isinstance(card, BlendshapeAnnotation) and card.bounds is None and card.gram is None
    assert "Weights reach from -0.5 to 2; they are kept as they are." in notes
    assert "No channel is ARKit's: errors are of the weights alone." in notes
    assert np.asarray(dataset.motion(dataset.clips[0]))[0].tolist() == [-0.5, 2]


def test_live_link_recordings_enter_the_built_in_layout(tmp_path: Path) -> None:
    values = np.zeros((60, 52), np.float32)
    values[:, ARKIT.index("jawOpen")] = np.linspace(0, 1, 60)
    sound(tmp_path / "in" / "take.flac", 1.0, 0.2)
    write_motion(Motion(values, ARKIT, 60, "arkit52", "weight"), tmp_path / "in" / "take.csv")
    dataset, notes = made(tmp_path / "in", tmp_path / "anna", annotation="arkit52")
    assert dataset.names == ARKIT and dataset.fps == 60 and not (tmp_path / "anna/annotations").exists()
    assert np.allclose(dataset.motion(dataset.clips[0]), values, atol=1e-6)
    assert any("Channels that arkit52 lacks, left out: HeadYaw" in n or "headYaw" in n for n in notes)
    with pytest.raises(DataError, match=r"read=unitalker\.export\.read"):
        import_folder(tmp_path / "in", tmp_path / "other")


def test_long_partners_are_cut_and_told(tmp_path: Path) -> None:
    source = vertices(tmp_path / "in", "fit", "sound", "motion")
    sound(source / "sound.wav", 3.0)
    np.save(source / "motion.npy", moving(frames=80))
    sound(source / "fit.wav", 2.09)
    dataset, notes = made(source, tmp_path / "out", fps=25, unit="m")
    told = "\n".join(notes)
    assert "sound: the sound is 1.00 s longer than its partner; its end was cut." in told
    assert "motion: the motion is 1.20 s longer than its partner; its end was cut." in told
    assert "fit:" not in told
    lengths = {c.id: (c.seconds, len(dataset.motion(c))) for c in dataset.clips}
    assert lengths == {"fit": (2.09, 50), "sound": (2.0, 50), "motion": (2.0, 50)}


def test_splits_are_the_same_whatever_else_there_is(tmp_path: Path) -> None:
    first, _ = made(vertices(tmp_path / "in", *(f"{i:02d}" for i in range(21))), tmp_path / "a", fps=25)
    again, _ = made(vertices(tmp_path / "in", "z/0", "z/1"), tmp_path / "b", fps=25)
    count = [sum(c.split == s for c in first.clips) for s in ("train", "val", "test")]
    assert count == [17, 2, 2]
    split = {c.id: c.split for c in again.clips}
    assert all(split[c.id] == c.split for c in first.clips)
    assert sorted(split[f"z-{i}"] for i in range(2)) == ["train", "val"]
    own = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    source = vertices(tmp_path / "own")
    (source / "split.json").write_text(json.dumps(own))
    told, notes = made(source, tmp_path / "c", fps=25)
    assert {c.id: c.split for c in told.clips} == {"a": "train", "b": "train", "c": "val", "d": "test"}
    assert "2 train, 1 val, 1 test (split.json)." in notes


def test_silence_is_what_is_quiet_and_far_from_speech() -> None:
    samples = np.zeros(32000, np.float32)
    samples[16000:] = np.random.default_rng(0).standard_normal(16000) * 0.1
    silent = silent_frames(samples, 100, 50)
    assert silent[:40].all() and not silent[43:].any()
    assert silent_frames(np.zeros(32000, np.float32), 100, 50).all()
    hum = samples + 1e-4 * np.sin(np.arange(32000)).astype(np.float32)
    assert silent_frames(hum, 100, 50)[:40].all()


def test_without_silence_the_template_is_the_median_of_all(tmp_path: Path) -> None:
    source = vertices(tmp_path / "in", "a", quiet=0.0)
    dataset, notes = made(source, tmp_path / "out", fps=25)
    card = load_card(tmp_path / "out" / "annotations" / "out.json")
    assert np.allclose(card.templates["out/speaker"], np.median(moving(), axis=0), atol=1e-6)
    assert any("the median of 50 of all frames (only 0 frames are silent)" in n for n in notes)
    long = np.arange(3000, dtype=np.float32)[:, None]
    face, about = resting_face([long[:1000], long[1000:]], [np.ones(1000, bool), np.ones(2000, bool)])
    assert abs(face[0] - 1499.5) < 12 and "256 frames" in about


def test_displacements_with_a_template_of_their_own_stay(tmp_path: Path) -> None:
    moved = (moving() - NEUTRAL).reshape(50, -1)
    names = tuple(f"v{i}.{a}" for i in range(7) for a in "xyz")
    for name in ("a", "b"):
        sound(tmp_path / "in" / f"{name}.wav")
    write_motion(Motion(moved, names, 25, "x", "cm", template=NEUTRAL), tmp_path / "in" / "a.npz")
    write_motion(Motion(moved, names, 25, "x", "cm", template=NEUTRAL + 1), tmp_path / "in" / "b.json")
    dataset, _ = made(tmp_path / "in", tmp_path / "out")
    assert dataset.unit == "cm"
    assert np.abs(np.asarray(dataset.motion(dataset.clips[0])) - moved).max() < 1e-6
    assert np.abs(np.asarray(dataset.motion(dataset.clips[1])) - moved - 1).max() < 1e-6


def test_motion_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = vertices(tmp_path / "in", "a", "b")
    whole, _ = made(source, tmp_path / "whole", fps=25)
    monkeypatch.setattr("unitalker.data.importers.folder.BLOCK_BYTES", 4 * 21 * 7)
    parts, _ = made(source, tmp_path / "parts", fps=25)
    for one, other in zip(whole.clips, parts.clips, strict=True):
        assert whole.path(one.motion).read_bytes() == parts.path(other.motion).read_bytes()


def broken(folder: Path, **files: object) -> Path:
    """A folder with one good clip of weights, where `files` are put beside or over it: stem_suffix → text or array."""
    sound(folder / "a.wav")
    (folder / "a.csv").write_text("\n".join(["jawOpen,smile", *["0.5,0.25"] * 50]))
    for name, content in files.items():
        path = folder / name.replace("_", ".").replace("SUB", "/")
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        elif isinstance(content, dict):
            np.savez(path, **content)
        elif content is None:
            path.unlink()
        elif isinstance(content, float):
            sound(path, content)
        else:
            np.save(path, content)
    return folder


ZEROS = np.zeros((50, 6), np.float32)
MESH = np.zeros((50, 2, 3), np.float32)
REFUSED = [
    ({"a_csv": None}, {}, "holds no pair of sound and motion with the same stem"),
    ({"a_mp3": "x"}, {}, "a.mp3 and a.wav are both 'a'; keep one"),
    ({"a_csv": "1,2\n3,4"}, {}, "first line must name the columns; it is '1,2'"),
    ({"a_csv": "frame,jawOpen\n3,4"}, {}, "'frame' is no weight; leave it out"),
    ({"a_csv": "jawOpen,smile\n3,x"}, {}, "line 2: numbers should stand here"),
    ({"a_csv": "jawOpen,smile\n3"}, {}, "line 2: 1 numbers stand under 2 names"),
    ({"a_csv": "jawOpen,smile\n"}, {}, "a.csv has no frames"),
    ({"a_csv": "jawOpen,jawOpen\n1,2"}, {}, "every channel needs a name of its own; 'jawOpen' is none"),
    ({"a_csv": "jawOpen,smile\n1,nan\n1,2"}, {}, "NaN or infinite"),
    ({}, {"fps": None}, "does not say its frames a second; give --fps, or put them in fps.txt"),
    ({"fps_txt": "fast"}, {"fps": None}, "fps.txt should hold one number"),
    ({}, {"fps": 0.0}, "must lie between 1 and 1000, not 0"),
    ({"a_csv": None, "a_npy": ZEROS}, {}, "nothing says what they are: for weights give their names"),
    ({"a_csv": None, "a_npy": ZEROS, "names_txt": "x\ny"}, {}, "6 numbers a frame, but 2 names"),
    ({"a_csv": None, "a_npy": MESH, "names_txt": "x\ny"}, {}, "but names of weights are given"),
    ({}, {"names": Path("none.txt")}, "There is no file none.txt with names"),
    ({"a_csv": None, "a_npy": ZEROS[:, :4]}, {"unit": "m"}, "no whole number of vertices"),
    ({"a_csv": None, "a_npy": MESH}, {"unit": "km"}, "There is no unit 'km'"),
    ({"a_csv": None, "a_npy": np.zeros((4, 2, 2))}, {}, "vertices are (frames, vertices, 3)"),
    ({"a_csv": None, "a_npy": np.array(["x"])}, {}, "should hold numbers of shape"),
    ({"a_csv": None, "a_npz": {"weights": ZEROS}}, {}, "has no array 'values' .* holds weights"),
    ({"a_csv": None, "a_npz": {"values": ZEROS}}, {}, "nothing says what they are"),
    ({"a_csv": None, "a_npz": {"values": ZEROS, "fps": np.float64(-1)}}, {"unit": "m"}, "fps must be a number"),
    ({"a_csv": None, "a_npz": {"values": ZEROS, "unit": "flame"}}, {}, "is in 'flame'; an ordinary folder holds"),
    ({"a_csv": "x" * 200_000}, {}, "not a readable CSV file"),
    ({"a_csv": None, "a_npz": "text"}, {}, "not a readable npz"),
    ({"a_csv": None, "a_npy": "text"}, {}, "not a readable npy"),
    ({"a_csv": None, "a_json": "{}"}, {}, "not motion as JSON"),
    ({"a_csv": None, "a_json": '{"frames": [[1]]}'}, {}, "needs the list 'names'"),
    ({"b_wav": 2.0, "b_npy": MESH}, {}, "a.csv holds weights, but .*b.npy vertices"),
    ({"b_wav": 2.0, "b_csv": "jawOpen,puff\n1,2"}, {}, "differ in the channel 'puff'"),
    ({"a_csv": None, "a_npy": MESH, "b_wav": 2.0, "b_npy": MESH[:, :1]}, {}, "2 vertices, but .*not one topology"),
    ({"a_csv": None, "a_npy": MESH, "template_npy": np.zeros((3, 3))}, {}, "has 3 vertices, the motion has 2"),
    ({"a_csv": None, "a_npy": MESH, "template_npy": np.zeros(4)}, {}, "is not a neutral face"),
    ({"a_csv": None, "a_npy": MESH, "template_obj": "v 1 2 x"}, {}, "line 1: 'v 1 2 x' is not a vertex"),
    ({"a_csv": None, "a_npy": MESH, "template_obj": "v 1 2 3\nf 1 2 3"}, {}, "outside its 1 vertices"),
    ({"a_csv": None, "a_npy": MESH, "lips_txt": "0 2"}, {}, "vertex numbers from 0 to 1; it holds 0 … 2"),
    ({"a_csv": None, "a_npy": MESH, "lips_txt": "x"}, {}, "vertex numbers alone"),
    ({"a_csv": None, "a_npy": MESH}, {"lips": Path("none.txt")}, "There is no file none.txt with vertex"),
    ({"split_json": '{"dev": ["a"]}'}, {}, "no split 'dev'; there are train, val and test"),
    ({"split_json": '{"train": []}'}, {}, "leaves out 'a'"),
    ({"split_json": '{"train": ["a", "b"]}'}, {}, "names 'b', which is no pair"),
    ({"split_json": '{"train": ["a"], "val": ["a"]}'}, {}, "names a clip twice"),
    ({"split_json": '{"val": ["a"]}'}, {}, "puts no clip into train"),
    ({"split_json": "[1]"}, {}, "is not {\"train\""),
    ({}, {"annotation": "my.face"}, "letters, digits, - and _ alone, unlike 'my.face'"),
    ({}, {"annotation": "head"}, "'head' is a built-in annotation of another face"),
    ({"a_csv": "puff\n1\n1"}, {"annotation": "arkit52"}, "No channel of .* is one of arkit52's"),
    ({"a_wav": 0.05}, {}, "has only 1 frames with sound"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "options", "says"), REFUSED, ids=[r[2][:30] for r in REFUSED])
def test_refusals(tmp_path: Path, files: dict, options: dict, says: str) -> None:
    source = broken(tmp_path / "in", **files)
    says = says.replace("(frames", r"\(frames").replace("3)", r"3\)").replace("{", r"\{")
    with pytest.raises(DataError, match=says):
        import_folder(source, tmp_path / "out", FolderOptions(**{"fps": 25.0, **options}))
    assert not (tmp_path / "out").exists()


WEIGHTS = "\n".join(["jawOpen,smile", *["0.5,0.25"] * 50])
OTHERS = [
    (
        {"b_wav": 2.0, "b_npz": {"values": ZEROS[:, :2], "names": ["jawOpen", "smile"], "fps": 30}},
        "b was left out: .*says 30 frames a second, not 25",
    ),
    ({"b_wav": 2.0, "b_csv": "jawOpen,smile\n1,nan"}, "b was left out: .*NaN or infinite"),
    ({"b_wav": 2.0, "b_csv": WEIGHTS, "b_mp3": "x"}, "b was left out: b.mp3 and b.wav are both 'b'; keep one"),
    ({"b_wav": "no sound", "b_csv": WEIGHTS}, "b was left out: .*b.wav is no media file"),
    ({"b_wav": 2.0, "b_npy": np.array(["x"])}, "b was left out: .*b.npy should hold numbers of shape"),
    (
        {"c_wav": 2.0, "c_csv": WEIGHTS, "b_wav": 2.0, "b_csv": "jawOpen\n1\n1"},
        "b was left out: .*differ in the channel 'smile'",
    ),
    ({"xSUBb_wav": 2.0, "xSUBb_csv": WEIGHTS, "x-b_wav": 2.0, "x-b_csv": WEIGHTS}, "would both be the clip 'x-b'"),
    (
        {"AnnaSUBb_wav": 2.0, "AnnaSUBb_csv": WEIGHTS, "annaSUBc_wav": 2.0, "annaSUBc_csv": WEIGHTS},
        "anna/c was left out: its subject 'anna' and 'Anna' have one name",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "says"), OTHERS, ids=[r[1][-30:] for r in OTHERS])
def test_a_pair_that_cannot_be_used_does_not_stop_the_others(tmp_path: Path, files: dict, says: str) -> None:
    result = import_folder(broken(tmp_path / "in", **files), tmp_path / "out", FolderOptions(fps=25.0))
    (told,) = result.problems
    assert re.search(says, told)
    dataset = open_dataset(result.folder)
    assert "a" in {c.id for c in dataset.clips} and list(result.problems) == dataset.extra["problems"]


def test_a_failed_import_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    source = vertices(tmp_path / "in", "a", "b")
    spoiled = moving()
    spoiled[30, 2] = np.nan
    for name in "ab":
        np.save(source / f"{name}.npy", spoiled)
    kept = tmp_path / "deep" / "out"
    (kept / "audio").mkdir(parents=True)
    (kept / "audio" / "other.flac").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for out in (kept, tmp_path / "new" / "folder" / "out"):
        assert main(["data", "import", "folder", str(source), str(out), "--fps", "25", "--unit", "mm"]) == 2
        assert sorted(tmp_path.rglob("*")) == before
    for name in "ab":
        np.save(source / f"{name}.npy", moving())
    kept = tmp_path / "made"
    assert main(["data", "import", "folder", str(source), str(kept), "--fps", "25", "--unit", "mm"]) == 0
    (kept / "audio" / "other.flac").write_text("mine")
    whole = sorted(kept.rglob("*"))
    for name in "ab":
        np.save(source / f"{name}.npy", spoiled)
    with pytest.raises(DataError, match="NaN"):
        import_folder(source, kept, FolderOptions(fps=25, unit="mm"))
    assert sorted(kept.rglob("*")) == whole and (kept / "audio" / "other.flac").read_text() == "mine"


def test_places_that_cannot_be(tmp_path: Path) -> None:
    source = broken(tmp_path / "in")
    with pytest.raises(DataError, match="write the dataset to another place"):
        import_folder(source, source / "out", FolderOptions(fps=25))
    with pytest.raises(DataError, match="There is no folder"):
        importer("folder")(tmp_path / "none", tmp_path / "out")
    (source / "a.wav").write_bytes(b"no sound at all")
    with pytest.raises(AudioError):
        import_folder(source, tmp_path / "out", FolderOptions(fps=25))


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = vertices(tmp_path / "in")
    argv = ["data", "import", "folder", str(source), str(tmp_path / "out")]
    assert main([*argv, "--fps", "25", "--unit", "mm", "--annotation", "face7"]) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path / "out") and "Template of speaker" in told.err
    assert open_dataset(tmp_path / "out").annotation == "face7"
    assert main(argv) == 2
    assert "give --fps" in capsys.readouterr().err
    assert main(["data", "import", "grid", str(source), str(tmp_path / "x"), "--unit", "mm"]) == 2
    assert "--unit is for `data import folder`" in capsys.readouterr().err
