"""VOCASET as it is published: one array of all frames, and pickles that tell which are whose and what was said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.audio import from_array
from unitalker.data.importers.corpus import UNUSED, Corpus, Take
from unitalker.data.importers.rows import Frames, NpyRows, Piece, open_rows, piece_frames, pieces
from unitalker.data.importers.vertices_npy import neutral_faces
from unitalker.data.importers.vocaset_facts import EXPECTED, TAKE, VERTICES, set_rate, split_of
from unitalker.errors import DataError
from unitalker.pickles import read_pickle

RAW = "data_verts.npy"
TEMPLATES, INDEX, SOUND = "templates.pkl", "subj_seq_to_idx.pkl", "raw_audio_fixed.pkl"


def raw_takes(root: Path, corpus: Corpus, way: str, fps: float | None) -> list[Take]:
    """Takes of a folder with the published files; sets the corpus's templates and frame rate.

    Raises DataError for a file that is missing or holds something else.
    """
    for name in (TEMPLATES, INDEX, SOUND):
        if not (root / name).is_file():
            raise DataError(f"{root} lacks {name}; VOCASET has {RAW}, {SOUND}, {INDEX} and {TEMPLATES}.")
    rows = open_rows(root / RAW, whole=False)
    if rows.width != 3 * VERTICES:
        raise DataError(f"{rows.path} has the shape {rows.shape}; (frames, {VERTICES}, 3) was due.")
    corpus.templates = neutral_faces(root / TEMPLATES, corpus.problems)
    step = set_rate(corpus, EXPECTED.fps, fps)
    places, heard = _nested(root / INDEX), _nested(root / SOUND)
    made = []
    for subject in sorted(set(places) | set(heard)):
        have, said = places.get(subject, {}), heard.get(subject, {})
        for sequence in sorted(set(have) | set(said)):
            name = f"{subject}_{sequence}"
            try:
                found = _sequence(name, have.get(sequence), said.get(sequence))
                face = _face(corpus, subject)
            except DataError as fault:
                if name not in EXPECTED.missing:
                    corpus.problems.append(f"{name} was left out: {fault}")
                continue
            if len(found.pieces) > 1:
                corpus.notes.append(f"{name}: frames are missing, so it became {len(found.pieces)} clips.")
            made += found.takes(subject, _split(way, name), partial(_frames, rows, found.rows, face, step))
    return made


@dataclass(frozen=True)
class _Sequence:
    """A sequence: places of its frames in the array, its unbroken pieces, its samples and their rate."""

    name: str
    rows: list[int]
    pieces: list[Piece]
    samples: np.ndarray
    rate: float

    def takes(self, subject: str, split: str, frames: Callable[[Piece], Frames]) -> list[Take]:
        """One take, or one for each piece where frames are missing in between."""
        several = len(self.pieces) > 1
        return [
            Take(
                f"{self.name}_{place:02d}" if several else self.name,
                subject,
                split,
                self.sound,
                partial(frames, piece),
                start=piece.start / EXPECTED.fps,
            )
            for place, piece in enumerate(self.pieces)
        ]

    def sound(self) -> np.ndarray:
        """Samples at 16 kHz."""
        return from_array(self.samples, self.rate, name=self.name).samples


def _sequence(name: str, places: Any, said: Any) -> _Sequence:
    """Raises DataError for a sequence without frames or sound, or with others than numbers."""
    if places is None or said is None:
        raise DataError(f"{SOUND if said is None else INDEX} has nothing of it.")
    try:
        order = sorted((int(frame), int(row)) for frame, row in dict(places).items())
        samples, rate = np.asarray(said["audio"]), float(said["sample_rate"])
    except (TypeError, ValueError, KeyError) as fault:
        raise DataError(f"its frames or its sound are not as published ({fault!r}).") from None
    if not order:
        raise DataError("it has no frames.")
    parts = pieces([frame for frame, _ in order], EXPECTED.fps)
    return _Sequence(name, [row for _, row in order], parts, samples, rate)


def _face(corpus: Corpus, subject: str) -> np.ndarray:
    face = corpus.templates.get(subject)
    if face is None or face.size != 3 * VERTICES:
        raise DataError(f"{TEMPLATES} has no face of {subject!r} with {VERTICES} vertices.")
    return face


def _split(way: str, name: str) -> str:
    match = TAKE.fullmatch(name)
    return split_of(way, match["subject"], int(match["number"])) if match else UNUSED


def _frames(rows: NpyRows, order: Sequence[int], face: np.ndarray, step: int, piece: Piece) -> Frames:
    notes = [f"{piece.filled} missing frames were filled from their neighbours."] if piece.filled else []
    return piece_frames(piece, lambda places: rows.gather([order[p] for p in places]), face, step, notes)


def _nested(path: Path) -> Mapping[str, Mapping[str, object]]:
    """subject → sequence → what is stored. Raises DataError for another content."""
    held = read_pickle(path)
    if not isinstance(held, Mapping) or not all(isinstance(part, Mapping) for part in held.values()):
        raise DataError(f"{path} should hold a dict of subjects, each a dict of sequences.")
    return held
