"""Sequences of FLAME parameters as people store them: npz with named arrays, npy (T, D) of a known width.

Each is turned into the 413 numbers of annotations/flame.py: up to 300 of the shape, up to 100 of the expression, the jaw's
axis-angle, the head's rotation as two columns of its matrix, translation in metres. Neck and eyes have no place there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unitalker.annotations.flame import DIM, EXPRESSION, JAW, ROTATION, SHAPE
from unitalker.data.importers.flame_numbers import CARD, JAW_LIMIT
from unitalker.data.importers.npz_rows import npz_names, npz_number, npz_rows
from unitalker.data.importers.rows import open_rows
from unitalker.data.importers.stamped import ROWS, Table
from unitalker.errors import DataError

SPELLINGS = {
    "shape": ("shape", "betas", "shape_params", "shapecode", "flame_shape"),
    "expression": (
        "expression",
        "exp",
        "expr",
        "expressions",
        "expression_params",
        "exp_code",
        "expcode",
        "flame_expr",
    ),
    "jaw": ("jaw", "jaw_pose", "jaw_params"),
    "pose": ("pose", "pose_params", "posecode", "full_pose", "flame_pose"),
    "rotation": ("rotation", "global_pose", "global_orient", "head_pose", "rot"),
    "translation": ("translation", "transl", "trans", "flame_trans"),
    "flat": ("values", "params", "parameters", "motion", "motioncode", "coef", "flame", "beta"),
}
"""What an array is → its names in the wild."""
UNUSED = ("neck", "neck_pose", "eyes", "eye_pose", "eyes_pose", "leye_pose", "reye_pose", "eyelids")
RATES = ("fps", "frame_rate", "framerate")
FLAT = {
    53: (("expression", 50), ("jaw", 3)),
    56: (("expression", 50), ("pose", 6)),
    103: (("expression", 100), ("jaw", 3)),
    106: (("expression", 100), ("pose", 6)),
    156: (("shape", 100), ("expression", 50), ("pose", 6)),
    DIM: (("all", DIM),),
}
"""Numbers a frame → what they are, in order."""
POSES = {6: ((0, 3), (3, 6)), 12: ((0, 3), (6, 9)), 15: ((0, 3), (6, 9))}
"""Numbers of a pose → where the head's rotation and the jaw stand in it: (rotation, jaw), and with neck (and eyes) between
and behind."""
PLACES = {
    "shape": (0, SHAPE),
    "expression": (SHAPE, EXPRESSION),
    "jaw": (JAW.start, 3),
    "translation": (409, 3),
}
"""Where numbers go among the 413, and how many there can be."""


@dataclass(frozen=True)
class Sequence:
    """A file that was looked at. arrays: what it is → name and width of an array ("" for an npy). frames, fps: None
    where it is not told. unused: arrays that have no place."""

    path: Path
    arrays: dict[str, tuple[str, int]]
    frames: int
    fps: float | None
    unused: tuple[str, ...] = ()

    @property
    def holds(self) -> tuple[str, ...]:
        """What it tells, of shape, expression, jaw, rotation and translation."""
        flat = FLAT[self.arrays["flat"][1]] if "flat" in self.arrays else ()
        kinds = {*self.arrays, *(kind for kind, _ in flat)} - {"flat"}
        kinds |= {"rotation", "jaw"} if "pose" in kinds else set()
        kinds |= {*PLACES, "rotation"} if "all" in kinds else set()
        return tuple(k for k in ("shape", "expression", "jaw", "rotation", "translation") if k in kinds)


def look(path: Path) -> Sequence:
    """The arrays of a file, their headers alone read. Raises DataError for what is no sequence of FLAME's numbers."""
    if path.suffix.lower() == ".npy":
        rows = open_rows(path)
        found = Sequence(path, {"flat": ("", rows.width)}, len(rows), None)
    else:
        found = _npz(path)
    width = found.arrays.get("flat", ("", 0))[1]
    if width and width not in FLAT:
        known = ", ".join(map(str, FLAT))
        raise DataError(
            f"{path} has {width} numbers a frame; arrays without names have {known}. Store others as npz with the arrays "
            "expression, jaw, shape."
        )
    if "expression" not in found.holds:
        raise DataError(
            f"{path} has no expression; it holds {', '.join(n for n, _ in found.arrays.values()) or 'nothing'}."
        )
    return found


def _npz(path: Path) -> Sequence:
    there = {name.lower(): name for name in npz_names(path)}
    kinds = {kind: next((there[n] for n in names if n in there), None) for kind, names in SPELLINGS.items()}
    if kinds["expression"]:
        kinds["flat"] = None
    arrays, counts = {}, {}
    for kind, name in kinds.items():
        if name is None:
            continue
        rows = npz_rows(path, name)
        single = len(rows.shape) == 1
        arrays[kind] = (name, len(rows) if single else rows.width)
        counts[kind] = 1 if single else len(rows)
    frames = counts.get("expression", counts.get("flat", 0))
    for kind, count in counts.items():
        if frames and count != frames and not (kind == "shape" and count == 1):
            raise DataError(f"{path}: {arrays[kind][0]} has {count} frames, the expression {frames}.")
    for kind, (_, most) in PLACES.items():
        if kind in arrays and (arrays[kind][1] > most or (most == 3 and arrays[kind][1] != 3)):
            raise DataError(
                f"{path}: {arrays[kind][0]} has {arrays[kind][1]} numbers a frame; FLAME's {kind} has {most}."
            )
    if "pose" in arrays and arrays["pose"][1] not in POSES:
        raise DataError(
            f"{path}: {arrays['pose'][0]} has {arrays['pose'][1]} numbers a frame. A pose has 6 (head, jaw), 12 or 15 (head, "
            "neck, jaw, eyes); store three as jaw or rotation."
        )
    if "rotation" in arrays and arrays["rotation"][1] not in (3, 6):
        raise DataError(
            f"{path}: {arrays['rotation'][0]} must have 3 numbers a frame (axis-angle) or 6 (matrix)."
        )
    rate = next((npz_number(path, there[n]) for n in RATES if n in there), None)
    return Sequence(path, arrays, frames, rate, tuple(there[n] for n in UNUSED if n in there))


def numbers(found: Sequence) -> Table:
    """The 413 numbers of every frame. Raises DataError for NaN, for jaws in degrees, and for files that are cut off."""
    table = Table(DIM)
    streams = {kind: _blocks(found, kind) for kind in found.arrays}
    for start in range(0, found.frames, ROWS):
        count = min(ROWS, found.frames - start)
        frames = np.tile(CARD.resting_values(), (count, 1))
        for kind, blocks in streams.items():
            block = np.asarray(next(blocks), np.float64)
            good = np.isfinite(block).all(1)
            if not good.all():
                raise DataError(
                    f"{found.path}: NaN or infinite numbers, the first in frame {start + int(np.argmin(good))}."
                )
            for part, values in _parts(kind, block):
                _place(found.path, frames, part, values)
        table.add(frames)
    return table


def _blocks(found: Sequence, kind: str) -> Iterator[np.ndarray]:
    """Blocks of ROWS frames of an array; one row of a constant shape for each."""
    name, _ = found.arrays[kind]
    if not name:
        rows = open_rows(found.path)
        yield from (rows.read(s, min(s + ROWS, len(rows))) for s in range(0, len(rows), ROWS))
        return
    held = npz_rows(found.path, name)
    if len(held.shape) == 1 or (len(held) == 1 and found.frames > 1):
        whole = np.concatenate(list(held.blocks(ROWS))).reshape(1, -1)
        while True:
            yield whole
    yield from held.blocks(ROWS)


def _parts(kind: str, block: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What a block (n, D) of a kind is made of."""
    if kind == "flat":
        start = 0
        for part, width in FLAT[block.shape[1]]:
            yield from _parts(part, block[:, start : start + width])
            start += width
    elif kind == "pose":
        (a, b), (c, d) = POSES[block.shape[1]]
        yield "rotation", block[:, a:b]
        yield "jaw", block[:, c:d]
    else:
        yield kind, block


def _place(path: Path, frames: np.ndarray, kind: str, values: np.ndarray) -> None:
    """Write a part's numbers into the 413. Raises DataError for a jaw that is told in degrees."""
    if kind == "all":
        frames[:] = values
    elif kind == "rotation":
        frames[:, ROTATION] = two_columns(values) if values.shape[1] == 3 else values
    else:
        start, _ = PLACES[kind]
        frames[:, start : start + values.shape[1]] = values
    jaw = np.abs(frames[:, JAW]).max()
    if jaw > JAW_LIMIT:
        raise DataError(
            f"{path}: its jaw is turned by up to {jaw:.3g}; axis-angles are radians, at most {JAW_LIMIT:.3g}."
        )


def two_columns(turns: np.ndarray) -> np.ndarray:
    """Axis-angles (n, 3) in radians → the first two columns of their matrices, one after the other, (n, 6)."""
    angle = np.linalg.norm(turns, axis=1)[:, None, None]
    x, y, z = (turns / np.where(angle[:, 0] > 0, angle[:, 0], 1)).T
    o = np.zeros_like(x)
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], 1).reshape(-1, 3, 3)
    matrix = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return np.concatenate([matrix[:, :, 0], matrix[:, :, 1]], axis=1)
