"""Synthetic datasets that mirror the paper's eight in form, from our head, our texts and a speech synthesiser.

Each twin has the annotation, frame rate, unit and kind of subjects of its model; what it says and how it moves is
ours. `utterances` gives the same clips without files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.annotations.builtin import MESHES, displacements, mesh_rows
from unitalker.annotations.flame import FLAME_NAMES, ROTATION, SHAPE, FlameModel
from unitalker.annotations.flame_rig import flame_codes, flame_from_rig
from unitalker.annotations.layouts import layout
from unitalker.annotations.vertices import vertex_names
from unitalker.audio.writing import write_sound
from unitalker.data import tts
from unitalker.data.dataset import ANY, Clip, Dataset, write_manifest
from unitalker.data.synthesize_clips import (
    FPS,
    KINDS,
    Person,
    Utterance,
    make_utterance,
    person,
    utterances,
)
from unitalker.data.visemes import NAMES
from unitalker.data.visemes_style import EMOTIONS
from unitalker.errors import ConfigError, DataError, unknown
from unitalker.files import atomic
from unitalker.motion import Motion, frame_count, resample
from unitalker.rig import Rig, builtin_head

__all__ = ["FPS", "KINDS", "TWINS", "Person", "Twin", "Utterance", "person", "synthesize", "utterances"]

LICENCE = "Apache-2.0"
SOURCE = "Made by unitalker: espeak-ng speech, viseme curves and the built-in head. No person was recorded."


@dataclass(frozen=True)
class Twin:
    """The form of one synthetic dataset.

    annotation: a built-in annotation or weight layout. metres: length of the unit that vertices are stored in
    (the manifest's `scale` brings them to the annotation's unit). seconds: sound made by default; there is at
    least one clip a subject. language: code, or "" for all. emotions: subjects act all of them.
    """

    annotation: str
    fps: float
    subjects: int
    kind: str = "speech"
    language: str = ""
    emotions: bool = False
    unit: str = "weight"
    metres: float = 1.0
    seconds: float = 600.0


TWINS: dict[str, Twin] = {
    "syn-d0": Twin("head", 25, 6, unit="u", metres=0.2, language="en", seconds=60),
    "syn-d1": Twin("face", 60, 12, unit="m", language="en", seconds=60),
    "syn-d2": Twin("face", 30, 13, unit="mm", metres=0.001, language="en", seconds=60),
    "syn-d3": Twin("arkit52", 30, 48),
    "syn-d4": Twin("arkit52", 30, 24, emotions=True, language="en"),
    "syn-d5": Twin("flame413", 30, 240, unit="flame"),
    "syn-d6": Twin("arkit51", 60, 8, language="zh"),
    "syn-d7": Twin("arkit51", 60, 11, kind="song"),
    "syn-rest": Twin("arkit52", 60, 1, kind="rest"),
}
"""Name → form. The paper's D0 … D7 in order, and sounds that are no voice with a face at rest."""


def synthesize(
    out_dir: str | Path,
    *,
    kinds: Sequence[str] | None = None,
    seconds: float | None = None,
    subjects: int | None = None,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> list[Path]:
    """Write synthetic datasets into folders of `out_dir` named after them; returns those folders.

    kinds: names of TWINS, default all. seconds: sound in each, default the twin's own. subjects: people in each at most,
    default the twin's own number. seed: other people and other clips. progress: called with the dataset's name and the share done. A folder's manifest is written last.
    Raises ConfigError for an unknown name or length, DataError when the TTS extra is missing.
    """
    names = list(kinds) if kinds is not None else list(TWINS)
    for name in names:
        if name not in TWINS:
            raise ConfigError(unknown("synthetic dataset", name, TWINS, limit=len(TWINS)))
    if seconds is not None and not 0 < seconds < math.inf:
        raise ConfigError(f"The length of a synthetic dataset must be above 0 seconds, not {seconds}.")
    if subjects is not None and subjects < 1:
        raise ConfigError(f"A synthetic dataset needs 1 subject or more, not {subjects}.")
    if seed < 0:
        raise ConfigError(f"The seed of a synthetic dataset must be 0 or more, not {seed}.")
    if any(TWINS[name].kind != "rest" for name in names):
        tts.check_installed()
    rig, forms = builtin_head(), [_form(TWINS[name], seconds, subjects) for name in names]
    return [
        _write(Path(out_dir) / name, name, form, rig, seed, progress)
        for name, form in zip(names, forms, strict=True)
    ]


def _form(twin: Twin, seconds: float | None, subjects: int | None) -> Twin:
    people = min(twin.subjects, subjects or twin.subjects)
    return replace(twin, seconds=seconds or twin.seconds, subjects=people)


def _write(
    folder: Path, name: str, twin: Twin, rig: Rig, seed: int, progress: Callable[[str, float], None] | None
) -> Path:
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    (folder / "motion").mkdir(exist_ok=True)
    family = [seed, *name.encode()]
    people = [person(i, int(np.random.default_rng(family).integers(1 << 30))) for i in range(twin.subjects)]
    bodies = {p.name: _identity(rig, np.random.default_rng([*family, i])) for i, p in enumerate(people)}
    model = flame_from_rig(rig) if twin.annotation == "flame413" else None
    clips, made = [], 0.0
    for number, one in enumerate(_clips(twin, people, family)):
        subject = ANY if twin.kind == "rest" else one.subject_name
        clip = _clip(number, subject, one, twin)
        values = _values(one, twin, rig, model, bodies[one.subject_name])
        write_sound(folder / clip.audio, one.samples)
        _save(folder / clip.motion, values)
        clips.append(clip)
        made += one.seconds
        if progress:
            progress(name, min(made / twin.seconds, 1.0))
    subjects = (ANY,) if twin.kind == "rest" else tuple(p.name for p in people)
    dataset = Dataset(
        folder, name, twin.annotation, twin.fps, twin.unit, _names(twin, rig), subjects, tuple(clips),
        scale=_scale(twin), templates=_templates(folder, twin, rig, bodies), licence=LICENCE, source=SOURCE,
    )  # fmt: skip
    write_manifest(dataset)
    return folder


def _clips(twin: Twin, people: list[Person], family: list[int]) -> Iterator[Utterance]:
    """Clips of each person in turn, until the seconds are full and everyone has spoken."""
    from unitalker.data.texts import languages

    made, number = 0.0, 0
    feelings = list(EMOTIONS) if twin.emotions else ["neutral"]
    while made < twin.seconds or number < len(people):
        rng = np.random.default_rng([*family, 1 << 20, number])
        who = people[number % len(people)]
        feeling = feelings[number // len(people) % len(feelings)]
        who = replace(who, style=replace(who.style, emotion=feeling))
        code = twin.language or languages()[int(rng.integers(len(languages())))]
        one = make_utterance(twin.kind, code, who, rng)
        made += one.seconds
        number += 1
        yield one


def _clip(number: int, subject: str, one: Utterance, twin: Twin) -> Clip:
    stem = f"{subject}_{number:05d}"
    phones = tuple((round(p.start_s, 5), round(p.end_s, 5), p.ipa) for p in one.phones)
    split = ("train", "train", "val", "train", "train", "test", "train", "train", "train", "train")
    return Clip(
        id=stem,
        subject=subject,
        audio=f"audio/{stem}.flac",
        motion=f"motion/{stem}.npy",
        split=split[(number // max(twin.subjects, 1) + number) % 10],
        seconds=one.seconds,
        text=one.text,
        language=one.language,
        phones=phones,
        notes=one.style.emotion if twin.emotions else "",
    )


def _values(one: Utterance, twin: Twin, rig: Rig, model: FlameModel | None, body: np.ndarray) -> np.ndarray:
    """(T, D) float32 numbers of the twin's annotation, T = round(seconds · fps)."""
    frames = frame_count(one.seconds, twin.fps)
    curves = resample(Motion(one.weights60, NAMES, FPS, "arkit52", "weight"), twin.fps, frames)
    if twin.annotation in MESHES:
        native = displacements(twin.annotation, rig, curves.values, NAMES)
        return (native / _scale(twin)).astype(np.float32)
    if model is None:
        return curves.select(layout(twin.annotation).names)
    values = flame_codes(curves.values, NAMES, model)
    values[:, : min(len(body), SHAPE)] = body[:SHAPE]
    turns = Motion(one.head_pose, ("pitch", "yaw", "roll"), FPS, "head", "rad")
    values[:, ROTATION] = rotation_columns(resample(turns, twin.fps, frames).values)
    return values


def rotation_columns(angles: np.ndarray) -> np.ndarray:
    """(T, 6) first two columns of the rotation by pitch, yaw, roll (T, 3) in radians: roll first, yaw last."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("YXZ", np.asarray(angles)[:, [1, 0, 2]] * (1, 1, -1)).as_matrix()
    return np.concatenate([turn[:, :, 0], turn[:, :, 1]], axis=1).astype(np.float32)


def _identity(rig: Rig, rng: np.random.Generator) -> np.ndarray:
    """Strengths of the rig's identity shapes for one person."""
    return np.clip(rng.normal(0, 0.5, len(rig.identity_names)), -1.2, 1.2).astype(np.float32)


def _scale(twin: Twin) -> float:
    """What a stored number is multiplied by to be in the annotation's own unit."""
    return twin.metres / MESHES[twin.annotation][2] if twin.annotation in MESHES else 1.0


def _names(twin: Twin, rig: Rig) -> tuple[str, ...]:
    if twin.annotation in MESHES:
        return vertex_names(len(mesh_rows(twin.annotation, rig)))
    return FLAME_NAMES if twin.annotation == "flame413" else layout(twin.annotation).names


def _templates(folder: Path, twin: Twin, rig: Rig, bodies: dict[str, np.ndarray]) -> str | None:
    """Write each subject's neutral vertices, in the dataset's unit; None for annotations without vertices."""
    if twin.annotation not in MESHES:
        return None
    rows = mesh_rows(twin.annotation, rig)
    shapes = np.zeros((0, len(rows), 3)) if rig.identity_shapes is None else rig.identity_shapes[:, rows]
    faces = {
        name: ((rig.vertices[rows] + np.tensordot(body, shapes, 1)) / twin.metres).astype(np.float32)
        for name, body in bodies.items()
    }
    arrays: dict[str, Any] = dict(faces)
    with atomic(folder / "templates.npz", DataError) as draft:
        np.savez_compressed(draft, **arrays)
    return "templates.npz"


def _save(path: Path, values: np.ndarray) -> None:
    with atomic(path, DataError) as draft:
        np.save(draft, values, allow_pickle=False)
