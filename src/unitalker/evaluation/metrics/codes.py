"""Lip vertex error straight from codes: only the lip rows of a basis or rig are multiplied, never a whole mesh."""

from __future__ import annotations

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.evaluation.metrics.meshes import lve

FRAMES = 1024
"""Frames whose lips are vertices at a time."""


def lips_of_codes(annotation: Annotation, codes: np.ndarray) -> np.ndarray:
    """Codes (T, head_dim) → displacements (T, L, 3) of the lip vertices, equal to the lip rows of `decode`.

    In the annotation's unit, in metres for weights and FLAME. Raises AnnotationError where no lips are known.
    """
    import torch

    with torch.no_grad():
        return annotation.lips(torch.as_tensor(np.asarray(codes, np.float32))).numpy()


def lve_of_codes(
    annotation: Annotation, truth: np.ndarray, predicted: np.ndarray, *, squared: bool = True
) -> np.ndarray:
    """LVE of each frame (T,) of predicted codes (T, head_dim), u² (squared=False: u); see `metrics.lve`.

    truth: codes (T, head_dim), or what was recorded as lip displacements (T, L, 3), with what no basis holds.
    """
    errors = [np.zeros(0, np.float32)]
    for start in range(0, len(predicted), FRAMES):
        part = slice(start, start + FRAMES)
        real = truth[part] if truth.ndim == 3 else lips_of_codes(annotation, truth[part])
        errors.append(lve(real, lips_of_codes(annotation, predicted[part]), squared=squared))
    return np.concatenate(errors)
