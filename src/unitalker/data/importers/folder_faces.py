"""What a user's folder says of its faces: templates, regions, splits; and what is made where it says nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unitalker.config import SAMPLE_RATE
from unitalker.data.importers.corpus import spelt
from unitalker.data.importers.folder_files import SPEAKER, Pair
from unitalker.errors import DataError

SPLITS = ("train", "val", "test")
REST_FRAMES = 256
"""Frames that a template is the median of, at most."""
LEAST_REST = 8
"""Silent frames below which all frames are used instead."""
WINDOW_SECONDS, QUIET_DB, MARGIN_SECONDS = 0.05, -35.0, 0.15
FLOOR = 1e-4
"""Root mean square below which a sound is silent whatever the rest of it is like (-80 dB of full scale)."""


@dataclass(frozen=True)
class Neutral:
    """A subject's neutral face (V, 3) in the folder's unit, its triangles where a file has them, and what it is."""

    vertices: np.ndarray
    faces: np.ndarray | None
    about: str


def silent_frames(samples: np.ndarray, frames: int, fps: float) -> np.ndarray:
    """(frames,) bool: frames of samples (N,) at 16 kHz in whose neighbourhood nothing is heard.

    Silent: the root mean square of 50 ms lies 35 dB or more under the sound's 95th percentile of it (or under -80 dB of
    full scale), here and within 0.15 s on both sides, since a mouth moves before it is heard.
    """
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    middle = np.round(np.arange(frames) / fps * SAMPLE_RATE).astype(int)
    half = round(WINDOW_SECONDS * SAMPLE_RATE / 2)
    low, high = (np.clip(middle + d, 0, len(samples)) for d in (-half, half))
    level = np.sqrt(np.maximum(energy[high] - energy[low], 0.0) / (2 * half))
    loud = level > max(float(np.percentile(level, 95)) * 10 ** (QUIET_DB / 20), FLOOR)
    reach = round(MARGIN_SECONDS * fps)
    return np.convolve(loud, np.ones(2 * reach + 1), "same")[:frames] < 0.5


def resting_face(motions: Sequence[np.ndarray], silent: Sequence[np.ndarray]) -> tuple[np.ndarray, str]:
    """Median (D,) of the frames of a subject's motions (T, D) in which the sound is silent, and how it came about.

    Where fewer than LEAST_REST are, the median of all frames. At most REST_FRAMES, evenly spaced, are read.
    """
    chosen = [np.flatnonzero(quiet[: len(m)]) for m, quiet in zip(motions, silent, strict=True)]
    count = sum(map(len, chosen))
    enough = count >= LEAST_REST
    if not enough:
        chosen = [np.arange(len(m)) for m in motions]
    step = max(1.0, sum(map(len, chosen)) / REST_FRAMES)
    owner = np.repeat(np.arange(len(chosen)), [len(c) for c in chosen])
    place = np.concatenate(chosen)
    picked = np.arange(0, len(place), step).astype(int)
    rows = [
        np.asarray(motions[clip][place[picked[owner[picked] == clip]]], np.float32)
        for clip in np.unique(owner[picked])
    ]
    what = f"{len(picked)} frames in which the sound is silent" if enough else f"{len(picked)} of all frames"
    why = "" if enough else f" (only {count} frames are silent)"
    return np.median(np.concatenate(rows), axis=0), f"the median of {what}{why}"


def read_neutral(path: Path, root: Path) -> Neutral:
    """Vertices of a template.npy, (V, 3) or (3V,), or template.obj. Raises DataError for anything else."""
    if path.suffix == ".obj":
        vertices, faces = _obj(path)
        return Neutral(vertices, faces, str(path.relative_to(root)))
    try:
        values = np.load(path, allow_pickle=False).astype(np.float32)
        vertices = values.reshape(-1, 3)
    except (OSError, ValueError, EOFError) as fault:
        raise DataError(f"{path} is not a neutral face (V, 3): {fault}.") from None
    if not np.isfinite(vertices).all() or not len(vertices):
        raise DataError(f"{path} holds no vertices, or NaN or infinite numbers.")
    return Neutral(vertices, None, str(path.relative_to(root)))


def _obj(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and triangles (F, 3) of a Wavefront OBJ file; polygons are cut into fans."""
    vertices: list[list[float]] = []
    faces: list[list[int]] = []
    for line, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        word, *rest = text.split() or [""]
        try:
            if word == "v":
                vertices.append([float(x) for x in rest[:3]])
            elif word == "f":
                corners = [int(corner.split("/")[0]) for corner in rest]
                corners = [c - 1 if c > 0 else len(vertices) + c for c in corners]
                faces += [[corners[0], b, c] for b, c in zip(corners[1:], corners[2:], strict=False)]
        except ValueError:
            raise DataError(
                f"{path}, line {line}: {text[:60]!r} is not a vertex or face of an OBJ file."
            ) from None
    if not vertices or any(len(v) != 3 for v in vertices):
        raise DataError(f"{path} has no vertices of three numbers.")
    triangles = np.array(faces, np.int32).reshape(-1, 3)
    if triangles.size and not (triangles.min() >= 0 and triangles.max() < len(vertices)):
        raise DataError(f"{path} has faces that point outside its {len(vertices)} vertices.")
    return np.array(vertices, np.float32), triangles


def given_neutral(extras: Mapping[str, Path], subject: str, root: Path) -> Neutral | None:
    """The template file of a subject, or the one for all of them; None where there is neither."""
    own = () if subject == SPEAKER else (f"{subject}/",)
    for place in (*own, ""):
        for name in ("template.npy", "template.obj"):
            if place + name in extras:
                neutral = read_neutral(extras[place + name], root)
                return _with_faces(neutral, extras, root)
    return None


def _with_faces(neutral: Neutral, extras: Mapping[str, Path], root: Path) -> Neutral:
    """The triangles of the folder's template.obj serve a template.npy of as many vertices too."""
    if neutral.faces is not None or "template.obj" not in extras:
        return neutral
    shape = read_neutral(extras["template.obj"], root)
    fits = len(shape.vertices) == len(neutral.vertices)
    return Neutral(neutral.vertices, shape.faces if fits else None, neutral.about)


def indices(path: Path, count: int) -> np.ndarray:
    """Vertex numbers (from 0) in a text file, between blanks, commas or lines. Raises DataError outside 0 … count-1."""
    text = path.read_text(encoding="utf-8", errors="replace").replace(",", " ")
    try:
        found = np.unique(np.array(text.split(), np.int64))
    except (ValueError, OverflowError):
        raise DataError(f"{path} should hold vertex numbers alone, from 0 on.") from None
    if not len(found) or found[0] < 0 or found[-1] >= count:
        said = f"{found[0]} … {found[-1]}" if len(found) else "none"
        raise DataError(f"{path} should hold vertex numbers from 0 to {count - 1}; it holds {said}.")
    return found.astype(np.int32)


def splits(pairs: Sequence[Pair], path: Path | None) -> dict[str, str]:
    """Clip name → train, val or test: as split.json says, else 8:1:1 of each subject's clips.

    Without the file a subject's clips are put in the order of the SHA-256 of their names; the first tenth (at least one
    of three or more) is for test, the next for val. Two clips are one for train and one for val; one is for train.
    """
    if path is not None:
        return _told_splits(pairs, path)
    out: dict[str, str] = {}
    for subject in dict.fromkeys(p.subject for p in pairs):
        mine = [p.name for p in pairs if p.subject == subject]
        mine.sort(key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        part = max(1, round(len(mine) / 10))
        tested, checked = (part, part) if len(mine) >= 3 else (0, len(mine) - 1)
        for place, name in enumerate(mine):
            out[name] = "test" if place < tested else "val" if place < tested + checked else "train"
    return out


def _told_splits(pairs: Sequence[Pair], path: Path) -> dict[str, str]:
    """split.json: {"train": ["anna/take1", …], "val": […], "test": […]}, every clip in one of them."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rows = [(spelt(str(name)), str(split)) for split, names in data.items() for name in list(names)]
    except (OSError, ValueError, AttributeError, TypeError) as fault:
        raise DataError(f'{path} is not {{"train": […], "val": […], "test": […]}}: {fault}.') from None
    wrong = [split for _, split in rows if split not in SPLITS]
    if wrong:
        raise DataError(f"{path}: there is no split {wrong[0]!r}; there are train, val and test.")
    out = dict(rows)
    names = {p.name for p in pairs}
    lost, strange = sorted(names - set(out)), sorted(set(out) - names)
    if lost or strange or len(out) != len(rows):
        told = (
            f"leaves out {lost[0]!r}"
            if lost
            else f"names {strange[0]!r}, which is no pair here"
            if strange
            else ""
        )
        raise DataError(
            f"{path} {told or 'names a clip twice'}; every clip belongs in one of train, val and test."
        )
    if "train" not in out.values():
        raise DataError(f"{path} puts no clip into train.")
    return out
