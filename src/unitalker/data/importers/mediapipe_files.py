"""MediaPipe face landmarker scores as people store them: JSON of many forms, read bit by bit, and npz.

A file is a list of frames, or an object with such a list under `frames`, `results`, `data` or `blendshapes`. A frame is a
list of {categoryName, score} (or category_name, displayName), an object name → score, a list of numbers in the order of
the file's `names`, or an object with one of these under `faceBlendshapes` (of one face or of several), `face_blendshapes`,
`blendshapes`, `categories`, `scores` or `weights` and perhaps a time. An empty list, or null, is a frame without a face.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.annotations.layouts import channel_key, layout
from unitalker.data.importers.json_stream import parts
from unitalker.data.importers.npz_rows import npz_names, npz_number, npz_rows, npz_whole
from unitalker.data.importers.stamped import ROWS, Stretch, Table, stretches
from unitalker.data.importers.weights import RATES, numbers
from unitalker.errors import DataError

LISTS = ("frames", "results", "data", "blendshapes")
INNER = ("faceBlendshapes", "face_blendshapes", "blendshapes", "categories", "scores", "weights")
NAMED = ("categoryName", "category_name", "displayName", "display_name", "name")
MILLISECONDS = ("timestampMs", "timestamp_ms", "timestamp", "timeMs", "time_ms", "ms")
SECONDS = ("time", "seconds", "t")
ARRAYS = ("values", "frames", "blendshapes", "scores", "weights")
HEAD = ("names", "fps")
"""What is kept of an object beside its frames; whatever else it holds is read over."""
OTHER_CLOCK = 1.0
"""Seconds: a first time stamp later than this is of another clock than the sound's."""
ORDER = layout("mediapipe").names


class NoScores(Exception):
    """A file of something else."""


@dataclass(frozen=True)
class Tracked:
    """A file that was read once. names: ARKit's, that it has. rate: frames a second. pieces: unbroken stretches of its rows
    with a face, on the sound's clock. origin: seconds that were taken off its stamps. notes: what was found."""

    path: Path
    names: tuple[str, ...]
    fps: float | None
    rate: float
    rows: int
    pieces: tuple[Stretch, ...]
    origin: float
    notes: tuple[str, ...]


def examine(path: Path, wanted: tuple[str, ...], fps: float | None) -> Tracked:
    """A file's names and times. fps: of files without time stamps that do not say it. Raises NoScores for a file of something
    else, DataError for a broken one, for time that goes back and for frames that nothing names."""
    notes: list[str] = []
    names: tuple[str, ...] = ()
    found, count, origin, rate = [], 0, None, fps
    for block in _blocks(path, fps):
        origin = block.origin if origin is None else origin
        found.append(block.times - origin)
        count, names, rate = count + block.frames, block.names, block.fps
    there = tuple(name for name in wanted if name in names)
    if names and not there:
        raise NoScores
    times = np.concatenate(found) if found else np.zeros(0)
    if len(times) < 2:
        raise DataError(f"{path} has {len(times)} frames with a face; at least 2 are needed.")
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        raise DataError(
            f"{path}: time does not go on, from {times[back[0]]:.3f} to {times[back[0] + 1]:.3f} s."
        )
    shift = origin if origin is not None and abs(origin) > OTHER_CLOCK else 0.0
    times = times if shift else times + (origin or 0.0)
    if shift:
        notes.append(
            f"its time begins at {shift:.3f} s, of another clock; the first frame was put at the start."
        )
    if count > len(times):
        notes.append(f"{count - len(times)} of {count} frames are without a face.")
    pieces = tuple(stretches(times))
    if not pieces:
        raise DataError(f"{path} has no two neighbouring frames with a face.")
    own = pieces[0].rate
    if own > RATES[1]:
        raise DataError(
            f"{path} has {own:.4g} frames a second by its time stamps, at most {RATES[1]:g} are read; `timestamp` and names "
            "with ms are milliseconds, `time`, `seconds` and `t` seconds."
        )
    return Tracked(path, there, rate, own, len(times), pieces, shift, tuple(notes))


def rows_of(tracked: Tracked, piece: Stretch) -> tuple[Table, np.ndarray]:
    """The weights of a piece in the order of `names`, and its times in seconds of the sound."""
    table, times, done = Table(len(tracked.names)), [], 0
    for block in _blocks(tracked.path, tracked.fps):
        columns = [block.names.index(name) for name in tracked.names]
        part = slice(max(0, piece.first - done), max(0, piece.last + 1 - done))
        table.add(block.values[part][:, columns])
        times.append(block.times[part] - tracked.origin)
        done += len(block.times)
    return table, np.concatenate(times)


@dataclass(frozen=True)
class _Block:
    """Rows with a face. origin: time of the file's first frame; frames: rows, and frames without a face."""

    names: tuple[str, ...]
    times: np.ndarray
    values: np.ndarray
    origin: float
    frames: int
    fps: float | None


def _blocks(path: Path, fps: float | None) -> Iterator[_Block]:
    if path.suffix.lower() == ".npz":
        yield from _arrays(path, fps)
        return
    head: dict[str, Any] = {}
    first: tuple[str, ...] = ()
    rows: list[list[float]] = []
    times: list[float] = []
    place, origin, stamped, seen = 0, 0.0, None, 0
    for key, value in parts(path, LISTS):
        if key and key not in LISTS:
            if key in HEAD:
                head[key] = value
            continue
        names, scores = _scores(value, head.get("names"))
        rate = _rate(path, head.get("fps"), fps)
        time = _time(path, value, place, rate)
        stamped = time[1] if stamped is None else stamped
        if stamped != time[1]:
            raise DataError(
                f"{path}: frame {place} {'has no time stamp' if stamped else 'alone has a time stamp'}."
            )
        origin = time[0] if place == 0 else origin
        place += 1
        if not names:
            continue
        first = first or names
        rows.append(_ordered(path, names, scores, first, place - 1))
        times.append(time[0])
        if len(rows) == ROWS:
            yield _Block(
                first,
                np.array(times),
                numbers(path, rows, place - ROWS, len(first)),
                origin,
                place - seen,
                rate,
            )
            rows, times, seen = [], [], place
    if not place:
        raise NoScores
    if place > seen:
        values = numbers(path, rows, seen, len(first)) if rows else np.zeros((0, len(first)), np.float32)
        yield _Block(first, np.array(times), values, origin, place - seen, _rate(path, head.get("fps"), fps))


def _scores(frame: Any, names: Any) -> tuple[tuple[str, ...], list[Any]]:
    """Names and scores of a frame, none for a frame without a face. Raises NoScores for what is no frame."""
    if isinstance(frame, Mapping):
        inner = next((frame[k] for k in INNER if k in frame), None)
        if inner is not None or any(k in frame for k in INNER):
            return _scores(inner, names)
        named = {k: v for k, v in frame.items() if channel_key(k) in ORDER}
        if not named and frame:
            raise NoScores
        return tuple(map(channel_key, named)), list(named.values())
    if frame is None or frame == []:
        return (), []
    if not isinstance(frame, list):
        raise NoScores
    if isinstance(frame[0], list) or (isinstance(frame[0], Mapping) and any(k in frame[0] for k in INNER)):
        return _scores(frame[0], names)
    if isinstance(frame[0], Mapping):
        key = next((k for k in NAMED if frame[0].get(k)), None)
        if key is None or not all(isinstance(one, Mapping) for one in frame):
            raise NoScores
        return tuple(channel_key(str(one.get(key))) for one in frame), [one.get("score") for one in frame]
    if isinstance(names, list):
        return tuple(channel_key(str(n)) for n in names), frame
    return (ORDER if len(frame) == len(ORDER) else tuple(f"?{k}" for k in range(len(frame)))), frame


def _ordered(
    path: Path, names: tuple[str, ...], scores: list[Any], first: tuple[str, ...], place: int
) -> list[Any]:
    """Scores in the order of the first frame's names."""
    if len(scores) != len(names):
        raise DataError(f"{path}: frame {place} has {len(scores)} scores for {len(names)} names.")
    if names == first:
        return scores
    if len(set(names)) != len(names) or set(names) != set(first):
        odd = sorted(set(names) ^ set(first))
        raise DataError(
            f"{path}: frame {place} and the first one differ in the name {(odd or ['of two'])[0]!r}."
        )
    held = dict(zip(names, scores, strict=True))
    return [held[name] for name in first]


def _time(path: Path, frame: Any, place: int, rate: float | None) -> tuple[float, bool]:
    """Seconds of a frame, and whether it says them itself."""
    if isinstance(frame, Mapping):
        for keys, unit in ((MILLISECONDS, 0.001), (SECONDS, 1.0)):
            value = next((frame[k] for k in keys if k in frame), None)
            if value is not None:
                try:
                    seconds = float(value) * unit
                except (TypeError, ValueError):
                    seconds = np.nan
                if not np.isfinite(seconds):
                    raise DataError(f"{path}: frame {place} has the time {value!r}.")
                return seconds, True
    if rate is None:
        raise DataError(f"{path} has neither time stamps nor fps; give --fps.")
    return place / rate, False


def _seconds(path: Path, name: str, unit: float) -> np.ndarray:
    """The time stamps (T,) of an npz in seconds."""
    stamps = npz_whole(path, name)
    if stamps.dtype.kind not in "fiu":
        raise DataError(f"{path}: {name} should hold numbers, not {stamps.dtype}.")
    return stamps.astype(np.float64) * unit


def _rate(path: Path, told: Any, given: float | None) -> float | None:
    if told is None:
        return given
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not RATES[0] <= told <= RATES[1]:
        raise DataError(f"{path}: fps must lie between {RATES[0]:g} and {RATES[1]:g}, not be {told!r}.")
    return float(told)


def _arrays(path: Path, fps: float | None) -> Iterator[_Block]:
    """An npz with scores (T, D) under one of ARRAYS, `names` unless these are MediaPipe's 52, and `fps` or time stamps
    (T,)."""
    there = npz_names(path)
    key = next((k for k in ARRAYS if k in there), None)
    if key is None:
        raise NoScores
    names = tuple(channel_key(str(n)) for n in npz_whole(path, "names")) if "names" in there else ORDER
    units = {k: unit for keys, unit in ((MILLISECONDS, 0.001), (SECONDS, 1.0)) for k in keys}
    stamp = next((k for k in units if k in there), None)
    scores, rate = npz_rows(path, key), _rate(path, npz_number(path, "fps"), fps)
    if scores.width != len(names):
        raise DataError(f"{path}: {key} has {scores.width} numbers a frame for {len(names)} names.")
    if stamp is None and rate is None:
        raise DataError(f"{path} has neither time stamps nor fps; give --fps.")
    times = np.arange(len(scores)) / (rate or 1.0)
    if stamp is not None:
        times = _seconds(path, stamp, units[stamp])
    if len(times) != len(scores) or not np.isfinite(times).all():
        raise DataError(
            f"{path} has {len(scores)} frames and {len(times)} time stamps, or some that are no numbers."
        )
    for done, block in enumerate(scores.blocks(ROWS)):
        part = times[done * ROWS : done * ROWS + len(block)]
        faces = ~np.isnan(block).all(1)
        values = numbers(path, block[faces].tolist(), done * ROWS, len(names))
        yield _Block(names, part[faces], values, float(times[0]), len(block), rate)
