"""The loss in coefficient space against the naive form that decodes every vertex: equal in value and in gradient."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unitalker.annotations import builtin
from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.layouts import layout
from unitalker.annotations.pca import Basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.errors import AnnotationError
from unitalker.rig import builtin_head

VERTICES, SIZE, LIPS = 17, 6, np.array([3, 0, 11])
FORMS = ("orthonormal", "not orthonormal", "no basis")


def a_basis(form: str, rng: np.random.Generator) -> Basis | None:
    """A basis over 51 coordinates with a mean and a scale, in double precision."""
    if form == "no basis":
        return None
    directions = rng.standard_normal((3 * VERTICES, SIZE))
    components = (np.linalg.qr(directions)[0] if form == "orthonormal" else 0.3 * directions).T
    return Basis(rng.standard_normal(3 * VERTICES), components, float(rng.uniform(0.2, 3.0)))


def a_face(form: str, rng: np.random.Generator, head_weight: float = 0.01) -> VertexAnnotation:
    return VertexAnnotation(
        "f",
        25,
        "m",
        vertex_names(VERTICES),
        regions={"lips": LIPS},
        basis=a_basis(form, rng),
        head_weight=head_weight,
    )


def decoded(basis: Basis | None, codes: torch.Tensor) -> torch.Tensor:
    """Eq. 1 for every coordinate."""
    if basis is None:
        return codes
    return codes * basis.scale @ torch.as_tensor(basis.components) + torch.as_tensor(basis.mean)


def value_and_gradient(loss: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    (gradient,) = torch.autograd.grad(
        (loss * torch.linspace(0.5, 2, loss.numel()).view_as(loss)).sum(), codes
    )
    return loss.detach(), gradient


def vertex_case(
    form: str, seed: int
) -> tuple[VertexAnnotation, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A face, true coordinates (2, 5, 3V) outside the basis too, their codes and residual, and predicted codes."""
    rng = np.random.default_rng(seed)
    face = a_face(form, rng)
    values = rng.standard_normal((2, 5, 3 * VERTICES))
    true = torch.as_tensor(values if face.basis is None else face.basis.encode(values))
    residual = (torch.as_tensor(values) - decoded(face.basis, true)).square().sum(-1)
    predicted = torch.as_tensor(rng.standard_normal(tuple(true.shape))).requires_grad_()
    return face, torch.as_tensor(values), true, residual, predicted


@pytest.mark.parametrize("form", FORMS)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_vertex_loss_is_that_of_decoded_vertices(form: str, seed: int) -> None:
    face, values, true, residual, predicted = vertex_case(form, seed)
    vertex = (decoded(face.basis, predicted) - values).square().mean(-1)
    naive = vertex + 0.01 * (predicted - true).square().mean(-1)
    want = value_and_gradient(naive, predicted)
    exact = value_and_gradient(face.loss(predicted, true, residual=residual), predicted)
    torch.testing.assert_close(exact, want, rtol=1e-9, atol=1e-11)
    open_end, gradient = value_and_gradient(face.loss(predicted, true), predicted)
    torch.testing.assert_close(gradient, want[1], rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(open_end + residual / values.shape[-1], want[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("form", FORMS)
def test_masked_codes_cost_nothing(form: str) -> None:
    face, _, true, _, predicted = vertex_case(form, 1)
    mask = torch.ones(true.shape[-1], dtype=torch.double)
    mask[::2] = 0
    corrected = torch.where(mask > 0, predicted, true)
    want = value_and_gradient(face.loss(corrected, true), predicted)
    torch.testing.assert_close(value_and_gradient(face.loss(predicted, true, mask), predicted), want)
    assert not want[1][..., ::2].any()


def test_the_gram_matrix_is_kept_only_where_it_is_needed() -> None:
    rng = np.random.default_rng(2)
    straight, skew = a_basis("orthonormal", rng), a_basis("not orthonormal", rng)
    assert straight is not None and skew is not None
    assert straight.gram is None
    assert dataclasses.replace(straight, components=straight.components.astype(np.float32)).gram is None
    assert dataclasses.replace(straight, components=straight.components.astype(np.float16)).gram is not None
    np.testing.assert_allclose(skew.gram, skew.components @ skew.components.T, rtol=1e-12)
    wide = np.linalg.qr(rng.standard_normal((9000, 3)))[0].T
    assert Basis(np.zeros(9000), wide).gram is None
    assert Basis(np.zeros(9000), wide * 1.1).gram is not None


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_weight_loss_and_lips_are_those_of_posed_vertices(bounds: tuple[float, float] | None) -> None:
    rng = np.random.default_rng(3)
    shapes, weight = rng.standard_normal((8, VERTICES, 3)), rng.uniform(0.5, 2, VERTICES)
    flat = (shapes * weight[:, None]).reshape(8, -1)
    gram = flat @ shapes.reshape(8, -1).T / (3 * weight.sum())
    names = tuple("abcdefgh")
    face = BlendshapeAnnotation(
        "w", 30, "weight", names, gram=gram, bounds=bounds, lip_shapes=shapes[:, LIPS], head_weight=1e-4
    )
    predicted = torch.as_tensor(rng.uniform(-0.5, 1.5, (2, 4, 8))).requires_grad_()
    true = torch.as_tensor(rng.uniform(0, 1, (2, 4, 8)))
    gap = torch.einsum("btk,kvc->btvc", predicted - true, torch.as_tensor(shapes))
    vertex = (gap.square().sum(-1) * torch.as_tensor(weight)).sum(-1) / (3 * weight.sum())
    naive = vertex + 1e-4 * (predicted - true).square().mean(-1)
    torch.testing.assert_close(
        value_and_gradient(face.loss(predicted, true), predicted), value_and_gradient(naive, predicted)
    )
    shown = predicted.detach() if bounds is None else predicted.detach().clamp(*bounds)
    posed = torch.einsum("btk,kvc->btvc", shown, torch.as_tensor(shapes))
    torch.testing.assert_close(face.lips(predicted).detach(), posed[:, :, LIPS])
    plain = predicted.detach()[0].numpy()
    assert np.allclose(face.decode(plain), shown[0].numpy(), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_lips_of_a_topology_are_the_lip_rows_of_its_decoded_vertices(form: str) -> None:
    face, _, _, _, predicted = vertex_case(form, 4)
    assert face.has_lips
    whole = decoded(face.basis, predicted).unflatten(-1, (-1, 3))
    torch.testing.assert_close(face.lips(predicted), whole[..., LIPS, :])


@pytest.mark.parametrize("name", ["arkit52", "arkit51"])
def test_lips_of_built_in_weights_are_those_of_the_posed_head(name: str) -> None:
    rig, names = builtin_head(), layout(name).names
    face = builtin.weight_annotation(name, rig)
    codes = np.random.default_rng(5).uniform(-0.2, 1.2, (3, len(names))).astype(np.float32)
    posed = rig.pose(rig.weights(face.decode(codes), names)) - rig.vertices
    got = face.lips(torch.as_tensor(codes)).numpy()
    np.testing.assert_allclose(got, posed[:, rig.regions["lips"]], atol=1e-6)


def test_faces_without_lips_say_so() -> None:
    names = vertex_names(2)
    faces: list[Annotation] = [
        VertexAnnotation("v", 25, "m", names),
        BlendshapeAnnotation("w", 25, "weight", ("a",)),
        dataclasses.replace(builtin.flame_annotation(builtin_head()), model=None),
    ]
    for face in faces:
        assert not face.has_lips
        with pytest.raises(AnnotationError, match=f"'{face.name}' knows no lips"):
            face.lips(torch.zeros(1, face.head_dim))


def test_autocast_leaves_vertex_errors_whole() -> None:
    for form in FORMS:
        face, _, true, residual, predicted = vertex_case(form, 6)
        codes, exact = predicted.detach().float(), true.float()
        plain = face.loss(codes, exact, residual=residual.float()), face.lips(codes)
        with torch.autocast("cpu", torch.bfloat16):
            low = face.loss(codes, exact, residual=residual.float()), face.lips(codes)
        torch.testing.assert_close(low, plain, rtol=0, atol=0)


def test_single_and_double_precision_agree_on_one_annotation() -> None:
    face, _, true, residual, predicted = vertex_case("not orthonormal", 7)
    single = face.loss(predicted.float(), true.float(), residual=residual.float())
    double = face.loss(predicted, true, residual=residual)
    assert single.dtype == torch.float32 and double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)
