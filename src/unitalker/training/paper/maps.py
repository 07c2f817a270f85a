"""Velocities and errors of every vertex, kept with the face that they are of, and as pictures on the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from unitalker.evaluation.pages.pictures import mesh_of
from unitalker.evaluation.plots.heads import Mesh, View, sheet
from unitalker.evaluation.protocols.result import PartResult
from unitalker.files import atomic

KEYS = {"velocity_mean": "velocity mean", "velocity_std": "velocity std"}
REGIONS = ("lips", "upper_face")
TRUTH = "truth"
BRIGHT, WORST = 2.0, 4.0
"""Colours end at so many times the truth's largest velocity, and the best system's largest error: one bad system must not
make all others look alike."""


def save_maps(part: PartResult, path: Path) -> None:
    """Write a result's maps (V,) and its face into an npz file; nothing where there are no maps or no neutral face."""
    mesh = mesh_of(part.kept, part.sequences[0].subject) if part.kept and part.maps else None
    if mesh is None:
        return
    arrays = {f"map.{name}": values for name, values in part.maps.items()}
    arrays |= {"vertices": np.asarray(mesh.vertices, np.float32), "axes": np.array(mesh.axes)}
    arrays |= {f"region.{name}": np.asarray(rows) for name, rows in mesh.regions.items() if name in REGIONS}
    if mesh.faces is not None:
        arrays["faces"] = np.asarray(mesh.faces, np.int32)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as draft, draft.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_maps(path: Path) -> tuple[Mesh, dict[str, np.ndarray]]:
    """The face and name → (V,) map."""
    with np.load(path, allow_pickle=False) as data:
        maps = {name.removeprefix("map."): data[name] for name in data.files if name.startswith("map.")}
        regions = {n.removeprefix("region."): data[n] for n in data.files if n.startswith("region.")}
        faces = data["faces"] if "faces" in data.files else None
        return Mesh(data["vertices"], faces, str(data["axes"]), regions), maps


def draw_systems(files: Mapping[str, Path], unit: str, path: Path, size: int) -> None:
    """Rows of velocity means, deviations and errors: the truth, then each system. files: system → maps of one dataset."""
    loaded = {label: load_maps(file) for label, file in files.items()}
    mesh, first = next(iter(loaded.values()))
    rows: list[tuple[str, str, dict[str, np.ndarray | None]]] = []
    ends = []
    for key, title in KEYS.items():
        truth = first[f"{key}_truth"]
        shown = {label: maps[f"{key}_prediction"] for label, (_, maps) in loaded.items()}
        rows.append((title, f"{unit}/s", {TRUTH: truth, **shown}))
        ends.append(
            min(BRIGHT * float(truth.max()), max(float(one.max()) for one in (truth, *shown.values())))
        )
    errors = {label: maps["error"] for label, (_, maps) in loaded.items()}
    rows.append(("error", unit, {TRUTH: None, **errors}))
    largest = [float(one.max()) for one in errors.values()]
    ends.append(min(WORST * min(largest), max(largest)))
    _save(View(mesh, size), rows, path, [end or 1.0 for end in ends])


def draw_truth(label: str, file: Path, unit: str, path: Path, size: int) -> None:
    """The velocities of a dataset's captured motion."""
    mesh, maps = load_maps(file)
    shown = {title: maps[f"{key}_truth"] for key, title in KEYS.items()}
    _save(View(mesh, size), [(f"{label}, captured", f"{unit}/s", shown)], path)


def _save(
    view: View,
    rows: Sequence[tuple[str, str, Mapping[str, np.ndarray | None]]],
    path: Path,
    ends: Sequence[float] = (),
) -> None:
    with atomic(path) as draft:
        sheet(view, rows, ends=ends).save(draft)
