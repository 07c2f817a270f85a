"""VOCASET: 12 subjects, 40 sentences each at 60 fps, FLAME's 5023 vertices in metres; raw or in FaceFormer's layout.

Raw: data_verts.npy (N, 5023, 3), raw_audio_fixed.pkl, subj_seq_to_idx.pkl, templates.pkl. FaceFormer's: vertices_npy, wav,
templates.pkl. Two published ways to split it, by name:

- `unitalker`: each subject's sentences as 32 train, 4 val and 4 test, as the UniTalker paper does. Its draw is not
  published; ours is that of the SHA-256 of the takes' names, and does not change with what a copy lacks.
- `faceformer`: eight subjects train, two val and two test, of whom sentences 21–40 count and 1–20 are `unused`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from unitalker.annotations.vertices import HEAD_WEIGHT, VertexAnnotation, vertex_names
from unitalker.audio import probe
from unitalker.data.importers import vertices_npy
from unitalker.data.importers.corpus import UNUSED, Corpus, Imported, Options, Progress, Take, write_corpus
from unitalker.data.importers.ply import find_triangles
from unitalker.data.importers.regions import check_regions, find_regions
from unitalker.data.importers.rows import Frames, displacements, open_rows
from unitalker.data.importers.vocaset_facts import EXPECTED, HELD, RATES, TAKE, VERTICES, set_rate, split_of
from unitalker.data.importers.vocaset_raw import RAW, raw_takes
from unitalker.errors import AudioError, ConfigError, DataError, unknown


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out`. Options: split, fps (60, or 30 for every second frame) and regions.

    Raises DataError for a folder in neither layout, ConfigError for another split or frame rate.
    """
    split = options.split or "unitalker"
    if split not in HELD:
        raise ConfigError(unknown("way to split", split, HELD))
    if options.fps not in (None, *RATES):
        raise ConfigError(f"--fps must be 60, or 30 for every second frame; not {options.fps:g}.")
    check_regions(options.regions)
    root = next(
        (p for p in (source, source / "vocaset") if (p / RAW).is_file() or vertices_npy.has_layout(p)), None
    )
    if root is None:
        raise DataError(
            f"{source} holds neither {RAW}, as VOCASET is published, nor {vertices_npy.MOTION}, as FaceFormer's."
        )
    layout = None if (root / RAW).is_file() else _layout(root)
    notes: list[str] = []
    regions = find_regions((options.regions, root / "regions"), VERTICES, notes)
    card = VertexAnnotation(
        EXPECTED.annotation,
        EXPECTED.fps,
        EXPECTED.unit,
        vertex_names(VERTICES),
        regions=regions,
        head_weight=HEAD_WEIGHT,
        faces=find_triangles(
            [root / place / "FLAME_sample.ply" for place in (".", "templates")], VERTICES, notes
        ),
    )
    corpus = Corpus(out.name, EXPECTED, card, (), notes=notes, way=split)
    if layout is None:
        corpus.takes = raw_takes(root, corpus, split, options.fps)
    else:
        corpus.takes = _prepared(layout, corpus, split, options.fps)
    _check_metres(root, corpus.templates)
    _count(corpus, split)
    return [write_corpus(corpus, out, progress)]


def _layout(root: Path) -> vertices_npy.Layout:
    """The files of FaceFormer's layout. Raises DataError for those of another mesh."""
    layout = vertices_npy.look(root)
    widths = layout.widths()
    if widths and 3 * VERTICES not in widths:
        width = max(widths, key=lambda w: len(widths[w]))
        raise DataError(
            f"{root} has {width} numbers a frame ({width / 3:g} vertices); VOCASET has {VERTICES} vertices."
        )
    return layout


def _prepared(layout: vertices_npy.Layout, corpus: Corpus, way: str, fps: float | None) -> list[Take]:
    """Takes of FaceFormer's layout."""
    corpus.templates = layout.templates
    corpus.problems += layout.problems(frozenset(EXPECTED.missing))
    step = set_rate(corpus, _stored_rate(layout, corpus.notes), fps)
    made = []
    for name in layout.takes:
        match = TAKE.fullmatch(name)
        face = layout.templates.get(match["subject"]) if match else None
        if match is None:
            corpus.problems.append(
                f"{name} was left out: takes are called as FaceTalk_170728_03272_TA_sentence01."
            )
        elif face is None or face.size != 3 * VERTICES:
            corpus.problems.append(f"{name} was left out: templates.pkl has no face of {match['subject']!r}.")
        else:
            split = split_of(way, match["subject"], int(match["number"]))
            made.append(
                Take(
                    name,
                    match["subject"],
                    split,
                    layout.sound[name],
                    partial(_rows, layout, name, face, step),
                )
            )
    return made


def _rows(layout: vertices_npy.Layout, name: str, face: np.ndarray, step: int) -> Frames:
    return displacements(layout.rows(name, face.size), face, step)


def _stored_rate(layout: vertices_npy.Layout, notes: list[str]) -> float:
    """Frames a second of the copy: 60 as published, or 30 where its motion lasts half as long as its sound at 60."""
    rates = []
    for name in layout.takes:
        try:
            seconds = probe(layout.sound[name]).seconds
            if seconds:
                rates.append(len(open_rows(layout.motion[name])) / seconds)
        except (DataError, AudioError):
            continue
        if len(rates) == 32:
            break
    if rates and np.median(rates) < 42:
        notes.append(
            f"This copy has {np.median(rates):.1f} frames a second of sound: it was taken to be at 30 fps already."
        )
        return 30.0
    return 60.0


def _check_metres(root: Path, faces: Mapping[str, np.ndarray]) -> None:
    """Raises DataError for neutral faces of another size than a head's."""
    spans = [float(np.ptp(face, axis=0).max()) for face in faces.values() if face.size == 3 * VERTICES]
    if spans and not 0.1 < np.median(spans) < 1:
        raise DataError(
            f"The neutral faces in {root} are {np.median(spans):.3g} high; VOCASET is in metres, about 0.3."
        )


def _count(corpus: Corpus, way: str) -> None:
    have = Counter(take.split for take in corpus.takes)
    parts = [f"{split} {have[split]} of {due}" for split, due in HELD[way].items()]
    corpus.notes.append(f"Sequences by {way}'s split: {', '.join(parts)}; in none: {have[UNUSED]}.")
