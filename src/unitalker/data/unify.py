"""Every dataset on one topology, the preprocessing that the paper compares its model with (Tab. 4).

Vertices are carried by a correspondence of the two meshes, from a file or by registration of their neutral faces;
weights drive the built-in head. All subjects get the target's neutral face: movement is kept, the person's shape is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unitalker.annotations import builtin
from unitalker.annotations.cards import load_card, save_card
from unitalker.annotations.layouts import convert
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.data.dataset import Clip, Dataset, write_manifest
from unitalker.data.placing import check_free, placed
from unitalker.data.unify_register import Correspondence, Surface, read_correspondence, register
from unitalker.data.views import place_sound
from unitalker.errors import DataError
from unitalker.files import atomic
from unitalker.motion import Motion
from unitalker.rig import builtin_head

BLOCK_BYTES = 8 << 20

Progress = Callable[[int, int], None]
Carry = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Unified:
    """The dataset that was written, a line for what was done, and the correspondence where there is one."""

    dataset: Dataset
    notes: tuple[str, ...]
    correspondence: Correspondence | None


def unify(
    source: Dataset,
    out: Path,
    to: str = "face",
    correspondence: Path | None = None,
    *,
    progress: Progress | None = None,
) -> Unified:
    """Write `source` to the folder `out` with vertices of the topology `to`: head, face, or an annotation card (.json).

    correspondence: npz file (see `read_correspondence`); without it the two neutral faces are registered, and what was
    found is written to `out/correspondence.npz`. Raises DataError for what cannot be carried.
    """
    if (out / "dataset.json").exists():
        raise DataError(f"{out} is a dataset already; give another folder, or remove it first.")
    check_free(out)
    target = _target(to)
    found, carry, how = _road(source, target, to, correspondence)
    notes = (how, f"All subjects have the neutral face of {target.name}; movement alone is carried over.")
    clips = []
    with placed(out) as draft:
        if found is not None and correspondence is None:
            found.save(draft.folder / "correspondence.npz")
        for done, clip in enumerate(source.clips, 1):
            clips.append(_write(source, clip, carry, target.dim, draft.folder))
            if progress:
                progress(done, len(source.clips))
        made = _finish(source, target, to, tuple(clips), draft.folder, notes)
    return Unified(replace(made, folder=out), notes, found)


def _target(to: str) -> VertexAnnotation:
    """The topology that all is re-expressed on, without a basis."""
    if to in builtin.MESHES:
        return builtin.mesh_topology(to, builtin_head())
    if not to.endswith(".json"):
        raise DataError(f"--to takes {', '.join(builtin.MESHES)}, or an annotation card (.json), not {to!r}.")
    card = load_card(to)
    if not isinstance(card, VertexAnnotation) or not card.templates or card.faces is None:
        raise DataError(f"{to} is no card of vertices with a neutral face and triangles.")
    return card


def _neutral(face: VertexAnnotation) -> np.ndarray:
    return np.asarray(next(iter(face.templates.values())), np.float64).reshape(-1, 3)


def _road(
    source: Dataset, target: VertexAnnotation, to: str, path: Path | None
) -> tuple[Correspondence | None, Carry, str]:
    """How stored motion (n, D) becomes displacements (n, 3V) of the target, in its unit, and a note of it."""
    if source.stored != "values":
        raise DataError(f"{source.name} stores codes of a basis; unify the dataset that they were made from.")
    if source.unit == "weight" and to in builtin.MESHES and path is None:
        return None, _driven(source, to), f"Weights drive the built-in head, by their names; topology {to}."
    own = _topology(source)
    if path is not None:
        found = read_correspondence(path, own.dim // 3, target.dim // 3)
        how = f"Vertices carried to {target.name} by the correspondence {path.name}."
    else:
        found = register(_surface(own, source), _surface(target, None))
        worst = 1000 * np.percentile(found.away, [50, 95])
        how = (
            f"Vertices carried to {target.name} by non-rigid registration of the neutral faces: half of its vertices lie "
            f"within {worst[0]:.2f} mm of the other face, 95 % within {worst[1]:.2f} mm."
        )
    factor = np.float32(source.scale * own.metres / target.metres)

    def carry(block: np.ndarray) -> np.ndarray:
        return found.carry(block.reshape(len(block), -1, 3)).reshape(len(block), -1) * factor

    return found, carry, how


def _driven(source: Dataset, to: str) -> Carry:
    rig = builtin_head()

    def carry(block: np.ndarray) -> np.ndarray:
        weights = Motion(block * np.float32(source.scale), source.names, 1.0, source.annotation, "weight")
        arkit = convert(weights, "arkit52")
        return builtin.displacements(to, rig, arkit.values, arkit.names).astype(np.float32)

    return carry


def _topology(source: Dataset) -> VertexAnnotation:
    """The dataset's own card, or the built-in topology of its name. Raises DataError for neither."""
    path = None if source.cards is None else source.cards / f"{source.annotation}.json"
    if path is not None and path.is_file():
        card = load_card(path)
        if isinstance(card, VertexAnnotation) and card.dim == len(source.names):
            return card
    if source.annotation in builtin.MESHES:
        return builtin.mesh_topology(source.annotation, builtin_head())
    raise DataError(
        f"{source.name} holds {source.annotation!r}: neither weights nor vertices whose card, "
        f"annotations/{source.annotation}.json, is there."
    )


def _surface(face: VertexAnnotation, source: Dataset | None) -> Surface:
    """The neutral face of a topology in metres: of the dataset's first subject where it has one."""
    vertices = None if source is None else source.template(source.subjects[0])
    if vertices is not None and source is not None:
        vertices = np.asarray(vertices, np.float64).reshape(-1, 3) * source.scale
    elif face.templates:
        vertices = _neutral(face)
    if vertices is None:
        raise DataError(
            f"The topology {face.name!r} has no neutral face to register: the dataset was imported without templates. Import "
            "it again with them (docs/datasets.md), or give --correspondence."
        )
    if face.faces is None or not len(face.faces):
        raise DataError(
            f"The topology {face.name!r} has no triangles to register: a mesh with them (a PLY file beside the corpus, or "
            "template.obj in an ordinary folder; docs/datasets.md) was missing at import. Import it again with one, or "
            "give --correspondence."
        )
    return Surface(
        vertices * face.metres, np.asarray(face.faces), np.asarray(face.regions.get("lips", ()), int)
    )


def _blocks(values: np.ndarray, width: int) -> Iterator[np.ndarray]:
    rows = max(1, BLOCK_BYTES // (4 * max(width, values.shape[1])))
    for start in range(0, len(values), rows):
        yield np.asarray(values[start : start + rows], np.float32)


def _write(source: Dataset, clip: Clip, carry: Carry, width: int, out: Path) -> Clip:
    """Write a clip's motion in blocks, and its sound; the clip as it lies in `out`."""
    values, name = source.motion(clip), f"motion/{clip.id}.npy"
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(values), width)}
    with atomic(out / name, DataError) as draft, draft.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in _blocks(values, width):
            file.write(np.ascontiguousarray(carry(block), "<f4").data)
    return replace(clip, motion=name, audio=place_sound(source, clip, out))


def _finish(
    source: Dataset,
    target: VertexAnnotation,
    to: str,
    clips: tuple[Clip, ...],
    out: Path,
    notes: tuple[str, ...],
) -> Dataset:
    """Write templates, the card of a topology that is not built in, and the manifest."""
    neutral = _neutral(target).astype(np.float32)
    with atomic(out / "templates.npz", DataError) as draft:
        np.savez(draft, allow_pickle=False, **dict.fromkeys(source.subjects, neutral))
    if to not in builtin.MESHES:
        named = {f"{source.name}/{s}": neutral for s in source.subjects}
        save_card(
            replace(target, templates=dict(target.templates) | named, fps=source.fps), out / "annotations"
        )
    before = source.extra.get("notes", ())
    told = [*((before,) if isinstance(before, str) else before), *notes]
    dataset = Dataset(
        out,
        source.name,
        target.name,
        source.fps,
        target.unit,
        target.names,
        source.subjects,
        clips,
        templates="templates.npz",
        licence=source.licence,
        source=source.source,
        extra={"notes": told},
    )
    write_manifest(dataset)
    return dataset
