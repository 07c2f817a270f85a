"""The built-in head: what the file holds, and whether its shapes do what their names say."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from unitalker.rig import Rig, builtin_head
from unitalker.rig.head.build import build_head
from unitalker.rig.store import HEAD_FILE, write_rig

# Apple's ARFaceAnchor.BlendShapeLocation, written out here by hand so that it does not come from the code under test
_TEXT = """
    eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft
    eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight
    eyeWideRight jawForward jawLeft jawRight jawOpen mouthClose mouthFunnel mouthPucker mouthLeft
    mouthRight mouthSmileLeft mouthSmileRight mouthFrownLeft mouthFrownRight mouthDimpleLeft
    mouthDimpleRight mouthStretchLeft mouthStretchRight mouthRollLower mouthRollUpper mouthShrugLower
    mouthShrugUpper mouthPressLeft mouthPressRight mouthLowerDownLeft mouthLowerDownRight
    mouthUpperUpLeft mouthUpperUpRight browDownLeft browDownRight browInnerUp browOuterUpLeft
    browOuterUpRight cheekPuff cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight tongueOut
"""
APPLE = set(_TEXT.split())
SEALED = (  # mixtures over which the lips stay together and hide the teeth
    {},
    {"mouthSmileLeft": 1, "mouthSmileRight": 1},
    {"mouthPucker": 1},
    {"mouthPressLeft": 1, "mouthPressRight": 1},
    {"mouthFrownLeft": 1, "mouthFrownRight": 1},
    {"mouthDimpleLeft": 1, "mouthDimpleRight": 1},
    {"cheekPuff": 1},
    {"mouthLeft": 1},
    {"jawLeft": 1},
    {"jawForward": 1},
    {"jawOpen": 1, "mouthClose": 1},
    {"jawOpen": 0.4, "mouthClose": 0.4},
)


@pytest.fixture(scope="module")
def head() -> Rig:
    return builtin_head()


@cache
def fresh() -> Rig:
    return build_head()


def posed(head: Rig, mixture: dict[str, float]) -> np.ndarray:
    """Vertices in mm."""
    weights = np.zeros(len(head.shape_names), np.float32)
    for name, value in mixture.items():
        weights[head.shape_names.index(name)] = value
    return head.pose(weights).astype(float) * 1000


def gap(head: Rig, mixture: dict[str, float]) -> float:
    """Height in mm of the opening between the lips at the middle (negative: pressed together)."""
    at = posed(head, mixture)
    return at[head.landmarks["upper_lip_inner"], 1] - at[head.landmarks["lower_lip_inner"], 1]


def material_faces(head: Rig, *names: str) -> np.ndarray:
    return np.concatenate([head.faces[m.start : m.stop] for m in head.materials if m.name in names])


def mirror_map(points: np.ndarray) -> np.ndarray:
    """For each point how near its mirror image another point lies (brute force over blocks)."""
    flipped = points * np.array([-1, 1, 1])
    out = np.empty(len(points))
    for i in range(0, len(points), 500):
        block = np.linalg.norm(flipped[i : i + 500, None] - points[None], axis=2)
        out[i : i + 500] = block.min(axis=1)
    return out


def test_shipped_file_equals_a_fresh_build(head: Rig) -> None:
    new = fresh()
    assert np.array_equal(head.faces, new.faces)
    np.testing.assert_allclose(head.vertices, new.vertices, atol=1e-6)
    np.testing.assert_allclose(head.shapes, new.shapes, atol=2e-5)
    assert head.identity_shapes is not None and new.identity_shapes is not None
    np.testing.assert_allclose(head.identity_shapes, new.identity_shapes, atol=2e-5)
    assert head.landmarks == new.landmarks and head.materials == new.materials
    assert {k: v.tolist() for k, v in head.regions.items()} == {k: v.tolist() for k, v in new.regions.items()}


def test_the_module_regenerates_the_file(tmp_path: Path) -> None:
    out = tmp_path / "head.npz"
    command = [sys.executable, "-m", "unitalker.rig.head", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "vertices" in done.stdout
    with np.load(out, allow_pickle=False) as new, np.load(HEAD_FILE, allow_pickle=False) as old:
        assert sorted(new.files) == sorted(old.files)
        assert np.array_equal(new["faces"], old["faces"])


def test_writing_twice_gives_the_same_bytes(head: Rig, tmp_path: Path) -> None:
    write_rig(head, tmp_path / "a.npz")
    write_rig(head, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_size_and_loading_stay_small(head: Rig) -> None:
    assert 5000 <= len(head.vertices) <= 12000
    assert HEAD_FILE.stat().st_size < 3_000_000


def test_exactly_the_52_names_of_apple(head: Rig) -> None:
    assert len(head.shape_names) == 52 and set(head.shape_names) == APPLE


def test_every_shape_moves_and_none_too_far(head: Rig) -> None:
    size = np.linalg.norm(head.shapes, axis=2).max(axis=1) * 1000
    assert size.min() > 1.5 and size.max() < 50


def test_dimensions_are_those_of_a_head(head: Rig) -> None:
    span = np.ptp(head.vertices, axis=0) * 1000
    assert 140 < span[0] < 185 and 230 < span[1] < 300 and 180 < span[2] < 240
    eyes = head.vertices[head.regions["eyes"]]
    left = eyes[eyes[:, 0] > 0].mean(axis=0) * 1000
    assert 28 < left[0] < 34 and abs(left[1]) < 3


def test_materials_cover_every_triangle_in_order(head: Rig) -> None:
    stops = [0] + [m.stop for m in head.materials]
    assert [m.start for m in head.materials] == stops[:-1] and stops[-1] == len(head.faces)
    assert {"skin", "teeth", "tongue", "iris", "sclera", "hair"} <= {m.name for m in head.materials}
    assert head.colours is not None and head.colours.shape == head.vertices.shape
    assert head.colours.min() >= 0 and head.colours.max() <= 2


def test_regions_and_landmarks_are_where_they_should_be(head: Rig) -> None:
    for name in ("skin", "lips", "mouth", "upper_face", "eyes", "teeth", "tongue", "face"):
        index = head.regions[name]
        assert len(index) > 50 and len(np.unique(index)) == len(index)
    at = {k: head.vertices[i] * 1000 for k, i in head.landmarks.items()}
    assert at["mouth_corner_left"][0] > 15 > -15 > at["mouth_corner_right"][0]
    assert at["nose_tip"][2] == pytest.approx(max(v[2] for v in at.values()), abs=0.5)
    order = [at[k][1] for k in ("eye_upper_left", "nose_tip", "upper_lip_outer", "upper_lip_inner")]
    order += [at[k][1] for k in ("lower_lip_outer", "chin")]
    assert order == sorted(order, reverse=True)
    assert at["eye_inner_left"][0] < at["eye_outer_left"][0]
    assert sum(k.startswith("face68_") for k in head.landmarks) == 68


def test_the_68_points_follow_the_usual_order(head: Rig) -> None:
    p = np.array([head.vertices[head.landmarks[f"face68_{i:02d}"]] for i in range(68)]) * 1000
    assert np.all(np.diff(p[:17, 0]) > 0)  # the jaw runs from the character's right to the left
    assert p[8, 1] == p[:17, 1].min()
    assert np.all(np.diff(p[17:27, 0]) > 0) and np.all(np.diff(p[27:31, 1]) < 0)
    assert p[36, 0] < p[39, 0] < p[42, 0] < p[45, 0] and p[48, 0] < p[51, 0] < p[54, 0]
    assert p[51, 1] > p[62, 1] >= p[66, 1] > p[57, 1]


def test_the_skin_is_a_manifold_wound_one_way(head: Rig) -> None:
    faces = material_faces(head, "skin", "mouth")
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert max(Counter(map(tuple, edges.tolist())).values()) == 1
    assert max(Counter(map(tuple, np.sort(edges, axis=1).tolist())).values()) == 2
    assert len(np.unique(head.faces)) == len(head.vertices)


def test_no_degenerate_triangle(head: Rig) -> None:
    a, b, c = (head.vertices[head.faces[:, k]].astype(float) * 1000 for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    assert area.min() > 5e-3  # mm²


def test_faces_look_outwards(head: Rig) -> None:
    for names, centre in ((("skin",), [0, -10, -70]), (("hair",), [0, 20, -85])):
        faces = material_faces(head, *names)
        a, b, c = (head.vertices[faces[:, k]].astype(float) * 1000 for k in range(3))
        normal, middle = np.cross(b - a, c - a), (a + b + c) / 3
        area = np.linalg.norm(normal, axis=1)
        outward = np.einsum("ij,ij->i", normal, middle - np.array(centre)) > 0
        assert area[outward].sum() / area.sum() > 0.9
    for sign in (1, -1):
        faces = material_faces(head, "sclera", "iris", "pupil")
        faces = faces[head.vertices[faces[:, 0], 0] * sign > 0]
        a, b, c = (head.vertices[faces[:, k]].astype(float) * 1000 for k in range(3))
        middle = (a + b + c) / 3
        off = middle - np.array([sign * 31.0, -0.5, -0.8])
        assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), off) > 0).all()


def test_the_head_mirrors_itself(head: Rig) -> None:
    assert mirror_map(head.vertices.astype(float) * 1000).max() < 1e-3


@pytest.mark.parametrize("name", sorted(n for n in APPLE if n.endswith("Left")))
def test_left_and_right_are_mirror_images(head: Rig, name: str) -> None:
    left, right = head.shape(name), head.shape(name[:-4] + "Right")
    # the moved heads, as point sets of the vertices that move, are each other's mirror image
    moving = np.nonzero(np.abs(left).max(axis=1) > 0)[0]
    other = np.nonzero(np.abs(right).max(axis=1) > 0)[0]
    assert len(moving) == len(other)
    a = np.concatenate([head.vertices[moving], left[moving]], axis=1).astype(float) * 1000
    b = np.concatenate([head.vertices[other], right[other]], axis=1).astype(float) * 1000
    a[:, [0, 3]] *= -1
    worst = max(np.abs(b - row).max(axis=1).min() for row in a[:: max(1, len(a) // 200)])
    assert worst < 0.05


@pytest.mark.parametrize("name", sorted(n for n in APPLE if n.endswith("Left")))
def test_sided_shapes_stay_on_their_side(head: Rig, name: str) -> None:
    if name in ("jawLeft", "mouthLeft"):  # movements of the whole, not of one side
        assert head.shape(name)[head.regions["lips"], 0].mean() > 1e-3
        return
    far = head.vertices[:, 0] < -0.014
    assert not np.abs(head.shape(name)[far]).any()


@pytest.mark.parametrize("name", sorted(APPLE))
def test_shapes_stay_in_their_part_of_the_face(head: Rig, name: str) -> None:
    move = np.abs(head.shape(name)).max(axis=1) > 1e-4
    y, z = head.vertices[:, 1] * 1000, head.vertices[:, 2] * 1000
    assert not move[z < -110].any()  # the back of the head never moves
    if name.startswith(("eye", "brow")):
        assert not move[y < -45].any()
    if name.startswith(("mouth", "jaw", "tongue", "cheekPuff")):
        assert not move[(y > 5) & (z > -60)].any()


def test_lips_are_closed_at_rest_along_their_whole_length(head: Rig) -> None:
    lips = head.vertices[head.regions["lips"]].astype(float) * 1000
    first = np.unique(np.round(lips, 4), axis=0, return_counts=True)[1]
    assert (first == 2).sum() >= 20  # pairs of upper and lower contact vertices in one place
    assert gap(head, {}) == 0


def test_jaw_open_opens(head: Rig) -> None:
    assert 25 < gap(head, {"jawOpen": 1}) < 45
    assert gap(head, {"jawOpen": 0.5}) == pytest.approx(gap(head, {"jawOpen": 1}) / 2, abs=0.1)
    move = head.shape("jawOpen") * 1000
    assert move[head.landmarks["chin"], 1] < -25 and abs(move[head.landmarks["upper_lip_inner"], 1]) < 1
    teeth = head.regions["teeth"]
    assert (np.abs(move[teeth]).max(axis=1) > 5).sum() == len(teeth) // 2  # one arch of the two goes along


def test_jaw_turns_about_a_hinge_near_the_ears(head: Rig) -> None:
    # a turn keeps distances: lower teeth stay congruent up to the chord of a linear shape
    teeth = head.regions["teeth"]
    moving = teeth[np.abs(head.shape("jawOpen")[teeth]).max(axis=1) > 5e-3]
    rest, opened = head.vertices[moving] * 1000, posed(head, {"jawOpen": 1})[moving]
    a, b = rest[::7].astype(float), opened[::7]
    before = np.linalg.norm(a[:, None] - a[None], axis=2)
    after = np.linalg.norm(b[:, None] - b[None], axis=2)
    assert np.abs(before - after).max() < 0.1


@pytest.mark.parametrize("mixture", SEALED, ids=lambda m: "+".join(m) or "rest")
def test_sealed_lips_stay_sealed(head: Rig, mixture: dict[str, float]) -> None:
    assert gap(head, mixture) < 0.1


@pytest.mark.parametrize("amount", [0.25, 0.5, 1.0])
def test_mouth_close_shuts_an_open_jaw(head: Rig, amount: float) -> None:
    assert abs(gap(head, {"jawOpen": amount, "mouthClose": amount})) < 0.1
    at = posed(head, {"jawOpen": amount, "mouthClose": amount})
    assert at[head.landmarks["chin"], 1] < head.vertices[head.landmarks["chin"], 1] * 1000 - 20 * amount


@pytest.mark.parametrize(
    ("name", "landmark", "axis", "sign"),
    [
        ("mouthSmileLeft", "mouth_corner_left", 1, 1),
        ("mouthFrownLeft", "mouth_corner_left", 1, -1),
        ("mouthStretchLeft", "mouth_corner_left", 0, 1),
        ("mouthDimpleLeft", "mouth_corner_left", 2, -1),
        ("mouthPucker", "mouth_corner_left", 0, -1),
        ("mouthPucker", "upper_lip_inner", 2, 1),
        ("mouthFunnel", "lower_lip_inner", 2, 1),
        ("mouthUpperUpLeft", "upper_lip_inner", 1, 1),
        ("mouthLowerDownLeft", "lower_lip_inner", 1, -1),
        ("mouthRollUpper", "upper_lip_outer", 1, -1),
        ("mouthRollLower", "lower_lip_outer", 1, 1),
        ("mouthShrugLower", "lower_lip_outer", 1, 1),
        ("mouthShrugUpper", "upper_lip_outer", 1, 1),
        ("jawForward", "chin", 2, 1),
        ("jawLeft", "chin", 0, 1),
        ("jawRight", "chin", 0, -1),
        ("eyeBlinkLeft", "eye_upper_left", 1, -1),
        ("eyeWideLeft", "eye_upper_left", 1, 1),
        ("eyeSquintLeft", "eye_lower_left", 1, 1),
    ],
)
def test_shapes_move_the_way_their_name_says(
    head: Rig, name: str, landmark: str, axis: int, sign: int
) -> None:
    assert head.shape(name)[head.landmarks[landmark], axis] * sign > 8e-4


def test_gaze_turns_the_eyeballs(head: Rig) -> None:
    pupil = np.unique(material_faces(head, "pupil"))
    left = pupil[head.vertices[pupil, 0] > 0]
    for name, axis, sign in (("Up", 1, 1), ("Down", 1, -1), ("In", 0, -1), ("Out", 0, 1)):
        assert head.shape(f"eyeLook{name}Left")[left, axis].mean() * sign > 4e-3
        assert not head.shape(f"eyeLook{name}Right")[left].any()


@pytest.mark.parametrize("amount", [0.0, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("name", ["eyeBlinkLeft", "eyeSquintLeft", "eyeWideLeft", "eyeLookDownLeft"])
def test_lids_never_enter_the_eyeball(head: Rig, name: str, amount: float) -> None:
    at = posed(head, {name: amount})
    eye = np.zeros(len(at), bool)
    eye[head.regions["eyes"]] = True
    lid = ~eye & (np.abs(head.shape("eyeBlinkLeft")).max(axis=1) > 0)
    centre = np.array([31.0, -0.5, -0.8])
    off = at[lid] - centre
    ball = posed(head, {name: amount})[eye & (at[:, 0] > 0)]
    # the ball under each lid vertex: the eye's vertex in the nearest direction
    directions = (ball - centre) / np.linalg.norm(ball - centre, axis=1)[:, None]
    nearest = (off / np.linalg.norm(off, axis=1)[:, None] @ directions.T).argmax(axis=1)
    assert (np.linalg.norm(off, axis=1) - np.linalg.norm(ball - centre, axis=1)[nearest]).min() > 0


def test_blink_covers_the_eye(head: Rig) -> None:
    at = posed(head, {"eyeBlinkLeft": 1})
    apart = at[head.landmarks["eye_upper_left"]] - at[head.landmarks["eye_lower_left"]]
    assert np.abs(apart).max() < 0.05
    rest = posed(head, {})
    wide = rest[head.landmarks["eye_upper_left"]] - rest[head.landmarks["eye_lower_left"]]
    assert wide[1] > 7


def _crossings(origins: np.ndarray, mesh: np.ndarray, along: np.ndarray) -> np.ndarray:
    """How many triangles (F, 3, 3) each ray from `origins` along one direction meets (Möller and Trumbore)."""
    a, e1, e2 = mesh[:, 0], mesh[:, 1] - mesh[:, 0], mesh[:, 2] - mesh[:, 0]
    p = np.cross(along, e2)
    det = np.einsum("ij,ij->i", e1, p)
    det = np.where(np.abs(det) < 1e-12, 1e-12, det)
    out = np.zeros(len(origins), int)
    for i, origin in enumerate(origins):
        t = origin - a
        u = np.einsum("ij,ij->i", t, p) / det
        q = np.cross(t, e1)
        v = q @ along / det
        w = np.einsum("ij,ij->i", e2, q) / det
        out[i] = ((u > 0) & (v > 0) & (u + v < 1) & (w > 1e-6)).sum()
    return out


@pytest.mark.parametrize("mixture", SEALED, ids=lambda m: "+".join(m) or "rest")
def test_teeth_stay_behind_the_skin(head: Rig, mixture: dict[str, float]) -> None:
    at = posed(head, mixture)
    skin = material_faces(head, "skin")
    skin = skin[(head.vertices[skin].mean(axis=1) * 1000 > [-60, -115, -30]).all(axis=1)]
    teeth = head.regions["teeth"]
    front = teeth[head.vertices[teeth, 2] > 0.016][::3]
    for along in (np.array([0.013, 0.007, 1.0]), np.array([0.5, 0.1, 0.85])):
        assert (_crossings(at[front], at[skin], along) > 0).all()


def test_identities_keep_lips_shut_and_eyes_whole(head: Rig) -> None:
    assert head.identity_shapes is not None and 10 <= len(head.identity_names) <= 20
    pair = [head.landmarks["upper_lip_inner"], head.landmarks["lower_lip_inner"]]
    for form in head.identity_shapes:
        moved = head.vertices[pair] + form[pair]
        assert np.abs(moved[0] - moved[1]).max() < 1e-5
        eyes = head.regions["eyes"]
        left = eyes[head.vertices[eyes, 0] > 0]
        assert np.ptp(form[left], axis=0).max() < 1e-6
        assert 5e-4 < np.abs(form).max() < 2e-2


def test_shapes_are_linear_in_their_weights(head: Rig) -> None:
    rng = np.random.default_rng(0)
    w = rng.random((3, 52)).astype(np.float32)
    together = head.pose(w.sum(axis=0))
    apart = head.vertices + sum(head.pose(row) - head.vertices for row in w)
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_importing_the_rig_stays_light() -> None:
    code = "import sys, unitalker.rig; unitalker.rig.builtin_head(); print('scipy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
