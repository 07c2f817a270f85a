"""The differentiable FLAME layer: linear blend skinning of the paper's Eq. 4 in torch.

    vertices = W(T_rest(betas, pose), J(betas), pose, weights)
    T_rest = template + shapedirs · betas + posedirs · (R(pose[1:]) − I)

after Li et al., "Learning a model of facial shape and expression from 4D scans" (2017), Eq. 1 to 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from unitalker.annotations.flame import BETAS, DIM, JAW, JAW_JOINT, FlameModel
from unitalker.errors import AnnotationError


class FlameLayer(nn.Module):
    """Vertices of a FLAME model for batches of parameters, of all vertices or of the rows asked for.

    Joints need the whole mesh, but depend on the betas linearly, so they are kept as (J, 3) + (J, 3, B) and
    only the chosen rows are ever computed. Directions that are zero everywhere are left out.
    """

    template: torch.Tensor
    shapes: torch.Tensor
    poses: torch.Tensor
    joints: torch.Tensor
    joint_shapes: torch.Tensor
    skin: torch.Tensor
    used: torch.Tensor

    def __init__(self, model: FlameModel, rows: np.ndarray | Sequence[int] | None = None) -> None:
        super().__init__()
        chosen = np.arange(len(model.v_template)) if rows is None else np.asarray(rows, np.int64)
        used = np.flatnonzero(np.abs(model.shapedirs).max(axis=(0, 1)) > 0)
        shapes = model.shapedirs[:, :, used]
        poses = model.posedirs.reshape(len(model.posedirs), -1, 3)[:, chosen]
        self.parents = model.parents
        arrays = {
            "template": model.v_template[chosen],
            "shapes": shapes[chosen].transpose(2, 0, 1).reshape(len(used), -1),
            "poses": poses.reshape(len(poses), -1),
            "joints": model.J_regressor @ model.v_template,
            "joint_shapes": np.einsum("jv,vcb->bjc", model.J_regressor, shapes).reshape(len(used), -1),
            "skin": model.weights[chosen],
        }
        for name, array in arrays.items():
            tensor = torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)
        self.register_buffer("used", torch.as_tensor(used), persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The 413 numbers (…, 413) → vertices (…, R, 3) in metres. The head stays in place."""
        if values.shape[-1] != DIM:
            raise AnnotationError(f"FLAME takes {DIM} numbers a frame, not {values.shape[-1]}.")
        return self.from_jaw(values[..., BETAS], values[..., JAW])

    def from_jaw(self, betas: torch.Tensor, jaw: torch.Tensor) -> torch.Tensor:
        """Betas (…, 400) and the jaw's axis-angle (…, 3) → vertices (…, R, 3); the other joints rest."""
        pose = torch.zeros(*jaw.shape[:-1], len(self.parents), 3, dtype=jaw.dtype, device=jaw.device)
        select = torch.zeros(len(self.parents), 1, dtype=jaw.dtype, device=jaw.device)
        select[JAW_JOINT] = 1
        return self.from_pose(betas, pose + select * jaw.unsqueeze(-2))

    def from_pose(self, betas: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        """Betas (…, 400) and axis-angles of every joint (…, J, 3) → vertices (…, R, 3)."""
        batch = betas.shape[:-1]
        betas = betas.reshape(-1, betas.shape[-1])[:, self.used]
        turns = rotation_matrices(pose.reshape(-1, len(self.parents), 3))
        joints = self.joints + (betas @ self.joint_shapes).reshape(-1, len(self.parents), 3)
        bent = (turns[:, 1:] - torch.eye(3, dtype=turns.dtype, device=turns.device)).flatten(1)
        rest = self.template + (betas @ self.shapes + bent @ self.poses).reshape(-1, len(self.template), 3)
        turn, shift = self._chain(turns, joints)
        blended = torch.einsum("rj,bjkl->brkl", self.skin, turn)
        moved = torch.einsum("brkl,brl->brk", blended, rest) + torch.einsum("rj,bjk->brk", self.skin, shift)
        return moved.reshape(*batch, -1, 3)

    def _chain(self, turns: torch.Tensor, joints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotations (B, J, 3, 3) and shifts (B, J, 3) that carry resting points along with each joint."""
        world, place = [turns[:, 0]], [joints[:, 0]]
        for j, parent in enumerate(self.parents[1:], start=1):
            arm = (joints[:, j] - joints[:, parent]).unsqueeze(-1)
            place.append(place[parent] + (world[parent] @ arm).squeeze(-1))
            world.append(world[parent] @ turns[:, j])
        turn, at = torch.stack(world, 1), torch.stack(place, 1)
        return turn, at - (turn @ joints.unsqueeze(-1)).squeeze(-1)


def rotation_matrices(axis_angle: torch.Tensor) -> torch.Tensor:
    """Rodrigues' formula: axis-angles (…, 3) in radians → matrices (…, 3, 3), smooth at zero.

    R = I + (sin θ / θ) K + ((1 − cos θ) / θ²) K², with their Taylor series near θ = 0.
    """
    square = axis_angle.square().sum(-1)
    small = square < 1e-6
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    first = torch.where(small, 1 - square / 6, angle.sin() / angle)[..., None, None]
    second = torch.where(small, 0.5 - square / 24, (1 - angle.cos()) / safe)[..., None, None]
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*axis_angle.shape, 3)
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return eye + first * cross + second * (cross @ cross)
