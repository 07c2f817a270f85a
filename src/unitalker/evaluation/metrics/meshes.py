"""Vertex errors of the literature, as functions of whole clips: what each formula is, where it comes from, its unit.

Arrays are (T, V, 3) vertices or displacements in one unit of length u. Names mean different things in different
papers; each docstring gives the formula used here and its source. `streams.py` computes the same a block at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from unitalker.errors import DataError


def squared_norms(vectors: np.ndarray) -> np.ndarray:
    """|v|² of vectors (…, 3) → (…); six times as fast as a sum over an axis of three."""
    squares = np.square(vectors)
    total = squares[..., 0] + squares[..., 1]
    total += squares[..., 2]
    return total


def lve(
    truth: np.ndarray, predicted: np.ndarray, lips: np.ndarray | None = None, *, squared: bool = True
) -> np.ndarray:
    """Lip vertex error of each frame (T,): max over lip vertices of |truth − predicted|², u². squared=False: its root, u.

    Mean over all frames of all clips gives the tables' LVE (CodeTalker's published script, UniTalker Tab. 2; MeshTalk
    introduced it). Texts that speak of "the maximal L2 error" print squares all the same.
    """
    worst = _squared(truth, predicted, lips).max(axis=1)
    return worst if squared else np.sqrt(worst)


def lvd(truth: np.ndarray, predicted: np.ndarray, lips: np.ndarray | None = None) -> np.ndarray:
    """Lip vertex distance of each frame (T,): max over lip vertices of |truth − predicted|, u.

    From UniTalker's published code. EMAGE's LVD is another thing: a difference of velocities.
    """
    return lve(truth, predicted, lips, squared=False)


def mve(truth: np.ndarray, predicted: np.ndarray, region: np.ndarray | None = None) -> np.ndarray:
    """Mean vertex error of each frame (T,): mean over vertices of |truth − predicted|, u (UniTalker Tab. 2).

    With the upper-face region it is UFVE (the same table).
    """
    return np.sqrt(_squared(truth, predicted, region)).mean(axis=1)


def dynamics(motion: np.ndarray, region: np.ndarray | None = None) -> float:
    """How lively displacements (T, V, 3) over the template are: mean over vertices of std over time of |m|², u²."""
    chosen = motion if region is None else motion[:, region]
    return float(squared_norms(chosen).std(axis=0).mean())


def fdd(
    truth: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    region: np.ndarray | None = None,
    *,
    absolute: bool = False,
) -> float:
    """Upper-face dynamics deviation, u²: mean over clips of dynamics(truth) − dynamics(predicted) (CodeTalker).

    truth, predicted: displacements over the template, (T, V, 3) a clip. Signed, as in the published scripts; positive
    means too little motion. absolute: the mean of each clip's absolute value, FaceDiffuser's second figure.
    """
    gaps = [dynamics(t, region) - dynamics(p, region) for t, p in zip(truth, predicted, strict=True)]
    return float(np.mean(np.abs(gaps) if absolute else gaps))


def jitter(motion: np.ndarray, fps: float, region: np.ndarray | None = None) -> np.ndarray:
    """Jerk of each frame from the fourth on, (T − 3,): mean over vertices of |third difference| · fps³, u/s³.

    The measure that pose estimation calls jitter (Yi et al., TransPose, 2021). Speech has some: compare with the truth's.
    """
    chosen = motion if region is None else motion[:, region]
    return np.sqrt(squared_norms(np.diff(chosen, 3, axis=0))).mean(axis=1) * fps**3


def velocity_maps(motion: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over time of each vertex's speed |m(t + 1) − m(t)| · fps, (V,) each, u/s.

    The maps of the UniTalker paper's Fig. 6. A motion of one frame has speed 0.
    """
    if len(motion) < 2:
        return np.zeros(motion.shape[1]), np.zeros(motion.shape[1])
    speed = np.sqrt(squared_norms(np.diff(motion, axis=0))) * fps
    return speed.mean(axis=0), speed.std(axis=0)


def diversity(motions: Sequence[np.ndarray], region: np.ndarray | None = None) -> float:
    """Mean over pairs of predictions of one sound of their mean vertex distance, u (FaceDiffuser).

    motions: one (T, V, 3) a style, all of one length. A table's figure is the mean over clips. 0 for a single one.
    """
    gaps = [float(mve(one, other, region).mean()) for one, other in combinations(motions, 2)]
    return float(np.mean(gaps)) if gaps else 0.0


def _squared(truth: np.ndarray, predicted: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    if truth.shape != predicted.shape or truth.ndim != 3 or truth.shape[2] != 3:
        raise DataError(
            f"Vertex errors need two equal (T, V, 3) arrays, not {truth.shape} and {predicted.shape}."
        )
    return squared_norms(truth - predicted if rows is None else truth[:, rows] - predicted[:, rows])
