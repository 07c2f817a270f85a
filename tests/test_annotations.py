"""Annotations against closed forms, NumPy and themselves read back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unitalker.annotations import builtin
from unitalker.annotations.base import quadratic
from unitalker.annotations.blendshapes import BlendshapeAnnotation, rig_gram
from unitalker.annotations.cards import load_card, save_card
from unitalker.annotations.layouts import layout
from unitalker.annotations.pca import fit_basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.errors import AnnotationError
from unitalker.motion import Motion, frame_count, resample
from unitalker.rig import builtin_head

ARKIT = layout("arkit52").names


def low_rank(rng: np.random.Generator, frames: int = 200, rank: int = 6, dim: int = 90) -> np.ndarray:
    return (rng.standard_normal((frames, rank)) * np.geomspace(1, 0.05, rank)) @ rng.standard_normal(
        (rank, dim)
    )


def test_a_basis_about_rest_keeps_rest_at_rest() -> None:
    basis = fit_basis([low_rank(np.random.default_rng(1))], 4)
    assert not basis.encode(np.zeros((1, 90), np.float32)).any()


def test_vertex_loss_equals_decoded_mean_squared_error() -> None:
    rng = np.random.default_rng(2)
    data = low_rank(rng).astype(np.float32)
    face = VertexAnnotation("f", 25, "m", vertex_names(30), basis=fit_basis([data], 6), head_weight=0.0)
    true = face.encode(data)
    guess = true + rng.standard_normal(true.shape).astype(np.float32)
    naive = np.square(face.decode(guess) - face.decode(true)).mean(1)
    fast = face.loss(torch.tensor(guess), torch.tensor(true)).numpy()
    assert np.allclose(fast, naive, rtol=1e-3)


def test_gram_loss_equals_posed_vertices() -> None:
    rig = builtin_head()
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0, 1, (2, 5, 52)).astype(np.float32)
    face = BlendshapeAnnotation(
        "w", 60, "weight", ARKIT, gram=rig_gram(rig, ARKIT, unit=0.01), head_weight=0.0
    )
    posed = 100 * (rig.pose(rig.weights(a, ARKIT)) - rig.pose(rig.weights(b, ARKIT)))
    assert np.allclose(
        face.loss(torch.tensor(a), torch.tensor(b)).numpy(), np.square(posed).mean((1, 2)), rtol=1e-3
    )


def test_gradient_of_quadratic_form_is_2_g_delta() -> None:
    gram = torch.randn(4, 4, dtype=torch.float64)
    gram = gram @ gram.T
    delta = torch.randn(4, dtype=torch.float64, requires_grad=True)
    quadratic(delta, gram).backward()
    assert delta.grad is not None
    assert torch.allclose(delta.grad, 2 * gram @ delta.detach())


def test_lip_gap_of_codes_is_the_gap_of_the_mesh() -> None:
    from unitalker.rig.lips import inner_lips

    rig = builtin_head()
    rng = np.random.default_rng(4)
    weights = rng.uniform(0, 0.5, (40, 52)).astype(np.float32)
    moved = builtin.displacements("face", rig, weights, ARKIT)
    face = builtin.mesh_annotation("face", rig, [moved])
    upper, lower = inner_lips(rig)
    height = rig.pose(rig.weights(weights, ARKIT))[..., 1]
    rest = rig.vertices[upper, 1].mean() - rig.vertices[lower, 1].mean()
    gap = 100 * (height[:, upper].mean(1) - height[:, lower].mean(1) - rest)
    assert face.gap is not None
    assert np.allclose(face.encode(moved) @ face.gap, gap, atol=0.02)
    arkit = builtin.weight_annotation("arkit52", rig)
    assert arkit.gap is not None
    assert np.allclose(weights @ arkit.gap, gap, atol=1e-3)


@pytest.mark.parametrize("kind", ["blendshapes", "vertices", "flame"])
def test_cards_read_back(kind: str, tmp_path: Path) -> None:
    rig = builtin_head()
    rng = np.random.default_rng(5)
    weights = rng.uniform(0, 0.5, (60, 52)).astype(np.float32)
    if kind == "blendshapes":
        face = builtin.weight_annotation("arkit52", rig)
        codes = weights
    elif kind == "vertices":
        moved = builtin.displacements("face", rig, weights, ARKIT)
        face = builtin.mesh_annotation("face", rig, [moved], 40)
        codes = face.encode(moved)
    else:
        face = builtin.flame_annotation(rig)
        codes = rng.standard_normal((60, face.head_dim)).astype(np.float32)
    save_card(face, tmp_path)
    again = load_card(tmp_path / f"{face.name}.json")
    assert (again.names, again.fps, again.unit, again.kind) == (face.names, face.fps, face.unit, face.kind)
    assert np.array_equal(again.decode(codes), face.decode(codes))
    assert again.arrays().keys() == face.arrays().keys()
    assert all(np.array_equal(v, face.arrays()[k]) for k, v in again.arrays().items())
    save_card(face, tmp_path / "small", half=True)
    small = load_card(tmp_path / "small" / f"{face.name}.json")
    size = np.abs(face.decode(codes)).max()
    assert np.abs(small.decode(codes) - face.decode(codes)).max() < 2e-3 * size
    whole, half = ((tmp_path / part / f"{face.name}.npz").stat().st_size for part in ("", "small"))
    assert half < 0.7 * whole


def test_weights_without_bounds_read_back_and_are_not_clipped(tmp_path: Path) -> None:
    face = BlendshapeAnnotation("free", 30, "weight", ("a", "b"), bounds=None)
    save_card(face, tmp_path)
    assert json.loads((tmp_path / "free.json").read_text())["bounds"] is None
    again = load_card(tmp_path / "free.json")
    assert again.decode(np.array([[-1.5, 2.0]])).tolist() == [[-1.5, 2.0]]
    save_card(dataclasses.replace(face, bounds=(0.0, 1.0)), tmp_path)
    assert load_card(tmp_path / "free.json").decode(np.array([[-1.5, 2.0]])).tolist() == [[0.0, 1.0]]


def test_card_errors_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"kind": "blendshape"}')
    with pytest.raises(AnnotationError, match="did you mean 'blendshapes'"):
        load_card(tmp_path / "x.json")
    with pytest.raises(AnnotationError, match="not a readable annotation card"):
        load_card(tmp_path / "y.json")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[1]", "no JSON object"),
        ('{"kind": "flame", "name": "../out"}', "unlike its file"),
        ('{"kind": "flame", "name": "x"}', "no whole annotation card"),
    ],
)
def test_broken_cards_are_told(text: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(AnnotationError, match=what):
        load_card(tmp_path / "x.json")


def test_flame_numbers_round_trip_and_skin() -> None:
    from unitalker.annotations.flame_rig import flame_codes

    face = builtin.flame_annotation(builtin_head())
    assert face.model is not None
    weights = np.random.default_rng(6).uniform(0, 0.3, (4, 52)).astype(np.float32)
    values = flame_codes(weights, ARKIT, face.model)
    assert np.allclose(face.decode(face.encode(values)), values, atol=1e-6)
    assert float(face.loss(torch.tensor(face.encode(values)), torch.tensor(face.encode(values))).max()) == 0
    apart = face.vertices(values) - face.vertices(face.decode(np.zeros((1, face.head_dim), np.float32)))
    rows = np.array(face.rows)
    bare = dataclasses.replace(face, head_weight=0.0)
    loss = bare.loss(torch.tensor(face.encode(values)), torch.zeros(4, face.head_dim))
    assert np.allclose(loss.numpy(), np.square(100 * apart[:, rows]).mean((1, 2)), rtol=1e-3)


def test_unnamed_and_misnamed_motion_is_refused() -> None:
    with pytest.raises(AnnotationError, match="each column needs its name"):
        Motion(np.zeros((3, 4)), ("a",), 25, "x", "weight")
    with pytest.raises(AnnotationError, match="stands twice"):
        Motion(np.zeros((3, 2)), ("a", "a"), 25, "x", "weight")
    with pytest.raises(AnnotationError, match="NaN"):
        Motion(np.full((3, 1), np.nan), ("a",), 25, "x", "weight")
    with pytest.raises(AnnotationError, match="frames of 52 numbers"):
        builtin.weight_annotation("arkit52", builtin_head()).encode(np.zeros((2, 51)))


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 400), st.sampled_from([24.0, 25.0, 30.0, 60.0]), st.sampled_from([24.0, 25.0, 30.0, 60.0])
)
def test_resampling_keeps_a_straight_line(frames: int, fps: float, to: float) -> None:
    line = np.arange(frames, dtype=np.float32)[:, None] / fps
    out = resample(Motion(line, ("t",), fps, "x", "s"), to)
    assert len(out) == frame_count(frames / fps, to)
    want = np.minimum(np.arange(len(out)) / to, (frames - 1) / fps)
    assert np.allclose(out.values[:, 0], want, atol=1e-4)
