"""The open benchmark, from small made-up recordings in the layout of the real ones, and from those where at hand."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recipes.open.recordings import facegood, ict
from recipes.open.runs import runs, settings
from recipes.open.tables import listed, report
from recipes.open.work import do

from unitalker.annotations.layouts import convert, layout
from unitalker.cli import main
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.importers.facegood import LAG_SECONDS, advance
from unitalker.data.open_benchmark import Options, build
from unitalker.data.open_deal import (
    GRID_SHARES,
    RECORDINGS,
    STILL,
    few,
    grid_home,
    stretches,
    word_edges,
)
from unitalker.errors import DataError
from unitalker.evaluation.faces import face_of, mask_hash
from unitalker.motion import Motion
from unitalker.rig import builtin_head, load_rig
from unitalker.training.session import make_annotations

PAIRS = Path(__file__).parents[2] / "shared" / "assets" / "pairs_train"
SETS = ("grid", "facegood", "head", "mesh")
FRAMES, FPS = 20, 25


def noise(seconds: float, seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).uniform(-1, 1, round(seconds * 16000))).astype(np.float32)


def grid_names() -> list[str]:
    """Names that give every set and split something to hold."""
    stems = (a + b + c + d for a in "bls" for b in "bgr" for c in "abi" for d in "abcdefghijkl")
    found: dict[tuple[str, str], list[str]] = {}
    for stem in stems:
        found.setdefault(grid_home(stem), []).append(stem)
    assert len(found) == len(GRID_SHARES)
    return sorted(stem + end for stems in found.values() for stem in stems[:2] for end in ("2n", "3s"))


def write_grid(folder: Path) -> list[str]:
    (folder / "audio").mkdir(parents=True)
    names, rng = grid_names(), np.random.default_rng(1)
    motion = np.full((len(names), FRAMES, 4), 0.1, np.float16)
    motion[:, 6:14, 1:] += rng.uniform(0.1, 0.6, (len(names), 8, 3)).astype(np.float16)
    for number, name in enumerate(names):
        soundfile.write(folder / "audio" / f"{name}.flac", noise(FRAMES / FPS, number), 16000)
    np.savez(
        folder / "grid_s1.npz",
        clip=np.array(names),
        arkit_mp=motion,
        names=np.array(["_neutral", "jawOpen", "mouthPucker", "browInnerUp"]),
        valid=np.ones((len(names), FRAMES), bool),
        align=np.array(["0 6000 sil|6000 14000 bin|14000 20000 sil"] * len(names)),
        transcript=np.array(["sil bin sil"] * len(names)),
        fps=np.float32(FPS),
    )
    return names


def write_facegood(folder: Path, words: int = 40) -> np.ndarray:
    """Three recordings of words of 12 frames between pauses of 12; gives the first one's raw motion."""
    folder.mkdir(parents=True)
    raw_names, arkit_names = layout("facegood116").names, layout("arkit52").names
    first = None
    for number in (1, 2, 3):
        rng = np.random.default_rng(number)
        raw = np.zeros((24 * words, 116), np.float32)
        for word in range(words):
            raw[24 * word + 6 : 24 * word + 18] = rng.uniform(0, 0.5, 116) * np.hanning(14)[1:-1, None]
        arkit = convert(Motion(raw, raw_names, 30.0, "facegood116", "weight"), "arkit52").values
        name = f"1114_2_0{number}"
        np.savez(
            folder / f"{name}.npz",
            raw116=raw,
            raw_names=np.array(raw_names),
            arkit=arkit,
            names=np.array(arkit_names),
            fps=np.float32(30),
        )
        soundfile.write(folder / f"{name}.flac", noise(len(raw) / 30, 100 + number), 16000)
        first = raw if first is None else first
    assert first is not None
    return first


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("open")
    write_grid(root / "src" / "grid_s1")
    write_facegood(root / "src" / "facegood")
    assert build(root / "src", root / "out", Options(vertices=True))
    return root


def sound_of(dataset: Dataset, clip: str) -> np.ndarray:
    return soundfile.read(dataset.folder / "audio" / f"{clip}.flac", dtype="int16")[0]


def check_no_leak(folder: Path) -> None:
    """No sound stands in two places, and every set has its three splits."""
    heard = Counter()
    for name in SETS:
        dataset = open_dataset(folder / name)
        assert {"train", "val", "test"} <= {c.split for c in dataset.clips}
        for clip in dataset.clips:
            samples = sound_of(dataset, clip.id)
            heard[hashlib.sha256(samples.tobytes()).hexdigest()] += 1
            assert abs(len(samples) / 16000 - len(dataset.motion(clip)) / dataset.fps) < 0.1
    assert max(heard.values()) == 1


def test_no_sound_is_in_two_places(made: Path) -> None:
    check_no_leak(made / "out")
    stems: dict[str, set[tuple[str, str]]] = {}
    for name in ("grid", "head", "mesh"):
        for clip in open_dataset(made / "out" / name).clips:
            if not clip.id.startswith("1114"):
                stems.setdefault(clip.id[:4], set()).add((name, clip.split))
    assert stems and all(len(places) == 1 for places in stems.values())
    assert len(stems) == 2 * len(GRID_SHARES)


def test_recordings_are_whole_and_no_split_touches_another(made: Path) -> None:
    dataset = open_dataset(made / "out" / "facegood")
    clips = [c for c in dataset.clips if c.id.startswith("1114_2_01")]
    whole = soundfile.read(made / "src" / "facegood" / "1114_2_01.flac", dtype="int16")[0]
    np.testing.assert_array_equal(np.concatenate([sound_of(dataset, c.id) for c in clips]), whole)
    splits = [c.split for c in clips]
    for one, other in zip(splits[:-1], splits[1:], strict=True):
        assert one == other or "unused" in (one, other)
    raw = np.load(made / "src" / "facegood" / "1114_2_01.npz")["raw116"]
    motion = np.concatenate([dataset.motion(c) for c in clips])
    np.testing.assert_allclose(motion[:-1], 0.01 * raw[:-1] + 0.99 * raw[1:], atol=1e-5)


def test_meshes_are_the_heads_moved_by_the_trusted_weights(made: Path) -> None:
    head, vertices = open_dataset(made / "out" / "head"), open_dataset(made / "out" / "head-vertices")
    stored = np.load(made / "src" / "grid_s1" / "grid_s1.npz")
    rig, clip = builtin_head(), head.split("test")[0]
    row = stored["arkit_mp"][list(stored["clip"]).index(clip.id)].astype(np.float32)
    moved = np.clip(row - np.float32(np.float16(0.1)), 0, 1)  # at rest all is 0.1
    truth = moved[:, 1, None, None] * rig.shape("jawOpen") + moved[:, 2, None, None] * rig.shape(
        "mouthPucker"
    )
    values = vertices.motion(vertices.split("test")[0]).reshape(FRAMES, -1, 3)
    np.testing.assert_allclose(values, truth / 0.2, atol=1e-5)  # in units of 0.2 m; brows are not trusted
    card = make_annotations([head])["head"]
    np.testing.assert_allclose(card.decode(head.motion(clip)).reshape(FRAMES, -1, 3), truth / 0.2, atol=1e-4)
    mesh = open_dataset(made / "out" / "mesh")
    assert mesh.subjects == ("1114", "s1") and mesh.fps == 25 and mesh.annotation == "face"


def test_the_card_tells_what_is_there(made: Path) -> None:
    card = json.loads((made / "out" / "card.json").read_text())
    for name in SETS:
        dataset = open_dataset(made / "out" / name)
        for split, told in card["sets"][name]["splits"].items():
            clips = sorted(c.id for c in dataset.split(split))
            assert told["clips"] == len(clips)
            assert told["frames"] == sum(len(dataset.motion(c)) for c in dataset.split(split))
            lines = "".join(f"{one}\n" for one in clips)
            assert told["list_sha256"] == hashlib.sha256(lines.encode()).hexdigest()
            sounds = ((one, hashlib.sha256(sound_of(dataset, one).tobytes()).hexdigest()) for one in clips)
            lines = "".join(f"{one} {digest}\n" for one, digest in sounds)
            assert told["sound_sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    for name in SETS:
        face = face_of(open_dataset(made / "out" / name))
        for region, mask in card["sets"][name]["masks"].items():
            assert mask == {"vertices": len(face.regions[region]), "sha256": mask_hash(face.regions[region])}
    assert "open-1" not in (made / "out" / "CARD.md").read_text()
    assert not list((made / "out").glob(".*"))


def test_again_changes_nothing_and_other_inputs_are_refused(made: Path) -> None:
    out = made / "out"
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    assert not build(made / "src", out, Options(vertices=True))
    assert before == {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    with pytest.raises(DataError, match="holds the benchmark of the other size .* and with other files kept"):
        build(made / "src", out, Options(quick=True))


def test_a_stopped_build_leaves_nothing_and_goes_through_later(made: Path, tmp_path: Path) -> None:
    def stop(share: float, what: str) -> None:
        if what == "writing head":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(made / "src", tmp_path, Options(quick=True), stop)
    assert not list(tmp_path.iterdir())
    assert build(made / "src", tmp_path, Options(quick=True))
    (tmp_path / "card.json").unlink()  # as after a stop between the sets and their card
    assert build(made / "src", tmp_path, Options(quick=True))
    for name in SETS:
        whole, part = (open_dataset(root / name) for root in (made / "out", tmp_path))
        assert {c.id for c in part.clips} < {c.id for c in whole.clips}
        assert all(part.split(split) for split in ("train", "val", "test"))


def test_what_does_not_fit_is_told(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "build-open", str(tmp_path / "o"), "--source", str(tmp_path)]) == 2
    assert "has no folder grid_s1" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    (tmp_path / "mine" / "grid").mkdir(parents=True)
    with pytest.raises(DataError, match="is there already and no part of the benchmark"):
        build(made / "src", tmp_path / "mine")
    source = tmp_path / "src"
    names = write_grid(source / "grid_s1")
    write_facegood(source / "facegood", words=4)
    audio = source / "grid_s1" / "audio"
    (audio / f"{names[-1]}.flac").write_bytes((audio / f"{names[0]}.flac").read_bytes())
    with pytest.raises(DataError, match="have the same sound"):
        build(source, tmp_path / "twice")
    (source / "facegood" / "1114_2_03.npz").rename(source / "facegood" / "1115_1_01.npz")
    (source / "facegood" / "1114_2_03.flac").rename(source / "facegood" / "1115_1_01.flac")
    with pytest.raises(DataError, match="no place for the recording '1115_1_01'"):
        build(source, tmp_path / "other")


def test_recordings_from_the_public_files(made: Path, tmp_path: Path) -> None:
    have = made / "src" / "facegood"
    for room in ("wav", "bs_value"):
        (tmp_path / room).mkdir()
    for name in RECORDINGS:
        np.save(tmp_path / "bs_value" / f"bs_value_{name}.npy", np.load(have / f"{name}.npz")["raw116"])
        soundfile.write(tmp_path / "wav" / f"{name}.wav", soundfile.read(have / f"{name}.flac")[0], 16000)
    facegood(tmp_path, tmp_path / "made")
    for name in RECORDINGS:
        with np.load(have / f"{name}.npz") as old, np.load(tmp_path / "made" / f"{name}.npz") as new:
            for key in old.files:
                np.testing.assert_array_equal(new[key], old[key])
        old, new = (soundfile.read(folder / f"{name}.flac")[0] for folder in (have, tmp_path / "made"))
        np.testing.assert_array_equal(new, old)


def test_a_rig_from_wavefront_files(tmp_path: Path) -> None:
    """A grid of points as neutral face, one shape, and the lips within a square of landmarks."""
    points = np.array([(x, y, 0.0) for y in range(-5, 6) for x in range(-5, 6)])
    at = {tuple(p[:2]): i for i, p in enumerate(points)}
    square = [
        (-2, -2),
        (-1, -2),
        (0, -2),
        (1, -2),
        (2, -2),
        (2, 0),
        (2, 1),
        (2, 2),
        (0, 2),
        (-2, 2),
        (-2, 1),
        (-2, 0),
    ]
    marks = [at[0, 3]] * 68
    marks[48:60] = [at[corner] for corner in square]
    for name, move in (
        ("generic_neutral_mesh", 0.0),
        ("jawOpen", 0.25),
        ("mouthSmile_L", -0.5),
        ("identity000", 9),
    ):
        rows = [f"v {x} {y + move} {z}" for x, y, z in points]
        (tmp_path / f"{name}.obj").write_text("\n".join([*rows, "f 1/1 2/2 13/3 12/4", "f 2/2 3/3 13/3"]))
    (tmp_path / "vertex_indices.json").write_text(json.dumps({"idx_to_landmark_verts": marks}))
    ict(tmp_path, tmp_path / "rig.npz")
    rig = load_rig(tmp_path / "rig.npz")
    assert rig.shape_names == ("jawOpen", "mouthSmileLeft") and len(rig.faces) == 3
    np.testing.assert_allclose(rig.shape("jawOpen")[:, 1], 0.0025, atol=1e-8)
    inside = [i for i, p in enumerate(points) if np.abs(p).max() <= 2]
    np.testing.assert_array_equal(np.sort(rig.regions["lips"]), inside)
    np.testing.assert_array_equal(np.sort(rig.regions["upper_face"]), np.flatnonzero(points[:, 1] > 3))


def test_words_lie_between_pauses() -> None:
    still = np.ones(100, bool)
    for start, stop in ((10, 20), (23, 30), (40, 60), (70, 100)):  # 3 frames of rest are no pause
        still[start:stop] = False
    edges = word_edges(still)
    assert edges == [0, 35, 65, 100]
    parts = stretches([0, *range(30, 30 * 33, 30)], 30.0)
    assert [p.split for p in parts] == ["train"] * 4 + ["unused", "val", "unused", "test", "test", "unused"]
    assert [p.last - p.first for p in parts] == [150, 150, 150, 30, 30, 150, 30, 150, 90, 30]


def test_the_deal_goes_by_names_alone() -> None:
    names = [f"{a}{b}{c}{d}" for a in "abcdefgh" for b in "abcdefgh" for c in "abcdefgh" for d in "abcdefgh"]
    shares: Counter[tuple[str, str]] = Counter(grid_home(name) for name in names)
    for place, split, share in GRID_SHARES:
        assert abs(shares[place, split] / len(names) - share) < 0.02
    assert grid_home("bbaf2n") == grid_home("bbaf2n_000") == grid_home("bbaf3s")
    assert grid_home("srbu7s") == (grid_home("srbu8p")[0], "unused")
    assert few(["a", "b", "c"]) == few(["c", "a", "b"]) and len(few([str(i) for i in range(80)])) == 10


@pytest.mark.skipif(not PAIRS.is_dir(), reason="the public recordings (shared/assets) are absent")
def test_the_real_lists_are_those_of_the_documentation() -> None:
    lists: dict[tuple[str, str], list[str]] = {}
    for clip in np.load(PAIRS / "grid_s1" / "grid_s1.npz")["clip"]:
        lists.setdefault(grid_home(str(clip)), []).append(str(clip))
    for recording, home in RECORDINGS.items():
        raw = np.load(PAIRS / "facegood" / f"{recording}.npz")["raw116"]
        still = np.abs(advance(raw, LAG_SECONDS, 30.0)).max(1) < STILL
        for number, part in enumerate(stretches(word_edges(still), 30.0)):
            lists.setdefault((home, part.split), []).append(f"{recording}_{number:02d}")
    text = (Path(__file__).parents[1] / "docs" / "open.md").read_text()
    for (name, split), clips in lists.items():
        digest = hashlib.sha256("".join(f"{one}\n" for one in sorted(clips)).encode()).hexdigest()
        row = next(line for line in text.splitlines() if line.startswith(f"| {name} | {split} | "))
        assert f"| {len(clips)} |" in row and f"`{digest[:12]}`" in row
    sounds = {path.read_bytes() for path in (PAIRS / "grid_s1" / "audio").iterdir()}
    assert len(sounds) == 899


def test_every_run_has_settings_and_what_it_begins_with(tmp_path: Path) -> None:
    plan = {run.name: run for run in (*runs(), *runs("spoken-"))}
    assert {"single-grid", "all", "tuned-mesh", "without-head", "faceformer-facegood"} < set(plan)
    for run in plan.values():
        config = settings(run, 1, tmp_path)
        assert config.seed == 1 and [Path(s.path).name for s in config.sources] == list(run.sets)
        assert run.start in (None, "spoken") or run.start in plan
        assert not (run.start == "mini" or config.closure_weight or config.phone_weight)


BASELINES = ("motion-facegood", "codetalker-facegood", "selftalk-head", "facediffuser-mesh", "longer-grid")
"""The first is the first stage of the second and hears nothing."""


def test_a_run_is_trained_measured_and_told(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MOST": 2, "MOST_TUNED": 2, "VALIDATE": 1, "WARMUP": 1, "BATCH": 2}.items():
        monkeypatch.setattr(f"recipes.open.runs.{name}", value)
    plan = {run.name: run for run in runs()}
    with pytest.raises(DataError, match=r"not trained to its end yet: python -m recipes.open runs all first"):
        do(plan["tuned-facegood"], 0, made / "out", tmp_path)
    for name in ("single-facegood", "all", "tuned-facegood", *BASELINES):
        do(plan[name], 0, made / "out", tmp_path)
    found = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "results").iterdir()}
    assert set(found["all.0"]["test"]) == set(SETS) and found["all.0"]["steps"] == 2
    one, every, tuned = (
        found[f"{n}.0"]["test"]["facegood"]["lve"]["value"]
        for n in ("single-facegood", "all", "tuned-facegood")
    )
    text = report(tmp_path)
    assert f"| single |  | {one:.4g} |  |  |" in text
    assert f"| tuned |  | {100 * (tuned / one - 1):+.1f} |  |  |" in text
    assert f"{100 * (every / one - 1):+.1f}" in text
    assert not found["motion-facegood.0"]["test"] and "motion" not in text.split("Steps:")[0]
    for name in BASELINES[1:]:
        kind, its = name.split("-")
        value = found[f"{name}.0"]["test"][its]["lve"]["value"]
        cells = [f" {value:.4g} " if one == its else "  " for one in SETS]
        assert f"| {kind} |{'|'.join(cells)}|" in text
    lines = listed(tmp_path).splitlines()
    assert len(lines) == 1 + sum(len(facts["test"]) for facts in found.values())
    assert any(line.startswith(f"all,0,2,facegood,mm²,{every:.6g},") for line in lines)
    stamp = (tmp_path / "results" / "all.0.json").stat().st_mtime_ns
    do(plan["all"], 0, made / "out", tmp_path)
    assert stamp == (tmp_path / "results" / "all.0.json").stat().st_mtime_ns
