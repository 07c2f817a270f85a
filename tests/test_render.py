"""The renderer, compared with closed forms: a sphere's outline, nearness, lights from known sides, culling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unitalker.errors import ExportError
from unitalker.export.raster import Corners, nearest, nearest_inside
from unitalker.export.render import Renderer, contact_sheet
from unitalker.export.render_camera import VIEWS, frame_head
from unitalker.export.render_edges import edge_pixels, touching
from unitalker.rig.rig import Material, Rig


def ball(rows: int = 40, radius: float = 0.1, centre: tuple[float, float, float] = (0, 0, 0)) -> tuple:
    """Vertices and outward triangles of a sphere."""
    down = np.linspace(0, np.pi, rows + 1)
    around = np.linspace(0, 2 * np.pi, 2 * rows, endpoint=False)
    a, b = np.meshgrid(down, around, indexing="ij")
    points = np.stack([np.sin(a) * np.sin(b), np.cos(a), np.sin(a) * np.cos(b)], -1).reshape(-1, 3)
    index = np.arange(len(points)).reshape(rows + 1, 2 * rows)
    here, right = index, np.roll(index, -1, axis=1)
    one = np.stack([here[:-1], here[1:], right[1:]], -1).reshape(-1, 3)
    two = np.stack([here[:-1], right[1:], right[:-1]], -1).reshape(-1, 3)
    faces = np.concatenate([one, two])
    return (points * radius + centre).astype(np.float32), faces.astype(np.int32)


def rig_of(vertices: np.ndarray, faces: np.ndarray, **more) -> Rig:
    none = np.zeros((0, len(vertices), 3), np.float32)
    return Rig("test", vertices, faces, (), none, **more)


def head() -> Rig:
    """A red skin ball with a white ball inside that comes to the front with the one shape it has."""
    skin, skin_faces = ball()
    eye, eye_faces = ball(12, 0.03)
    out = np.zeros((1, len(skin) + len(eye), 3), np.float32)
    out[0, len(skin) :, 2] = 0.12
    materials = (
        Material("skin", (0.7, 0.2, 0.15), 0, len(skin_faces)),
        Material("eye", (0.8, 0.8, 0.8), len(skin_faces), len(skin_faces) + len(eye_faces), 0.1),
    )
    faces = np.concatenate([skin_faces, eye_faces + len(skin)]).astype(np.int32)
    return Rig("head", np.concatenate([skin, eye]), faces, ("out",), out, materials=materials)


def covered(picture: np.ndarray, renderer: Renderer) -> np.ndarray:
    return (picture != renderer._background).any(axis=-1)


def random_corners(count: int, size: int, seed: int) -> Corners:
    rng = np.random.default_rng(seed)
    middle = rng.uniform(-5, size + 5, (2, 1, count))
    xy = (middle + rng.normal(0, size / 8, (2, 3, count))).astype(np.float32)
    corners = Corners(xy[0], xy[1], rng.uniform(1, 2, (3, count)).astype(np.float32))
    return corners.take(np.flatnonzero(corners.area() > 1e-3))


def brute_force(corners: Corners, points: np.ndarray) -> np.ndarray:
    """The nearest triangle at points (N, 2) by the signs of three edge functions, one triangle at a time."""
    best, owner = np.full(len(points), -np.inf), np.full(len(points), -1)
    for number in range(corners.x.shape[1]):
        x, y = corners.x[:, number].astype(float), corners.y[:, number].astype(float)
        parts = []
        for a, b in ((1, 2), (2, 0), (0, 1)):
            parts.append(
                (x[a] - points[:, 0]) * (y[b] - points[:, 1]) - (x[b] - points[:, 0]) * (y[a] - points[:, 1])
            )
        weight = np.stack(parts) / sum(parts)
        depth = (weight * corners.near[:, number, None]).sum(0)
        wins = (weight > 0).all(0) & (depth > best)
        best[wins], owner[wins] = depth[wins], number
    return owner


@pytest.mark.parametrize("seed", range(5))
def test_the_rasteriser_agrees_with_edge_functions(seed: int) -> None:
    size = 48
    corners = random_corners(60, size, seed)
    y, x = np.divmod(np.arange(size * size), size)
    theirs = brute_force(corners, np.stack([x + 0.5, y + 0.5], 1))
    ours, near = nearest(corners, size)
    assert np.mean(ours != theirs) < 2e-3
    assert np.array_equal(np.isfinite(near), ours >= 0)


def test_points_inside_marked_pixels_agree_with_edge_functions() -> None:
    size, fine = 32, 3
    corners = random_corners(40, size, 9)
    marked = np.random.default_rng(2).random((size, size)) < 0.3
    chosen = touching(corners, marked)
    owner = nearest_inside(corners.take(chosen), marked, fine)
    ours = np.where(owner >= 0, chosen[owner], -1).reshape(-1)
    row, column = np.nonzero(marked)
    step = (np.arange(fine) + 0.5) / fine
    y = (row[:, None, None] + step[:, None] + 0 * step).reshape(-1)
    x = (column[:, None, None] + step + 0 * step[:, None]).reshape(-1)
    assert np.mean(ours != brute_force(corners, np.stack([x, y], 1))) < 2e-3


def test_a_mesh_of_triangles_leaves_no_gap() -> None:
    rng = np.random.default_rng(3)
    lines = np.linspace(-2, 34, 15)
    y, x = (axis + rng.uniform(-0.9, 0.9, axis.shape) for axis in np.meshgrid(lines, lines, indexing="ij"))
    index = np.arange(225).reshape(15, 15)
    a, b, c, d = (index[i : 14 + i, j : 14 + j].reshape(-1) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    faces = np.concatenate([np.stack([a, c, b]), np.stack([b, c, d])], axis=1)
    x, y = x.reshape(-1).astype(np.float32), y.reshape(-1).astype(np.float32)
    owner, _ = nearest(Corners(x[faces], y[faces], np.ones(faces.shape, np.float32)), 32)
    assert (owner >= 0).all()


def test_a_sphere_covers_the_circle_that_perspective_gives() -> None:
    vertices, faces = ball()
    renderer = Renderer(rig_of(vertices, faces), 256)
    camera = renderer.camera
    edge = camera.focal * np.tan(np.arcsin(0.1 / camera.distance))
    mask = covered(renderer.frame(), renderer)
    assert abs(mask.sum() / (np.pi * edge**2) - 1) < 0.02
    assert 0.85 < 2 * edge / 256 < 0.9


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_holds_the_whole_head_in_the_middle(view: str) -> None:
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(500, 3)) * (0.08, 0.12, 0.1) + (3, -2, 5)).astype(np.float32)
    camera = frame_head(rig_of(points, np.zeros((0, 3), np.int32)), 200, view)
    x, y, _ = camera.project(points)
    for axis in (x, y):
        assert axis.min() > 5
        assert axis.max() < 195
    assert max(np.ptp(x), np.ptp(y)) > 160


def test_axes_point_where_the_rig_says() -> None:
    """+X, the character's left, is on the right of a front view; from its left side the face looks left."""
    vertices, faces = ball()
    for view, axis in (("front", 0), ("side", 2)):
        camera = frame_head(rig_of(vertices, faces), 128, view)
        point = np.zeros((1, 3), np.float32)
        point[0, axis] = 0.05
        assert (camera.project(point)[0][0] > 64) == (view == "front")
        assert camera.project(np.array([[0, 0.05, 0]], np.float32))[1][0] < 64


def test_what_is_nearer_hides_what_is_behind() -> None:
    rig = head()
    renderer = Renderer(rig, 128)
    closed, out = renderer.frame(), renderer.frame(rig.pose(np.ones(1)))
    red, _, blue = closed[64, 64].astype(int)
    assert red > blue + 30
    red, _, blue = out[64, 64].astype(int)
    assert abs(red - blue) < 30
    assert (closed[12:22] == out[12:22]).all()


def test_faces_turned_away_are_not_drawn() -> None:
    vertices, faces = ball()
    inside_out = Renderer(rig_of(vertices, faces[:, ::-1]), 96)
    half = vertices[faces].mean(axis=1)[:, 2] > 0
    front = Renderer(rig_of(vertices, faces[half]), 96)
    back = Renderer(rig_of(vertices, faces[~half]), 96)
    assert covered(front.frame(), front).mean() > 0.4
    assert covered(back.frame(), back).mean() < 0.05
    assert covered(inside_out.frame(), inside_out).mean() > 0.4


def test_light_comes_from_the_upper_left_and_is_smooth() -> None:
    renderer = Renderer(rig_of(*ball(80)), 256)
    bright = renderer.frame().astype(int).sum(axis=-1)
    assert bright[80, 90] > bright[180, 170] + 60
    across = np.abs(np.diff(bright[128, 40:216]))
    assert across.max() < 24


def test_tints_multiply_the_material() -> None:
    vertices, faces = ball()
    white = Renderer(rig_of(vertices, faces), 64).frame()[32, 32]
    tints = np.ones_like(vertices)
    tints[:, 2] = 0
    yellow = Renderer(rig_of(vertices, faces, colours=tints), 64).frame()[32, 32]
    assert yellow[2] == 0
    assert abs(int(yellow[0]) - int(white[0])) <= 1


def test_split_vertices_leave_no_seam() -> None:
    vertices, faces = ball(16)
    split = vertices[faces.reshape(-1)]
    apart = Renderer(rig_of(split, np.arange(len(split), dtype=np.int32).reshape(-1, 3)), 96).frame()
    whole = Renderer(rig_of(vertices, faces), 96).frame()
    assert np.abs(apart.astype(int) - whole).max() <= 2


def test_edges_come_near_a_picture_of_many_points() -> None:
    rig = rig_of(*ball())
    many = Renderer(rig, 1024, fine=1).frame().reshape(128, 8, 128, 8, 3).mean(axis=(1, 3))
    rough, smooth = (np.abs(Renderer(rig, 128, fine=fine).frame() - many).sum(axis=-1) for fine in (1, 3))
    edge = rough > 30
    assert edge.sum() > 100
    assert smooth[edge].mean() < 0.35 * rough[edge].mean()


def test_edge_pixels_stand_on_both_sides_of_a_change() -> None:
    square = np.zeros((6, 6), bool)
    square[:, 2:4] = True
    near, kind = np.ones((6, 6), np.float32), np.zeros((6, 6), np.int32)
    near[:, 3:] = 2
    assert np.array_equal(edge_pixels(near.reshape(-1), kind.reshape(-1), 6, 0.5), square)
    assert not edge_pixels(near.reshape(-1), kind.reshape(-1), 6, 2.0).any()


def test_pictures_are_equal_on_every_run_and_for_odd_sizes() -> None:
    rig = head()
    for size in (31, 100, 301):
        first, second = (
            Renderer(rig, size, "three_quarter").frame(),
            Renderer(rig, size, "three_quarter").frame(),
        )
        assert first.shape == (size, size, 3)
        assert first.dtype == np.uint8
        assert np.array_equal(first, second)


def test_bad_input_is_told() -> None:
    rig = head()
    with pytest.raises(ExportError, match="no view 'frnt'; did you mean 'front'"):
        Renderer(rig, view="frnt")
    with pytest.raises(ExportError, match="16 to 4096 pixels, not 8"):
        Renderer(rig, size=8)
    with pytest.raises(ExportError, match="1 to 8 points a pixel"):
        Renderer(rig, fine=9)
    renderer = Renderer(rig, 64)
    with pytest.raises(ExportError, match=r"has vertices of shape .* not \(3, 3\)"):
        renderer.frame(np.zeros((3, 3)))
    with pytest.raises(ExportError, match="NaN or infinite"):
        renderer.frame(np.full_like(rig.vertices, np.nan))


def test_a_face_that_leaves_the_picture_or_passes_the_camera_does_no_harm() -> None:
    rig = head()
    renderer = Renderer(rig, 64)
    for move in ((10, 0, 0), (0, 0, 2), (0, 0, -50), (0, 0.1, 0)):
        assert renderer.frame(rig.vertices + np.array(move, np.float32)).shape == (64, 64, 3)


def test_contact_sheet_places_pictures_in_rows() -> None:
    images = [np.full((28, 20, 3), 40 * n, np.uint8) for n in range(5)]
    sheet = contact_sheet(images, list("abcde"), columns=3)
    assert sheet.shape == (2 * (28 + 14), 60, 3)
    for number in range(5):
        row, column = divmod(number, 3)
        assert (sheet[row * 42 : row * 42 + 28, column * 20 : column * 20 + 20] == 40 * number).all()
    with pytest.raises(ExportError, match="a label per picture, not 5 and 4"):
        contact_sheet(images, list("abcd"))


def test_a_real_head_opens_its_mouth() -> None:
    path = Path(__file__).parents[2] / "shared" / "assets" / "makehuman_arkit" / "makehuman_head_arkit.npz"
    if not path.exists():
        pytest.skip("the rigs of ../shared are not here")
    data = np.load(path, allow_pickle=False)
    names = tuple(map(str, data["arkit_names"]))
    faces = data["triangles"].astype(np.int32)
    rig = Rig("real", data["neutral"] / 100, faces, names, data["arkit_deltas"] / 100)
    renderer = Renderer(rig, 128)
    shut, wide = renderer.frame(), renderer.frame(rig.pose(np.eye(len(names))[names.index("jawOpen")]))
    changed = np.abs(shut.astype(int) - wide).sum(axis=-1) > 30
    assert changed[70:].sum() > 200
    assert changed[:40].sum() == 0
