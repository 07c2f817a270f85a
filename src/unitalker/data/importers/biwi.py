"""BIWI as CodeTalker and FaceFormer prepare it: 14 subjects, 25 fps, 23370 vertices in units of about a head's size.

Published splits (sentence = last two digits of a take's name): sentences 1–32, 33–36 and 37–40 of six subjects are
train, val and test (BIWI-Test-A); sentences 37–40 of the other eight are test_b (BIWI-Test-B). All others are `unused`.
Other people's preparations look alike and mean other numbers: FaceXHuBERT's (every axis scaled by itself, and emotional
takes e41–e80) and the reduced meshes of 3895 vertices become annotations of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from unitalker.annotations.vertices import HEAD_WEIGHT, VertexAnnotation, vertex_names
from unitalker.data.importers import vertices_npy
from unitalker.data.importers.corpus import UNUSED, Corpus, Imported, Options, Progress, Take, write_corpus
from unitalker.data.importers.expected import Expected
from unitalker.data.importers.ply import find_triangles
from unitalker.data.importers.regions import check_regions, find_regions
from unitalker.data.importers.rows import Frames, displacements
from unitalker.data.importers.vertices_npy import Layout
from unitalker.errors import DataError

SEEN = ("F2", "F3", "F4", "M3", "M4", "M5")
UNSEEN = ("F1", "F5", "F6", "F7", "F8", "M1", "M2", "M6")
VERTICES, REDUCED = 23370, 3895
REGIONS = {"lips": 4996, "upper_face": 7784}
EXPECTED = Expected(
    corpus="biwi",
    annotation="BIWI_23370_vertices",
    unit="u",
    fps=25.0,
    width=3 * VERTICES,
    scale=0.2,
    subjects=SEEN + UNSEEN,
    clips={"train": 190, "val": 24, "test": 24, "test_b": 32},
    frames={"test": 3879},
    missing=("F1_e20", "F3_e02", "F3_e03", *(f"M1_e{i:02d}" for i in range(1, 21)), "M2_e20"),
    licence="Biwi 3D Audiovisual Corpus of Affective Communication: research only, on request to ETH Zurich",
    source="BIWI, as prepared by CodeTalker",
)
TAKE = re.compile(r"(?P<subject>.+)_e?(?P<number>[0-9]{2})")


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out` from a folder with vertices_npy, wav and templates.pkl, or the one around it called BIWI.

    Raises DataError where these are missing or hold other numbers than any known preparation.
    """
    check_regions(options.regions)
    root = source / "BIWI" if (source / "BIWI" / vertices_npy.MOTION).is_dir() else source
    layout = vertices_npy.look(root, ("templates.pkl", "templates_scaled.pkl"))
    width = _width(layout)
    card, scale, notes = _card(layout, width, options.regions)
    corpus = Corpus(
        out.name, EXPECTED, card, (), layout.templates, scale=scale, notes=notes, problems=layout.problems()
    )
    corpus.takes = [take for name in layout.takes if (take := _take(layout, name, width, corpus)) is not None]
    _count(corpus)
    return [write_corpus(corpus, out, progress)]


def _width(layout: Layout) -> int:
    """Numbers a frame of the most takes. Raises DataError for a mesh that is not this corpus's."""
    widths = layout.widths()
    if not widths and layout.takes:
        raise DataError(f"No motion of {layout.root} can be read. {' '.join(layout.broken()[:3])}")
    if not widths:
        raise DataError(
            f"{layout.root} has no take with both {vertices_npy.MOTION}/*.npy and {vertices_npy.SPEECH}/*.wav."
        )
    width = max(widths, key=lambda w: len(widths[w]))
    if width not in (3 * VERTICES, 3 * REDUCED):
        raise DataError(
            f"{layout.root} has {width} numbers a frame ({width / 3:g} vertices); this corpus has {VERTICES} vertices, or "
            f"{REDUCED} in reduced copies. `unitalker data import folder` takes any mesh."
        )
    return width


def _card(layout: Layout, width: int, regions: Path | None) -> tuple[VertexAnnotation, float, list[str]]:
    """The annotation, the scale and what is to be told of the preparation."""
    notes: list[str] = []
    faces = [face for face in layout.templates.values() if face.size == width]
    if not faces:
        raise DataError(f"No neutral face in {layout.root} has the {width // 3} vertices of the motion.")
    spans = np.array([np.ptp(face, axis=0) for face in faces])
    name, scale = EXPECTED.annotation, EXPECTED.scale
    if width == 3 * REDUCED:
        name, scale = f"BIWI_{REDUCED}_vertices", 1.0
        notes.append(f"Reduced meshes of {REDUCED} vertices: an annotation of their own, {name}, not scaled.")
    elif np.abs(spans - 1).max() < 0.02:
        name, scale = "FaceXHuBERT_23370_vertices", 1.0
        notes.append(
            f"Every axis spans 1 by itself, as FaceXHuBERT prepares it: an annotation of its own, {name}, whose errors "
            "do not compare with those in CodeTalker's units."
        )
    elif not 0.3 < np.median(spans.max(1)) < 3:
        raise DataError(
            f"The neutral faces in {layout.root} are {np.median(spans.max(1)):.3g} wide or high; after CodeTalker's "
            "preparation it is about 1. These are unprepared scans: run its BIWI/data_preprocess first."
        )
    own = layout.root / "regions"
    listed = {} if width == 3 * REDUCED else find_regions((regions, own), VERTICES, notes, REGIONS)
    if width == 3 * REDUCED and own.is_dir():
        notes.append(f"The region lists are of {VERTICES} vertices and were not used.")
    triangles = [layout.root / place / "BIWI.ply" for place in (".", "templates", "..")]
    card = VertexAnnotation(
        name,
        EXPECTED.fps,
        EXPECTED.unit,
        vertex_names(width // 3),
        axes="as in the dataset",
        regions=listed,
        head_weight=HEAD_WEIGHT,
        faces=find_triangles(triangles, VERTICES, notes) if width == 3 * VERTICES else None,
    )
    return card, scale, notes


def _take(layout: Layout, name: str, width: int, corpus: Corpus) -> Take | None:
    """A take, or None with a problem told."""
    match = TAKE.fullmatch(name)
    subject = match["subject"] if match else ""
    face = layout.templates.get(subject)
    if match is None:
        corpus.problems.append(f"{name} was left out: takes are called as F2_e01, subject and sentence.")
    elif face is None or face.size != width:
        corpus.problems.append(
            f"{name} was left out: templates.pkl has no face of {subject!r} with {width // 3} vertices."
        )
    else:
        motion = partial(_frames, layout, name, face)
        split = split_of(
            subject, int(match["number"]), corpus.card.name != EXPECTED.annotation and _emotional(layout)
        )
        return Take(name, subject, split, layout.sound[name], motion)
    return None


def _frames(layout: Layout, name: str, face: np.ndarray) -> Frames:
    return displacements(layout.rows(name, face.size), face)


def _emotional(layout: Layout) -> bool:
    return any(int(m["number"]) > 40 for name in layout.takes if (m := TAKE.fullmatch(name)))


def split_of(subject: str, number: int, emotional: bool = False) -> str:
    """Split of a sentence; emotional: FaceXHuBERT's own, for takes 1–80, sentence 1–36, 37–38, 39–40 of each half."""
    if emotional:
        place = (number - 1) % 40 + 1
        return "train" if place <= 36 else "val" if place <= 38 else "test"
    if not 1 <= number <= 40 or subject not in SEEN + UNSEEN:
        return UNUSED
    if subject in UNSEEN:
        return "test_b" if number >= 37 else UNUSED
    return "train" if number <= 32 else "val" if number <= 36 else "test"


def _count(corpus: Corpus) -> None:
    """Tell how the splits compare with the published ones, and which subjects are unknown."""
    have = Counter(take.split for take in corpus.takes)
    parts = [f"{split} {have[split]} of {due}" for split, due in EXPECTED.clips.items()]
    corpus.notes.append(f"Sequences: {', '.join(parts)}; in no published split: {have[UNUSED]}.")
    strange = sorted({take.subject for take in corpus.takes} - set(EXPECTED.subjects))
    if strange:
        corpus.notes.append(f"Subjects that the corpus does not have: {', '.join(strange)}.")
