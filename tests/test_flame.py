"""FLAME layer against naive loops with SciPy's rotations, gradients by torch, and models made from a rig."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from slow_flame import naive_skinning, random_flame
from unitalker.annotations.flame import DIM, FLAME_NAMES, PARENTS, FlameModel, load_flame, save_flame
from unitalker.annotations.flame_layer import FlameLayer, rotation_matrices
from unitalker.annotations.flame_rig import fit_hinge, flame_codes, flame_from_rig
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.errors import AnnotationError, RigError
from unitalker.rig import builtin_head
from unitalker.rig.rig import Rig

ASSETS = Path(__file__).parents[2] / "shared" / "assets"
needs_assets = pytest.mark.skipif(not ASSETS.is_dir(), reason="the public rigs (shared/assets) are absent")


def test_layer_matches_naive_skinning_with_all_joints() -> None:
    model, rng = random_flame(), np.random.default_rng(1)
    betas, pose = rng.standard_normal((3, 400)), 0.6 * rng.standard_normal((3, 5, 3))
    got = FlameLayer(model).from_pose(torch.tensor(betas).float(), torch.tensor(pose).float()).numpy()
    for frame in range(3):
        np.testing.assert_allclose(got[frame], naive_skinning(model, betas[frame], pose[frame]), atol=1e-6)


def test_413_numbers_turn_the_jaw_alone_and_rows_agree() -> None:
    model, rng = random_flame(), np.random.default_rng(2)
    values = rng.standard_normal((2, 3, DIM)).astype(np.float32)
    whole = FlameLayer(model)(torch.from_numpy(values)).numpy()
    assert whole.shape == (2, 3, 12, 3)
    pose = np.zeros((5, 3))
    pose[2] = values[1, 2, 400:403]
    np.testing.assert_allclose(whole[1, 2], naive_skinning(model, values[1, 2, :400], pose), atol=2e-6)
    rows = np.array([7, 0, 3])
    np.testing.assert_allclose(
        FlameLayer(model, rows)(torch.from_numpy(values)).numpy(), whole[:, :, rows], atol=1e-6
    )
    flat = values.reshape(-1, DIM)
    np.testing.assert_allclose(
        model.vertices(flat, rows, chunk=4), whole.reshape(-1, 12, 3)[:, rows], atol=1e-6
    )
    assert model.vertices(flat[:0]).shape == (0, 12, 3)
    with pytest.raises(AnnotationError, match="413 numbers a frame, not 400"):
        FlameLayer(model)(torch.zeros(1, 400))


def test_rotations_are_scipys_and_smooth_at_zero() -> None:
    vectors = np.random.default_rng(3).standard_normal((20, 3)) * np.logspace(-6, 0.5, 20)[:, None]
    got = rotation_matrices(torch.tensor(vectors)).numpy()
    np.testing.assert_allclose(got, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-9)
    zero = torch.zeros(3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(rotation_matrices, (zero,))


@pytest.mark.parametrize("at_rest", [True, False])
def test_gradients(at_rest: bool) -> None:
    layer = FlameLayer(random_flame(), [0, 5]).double()
    generator = torch.Generator().manual_seed(0)
    betas, jaw = (0.3 * torch.randn(2, n, generator=generator, dtype=torch.double) for n in (400, 3))
    jaw = jaw * 0 if at_rest else jaw
    assert torch.autograd.gradcheck(layer.from_jaw, (betas.requires_grad_(), jaw.requires_grad_()))


def _as_seen(model: FlameModel, codes: np.ndarray, active: tuple[int, ...]) -> np.ndarray:
    """Every vertex in centimetres of the numbers that move, by the second implementation."""
    numbers = np.zeros(DIM)
    numbers[list(active)] = codes
    pose = np.zeros((5, 3))
    pose[2] = numbers[400:403]
    return 100 * naive_skinning(model, numbers[:400], pose)


def test_loss_and_lips_are_those_of_naive_skinning_in_value_and_slope() -> None:
    model, rng = random_flame(), np.random.default_rng(5)
    active, rows, lips = (0, 300, 399, 400, 401, 402, 405), (2, 9, 4, 5), np.array([11, 4])
    facts: dict[str, Any] = {"active": active, "model": model, "rows": rows, "head_weight": 0.1}
    face = FlameAnnotation("f", 30, "flame", FLAME_NAMES, regions={"lips": lips}, **facts)
    codes, true = 0.4 * rng.standard_normal((2, 3, len(active)))

    def naive(moved: np.ndarray) -> float:
        apart = [
            _as_seen(model, m, active) - _as_seen(model, t, active) for m, t in zip(moved, true, strict=True)
        ]
        vertex = np.square(np.stack(apart)[:, list(rows)]).mean((1, 2))
        return float((vertex + 0.1 * np.square(moved - true).mean(1)).sum())

    guess = torch.tensor(codes, requires_grad=True)
    loss = face.loss(guess, torch.tensor(true)).sum()
    assert loss.item() == pytest.approx(naive(codes), rel=1e-7)
    (slope,) = torch.autograd.grad(loss, guess)
    step = 1e-6
    for place in np.ndindex(codes.shape):
        nudge = np.zeros_like(codes)
        nudge[place] = step
        across = (naive(codes + nudge) - naive(codes - nudge)) / (2 * step)
        assert float(slope[place]) == pytest.approx(across, rel=1e-5, abs=1e-6)
    seen = np.stack([_as_seen(model, c, active)[lips] / 100 - model.v_template[lips] for c in codes])
    np.testing.assert_allclose(face.lips(guess).detach().numpy(), seen, atol=1e-8)
    with torch.autocast("cpu", torch.bfloat16):
        low = face.loss(guess.detach().float(), torch.tensor(true).float())
    torch.testing.assert_close(low.double().sum(), loss.detach(), rtol=1e-4, atol=0)


def test_files_round_trip_and_official_names_load(tmp_path: Path) -> None:
    model = dataclasses.replace(
        random_flame(), expression_names=("a", "b"), jaw_open=np.array([0.3, 0, 0], np.float32)
    )
    back = load_flame(save_flame(model, tmp_path / "own.npz"))
    for field in dataclasses.fields(model):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(model, field.name))
    official = {
        "v_template": model.v_template.astype(np.float64),
        "shapedirs": model.shapedirs,
        "posedirs": model.posedirs.T.reshape(-1, 3, 36),
        "J_regressor": model.J_regressor,
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "weights": model.weights,
        "f": model.faces.astype(np.uint32),
    }
    np.savez(tmp_path / "flame.npz", **official)
    loaded = load_flame(tmp_path / "flame.npz")
    assert loaded.parents == PARENTS and loaded.expression_names == ()
    np.testing.assert_array_equal(loaded.posedirs, model.posedirs)
    from safetensors.numpy import save_file

    plain = {name: np.ascontiguousarray(value) for name, value in official.items()}
    save_file(plain, tmp_path / "flame.safetensors")
    np.testing.assert_array_equal(load_flame(tmp_path / "flame.safetensors").shapedirs, model.shapedirs)


def test_broken_files_and_arrays_are_told(tmp_path: Path) -> None:
    model = random_flame()
    with pytest.raises(AnnotationError, match="A pickle can run code"):
        load_flame(tmp_path / "flame.pkl")
    with pytest.raises(AnnotationError, match="no FLAME file"):
        load_flame(tmp_path / "none.npz")
    np.savez(tmp_path / "part.npz", v_template=model.v_template)
    with pytest.raises(AnnotationError, match="lacks the FLAME array"):
        load_flame(tmp_path / "part.npz")
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(AnnotationError, match=r"x\.safetensors"):
        load_flame(tmp_path / "x.safetensors")
    with pytest.raises(AnnotationError, match=r"posedirs has shape .* must be \(36, 36\)"):
        dataclasses.replace(model, posedirs=model.posedirs[:9])
    with pytest.raises(AnnotationError, match="must sum to 1"):
        dataclasses.replace(model, weights=model.weights * 2)
    with pytest.raises(AnnotationError, match="follow their parents"):
        dataclasses.replace(model, parents=(-1, 2, 1, 1, 1))
    with pytest.raises(AnnotationError, match="outside the 12"):
        dataclasses.replace(model, faces=np.array([[0, 1, 12]]))


def test_413_names_in_order() -> None:
    assert len(FLAME_NAMES) == DIM == len(set(FLAME_NAMES))
    assert FLAME_NAMES[300] == "expression0" and FLAME_NAMES[400] == "jaw.x" and FLAME_NAMES[412] == "scale"


def _hinged(angle: float = 0.3) -> tuple[Rig, np.ndarray]:
    """A cloud whose lower half turns as a jaw about a known hinge, with two more shapes."""
    rng = np.random.default_rng(9)
    vertices = rng.uniform([-0.07, -0.1, 0.0], [0.07, 0.1, 0.12], (400, 3))
    hinge = np.array([0.0, 0.02, 0.01])
    jaw = (vertices[:, 1] < -0.02) & (vertices[:, 2] > 0.05)
    turn = Rotation.from_rotvec([angle, 0, 0])
    shapes = np.zeros((3, 400, 3), np.float32)
    shapes[0, jaw] = (turn.apply(vertices - hinge) + hinge - vertices)[jaw]
    shapes[1, :50, 0], shapes[2, 300:, 2] = 0.01, 0.005
    rig = Rig(
        "cloud", vertices.astype(np.float32), np.array([[0, 1, 2]]), ("jawOpen", "smile", "pucker"), shapes
    )
    return rig, hinge


def test_the_hinge_of_a_real_rotation_is_found() -> None:
    rig, hinge = _hinged(0.3)
    angle, found = fit_hinge(rig.vertices.astype(float), rig.shape("jawOpen").astype(float))
    assert angle == pytest.approx(0.3, abs=1e-4)
    np.testing.assert_allclose(found[1:], hinge[1:], atol=1e-4)
    model = flame_from_rig(rig)
    joints = model.J_regressor @ model.v_template
    np.testing.assert_allclose(joints[2], found, atol=1e-6)
    share = model.weights[:, 2]
    np.testing.assert_allclose(share, rig.shapes[0].any(1).astype(float), atol=1e-3)
    closing = dataclasses.replace(rig, shapes=-rig.shapes)
    with pytest.raises(RigError, match="opens no jaw"):
        flame_from_rig(closing)
    with pytest.raises(RigError, match="moves nothing"):
        flame_from_rig(dataclasses.replace(rig, shapes=rig.shapes * 0))


def test_codes_by_name() -> None:
    rig, _ = _hinged()
    model = flame_from_rig(rig)
    codes = flame_codes(np.array([[0.5, 9.0, 1.0]]), ["pucker", "unheard", "jawOpen"], model)
    assert codes.shape == (1, DIM) and model.expression_names == ("smile", "pucker")
    assert codes[0, 301] == 0.5 and codes[0, 300] == 0 and codes[0, 400] == model.jaw_open[0]
    assert codes[0, 403:409].tolist() == [1, 0, 0, 0, 1, 0] and codes[0, 412] == 1
    with pytest.raises(AnnotationError, match="3 names do not fit"):
        flame_codes(np.zeros((2, 4)), ["a", "b", "c"], model)
    with pytest.raises(AnnotationError, match="does not say which expression"):
        flame_codes(np.zeros((2, 1)), ["a"], random_flame())


@needs_assets
def test_a_model_of_a_real_rig_follows_its_weights() -> None:
    with np.load(ASSETS / "makehuman_arkit" / "makehuman_head_arkit.npz") as stored:
        rig = Rig(
            "makehuman",
            (stored["neutral"] / 100).astype(np.float32),
            stored["triangles"],
            tuple(str(n) for n in stored["arkit_names"]),
            (stored["arkit_deltas"] / 100).astype(np.float32),
        )
    _follows(rig)


def test_a_model_of_the_builtin_head_follows_its_weights() -> None:
    _follows(builtin_head())


def _follows(rig: Rig) -> None:
    """Largest error in millimetres of the model's vertices: opening alone, and all weights small."""
    model = flame_from_rig(rig)
    jaw = rig.shape_names.index("jawOpen")
    weights = np.zeros((3, len(rig.shape_names)), np.float32)
    weights[:, jaw] = 0.1, 0.5, 1.0
    weights = np.concatenate([weights, np.random.default_rng(0).uniform(0, 0.1, (5, weights.shape[1]))])
    true = rig.pose(weights.astype(np.float32))
    made = model.vertices(flame_codes(weights, rig.shape_names, model))
    error = 1000 * np.linalg.norm(made - true, axis=2).max(1)
    moved = 1000 * np.linalg.norm(true - rig.vertices, axis=2).max(1)
    assert error[2] < 0.01
    assert (error[:2] < 0.06 * moved[:2]).all() and (error[3:] < 0.1 * moved[3:]).all()
