"""GLB files: judged by the Khronos validator and by an independent reader of the bytes."""

import json
import shutil
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from unitalker.errors import ExportError
from unitalker.export import write
from unitalker.export.glb import vertex_normals
from unitalker.motion import Motion
from unitalker.rig.rig import Material, Rig

ROOT = Path(__file__).parents[1]
MODULES = ROOT / ".tools/node_modules"
MAKEHUMAN = ROOT.parent / "shared/assets/makehuman_arkit/makehuman_head_arkit.npz"
DTYPES = {5126: np.float32, 5125: np.uint32, 5123: np.uint16}
WIDTH = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


def octahedron(colours: bool = True) -> Rig:
    """Six vertices, eight triangles, two materials; one shape moves nothing and one everything."""
    vertices = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32)
    faces = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    shapes = np.zeros((4, 6, 3), np.float32)
    shapes[0, 3] = [0, -0.25, 0]
    shapes[1, 1] = [0.125, 0.5, 0]
    shapes[3] = 0.01
    return Rig(
        "octahedron",
        vertices,
        np.array(faces, np.int32),
        ("jawOpen", "mouthSmileLeft", "tongueOut", "cheekPuff"),
        shapes,
        materials=(Material("skin", (0.8, 0.5, 0.4), 0, 5), Material("teeth", (0.9, 0.9, 0.8), 5, 8, 0.3)),
        colours=np.linspace(0, 1, 18, dtype=np.float32).reshape(6, 3) if colours else None,
        licence="CC0-1.0",
    )


def talk(names=("jawOpen", "mouthSmileLeft", "browInnerUp"), frames=7, fps=25.0) -> Motion:
    values = np.random.default_rng(1).random((frames, len(names)), np.float32)
    return Motion(values, names, fps, "arkit52", "weight", "pivot", {"model": "mini", "audio": "ab12"})


def parse(path: Path):
    """(JSON part, function that gives an accessor's dense values), read by the specification's section 4."""
    data = path.read_bytes()
    magic, version, size = struct.unpack_from("<4sII", data)
    assert (magic, version, size) == (b"glTF", 2, len(data))
    length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    content = json.loads(data[20 : 20 + length])
    rest = 20 + length
    size, kind = struct.unpack_from("<I4s", data, rest)
    assert kind == b"BIN\0" and rest + 8 + size == len(data)
    binary = data[rest + 8 :]

    def part(view: int, component: int, count: int, offset: int = 0):
        start = content["bufferViews"][view]["byteOffset"] + offset
        return np.frombuffer(binary, DTYPES[component], count, start)

    def dense(index: int):
        entry = content["accessors"][index]
        width, count, component = WIDTH[entry["type"]], entry["count"], entry["componentType"]
        values = np.zeros((count, width), DTYPES[component])
        if "bufferView" in entry:
            values = part(entry["bufferView"], component, count * width).reshape(count, width).copy()
        if sparse := entry.get("sparse"):
            n = sparse["count"]
            where = part(sparse["indices"]["bufferView"], sparse["indices"]["componentType"], n)
            values[where] = part(sparse["values"]["bufferView"], component, n * width).reshape(n, width)
        return values

    return content, dense


@pytest.fixture
def validate():
    """Function that gives the Khronos validator's report on a file."""
    node = shutil.which("node")
    if node is None or not (MODULES / "gltf-validator").is_dir():
        pytest.skip("the Khronos glTF validator is not installed: it needs node, then `make setup`")

    def run(path: Path) -> dict:
        command = [node, str(Path(__file__).parent / "validate_glb.mjs"), str(MODULES), str(path)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    return run


@pytest.mark.parametrize("colours", [True, False])
def test_validator_finds_nothing(tmp_path, validate, colours):
    report = validate(write(talk(), tmp_path / "a.glb", rig=octahedron(colours)))
    assert (report["numErrors"], report["numWarnings"]) == (0, 0), report["messages"]
    assert report["info"]["hasMorphTargets"] and report["info"]["animationCount"] == 1


@pytest.mark.parametrize("frames", [1, 2, 61])
def test_validator_on_other_lengths_and_rates(tmp_path, validate, frames):
    report = validate(write(talk(frames=frames, fps=59.94), tmp_path / "a.glb", rig=octahedron()))
    assert (report["numErrors"], report["numWarnings"]) == (0, 0), report["messages"]


def test_everything_reads_back(tmp_path):
    rig, motion = octahedron(), talk()
    content, dense = parse(write(motion, tmp_path / "a.glb", rig=rig))
    mesh = content["meshes"][0]
    assert mesh["extras"]["targetNames"] == list(rig.shape_names)
    parts = mesh["primitives"]

    def on_corners(pick):
        """(F, 3, n) values of an attribute on every triangle's corners."""
        return np.concatenate([dense(pick(p))[dense(p["indices"])[:, 0]] for p in parts]).reshape(8, 3, -1)

    points = on_corners(lambda p: p["attributes"]["POSITION"])
    np.testing.assert_array_equal(points, rig.vertices[rig.faces])
    for k, shape in enumerate(rig.shapes):
        moved = on_corners(lambda p, k=k: p["targets"][k]["POSITION"])
        np.testing.assert_array_equal(moved, shape[rig.faces])
    tint = on_corners(lambda p: p["attributes"]["COLOR_0"])[..., :3] / 65535
    np.testing.assert_allclose(tint, rig.colours[rig.faces], atol=1e-5)
    sampler = content["animations"][0]["samplers"][0]
    assert sampler["interpolation"] == "LINEAR"
    np.testing.assert_allclose(dense(sampler["input"])[:, 0], np.arange(7) / 25, atol=1e-7)
    curves = dense(sampler["output"]).reshape(7, 4)
    np.testing.assert_array_equal(curves[:, :2], motion.select(["jawOpen", "mouthSmileLeft"]))
    assert not curves[:, 2:].any()
    extras = content["asset"]["extras"]["unitalker"]
    assert extras["channels_left_out"] == ["browInnerUp"] and extras["provenance"]["model"] == "mini"


def test_still_targets_cost_nothing(tmp_path):
    content, dense = parse(write(talk(), tmp_path / "a.glb", rig=octahedron()))
    entry = content["accessors"][content["meshes"][0]["primitives"][0]["targets"][2]["POSITION"]]
    assert "sparse" not in entry and "bufferView" not in entry


def test_a_part_carries_only_its_own_vertices(tmp_path):
    content, dense = parse(write(talk(), tmp_path / "a.glb", rig=octahedron()))
    lower = content["meshes"][0]["primitives"][1]
    assert content["accessors"][lower["attributes"]["POSITION"]]["count"] == 5
    assert [content["materials"][p["material"]]["name"] for p in content["meshes"][0]["primitives"]] == [
        "skin",
        "teeth",
    ]


def test_other_conventions_are_converted_first(tmp_path):
    motion = talk(("mouth_stretch_c", "mouth_oh_c"))
    content, dense = parse(write(motion, tmp_path / "a.glb", rig=octahedron()))
    curves = dense(content["animations"][0]["samplers"][0]["output"]).reshape(7, 4)
    np.testing.assert_array_equal(curves[:, 0], motion.channel("mouth_stretch_c"))


def test_normals_of_an_octahedron_point_outward():
    rig = octahedron()
    np.testing.assert_allclose(vertex_normals(rig.vertices, rig.faces), rig.vertices, atol=1e-6)
    lone = vertex_normals(np.zeros((1, 3), np.float32), np.zeros((0, 3), np.int32))
    np.testing.assert_array_equal(lone, [[0, 0, 1]])


@pytest.mark.skipif(not MAKEHUMAN.exists(), reason="needs ../shared/assets/makehuman_arkit")
def test_a_real_head(tmp_path, validate):
    with np.load(MAKEHUMAN) as z:
        names = tuple(z["arkit_names"].tolist())
        rig = Rig("head", z["neutral"] / 100, z["triangles"], names, z["arkit_deltas"] / 100)
    motion = talk(names, frames=600, fps=60)
    start = time.perf_counter()
    path = write(motion, tmp_path / "a.glb", rig=rig)
    assert time.perf_counter() - start < 2, (
        "ten seconds of animation should be written in a fraction of a second"
    )
    content, dense = parse(path)
    for target, shape in zip(content["meshes"][0]["primitives"][0]["targets"], rig.shapes, strict=True):
        np.testing.assert_allclose(dense(target["POSITION"]), shape, atol=1e-6)
    report = validate(path)
    assert (report["numErrors"], report["numWarnings"]) == (0, 0), report["messages"]


@pytest.mark.parametrize("unit", ["m", "mm", "u"])
def test_a_moving_mesh_is_rebuilt_by_its_morphs(tmp_path, validate, unit):
    rig, rng = octahedron(), np.random.default_rng(3)
    scale = {"m": 1, "mm": 1000, "u": 5}[unit]
    moved = 0.02 * rng.normal(size=(1700, 4)) @ rng.normal(size=(4, 18))
    names = [f"v{i}.{axis}" for i in range(6) for axis in "xyz"]
    template = rig.vertices * 1.01 if unit != "u" else rig.vertices
    motion = Motion(moved * scale, names, 25, "six", unit, template=template * scale)
    path = write(motion, tmp_path / "a.glb", rig=rig)
    report = validate(path)
    assert (report["numErrors"], report["numWarnings"]) == (0, 0), report["messages"]
    content, dense = parse(path)
    weights = dense(content["animations"][0]["samplers"][0]["output"]).reshape(1700, -1)
    assert weights.shape[1] == 4 and np.abs(weights).max() <= 1 + 1e-6
    for part, faces in zip(content["meshes"][0]["primitives"], (rig.faces[:5], rig.faces[5:]), strict=True):
        corners = dense(part["indices"])[:, 0]
        got = dense(part["attributes"]["POSITION"]) + np.einsum(
            "tk,kvc->tvc", weights, np.stack([dense(t["POSITION"]) for t in part["targets"]])
        )
        want = (template + moved.reshape(-1, 6, 3))[:, faces.ravel()]
        np.testing.assert_allclose(got[:, corners], want, atol=2e-5)
    assert content["asset"]["extras"]["unitalker"]["rms_error_m"] < 1e-5


def test_a_still_mesh(tmp_path, validate):
    names = [f"v{i}.{axis}" for i in range(6) for axis in "xyz"]
    report = validate(
        write(Motion(np.zeros((3, 18)), names, 25, "six", "m"), tmp_path / "a.glb", rig=octahedron())
    )
    assert (report["numErrors"], report["numWarnings"]) == (0, 0), report["messages"]


def test_refusals(tmp_path):
    with pytest.raises(
        ExportError, match=r"No channel of arkit52 \(_neutral\) has a place in rig 'octahedron'"
    ):
        write(talk(("_neutral",)), tmp_path / "a.glb", rig=octahedron())
    with pytest.raises(ExportError, match="has no frames"):
        write(talk(frames=0), tmp_path / "a.glb", rig=octahedron())
    mesh = Motion(np.zeros((1, 3)), ("v0.x", "v0.y", "v0.z"), 25, "mesh", "m")
    with pytest.raises(ExportError, match="moves 1 vertices, but rig 'octahedron' has 6"):
        write(mesh, tmp_path / "a.glb", rig=octahedron())
    flame = Motion(np.zeros((1, 1)), ("shape0",), 25, "flame413", "flame")
    with pytest.raises(ExportError, match=r"Formats that can hold it: \.json, \.npz\."):
        write(flame, tmp_path / "a.glb", rig=octahedron())
    assert not list(tmp_path.iterdir())
