"""What importers share: reading arrays and sound strictly, and writing a dataset folder whole."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from unitalker.config import SAMPLE_RATE
from unitalker.data.dataset import FORMAT
from unitalker.data.importers.corpus import Imported
from unitalker.data.placing import placed
from unitalker.errors import DataError, UniTalkerError
from unitalker.files import atomic


@dataclass(frozen=True)
class ImportedClip:
    """One clip ready to be written.

    samples: (N,) float32 mono at 16 kHz. values: (T, D) float32, frame t at t / fps seconds of the sound.
    words: (start, end, word) in seconds, silences left out.
    """

    id: str
    subject: str
    split: str
    samples: np.ndarray
    values: np.ndarray
    text: str = ""
    words: list[tuple[float, float, str]] = field(default_factory=list)


def read_arrays(path: Path, keys: Iterable[str]) -> dict[str, np.ndarray]:
    """The arrays `keys` of an npz file, without pickles. Raises DataError when file or key is missing."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            missing = [k for k in keys if k not in stored.files]
            if missing:
                raise DataError(f"{path} has no array {missing[0]!r}; it holds {', '.join(stored.files)}.")
            return {k: stored[k] for k in keys}
    except (OSError, TypeError, ValueError, EOFError, BadZipFile, zlib.error) as problem:
        raise DataError(f"{path} cannot be read as an npz file of the corpus: {problem}") from problem


def read_speech(path: Path) -> np.ndarray:
    """Mono 16 kHz samples (N,) float32 of a corpus recording. Raises DataError for anything else."""
    import soundfile

    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as problem:
        raise DataError(f"{path} cannot be read as sound: {problem}") from problem
    if rate != SAMPLE_RATE or samples.shape[1] != 1 or not len(samples):
        raise DataError(
            f"{path} should be mono speech at {SAMPLE_RATE} Hz, but has {samples.shape[1]} channels of "
            f"{len(samples)} samples at {rate} Hz."
        )
    return samples[:, 0]


Clips = Iterable[tuple[str, Callable[[], ImportedClip]]]
"""Name of each clip, and what reads it; reading raises a UniTalkerError for a clip that cannot be used."""


def write_dataset(
    folder: Path, facts: dict[str, Any], clips: Clips, problems: Iterable[str] = ()
) -> Imported:
    """Write sound, motion and `dataset.json` (last, so that a half-written folder is never a dataset).

    facts: name, annotation, fps, unit, names, known, subjects, licence, source and notes of the manifest. problems:
    what is known to be broken already. Every file is written under a temporary name and renamed. A clip that cannot be
    used is left out and told. An earlier import of the same source is replaced. Raises DataError where no clip can be
    used, and the folder is what it was then.
    """
    with placed(folder, "source", facts["source"]) as draft:
        told = _write(draft.folder, facts, clips, problems)
    return Imported(folder, (*draft.notes, *facts.get("notes", ())), tuple(told))


def _write(folder: Path, facts: dict[str, Any], clips: Clips, problems: Iterable[str]) -> list[str]:
    """Every file of the dataset; a sentence for all that was left out."""
    (folder / "audio").mkdir()
    (folder / "motion").mkdir()
    rows, told = [], list(problems)
    for name, read in clips:
        try:
            rows.append(_write_clip(folder, read(), len(facts["names"])))
        except UniTalkerError as fault:
            told.append(f"{name} was left out: {fault}")
    if not rows:
        why = told[0] if told else "The corpus holds no clip."
        raise DataError(f"No clip can be used, so no dataset was written. {why}")
    manifest = {"format": FORMAT, "version": 1, "scale": 1.0, "templates": None} | facts
    text = json.dumps(manifest | {"problems": told, "clips": rows}, ensure_ascii=False, indent=1)
    with atomic(folder / "dataset.json", DataError) as draft:
        draft.write_text(text + "\n", encoding="utf-8")
    return told


def _write_clip(folder: Path, clip: ImportedClip, width: int) -> dict[str, Any]:
    import soundfile

    values = np.ascontiguousarray(clip.values, np.float32)
    if values.ndim != 2 or values.shape[1] != width or not len(values) or not np.isfinite(values).all():
        raise DataError(f"Clip {clip.id!r} should have finite (T, {width}) motion, not shape {values.shape}.")
    audio, motion = f"audio/{clip.id}.flac", f"motion/{clip.id}.npy"
    with atomic(folder / audio, DataError) as draft:
        soundfile.write(str(draft), clip.samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    with atomic(folder / motion, DataError) as draft:
        np.save(draft, values)
    return {
        "id": clip.id,
        "subject": clip.subject,
        "audio": audio,
        "motion": motion,
        "split": clip.split,
        "seconds": round(len(clip.samples) / SAMPLE_RATE, 6),
        "text": clip.text,
        "words": [[round(start, 4), round(end, 4), word] for start, end, word in clip.words],
    }
