"""Numbers that a subject adds to every frame: taken off in training, put back in animation, in both sides of tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from slow_flame import naive_skinning, random_flame
from training_sets import cards, paper_run, write_clips
from unitalker.animation.animator import Animator
from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.cards import save_card
from unitalker.annotations.flame import DIM, FLAME_NAMES, save_flame
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.config import TrainConfig
from unitalker.models import checkpoint
from unitalker.models.unitalker import UniTalker
from unitalker.training.session import load_sources, model_config
from unitalker.training.sources import Source
from unitalker.training.table import compare

OWN = {"two/s0": np.linspace(-0.3, 0.4, 6), "two/s9": np.linspace(0.5, 0.1, 6)}
"""Of the dataset's subjects s0 has a template, s1 takes the first, as when it is animated."""


def weights_run(folder: Path) -> tuple[TrainConfig, BlendshapeAnnotation]:
    config, card = paper_run(folder), cards(folder)["weights"]
    assert isinstance(card, BlendshapeAnnotation)
    templates = {name: row.astype(np.float32) for name, row in OWN.items()}
    card = dataclasses.replace(card, templates=templates, bounds=None)
    save_card(card, folder / "cards")
    return config.model_copy(update={"sources": config.sources[1:]}), card


def untrained(folder: Path, config: TrainConfig) -> tuple[Animator, Source, dict[str, Annotation]]:
    """A model whose heads are zero, as before training."""
    (source,), faces, _ = load_sources(config, cards=folder / "cards")
    model = UniTalker(model_config(config, [source], faces))
    return Animator(checkpoint.load(checkpoint.save(folder / "model", model, faces))), source, faces


def test_training_takes_off_what_animation_adds(tmp_path: Path) -> None:
    config, _ = weights_run(tmp_path)
    animator, source, faces = untrained(tmp_path, config)
    for clip in source.clips:
        truth = np.load(tmp_path / "two" / clip.motion)
        codes = source.read(source.clips.index(clip)).codes
        assert codes is not None
        sound = soundfile.read(tmp_path / "two" / clip.audio, dtype="float32")
        resting = animator.animate(sound, annotations=["weights"], identity=f"two/{clip.subject}", fps=30)
        added = resting["weights"].values
        np.testing.assert_allclose(added, np.tile(OWN["two/s0"], (len(truth), 1)), atol=1e-6)
        np.testing.assert_allclose(faces["weights"].decode(codes) + added, truth, atol=1e-6)
    assert {clip.subject for clip in source.clips} == {"s0", "s1"}


def test_each_subject_has_its_own(tmp_path: Path) -> None:
    config, card = weights_run(tmp_path)
    other = OWN["two/s9"].astype(np.float32)
    save_card(dataclasses.replace(card, templates={**card.templates, "two/s1": other}), tmp_path / "cards")
    (source,), _, _ = load_sources(config, cards=tmp_path / "cards")
    for index, clip in enumerate(source.clips):
        codes = source.read(index).codes
        assert codes is not None
        own = OWN["two/s0"] if clip.subject == "s0" else other
        np.testing.assert_allclose(codes, np.load(tmp_path / "two" / clip.motion) - own, atol=1e-6)


def test_neutral_faces_of_meshes_are_not_taken_off(tmp_path: Path) -> None:
    config, card = paper_run(tmp_path), cards(tmp_path)["mesh"]
    assert isinstance(card, VertexAnnotation)
    faces = {"one/s0": np.ones((12, 3), np.float32)}
    codes: list[np.ndarray | None] = []
    for templates in ({}, faces):
        save_card(dataclasses.replace(card, templates=templates), tmp_path / "cards")
        codes.append(load_sources(config, cards=tmp_path / "cards")[0][0].read(0).codes)
    without, with_faces = codes
    assert without is not None and with_faces is not None and np.array_equal(without, with_faces)


def test_tables_measure_both_sides_with_it(tmp_path: Path) -> None:
    """A head of zeros is the resting face."""
    animator, source, _ = untrained(tmp_path, weights_run(tmp_path)[0])
    found = compare(source.dataset, animator, None)
    truth = np.load(tmp_path / "two" / "3.npy")
    by_hand = np.sqrt(np.square(truth - OWN["two/s0"]).mean())
    assert found.before == {"RMS": pytest.approx(by_hand, rel=1e-5)}
    assert found.after == {"RMS": pytest.approx(by_hand, rel=1e-5)}


def test_flame_numbers_go_the_same_way(tmp_path: Path) -> None:
    model = random_flame()
    paper_run(tmp_path)
    write_clips(tmp_path, "film", "dad", 30, [0.8, 0.7], 3)
    own = (0.2 * np.random.default_rng(1).standard_normal(DIM)).astype(np.float32)
    card = FlameAnnotation("dad", 30, "flame", FLAME_NAMES, templates={"film/s0": own}, relative=False)
    save_card(card, tmp_path / "cards")
    save_flame(model, tmp_path / "flame.npz")
    config = paper_run(
        tmp_path, sources=[{"path": str(tmp_path / "film")}], flame=str(tmp_path / "flame.npz")
    )
    (source,), faces, _ = load_sources(config, cards=tmp_path / "cards")
    codes, truth = source.read(0).codes, np.load(tmp_path / "film" / "0.npy")
    assert codes is not None
    back = faces["dad"].vertices(faces["dad"].decode(codes) + own)[5]
    pose = np.zeros((5, 3))
    pose[2] = truth[5, 400:403]
    np.testing.assert_allclose(back, naive_skinning(model, truth[5, :400], pose), atol=1e-6)
