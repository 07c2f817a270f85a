"""Rigs from files: hand-written GLBs, shared npz rigs, and what is said about files that cannot serve."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unitalker.errors import RigError
from unitalker.rig import builtin_head, load_rig
from unitalker.rig.arkit import ARKIT_NAMES, canonical

SHARED = Path(__file__).parents[2] / "shared" / "assets"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared assets are not beside this checkout"
)

TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], np.float32)
FACES = np.array([0, 1, 2, 2, 1, 3], np.uint16)
OPEN = np.array([[0, -1, 0], [0, -2, 0], [0, 0, 0], [0, 0, 0]], np.float32)
SMILE = np.array([[0.5, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0.25]], np.float32)


class Maker:
    """Writes a GLB byte by byte, as the glTF 2.0 specification lays it out."""

    def __init__(self) -> None:
        self.binary = b""
        self.doc: dict[str, Any] = {"asset": {"version": "2.0"}, "bufferViews": [], "accessors": []}

    def view(self, data: bytes, stride: int = 0) -> int:
        self.binary += b"\0" * (-len(self.binary) % 4)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        if stride:
            view["byteStride"] = stride
        self.binary += data
        self.doc["bufferViews"].append(view)
        return len(self.doc["bufferViews"]) - 1

    def accessor(self, data: np.ndarray, kind: int, **more: Any) -> int:
        shape = {1: "SCALAR", 3: "VEC3"}[1 if data.ndim == 1 else 3]
        entry = {
            "bufferView": self.view(data.tobytes()),
            "componentType": kind,
            "count": len(data),
            "type": shape,
        }
        self.doc["accessors"].append(entry | more)
        return len(self.doc["accessors"]) - 1

    def sparse(self, count: int, where: np.ndarray, values: np.ndarray) -> int:
        self.doc["accessors"].append(
            {
                "componentType": 5126,
                "count": count,
                "type": "VEC3",
                "sparse": {
                    "count": len(where),
                    "indices": {
                        "bufferView": self.view(where.astype("<u2").tobytes()),
                        "componentType": 5123,
                    },
                    "values": {"bufferView": self.view(values.astype("<f4").tobytes())},
                },
            }
        )
        return len(self.doc["accessors"]) - 1

    def mesh(self, targets: list[int], names: list[str] | None, **more: Any) -> None:
        primitive = {
            "attributes": {"POSITION": self.accessor(TRIANGLE, 5126)},
            "indices": self.accessor(FACES, 5123),
            "targets": [{"POSITION": t} for t in targets],
        }
        mesh: dict[str, Any] = {"name": "face", "primitives": [primitive | more]}
        if names is not None:
            mesh["extras"] = {"targetNames": names}
        self.doc.setdefault("meshes", []).append(mesh)

    def write(self, path: Path, nodes: list[dict[str, Any]] | None = None) -> Path:
        self.doc["nodes"] = nodes if nodes is not None else [{"mesh": 0}]
        inner = {c for n in self.doc["nodes"] for c in n.get("children", [])}
        self.doc["scenes"] = [{"nodes": [i for i in range(len(self.doc["nodes"])) if i not in inner]}]
        self.doc["scene"] = 0
        self.doc["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.doc).encode()
        text += b" " * (-len(text) % 4)
        binary = self.binary + b"\0" * (-len(self.binary) % 4)
        body = struct.pack("<II", len(text), 0x4E4F534A) + text
        body += struct.pack("<II", len(binary), 0x004E4942) + binary
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body)
        return path


def plain(tmp_path: Path, names: list[str] | None = None) -> Path:
    maker = Maker()
    maker.mesh(
        [maker.accessor(OPEN, 5126), maker.accessor(SMILE, 5126)], names or ["jawOpen", "mouthSmileLeft"]
    )
    return maker.write(tmp_path / "face.glb")


def test_a_glb_comes_back_as_written(tmp_path: Path) -> None:
    rig = load_rig(plain(tmp_path))
    np.testing.assert_array_equal(rig.vertices, TRIANGLE)
    np.testing.assert_array_equal(rig.faces, FACES.reshape(-1, 3))
    assert rig.shape_names == ("jawOpen", "mouthSmileLeft")
    np.testing.assert_array_equal(rig.shape("jawOpen"), OPEN)
    np.testing.assert_array_equal(rig.shape("mouthSmileLeft"), SMILE)
    assert rig.materials[0].stop == 2


def test_vertex_colours_become_tints(tmp_path: Path) -> None:
    maker = Maker()
    tint = np.array([[1, 0.5, 0], [0, 1, 0.25], [1, 1, 1], [0.5, 0.5, 0.5]], np.float32)
    maker.mesh([maker.accessor(OPEN, 5126)], ["jawOpen"])
    maker.doc["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"] = maker.accessor(tint, 5126)
    colours = load_rig(maker.write(tmp_path / "tint.glb")).colours
    assert colours is not None
    np.testing.assert_array_equal(colours, tint)


def test_sparse_targets_and_accessor_names(tmp_path: Path) -> None:
    maker = Maker()
    first = maker.sparse(4, np.array([0, 1]), OPEN[:2])
    maker.doc["accessors"][first]["name"] = "EyeBlink_L"
    maker.mesh([first], None)
    rig = load_rig(maker.write(tmp_path / "sparse.glb"))
    assert rig.shape_names == ("eyeBlinkLeft",)
    np.testing.assert_array_equal(rig.shapes[0], OPEN)


def test_normalised_integers(tmp_path: Path) -> None:
    maker = Maker()
    packed = np.array([[0, -32767, 0], [16384, 0, 0], [0, 0, 0], [0, 0, 0]], "<i2")
    rows = np.zeros((4, 4), "<i2")
    rows[:, :3] = packed
    view = maker.view(rows.tobytes(), stride=8)
    maker.doc["accessors"].append(
        {"bufferView": view, "componentType": 5122, "count": 4, "type": "VEC3", "normalized": True}
    )
    maker.mesh([len(maker.doc["accessors"]) - 1], ["jawOpen"])
    maker.doc["extensionsRequired"] = ["KHR_mesh_quantization"]
    shape = load_rig(maker.write(tmp_path / "short.glb")).shapes[0]
    np.testing.assert_allclose(shape, packed / 32767, atol=1e-6)


def test_node_transforms_and_several_meshes(tmp_path: Path) -> None:
    maker = Maker()
    maker.mesh([maker.accessor(OPEN, 5126)], ["jawOpen"])
    maker.mesh([maker.accessor(SMILE, 5126), maker.accessor(OPEN, 5126)], ["mouthSmileLeft", "jawOpen"])
    quarter = [0, 0, float(np.sqrt(0.5)), float(np.sqrt(0.5))]  # a quarter turn about z: x → y
    nodes = [
        {"children": [1, 2], "translation": [10, 0, 0]},
        {"mesh": 0, "scale": [2, 2, 2]},
        {"mesh": 1, "rotation": quarter},
    ]
    rig = load_rig(maker.write(tmp_path / "two.glb", nodes))
    assert len(rig.vertices) == 8 and len(rig.faces) == 4 and len(rig.materials) == 2
    np.testing.assert_allclose(rig.vertices[1], [12, 0, 0], atol=1e-6)
    np.testing.assert_allclose(rig.vertices[5], [10, 1, 0], atol=1e-6)
    np.testing.assert_allclose(rig.shape("jawOpen")[:2], OPEN[:2] * 2, atol=1e-6)
    np.testing.assert_allclose(rig.shape("jawOpen")[5], [2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(rig.shape("mouthSmileLeft")[:4], 0, atol=1e-6)
    np.testing.assert_allclose(rig.shape("mouthSmileLeft")[4], [0, 0.5, 0], atol=1e-6)


def test_a_mirroring_node_keeps_faces_outwards(tmp_path: Path) -> None:
    maker = Maker()
    maker.mesh([maker.accessor(OPEN, 5126)], ["jawOpen"])
    rig = load_rig(maker.write(tmp_path / "mirror.glb", [{"mesh": 0, "scale": [-1, 1, 1]}]))
    a, b, c = rig.vertices[rig.faces[0]]
    assert np.cross(b - a, c - a)[2] > 0


def test_a_skinned_mesh_ignores_its_node(tmp_path: Path) -> None:
    maker = Maker()
    maker.mesh([maker.accessor(OPEN, 5126)], ["jawOpen"])
    rig = load_rig(maker.write(tmp_path / "skin.glb", [{"mesh": 0, "skin": 0, "translation": [5, 5, 5]}]))
    np.testing.assert_array_equal(rig.vertices, TRIANGLE)


def test_a_glb_without_arkit_names_says_what_it_found(tmp_path: Path) -> None:
    path = plain(tmp_path, ["viseme_aa", "Happy"])
    with pytest.raises(RigError, match=r"face\.glb has no ARKit shapes.*viseme_aa, Happy"):
        load_rig(path)


def test_a_glb_without_targets(tmp_path: Path) -> None:
    maker = Maker()
    maker.mesh([], [])
    with pytest.raises(RigError, match="morph targets found are: none at all"):
        load_rig(maker.write(tmp_path / "plain.glb"))


@pytest.mark.parametrize("extension", ["KHR_draco_mesh_compression", "EXT_meshopt_compression"])
def test_compressed_glb_is_refused_by_name(tmp_path: Path, extension: str) -> None:
    maker = Maker()
    maker.mesh([maker.accessor(OPEN, 5126)], ["jawOpen"])
    maker.doc["extensionsRequired"] = [extension]
    with pytest.raises(RigError, match=f"{extension}.*without compression"):
        load_rig(maker.write(tmp_path / "small.glb"))


def _broken(change: str, maker: Maker) -> None:
    accessors, views = maker.doc["accessors"], maker.doc["bufferViews"]
    if change == "past the buffer":
        accessors[0]["count"] = 4000
    elif change == "negative offset":
        accessors[0]["byteOffset"] = -12
    elif change == "huge view":
        views[0]["byteLength"] = 10**9
        accessors[0]["count"] = 10**6
    elif change == "short target":
        accessors[0]["count"] = 3
    elif change == "negative index":
        maker.doc["meshes"][0]["primitives"][0]["targets"] = [{"POSITION": -1}]
    elif change == "wild triangles":
        maker.doc["meshes"][0]["primitives"][0]["indices"] = maker.accessor(FACES + np.uint16(60000), 5123)
    elif change == "nan":
        bad = OPEN.copy()
        bad[0, 0] = np.nan
        maker.doc["meshes"][0]["primitives"][0]["targets"] = [{"POSITION": maker.accessor(bad, 5126)}]
    elif change == "unknown component":
        accessors[0]["componentType"] = 1
    elif change == "no such mesh":
        maker.doc["meshes"] = []


@pytest.mark.parametrize(
    "change",
    [
        "past the buffer",
        "negative offset",
        "huge view",
        "short target",
        "negative index",
        "wild triangles",
        "nan",
        "unknown component",
        "no such mesh",
    ],
)
def test_unsound_glbs_are_errors_and_nothing_else(tmp_path: Path, change: str) -> None:
    maker = Maker()
    maker.mesh([maker.accessor(OPEN, 5126)], ["jawOpen"])
    _broken(change, maker)
    with pytest.raises(RigError, match=r"bad\.glb"):
        load_rig(maker.write(tmp_path / "bad.glb"))


def test_a_scene_that_bites_its_tail(tmp_path: Path) -> None:
    maker = Maker()
    maker.mesh([maker.accessor(OPEN, 5126)], ["jawOpen"])
    path = maker.write(
        tmp_path / "loop.glb", [{"children": [1]}, {"mesh": 0, "children": [2]}, {"children": [1]}]
    )
    with pytest.raises(RigError, match="not a tree"):
        load_rig(path)


def test_every_truncation_of_a_glb_is_a_rig_error(tmp_path: Path) -> None:
    whole = plain(tmp_path).read_bytes()
    for size in range(0, len(whole) - 1, 13):
        cut = tmp_path / "cut.glb"
        cut.write_bytes(whole[:size])
        with pytest.raises(RigError):
            load_rig(cut)


def test_random_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    whole = bytearray(plain(tmp_path).read_bytes())
    rng = np.random.default_rng(5)
    path = tmp_path / "hurt.glb"
    for _ in range(300):
        hurt = bytearray(whole)
        for at in rng.integers(12, len(hurt), 3):
            hurt[at] = int(rng.integers(0, 256))
        path.write_bytes(bytes(hurt))
        try:
            rig = load_rig(path)
        except RigError:
            continue
        assert np.isfinite(rig.vertices).all() and rig.faces.max() < len(rig.vertices)


def test_names_are_understood_in_their_usual_spellings() -> None:
    for name in ARKIT_NAMES:
        assert canonical(name) == name
        assert canonical(name[0].upper() + name[1:]) == name
        assert canonical(name.upper()) == name
        assert canonical(f"blendShape1.{name}") == name
        for side in ("Left", "Right"):
            if name.endswith(side):
                stem = name.removesuffix(side)
                for ending in (f"_{side[0]}", f".{side[0]}", f"_{side}", f"-{side.lower()}", side[0]):
                    assert canonical(stem + ending) == name
    assert canonical("browInnerUp_L") == canonical("browInnerUp_R") == "browInnerUp"
    for other in ("viseme_aa", "Key 1", "Basis", "smile", "", "left", "_L", "eye_L"):
        assert canonical(other) is None


def test_halves_of_a_whole_shape_are_summed(tmp_path: Path) -> None:
    maker = Maker()
    maker.mesh([maker.accessor(OPEN, 5126), maker.accessor(SMILE, 5126)], ["browInnerUp_L", "browInnerUp_R"])
    rig = load_rig(maker.write(tmp_path / "halves.glb"))
    np.testing.assert_allclose(rig.shape("browInnerUp"), OPEN + SMILE)


def test_the_name_head_is_the_built_in_one() -> None:
    assert load_rig("head") is builtin_head()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("hed", "There is no rig 'hed'; did you mean 'head'"),
        ("nowhere.glb", "does not exist"),
        ("face.fbx", "ends in .glb or .npz"),
    ],
)
def test_wrong_names_get_a_sentence(given: str, said: str) -> None:
    with pytest.raises(RigError, match=said):
        load_rig(given)


def test_a_directory_is_not_a_rig(tmp_path: Path) -> None:
    with pytest.raises(RigError):
        load_rig(tmp_path)


def test_text_named_glb(tmp_path: Path) -> None:
    (tmp_path / "note.glb").write_text("not a mesh at all, only words in a file")
    with pytest.raises(RigError, match="does not begin with 'glTF'"):
        load_rig(tmp_path / "note.glb")


def shared_form(path: Path, **changes: Any) -> Path:
    arrays: dict[str, Any] = {
        "neutral": TRIANGLE * 100,
        "triangles": FACES.reshape(-1, 3).astype(np.int32),
        "arkit_names": np.array(["jawOpen", "MouthSmile_L"]),
        "arkit_deltas": np.stack([OPEN, SMILE]) * 100,
    }
    np.savez(path, **{k: v for k, v in (arrays | changes).items() if v is not None})
    return path


def test_npz_in_centimetres_becomes_metres(tmp_path: Path) -> None:
    rig = load_rig(shared_form(tmp_path / "a.npz"))
    np.testing.assert_allclose(rig.vertices, TRIANGLE, rtol=1e-6)
    np.testing.assert_allclose(rig.shape("mouthSmileLeft"), SMILE, rtol=1e-6)
    half = load_rig(shared_form(tmp_path / "b.npz", unit_cm=np.float32(0.5)))
    np.testing.assert_allclose(half.vertices, TRIANGLE / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"triangles": None}, "lacks the array 'triangles'"),
        ({"arkit_names": np.array(["aa", "oh"])}, "no ARKit shapes.*aa, oh"),
        ({"arkit_deltas": np.zeros((2, 3, 3), np.float32)}, "do not fit"),
        ({"triangles": np.array([[0, 1, 9]])}, "point outside"),
        ({"triangles": np.array([[0.0, 1.0, 2.0]])}, "whole numbers"),
        ({"neutral": np.full((4, 3), np.nan, np.float32)}, "NaN"),
        ({"arkit_names": np.array([{"a": 1}, None], dtype=object)}, "not a readable npz"),
    ],
)
def test_wrong_npz_gets_a_sentence(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RigError, match=said):
        load_rig(shared_form(tmp_path / "wrong.npz", **changes))


def test_a_saved_head_loads_again(tmp_path: Path) -> None:
    from unitalker.rig.store import write_rig

    write_rig(builtin_head(), tmp_path / "mine.npz")
    again = load_rig(tmp_path / "mine.npz")
    np.testing.assert_array_equal(again.shapes, builtin_head().shapes)
    assert again.landmarks == builtin_head().landmarks


@needs_shared
@pytest.mark.parametrize(
    ("file", "count"),
    [
        ("makehuman_arkit/makehuman_head_arkit.npz", 52),
        ("ict_facekit/ict_arkit.npz", 51),
        ("ict_facekit/ict_narrowface_arkit.npz", 51),
    ],
)
def test_open_rigs_load_in_metres_with_lips(file: str, count: int) -> None:
    rig = load_rig(SHARED / file)
    assert len(rig.shape_names) == count
    assert 0.1 < np.ptp(rig.vertices[:, 0]) < 0.4
    at = rig.landmarks
    opened = rig.vertices + rig.shape("jawOpen")
    rest_gap = np.linalg.norm(rig.vertices[at["upper_lip_inner"]] - rig.vertices[at["lower_lip_inner"]])
    gap = opened[at["upper_lip_inner"], 1] - opened[at["lower_lip_inner"], 1]
    assert rest_gap < 0.005 and gap > 0.015
    assert rig.vertices[at["mouth_corner_left"], 0] > 0.01
    assert rig.materials[-1].stop == len(rig.faces)


@needs_shared
def test_regions_read_off_shapes_agree_with_given_ones() -> None:
    from unitalker.rig import derive

    rig = load_rig(SHARED / "ict_facekit/ict_narrowface_arkit.npz")
    found = derive.regions(rig.shape_names, rig.shapes)
    for name in ("lips", "mouth", "upper_face"):
        given, mine = set(rig.regions[name].tolist()), set(found[name].tolist())
        assert len(given & mine) / len(given) > 0.7, name


def test_files_that_would_fill_the_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitalker.rig.glb.MOST_MOVES", 3)
    with pytest.raises(RigError, match="which is too much"):
        load_rig(plain(tmp_path))
    np.savez_compressed(tmp_path / "big.npz", neutral=np.zeros((1000, 3)))
    monkeypatch.setattr("unitalker.rig.files.MOST_MOVES", 100)
    with pytest.raises(RigError, match="would unpack to"):
        load_rig(tmp_path / "big.npz")
