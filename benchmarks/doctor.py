"""The doctor on planted faults: offsets found within ±20 ms, precision and recall of every kind of fault.

As a bench of run.py it makes synthetic sets of its own (a seed that no model was trained on; needs the tts extra).
Recordings are given by path: python benchmarks/doctor.py --set sets/grid --set sets/facegood/arkit52 --cut 4
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from common import Row, Setting
from doctor_faults import FAULTS, RATE, WEIGHTS_ONLY, moved, offset_ms, plant

import unitalker
from unitalker.audio.writing import write_sound
from unitalker.data.dataset import Clip, Dataset, open_dataset, write_manifest
from unitalker.data.synthesize import synthesize
from unitalker.evaluation.doctor.examine import Examination, examine
from unitalker.evaluation.doctor.predictor import Heard
from unitalker.motion import Motion

SEED = 2027
TWINS = ("syn-d3", "syn-d6", "syn-d7", "syn-d5")
LONG_S = 4.0
"""Clips from here on count for the offsets."""
MEANT = {"drift": "slip", "dropped": "slip", "gaze": "sides"}
"""Fault → finding, where they are not called the same."""
ALSO = {
    "offset": {"frozen"},
    "drift": {"offset"},
    "dropped": {"offset", "frozen"},
    "frozen": {"slip", "offset"},
    "mismatch": {"offset", "slip", "frozen"},
    "still": {"mismatch"},
    "jitter": {"range"},
    "clipped motion": {"frozen"},
}
"""Fault → findings that come with the way it is planted: held ends and faces at a cut peak stand still, a slip has an
    offset as well, noise on a resting weight is below 0."""


class Cached:
    """A predictor that animates each sound once."""

    def __init__(self, model: str) -> None:
        self.heard, self.known = Heard(unitalker.load(model)), dict[bytes, Motion]()

    def __call__(self, samples: np.ndarray, rate: int) -> Motion:
        key = np.round(samples * 32768).astype(np.int16).tobytes()
        if key not in self.known:
            self.known[key] = self.heard(samples, rate)
        return self.known[key]


def rows(setting: Setting) -> list[Row]:
    """Offsets and faults on fresh synthetic sets."""
    torch.set_num_threads(1)
    predict, tally, out = Cached(setting.model), Tally(), list[Row]()
    names = TWINS[:2] if setting.quick else TWINS
    with tempfile.TemporaryDirectory() as folder:
        for path in synthesize(folder, kinds=names, seconds=300 if setting.quick else 600, seed=SEED):
            dataset = open_dataset(path)
            out += measured(dataset, dataset.clips, predict, Path(folder) / "planted", tally)
    return out + tally.rows("synthetic")


def measured(dataset: Dataset, clips: Sequence[Clip], predict: Cached, work: Path, tally: Tally) -> list[Row]:
    """Rows of one dataset's offsets; its faults go into the tally."""
    shutil.rmtree(work, ignore_errors=True)
    out = offsets(dataset, clips, predict, work / "late")
    faults(dataset, clips, predict, work / "spoilt", tally)
    return out


def offsets(dataset: Dataset, clips: Sequence[Clip], predict: Cached, work: Path) -> list[Row]:
    """Every clip moved by ±40 … ±400 ms: how many are found within ±20 ms, and what the confidence is worth."""
    long = [c for c in clips if c.seconds >= LONG_S] or list(clips)
    rng = np.random.default_rng(SEED)
    planted = np.array([offset_ms(rng) for _ in long])
    copy = replace(dataset, folder=work, clips=tuple(_moved(dataset, long, planted, work)))
    write_manifest(copy)
    plain, found = (_offsets(examine(d, predict, clips=c)) for d, c in ((dataset, long), (copy, copy.clips)))
    told, error = ~np.isnan(found[0]), found[0] - planted
    share = {
        "of the truth": np.abs(error) <= 20,
        "of the clip's own estimate before planting": np.abs(error - plain[0]) <= 20,
        "of the truth, the set's median estimate before planting taken off": np.abs(
            error - np.nanmedian(plain[0])
        )
        <= 20,
    }
    seconds = f"{min(c.seconds for c in long):.1f} … {max(c.seconds for c in long):.1f} s"
    about = f"{dataset.name}, {len(long)} clips of {seconds}, ±40 … ±400 ms planted"
    base = f"before planting: median {np.nanmedian(plain[0]):+.0f} ms, middle half {np.subtract(*np.nanpercentile(plain[0], (75, 25))):.0f} ms wide"
    out = [
        Row(f"{about}: found within 20 ms {what}", f"{np.mean(hit[told]) * told.mean():.1%}", base)
        for what, hit in share.items()
    ]
    sure = found[1] >= 0.9
    hit = np.abs(error) <= 20
    out.append(
        Row(
            f"{dataset.name}: the same of the {sure.sum()} with confidence 0.9 and more",
            f"{hit[sure].mean():.1%}",
            f"mean confidence of all {np.nanmean(found[1]):.2f}",
        )
    )
    return out


def _moved(dataset: Dataset, clips: Sequence[Clip], late_ms: np.ndarray, work: Path) -> list[Clip]:
    (work / "audio").mkdir(parents=True)
    (work / "motion").mkdir()
    kept = []
    for clip, late in zip(clips, late_ms, strict=True):
        audio, motion = f"audio/{clip.id}.flac", f"motion/{clip.id}.npy"
        write_sound(work / audio, dataset.sound(clip)[0])
        values = moved(np.array(dataset.motion(clip), np.float32), dataset.fps, late / 1000)
        np.save(work / motion, values)
        kept.append(replace(clip, audio=audio, motion=motion, residual=""))
    return kept


def _offsets(seen: Examination) -> np.ndarray:
    """(2, clips) offsets in ms and confidences, NaN where none is told."""
    keys = ("offset_ms", "offset_confidence")
    return np.array([[s.numbers.get(key, np.nan) for s in seen.sequences] for key in keys])


@dataclass
class Tally:
    """What was planted and what was found, over several sets. planted, hit: by fault; right, wrong: by finding. wrong
    counts findings that neither the fault nor the way it is planted explains. healthy, quiet: clips with nothing
    planted, and those of them without a finding. leaning: exchanged sides of faces that lean so that it can be told, and
    how many were."""

    planted: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    healthy: int = 0
    quiet: int = 0
    leaning: Counter[bool] = field(default_factory=Counter)

    def add(self, kind: str, found: set[str]) -> None:
        """One clip: its fault, "" for none, and the kinds of its findings."""
        meant = MEANT.get(kind, kind)
        if kind:
            self.planted[kind] += 1
            self.hit[kind] += meant in found
        else:
            self.healthy += 1
            self.quiet += not found
        for one in found:
            self.right[one] += one == meant
            self.wrong[one] += one != meant and one not in ALSO.get(kind, ())

    def rows(self, name: str) -> list[Row]:
        """Recall of every fault with the precision of what it is called, then the healthy clips."""
        out = []
        for kind, count in self.planted.items():
            meant = MEANT.get(kind, kind)
            told = self.right[meant] + self.wrong[meant]
            precision = (
                f"{self.right[meant] / told:.2f} ({self.wrong[meant]} of {told} wrong)"
                if told
                else "none told"
            )
            out.append(
                Row(
                    f"{name}: {kind}",
                    f"recall {self.hit[kind] / count:.2f} ({self.hit[kind]} of {count})",
                    f"precision of “{meant}” {precision}",
                )
            )
        if plain := self.leaning.total():
            figure = f"recall {self.leaning[True] / plain:.2f} ({self.leaning[True]} of {plain})"
            out.append(Row(f"{name}: sides of faces that lean", figure))
        return [
            *out,
            Row(f"{name}: nothing planted", f"{self.quiet} of {self.healthy} clips without a finding"),
        ]


def faults(dataset: Dataset, clips: Sequence[Clip], predict: Cached, work: Path, tally: Tally) -> None:
    """Plant one fault in each of half of the clips, and count what is found."""
    kinds = [k for k in FAULTS if dataset.unit == "weight" or k not in WEIGHTS_ONLY]
    if "eyeLookInLeft" not in dataset.names:
        kinds = [k for k in kinds if k != "gaze"]
    copy, planted = plant(dataset, clips, work, kinds, 0.5, SEED)
    seen = examine(copy, predict)
    for one, found in zip(seen.sequences, seen.findings, strict=True):
        kind, told = planted.get(one.clip.id, ""), {f.kind for f in found}
        tally.add(kind, told)
        if kind == "sides" and one.numbers.get("mirror_worth_nats", 0) >= -seen.limits.mirror_nats:
            tally.leaning["sides" in told] += 1


def cut(dataset: Dataset, clips: Sequence[Clip], seconds: float, work: Path) -> Dataset:
    """The dataset with its clips in pieces of so many seconds; shorter ones stay."""
    (work / "audio").mkdir(parents=True)
    (work / "motion").mkdir()
    kept = []
    for clip in clips:
        values, samples = np.array(dataset.motion(clip), np.float32), dataset.sound(clip)[0]
        for number in range(max(1, int(clip.seconds // seconds))):
            length = min(seconds, clip.seconds)
            start, stop = (round((number * length + x) * dataset.fps) for x in (0, length))
            first, last = (round(x / dataset.fps * RATE) for x in (start, stop))
            name = f"{clip.id}_{number:02d}"
            np.save(work / f"motion/{name}.npy", values[start:stop])
            write_sound(work / f"audio/{name}.flac", samples[first:last])
            files = {"audio": f"audio/{name}.flac", "motion": f"motion/{name}.npy", "residual": ""}
            kept.append(replace(clip, id=name, seconds=(last - first) / RATE, phones=(), words=(), **files))
    made = replace(dataset, folder=work, clips=tuple(kept))
    write_manifest(made)
    return made


def main() -> int:
    """Measure datasets given by path."""
    from run import table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", action="append", required=True, type=Path, help="a dataset folder")
    parser.add_argument("--split", help="only clips of this split")
    parser.add_argument("--clips", type=int, default=150, help="at most so many clips, spread over the set")
    parser.add_argument("--cut", type=float, help="cut longer clips into pieces of so many seconds")
    parser.add_argument("--model", default="mini")
    given = parser.parse_args()
    torch.set_num_threads(1)
    predict, tally, found = Cached(given.model), Tally(), list[Row]()
    for path in given.set:
        dataset = open_dataset(path)
        clips = dataset.split(given.split) if given.split else dataset.clips
        clips = clips[:: max(1, len(clips) // given.clips)]
        with tempfile.TemporaryDirectory() as folder:
            if given.cut:
                dataset = cut(dataset, clips, given.cut, Path(folder) / "cut")
                clips = dataset.clips
            found += measured(dataset, clips, predict, Path(folder) / "planted", tally)
    print(table(found + tally.rows("given")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
