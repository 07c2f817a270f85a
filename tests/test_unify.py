"""One topology for all: registration against known places, correspondences as files, weights through the head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from test_views import smooth, write_set
from unitalker.annotations import builtin
from unitalker.annotations.cards import load_card, save_card
from unitalker.annotations.layouts import layout
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.cli import main
from unitalker.data import unify_register
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.unify import unify
from unitalker.data.unify_register import Surface, read_correspondence, register
from unitalker.errors import DataError
from unitalker.rig import builtin_head

RIGS = Path(__file__).parents[2] / "shared/assets"


def dome(count: int, seed: int) -> Surface:
    """A bumpy half of an egg, 0.2 m high, of about `count` vertices in a sunflower's order, in no special order."""
    from scipy.spatial import Delaunay

    number = np.arange(count) + 0.5
    radius, turn = np.sqrt(number / count), np.pi * (1 + 5**0.5) * number
    flat = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)
    flat = flat[np.random.default_rng(seed).permutation(count)]
    triangles = Delaunay(flat).simplices
    a, b, c = (flat[triangles[:, k]] for k in range(3))
    clockwise = np.cross(np.pad(b - a, ((0, 0), (0, 1))), np.pad(c - a, ((0, 0), (0, 1))))[:, 2] < 0
    triangles[clockwise] = triangles[clockwise][:, ::-1]
    return Surface(raised(flat), triangles, np.zeros(0, int))


def raised(flat: np.ndarray) -> np.ndarray:
    """Places (N, 2) in the unit disc as points of the bumpy egg; the nose is not in the middle."""
    x, y = flat.T
    nose = 0.03 * np.exp(-((x - 0.1) ** 2 + (y + 0.1) ** 2) / 0.03) - 0.015 * np.exp(
        -((x + 0.4) ** 2 + (y - 0.4) ** 2) / 0.02
    )
    depth = 0.08 * np.sqrt(np.maximum(1.05 - x**2 - y**2, 0)) + nose
    return np.stack([0.07 * x, 0.1 * y, depth], axis=1)


def wave(points: np.ndarray) -> np.ndarray:
    """A smooth movement (3,) at each point."""
    return 0.01 * np.sin(points * 40 + np.array([0, 1, 2]))


def test_registration_finds_the_same_face_meshed_otherwise() -> None:
    source, target = dome(900, 1), dome(700, 2)
    found = register(source, target)
    assert np.median(found.away) < 1e-4
    places = (source.vertices[found.corners] * found.weights[:, :, None]).sum(1)
    assert np.median(np.linalg.norm(places - target.vertices, axis=1)) < 2e-3
    carried = found.carry(wave(source.vertices)[None])[0]
    assert np.abs(carried - wave(target.vertices)).mean() < 0.05 * np.abs(wave(target.vertices)).max()


def test_registration_undoes_a_turn_and_another_size() -> None:
    source, target = dome(900, 1), dome(700, 2)
    turn = Rotation.from_euler("yx", [0.15, -0.1]).as_matrix()
    moved = Surface(source.vertices @ turn.T * 1.2 + [0.01, -0.02, 0.3], source.faces, source.lips)
    found = register(moved, target)
    assert np.abs(found.turn - turn.T / 1.2).max() < 0.06
    carried = found.carry((wave(source.vertices) @ turn.T * 1.2)[None])[0]
    assert np.abs(carried - wave(target.vertices)).mean() < 0.1 * np.abs(wave(target.vertices)).max()


def test_what_has_no_counterpart_stays() -> None:
    source, target = dome(900, 1), dome(700, 2)
    behind = np.concatenate([target.vertices, target.vertices * [1, 1, 0] - [0, 0, 0.1]])
    both = np.concatenate([target.faces, target.faces[:, ::-1] + len(target.vertices)])
    found = register(source, Surface(behind, both, target.lips))
    carried = found.carry(wave(source.vertices)[None])[0]
    assert np.abs(carried[: len(target.vertices)]).mean() > 0.003
    assert not carried[len(target.vertices) :].any()


def card_set(folder: Path, surface: Surface, metres: float, scale: float = 1.0) -> Dataset:
    """A dataset of the surface that moves by `wave`, more and more, with its card."""
    count = len(surface.vertices)
    rows = np.linspace(0, 1, 30)[:, None] * (wave(surface.vertices) / metres / scale).reshape(1, -1)
    facts = {"annotation": "mesh", "unit": "mm", "names": vertex_names(count), "scale": scale}
    write_set(folder, [rows, rows[:20]], **facts)
    neutral = surface.vertices / metres
    card = VertexAnnotation(
        "mesh", 25, "mm", vertex_names(count), templates={"x/y": neutral}, faces=surface.faces
    )
    save_card(replace(card, metres=metres), folder / "annotations")
    return open_dataset(folder)


def test_a_dataset_on_another_topology(tmp_path: Path) -> None:
    source, target = card_set(tmp_path / "a", dome(900, 1), 0.001, scale=0.5), dome(700, 2)
    goal = VertexAnnotation(
        "goal", 30, "m", vertex_names(700), templates={"one/x": target.vertices}, faces=target.faces
    )
    save_card(goal, tmp_path / "cards")
    made = unify(source, tmp_path / "b", str(tmp_path / "cards/goal.json"))
    dataset = open_dataset(tmp_path / "b")
    assert (dataset.annotation, dataset.unit, dataset.fps, dataset.scale) == ("goal", "m", 25, 1)
    motion = dataset.motion(dataset.clips[0])
    assert motion.shape == (30, 2100)
    last = motion[-1].reshape(-1, 3)
    assert np.abs(last - wave(target.vertices)).mean() < 0.05 * np.abs(wave(target.vertices)).max()
    assert np.allclose(motion[15], motion[-1] * 15 / 29, atol=1e-6)
    assert np.allclose(dataset.template("s0"), target.vertices, atol=1e-6)
    assert load_card(tmp_path / "b/annotations/goal.json").templates["set/s1"].shape == (700, 3)
    assert (
        "by non-rigid registration of the neutral faces: half of its vertices lie within 0." in made.notes[0]
    )
    again = unify(
        source, tmp_path / "c", str(tmp_path / "cards/goal.json"), tmp_path / "b/correspondence.npz"
    ).dataset
    assert np.array_equal(again.motion(again.clips[1]), dataset.motion(dataset.clips[1]))
    assert np.array_equal(again.sound(again.clips[0])[0], source.sound(source.clips[0])[0])


def test_weights_drive_the_head_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = smooth(50, 52, 25, 5).astype(np.float32)
    write_set(tmp_path / "a", [values])
    assert main(["data", "unify", str(tmp_path / "a"), "-o", str(tmp_path / "b")]) == 0
    dataset, rig = open_dataset(tmp_path / "b"), builtin_head()
    assert (dataset.annotation, dataset.unit) == ("face", "m") and "Weights drive" in capsys.readouterr().err
    posed = rig.pose(rig.weights(values[[25]], layout("arkit52").names))[0][builtin.face_rows(rig)]
    found = dataset.motion(dataset.clips[0])[25].reshape(-1, 3) + dataset.template("s0")
    assert np.abs(found - posed).max() < 1e-6
    assert main(["data", "unify", str(tmp_path / "a"), "-o", str(tmp_path / "b")]) == 2


def test_a_correspondence_by_index(tmp_path: Path) -> None:
    np.savez(tmp_path / "map.npz", index=np.array([2, 0, 1, 2]))
    found = read_correspondence(tmp_path / "map.npz", 3, 4)
    moved = np.arange(18.0).reshape(2, 3, 3)
    assert np.array_equal(found.carry(moved), moved[:, [2, 0, 1, 2]])
    for size in ((2, 4), (3, 5)):
        with pytest.raises(DataError, match=r"should hold corners and weights of shape \(\d, 3\)"):
            read_correspondence(tmp_path / "map.npz", *size)
    (tmp_path / "no.npz").write_text("no")
    with pytest.raises(DataError, match="is no npz file of a correspondence"):
        read_correspondence(tmp_path / "no.npz", 3, 4)


@pytest.mark.parametrize(
    ("facts", "to", "says"),
    [
        ({"stored": "codes"}, "face", "stores codes of a basis"),
        ({}, "nose", "--to takes head, face, or an annotation card"),
        ({"annotation": "mesh", "unit": "mm"}, "face", "neither weights nor vertices whose card"),
    ],
)
def test_refusals(tmp_path: Path, facts: dict, to: str, says: str) -> None:
    source = write_set(tmp_path / "a", [np.zeros((30, 52))], **facts)
    with pytest.raises(DataError, match=says):
        unify(source, tmp_path / "b", to)
    assert not (tmp_path / "b").exists()


def test_other_peoples_rigs_reach_the_built_in_face(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes of another rig, carried over, point the way of the built-in head's shapes of the same name."""
    path = RIGS / "ict_facekit/ict_narrowface_arkit.npz"
    if not path.is_file():
        pytest.skip("the rig is not here")
    with np.load(path) as data:
        source = Surface(data["neutral"] * 0.01, data["triangles"], data["idx_lips"])
        shapes = dict(zip(data["arkit_names"].tolist(), data["arkit_deltas"] * 0.01, strict=True))
    monkeypatch.setattr(unify_register, "ROUNDS", 1)
    monkeypatch.setattr(unify_register, "STEPS", 1)
    rig, top = builtin_head(), builtin.mesh_topology("face", builtin_head())
    found = register(source, Surface(top.templates["builtin"].astype(float), top.faces, top.regions["lips"]))
    assert np.percentile(found.away, 95) < 1e-3
    alike = {}
    for name in ("jawOpen", "mouthSmileLeft", "mouthPucker", "eyeBlinkLeft"):
        ours, theirs = rig.shape(name)[builtin.face_rows(rig)], found.carry(shapes[name][None])[0]
        alike[name] = (ours * theirs).sum() / np.sqrt(np.square(ours).sum() * np.square(theirs).sum())
    assert min(alike.values()) > 0.8, alike
