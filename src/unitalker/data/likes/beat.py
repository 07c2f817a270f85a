"""BEAT and BEAT2, made up: ARKit weights as JSON at 60 fps, and the FLAME numbers of a body model as npz at 30."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.annotations.flame import EXPRESSION, JAW, SHAPE
from unitalker.annotations.flame_rig import flame_codes, flame_from_rig
from unitalker.audio import write_sound
from unitalker.data.importers.beat_facts import FOUR_HOURS, SPEAKERS, parse, split_of
from unitalker.data.likes import Size
from unitalker.data.likes.talk import NAMES, Talk, talk
from unitalker.motion import by_name
from unitalker.rig import builtin_head

RATE = 16000
FPS, BODY_FPS = 60.0, 30.0
NUMBERS = (9, 57, 1, *range(10, 47))
"""Speech in the order in which it is made, so that the first are one of each split."""
STORED = tuple(sorted(name for name in NAMES if name != "tongueOut"))


@dataclass(frozen=True)
class Made:
    """A made-up sequence: the stem of its files, its speaker's number and what is said."""

    stem: str
    speaker: int
    said: Talk


def sequences(size: Size, fps: float, late: Sequence[float] = ()) -> Iterator[Made]:
    """Sequences of four-hour speakers. late: seconds by which each one's face lags behind its sound, 0 where there are
    no more."""
    rng, place = np.random.default_rng(size.seed), 0
    for speaker in FOUR_HOURS[: size.people]:
        for number in NUMBERS[: size.takes]:
            said = talk(size.seconds, fps, rng, RATE)
            lag = late[place] if place < len(late) else 0.0
            place += 1
            yield Made(f"{SPEAKERS[speaker - 1]}_0_{number}_{number}", speaker, lagging(said, lag))


def lagging(said: Talk, seconds: float) -> Talk:
    """The same with the face that much later; what goes over one end comes in at the other."""
    frames = np.arange(len(said.weights))
    where = (frames - seconds * said.fps) % len(frames)
    low = where.astype(int)
    part = (where - low)[:, None]
    moved = (1 - part) * said.weights[low] + part * said.weights[(low + 1) % len(frames)]
    return Talk(said.samples, said.rate, moved.astype(np.float32), said.fps)


def make(out: Path, size: Size, late: Sequence[float] = ()) -> Path:
    """BEAT: <speaker>/<stem>.json, .wav and .TextGrid. `late` as in `sequences`."""
    for one in sequences(size, FPS, late):
        write(out / str(one.speaker), one.stem, one.said)
    return out


def write(folder: Path, stem: str, said: Talk) -> None:
    """A sequence of BEAT."""
    folder.mkdir(exist_ok=True)
    write_sound(folder / f"{stem}.wav", said.samples, RATE)
    weights = by_name(said.weights, NAMES, STORED)
    frames = [
        {"weights": [round(float(w), 6) for w in row], "time": round(t / said.fps, 6), "rotation": []}
        for t, row in enumerate(weights)
    ]
    (folder / f"{stem}.json").write_text(json.dumps({"names": STORED, "frames": frames}))
    (folder / f"{stem}.TextGrid").write_text(grid(len(said.samples) / RATE))


def grid(seconds: float) -> str:
    """A TextGrid of one word between two silences."""
    marks = ((0.0, 0.1, ""), (0.1, seconds - 0.1, "syllables"), (seconds - 0.1, seconds, ""))
    rows = "".join(
        f'        intervals [{i}]:\n            xmin = {a:.3f} \n            xmax = {b:.3f} \n            text = "{w}" \n'
        for i, (a, b, w) in enumerate(marks, 1)
    )
    tier = (
        f'    item [1]:\n        class = "IntervalTier" \n        name = "words" \n        xmin = 0 \n'
        f"        xmax = {seconds:.3f} \n        intervals: size = {len(marks)} \n{rows}"
    )
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    return f"{head}xmin = 0 \nxmax = {seconds:.3f} \ntiers? <exists> \nsize = 1 \nitem []: \n{tier}"


def make_body(out: Path, size: Size, late: Sequence[float] = ()) -> Path:
    """BEAT2: smplxflame_30/<stem>.npz, wave16k, textgrid and the table of splits. `late` as in `sequences`."""
    root, rows = out / "beat_english_v2.0.0", []
    for one in sequences(size, BODY_FPS, late):
        write_body(root, one.stem, one.said)
        name = parse(one.stem)
        assert name is not None
        rows.append(f"{one.stem},{split_of(name)}\n")
    (root / "train_test_split.csv").write_text("id,type\n" + "".join(rows))
    return out


def write_body(root: Path, stem: str, said: Talk) -> None:
    """A sequence of BEAT2."""
    for room in ("smplxflame_30", "wave16k", "textgrid"):
        (root / room).mkdir(parents=True, exist_ok=True)
    write_sound(root / "wave16k" / f"{stem}.wav", said.samples, RATE)
    np.savez(root / "smplxflame_30" / f"{stem}.npz", **body(said.weights))
    (root / "textgrid" / f"{stem}.TextGrid").write_text(grid(len(said.samples) / RATE))


def body(weights: np.ndarray) -> dict[str, Any]:
    """A body's numbers for weights (T, 52): it stands still but for jaw and face. Types are those of the corpus, Python
    objects among them."""
    expressions, jaw = face_numbers(weights)
    poses = np.zeros((len(weights), 165))
    poses[:, 66:69] = jaw
    still = {"betas": np.zeros(300), "trans": np.zeros((len(weights), 3)), "mocap_frame_rate": np.array(30)}
    objects = {"model": np.array("smplx2020", object), "gender": np.array("neutral", object)}
    return {"poses": poses, "expressions": expressions.astype(np.float64), **still, **objects}


def face_numbers(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, 100) expression and (T, 3) jaw in radians for weights (T, 52)."""
    numbers = flame_codes(weights, NAMES, flame_from_rig(builtin_head()))
    return numbers[:, SHAPE : SHAPE + EXPRESSION], numbers[:, JAW]
