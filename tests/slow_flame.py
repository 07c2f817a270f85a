"""A small random FLAME model, and its vertices the slow way: one at a time, with SciPy's rotations."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from unitalker.annotations.flame import PARENTS, FlameModel


def random_flame(count: int = 12) -> FlameModel:
    rng = np.random.default_rng(4)
    shapedirs = np.zeros((count, 3, 400))
    shapedirs[:, :, [0, 3, 300, 399]] = 0.02 * rng.standard_normal((count, 3, 4))
    regressor, weights = rng.uniform(0, 1, (5, count)), rng.uniform(0, 1, (count, 5))
    arrays: dict[str, Any] = {
        "v_template": 0.1 * rng.standard_normal((count, 3)),
        "shapedirs": shapedirs,
        "posedirs": 0.01 * rng.standard_normal((36, 3 * count)),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
    }
    arrays = {name: value.astype(np.float32) for name, value in arrays.items()}
    return FlameModel(**arrays, parents=PARENTS, faces=np.array([[0, 1, 2]], np.int32))


def naive_skinning(model: FlameModel, betas: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Eq. 4 vertex by vertex with 4 x 4 matrices: a second implementation to compare with."""
    count = len(model.v_template)
    shaped = model.v_template.astype(float).copy()
    for k in range(400):
        shaped += betas[k] * model.shapedirs[:, :, k]
    turns = [Rotation.from_rotvec(p).as_matrix() for p in pose]
    feature = np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]])
    bent = shaped + (feature @ model.posedirs).reshape(count, 3)
    joints = model.J_regressor @ shaped
    world: list[np.ndarray] = []
    for j, parent in enumerate(model.parents):
        local = np.eye(4)
        local[:3, :3] = turns[j]
        local[:3, 3] = joints[j] - (joints[parent] if j else 0)
        world.append(world[parent] @ local if j else local)
    out = np.zeros((count, 3))
    for v in range(count):
        blend = np.zeros((4, 4))
        for j in range(len(joints)):
            back = np.eye(4)
            back[:3, 3] = -joints[j]
            blend += model.weights[v, j] * (world[j] @ back)
        out[v] = (blend @ np.append(bent[v], 1))[:3]
    return out
