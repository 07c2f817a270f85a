"""The doctor on corpora whose offset differs from file to file: BEAT, BEAT2 and TalkSHOW, as importers read them.

Made-up speech (the tts extra) with its faces is written in each corpus's layout, with ±40 … ±400 ms planted in two of
three files, imported, and examined with the shipped model: python benchmarks/doctor_corpora.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

import unitalker
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import import_corpus
from unitalker.data.likes import beat, talkshow
from unitalker.data.likes.talk import NAMES, Talk
from unitalker.data.synthesize import synthesize
from unitalker.data.views_resample import resample
from unitalker.evaluation.doctor.examine import examine
from unitalker.evaluation.doctor.findings import Limits
from unitalker.evaluation.doctor.predictor import Heard
from unitalker.motion import by_name

SEED, SPEECH, LONG_S = 2027, "syn-d3", 4.0
RATES = {"beat": 60.0, "beat2": 30.0, "talkshow": 30.0}


def speech(folder: Path, seconds: float) -> list[Talk]:
    """Clips of made-up speech of 4 s and more with their faces."""
    (path,) = synthesize(folder, kinds=(SPEECH,), seconds=seconds, seed=SEED)
    dataset = open_dataset(path)
    found = []
    for clip in dataset.clips:
        samples, rate = dataset.sound(clip)
        weights = by_name(np.asarray(dataset.motion(clip)), dataset.names, NAMES)
        if clip.seconds >= LONG_S:
            found.append(Talk(samples, rate, weights, dataset.fps))
    return found


def write(kind: str, folder: Path, said: list[Talk], late: np.ndarray) -> dict[str, float]:
    """Write takes in a corpus's layout. Returns clip → what was planted, in ms."""
    planted = {}
    for number, (one, seconds) in enumerate(zip(said, late, strict=True)):
        weights = resample(one.weights, one.fps, RATES[kind])
        moved = beat.lagging(Talk(one.samples, one.rate, weights, RATES[kind]), float(seconds))
        if kind == "talkshow":
            clip = f"{number:04d}"
            talkshow.write(folder / "oliver" / "video" / clip, clip, moved)
            name = f"oliver_video_{clip}"
        else:
            name = f"1_wayne_0_{number}_{number}"
            (beat.write if kind == "beat" else beat.write_body)(folder, name, moved)
        planted[name] = 1000 * float(seconds)
    return planted


def main() -> int:
    """Import, examine and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of speech")
    torch.set_num_threads(1)
    predict, limit = Heard(unitalker.load("mini")), Limits().tolerance_ms
    with tempfile.TemporaryDirectory() as work:
        said = speech(Path(work), parser.parse_args().seconds)
        rng = np.random.default_rng(SEED)
        late = rng.uniform(0.04, 0.4, len(said)) * rng.choice([-1, 0, 1], len(said))
        for kind in RATES:
            source = Path(work) / kind
            source.mkdir()
            planted = write(kind, source, said, late)
            (made,) = import_corpus(kind, source, Path(work) / f"{kind} set")
            seen = examine(open_dataset(made.folder), predict)
            due = np.array([planted[s.clip.id] for s in seen.sequences])
            found = np.array([s.numbers.get("offset_ms", np.nan) for s in seen.sequences])
            told = np.array([any(f.kind == "offset" for f in found) for found in seen.findings])
            wrong = np.abs(due) > limit
            print(
                f"{kind:9s} {len(due)} clips: {np.mean(np.abs(found - due) <= 20):.1%} within 20 ms (median "
                f"{np.median(found - due):+.0f} ms); offsets above {limit:g} ms: recall "
                f"{np.mean(told[wrong]):.1%}, precision {np.mean(wrong[told]):.1%}"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
