"""A dataset's frames as moving vertices in a unit to be told, whatever its annotation, and the vertices that count."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from unitalker.annotations import builtin
from unitalker.annotations.base import Annotation
from unitalker.annotations.cards import load_card
from unitalker.annotations.flame import load_flame
from unitalker.annotations.layouts import convert, layout
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.pca import Basis
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.data.dataset import Clip, Dataset
from unitalker.data.importers.regions import find_regions
from unitalker.errors import AnnotationError, DataError
from unitalker.evaluation.metrics.mouth import Pair
from unitalker.motion import Motion, by_name
from unitalker.rig import builtin_head
from unitalker.rig.lips import inner_lips

ARKIT = "arkit52"
REGIONS = ("lips", "upper_face")
MILLIMETRES = 1000.0
Moved = Callable[[np.ndarray], np.ndarray]
Flat = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Face:
    """How frames of a dataset are measured. All lengths are in `unit`.

    annotation: whose values (T, D) frames are, in its own unit. moved: values (n, D) → displacements (n, V, 3). vertices: V.
    regions: vertices by region, each with where it comes from in `told`. neutral: subject → (V, 3), None where unknown.
    pair: vertices of the opening, None where the motion has to tell them. jaw: values → jawOpen (n,), for weights.
    about: what the vertices are. rows: their numbers in the whole mesh, where only the lips are looked at, else None, and
    whole: the numbers a frame of that mesh.
    """

    annotation: Annotation
    unit: str
    moved: Moved
    vertices: int
    regions: Mapping[str, np.ndarray]
    told: Mapping[str, str]
    neutral: Callable[[str], np.ndarray | None]
    pair: Pair | None = None
    jaw: Flat | None = None
    about: str = ""
    notes: list[str] = field(default_factory=list)
    rows: np.ndarray | None = None
    whole: int = 0

    @property
    def width(self) -> int:
        """Numbers a frame of the whole mesh, or of the annotation where it is none."""
        return self.whole or self.annotation.dim

    def numbers(self, listed: np.ndarray) -> np.ndarray:
        """Numbers in the whole mesh of vertices of this face."""
        return listed if self.rows is None else self.rows[listed]

    def part(self, frames: np.ndarray) -> np.ndarray:
        """Frames (n, 3V) of the whole mesh → those of this face's vertices, float32."""
        values = np.asarray(frames, np.float32)
        return values if self.rows is None else np.take(values, columns_of(self.rows), axis=1)


def columns_of(rows: np.ndarray) -> np.ndarray:
    """Columns of vertices in flat frames (T, 3V)."""
    return (3 * np.asarray(rows, np.int64)[:, None] + np.arange(3)).reshape(-1)


def narrowed(annotation: VertexAnnotation, rows: np.ndarray) -> VertexAnnotation:
    """The same codes over some vertices of the mesh alone: `decode` gives their displacements and makes no others."""
    basis, columns = annotation.basis, columns_of(rows)
    if basis is None:
        raise AnnotationError(f"{annotation.name!r} has no basis whose rows could be left out.")
    return replace(
        annotation,
        names=vertex_names(len(rows)),
        regions={},
        templates={who: face[rows] for who, face in annotation.templates.items()},
        basis=Basis(basis.mean[columns], np.ascontiguousarray(basis.components[:, columns]), basis.scale),
        faces=None,
        gap=None,
    )


def mask_hash(rows: np.ndarray) -> str:
    """SHA-256 of a region: its vertex numbers from 0, ascending, each once, as decimals between commas."""
    return hashlib.sha256(",".join(map(str, np.unique(rows).tolist())).encode()).hexdigest()


def face_of(
    dataset: Dataset,
    model: Annotation | None = None,
    *,
    unit: str = "",
    size: float = 1.0,
    regions: Path | None = None,
    flame: Path | None = None,
    lips: bool = False,
) -> Face:
    """The face of a dataset: its own card's, the model's, or the built-in annotation of that name.

    unit, size: for vertices, the unit to tell figures in and how much of the annotation's unit it is ("" for the
    annotation's own). regions: folder of index lists that take the place of the card's. flame: file of a FLAME model, for numbers whose
    card brings none. lips: of meshes, the lip vertices alone. Weights and FLAME numbers are
    measured on the built-in head, in mm. Raises AnnotationError or DataError where nothing tells what the numbers mean.
    """
    found = _annotation(dataset, model)
    if isinstance(found, VertexAnnotation):
        face = _mesh(dataset, found, unit or found.unit, size, regions)
        return _lips(face, found) if lips else face
    if dataset.unit == "weight":
        return _weights(dataset, found)
    return _flame(dataset, found, flame)


def truth(
    dataset: Dataset, clip: Clip, face: Face, step: int = 1
) -> tuple[int, Callable[[slice], np.ndarray]]:
    """(frames, reader of values (n, D) in the annotation's unit) of what was captured; step: every how many frames."""
    stored = dataset.motion(clip)[::step]
    scale = np.float32(dataset.scale)

    def read(part: slice) -> np.ndarray:
        if dataset.stored == "codes":
            return face.annotation.decode(np.asarray(stored[part], np.float32))
        values = face.part(stored[part]) * scale
        named = face.annotation.kind != "vertices" and dataset.names != face.annotation.names
        return by_name(values, dataset.names, face.annotation.names) if named else values

    return len(stored), read


def _annotation(dataset: Dataset, model: Annotation | None) -> Annotation:
    """The card of the dataset's annotation, with its codes' basis where codes are stored."""
    name = dataset.annotation
    path = dataset.cards and dataset.cards / f"{name}.json"
    if path and path.is_file():
        return load_card(path)
    if model is not None:
        return model
    head = builtin_head()
    if name in builtin.MESHES:
        return builtin.mesh_topology(name, head)
    if name == builtin.FLAME:
        return builtin.flame_annotation(head)
    if name in builtin.WEIGHTS:
        return builtin.weight_annotation(name, head)
    raise AnnotationError(
        f"Nothing tells what the numbers of {dataset.name} mean: it has no card of {name!r}, and that is no built-in "
        "annotation. Import the corpus again, or evaluate a model that has it."
    )


def _lips(face: Face, annotation: VertexAnnotation) -> Face:
    """The face's lip vertices alone. Raises DataError where none are known."""
    if "lips" not in face.regions:
        raise DataError(f"No list of the lips of {annotation.name} is known; give its folder with --regions.")
    rows, whole = face.regions["lips"], face.neutral

    def neutral(subject: str) -> np.ndarray | None:
        found = whole(subject)
        return None if found is None else found[rows]

    few = annotation if annotation.basis is None else narrowed(annotation, rows)
    about = f"{len(rows)} lip vertices of {annotation.name}"
    listed = {"lips": np.arange(len(rows))}
    return replace(
        face,
        annotation=few,
        vertices=len(rows),
        regions=listed,
        neutral=neutral,
        about=about,
        rows=rows,
        whole=annotation.dim,
    )


def _mesh(dataset: Dataset, annotation: Annotation, unit: str, size: float, folder: Path | None) -> Face:
    notes: list[str] = []
    listed = {name: np.unique(rows) for name, rows in annotation.regions.items() if name in REGIONS}
    told = dict.fromkeys(listed, f"the card of {dataset.name}")
    if folder is not None:
        own = find_regions((folder,), annotation.dim // 3, notes)
        listed |= {name: np.unique(rows) for name, rows in own.items()}
        told |= dict.fromkeys(own, f"the lists in {folder.name}")
    factor = np.float32(1 / size)

    def moved(values: np.ndarray) -> np.ndarray:
        scaled = values if size == 1 else values * factor
        return scaled.reshape(len(values), -1, 3)

    def neutral(subject: str) -> np.ndarray | None:
        own = dataset.template(subject)
        if own is not None:
            return own.reshape(-1, 3) * np.float32(dataset.scale) * factor
        named = f"{dataset.name}/{subject}"
        found = annotation.template(named if named in annotation.templates else None)
        return None if found is None else found * factor

    about = f"{annotation.dim // 3} vertices of {annotation.name}"
    return Face(annotation, unit, moved, annotation.dim // 3, listed, told, neutral, about=about, notes=notes)


def _weights(dataset: Dataset, annotation: Annotation) -> Face:
    """Weights through their ARKit names on the face of the built-in head, channels that are not trusted at 0."""
    head, names = builtin_head(), annotation.names
    rows = builtin.face_rows(head)
    place = np.full(len(head.vertices), -1)
    place[rows] = np.arange(len(rows))
    arkit = layout(ARKIT).names
    order = [arkit.index(name) for name in head.shape_names if name in arkit]
    shapes = np.stack([head.shape(arkit[i])[rows] for i in order]).reshape(len(order), -1) * MILLIMETRES
    known = np.ones(len(names), np.float32)
    if dataset.known is not None:
        known = np.isin(names, dataset.known).astype(np.float32)

    def weights(values: np.ndarray) -> np.ndarray:
        return convert(Motion(values * known, names, 1.0, annotation.name, "weight"), ARKIT).values

    try:
        jawed = bool(weights(np.ones((1, len(names)), np.float32))[0, arkit.index("jawOpen")])
    except AnnotationError as fault:
        raise DataError(f"The weights of {dataset.name} move no face: {fault}") from None
    regions = {name: np.sort(place[np.asarray(head.regions[name])]) for name in REGIONS}
    regions = {name: listed[listed >= 0] for name, listed in regions.items()}
    pair = tuple(np.sort(place[side]) for side in inner_lips(head))
    vertices = head.vertices[rows] * MILLIMETRES
    return Face(
        annotation,
        "mm",
        lambda values: (weights(values)[:, order] @ shapes).reshape(len(values), -1, 3),
        len(rows),
        regions,
        dict.fromkeys(regions, "the built-in head"),
        lambda subject: vertices,
        pair=(pair[0], pair[1]),
        jaw=(lambda values: weights(values)[:, arkit.index("jawOpen")]) if jawed else None,
        about=f"{len(rows)} vertices of the built-in head's face, moved by the weights",
    )


def _flame(dataset: Dataset, annotation: Annotation, file: Path | None) -> Face:
    whole = builtin.completed(annotation, builtin_head())
    if file is not None and isinstance(whole, FlameAnnotation) and whole.model is None:
        whole = whole.with_model(load_flame(file))
    try:
        rest = whole.vertices(whole.decode(whole.rest()[None]))[0]
    except AnnotationError as fault:
        raise DataError(
            f"{dataset.name} cannot be measured on vertices: {fault} Give FLAME's file with --flame (`unitalker data import "
            "flame` makes it)."
        ) from None
    regions = {name: np.unique(rows) for name, rows in whole.regions.items() if name in REGIONS}

    def moved(values: np.ndarray) -> np.ndarray:
        return (whole.vertices(whole.decode(whole.encode(values))) - rest) * np.float32(MILLIMETRES)

    return Face(
        whole,
        "mm",
        moved,
        len(rest),
        regions,
        dict.fromkeys(regions, f"the FLAME model of {whole.name}"),
        lambda subject: rest * np.float32(MILLIMETRES),
        about=f"{len(rest)} vertices of the FLAME model; a person's shape and the head's pose at rest",
    )
