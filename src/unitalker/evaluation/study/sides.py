"""A system's pictures of a sound: of a model, or of films and motions that any tool has made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from unitalker.annotations.vertices import VertexAnnotation
from unitalker.audio.pictures import open_pictures
from unitalker.errors import ConfigError, DataError
from unitalker.export import read
from unitalker.export.base import Options, mesh_rig
from unitalker.export.mp4_motion import posed
from unitalker.export.render import Renderer
from unitalker.models import checkpoint
from unitalker.motion import Motion
from unitalker.rig import load_rig

if TYPE_CHECKING:
    from unitalker.animation.animator import Animator
    from unitalker.rig.rig import Rig

MADE = (".mp4", ".npz", ".json", ".csv")
"""Suffixes of what a folder may hold for a sound, in the order in which they are looked for."""


class Side(Protocol):
    """One of the two systems."""

    name: str

    def pictures(self, sound: Path, fps: float, size: int) -> Iterator[np.ndarray]:
        """Pictures (size, size, 3) uint8 of a sound, `fps` a second. Raises a UniTalkerError where it has none."""
        ...


class ModelSide:
    """A model that animates the sound itself, through one annotation as one identity."""

    def __init__(self, name: str, annotation: str | None, identity: str | None, rig: Rig | None) -> None:
        from unitalker.animation.animator import load

        chosen = ", ".join(filter(None, (annotation, identity)))
        self.name, self.rig = f"{name} ({chosen})" if chosen else name, rig
        self.animator: Animator = load(name)
        self.annotation = annotation or self.animator.default_annotation
        self.identity = identity
        self.animator.request([self.annotation], identity)

    def pictures(self, sound: Path, fps: float, size: int) -> Iterator[np.ndarray]:
        """See Side.pictures."""
        made = self.animator.animate(sound, annotations=[self.annotation], identity=self.identity, fps=fps)
        motion = made[self.annotation]
        yield from drawn(motion, self._rig(motion), size)

    def _rig(self, motion: Motion) -> Rig | None:
        annotation = self.animator.annotations[self.annotation]
        if self.rig is None and isinstance(annotation, VertexAnnotation) and annotation.faces is not None:
            return mesh_rig(motion, annotation.faces, annotation.metres)
        return self.rig


class FolderSide:
    """A folder in which each sound has a file of the same name: a film, or a motion of this package."""

    def __init__(self, folder: Path, rig: Rig | None) -> None:
        self.name, self.folder, self.rig = folder.name, folder, rig

    def pictures(self, sound: Path, fps: float, size: int) -> Iterator[np.ndarray]:
        """See Side.pictures."""
        path = next((p for s in MADE if (p := self.folder / f"{sound.stem}{s}").is_file()), None)
        if path is None:
            raise DataError(
                f"{self.folder} has nothing for {sound.name}: no {sound.stem} with {', '.join(MADE)}."
            )
        if path.suffix == ".mp4":
            yield from _filmed(path, fps, size)
        else:
            motion = read(path)
            yield from _at_rate(timed(drawn(motion, self.rig, size), motion.fps), fps)


def side(
    text: str, annotation: str | None = None, identity: str | None = None, rig: str | None = None
) -> Side:
    """The system that a name or folder stands for: a model, else a folder of films or motions.

    Raises DataError for what is neither, ConfigError for a choice that has no use, and what loading a model or a rig raises.
    """
    head = load_rig(rig) if rig else None
    folder = Path(text)
    if folder.is_dir() and not (folder / "config.json").is_file():
        if annotation or identity:
            raise ConfigError(
                f"{text} is a folder of films or motions: an annotation or identity has no use for it."
            )
        return FolderSide(folder, head)
    if not folder.is_dir() and text not in checkpoint.installed():
        known = ", ".join(checkpoint.installed())
        raise DataError(f"{text!r} is neither a model nor a folder of films; installed models: {known}.")
    return ModelSide(text, annotation, identity, head)


def drawn(motion: Motion, rig: Rig | None, size: int) -> Iterator[np.ndarray]:
    """Pictures (size, size, 3) uint8 of every frame of a motion on a rig (None: the built-in head)."""
    head, frames = posed(motion, Options(rig=rig))
    renderer = Renderer(head, size, fine=2)
    for vertices in frames:
        yield renderer.frame(vertices)


def timed(pictures: Iterator[np.ndarray], fps: float) -> Iterator[tuple[float, np.ndarray]]:
    """Pictures with their times in seconds."""
    for number, picture in enumerate(pictures):
        yield number / fps, picture


def _filmed(path: Path, fps: float, size: int) -> Iterator[np.ndarray]:
    """A film's pictures on the clock, fitted into a square."""
    with open_pictures(path) as film:
        yield from _at_rate(((time, _square(picture, size)) for time, picture in film.frames()), fps)


def _at_rate(shots: Iterator[tuple[float, np.ndarray]], fps: float) -> Iterator[np.ndarray]:
    """Of pictures with times, the one that is shown at each tick of a clock: the last that has begun."""
    shown: np.ndarray | None = None
    tick, half = 0, 0.5 / fps
    for time, picture in shots:
        while shown is not None and tick / fps + half < time:
            yield shown
            tick += 1
        shown = picture
    if shown is not None:
        yield shown


def _square(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture made as large as fits a square of `size`, with grey around it."""
    from PIL import Image

    height, width = picture.shape[:2]
    scale = size / max(height, width)
    fitted = Image.fromarray(picture).resize((max(1, round(width * scale)), max(1, round(height * scale))))
    canvas = Image.new("RGB", (size, size), (32, 34, 38))
    canvas.paste(fitted, ((size - fitted.width) // 2, (size - fitted.height) // 2))
    return np.asarray(canvas)
