"""Views of datasets: mirrored twice, resampled up and down, against SciPy's filters, at one loudness, over other faces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import signal

from unitalker.annotations.cards import load_card, save_card
from unitalker.annotations.layouts import layout
from unitalker.annotations.pca import Basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.audio.loudness import loudness
from unitalker.cli import main
from unitalker.data import views_resample
from unitalker.data.dataset import Clip, Dataset, open_dataset, write_manifest
from unitalker.data.shards import write_shards
from unitalker.data.views import View, make_view
from unitalker.data.views_mirror import read_map, symmetric_map
from unitalker.data.views_resample import read_at, resample
from unitalker.errors import AnnotationError, DataError
from unitalker.rig import builtin_head

FACE = np.array(
    [
        [-1, 0, 0],
        [1, 0, 0],
        [-0.5, 1, 0.3],
        [0.5, 1, 0.3],
        [0, 0.5, 1],
        [0, -1, 0.5],
        [0.2, -0.5, 0],
        [-0.2, -0.5, 0],
    ],
    np.float32,
)
PARTNERS = [1, 0, 3, 2, 4, 5, 7, 6]


def write_set(folder: Path, values: list[np.ndarray], fps: float = 25, **facts) -> Dataset:
    """A dataset whose clips have these motions, ARKit weights unless `facts` say otherwise."""
    folder.mkdir(parents=True)
    facts = {
        "annotation": "arkit52",
        "unit": "weight",
        "names": layout("arkit52").names,
        "known": None,
    } | facts
    clips, rng = [], np.random.default_rng(0)
    for i, motion in enumerate(values):
        seconds = len(motion) / fps
        sound = 0.05 * 3**i * np.sin(2 * np.pi * 300 * np.arange(round(seconds * 16000)) / 16000)
        soundfile.write(folder / f"{i}.flac", sound + rng.standard_normal(len(sound)) * 1e-4, 16000)
        np.save(folder / f"{i}.npy", motion.astype(np.float32))
        clips.append(
            Clip(str(i), f"s{i % 2}", f"{i}.flac", f"{i}.npy", "train", seconds, words=((0.1, 0.5, "a"),))
        )
    subjects = tuple(sorted({c.subject for c in clips}))
    write_manifest(Dataset(folder, "set", fps=fps, subjects=subjects, clips=tuple(clips), **facts))
    return open_dataset(folder)


def mesh_set(folder: Path, scale: float = 1.0, card: bool = True) -> Dataset:
    """Vertices of FACE in mm, two subjects, a card with regions, a basis and another dataset's template."""
    rng = np.random.default_rng(1)
    motions = [rng.standard_normal((40, 24)), rng.standard_normal((30, 24))]
    facts = {
        "annotation": "mesh",
        "unit": "mm",
        "names": vertex_names(8),
        "scale": scale,
        "templates": "templates.npz",
    }
    dataset = write_set(folder, motions, **facts)
    np.savez(folder / "templates.npz", s0=FACE, s1=FACE * 1.5)
    if card:
        basis = Basis(np.zeros(24, np.float32), np.eye(3, 24, dtype=np.float32), 1.0)
        save_card(
            VertexAnnotation(
                "mesh",
                25,
                "mm",
                vertex_names(8),
                regions={"lips": np.arange(4)},
                templates={"set/s0": FACE * scale, "set/s1": FACE * 1.5 * scale, "other/x": FACE + 1},
                basis=basis,
                metres=0.001,
            ),
            folder / "annotations",
        )
    return dataset


def smooth(frames: int, width: int, fps: float, highest: float, seed: int = 0) -> np.ndarray:
    """(T, D) sums of sines up to `highest` Hz, within 0 … 1, at rest at both ends."""
    rng, at = np.random.default_rng(seed), np.arange(frames) / fps
    waves = rng.uniform(0.2, highest, (5, width))
    total = sum(np.sin(2 * np.pi * at[:, None] * w + rng.uniform(0, 6, width)) for w in waves) / 5
    return 0.5 + 0.4 * total * signal.windows.hann(frames)[:, None] ** 2


# ---------------------------------------------------------------- resampling


def test_up_and_down_again_is_the_same() -> None:
    values = smooth(250, 6, 25, 8)
    for fps in (30, 50, 60):
        there = resample(values, 25, fps)
        assert len(there) == 10 * fps
        assert np.abs(resample(there, fps, 25) - values).max() < 1e-3
    assert np.abs(resample(values, 25, 50)[::2] - values).max() < 1e-6


def test_towards_fewer_frames_it_is_scipys_polyphase_filter() -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((600, 4))
    taps = signal.firwin(2 * 80 + 1, views_resample.ROLL_OFF / 3, window=("kaiser", views_resample.BETA))
    theirs = signal.resample_poly(values, 1, 3, axis=0, window=taps)
    ours = resample(values, 75, 25)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs)[30:-30].max() < 1e-4
    assert theirs.std() > 0.3


def test_the_filter_passes_what_fits_and_stops_what_does_not() -> None:
    at = np.arange(1500) / 60
    gains = {}
    for hertz in (2, 8, 11.5, 15.2, 20, 28):
        wave = np.sin(2 * np.pi * hertz * at)[:, None]
        gains[hertz] = resample(wave, 60, 30)[60:-60].std() * np.sqrt(2)
    assert abs(gains[2] - 1) < 1e-3 and abs(gains[8] - 1) < 1e-3 and gains[11.5] > 0.95
    assert max(gains[15.2], gains[20], gains[28]) < 2e-3


def test_a_still_face_stays_still_and_places_are_kept() -> None:
    still = np.full((7, 2), 0.3, np.float32)
    assert np.allclose(resample(still, 25, 60), 0.3, atol=1e-7)
    assert np.allclose(resample(still, 60, 25, frames=9), 0.3, atol=1e-7)
    bump = np.exp(-np.square((np.arange(100) / 25 - 2) / 0.2))[:, None]
    found = resample(bump, 25, 60)[:, 0]
    assert np.abs(found - np.exp(-np.square((np.arange(240) / 60 - 2) / 0.2))).max() < 1e-3
    assert resample(np.zeros((0, 3)), 25, 30).shape == (0, 3)
    with pytest.raises(DataError, match="must be above 0"):
        resample(bump, 25, 0)


def test_blocks_of_any_size_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).standard_normal((300, 30))
    whole = [resample(values, 60, 25), resample(values, 25, 60), read_at(values, np.arange(0, 299, 0.37))]
    monkeypatch.setattr(views_resample, "BLOCK_BYTES", 1000)
    parts = [resample(values, 60, 25), resample(values, 25, 60), read_at(values, np.arange(0, 299, 0.37))]
    for one, other in zip(whole, parts, strict=True):
        assert np.abs(one - other).max() < 1e-5


def test_a_view_at_another_frame_rate(tmp_path: Path) -> None:
    values = smooth(100, 52, 60, 6)
    source = write_set(tmp_path / "a", [values, values[:70]], fps=60)
    made = make_view(source, tmp_path / "b", View(fps=30))
    assert (made.dataset.fps, [len(made.dataset.motion(c)) for c in made.dataset.clips]) == (30, [50, 35])
    assert np.abs(made.dataset.motion(made.dataset.clips[0])[5:-5] - values[10:-10:2]).max() < 2e-3
    assert [c.seconds for c in made.dataset.clips] == [c.seconds for c in source.clips]
    assert made.dataset.clips[0].words == ((0.1, 0.5, "a"),)
    assert "at 30 instead of 60 frames a second; filter: Kaiser-windowed sinc" in made.notes[0]
    assert (tmp_path / "b/audio/0.flac").samefile(tmp_path / "a/0.flac")
    square = np.zeros((60, 52))
    square[20:40] = 1
    steps = make_view(write_set(tmp_path / "c", [square]), tmp_path / "d", View(fps=60)).dataset
    motion = steps.motion(steps.clips[0])
    assert motion.min() == 0 and motion.max() == 1
    assert resample(square, 25, 60).max() > 1.05


def test_motion_is_read_in_blocks(tmp_path: Path) -> None:
    import tracemalloc

    names = vertex_names(4000)
    source = write_set(tmp_path / "a", [np.zeros((2000, 12000))], names=names, annotation="mesh", unit="mm")
    save_card(VertexAnnotation("mesh", 25, "mm", names), tmp_path / "a/annotations")
    tracemalloc.start()
    make_view(open_dataset(source.folder), tmp_path / "b", View(fps=30))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "b/motion/0.npy").stat().st_size > 110e6
    assert peak < 50e6


# ---------------------------------------------------------------- mirror


def test_weights_change_sides_by_name(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(0, 1, (20, 52)).astype(np.float32)
    source = write_set(tmp_path / "a", [values], known=("jawOpen", "mouthPressLeft"))
    once = make_view(source, tmp_path / "b", View(mirror=True)).dataset
    names, motion = source.names, once.motion(once.clips[0])
    assert np.array_equal(motion[:, names.index("mouthSmileLeft")], values[:, names.index("mouthSmileRight")])
    assert np.array_equal(motion[:, names.index("jawOpen")], values[:, names.index("jawOpen")])
    assert once.known == ("jawOpen", "mouthPressRight")
    twice = make_view(once, tmp_path / "c", View(mirror=True)).dataset
    assert np.array_equal(twice.motion(twice.clips[0]), values) and twice.known == source.known
    assert twice.extra["notes"] == ["Left and right exchanged by name."] * 2


def test_vertices_change_sides_by_symmetry(tmp_path: Path) -> None:
    source = mesh_set(tmp_path / "a")
    once = make_view(source, tmp_path / "b", View(mirror=True)).dataset
    old, new = (d.motion(d.clips[0]).reshape(-1, 8, 3) for d in (source, once))
    assert np.allclose(new, old[:, PARTNERS] * [-1, 1, 1])
    assert np.allclose(once.template("s1"), 1.5 * FACE[PARTNERS] * [-1, 1, 1])
    twice = make_view(once, tmp_path / "c", View(mirror=True)).dataset
    assert np.array_equal(twice.motion(twice.clips[0]), source.motion(source.clips[0]))
    assert np.array_equal(twice.template("s0"), FACE)
    cards = [load_card(tmp_path / name / "annotations/mesh.json") for name in "abc"]
    assert [card.basis is None for card in cards] == [False, True, True]
    assert np.allclose(cards[2].templates["other/x"], cards[0].templates["other/x"])
    assert "The card's basis, which was fitted before, is left out." in once.extra["notes"]
    partners = tmp_path / "map.txt"
    partners.write_text(", ".join(map(str, PARTNERS)))
    told = make_view(source, tmp_path / "d", View(mirror=True, mirror_map=partners))
    assert np.array_equal(told.dataset.motion(told.dataset.clips[0]), once.motion(once.clips[0]))


def test_the_map_of_the_built_in_head_turns_left_shapes_into_right_ones() -> None:
    rig = builtin_head()
    partner = symmetric_map(rig.vertices, rig.faces)
    assert np.array_equal(partner[partner], np.arange(len(partner)))
    for left, right in (
        ("eyeBlinkLeft", "eyeBlinkRight"),
        ("mouthSmileLeft", "mouthSmileRight"),
        ("jawLeft", "jawRight"),
    ):
        one, other = rig.shape(left), rig.shape(right)
        assert np.abs(one[partner] * [-1, 1, 1] - other).max() < 1e-6 < np.abs(other).max()


def test_vertices_in_one_place_are_told_apart_by_their_triangles() -> None:
    doubled = np.concatenate([FACE, FACE[:2]])
    faces = np.array([[0, 2, 4], [1, 4, 3], [8, 7, 5], [9, 5, 6]])
    partner = symmetric_map(doubled, faces)
    assert partner.tolist() == [*PARTNERS, 9, 8]
    alone = symmetric_map(doubled)
    assert np.array_equal(alone[alone], np.arange(10))


def test_faces_without_symmetry_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\d of 9 vertices have no partner on the other side"):
        symmetric_map(np.concatenate([FACE, [[0.7, 0.7, 0.7]]]))
    path = tmp_path / "map.npy"
    for wrong in ([1, 0, 3, 2, 4, 5, 6], [1, 2, 0, 3, 4, 5, 7, 6], [1, 0, 3, 2, 4, 5, 7, 8]):
        np.save(path, np.array(wrong))
        with pytest.raises(DataError, match="should hold 8 vertex numbers"):
            read_map(path, 8)


# ---------------------------------------------------------------- neutral faces and units


def positions(dataset: Dataset, clip: int = 0) -> np.ndarray:
    row = dataset.clips[clip]
    return dataset.motion(row) + dataset.template(row.subject).reshape(1, -1)


def test_over_another_neutral_the_vertices_stay(tmp_path: Path) -> None:
    source = mesh_set(tmp_path / "a")
    np.save(tmp_path / "new.npy", FACE * 0.9 + 0.2)
    over = make_view(source, tmp_path / "b", View(over=tmp_path / "new.npy")).dataset
    for clip in (0, 1):
        assert np.allclose(positions(over, clip), positions(source, clip), atol=1e-5)
    assert np.allclose(over.template("s1"), FACE * 0.9 + 0.2)
    zero = make_view(source, tmp_path / "c", View(over=Path("zero"))).dataset
    assert np.allclose(zero.motion(zero.clips[1]), positions(source, 1), atol=1e-5)
    np.save(tmp_path / "s0.npy", FACE)
    back = make_view(zero, tmp_path / "d", View(over=tmp_path / "s0.npy")).dataset
    assert np.allclose(back.motion(back.clips[0]), source.motion(source.clips[0]), atol=1e-5)
    assert load_card(tmp_path / "b/annotations/mesh.json").templates["set/s0"] == pytest.approx(
        FACE * 0.9 + 0.2
    )


def test_the_movement_is_given_to_another_face(tmp_path: Path) -> None:
    source = mesh_set(tmp_path / "a")
    np.save(tmp_path / "new.npy", FACE * 2)
    made = make_view(source, tmp_path / "b", View(template=tmp_path / "new.npy")).dataset
    assert np.array_equal(made.motion(made.clips[0]), source.motion(source.clips[0]))
    assert np.array_equal(made.template("s1"), FACE * 2)


def test_the_unit_follows_the_scale(tmp_path: Path) -> None:
    source = mesh_set(tmp_path / "a", scale=0.5)
    made = make_view(source, tmp_path / "b", View(scale=0.001)).dataset
    card = load_card(tmp_path / "b/annotations/mesh.json")
    assert isinstance(card, VertexAnnotation)
    assert (made.unit, card.unit, card.metres, made.scale) == ("m", "m", pytest.approx(1), 0.5)
    assert np.allclose(made.motion(made.clips[0]) * 1000, source.motion(source.clips[0]), atol=1e-4)
    assert np.allclose(card.templates["set/s0"], made.template("s0") * 0.5)
    odd = make_view(source, tmp_path / "c", View(scale=0.2)).dataset
    assert odd.unit == "u"
    assert made.extra["notes"][0] == "Vertices and templates multiplied by 0.001: from mm to m."


# ---------------------------------------------------------------- loudness


def test_loudness_is_that_of_the_standard() -> None:
    """BS.1770: a sine of 997 Hz at full scale in one channel has -3.01 LUFS; EBU R 128 gates what is 10 LU below."""
    for rate in (16000, 48000):
        wave = np.sin(2 * np.pi * 997 * np.arange(8 * rate) / rate)
        assert loudness(wave, rate) == pytest.approx(-3.01, abs=0.06)
        assert loudness(0.1 * wave, rate) == pytest.approx(-23.01, abs=0.06)
        half = np.concatenate([0.1 * wave, 1e-3 * wave])
        assert loudness(half, rate) == pytest.approx(-23.01, abs=0.15)
    assert loudness(np.zeros(16000), 16000) is None and loudness(np.ones(1000), 16000) is None


def test_clips_are_brought_to_one_loudness(tmp_path: Path) -> None:
    source = write_set(tmp_path / "a", [np.zeros((100, 52))] * 3)
    made = make_view(source, tmp_path / "b", View(loudness=-20)).dataset
    before, after = ([loudness(*d.sound(c)) for c in d.clips] for d in (source, made))
    assert max(before) - min(before) > 15
    assert after == pytest.approx([-20] * 3, abs=0.1)
    samples = source.sound(source.clips[0])[0]
    samples[100] = 0.5
    soundfile.write(tmp_path / "a/0.flac", samples, 16000)
    made = make_view(source, tmp_path / "c", View(loudness=-20))
    peaked = made.dataset.sound(made.dataset.clips[0])[0]
    assert np.abs(peaked).max() == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    assert made.notes[1:] == (f"0: {loudness(peaked, 16000):.1f} LUFS, since its peak allows no more.",)
    soundfile.write(tmp_path / "a/1.flac", np.zeros(64000), 16000)
    told = make_view(source, tmp_path / "d", View(loudness=-20)).notes
    assert told[2:] == ("1: silent or too short to measure, so left as loud as it is.",)


# ---------------------------------------------------------------- the whole


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = smooth(100, 52, 50, 5)
    write_set(tmp_path / "a", [values], fps=50)
    flags = ["--mirror", "--fps", "25", "--loudness", "-23"]
    assert main(["data", "view", str(tmp_path / "a"), "-o", str(tmp_path / "b"), *flags]) == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path / 'b'}\n"
    notes = json.loads((tmp_path / "b/dataset.json").read_text())["notes"]
    assert told.err.splitlines() == notes and len(notes) == 3
    dataset = open_dataset(tmp_path / "b")
    assert (dataset.fps, len(dataset.motion(dataset.clips[0]))) == (25, 50)
    assert main(["data", "view", str(tmp_path / "a"), "-o", str(tmp_path / "b"), *flags]) == 2
    assert "is a dataset already" in capsys.readouterr().err


def test_a_sharded_dataset_can_be_viewed(tmp_path: Path) -> None:
    source = write_set(tmp_path / "a", [smooth(50, 52, 25, 5)] * 3)
    write_shards(source, tmp_path / "shards", 2)
    plain, sharded = (
        make_view(open_dataset(tmp_path / name), tmp_path / f"{name}-view", View(mirror=True)).dataset
        for name in ("a", "shards")
    )
    found = {clip.id: clip for clip in sharded.clips}
    assert len(found) == 3
    for one in plain.clips:
        other = found[one.id]
        assert np.array_equal(plain.motion(one), sharded.motion(other))
        assert np.array_equal(plain.sound(one)[0], sharded.sound(other)[0])


@pytest.mark.parametrize(
    ("kind", "view", "says"),
    [
        ("weights", View(), "A view changes something"),
        ("weights", View(fps=0), "between 1 and 1000, not 0"),
        ("weights", View(loudness=3), "between -60 and -5 LUFS, not 3"),
        ("weights", View(scale=2), "holds 'arkit52', no vertices"),
        ("flame", View(mirror=True), "holds 'flame413', whose mirror image is not known"),
        ("codes", View(mirror=True), "stores codes of a basis"),
        ("mesh", View(mirror_map=Path("x")), "give both"),
        ("mesh", View(scale=-1), "must be above 0, not -1"),
        ("mesh", View(over=Path("no.npy")), "There is no neutral face no.npy"),
        ("mesh", View(over=Path("zero"), template=Path("zero")), "not both"),
        ("head", View(scale=2), "follows the built-in 'head', whose unit is fixed"),
    ],
)
def test_refusals(tmp_path: Path, kind: str, view: View, says: str) -> None:
    sets = {
        "weights": {},
        "flame": {"annotation": "flame413", "unit": "flame"},
        "codes": {"stored": "codes"},
        "head": {"annotation": "head", "unit": "u"},
    }
    source = (
        mesh_set(tmp_path / "a")
        if kind == "mesh"
        else write_set(tmp_path / "a", [np.zeros((30, 52))], **sets[kind])
    )
    with pytest.raises(DataError, match=says):
        make_view(source, tmp_path / "b", view)
    assert not (tmp_path / "b").exists()


def test_weights_without_a_partner_are_refused(tmp_path: Path) -> None:
    source = write_set(
        tmp_path / "a", [np.zeros((30, 2))], names=("jawOpen", "mouthSmileLeft"), annotation="own"
    )
    with pytest.raises(AnnotationError, match="has no partner 'mouthSmileRight'"):
        make_view(source, tmp_path / "b", View(mirror=True))
