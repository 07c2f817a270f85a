"""A FLAME-format model made from a rig of ARKit blendshapes, so that no licensed file is needed.

Expressions are the rig's shapes by name, jawOpen excepted: it becomes the rotation of a jaw joint, found as
the hinge that explains the shape's displacements best in the least squares sense. What the rotation leaves
over at jawOpen = 1 goes into the pose blendshapes, so that the open jaw is exact there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unitalker.annotations.flame import (
    BETAS,
    DIM,
    EXPRESSION,
    JAW,
    JAW_JOINT,
    PARENTS,
    REST_ROTATION,
    ROTATION,
    SCALE,
    SHAPE,
    FlameModel,
)
from unitalker.errors import AnnotationError, RigError
from unitalker.rig.rig import Rig

_FIRST = 9 * (JAW_JOINT - 1)
SINE_ROWS, COSINE_ROWS = (_FIRST + 7, _FIRST + 5), (_FIRST + 4, _FIRST + 8)
"""Pose features of the jaw that hold +sin θ and −sin θ, and twice cos θ − 1, of a rotation about x."""


def flame_from_rig(rig: Rig) -> FlameModel:
    """FLAME-format model of a rig in metres: up to 100 expressions and 300 shapes (its identity shapes).

    Raises RigError when the rig has no jawOpen, or one that is no rotation about the left-right axis.
    """
    vertices = rig.vertices.astype(np.float64)
    opening = rig.shape("jawOpen").astype(np.float64)
    angle, hinge = fit_hinge(vertices, opening)
    turned = _turned(vertices, angle, hinge) - vertices
    jaw_weight = _skinning(opening, turned)
    weights = np.zeros((len(vertices), len(PARENTS)))
    weights[:, JAW_JOINT] = jaw_weight
    weights[:, 1] = 1 - jaw_weight
    names = tuple(n for n in rig.shape_names if n != "jawOpen")[:EXPRESSION]
    return FlameModel(
        v_template=rig.vertices.astype(np.float32),
        shapedirs=_directions(rig, names),
        posedirs=_correctives(vertices, opening, jaw_weight, angle, hinge),
        J_regressor=_regressor(vertices, _joints(rig, hinge)).astype(np.float32),
        parents=PARENTS,
        weights=weights.astype(np.float32),
        faces=np.asarray(rig.faces, np.int32),
        expression_names=names,
        jaw_open=np.array([angle, 0.0, 0.0], np.float32),
    )


def flame_codes(weights: np.ndarray, names: Sequence[str], model: FlameModel) -> np.ndarray:
    """ARKit weights (T, D) by name → the 413 FLAME numbers (T, 413) of a model made by `flame_from_rig`.

    jawOpen turns the jaw in proportion; the other weights are the expression betas. Shape, rotation and
    translation rest, scale is 1. Names that the model lacks are left out.
    Raises AnnotationError for a model without ARKit names and for a width that does not fit the names.
    """
    weights = np.asarray(weights, np.float32)
    if model.jaw_open is None or not model.expression_names:
        raise AnnotationError(
            "This FLAME model does not say which expression is which ARKit shape; use one of flame_from_rig."
        )
    if weights.ndim != 2 or weights.shape[1] != len(names):
        raise AnnotationError(f"{len(names)} names do not fit weights of shape {weights.shape}.")
    out = np.zeros((len(weights), DIM), np.float32)
    column = {n: i for i, n in enumerate(names)}
    for k, name in enumerate(model.expression_names):
        if name in column:
            out[:, SHAPE + k] = weights[:, column[name]]
    if "jawOpen" in column:
        out[:, JAW] = weights[:, column["jawOpen"], None] * model.jaw_open
    out[:, ROTATION] = REST_ROTATION
    out[:, SCALE] = 1.0
    return out


def fit_hinge(vertices: np.ndarray, opening: np.ndarray, rounds: int = 8) -> tuple[float, np.ndarray]:
    """(angle in rad, (3,) point) of the rotation about the x axis that fits displacements (V, 3) best.

    Rigid fit in the (y, z) plane (Kabsch in two dimensions) on the vertices that move with the whole jaw;
    those are found again from the fit a few times. Raises RigError where no jaw opens.
    """
    size = np.linalg.norm(opening, axis=1)
    if size.max() <= 0:
        raise RigError("The rig's jawOpen moves nothing, so it has no jaw joint.")
    core = size > 0.75 * size.max()
    angle, hinge = 0.0, np.zeros(3)
    for _ in range(rounds):
        angle, point = _rigid(vertices[core, 1:], vertices[core, 1:] + opening[core, 1:])
        if not 0.01 <= angle <= 1.5:
            raise RigError(f"The rig's jawOpen opens no jaw: its best hinge turns {angle:.3f} rad.")
        hinge = np.array([vertices[:, 0].mean(), *point])
        share = _skinning(opening, _turned(vertices, angle, hinge) - vertices)
        again = (share > 0.9) & (size > 0.3 * size.max())
        if again.sum() < 12 or (again == core).all():
            break
        core = again
    return angle, hinge


def _rigid(before: np.ndarray, after: np.ndarray) -> tuple[float, np.ndarray]:
    """(angle, fixed point) of the plane rotation that carries points (N, 2) to others in least squares."""
    p, q = before - before.mean(0), after - after.mean(0)
    angle = float(np.arctan2((p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum(), (p * q).sum()))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = after.mean(0) - turn @ before.mean(0)
    if abs(angle) < 1e-6:
        return angle, before.mean(0)
    return angle, np.linalg.solve(np.eye(2) - turn, shift)


def _turned(points: np.ndarray, angle: float, hinge: np.ndarray) -> np.ndarray:
    sine, cosine = np.sin(angle), np.cos(angle)
    turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    return (points - hinge) @ turn.T + hinge


def _skinning(moved: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """(V,) in [0, 1]: the share of the full rotation that fits each vertex's displacement best."""
    power = np.maximum(np.square(turned).sum(1), 1e-12)
    return np.clip((moved * turned).sum(1) / power, 0.0, 1.0)


def _correctives(
    vertices: np.ndarray, opening: np.ndarray, share: np.ndarray, angle: float, hinge: np.ndarray
) -> np.ndarray:
    """Pose blendshapes (36, 3V) with which the jaw at angle θ moves by sin θ / sin(angle) times `opening`.

    P(θ) = sin θ · A + (cos θ − 1) · C. C undoes the arc's sag, A is what makes θ = angle exact.
    """
    arm = (vertices - hinge) * [0.0, 1.0, 1.0]
    sag = -share[:, None] * arm
    left = opening - share[:, None] * (_turned(vertices, angle, hinge) - vertices)
    slope = (_untwisted(left, share, angle) - (np.cos(angle) - 1) * sag) / np.sin(angle)
    out = np.zeros((9 * (len(PARENTS) - 1), vertices.size), np.float32)
    for row, sign in zip(SINE_ROWS, (0.5, -0.5), strict=True):
        out[row] = sign * slope.ravel()
    for row in COSINE_ROWS:
        out[row] = 0.5 * sag.ravel()
    return out


def _untwisted(left: np.ndarray, share: np.ndarray, angle: float) -> np.ndarray:
    """Displacements whose skinned image is `left`: each vertex's blended rotation is inverted."""
    sine, cosine = np.sin(angle), np.cos(angle)
    y = 1 - share * (1 - cosine)
    norm = y**2 + (share * sine) ** 2
    out = left.copy()
    out[:, 1] = (y * left[:, 1] + share * sine * left[:, 2]) / norm
    out[:, 2] = (y * left[:, 2] - share * sine * left[:, 1]) / norm
    return out


def _directions(rig: Rig, names: Sequence[str]) -> np.ndarray:
    out = np.zeros((len(rig.vertices), 3, BETAS.stop), np.float32)
    for k, name in enumerate(names):
        out[:, :, SHAPE + k] = rig.shape(name)
    if rig.identity_shapes is not None:
        for k, shape in enumerate(rig.identity_shapes[:SHAPE]):
            out[:, :, k] = shape
    return out


def _joints(rig: Rig, hinge: np.ndarray) -> np.ndarray:
    """(5, 3) places of head, neck, jaw and eyes; eyes from the region "eyes" where there is one."""
    vertices = rig.vertices.astype(np.float64)
    low, high = vertices.min(0), vertices.max(0)
    neck = np.array([hinge[0], low[1] + 0.25 * (high[1] - low[1]), hinge[2]])
    base = np.array([hinge[0], low[1], hinge[2]])
    eyes = vertices[np.asarray(rig.regions["eyes"])] if "eyes" in rig.regions else vertices
    sides = [eyes[side] for side in (eyes[:, 0] > hinge[0], eyes[:, 0] <= hinge[0])]
    return np.stack([base, neck, hinge, *(s.mean(0) if len(s) else hinge for s in sides)])


def _regressor(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(J, V) rows that sum to 1 and give the joints from the vertices exactly, of the smallest norm."""
    system = np.concatenate([np.ones((1, len(vertices))), vertices.T])
    wanted = np.concatenate([np.ones((1, len(joints))), joints.T])
    return (system.T @ np.linalg.solve(system @ system.T, wanted)).T
