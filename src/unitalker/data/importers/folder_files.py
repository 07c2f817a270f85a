"""What lies in an ordinary folder of sound and motion: which files belong together, and the numbers in them."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from unitalker.data.importers.corpus import file_name, same_name, spelt
from unitalker.errors import DataError
from unitalker.motion import Motion

MOTION = (".npy", ".npz", ".csv", ".json")
SOUND = (
    ".wav",
    ".flac",
    ".mp3",
    ".ogg",
    ".oga",
    ".opus",
    ".m4a",
    ".aac",
    ".wma",
    ".aif",
    ".aiff",
    ".mp4",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
)
ROOMS = ("audio", "motion")
"""Subfolders that sort files by kind and name nobody."""
EXTRAS = ("template.npy", "template.obj", "names.txt", "lips.txt", "upper_face.txt", "split.json", "fps.txt")
SPEAKER = "speaker"
"""Subject of files that lie in no subject's folder."""
LENGTHS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "u": 1.0}
"""Units of vertices → metres; "u" is the folder's own, unknown one."""
WORDS = {
    "facsNames": "audio2face",
    "faceBlendshapes": "mediapipe",
    "category": "mediapipe",
    '"_neutral"': "mediapipe",
    '"rotation"': "beat",
}
"""Words of other files of motion → their importer."""
TEXT_LIMIT = 1 << 30

Read = Callable[[Path], Motion]


@dataclass(frozen=True)
class Pair:
    """A sound and a motion of one stem. name: where they lie, "anna/take1"; id: the same as a file name."""

    name: str
    id: str
    subject: str
    sound: Path
    motion: Path


@dataclass(frozen=True)
class Found:
    """A folder's files. alone: sounds and motions without a partner; other: files of no known kind; extras: the
    files of `EXTRAS` by their place, "lips.txt" or "anna/template.npy"; twice: a sentence for each name that two have."""

    pairs: tuple[Pair, ...]
    alone: tuple[str, ...]
    other: tuple[str, ...]
    extras: dict[str, Path]
    twice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Take:
    """The motion of one file: values (T, D), or (T, V, 3), memory-mapped where the file allows it.

    names: of weights; None for vertices. fps, unit, template (V, 3): as far as the file tells. With a template of
    its own the values are displacements over it.
    """

    values: np.ndarray
    names: tuple[str, ...] | None = None
    fps: float | None = None
    unit: str | None = None
    template: np.ndarray | None = None

    @property
    def width(self) -> int:
        """Numbers per frame."""
        return int(np.prod(self.values.shape[1:]))


def look(root: Path) -> Found:
    """The files under `root`, hidden ones left out, matched by stem and subfolder.

    `audio/anna/take1.wav`, `anna/audio/take1.wav` and `anna/take1.wav` are all "anna/take1" of the subject anna.
    Takes of which there are two sounds or two motions, and those whose subject or clip would be mistaken for an earlier
    one, are told in `twice`. Raises DataError where no sound has a motion.
    """
    kinds: dict[str, dict[str, Path]] = {"sound": {}, "motion": {}}
    extras: dict[str, Path] = {}
    other: list[str] = []
    twice: dict[str, str] = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        inside = path.relative_to(root)
        if any(part.startswith(".") for part in inside.parts):
            continue
        place = [part for part in inside.parts[:-1] if part.lower() not in ROOMS]
        suffix = path.suffix.lower()
        if path.name in EXTRAS:
            extras["/".join([*place, path.name])] = path
        elif suffix in MOTION or suffix in SOUND:
            kind = kinds["motion" if suffix in MOTION else "sound"]
            name = spelt("/".join([*place, path.stem]))
            first = kind.setdefault(name, path)
            if first is not path:
                twice[name] = f"{first.relative_to(root)} and {inside} are both {name!r}; keep one of them."
        else:
            other.append(str(inside))
    sounds, motions = kinds["sound"], kinds["motion"]
    alone = [p for name, p in (*sounds.items(), *motions.items()) if not (name in sounds and name in motions)]
    pairs = [_pair(n, sounds[n], motions[n]) for n in sorted(set(sounds) & set(motions) - set(twice))]
    if not pairs and twice:
        raise DataError(next(iter(twice.values())))
    if not pairs:
        raise DataError(
            f"{root} holds no pair of sound and motion with the same stem, such as take1.wav and take1.npy; it has "
            f"{len(sounds)} sounds ({', '.join(SOUND[:5])}, …) and {len(motions)} motions ({', '.join(MOTION)})."
        )
    left = [f"{name} was left out: {told}" for name, told in twice.items()]
    kept, same = _distinct(pairs)
    return Found(kept, tuple(str(p.relative_to(root)) for p in alone), tuple(other), extras, (*left, *same))


def _pair(name: str, sound: Path, motion: Path) -> Pair:
    parts = name.split("/")
    return Pair(name, file_name("-".join(parts)), parts[0] if len(parts) > 1 else SPEAKER, sound, motion)


def _distinct(pairs: Sequence[Pair]) -> tuple[tuple[Pair, ...], list[str]]:
    """The pairs without those whose subject or clip would be mistaken for another one, and a sentence for each of
    these."""
    subjects: dict[str, str] = {}
    ids: dict[str, Pair] = {}
    kept, told = [], []
    for pair in pairs:
        who = subjects.setdefault(same_name(pair.subject), pair.subject)
        first = ids.setdefault(same_name(pair.id), pair)
        if who != pair.subject:
            told.append(
                f"{pair.name} was left out: its subject {pair.subject!r} and {who!r} have one name; rename one."
            )
        elif first is not pair:
            told.append(
                f"{pair.name} was left out: {first.name!r} and {pair.name!r} would both be the clip {pair.id!r}; rename "
                "one."
            )
        else:
            kept.append(pair)
    return tuple(kept), told


def read_take(path: Path, names: tuple[str, ...] | None, mesh: bool, read: Read | None) -> Take:
    """The motion in a file. names: of the columns of nameless arrays; mesh: whether these are vertices.

    read: reads Live Link Face CSV files, whose times are timecodes. Raises DataError for a file that is no motion, and
    for (T, D) numbers that nothing names.
    """
    kind = path.suffix.lower()
    if kind == ".npy":
        return _array(path, _load(path), names, mesh)
    if kind == ".npz":
        return _arrays(path, names, mesh)
    if path.stat().st_size > TEXT_LIMIT:
        raise DataError(f"{path} is larger than {TEXT_LIMIT >> 30} GiB; store such motion as .npy.")
    return _table(path, read) if kind == ".csv" else _listed(path)


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as fault:
        raise DataError(f"{path} is not a readable npy array of numbers: {fault}.") from None


def _array(path: Path, values: np.ndarray, names: tuple[str, ...] | None, mesh: bool) -> Take:
    """Vertices, or weights whose names are given."""
    if values.dtype.kind not in "fiu" or values.ndim not in (2, 3) or not values.size:
        raise DataError(
            f"{path} should hold numbers of shape (frames, vertices, 3) or (frames, channels), not "
            f"{values.dtype} {values.shape}."
        )
    if values.ndim == 3 and values.shape[2] != 3:
        raise DataError(f"{path} has the shape {values.shape}; vertices are (frames, vertices, 3).")
    if values.ndim == 3 and names is not None:
        raise DataError(f"{path} holds vertices (frames, vertices, 3), but names of weights are given.")
    if values.ndim == 3 or (mesh and names is None):
        if values.ndim == 2 and values.shape[1] % 3:
            raise DataError(f"{path} has {values.shape[1]} numbers a frame: no whole number of vertices.")
        return Take(values)
    if names is None:
        raise DataError(
            f"{path} has {values.shape[1]} numbers a frame and nothing says what they are: for weights give their "
            "names, one a line, in names.txt or with --names; for vertices say their --unit or add a template."
        )
    return Take(values, _fitting(path, names, values.shape[1]))


def _fitting(path: Path, names: Iterable[Any], width: int) -> tuple[str, ...]:
    """The names as texts. Raises DataError unless there is one for each column, and each once."""
    found = tuple(str(n).strip() for n in names)
    if len(found) != width:
        raise DataError(f"{path} has {width} numbers a frame, but {len(found)} names are given.")
    twice = sorted({n for n in found if found.count(n) > 1})
    if twice or "" in found:
        raise DataError(f"{path}: every channel needs a name of its own; {(twice or [''])[0]!r} is none.")
    return found


def _arrays(path: Path, names: tuple[str, ...] | None, mesh: bool) -> Take:
    """An npz with `values`, and perhaps `names`, `fps`, `unit` and `template`, as this package writes it too."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            held = {k: stored[k] for k in ("values", "names", "fps", "unit", "template") if k in stored.files}
            listed = ", ".join(stored.files)
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as fault:
        raise DataError(f"{path} is not a readable npz file: {fault}.") from None
    if "values" not in held:
        raise DataError(f"{path} has no array 'values' (frames, channels); it holds {listed or 'nothing'}.")
    return _told(path, held, names, mesh)


def _told(path: Path, held: dict[str, Any], names: tuple[str, ...] | None, mesh: bool) -> Take:
    """A take of what a file tells about itself."""
    unit = str(held["unit"]) if "unit" in held else None
    if unit not in (None, "weight", *LENGTHS):
        raise DataError(
            f"{path} is in {unit!r}; an ordinary folder holds weights, or vertices in m, cm, mm or u."
        )
    template = np.asarray(held["template"], np.float32).reshape(-1, 3) if "template" in held else None
    own = held.get("names") if unit not in LENGTHS else None
    given = names if own is None else tuple(str(n) for n in np.asarray(own).tolist())
    take = _array(path, np.asarray(held["values"]), given, mesh or unit in LENGTHS)
    if template is not None and take.width != template.size:
        raise DataError(f"{path}: its template has {template.size} numbers, its frames {take.width}.")
    return Take(take.values, take.names, _rate(path, held.get("fps")), unit, template)


def _rate(path: Path, value: Any) -> float | None:
    if value is None:
        return None
    try:
        fps = float(value)
    except (TypeError, ValueError):
        fps = 0.0
    if not (np.isfinite(fps) and fps > 0):
        raise DataError(f"{path}: fps must be a number above 0, not {value!r}.")
    return fps


def _listed(path: Path) -> Take:
    """A JSON object with `names`, `frames` and perhaps `fps`, `unit` and `template`, as this package writes it too."""
    kind = f'{path} is not motion as JSON, {{"names": […], "fps": 30, "frames": [[…], …]}}'
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise DataError(f"{kind}: {fault}.") from None
    if not isinstance(data, dict) or "frames" not in data:
        raise DataError(f"{kind}: it holds {_told_json(data)}.{_likely(path)}")
    held = {k: data[k] for k in ("names", "fps", "unit", "template") if k in data}
    try:
        held["values"] = np.array(data["frames"], np.float32)
    except (ValueError, TypeError):
        raise DataError(f"{kind}: its frames are no lists of numbers of one length.{_likely(path)}") from None
    if "names" not in held:
        raise DataError(f"{path} has no names for its numbers; JSON motion needs the list 'names'.")
    return _told(path, held, None, False)


def _told_json(data: Any) -> str:
    if not isinstance(data, dict):
        return "a list" if isinstance(data, list) else "a single value"
    return f"{', '.join(map(str, list(data)[:6]))}, but no frames" if data else "nothing"


def _likely(path: Path) -> str:
    """Which importer such a file is for, by a word at its beginning; nothing for another one."""
    with path.open(encoding="utf-8", errors="replace") as file:
        start = file.read(4096)
    kind = next((kind for word, kind in WORDS.items() if word in start), None)
    return f" It looks like a file for `unitalker data import {kind}`." if kind else ""


def _table(path: Path, read: Read | None) -> Take:
    """A CSV whose first line names the columns; Live Link Face's through `read`."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file)
        try:
            head = [name.strip() for name in next(rows, [])]
            if head[:1] != ["Timecode"]:
                return _named(path, head, rows)
        except csv.Error as fault:
            raise DataError(f"{path} is not a readable CSV file: {fault}.") from None
    if read is None:
        raise DataError(f"{path} has timecodes; give import_folder read=unitalker.export.read.")
    motion = read(path)
    return Take(motion.values, motion.names, motion.fps, motion.unit)


def _named(path: Path, head: list[str], rows: Iterable[list[str]]) -> Take:
    """Weights under the names of a CSV's first line."""
    if not head or any(_is_number(name) for name in head):
        raise DataError(f"{path}: the first line must name the columns; it is {','.join(head)[:60]!r}.")
    counts = [n for n in head if n.lower() in ("time", "timestamp", "timecode", "frame", "seconds")]
    if counts:
        raise DataError(f"{path}: the column {counts[0]!r} is no weight; leave it out and say the --fps.")
    return Take(_numbers(path, rows, len(head)), _fitting(path, head, len(head)))


def _numbers(path: Path, rows: Iterable[list[str]], width: int) -> np.ndarray:
    values = []
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        try:
            values.append(np.array(row, np.float32))
        except ValueError:
            raise DataError(f"{path}, line {line}: numbers should stand here.") from None
        if len(row) != width:
            raise DataError(f"{path}, line {line}: {len(row)} numbers stand under {width} names.")
    if not values:
        raise DataError(f"{path} has no frames.")
    return np.stack(values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
