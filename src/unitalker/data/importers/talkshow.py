"""TalkSHOW (the dataset SHOW): four talk-show speakers as FLAME numbers of a body model at 30 fps, tracked from video.

Each clip is a .pkl, an .npz or a .npy with sound of the same name beside it, in <speaker>/<video>/, which may have a folder
for each clip, and folders train, val, test on the way. Pickles and npz files hold jaw_pose (T, 3) and expression (T, 100),
npy files the flat 265 numbers with the jaw first and the expression last. Pickles are read as data.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

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
from unitalker.data.importers.npz_rows import npz_rows
from unitalker.data.importers.rows import Frames, open_rows
from unitalker.errors import DataError
from unitalker.pickles import read_pickle

SPEAKERS = ("oliver", "seth", "conan", "chemistry")
SPLITS = ("train", "val", "test")
LIST = "train_val_test.json"
LIST_LIMIT = 64_000_000
LARGEST_CLIP = 256_000_000
"""Bytes of a clip's pickle; ten seconds have some MB."""
FLAT = 265
FLAT_JAW, FLAT_EXPRESSION = slice(0, 3), slice(165, 265)
EXPRESSIONS = 100
ROWS = 2048
EXPECTED = Expected(
    corpus="talkshow",
    annotation=CARD.name,
    unit="flame",
    fps=30.0,
    width=len(CARD.names),
    subjects=SPEAKERS,
    clips={"train": 13727, "val": 1722, "test": 1716},
    ways={"own": {}},
    hours=26.9,
    licence="TalkSHOW: non-commercial research, on registration at talkshow.is.tue.mpg.de",
    source="SHOW dataset v1.0 of TalkSHOW, tracked from talk-show videos",
)
"""Clips by the published list. Its way to split has no name; `own` is ours, for copies without list and folders."""
STEP = (
    "The numbers were tracked from videos, and the paper that this package follows left the corpus out because sound and "
    "face are not in step: run `unitalker data doctor` on the dataset, and `--write` a curated one to train on."
)


@dataclass(frozen=True)
class Found:
    """A clip's place in the corpus: its speaker, its name <speaker>/<video>/<clip>, the split that a folder tells."""

    speaker: str
    name: str
    split: str
    motion: Path


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out` from all clips below `source`. Raises DataError where there are none."""
    if not source.is_dir():
        raise DataError(f"There is no folder {source}.")
    corpus = Corpus(out.name, EXPECTED, CARD, ())
    found = _found(source, corpus)
    if not found:
        raise DataError(
            f"{source} holds no clips: .pkl, .npz or .npy files with sound of the same name beside them, in "
            "<speaker>/<video>/."
        )
    listed = _listed(source)
    corpus.way = "" if listed or any(clip.split for clip in found) else "own"
    corpus.takes = [
        Take(
            clip.name,
            clip.speaker,
            _split(clip, listed, bool(corpus.way)),
            sound,
            partial(frames_of, clip.motion),
            language="en",
        )
        for clip in found
        if (sound := _sound(clip, corpus)) is not None
    ]
    _count(corpus, len(listed))
    corpus.notes += [LEFT_OUT, STEP]
    return [write_corpus(corpus, out, progress)]


def _found(source: Path, corpus: Corpus) -> list[Found]:
    """The clips below a folder. Where one has several files, the pickle is taken, then the npz."""
    clips: dict[str, Found] = {}
    for suffix in (".pkl", ".npz", ".npy"):
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() == suffix and path.is_file() and not path.name.startswith("."):
                clip = _place(source, path)
                if clip is not None:
                    clips.setdefault(clip.name, clip)
                elif suffix == ".pkl":
                    corpus.problems.append(
                        f"{path.relative_to(source)} was left out: clips lie in <speaker>/<video>/."
                    )
    sounds = (p for p in sorted(source.rglob("*")) if p.suffix.lower() in SOUND and p.is_file())
    for path in sounds:
        clip = _place(source, path)
        if clip is not None and clip.name not in clips:
            corpus.problems.append(f"{clip.name} was left out: {path.name} has no motion beside it.")
    return [clips[name] for name in sorted(clips)]


def _place(source: Path, path: Path) -> Found | None:
    """Where a file belongs, None for one that lies in no speaker's folder."""
    inside = [spelt(part) for part in path.relative_to(source).with_suffix("").parts]
    if not {part.lower() for part in inside[:-1]} & set(SPEAKERS):
        inside = [spelt(source.name), *inside]
    split = next((part for part in inside[:-1] if part in SPLITS), "")
    inside = [part for part in inside[:-1] if part not in SPLITS] + inside[-1:]
    if len(inside) > 1 and inside[-2] == inside[-1]:
        del inside[-2]
    start = next((i for i, part in enumerate(inside) if part.lower() in SPEAKERS), len(inside) - 3)
    if start < 0 or len(inside) - start < 2:
        return None
    speaker = inside[start].lower() if inside[start].lower() in SPEAKERS else inside[start]
    return Found(speaker, "/".join([speaker, *inside[start + 1 :]]), split, path)


def _sound(clip: Found, corpus: Corpus) -> Path | None:
    """The sound beside a clip's motion, None with a problem told."""
    path = next((p for suffix in SOUND if (p := clip.motion.with_suffix(suffix)).is_file()), None)
    if path is None:
        corpus.problems.append(f"{clip.name} was left out: {clip.motion.name} has no sound beside it.")
    return path


def _listed(source: Path) -> dict[str, str]:
    """Clip → split of the published list, empty where it is not there. Raises DataError for another content."""
    path = source / LIST
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > LIST_LIMIT:
            raise ValueError(f"more than {LIST_LIMIT // 1_000_000} MB")
        held = json.loads(path.read_text(encoding="utf-8"))
        return {spelt(str(name)): split for split in SPLITS for name in held[split]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as fault:
        raise DataError(f"{path} should hold lists of clips for {', '.join(SPLITS)} ({fault!r}).") from None


def _split(clip: Found, listed: Mapping[str, str], own: bool) -> str:
    """Split of a clip: its folder's, else the list's; with neither anywhere, `own`, by the SHA-256 of its video's name,
    8 : 1 : 1."""
    if not own:
        return clip.split or listed.get(clip.name, UNUSED)
    video = clip.name.rsplit("/", 1)[0]
    place = int(hashlib.sha256(video.encode()).hexdigest(), 16) % 10
    return "test" if place == 0 else "val" if place == 1 else "train"


def frames_of(path: Path) -> Frames:
    """A clip's motion. Raises DataError for a file that is damaged, names functions, or lacks jaw or expression."""
    if path.suffix.lower() == ".npy":
        rows = open_rows(path)
        if rows.width != FLAT:
            raise DataError(f"{path} has {rows.width} numbers a frame; the flat form has {FLAT}.")
        count = len(rows) if len(rows.shape) == 2 else 0
        if not count:
            raise DataError(f"{path} should hold (T, {FLAT}), not {rows.shape}.")

        def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for start in range(0, count, ROWS):
                part = rows.read(start, min(start + ROWS, count))
                yield part[:, FLAT_EXPRESSION], part[:, FLAT_JAW]

        return face_frames(count, parts)
    if path.suffix.lower() == ".npz":
        jaw, face = npz_rows(path, "jaw_pose"), npz_rows(path, "expression")
        notes = _checked(path, (len(jaw), jaw.width), (len(face), face.width))
        return face_frames(len(jaw), lambda: zip(face.blocks(ROWS), jaw.blocks(ROWS), strict=True), notes)
    held = _whole(path)
    jaws, faces = _array(path, held, "jaw_pose"), _array(path, held, "expression")
    notes = _checked(path, jaws.shape, faces.shape)
    return face_frames(len(jaws), lambda: _cut(faces, jaws), notes)


def _cut(faces: np.ndarray, jaws: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(jaws), ROWS):
        yield faces[start : start + ROWS], jaws[start : start + ROWS]


def _whole(path: Path) -> Mapping[str, Any]:
    """What a clip's pickle holds, out of the list of one that some have."""
    held = read_pickle(path, LARGEST_CLIP)
    if isinstance(held, list) and len(held) == 1:
        held = held[0]
    if not isinstance(held, Mapping):
        raise DataError(f"{path} holds {type(held).__name__}, not arrays by name.")
    return held


def _array(path: Path, held: Mapping[str, Any], name: str) -> np.ndarray:
    """(T, D) numbers by name. Raises DataError for what is none."""
    if name not in held:
        raise DataError(f"{path} has no {name!r}; it holds {', '.join(map(str, [*held][:12]))}.")
    array = np.asarray(held[name])
    if array.dtype.kind not in "fiu" or array.ndim < 2 or not array.size:
        raise DataError(
            f"{path}: {name} should hold numbers, frame by frame, not {array.dtype} {array.shape}."
        )
    return array.reshape(len(array), -1)


def _checked(path: Path, jaw: tuple[int, ...], face: tuple[int, ...]) -> tuple[str, ...]:
    """What is to be told of the shapes (T, 3) and (T, 100). Raises DataError for others."""
    if jaw[0] != face[0] or jaw[1] != 3 or face[1] > EXPRESSIONS:
        raise DataError(
            f"{path} should hold jaw_pose (T, 3) and expression (T, {EXPRESSIONS}), not {jaw} and {face}."
        )
    lacks = EXPRESSIONS - face[1]
    return (f"it has {face[1]} of {EXPRESSIONS} expressions; the others rest.",) if lacks else ()


def _count(corpus: Corpus, listed: int) -> None:
    """Tell how the clips were split, and how many there are of the published ones."""
    have = Counter(take.split for take in corpus.takes)
    if corpus.way:
        parts = ", ".join(f"{split} {have[split]}" for split in SPLITS)
        corpus.notes.append(
            f"Neither {LIST} nor folders of splits are there, so whole videos were dealt out 8 : 1 : 1 by the SHA-256 of "
            f"their names: {parts}. For the published split put {LIST}, of TalkSHOW's data_utils, into the folder."
        )
        return
    parts = ", ".join(f"{split} {have[split]} of {due}" for split, due in EXPECTED.clips.items())
    corpus.notes.append(
        f"Clips by {LIST if listed else 'folders'}: {parts}; in no published split: {have[UNUSED]}."
    )
