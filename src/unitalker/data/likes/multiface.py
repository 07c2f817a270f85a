"""Multiface, made up: the published folders with a mesh a frame, and MeshTalk's vertices as arrays."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from unitalker.audio import write_sound
from unitalker.data.importers.multiface_facts import EXPECTED, RAW, REDUCED, SENTENCES
from unitalker.data.likes import Size
from unitalker.data.likes.mesh import Face
from unitalker.data.likes.talk import talk

RATE = 48000
HEIGHT = 250.0
"""Millimetres from chin to crown."""
LISTED = (1035, 1529)
"""Vertices in FaceDiffuser's lists of the lips and the upper face."""
NUMBERS = (1, 41, 46, *range(2, 41), *range(42, 46), *range(47, 51))
"""Sentences in the order in which they are made, so that the first are one of each split."""


def make_raw(out: Path, size: Size) -> Path:
    """The published folders. In the second sentence of everyone two frames are missing."""
    rng = np.random.default_rng(size.seed)
    for place, subject in enumerate(EXPECTED.subjects[: size.people]):
        folder, face, step = (
            out / f"m--20180227--0000--{subject}--GHS",
            Face(RAW, HEIGHT, rng),
            1 + 2 * (place % 2),
        )
        (folder / "audio").mkdir(parents=True)
        face.template.tofile(folder / "vert_mean.bin")
        _segment(folder, "E001_Neutral_Eyes_Open", np.tile(face.template.reshape(1, -1), (4, 1)), step)
        for turn, number in enumerate(NUMBERS[: size.takes]):
            said, name = talk(size.seconds, EXPECTED.fps, rng, RATE), f"SEN_{SENTENCES[number - 1]}"
            write_sound(folder / "audio" / f"{name}.wav", said.samples, RATE)
            _segment(folder, name, face.vertices(said.weights), step, (7, 8) if turn == 1 else ())
    return out


def _segment(folder: Path, name: str, frames: np.ndarray, step: int, missing: tuple[int, ...] = ()) -> None:
    """Meshes and head poses of a segment."""
    place = folder / "tracked_mesh" / name
    place.mkdir(parents=True)
    pose = "1 0 0 0\n0 1 0 0\n0 0 1 1000\n"
    for t, frame in enumerate(frames):
        if t not in missing:
            frame.astype("<f4").tofile(place / f"{102 + step * t:06d}.bin")
            (place / f"{102 + step * t:06d}_transform.txt").write_text(pose)
    with (folder / "frame_list.txt").open("a") as file:
        file.writelines(f"{name} {102 + step * t:06d}\n" for t in range(len(frames)))


def make(out: Path, size: Size) -> Path:
    """Arrays of MeshTalk's vertices in millimetres: vertices_npy (T, 18516), wav, templates.pkl."""
    rng = np.random.default_rng(size.seed)
    for room in ("wav", "vertices_npy"):
        (out / room).mkdir()
    faces = {subject: Face(REDUCED, HEIGHT, rng) for subject in EXPECTED.subjects[: size.people]}
    for subject, face in faces.items():
        for number in NUMBERS[: size.takes]:
            said, name = talk(size.seconds, EXPECTED.fps, rng, RATE), f"{subject}_{number:02d}"
            write_sound(out / "wav" / f"{name}.wav", said.samples, RATE)
            np.save(out / "vertices_npy" / f"{name}.npy", face.vertices(said.weights))
    next(iter(faces.values())).write_regions(out / "regions", *LISTED)
    held = {subject: face.template for subject, face in faces.items()}
    (out / "templates.pkl").write_bytes(pickle.dumps(held, protocol=2))
    return out
