"""Views: a dataset written again with one thing changed, for augmentation or to fit it to others.

Mirrored, at another frame rate, at one loudness, over another neutral face, or in another unit. Nothing changes without
a line in the new manifest's `notes`; sound that stays as it is is linked, not copied. Motion is read in blocks.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unitalker.audio import write_sound
from unitalker.audio.loudness import loudness
from unitalker.config import SAMPLE_RATE
from unitalker.data.dataset import Clip, Dataset, link, write_manifest
from unitalker.data.placing import check_free, placed
from unitalker.data.views_faces import Faces, View
from unitalker.data.views_resample import BLOCK_BYTES, FILTER, resample_blocks
from unitalker.errors import DataError
from unitalker.files import atomic
from unitalker.motion import frame_count

__all__ = ["View", "Viewed", "make_view"]

PEAK = 10 ** (-1 / 20)
"""Sound is never made louder than this peak (-1 dB of full scale)."""
LOUDNESS = (-60.0, -5.0)

Progress = Callable[[int, int], None]
"""Called with the clips that are done and how many there are."""


@dataclass(frozen=True)
class Viewed:
    """The dataset that was written, and a line for everything that was changed."""

    dataset: Dataset
    notes: tuple[str, ...]


def make_view(source: Dataset, out: Path, view: View, *, progress: Progress | None = None) -> Viewed:
    """Write `source` to the folder `out` as `view` says.

    Raises DataError for a view that changes nothing or does not fit the dataset, and where `out` is a dataset already.
    """
    _check(source, out, view)
    check_free(out)
    faces = Faces(source, view)
    notes = faces.notes()
    if view.fps is not None:
        notes.append(
            f"Motion read at {view.fps:g} instead of {source.fps:g} frames a second; filter: {FILTER}."
        )
    if view.loudness is not None:
        notes.append(
            f"Each clip's sound brought to {view.loudness:g} LUFS (ITU-R BS.1770), at most to a peak of -1 dB of full "
            "scale."
        )
    told = source.extra.get("tracking")
    notes += ["Head pose and tracking.json stay with the source."] if told else []
    clips = []
    with placed(out) as draft:
        for done, clip in enumerate(source.clips, 1):
            clips.append(_write(source, clip, faces, view, draft.folder, notes))
            if progress:
                progress(done, len(source.clips))
        made = _finish(source, tuple(clips), faces, view, draft.folder, notes)
    return Viewed(dataclasses.replace(made, folder=out), tuple(notes))


def _check(source: Dataset, out: Path, view: View) -> None:
    if (out / "dataset.json").exists():
        raise DataError(f"{out} is a dataset already; give another folder, or remove it first.")
    if view == View():
        raise DataError(
            "A view changes something: the side, the frame rate, the loudness, the neutral or the unit."
        )
    if view.fps is not None and not 1 <= view.fps <= 1000:
        raise DataError(f"The frames a second must lie between 1 and 1000, not {view.fps:g}.")
    if view.loudness is not None and not LOUDNESS[0] <= view.loudness <= LOUDNESS[1]:
        raise DataError(
            f"The loudness must lie between {LOUDNESS[0]:g} and {LOUDNESS[1]:g} LUFS, not {view.loudness:g}."
        )
    if source.stored != "values" and view != View(loudness=view.loudness):
        raise DataError(
            f"{source.name} stores codes of a basis; make the view of the dataset that they were made from, and codes "
            "of that."
        )
    for name, count in Counter(clip.id for clip in source.clips).items():
        if count > 1 or not (out / name).resolve().is_relative_to(out.resolve()):
            raise DataError(
                f"{source.name}: the clip id {name!r} stands twice or is no file name; give each its own."
            )


def _write(source: Dataset, clip: Clip, faces: Faces, view: View, out: Path, notes: list[str]) -> Clip:
    """Write a clip's motion and sound; the clip as it lies in `out`."""
    files = {"motion": f"motion/{clip.id}.npy"}
    if view.loudness is None:
        files["audio"] = place_sound(source, clip, out)
    else:
        gain = _gain(_samples(source, clip)[0], view.loudness, clip.id, notes)
        files["audio"] = _save_sound(source, clip, gain, out)
    values = source.motion(clip)
    count = len(values) if view.fps is None else frame_count(len(values) / source.fps, view.fps)
    header = {"descr": "<f4", "fortran_order": False, "shape": (count, values.shape[1])}
    target = out / files["motion"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic(target, DataError) as draft, draft.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in _blocks(source, values, view):
            file.write(np.ascontiguousarray(faces.moved(block, clip.subject), "<f4").data)
    if clip.residual:
        files["residual"] = f"motion/{clip.id}.residual.npy"
        with atomic(out / files["residual"], DataError) as draft:
            np.save(draft, np.asarray(source.residual(clip)))
    return dataclasses.replace(clip, **files)


def _blocks(source: Dataset, values: np.ndarray, view: View) -> Iterator[np.ndarray]:
    """A clip's motion in blocks (n, D), at the view's frame rate. Weights that lie in 0 … 1 stay there."""
    rows = max(1, BLOCK_BYTES // (4 * max(1, values.shape[1])))
    parts = (np.asarray(values[i : i + rows], np.float32) for i in range(0, len(values), rows))
    if view.fps is None:
        yield from parts
        return
    bounded = source.unit == "weight" and all(p.min() >= 0 and p.max() <= 1 for p in parts)
    for block in resample_blocks(values, source.fps, view.fps):
        yield np.clip(block, 0, 1) if bounded else block


def place_sound(source: Dataset, clip: Clip, out: Path) -> str:
    """A clip's sound in the dataset folder `out`, as it is: linked where it is a file. Gives its name there."""
    recording = source.recording(clip)
    if not isinstance(recording, Path):
        return _save_sound(source, clip, 1.0, out)
    name = f"audio/{clip.id}{recording.suffix}"
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    link(recording, out / name)
    return name


def _save_sound(source: Dataset, clip: Clip, gain: float, out: Path) -> str:
    samples, rate = _samples(source, clip)
    name = f"audio/{clip.id}.flac"
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    write_sound(out / name, samples * np.float32(gain), rate)
    return name


def _samples(source: Dataset, clip: Clip) -> tuple[np.ndarray, int]:
    samples, rate = source.sound(clip)
    if samples.ndim != 1 or rate != SAMPLE_RATE:
        raise DataError(
            f"{source.name}/{clip.id}: audio must be {SAMPLE_RATE} Hz mono, not {samples.shape} at {rate} Hz."
        )
    return samples, rate


def _gain(samples: np.ndarray, target: float, name: str, notes: list[str]) -> float:
    """What the samples are multiplied by; what hinders it is noted."""
    found = loudness(samples, SAMPLE_RATE)
    if found is None:
        notes.append(f"{name}: silent or too short to measure, so left as loud as it is.")
        return 1.0
    gain = 10 ** ((target - found) / 20)
    peak = float(np.abs(samples).max())
    if gain * peak <= PEAK or gain <= 1:
        return gain
    limit = max(1.0, PEAK / peak)
    notes.append(f"{name}: {found + 20 * np.log10(limit):.1f} LUFS, since its peak allows no more.")
    return limit


def _finish(
    source: Dataset, clips: tuple[Clip, ...], faces: Faces, view: View, out: Path, notes: list[str]
) -> Dataset:
    """Write templates, cards and the manifest."""
    templates = faces.templates
    if templates:
        with atomic(out / "templates.npz", DataError) as draft:
            np.savez(draft, allow_pickle=False, **templates)
    faces.save_cards(out, view.fps)
    extra = {k: v for k, v in source.extra.items() if k not in ("tracking", "shards")}
    before = extra.get("notes", ())
    extra["notes"] = [*((before,) if isinstance(before, str) else before), *notes]
    facts = {key: getattr(source, key) for key in Dataset.__dataclass_fields__}
    facts |= {"folder": out, "clips": clips, "extra": extra, "unit": faces.unit, "known": faces.known}
    facts |= {"fps": view.fps or source.fps, "templates": "templates.npz" if templates else None}
    dataset = Dataset(**facts)
    write_manifest(dataset)
    return dataset
