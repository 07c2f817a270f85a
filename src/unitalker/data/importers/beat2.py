"""BEAT2: the faces of BEAT's speakers as FLAME numbers of a body model at 30 fps, with 16 kHz sound and words.

A folder for each language (beat_english_v2.0.0, …) with smplxflame_30/<name>.npz, wave16k/<name>.wav, textgrid/ and
train_test_split.csv; the folder around several of them will do. Of an npz only `poses`, `expressions` and
`mocap_frame_rate` are looked at; `model` and `gender`, which are Python objects in some, never are.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from unitalker.data.importers.beat import STEP
from unitalker.data.importers.beat_facts import parse, split_of
from unitalker.data.importers.corpus import (
    UNUSED,
    Corpus,
    Imported,
    Options,
    Progress,
    Take,
    spelt,
    write_corpus,
)
from unitalker.data.importers.expected import Expected
from unitalker.data.importers.flame_numbers import CARD, LEFT_OUT, face_frames
from unitalker.data.importers.folder_files import SOUND
from unitalker.data.importers.npz_rows import npz_number, npz_rows
from unitalker.data.importers.rows import Frames
from unitalker.data.importers.textgrid import read_words
from unitalker.errors import DataError

MOTION, SPEECH, WORDS, SPLITS = "smplxflame_30", "wave16k", "textgrid", "train_test_split.csv"
POSES, EXPRESSIONS = 165, 100
JAW = slice(66, 69)
"""The jaw among the 55 joints' axis-angles."""
ROWS = 2048
EXPECTED = Expected(
    corpus="beat2",
    annotation=CARD.name,
    unit="flame",
    fps=30.0,
    width=len(CARD.names),
    hours=60.0,
    licence="BEAT2: Apache 2.0 on Hugging Face, research; the body model has its own licence",
    source="BEAT2 (BEAT-SMPLX-FLAME), face and sound",
)
"""Hours of the English part. The split is in the copy's own table, which sequences are counted against."""


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out` from the folder of a language, or of several. Raises DataError where there is none."""
    roots = [root for root in (source, *sorted(source.glob("*"))) if (root / MOTION).is_dir()]
    if not roots:
        raise DataError(
            f"{source} holds no {MOTION}, nor a folder that does; it should hold beat_english_v2.0.0 or be it, with "
            f"{MOTION}, {SPEECH} and {SPLITS}."
        )
    corpus = Corpus(out.name, EXPECTED, CARD, ())
    corpus.takes = [take for root in roots for take in _language(root, corpus)]
    corpus.notes += [LEFT_OUT, STEP]
    return [write_corpus(corpus, out, progress)]


def _language(root: Path, corpus: Corpus) -> Iterator[Take]:
    """The takes of one folder, and what its table says of them."""
    motion, sound = _stems(root / MOTION, (".npz",)), _stems(root / SPEECH, SOUND)
    words = _stems(root / WORDS, (".textgrid",))
    table = _table(root / SPLITS, corpus)
    for stem in sorted({*motion} ^ {*sound}):
        there, lacks = (motion[stem], SPEECH) if stem in motion else (sound[stem], MOTION)
        corpus.problems.append(f"{stem} was left out: {there} has no partner in {lacks}.")
    made: Counter[str] = Counter()
    for stem in sorted({*motion} & {*sound}):
        take = _take(stem, motion[stem], sound[stem], words.get(stem), table, corpus)
        if take is not None:
            made[take.split] += 1
            yield take
    due = Counter(table.values()) if table else made
    parts = ", ".join(f"{split} {made[split]} of {due[split]}" for split in sorted({*due, *made}))
    corpus.notes.append(f"{root.name}: {parts}" + (f" in {SPLITS}." if table else "."))


def _take(
    stem: str, motion: Path, sound: Path, grid: Path | None, table: dict[str, str], corpus: Corpus
) -> Take | None:
    """A take, or None with a problem told."""
    name = parse(stem)
    if name is None:
        corpus.problems.append(f"{stem} was left out: sequences are called as 1_wayne_0_9_9.")
        return None
    words = ()
    try:
        words = read_words(grid) if grid else ()
    except DataError as fault:
        corpus.notes.append(f"{stem}: its words were not taken over: {fault}")
    split = table.get(stem, UNUSED) if table else split_of(name)
    text = " ".join(word for *_, word in words)
    facts = {"text": text, "language": name.language, "words": words, "about": name.about}
    return Take(stem, name.speaker, split, sound, partial(_frames, motion), **facts)


def _frames(path: Path) -> Frames:
    """A file's motion. Raises DataError for arrays that are missing, of another shape or at another rate."""
    rate = npz_number(path, "mocap_frame_rate")
    if rate is not None and rate != EXPECTED.fps:
        raise DataError(f"{path} has {rate:g} frames a second; this corpus has {EXPECTED.fps:g}.")
    poses, faces = npz_rows(path, "poses"), npz_rows(path, "expressions")
    if (poses.width, faces.width) != (POSES, EXPRESSIONS) or len(poses) != len(faces):
        raise DataError(
            f"{path} should hold poses (T, {POSES}) and expressions (T, {EXPRESSIONS}), not {poses.shape} and "
            f"{faces.shape}."
        )

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for body, face in zip(poses.blocks(ROWS), faces.blocks(ROWS), strict=True):
            yield face, body[:, JAW]

    return face_frames(len(poses), blocks)


def _table(path: Path, corpus: Corpus) -> dict[str, str]:
    """Sequence → split of the published table, empty without one."""
    if not path.is_file():
        corpus.notes.append(
            f"{path.parent.name} lacks {SPLITS}; its sequences were split by the rule that BEAT's authors give."
        )
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        return {_plain(row["id"]): str(row["type"]).strip() or UNUSED for row in rows}
    except (OSError, KeyError, TypeError, UnicodeDecodeError, csv.Error) as fault:
        raise DataError(
            f"{path} should be a table with the columns id and type ({fault!r}); fetch it again."
        ) from None


def _stems(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Stem, in composed Unicode → file."""
    if not folder.is_dir():
        return {}
    files = (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in suffixes and p.name[0] != ".")
    return {_plain(path.stem): path for path in files}


def _plain(name: str) -> str:
    return spelt(name.strip())
