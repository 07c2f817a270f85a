"""Sound into wav, flac or ogg files, written whole or not at all. The only file that knows soundfile."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unitalker.audio.sound import check_samples
from unitalker.errors import AudioError
from unitalker.files import atomic

SUFFIXES = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
"""Suffix → libsndfile's format and subtype."""


def write_sound(path: str | Path, samples: np.ndarray, rate: int = 16000) -> Path:
    """Writes samples, (N,) mono or (N, C) float in [-1, 1], in the format of the path's suffix.

    Raises AudioError for another suffix, NaN or values beyond full scale, and a place that cannot be written.
    """
    import soundfile

    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise AudioError(
            f"Sound cannot be written as {target.suffix or target.name!r}; use {', '.join(SUFFIXES)}."
        )
    data = check_samples(np.asarray(samples, np.float32), target.name)
    if data.ndim not in (1, 2) or data.size == 0:
        raise AudioError(f"{target.name} needs (N,) or (N, channels) samples, not {data.shape}.")
    kind, subtype = SUFFIXES[target.suffix.lower()]
    with atomic(target, AudioError) as draft, draft.open("wb") as file:
        soundfile.write(file, _integers(data), rate, subtype=subtype, format=kind)
    return target


def _integers(samples: np.ndarray) -> np.ndarray:
    """Floats as 16 bit, full scale 32768, so that reading them gives back what was written."""
    return np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)


def write_wav(path: str | Path, samples: np.ndarray, rate: int = 16000) -> Path:
    """`write_sound` for a path that must end in .wav."""
    if Path(path).suffix.lower() != ".wav":
        raise AudioError(f"{path} must end in .wav; write_sound writes {', '.join(SUFFIXES)}.")
    return write_sound(path, samples, rate)
