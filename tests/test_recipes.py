"""Recipes and their table: what a recipe keeps, freezes and prints, against metrics and weights taken by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from unitalker.animation.animator import Animator
from unitalker.annotations.base import Annotation
from unitalker.annotations.builtin import flame_annotation, weight_annotation
from unitalker.annotations.cards import load_card
from unitalker.annotations.layouts import layout
from unitalker.config import UniTalkerConfig
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.importers.folder import FolderOptions, import_folder
from unitalker.models import checkpoint
from unitalker.models.unitalker import UniTalker
from unitalker.rig import builtin_head
from unitalker.training.table import compare, surface, table

ARKIT = layout("arkit52").names
SMALL = {
    "encoder": {"kind": "mini", "width": 16, "mels": 40, "dilations": (1, 1, 2)},
    "adaptor": "after_decoder",
    "grid": "clock",
    "decoder": {"width": 16, "identity_dim": 8, "ahead": (1, 1, 0)},
}


def write_takes(folder: Path, clips: int = 4, mesh: bool = True) -> Path:
    """An ordinary folder: bursts of noise, and a mesh of 8 vertices (or two weights) that follows them."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(clips)
    neutral = np.random.default_rng(5).standard_normal((8, 3)).astype(np.float32)
    shape = np.random.default_rng(6).standard_normal((8, 3)).astype(np.float32)
    for i in range(clips):
        loud = np.repeat(np.r_[0, rng.integers(0, 2, 9)], 3200)
        soundfile.write(folder / f"{i}.wav", rng.standard_normal(32000) * (0.2 * loud + 0.0001), 16000)
        open_ = 0.5 * loud[(np.arange(50) * 640)].astype(np.float32)
        if mesh:
            np.save(folder / f"{i}.npy", neutral + open_[:, None, None] * shape)
        else:
            rows = [f"{x},{x / 2}" for x in open_]
            (folder / f"{i}.csv").write_text("\n".join(["jawOpen,puff", *rows]))
    (folder / "fps.txt").write_text("25")
    (folder / "lips.txt").write_text("0 1 2")
    return folder


def make_set(folder: Path, mesh: bool = True, annotation: str | None = None) -> Dataset:
    source = write_takes(folder.parent / f"{folder.name}-takes", mesh=mesh)
    unit = "cm" if mesh else None
    return open_dataset(import_folder(source, folder, FolderOptions(annotation=annotation, unit=unit)).folder)


def save_model(folder: Path, dataset: Dataset, annotation: Annotation, seed: int = 0) -> Path:
    """A small model whose head is not at zero, as a model folder."""
    torch.manual_seed(seed)
    names = {
        "identities": [f"{dataset.name}/{s}" for s in dataset.subjects],
        "heads": {annotation.name: annotation.head_dim},
        "default_annotation": annotation.name,
    }
    model = UniTalker(UniTalkerConfig.parse(SMALL | names))
    for head in model.heads.values():
        torch.nn.init.normal_(head.weight, std=0.1)
    return checkpoint.save(folder, model, {annotation.name: annotation})


def by_hand(folder: Path, dataset: Dataset, clip_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction (T, D) of one clip, by the model's own forward pass."""
    clip = next(c for c in dataset.clips if c.id == clip_id)
    bundle = checkpoint.load(folder)
    samples = torch.tensor(soundfile.read(dataset.path(clip.audio), dtype="float32")[0])[None]
    truth = np.asarray(dataset.motion(clip))
    who = bundle.model.embed({f"{dataset.name}/{clip.subject}": 1.0})
    name = dataset.annotation
    with torch.inference_mode():
        made = bundle.model(samples, who, dataset.fps, len(truth), [name])[name][0].numpy()
    return truth, bundle.annotations[name].decode(made)


def test_table_of_vertices_is_what_the_formulas_say(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set")
    card = load_card(tmp_path / "set" / "annotations" / "set.json")
    old, new = (save_model(tmp_path / f"m{i}", dataset, card, i) for i in range(2))
    found = compare(dataset, Animator(checkpoint.load(new)), Animator(checkpoint.load(old)))
    (clip,) = [c for c in dataset.clips if c.split == "val"]
    for folder, figures in ((old, found.before), (new, found.after)):
        truth, made = (x.reshape(50, 8, 3).astype(np.float64) for x in by_hand(folder, dataset, clip.id))
        distance = np.linalg.norm(truth - made, axis=2)
        assert figures["LVE"] == pytest.approx((distance[:, :3].max(1) ** 2).mean(), rel=1e-4)
        assert figures["LVD"] == pytest.approx(distance[:, :3].max(1).mean(), rel=1e-4)
        assert figures["MVE"] == pytest.approx(distance.mean(), rel=1e-4)
    rows = table([found], "old", "new").splitlines()
    change = 100 * (found.after["MVE"] / found.before["MVE"] - 1)
    mve = f"| {found.before['MVE'] * 10:.4g} | {found.after['MVE'] * 10:.4g} | {change:+.1f} % |"
    assert rows[0] == "| on | figure | before: old | after: new | change |"
    assert rows[-1] == "| set val, 1 clips | MVE, mm " + mve and len(rows) == 5


def test_before_a_new_annotation_stands_the_resting_face(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set", mesh=False)
    card = load_card(tmp_path / "set" / "annotations" / "set.json")
    model = save_model(tmp_path / "m", dataset, card)
    found = compare(dataset, Animator(checkpoint.load(model)), None)
    (clip,) = [c for c in dataset.clips if c.split == "val"]
    jaw = np.asarray(dataset.motion(clip))[:, dataset.names.index("jawOpen")]
    rig = builtin_head()
    shape = np.linalg.norm(rig.shapes[rig.shape_names.index("jawOpen")], axis=1)
    lips = shape[np.asarray(rig.regions["lips"])].max()
    assert found.unit == "m" and found.before["LVD"] == pytest.approx(np.mean(jaw * lips), rel=1e-4)
    assert found.before["LVE"] == pytest.approx(np.mean((jaw * lips) ** 2), rel=1e-4)
    assert found.before["MVE"] == pytest.approx(np.mean(jaw) * shape.mean(), rel=1e-4)


def test_numbers_without_a_mesh_have_their_own_error(tmp_path: Path) -> None:
    source = write_takes(tmp_path / "takes", clips=1, mesh=False)
    (source / "0.csv").write_text((source / "0.csv").read_text().replace("jawOpen", "blow"))
    dataset = open_dataset(import_folder(source, tmp_path / "set").folder)
    card = load_card(tmp_path / "set" / "annotations" / "set.json")
    model = save_model(tmp_path / "m", dataset, card)
    found = compare(dataset, Animator(checkpoint.load(model)), None)
    truth, made = by_hand(model, dataset, "0")
    assert found.before == {"RMS": pytest.approx(np.sqrt(np.square(truth).mean()), rel=1e-5)}
    assert found.after == {"RMS": pytest.approx(np.sqrt(np.square(truth - made).mean()), rel=1e-4)}
    assert found.split == "train" and "set has no validation clips: measured on train." in found.notes


def test_surfaces_of_weights_and_flame_are_posed_heads() -> None:
    rig = builtin_head()
    weights = np.random.default_rng(0).random((3, 52)).astype(np.float32)
    arkit = surface(weight_annotation("arkit52", rig))
    posed = rig.pose(rig.weights(weights, ARKIT)) - rig.vertices
    assert arkit is not None and np.abs(arkit.displacements(weights) - posed).max() < 1e-6
    annotation = flame_annotation(rig)
    flame = surface(annotation)
    assert flame is not None and flame.unit == "m" and flame.lips is not None
    codes = 0.1 * np.random.default_rng(1).standard_normal((2, annotation.head_dim)).astype(np.float32)
    rest = annotation.vertices(annotation.decode(np.zeros_like(codes)))
    moved = annotation.vertices(annotation.decode(codes)) - rest
    assert np.abs(flame.displacements(annotation.decode(codes)) - moved).max() < 1e-6
