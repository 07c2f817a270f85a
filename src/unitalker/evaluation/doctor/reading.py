"""How the motion of a dataset is looked at: some of its numbers, and a few curves of the mouth, whatever its annotation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from unitalker.annotations.builtin import MESHES, completed, mesh_rows
from unitalker.annotations.cards import load_card
from unitalker.annotations.layouts import convert
from unitalker.data.dataset import Clip, Dataset
from unitalker.errors import AnnotationError, DataError
from unitalker.motion import Motion, by_name
from unitalker.rig import builtin_head
from unitalker.rig.lips import inner_lips, lip_gap

COLUMNS = 384
"""Numbers of a frame that are looked at; wider frames are sampled, the lips more densely than the rest."""
ROUND = ("mouthPucker", "mouthFunnel")
PRESSED = ("mouthClose", "mouthPressLeft", "mouthRollLower")
SAMPLED = 40
"""Clips that tell a dataset's usual numbers."""

Curves = Callable[[np.ndarray], np.ndarray]
"""Stored frames (T, D) → curves of the mouth (T, M)."""


@dataclass(frozen=True)
class Reading:
    """How one dataset is read. kind: weights, vertices, flame or codes. columns: stored numbers looked at. scale: what
    makes their sizes comparable. mouth: the mouth's curves. signed: whether larger is more open."""

    kind: str
    columns: np.ndarray
    scale: np.ndarray
    mouth: Curves
    signed: bool
    about: str

    def reach(self, motion: np.ndarray) -> float:
        """How far the number that moves most goes in a clip (T, D), in the stored unit; of FLAME, the jaw."""
        seen = self.mouth(motion) if self.kind == "flame" else motion[:, self.columns]
        low, high = np.percentile(np.asarray(seen, np.float32), (1, 99), axis=0)
        return float((high - low).max())


def mouth_of_weights(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(T, 4) lip gap in cm on the built-in head, jawOpen, rounding, pressing, of ARKit weights (T, D) by name."""
    gap, arkit = _gap()
    weights = by_name(values, names, arkit)
    column = {name: i for i, name in enumerate(arkit)}
    sums = [weights[:, [column[n] for n in group]].sum(1) for group in (ROUND, PRESSED)]
    return np.stack([weights @ gap, weights[:, column["jawOpen"]], *sums], axis=1).astype(np.float32)


@cache
def _gap() -> tuple[np.ndarray, tuple[str, ...]]:
    rig = builtin_head()
    return lip_gap(rig), rig.shape_names


def reading(dataset: Dataset) -> Reading:
    """How to look at a dataset. Raises DataError for one without a readable clip."""
    kind = _kind(dataset)
    lips = _lip_columns(dataset) if kind == "vertices" else np.zeros(0, int)
    frames = _sample(dataset)
    columns = _columns(frames.shape[1], lips)
    chosen = frames[:, columns]
    spread = np.maximum(chosen.std(0), 1e-12)
    scale = (
        np.where(spread > 1e-9, 1 / spread, 0.0)
        if kind == "flame"
        else np.full(len(columns), 1 / spread.max())
    )
    mouth, signed, about = _mouth(dataset, kind, frames, lips)
    return Reading(kind, columns, scale.astype(np.float32), mouth, signed, about)


def _kind(dataset: Dataset) -> str:
    if dataset.stored == "codes":
        return "codes"
    if dataset.unit == "weight":
        return "weights"
    return "flame" if "jaw.x" in dataset.names else "vertices" if len(dataset.names) % 3 == 0 else "numbers"


def _sample(dataset: Dataset, frames: int = 64) -> np.ndarray:
    """Some frames (n, D) of some clips; clips that cannot be read are passed over."""
    found: list[np.ndarray] = []
    for clip in _spread(dataset.clips, 3 * SAMPLED):
        try:
            values = dataset.motion(clip)
        except DataError:
            continue
        some = np.asarray(values[:: max(1, len(values) // frames)][:frames], np.float32)
        some = some[np.isfinite(some).all(1)]
        if len(some) and (not found or some.shape[1] == found[0].shape[1]):
            found.append(some - some.mean(0))
        if len(found) == SAMPLED:
            break
    if not found:
        raise DataError(
            f"{dataset.name}: none of the {len(dataset.clips)} clips has motion that can be read."
        )
    return np.concatenate(found)


def _spread(clips: Sequence[Clip], count: int) -> list[Clip]:
    return [*clips[:: max(1, len(clips) // count)]][:count]


def _columns(width: int, lips: np.ndarray) -> np.ndarray:
    if width <= COLUMNS:
        return np.arange(width)
    near = (
        lips[np.linspace(0, len(lips) - 1, min(len(lips), COLUMNS // 2)).astype(int)] if len(lips) else lips
    )
    rest = np.linspace(0, width - 1, COLUMNS - len(near)).astype(int)
    return np.unique(np.concatenate([near, rest]))


def _lip_columns(dataset: Dataset) -> np.ndarray:
    """Columns of the lip vertices, empty where nobody names them."""
    count = len(dataset.names) // 3
    rows: np.ndarray | None = None
    card = dataset.cards and dataset.cards / f"{dataset.annotation}.json"
    if card and card.is_file():
        rows = load_card(card).regions.get("lips")
    elif _is_built_in(dataset):
        rig = builtin_head()
        place = {int(v): i for i, v in enumerate(mesh_rows(dataset.annotation, rig))}
        rows = np.array([place[int(v)] for v in rig.regions["lips"] if int(v) in place])
    if rows is None or not len(rows) or rows.max() >= count:
        return np.zeros(0, int)
    return (3 * np.asarray(rows)[:, None] + np.arange(3)).reshape(-1)


def _is_built_in(dataset: Dataset) -> bool:
    name = dataset.annotation
    return name in MESHES and len(dataset.names) == 3 * len(mesh_rows(name, builtin_head()))


def _mouth(dataset: Dataset, kind: str, frames: np.ndarray, lips: np.ndarray) -> tuple[Curves, bool, str]:
    """(curves, signed, what they are) of the annotation; the first principal direction where nothing is known."""
    if kind == "weights" and (curves := _by_weights(dataset)) is not None:
        return curves, True, "lip gap, jaw, rounding and pressing of the weights"
    if kind == "flame":
        jaw = dataset.names.index("jaw.x")
        return (lambda values: values[:, [jaw]]), True, "the jaw's opening angle"
    if kind == "vertices" and _is_built_in(dataset):
        return _by_inner_lips(dataset), True, "the gap between the inner lips"
    gap = _code_gap(dataset, frames.shape[1]) if kind == "codes" else None
    if gap is not None:
        return (lambda values: (values @ gap)[:, None]), True, "the lip gap of the codes"
    columns = lips if len(lips) else np.arange(frames.shape[1])
    columns = columns[:: max(1, len(columns) // (2 * COLUMNS))]
    axis = np.linalg.svd(frames[:, columns], full_matrices=False)[2][0]
    where = "the lips move most" if len(lips) else "the face moves most"
    return (lambda values: (values[:, columns] @ axis)[:, None]), False, f"the direction in which {where}"


def _by_weights(dataset: Dataset) -> Curves | None:
    def curves(values: np.ndarray) -> np.ndarray:
        motion = Motion(values, dataset.names, dataset.fps, dataset.annotation, "weight")
        arkit = convert(motion, "arkit52")
        return mouth_of_weights(arkit.values, arkit.names)

    try:
        moves = curves(np.ones((1, len(dataset.names)), np.float32))[0, 1]
    except AnnotationError:
        return None
    return curves if moves else None


def _by_inner_lips(dataset: Dataset) -> Curves:
    rig = builtin_head()
    place = {int(v): i for i, v in enumerate(mesh_rows(dataset.annotation, rig))}
    upper, lower = ([3 * place[int(v)] + 1 for v in rows] for rows in inner_lips(rig))
    return lambda values: (values[:, upper].mean(1) - values[:, lower].mean(1))[:, None]


def _code_gap(dataset: Dataset, width: int) -> np.ndarray | None:
    card = dataset.cards and dataset.cards / f"{dataset.annotation}.json"
    if not card or not card.is_file():
        return None
    gap = completed(load_card(card), builtin_head()).gap
    return gap if gap is not None and len(gap) == width else None
