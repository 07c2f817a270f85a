"""Multiface as published: a file a frame, of which some are missing, and sound that begins with the first frame there.

Frame numbers tell the time: files are a fixed step apart (of 1, or of 3 in the older captures) where none is missing. Up
to 0.2 s of missing frames are filled linearly from both sides, at longer gaps a sentence becomes several clips. Where the
sound is as long as the files alone, without the gaps, they are put end to end instead. All of it is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from unitalker.audio import probe
from unitalker.data.importers.corpus import UNUSED, Corpus, Take
from unitalker.data.importers.folder_faces import indices
from unitalker.data.importers.multiface_facts import (
    EXPECTED,
    KEPT,
    RAW,
    REDUCED,
    SENTENCES,
    card_of,
    split_of,
)
from unitalker.data.importers.rows import Frames, Piece, piece_frames, pieces, usual_step
from unitalker.errors import AudioError, DataError

MESHES, SOUND, NEUTRAL = "tracked_mesh", "audio", "E001_Neutral_Eyes_Open"
NAME = re.compile(r"m--[0-9]+--[0-9]+--(?P<id>[^-]+)--GHS")
SPEECH = "SEN_"


@dataclass(frozen=True)
class _Segment:
    """Files of one segment: frame numbers, ascending, and their files. broken: names of files of another size than a
    mesh."""

    name: str
    numbers: list[int]
    files: list[Path]
    broken: list[str]


def subject_folders(source: Path) -> dict[str, Path]:
    """Subject → folder. The source is a subject's folder or holds some."""
    there = [source, *sorted(p for p in source.iterdir() if p.is_dir())]
    folders = [p for p in there if (p / MESHES).is_dir()]
    ids = [match["id"] if (match := NAME.fullmatch(p.name)) else p.name for p in folders]
    unique = {name for name, count in Counter(ids).items() if count == 1}
    return {name if name in unique else p.name: p for name, p in zip(ids, folders, strict=True)}


def raw_corpus(source: Path, name: str, regions: Path | None) -> Corpus:
    """The takes of the published folders. Raises DataError for meshes of other sizes."""
    folders = subject_folders(source)
    stored = _vertices(folders)
    kept = None
    if stored == RAW and regions is not None and (regions / KEPT).is_file():
        kept = indices(regions / KEPT, RAW)
        if len(kept) != REDUCED:
            raise DataError(f"{regions / KEPT} lists {len(kept)} vertices; MeshTalk keeps {REDUCED}.")
    notes: list[str] = []
    card = card_of(stored if kept is None else REDUCED, (regions,), notes)
    if stored == RAW and kept is None:
        notes.append(
            f"All {RAW} vertices were kept, as the annotation {card.name}; for MeshTalk's {REDUCED} give the folder of "
            f"their list, {KEPT}, with --regions. Region lists, which are of those, were not used."
        )
    notes.append(
        "Meshes are in the head's own frame; the head poses beside them (_transform.txt) are not used."
    )
    corpus = Corpus(name, EXPECTED, card, (), notes=notes)
    templates: dict[str, np.ndarray] = {}
    takes = []
    for subject, folder in folders.items():
        face = _neutral(folder, stored, corpus)
        if face is None:
            corpus.problems.append(
                f"{subject} was left out: {folder} has neither {NEUTRAL} nor vert_mean.bin."
            )
            continue
        templates[subject] = face if kept is None else face[kept]
        takes += _takes(subject, folder, templates[subject], corpus, (stored, kept))
    corpus.templates, corpus.takes = templates, takes
    return corpus


def _vertices(folders: dict[str, Path]) -> int:
    """Vertices of a mesh, by the size of the first files. Raises DataError for another number than the two known."""
    for folder in folders.values():
        sizes = Counter(
            p.stat().st_size for _, p in zip(range(20), (folder / MESHES).glob("*/*.bin"), strict=False)
        )
        if sizes:
            count = sizes.most_common(1)[0][0] / 12
            if count not in (RAW, REDUCED):
                raise DataError(
                    f"{folder} has meshes of {count:g} vertices; Multiface has {RAW}, MeshTalk {REDUCED}."
                )
            return int(count)
    raise DataError(f"There is no mesh ({MESHES}/*/*.bin) in {', '.join(map(str, folders.values()))}.")


def _segment(folder: Path, vertices: int) -> _Segment:
    found, broken = [], []
    for path in folder.glob("*.bin"):
        if not path.stem.isdecimal():
            continue
        if path.stat().st_size == 12 * vertices:
            found.append((int(path.stem), path))
        else:
            broken.append(path.name)
    found.sort()
    return _Segment(folder.name, [n for n, _ in found], [p for _, p in found], sorted(broken))


def _mesh(path: Path, vertices: int) -> np.ndarray:
    values = np.fromfile(path, "<f4")
    if values.size != 3 * vertices:
        raise DataError(f"{path} has {values.size / 3:g} vertices, not {vertices}.")
    return values


def _neutral(folder: Path, vertices: int, corpus: Corpus) -> np.ndarray | None:
    """(V, 3) mean of the frames at rest, else of all frames as published."""
    rest = _segment(folder / MESHES / NEUTRAL, vertices)
    if rest.files:
        total = np.zeros(3 * vertices)
        for path in rest.files:
            total += _mesh(path, vertices)
        return (total / len(rest.files)).astype(np.float32).reshape(-1, 3)
    mean = folder / "vert_mean.bin"
    if not mean.is_file() or mean.stat().st_size != 12 * vertices:
        return None
    corpus.notes.append(
        f"{folder.name} lacks {NEUTRAL}: its template is vert_mean.bin, the mean of all frames."
    )
    return _mesh(mean, vertices).reshape(-1, 3)


def _takes(
    subject: str, folder: Path, face: np.ndarray, corpus: Corpus, meshes: tuple[int, np.ndarray | None]
) -> list[Take]:
    """Takes of a subject's sentences."""
    segments = [
        _segment(p, meshes[0])
        for p in sorted((folder / MESHES).iterdir())
        if p.is_dir() and p.name.startswith(SPEECH)
    ]
    step = usual_step(s.numbers for s in segments)
    made = []
    for segment in segments:
        sound = folder / SOUND / f"{segment.name}.wav"
        try:
            parts = _parts(segment, sound, step, corpus)
        except (DataError, AudioError) as fault:
            corpus.problems.append(f"{subject}/{segment.name} was left out: {fault}")
            continue
        said = segment.name.removeprefix(SPEECH)
        split = split_of(SENTENCES.index(said) + 1) if said in SENTENCES else UNUSED
        for place, piece in enumerate(parts):
            made.append(
                Take(
                    f"{subject}_{segment.name}" + (f"_{place:02d}" if len(parts) > 1 else ""),
                    subject,
                    split,
                    sound,
                    partial(_frames, segment.files, piece, face, meshes),
                    start=piece.start / EXPECTED.fps,
                    text=said.replace("_", " "),
                    language="en",
                )
            )
    silent = folder / SOUND
    alone = (
        {p.stem for p in silent.glob(f"{SPEECH}*.wav")} - {s.name for s in segments}
        if silent.is_dir()
        else set()
    )
    corpus.problems += [
        f"{subject}/{name} was left out: it has sound, but no meshes." for name in sorted(alone)
    ]
    return made


def _parts(segment: _Segment, sound: Path, step: int, corpus: Corpus) -> list[Piece]:
    """Unbroken pieces of a segment. Raises DataError where nothing is left."""
    if not segment.numbers:
        raise DataError("it has no whole mesh.")
    if not sound.is_file():
        raise DataError(f"there is no sound {sound}.")
    name, fps = f"{sound.parent.parent.name}/{segment.name}", EXPECTED.fps
    if segment.broken:
        some = ", ".join(segment.broken[:3]) + (", …" if len(segment.broken) > 3 else "")
        corpus.problems.append(
            f"{name}: {len(segment.broken)} meshes ({some}) have another size and count as missing."
        )
    count, span = len(segment.numbers), round((segment.numbers[-1] - segment.numbers[0]) / step) + 1
    seconds = probe(sound).seconds
    if (
        span > count
        and seconds is not None
        and abs(seconds - count / fps) + 1 / fps < abs(seconds - span / fps)
    ):
        corpus.notes.append(
            f"{name}: {span - count} of {span} frames are missing, and the sound is as long as the others alone: they were "
            "put end to end."
        )
        return pieces(range(count), fps)
    found = pieces(segment.numbers, fps, step)
    if len(found) > 1:
        corpus.notes.append(
            f"{name}: {span - count} of {span} frames are missing, so it became {len(found)} clips."
        )
    lone = sum(len(piece) < 2 for piece in found)
    if lone:
        corpus.notes.append(f"{name}: {lone} single frames between gaps were left out.")
    return [piece for piece in found if len(piece) > 1]


def _frames(
    files: Sequence[Path], piece: Piece, face: np.ndarray, meshes: tuple[int, np.ndarray | None]
) -> Frames:
    stored, kept = meshes

    def read(places: Sequence[int]) -> np.ndarray:
        values = np.stack([_mesh(files[p], stored) for p in places])
        return (
            values if kept is None else values.reshape(len(values), -1, 3)[:, kept].reshape(len(values), -1)
        )

    notes = [f"{piece.filled} missing frames were filled from their neighbours."] if piece.filled else []
    return piece_frames(piece, read, face, notes=notes)
