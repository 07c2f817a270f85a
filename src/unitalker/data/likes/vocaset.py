"""VOCASET, made up: FaceFormer's layout of it, and the files as they are published."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from unitalker.audio import write_sound
from unitalker.data.importers.vocaset_facts import EXPECTED, TEST, VERTICES, split_of
from unitalker.data.likes import Size
from unitalker.data.likes.mesh import Face
from unitalker.data.likes.talk import Talk, talk

RATE = 22000
HEIGHT = 0.25
"""Metres from chin to crown."""
LISTED = (107, 1017)
"""Vertices in UniTalker's lists of the lips and the upper face."""


def make(out: Path, size: Size) -> Path:
    """FaceFormer's layout: vertices_npy (T, 15069) at 60 fps, wav, templates.pkl."""
    for room in ("wav", "vertices_npy"):
        (out / room).mkdir()
    faces, said = _people(size)
    for (subject, sequence), one in said.items():
        write_sound(out / "wav" / f"{subject}_{sequence}.wav", one.samples, RATE)
        np.save(out / "vertices_npy" / f"{subject}_{sequence}.npy", faces[subject].vertices(one.weights))
    _templates(out, faces)
    next(iter(faces.values())).write_regions(out / "regions", *LISTED)
    return out


def make_raw(out: Path, size: Size) -> Path:
    """The published files: data_verts.npy (N, 5023, 3) and pickles of Python 2's protocol."""
    faces, said = _people(size)
    places: dict[str, dict[str, dict[int, int]]] = {}
    heard: dict[str, dict[str, dict[str, object]]] = {}
    count = sum(len(one.weights) for one in said.values())
    verts = np.lib.format.open_memmap(out / "data_verts.npy", "w+", np.float32, (count, VERTICES, 3))
    start = 0
    for (subject, sequence), one in said.items():
        stop = start + len(one.weights)
        verts[start:stop] = faces[subject].vertices(one.weights).reshape(-1, VERTICES, 3)
        places.setdefault(subject, {})[sequence] = {i: start + i for i in range(stop - start)}
        audio = np.round(one.samples * 32767).astype(np.int16)
        heard.setdefault(subject, {})[sequence] = {"audio": audio, "sample_rate": RATE}
        start = stop
    verts.flush()
    for name, held in (("subj_seq_to_idx", places), ("raw_audio_fixed", heard)):
        (out / f"{name}.pkl").write_bytes(pickle.dumps(held, protocol=2))
    _templates(out, faces)
    return out


def _people(size: Size) -> tuple[dict[str, Face], dict[tuple[str, str], Talk]]:
    """Faces by subject, and talk by subject and sequence; the first sentences are one of each of the paper's splits. Of two
    people and more the last one is of FaceFormer's test subjects, with sentences of its test split."""
    rng = np.random.default_rng(size.seed)
    seen = EXPECTED.subjects[: max(1, size.people - 1)]
    faces = {
        name: Face(VERTICES, HEIGHT, rng) for name in (*seen, *(TEST[:1] if size.people > len(seen) else ()))
    }
    said = {}
    for subject in faces:
        numbers = [*range(21, 41), *range(1, 21)] if subject in TEST else range(1, 41)
        split = {number: split_of("unitalker", subject, number) for number in numbers}
        first = [next(n for n in split if split[n] == name) for name in ("train", "val", "test")]
        order = [*first, *(n for n in split if n not in first)]
        for number in order[: size.takes]:
            said[subject, f"sentence{number:02d}"] = talk(size.seconds, EXPECTED.fps, rng, RATE)
    return faces, said


def _templates(out: Path, faces: dict[str, Face]) -> None:
    held = {name: face.template for name, face in faces.items()}
    (out / "templates.pkl").write_bytes(pickle.dumps(held, protocol=2))
    next(iter(faces.values())).write_ply(out / "FLAME_sample.ply")
