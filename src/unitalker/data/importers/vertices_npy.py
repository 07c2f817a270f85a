"""The layout that FaceFormer made usual: `vertices_npy/<take>.npy`, `wav/<take>.wav`, `templates.pkl`, `regions/*.txt`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unitalker.data.importers.corpus import spelt
from unitalker.data.importers.folder_files import SOUND
from unitalker.data.importers.rows import NpyRows, open_rows
from unitalker.errors import DataError
from unitalker.pickles import read_pickle

MOTION, SPEECH = "vertices_npy", "wav"


@dataclass
class Layout:
    """The files of a folder. motion, sound: take → file. templates: subject → (V, 3). twice: take → sentence, of takes
    of which there are two files of a kind. faceless: a sentence for each face that cannot be used."""

    root: Path
    motion: dict[str, Path]
    sound: dict[str, Path]
    templates: dict[str, np.ndarray] = field(default_factory=dict)
    twice: dict[str, str] = field(default_factory=dict)
    faceless: list[str] = field(default_factory=list)

    @property
    def takes(self) -> list[str]:
        """Takes with both files, in order."""
        return sorted((set(self.motion) & set(self.sound)) - set(self.twice))

    def problems(self, expected: frozenset[str] = frozenset()) -> list[str]:
        """A sentence for each file without its partner, but for takes that no copy has whole, and for all that is there
        twice or cannot be used."""
        lost = sorted((set(self.motion) ^ set(self.sound)) - expected - set(self.twice))
        return [*self.faceless, *(f"{name} was left out: {why}" for name, why in self.twice.items())] + [
            f"{name} was left out: {MOTION}/{name}.npy has no sound {SPEECH}/{name}.wav."
            if name in self.motion
            else f"{name} was left out: {SPEECH}/{self.sound[name].name} has no motion {MOTION}/{name}.npy."
            for name in lost
        ]

    def widths(self) -> dict[int, list[str]]:
        """Numbers a frame → the takes that have so many; files that cannot be read are left to their take."""
        found: dict[int, list[str]] = {}
        for name in self.takes:
            try:
                found.setdefault(open_rows(self.motion[name]).width, []).append(name)
            except DataError:
                continue
        return found

    def broken(self) -> list[str]:
        """A sentence for each take whose motion cannot be read."""
        told = []
        for name in self.takes:
            try:
                open_rows(self.motion[name])
            except DataError as fault:
                told.append(str(fault))
        return told

    def rows(self, name: str, width: int) -> NpyRows:
        """A take's motion. Raises DataError for another number of vertices."""
        rows = open_rows(self.motion[name])
        if rows.width != width:
            raise DataError(
                f"{self.motion[name]} has {rows.width} numbers a frame ({rows.width / 3:g} vertices), the others {width}."
            )
        return rows


def has_layout(root: Path) -> bool:
    """Whether a folder is laid out so."""
    return (root / MOTION).is_dir()


def look(root: Path, templates: tuple[str, ...] = ("templates.pkl",)) -> Layout:
    """The files of a folder. Raises DataError where the folders or the neutral faces are missing."""
    for room in (MOTION, SPEECH):
        if not (root / room).is_dir():
            raise DataError(
                f"{root} lacks the folder {room}; it should hold {MOTION}, {SPEECH} and {templates[0]}."
            )
    twice: dict[str, str] = {}
    motion = _stems(root / MOTION, (".npy",), twice)
    sound = _stems(root / SPEECH, SOUND, twice)
    path = next((root / name for name in templates if (root / name).is_file()), None)
    if path is None:
        raise DataError(
            f"{root} lacks {templates[0]}, the neutral faces that motion is told over; it comes with the code that made "
            f"{MOTION}."
        )
    faceless: list[str] = []
    return Layout(root, motion, sound, neutral_faces(path, faceless), twice, faceless)


def _stems(folder: Path, suffixes: tuple[str, ...], twice: dict[str, str]) -> dict[str, Path]:
    """Stem, in composed Unicode → file. Stems of two files go to `twice`."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            stem = spelt(path.stem)
            first = found.setdefault(stem, path)
            if first is not path:
                twice[stem] = f"{folder}: {first.name} and {path.name} are of one take; keep one of them."
    return found


def neutral_faces(path: Path, problems: list[str]) -> dict[str, np.ndarray]:
    """Subject → (V, 3) float32 of a pickled dict; faces that are none are told. Raises DataError where none is left."""
    held = read_pickle(path)
    if not isinstance(held, Mapping) or not held:
        raise DataError(
            f"{path} should hold a dict of subjects and their vertices, not {type(held).__name__}."
        )
    faces: dict[str, np.ndarray] = {}
    told = []
    for subject, vertices in held.items():
        array, name = np.asarray(vertices), spelt(str(subject))
        if array.dtype.kind not in "fiu" or not array.size or array.size % 3 or not np.isfinite(array).all():
            told.append(f"{path}: the face of {name!r} should be finite numbers (V, 3), not {array.shape}.")
        elif name in faces:
            told.append(f"{path} has two faces of the name {name!r}; the first was used.")
        else:
            faces[name] = array.reshape(-1, 3).astype(np.float32)
    if not faces:
        raise DataError(told[0])
    problems += told
    return faces
