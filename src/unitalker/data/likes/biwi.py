"""CodeTalker's preparation of BIWI, made up: wav (44.1 kHz), vertices_npy (T, 70110), templates.pkl, BIWI.ply, regions."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from unitalker.audio import write_sound
from unitalker.data.importers.biwi import EXPECTED, REGIONS, SEEN, UNSEEN, VERTICES
from unitalker.data.likes import Size
from unitalker.data.likes.mesh import Face
from unitalker.data.likes.talk import talk

RATE = 44100
SENTENCES = (1, 33, 37, *range(2, 33), 34, 35, 36, 38, 39, 40)
"""In the order in which they are made, so that a few takes are of every split."""


def make(out: Path, size: Size) -> Path:
    """Write the folder. The first people are of the training subjects, the last one of the others."""
    rng = np.random.default_rng(size.seed)
    for room in ("wav", "vertices_npy", "regions"):
        (out / room).mkdir()
    seen = SEEN[: max(1, size.people - 1)]
    people = [*seen, *UNSEEN[: size.people - len(seen)]]
    faces = {name: Face(VERTICES, 1.0, rng) for name in people}
    for name, face in faces.items():
        for number in SENTENCES[: size.takes] if name in SEEN else SENTENCES[::-1][: size.takes]:
            said = talk(size.seconds, EXPECTED.fps, rng, RATE)
            take = f"{name}_e{number:02d}"
            write_sound(out / "wav" / f"{take}.wav", said.samples, RATE)
            np.save(out / "vertices_npy" / f"{take}.npy", face.vertices(said.weights))
    (out / "templates.pkl").write_bytes(pickle.dumps({n: f.template for n, f in faces.items()}, protocol=2))
    face = faces[people[0]]
    face.write_ply(out / "BIWI.ply")
    face.write_regions(out / "regions", REGIONS["lips"], REGIONS["upper_face"])
    return out
