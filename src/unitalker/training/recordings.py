"""Recordings with a text but no captured motion, made into training data: align the phones, then perform them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from unitalker.annotations.layouts import layout
from unitalker.audio import read
from unitalker.config import SAMPLE_RATE
from unitalker.data import tts
from unitalker.data.dataset import Clip, Dataset, write_manifest
from unitalker.data.visemes import loudness, perform
from unitalker.data.visemes_style import random_style
from unitalker.errors import DataError, UniTalkerError
from unitalker.models import checkpoint
from unitalker.training.alignment import align
from unitalker.training.phones import PhoneTable, plain

FPS = 60
LEAST_SCORE = -2.6
"""Alignments whose mean log posterior per frame lies below this are left out, and said so."""


@dataclass(frozen=True)
class Recording:
    """A sound file, what is said in it, the TTS voice of its language, and who speaks."""

    path: Path
    text: str
    voice: str
    speaker: str


class PhoneListener:
    """Phone posteriors of sound, by a training run's encoder and auxiliary phone head."""

    def __init__(self, run: Path) -> None:
        self.model = checkpoint.load(run / "model").model
        state = torch.load(run / "checkpoint.pt", weights_only=True)["phone_head"]
        self.head = torch.nn.Linear(state["weight"].shape[1], state["weight"].shape[0])
        self.head.load_state_dict(state)
        self.table = PhoneTable(json.loads((run / "phones.json").read_text()))

    def posteriors(self, samples: np.ndarray) -> np.ndarray:
        """Samples (N,) → log posteriors (T, classes) at 50 Hz."""
        with torch.inference_mode():
            features = self.model.encoder(torch.as_tensor(samples)[None])
            return torch.log_softmax(self.head(features)[0], -1).numpy()

    def row(self, symbol: str) -> int:
        """Class of a phone; of its first letter where the phone itself was never heard. Raises DataError otherwise."""
        for known in (symbol, symbol[:1]):
            if known in self.table.index:
                return self.table.index[known]
        raise DataError(f"The phone {symbol!r} was not among those that the listener learned.")

    def prior(self, recordings: Iterable[np.ndarray]) -> np.ndarray:
        """Mean posterior of some recordings: how often each phone comes."""
        return np.mean([np.exp(self.posteriors(x)).mean(0) for x in recordings], axis=0)


def label_recordings(
    recordings: list[Recording],
    listener: PhoneListener,
    out: Path,
    *,
    licence: str,
    source: str,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Write a dataset of the recordings with performed ARKit motion at 60 fps. Bad alignments are told, not kept."""
    (out / "audio").mkdir(parents=True, exist_ok=True)
    (out / "motion").mkdir(exist_ok=True)
    sounds = [read(r.path).samples for r in recordings[:: max(1, len(recordings) // 40)]]
    prior = listener.prior(sounds)
    clips, left_out = [], []
    for number, recording in enumerate(recordings):
        try:
            clips.append(_label(recording, listener, prior, out, f"{number:05d}"))
        except UniTalkerError as fault:
            left_out.append({"file": recording.path.name, "why": str(fault)})
        if progress:
            progress(number + 1, len(recordings))
    subjects = tuple(sorted({c.subject for c in clips}))
    names = layout("arkit52").names
    extra = {"left_out": left_out}
    dataset = Dataset(
        out,
        out.name,
        "arkit52",
        FPS,
        "weight",
        names,
        subjects,
        tuple(clips),
        licence=licence,
        source=source,
        extra=extra,
    )
    write_manifest(dataset)
    return dataset


def _label(recording: Recording, listener: PhoneListener, prior: np.ndarray, out: Path, name: str) -> Clip:
    samples = read(recording.path).samples
    spoken = tts.speak(recording.text, recording.voice)
    symbols = [plain(p.ipa) for p in spoken.phones]
    rows = [listener.row(s) for s in symbols]
    found = align(listener.posteriors(samples), prior, symbols, rows)
    if found.score < LEAST_SCORE:
        raise DataError(
            f"The text fits badly: {found.score:.2f} a frame, at least {LEAST_SCORE} is asked for."
        )
    stress = iter([p.stress for p in spoken.phones if p.ipa])
    phones = [tts.Phone(a, b, s, next(stress) if s else 0) for a, b, s in found.phones]
    seconds = len(samples) / SAMPLE_RATE
    style = random_style(np.random.default_rng(abs(hash_name(recording.speaker))))
    motion = perform(phones, seconds, FPS, style, loudness(samples, seconds, FPS), None)
    soundfile.write(out / "audio" / f"{name}.flac", samples, SAMPLE_RATE)
    np.save(out / "motion" / f"{name}.npy", motion.astype(np.float16))
    return Clip(
        name, recording.speaker, f"audio/{name}.flac", f"motion/{name}.npy", "train", seconds,
        recording.text, recording.voice, tuple(found.phones), notes=f"alignment score {found.score:.2f}",
    )  # fmt: skip


def hash_name(name: str) -> int:
    """A number that a name always gives."""
    import zlib

    return zlib.crc32(name.encode())
