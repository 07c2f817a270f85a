"""FACEGOOD Audio2Face recordings: a solved face rig of 116 channels at 30 fps, and its ARKit image.

Source folder: `<recording>.npz` (raw116, raw_names, arkit, names, fps) and `<recording>.flac`. Two datasets
are written: `facegood116` with the rig's own channels, `arkit52` with those that have an ARKit counterpart.
The motion lags the sound by 33 ms, so it is read 33 ms later (linear interpolation) and then runs in step.
Each long recording is cut into clips of at most 20 s, in the middle of pauses in which every channel is
exactly zero; put end to end the clips are the recording.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unitalker.config import SAMPLE_RATE
from unitalker.data.importers.corpus import BROKEN_SECONDS, Imported
from unitalker.data.importers.grid import arkit52_names
from unitalker.data.importers.writing import Clips, ImportedClip, read_arrays, read_speech, write_dataset
from unitalker.errors import DataError
from unitalker.motion import by_name

LAG_SECONDS = 0.033
LONGEST_CLIP = 20.0
DEVELOPMENT = "2_03"  # ending of the recording kept for development
STILL = 1e-6
# ARKit channels whose image is whole. The rig's mouth_oh_c and mouth_oo_c (rounded lips) have no ARKit image,
# so mouthFunnel and mouthPucker miss a part that changes from recording to recording; channels whose standard
# deviation stays under 0.01 in both training recordings, or that live in one only, are left out as well.
KNOWN_ARKIT = (
    "jawOpen",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
)
NOTES = [
    f"Motion read {1000 * LAG_SECONDS:.0f} ms later by linear interpolation, to run in step with the sound.",
    f"Recordings are cut into clips of at most {LONGEST_CLIP:.0f} s in the middle of pauses in which every "
    "channel is zero; no frame and no sample is dropped.",
    f"The recording that ends in {DEVELOPMENT} is the development split.",
]


def import_facegood(source: Path, out: Path) -> list[Imported]:
    """Write `out/facegood116` and `out/arkit52` from the recordings in `source`. Returns the two.

    A recording that cannot be used is left out and told. Raises DataError when the folder has none that can, or when
    their channels differ.
    """
    source, out = Path(source), Path(out)
    paths = sorted(source.glob("*.npz"))
    if not paths:
        raise DataError(f"{source} has no .npz recordings of this corpus.")
    recordings, problems = _recordings(paths)
    alone = sorted({p.stem for p in source.glob("*.flac")} - {p.stem for p in paths})
    problems += [f"{name} was left out: {name}.flac has no {name}.npz." for name in alone]
    first = next(iter(recordings.values()))
    raw_names = tuple(str(n) for n in first["raw_names"])
    if any(tuple(r["raw_names"]) != tuple(first["raw_names"]) for r in recordings.values()):
        raise DataError(f"The recordings in {source} name their channels differently.")
    arkit = arkit52_names()
    return [
        write_dataset(
            out / "facegood116",
            _facts("facegood116", raw_names, raw_names, float(first["fps"])),
            _clips(recordings, "raw116", raw_names),
            problems,
        ),
        write_dataset(
            out / "arkit52",
            _facts("arkit52", arkit, KNOWN_ARKIT, float(first["fps"])),
            _clips(recordings, "arkit", arkit),
        ),
    ]


def advance(values: np.ndarray, seconds: float, fps: float) -> np.ndarray:
    """(T, D) read `seconds` later: row t is the motion at t / fps + seconds, interpolated, the end held."""
    where = np.clip(np.arange(len(values)) + seconds * fps, 0, len(values) - 1)
    low = np.floor(where).astype(int)
    high = np.minimum(low + 1, len(values) - 1)
    part = (where - low)[:, None]
    return (values[low] * (1 - part) + values[high] * part).astype(np.float32)


def cut_points(still: np.ndarray, longest: int) -> list[int]:
    """Frames at which to cut so that no piece exceeds `longest` frames, in the middle of still runs.

    still: (T,) bool. Cuts fall as late as fits; where no pause fits, at `longest`. First 0, last T.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(int), [0]])))
    middles = (edges[0::2] + edges[1::2]) // 2
    cuts = [0]
    while len(still) - cuts[-1] > longest:
        fits = middles[(middles > cuts[-1]) & (middles <= cuts[-1] + longest)]
        cuts.append(int(fits[-1]) if len(fits) else cuts[-1] + longest)
    return [*cuts, len(still)]


def _recordings(paths: list[Path]) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
    """Recording → its arrays and its `samples`, and a sentence for each one that cannot be used. Raises DataError where
    none can."""
    found, problems = {}, []
    for path in paths:
        try:
            found[path.stem] = _recording(path)
        except DataError as fault:
            problems.append(f"{path.stem} was left out: {fault}")
    if not found:
        raise DataError(problems[0])
    return found, problems


def _recording(path: Path) -> dict[str, np.ndarray]:
    """A recording's arrays and its `samples`. Raises DataError where they do not fit together."""
    stored = read_arrays(path, ("raw116", "raw_names", "arkit", "names", "fps"))
    for key, names in (("raw116", "raw_names"), ("arkit", "names")):
        due = (len(stored["raw116"]), len(stored[names]))
        if stored[key].shape != due:
            raise DataError(f"{path}: {key} has the shape {stored[key].shape}, not {due}.")
    samples = read_speech(path.with_suffix(".flac"))
    over = len(stored["raw116"]) / float(stored["fps"]) - len(samples) / SAMPLE_RATE
    if over > BROKEN_SECONDS:
        raise DataError(f"{path} is {over:.2f} s longer than its sound {path.stem}.flac, which is not whole.")
    return stored | {"samples": samples}


def _clips(recordings: dict[str, dict[str, np.ndarray]], key: str, names: tuple[str, ...]) -> Clips:
    for recording, stored in recordings.items():
        fps, samples = float(stored["fps"]), stored["samples"]
        have = [str(n) for n in stored["raw_names" if key == "raw116" else "names"]]
        values = by_name(advance(stored[key], LAG_SECONDS, fps), have, names)
        still = np.abs(advance(stored["raw116"], LAG_SECONDS, fps)).max(1) < STILL
        cuts = cut_points(still, int(LONGEST_CLIP * fps))
        for index, (start, stop) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            end = len(samples) if stop == len(values) else round(stop / fps * SAMPLE_RATE)
            clip = ImportedClip(
                id=f"{recording}_{index:02d}",
                subject=recording.split("_")[0],
                split="val" if recording.endswith(DEVELOPMENT) else "train",
                samples=samples[round(start / fps * SAMPLE_RATE) : end],
                values=values[start:stop],
            )
            yield clip.id, lambda clip=clip: clip


def _facts(annotation: str, names: tuple[str, ...], known: tuple[str, ...], fps: float) -> dict[str, Any]:
    return {
        "name": f"facegood-{annotation}",
        "annotation": annotation,
        "fps": fps,
        "unit": "weight",
        "names": list(names),
        "known": list(known),
        "subjects": ["1114"],
        "licence": "MIT, FACEGOOD-Audio2Face",
        "source": "FACEGOOD-Audio2Face, code/train: recordings 1114_2_01, 1114_2_02, 1114_2_03",
        "notes": NOTES,
    }
