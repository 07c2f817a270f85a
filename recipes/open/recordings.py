"""The open benchmark's recordings and rig from public files, in the form that `unitalker data build-open` reads.

    python recipes/open/recordings.py facegood FACEGOOD-Audio2Face/code/train recordings/facegood
    python recipes/open/recordings.py ict ICT-FaceKit/FaceXModel ict_narrowface_arkit.npz

docs/open.md names repositories, commits and licences.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from unitalker.annotations.layouts import convert, layout
from unitalker.audio import read, write_sound
from unitalker.data.open_deal import RECORDINGS
from unitalker.errors import DataError, UniTalkerError
from unitalker.files import atomic
from unitalker.motion import Motion
from unitalker.rig.arkit import canonical

FPS = 30.0
NARROW = 6706
"""Vertices of ICT's narrow face: the first ones."""
OUTER_LIPS = slice(48, 60)
LIP_MARGIN = 1.05
NOSE = 29
"""Landmark of the 68, on the bridge of the nose: the upper face is what lies above it."""


def facegood(source: Path, out: Path) -> None:
    """`wav/<recording>.wav` and `bs_value/bs_value_<recording>.npy` (T, 116) → <recording>.npz and .flac."""
    raw_names, names = layout("facegood116").names, layout("arkit52").names
    out.mkdir(parents=True, exist_ok=True)
    for recording in RECORDINGS:
        path = source / "bs_value" / f"bs_value_{recording}.npy"
        try:
            values = np.load(path, allow_pickle=False).astype(np.float32)
        except (OSError, ValueError) as fault:
            raise DataError(f"{path} cannot be read as numbers: {fault}") from None
        if values.ndim != 2 or values.shape[1] != len(raw_names):
            raise DataError(f"{path} should hold (T, {len(raw_names)}) numbers, not {values.shape}.")
        arkit = convert(Motion(values, raw_names, FPS, "facegood116", "weight"), "arkit52").values
        write_sound(out / f"{recording}.flac", read(source / "wav" / f"{recording}.wav").samples)
        facts = {"raw116": values, "raw_names": np.array(raw_names), "arkit": arkit, "names": np.array(names)}
        with atomic(out / f"{recording}.npz", DataError) as draft:
            np.savez_compressed(draft, allow_pickle=False, **facts, fps=np.float32(FPS))
        print(out / f"{recording}.npz")


def ict(source: Path, out: Path) -> None:
    """ICT-FaceKit's neutral face and ARKit shapes (OBJ) → a rig npz of the narrow face, with lips and upper face.

    Lips: what lies, seen from the front, within the outline of the outer lip landmarks, made larger by 1.05 about its
    middle. Upper face: what lies above the landmark of the nose.
    """
    neutral, triangles = read_obj(source / "generic_neutral_mesh.obj")
    names = [path.stem for path in sorted(source.glob("*.obj")) if canonical(path.stem)]
    if not names:
        raise DataError(f"{source} holds no ARKit shapes, such as jawOpen.obj.")
    deltas = np.stack([read_obj(source / f"{name}.obj")[0][:NARROW] - neutral[:NARROW] for name in names])
    face = neutral[:NARROW]
    marks = np.array(json.loads((source / "vertex_indices.json").read_text())["idx_to_landmark_verts"])
    outline = face[marks[OUTER_LIPS], :2]
    middle = outline.mean(0)
    facts = {
        "neutral": face.astype(np.float32),
        "triangles": triangles[(triangles < NARROW).all(1)].astype(np.int32),
        "arkit_names": np.array(names),
        "arkit_deltas": deltas.astype(np.float32),
        "landmarks68": marks,
        "idx_lips": np.flatnonzero(within(face[:, :2], middle + LIP_MARGIN * (outline - middle))),
        "idx_upper_face": np.flatnonzero(face[:, 1] > face[marks[NOSE], 1]),
        "licence": np.array("MIT, ICT-FaceKit"),
    }
    with atomic(out, DataError) as draft:
        np.savez_compressed(draft, allow_pickle=False, **facts)
    print(out)


def read_obj(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and triangles (F, 3), from 0, of an OBJ file; faces of more corners become fans."""
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    rows = [line.split() for line in path.read_text().splitlines() if line.startswith(("v ", "f "))]
    faces = [[int(corner.split("/")[0]) - 1 for corner in row[1:]] for row in rows if row[0] == "f"]
    fans = [(f[0], f[i], f[i + 1]) for f in faces for i in range(1, len(f) - 1)]
    return np.array([row[1:4] for row in rows if row[0] == "v"], float), np.array(fans)


def within(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """(N,) bool: which points (N, 2) lie within a closed outline (K, 2): rays to the right cross it an odd number of
    times."""
    inside = np.zeros(len(points), bool)
    x, y = points.T
    for (ax, ay), (bx, by) in zip(outline, np.roll(outline, 1, axis=0), strict=True):
        crosses = (ay > y) != (by > y)
        reach = ax + (bx - ax) * (y - ay) / np.where(by == ay, 1.0, by - ay)
        inside ^= crosses & (x < reach)
    return inside


KINDS = {"facegood": facegood, "ict": ict}


def main() -> int:
    """Parse the command and run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    try:
        KINDS[options.kind](options.source, options.output)
    except UniTalkerError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
