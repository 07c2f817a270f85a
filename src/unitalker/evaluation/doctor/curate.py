"""A curated copy of a dataset: what is healthy as it is, what is late in time, the rest left out with the reason.

The original is not touched. Files that stay as they are become hard links, or copies where links cannot be made. A
clip with an offset is cut to what face and sound have in common: whole frames at the start of the motion and samples at
the start of the sound, so that no frame and no sample is changed or invented.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.audio.writing import write_sound
from unitalker.data.dataset import Clip, Dataset, link, write_manifest
from unitalker.errors import DataError
from unitalker.evaluation.doctor.examine import Examination
from unitalker.evaluation.doctor.findings import EXCLUDE, SHIFT, Finding
from unitalker.evaluation.doctor.report import decision
from unitalker.evaluation.doctor.sequence import Sequence
from unitalker.files import atomic

DECISIONS = "decisions.json"
MADE = "curated"
"""Folder of the files that are not the original's."""
FILES = ("audio", "motion", "residual")
SUFFIXES = {"audio": ".flac", "motion": ".npy", "residual": ".residual.npy"}
LEAST_S = 0.5
"""What face and sound must have in common."""


@dataclass(frozen=True)
class Cut:
    """How a late or early clip is put right. frames: dropped at the motion's start; start_s: of the sound that is
    dropped; count: frames that remain."""

    frames: int
    start_s: float
    count: int


def in_time(late_s: float, fps: float, frames: int, sound_s: float) -> Cut:
    """The cut after which frame t of a motion that is `late_s` late shows what is heard at t / fps seconds.

    Late motion loses whole frames, and the sound what is left of the last one; early motion loses nothing, the sound
    its first −late_s seconds. Raises DataError where nothing would remain.
    """
    dropped = max(0, math.ceil(late_s * fps - 1e-6))
    start = dropped / fps - late_s
    count = min(frames - dropped, math.floor((sound_s - start) * fps + 1e-6))
    if count < LEAST_S * fps:
        raise DataError(f"At {1000 * late_s:+.0f} ms face and sound have less than {LEAST_S:g} s in common.")
    return Cut(dropped, start, count)


def curate(seen: Examination, out: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write the curated dataset into a new folder, with `decisions.json`, which tells what became of every clip and
    why. Raises DataError for a folder that holds a dataset, is the original's own or when no clip remains."""
    check_new(seen.dataset, out)
    out.mkdir(parents=True, exist_ok=True)
    kept, told = [], []
    pairs = list(zip(seen.sequences, seen.findings, strict=True))
    for done, (one, found) in enumerate(pairs, 1):
        clip, entry = _decided(seen.dataset, one, found, done, out)
        kept += [] if clip is None else [clip]
        told.append(entry)
        if progress:
            progress(done, len(pairs))
    if not kept:
        raise DataError(f"{seen.dataset.name}: every clip would be left out; {out} was not made a dataset.")
    _write(
        out / DECISIONS,
        {"format": "unitalker.decisions", "version": 1, "of": seen.dataset.name, "clips": told},
    )
    _shared(seen.dataset, out)
    subjects = tuple(s for s in seen.dataset.subjects if any(c.subject == s for c in kept))
    extra = {k: v for k, v in seen.dataset.extra.items() if k != "shards"} | {
        "curated_from": seen.dataset.name
    }
    facts = {key: getattr(seen.dataset, key) for key in Dataset.__dataclass_fields__}
    write_manifest(
        Dataset(**facts | {"folder": out, "clips": tuple(kept), "subjects": subjects, "extra": extra})
    )
    return out


def check_new(dataset: Dataset, out: Path) -> None:
    """Raises DataError for a folder that a curated copy cannot be written to."""
    if out.resolve().is_relative_to(dataset.folder.resolve()) or dataset.folder.resolve().is_relative_to(
        out.resolve()
    ):
        raise DataError(
            f"{out} and the dataset {dataset.folder} lie in one another; write the copy elsewhere."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is not an empty folder; give a new one for the curated dataset.")


def _decided(
    dataset: Dataset, one: Sequence, found: tuple[Finding, ...], number: int, out: Path
) -> tuple[Clip | None, dict[str, Any]]:
    """The clip as the copy has it, None where it is left out, and its entry in the decisions."""
    clip, numbers = one.clip, one.numbers
    what, reasons = decision(found), [f"{f.kind}: {f.text}" for f in found]
    entry: dict[str, Any] = {"id": clip.id, "decision": what, "reasons": reasons}
    if what == EXCLUDE:
        return None, entry
    late = numbers["offset_ms"] / 1000 if what == SHIFT else 0.0
    whole = min(numbers.get("motion_s", clip.seconds), numbers.get("sound_s", clip.seconds))
    uneven = any(f.kind == "duration" for f in found)
    if not late and not uneven:
        return _linked(dataset, clip, number, out), entry
    try:
        cut = in_time(late, dataset.fps, len(dataset.motion(clip)), numbers.get("sound_s", whole))
    except DataError as fault:
        return None, entry | {"decision": EXCLUDE, "reasons": [*reasons, str(fault)]}
    told = {
        "shift_ms": round(-1000 * late, 3),
        "frames_dropped": cut.frames,
        "sound_dropped_s": round(cut.start_s, 6),
    }
    note = f"{clip.notes} Curated: {' '.join(reasons)}".strip()
    return replace(_cut(dataset, clip, cut, number, out), notes=note), entry | told


def _linked(dataset: Dataset, clip: Clip, number: int, out: Path) -> Clip:
    """The clip with its files as they are; a place in a shard becomes a file of the clip's own."""
    names = {}
    for key in FILES:
        relative = getattr(clip, key)
        if not relative:
            continue
        names[key] = relative
        if "@" in relative:
            names[key] = f"{MADE}/{number:06d}{SUFFIXES[key]}"
            with dataset.open(relative) as file:
                _place(out, names[key]).write_bytes(file.read())
        else:
            link(dataset.path(relative), _place(out, relative))
    return replace(clip, **names)


def _cut(dataset: Dataset, clip: Clip, cut: Cut, number: int, out: Path) -> Clip:
    samples, rate = dataset.sound(clip)
    first = round(cut.start_s * rate)
    samples = samples[first : first + round(cut.count / dataset.fps * rate)]
    part, residual = slice(cut.frames, cut.frames + cut.count), dataset.residual(clip)
    names = {key: f"{MADE}/{number:06d}{SUFFIXES[key]}" for key in FILES if getattr(clip, key)}
    write_sound(_place(out, names["audio"]), samples, rate)
    _save(_place(out, names["motion"]), dataset.motion(clip)[part])
    if residual is not None:
        _save(_place(out, names["residual"]), residual[part])
    seconds = len(samples) / rate
    spans = {key: _moved(getattr(clip, key), cut.start_s, seconds) for key in ("phones", "words")}
    return replace(clip, seconds=round(seconds, 6), **names, **spans)


def _moved(
    spans: tuple[tuple[float, float, str], ...], by: float, end: float
) -> tuple[tuple[float, float, str], ...]:
    """Spans that many seconds earlier, cut to 0 … end; those outside are gone."""
    found = [(max(a - by, 0.0), min(b - by, end), name) for a, b, name in spans]
    return tuple((round(a, 5), round(b, 5), name) for a, b, name in found if b > a)


def _place(out: Path, relative: str) -> Path:
    """Where a file of the copy goes; its folder is made."""
    path = out / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _shared(dataset: Dataset, out: Path) -> None:
    """Templates and cards of the dataset."""
    if dataset.templates:
        link(dataset.path(dataset.templates), _place(out, dataset.templates))
    for path in sorted(dataset.cards.iterdir()) if dataset.cards else ():
        if path.is_file():
            link(path, _place(out, f"annotations/{path.name}"))


def _save(path: Path, values: np.ndarray) -> None:
    with atomic(path, DataError) as draft, draft.open("wb") as file:
        np.save(file, np.ascontiguousarray(values), allow_pickle=False)


def _write(path: Path, data: dict[str, Any]) -> None:
    with atomic(path, DataError) as draft:
        draft.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
