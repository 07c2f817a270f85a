"""Datasets of the paper's sizes, made up: smooth low-rank motion of known bases, and sound in bursts of noise.

Run: python benchmarks/made_data.py FOLDER [--seconds 60] [--stored values] to look at them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from common import RATE

from unitalker.annotations.cards import save_card
from unitalker.annotations.layouts import layout
from unitalker.annotations.pca import Basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.data.dataset import Clip, Dataset, write_manifest

COMPONENTS = 512
WEIGHTS = layout("arkit52").names
BLOCK = 256
"""Frames of vertices that are made at a time."""


@dataclass(frozen=True)
class Size:
    """What a corpus weighs. vertices: of its mesh, 0 for 52 blendshape weights. amplitude: usual displacement."""

    vertices: int
    fps: float
    unit: str = "m"
    amplitude: float = 0.003

    @property
    def annotation(self) -> str:
        """Name of the annotation: its own for meshes, the built-in one for weights."""
        return f"mesh{self.vertices}" if self.vertices else "arkit52"


SIZES = {
    "biwi": Size(23370, 25.0, "u", 0.01),
    "vocaset": Size(5023, 30.0),
    "meshtalk": Size(6172, 30.0),
    "blendshapes": Size(0, 30.0),
}


@dataclass(frozen=True)
class Amount:
    """How much of it. clip_seconds: shortest and longest clip. components: size of the basis, at most 3 per vertex."""

    seconds: float = 60.0
    clip_seconds: tuple[float, float] = (3.0, 6.0)
    components: int = COMPONENTS
    subjects: int = 2
    seed: int = 0


def make(folder: Path, name: str, size: Size, amount: Amount, stored: str = "codes") -> Dataset:
    """Write a dataset `name` with a single split, train, into `folder` (its own) and return it.

    stored: "codes" writes coefficients and the annotation's card, "values" displacements. Weights are always values.
    """
    for part in ("audio", "motion"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    annotation = mesh(size, amount) if size.vertices else None
    if annotation is not None:
        save_card(annotation, folder / "annotations")
    rng = np.random.default_rng((amount.seed, size.vertices))
    clips = []
    for number, seconds in enumerate(_lengths(amount, size.fps, rng)):
        clip = Clip(
            f"c{number:05d}", f"s{number % amount.subjects}", f"audio/c{number:05d}.flac",
            f"motion/c{number:05d}.npy", "train", seconds,
        )  # fmt: skip
        soundfile.write(folder / clip.audio, bursts(seconds, rng), RATE, "PCM_16")
        frames = round(seconds * size.fps)
        if annotation is None:
            np.save(folder / clip.motion, weights(frames, size.fps, rng))
        else:
            codes = coefficients(frames, size, annotation.head_dim, rng)
            _write(folder / clip.motion, codes, annotation if stored == "values" else None)
        clips.append(clip)
    dataset = Dataset(
        folder=folder,
        name=name,
        annotation=size.annotation,
        fps=size.fps,
        unit=size.unit if size.vertices else "weight",
        names=_names(annotation, stored),
        subjects=tuple(f"s{i}" for i in range(amount.subjects)),
        clips=tuple(clips),
        stored=stored if size.vertices else "values",
        licence="CC0-1.0",
        source="made up by benchmarks/made_data.py",
    )
    write_manifest(dataset)
    return dataset


def _names(annotation: VertexAnnotation | None, stored: str) -> tuple[str, ...]:
    if annotation is None:
        return WEIGHTS
    return annotation.names if stored == "values" else tuple(f"c{i}" for i in range(annotation.head_dim))


def _lengths(amount: Amount, fps: float, rng: np.random.Generator) -> Iterator[float]:
    """Clip lengths of whole frames that add up to about the seconds asked for."""
    done = 0.0
    while done < amount.seconds - amount.clip_seconds[0] / 2:
        seconds = round(rng.uniform(*amount.clip_seconds) * fps) / fps
        done += seconds
        yield seconds


def _write(path: Path, codes: np.ndarray, annotation: VertexAnnotation | None) -> None:
    """Codes as they are, or, with an annotation, as displacements, block by block into a mapped file."""
    if annotation is None:
        np.save(path, codes)
        return
    out = np.lib.format.open_memmap(path, "w+", np.float32, (len(codes), annotation.dim))
    for start in range(0, len(codes), BLOCK):
        out[start : start + BLOCK] = annotation.decode(codes[start : start + BLOCK])
    out.flush()


def mesh(size: Size, amount: Amount) -> VertexAnnotation:
    """The annotation of a mesh: a random orthonormal basis, the first hundred vertices as lips, a flat template."""
    rng = np.random.default_rng((amount.seed, size.vertices, 1))
    count = min(amount.components, 3 * size.vertices)
    turned, _ = np.linalg.qr(rng.standard_normal((3 * size.vertices, count), np.float32))
    template = np.zeros((size.vertices, 3), np.float32)
    return VertexAnnotation(
        name=size.annotation,
        fps=size.fps,
        unit=size.unit,
        names=vertex_names(size.vertices),
        regions={"lips": np.arange(min(100, size.vertices))},
        templates={"neutral": template},
        head_weight=0.01,
        basis=Basis(np.zeros(3 * size.vertices, np.float32), np.ascontiguousarray(turned.T)),
    )


def coefficients(frames: int, size: Size, count: int, rng: np.random.Generator) -> np.ndarray:
    """(frames, count) float32 whose spread falls as 1 / k and whose displacements are about `amplitude` a number."""
    spread = 1 / (1 + np.arange(count))
    spread *= size.amplitude * np.sqrt(3 * size.vertices) / np.linalg.norm(spread)
    return (smooth(frames, count, size.fps, rng) * spread).astype(np.float32)


def weights(frames: int, fps: float, rng: np.random.Generator) -> np.ndarray:
    """(frames, 52) float32 between 0 and 1."""
    return np.clip(0.2 + 0.2 * smooth(frames, len(WEIGHTS), fps, rng), 0, 1).astype(np.float32)


def smooth(frames: int, channels: int, fps: float, rng: np.random.Generator) -> np.ndarray:
    """(frames, channels) noise of unit size without anything above about 5 Hz."""
    knots = max(2, round(frames * 10 / fps))
    noise = rng.standard_normal((knots + 1, channels))
    where = np.linspace(0, knots - 1e-6, frames)
    low = where.astype(int)
    part = (1 - np.cos(np.pi * (where - low)))[:, None] / 2
    return noise[low] * (1 - part) + noise[low + 1] * part


def bursts(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) float32 at 16 kHz: noise that comes and goes four times a second, one sample in whole frames' time."""
    t = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    envelope = np.maximum(np.sin(2 * np.pi * (4 * t + rng.uniform())), 0)
    return (0.1 * envelope * rng.standard_normal(len(t), np.float32)).astype(np.float32)


def main() -> None:
    """Make the four datasets, each in a folder of its own, and say what they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of sound in each")
    parser.add_argument("--stored", choices=("codes", "values"), default="codes")
    given = parser.parse_args()
    for name, size in SIZES.items():
        found = make(given.folder / name, name, size, Amount(given.seconds), given.stored)
        print(f"{found.folder}: {len(found.clips)} clips, {found.seconds():.0f} s, {found.annotation}")


if __name__ == "__main__":
    main()
