"""Small datasets of a toy mesh, and animators that know the answers, for tests of evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from unitalker.annotations.base import Annotation
from unitalker.annotations.cards import save_card
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.data.dataset import Clip, Dataset, write_manifest
from unitalker.motion import Motion

FPS, RATE = 25.0, 16000
VERTICES = 24
LIPS, UPPER = np.arange(12), np.arange(18, 24)


def template() -> np.ndarray:
    """(24, 3): an upper and a lower lip of six vertices along x, four of them in the middle, and a face around them, about one wide."""
    x = np.array([-0.02, -0.004, -0.001, 0.001, 0.004, 0.02])
    lips = [(v, 0.01, 0.1) for v in x] + [(v, -0.01, 0.1) for v in x]
    ring = [(0.5 * np.cos(a), 0.5 * np.sin(a), 0.0) for a in np.linspace(0, 6, 12)]
    return np.array([*lips, *ring], np.float32)


def motion(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(T, 72) a lower lip that falls and rises, and trembling."""
    moved = 0.002 * rng.standard_normal((frames, VERTICES, 3))
    moved[:, 6:12, 1] -= 0.03 * np.abs(np.sin(np.arange(frames) / 4 + rng.uniform(0, 3)))[:, None]
    return moved.reshape(frames, -1).astype(np.float32)


def toy(**facts: Any) -> VertexAnnotation:
    """The annotation."""
    return VertexAnnotation(
        "toy", FPS, "u", vertex_names(VERTICES), regions={"lips": LIPS, "upper_face": UPPER}, **facts
    )


def make_set(
    folder: Path,
    clips: Mapping[str, tuple[str, str, np.ndarray]],
    annotation: Annotation | None = None,
    fps: float = FPS,
    **facts: Any,
) -> Dataset:
    """A dataset of clips: id → (subject, split, motion (T, D)); with the card, and for meshes the toy's neutral faces."""
    annotation = annotation or toy()
    for room in ("audio", "motion"):
        (folder / room).mkdir(parents=True)
    rows, subjects = [], tuple(dict.fromkeys(subject for subject, _, _ in clips.values()))
    for name, (subject, split, values) in clips.items():
        seconds = len(values) / fps
        soundfile.write(folder / "audio" / f"{name}.flac", np.zeros(round(seconds * RATE)), RATE)
        np.save(folder / "motion" / f"{name}.npy", values)
        rows.append(Clip(name, subject, f"audio/{name}.flac", f"motion/{name}.npy", split, seconds))
    save_card(annotation, folder / "annotations")
    if annotation.kind == "vertices":
        np.savez(folder / "templates.npz", **dict.fromkeys(subjects, template()))
        facts = {"templates": "templates.npz"} | facts
    made = Dataset(
        folder, facts.pop("name", "toys"), annotation.name, fps, annotation.unit,
        () if facts.get("stored") == "codes" else annotation.names, subjects, tuple(rows),
        **facts,
    )  # fmt: skip
    write_manifest(made)
    return made


class Knowing:
    """An animator that gives each recording its stored answer times a factor of the identity's."""

    def __init__(
        self, answers: Mapping[str, np.ndarray], annotation: Annotation, factors: Mapping[str, float]
    ) -> None:
        self.answers, self.factors = answers, factors
        self.annotations = {annotation.name: annotation}
        self.identities = ("pivot", *(name for name in factors if name != "pivot"))
        self.asked: list[str | None] = []

    def animate(
        self,
        source: Any,
        /,
        *,
        annotations: Sequence[str],
        identity: str | None = None,
        fps: float | None = None,
    ) -> dict[str, Motion]:
        self.asked.append(identity)
        (name,) = annotations
        values = self.answers[Path(source).stem] * np.float32(self.factors[identity or "pivot"])
        return {name: self.annotations[name].motion(values, fps or FPS)}
