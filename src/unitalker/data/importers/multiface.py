"""Multiface, with MeshTalk's form of it: 13 subjects, 50 sentences each at 30 fps, meshes in millimetres.

As published: a folder for each subject with tracked_mesh/SEN_…/NNNNNN.bin, 7306 vertices a file, and audio/SEN_….wav.
Frames are missing there; see multiface_raw.py. Or arrays (T, 6172·3), MeshTalk's vertices, in FaceFormer's layout
(vertices_npy, wav, templates.pkl), in millimetres or as FaceDiffuser scales them.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from unitalker.data.importers import vertices_npy
from unitalker.data.importers.corpus import UNUSED, Corpus, Imported, Options, Progress, Take, write_corpus
from unitalker.data.importers.multiface_facts import (
    EXPECTED,
    HIGHEST,
    KEPT,
    LOWEST,
    RAW,
    REDUCED,
    card_of,
    split_of,
)
from unitalker.data.importers.multiface_raw import raw_corpus, subject_folders
from unitalker.data.importers.regions import check_regions
from unitalker.data.importers.rows import Frames, displacements
from unitalker.errors import DataError

TAKE = re.compile(r"(?P<subject>.+)_(?P<number>[0-9]{2})")


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out`. Options: regions, which may also hold meshtalk_vertices.txt (MeshTalk's part of the
    published vertices). Raises DataError for a folder in neither layout."""
    check_regions(options.regions, (KEPT,))
    if vertices_npy.has_layout(source):
        corpus = _arrays(source, out.name, options.regions)
    elif subject_folders(source):
        corpus = raw_corpus(source, out.name, options.regions)
    else:
        raise DataError(
            f"{source} holds neither subjects' folders with tracked_mesh, as Multiface is published, nor "
            f"{vertices_npy.MOTION} with arrays."
        )
    _count(corpus)
    return [write_corpus(corpus, out, progress)]


def _arrays(root: Path, name: str, regions: Path | None) -> Corpus:
    """Arrays of all frames of a take."""
    layout = vertices_npy.look(root)
    widths = layout.widths()
    width = max(widths, key=lambda w: len(widths[w]), default=0)
    if width not in (3 * REDUCED, 3 * RAW):
        raise DataError(
            f"{root} has {width} numbers a frame ({width / 3:g} vertices); MeshTalk has {REDUCED} vertices, Multiface {RAW}."
        )
    faces = {who: face for who, face in layout.templates.items() if face.size == width}
    if not faces:
        raise DataError(
            f"No neutral face in {root}/templates.pkl has the {width // 3} vertices of the motion."
        )
    notes: list[str] = []
    card = card_of(width // 3, (regions, root / "regions"), notes)
    corpus = Corpus(name, EXPECTED, card, (), notes=notes, problems=layout.problems())
    factor = _unit(root, faces, corpus)
    takes = []
    for take in layout.takes:
        match = TAKE.fullmatch(take)
        face = faces.get(match["subject"]) if match else None
        if match is None or face is None:
            why = (
                "takes are called subject_01, subject and sentence"
                if match is None
                else f"templates.pkl has no face of {match['subject']!r} with {width // 3} vertices"
            )
            corpus.problems.append(f"{take} was left out: {why}.")
            continue
        frames = partial(_rows, layout, take, face, factor)
        takes.append(
            Take(
                take,
                match["subject"],
                split_of(int(match["number"])),
                layout.sound[take],
                frames,
                language="en",
            )
        )
    corpus.takes = takes
    return corpus


def _unit(root: Path, faces: dict[str, np.ndarray], corpus: Corpus) -> np.ndarray | None:
    """Set the neutral faces and the scale; gives what displacements are multiplied by, axis by axis, to be in mm."""
    largest = max(float(np.abs(face).max()) for face in faces.values())
    corpus.templates = faces
    if 20 < largest < 1000:
        return None
    if 0.5 < largest < 1.1:
        low, high = np.array(LOWEST, np.float32), np.array(HIGHEST, np.float32)
        corpus.templates = {who: (face + 1) / 2 * (high - low) + low for who, face in faces.items()}
        corpus.notes.append(
            f"Coordinates lie within {largest:.3g}, as FaceDiffuser scales them; they were taken back to millimetres by its "
            "published limits."
        )
        return (high - low) / 2
    if 0.02 < largest <= 0.5:
        corpus.scale = 1.0
        corpus.notes.append("Coordinates are in metres already and were not scaled.")
        return None
    raise DataError(f"The neutral faces in {root} reach to {largest:.3g}; millimetres (about 200) were due.")


def _rows(layout: vertices_npy.Layout, take: str, face: np.ndarray, factor: np.ndarray | None) -> Frames:
    return displacements(layout.rows(take, face.size), face, factor=factor)


def _count(corpus: Corpus) -> None:
    have = Counter(take.split for take in corpus.takes)
    parts = [f"{split} {have[split]} of {due}" for split, due in EXPECTED.clips.items()]
    corpus.notes.append(f"Clips: {', '.join(parts)}; in no published split: {have[UNUSED]}.")
