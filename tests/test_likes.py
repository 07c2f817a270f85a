"""Made-up corpora can do what the real ones can: be mirrored, carried to another topology, and be trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from unitalker.annotations.cards import load_card
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.cli import main
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import import_corpus
from unitalker.data.importers.folder import import_folder
from unitalker.data.likes import Size, make_like
from unitalker.data.unify import unify
from unitalker.data.views import View, make_view
from unitalker.data.views_mirror import symmetric_map
from unitalker.errors import DataError

SMALL = Size(1, 1, 0.5)


@pytest.fixture(scope="module")
def vocaset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("vocaset")
    (made,) = import_corpus("vocaset", make_like("vocaset", room / "corpus", SMALL), room / "made")
    return made.folder


def test_a_made_up_face_has_triangles_and_a_mirror_image(vocaset: Path, tmp_path: Path) -> None:
    dataset = open_dataset(vocaset)
    card = load_card(vocaset / "annotations" / f"{dataset.annotation}.json")
    assert isinstance(card, VertexAnnotation) and card.faces is not None and len(card.faces) > 5000
    once = make_view(dataset, tmp_path / "once", View(mirror=True)).dataset
    twice = make_view(once, tmp_path / "twice", View(mirror=True)).dataset
    clip = dataset.clips[0]
    there = np.asarray(dataset.motion(clip))
    assert np.abs(np.asarray(once.motion(clip)) - there).max() > 1e-4
    np.testing.assert_array_equal(np.asarray(twice.motion(clip)), there)


def test_a_made_up_face_is_carried_to_another_topology(vocaset: Path, tmp_path: Path) -> None:
    made = unify(open_dataset(vocaset), tmp_path / "face")
    assert made.correspondence is not None and np.median(made.correspondence.away) < 1e-3


def test_what_is_missing_to_register_is_said(vocaset: Path, tmp_path: Path) -> None:
    source = tmp_path / "corpus"
    make_like("vocaset", source, SMALL)
    (source / "FLAME_sample.ply").unlink()
    (made,) = import_corpus("vocaset", source, tmp_path / "made")
    with pytest.raises(DataError, match="has no triangles to register: .* PLY file beside the corpus"):
        unify(open_dataset(made.folder), tmp_path / "face")
    assert not (tmp_path / "face").exists()


def test_a_cloud_without_mirror_images_is_refused_at_once() -> None:
    cloud = np.random.default_rng(0).random((20000, 3))
    with pytest.raises(DataError, match="--mirror-map"):
        symmetric_map(cloud)


def test_a_made_up_basis_holds_the_motion_beside_it(tmp_path: Path) -> None:
    root = make_like("unitalker-v1", tmp_path / "v1", Size(1, 3, 0.5))
    place = next(root.rglob("D1_vocaset"))
    line = json.loads((place / "train.json").read_text())["data"][0]
    face = np.load(place / "id_template.npy")[line["id"]].reshape(-1)
    moved = np.load(place / line["annot_path"]).reshape(-1, face.size) - face
    with np.load(place / "pca.npz") as basis:
        parts, mean = basis["components_to_data"].astype(np.float64), basis["original_data_mean"]
    np.testing.assert_allclose(parts @ parts.T, np.eye(len(parts)), atol=1e-5)
    left = moved - mean - (moved - mean) @ parts.T @ parts
    assert np.square(left).sum() < 1e-6 * np.square(moved).sum()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("mediapipe", '[{"timestampMs": 0, "faceBlendshapes": [{"categories": []}]}]'),
        ("audio2face", '{"exportFps": 30, "facsNames": [], "weightMat": []}'),
        ("beat", '{"names": ["a"], "frames": [{"weights": [0.5], "time": 0, "rotation": []}]}'),
    ],
)
def test_json_of_another_tool_is_called_by_its_importer(kind: str, text: str, tmp_path: Path) -> None:
    source = tmp_path / "takes"
    source.mkdir()
    (source / "a.wav").write_bytes(b"")
    (source / "a.json").write_text(text)
    with pytest.raises(DataError, match=f"It looks like a file for `unitalker data import {kind}`") as told:
        import_folder(source, tmp_path / "made")
    assert "Error(" not in str(told.value)


@pytest.mark.parametrize("place", ["../a.npy", "/tmp/a.npy", "motion/../../a.npy"])
def test_no_clip_of_a_dataset_leads_out_of_its_folder(vocaset: Path, place: str, tmp_path: Path) -> None:
    data = json.loads((vocaset / "dataset.json").read_text())
    data["clips"][0]["motion"] = place
    (tmp_path / "dataset.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match="the clip 'FaceTalk.*' points outside its folder: "):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("kind", "sets", "flags"),
    [("grid", ("",), ()), ("facegood", ("facegood116", "arkit52"), ()), ("folder", ("",), ("--fps", "30"))],
)
def test_made_up_recordings_train_and_are_measured(
    kind: str, sets: tuple[str, ...], flags: tuple[str, ...], tmp_path: Path
) -> None:
    source = make_like(
        kind, tmp_path / "source", Size(people=1, takes=12 if kind == "folder" else 3, seconds=1.0)
    )
    assert main(["data", "import", kind, str(source), str(tmp_path / "set"), *flags]) == 0
    small = ["batch=2", "crop_seconds=0.6", "steps=2", "warmup_steps=0", "phone_weight=0"]
    small += ["model.encoder.width=16", "model.decoder.width=16"]
    chosen = [part for text in small for part in ("--set", text)]
    for name in sets:
        folder, run = tmp_path / "set" / name, tmp_path / f"run{name}"
        assert main(["train", "--preset", "mini", "--data", str(folder), "-o", str(run), *chosen]) == 0
        assert main(["evaluate", str(run / "model"), str(folder), "--split", "val"]) == 0


def test_made_up_facegood_is_late_by_a_frame_and_read_in_step(tmp_path: Path) -> None:
    """What the importer reads 33 ms later is what the made-up speaker's face did, to the interpolation of 0.3 ms."""
    source = make_like("facegood", tmp_path / "source", Size(people=1, takes=2, seconds=1.0))
    assert main(["data", "import", "facegood", str(source), str(tmp_path / "set")]) == 0
    with np.load(source / "1114_2_01.npz") as stored:
        late = stored["arkit"]
    dataset = open_dataset(tmp_path / "set" / "arkit52")
    read = np.concatenate([dataset.motion(c) for c in dataset.clips if c.id.startswith("1114_2_01")])
    assert np.abs(read[:-1] - late[1:]).max() < 0.02
