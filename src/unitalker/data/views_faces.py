"""What views do to the numbers of a face: its other side, another neutral face, another unit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unitalker.annotations import builtin
from unitalker.annotations.base import Annotation
from unitalker.annotations.cards import load_card, save_card
from unitalker.annotations.layouts import mirror, mirrored_name
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.data.dataset import Dataset
from unitalker.data.importers.folder_faces import read_neutral
from unitalker.data.importers.folder_files import LENGTHS
from unitalker.data.views_mirror import read_map, symmetric_map
from unitalker.errors import DataError
from unitalker.motion import Motion
from unitalker.rig import builtin_head

ZERO = Path("zero")
"""As `over`: displacements over nothing, which are positions."""


@dataclass(frozen=True)
class View:
    """What is changed; None and False: nothing.

    mirror: left and right change sides. mirror_map: file with each vertex's partner. fps: frames a second. loudness:
    LUFS of each clip. over: a neutral face (file) that the same vertices become displacements over, or `zero` for
    positions. template: a neutral face (file) that the same displacements move. scale: factor on vertices and
    templates.
    """

    mirror: bool = False
    mirror_map: Path | None = None
    fps: float | None = None
    loudness: float | None = None
    over: Path | None = None
    template: Path | None = None
    scale: float | None = None

    @property
    def vertices_only(self) -> bool:
        """Whether something is asked for that only vertices have."""
        return any(x is not None for x in (self.mirror_map, self.over, self.template, self.scale))


class Faces:
    """The faces of a view: templates by subject, and how displacements change. Raises DataError for what cannot be.

    unit, known, templates: of the new dataset. Changes are made in this order: over or template, scale, mirror.
    """

    def __init__(self, source: Dataset, view: View) -> None:
        self.source, self.view = source, view
        self.card = _own_card(source)
        self.mesh = source.stored == "values" and _is_mesh(source, self.card)
        self.factor = np.float32(1.0 if view.scale is None else view.scale)
        self.unit, self.known = source.unit, source.known
        if view.vertices_only and not self.mesh:
            raise DataError(
                f"{source.name} holds {source.annotation!r}, no vertices; only those have a neutral or a unit."
            )
        if view.mirror_map is not None and not view.mirror:
            raise DataError("--mirror-map says how --mirror is done; give both.")
        self._check_scale()
        self.given = self._given_templates()
        self.partner = self._partners() if view.mirror and self.mesh else None
        if view.mirror and not self.mesh:
            self._mirror_names()
        self.offsets, self.templates = self._moved_templates()

    def _given_templates(self) -> dict[str, np.ndarray]:
        """(V, 3) neutral vertices by subject as stored: the dataset's, else its card's."""
        source, carried = self.source, {} if self.card is None else self.card.templates
        found = {subject: source.template(subject) for subject in source.subjects}
        for subject in source.subjects:
            name = f"{source.name}/{subject}"
            if found[subject] is None and name in carried:
                found[subject] = np.asarray(carried[name]) / np.float32(source.scale)
        return {s: np.asarray(v, np.float32).reshape(-1, 3) for s, v in found.items() if v is not None}

    def _check_scale(self) -> None:
        if self.view.scale is None:
            return
        if not 0 < self.view.scale < np.inf:
            raise DataError(f"The scale must be above 0, not {self.view.scale:g}.")
        if self.card is None:
            raise DataError(
                f"{self.source.name} follows the built-in {self.source.annotation!r}, whose unit is fixed; only a dataset "
                "with a card of its own can have another."
            )
        metres = self.card.metres / self.view.scale
        fits = [name for name, length in LENGTHS.items() if name != "u" and np.isclose(length, metres)]
        self.unit = fits[0] if fits and self.unit != "u" else "u"

    def _mirror_names(self) -> None:
        if self.source.unit != "weight":
            raise DataError(
                f"{self.source.name} holds {self.source.annotation!r}, whose mirror image is not known; only weights and "
                "vertices can be mirrored."
            )
        known = self.source.known
        self.known = known if known is None else tuple(mirrored_name(name) for name in known)
        self._mirrored_weights(np.zeros((1, len(self.source.names)), np.float32))

    def _mirrored_weights(self, block: np.ndarray) -> np.ndarray:
        return mirror(Motion(block, self.source.names, 1.0, self.source.annotation, "weight")).values

    def _partners(self) -> np.ndarray:
        count = len(self.source.names) // 3
        if self.view.mirror_map is not None:
            return read_map(self.view.mirror_map, count)
        face, faces = next(iter(self.given.values()), None), None
        if self.card is not None:
            faces = self.card.faces
            face = next(iter(self.card.templates.values()), None) if face is None else face
        elif self.source.annotation in builtin.MESHES:
            topology = builtin.mesh_topology(self.source.annotation, builtin_head())
            face, faces = topology.templates["builtin"], topology.faces
        if face is None:
            raise DataError(
                f"{self.source.name} has no template to find the mirror images on; give --mirror-map."
            )
        return symmetric_map(face, faces)

    def _moved_templates(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """What is added to each subject's displacements (3V,), and the new templates."""
        view, count = self.view, len(self.source.names) // 3
        goal = view.over or view.template
        if view.over is not None and view.template is not None:
            raise DataError(
                "Give --over or --template, not both: one keeps the vertices, the other the movement."
            )
        new = None if goal is None else _neutral(goal, count)
        missing = [s for s in self.source.subjects if s not in self.given]
        if view.over is not None and missing:
            raise DataError(
                f"{self.source.name} has no template of {missing[0]}, so where its vertices are is unknown."
            )
        offsets, templates = {}, {}
        for subject, old in (self.given if new is None else dict.fromkeys(self.source.subjects)).items():
            face = old if new is None else new
            assert face is not None
            if view.over is not None:
                offsets[subject] = (self.given[subject] - face).ravel()
            templates[subject] = self._sides(face * self.factor)
        return offsets, templates

    def _sides(self, vertices: np.ndarray) -> np.ndarray:
        """(…, V, 3) with left and right changed where the view asks for it."""
        if self.partner is None:
            return vertices
        return vertices[..., self.partner, :] * np.array([-1, 1, 1], np.float32)

    def moved(self, block: np.ndarray, subject: str) -> np.ndarray:
        """A block (n, D) of a subject's motion as the view has it."""
        if not self.mesh:
            return self._mirrored_weights(block) if self.view.mirror else block
        if subject in self.offsets:
            block = block + self.offsets[subject]
        if self.factor != 1:
            block = block * self.factor
        if self.partner is None:
            return block
        return self._sides(block.reshape(len(block), -1, 3)).reshape(len(block), -1)

    def save_cards(self, out: Path, fps: float | None) -> None:
        """Write the dataset's cards as the view has them."""
        folder = self.source.cards
        if folder is None:
            return
        for path in sorted(folder.glob("*.json")):
            card = load_card(path)
            own = card.name == self.source.annotation
            save_card(self._card(card, fps) if own else card, out / "annotations")

    def _card(self, card: Annotation, fps: float | None) -> Annotation:
        card = dataclasses.replace(card, fps=fps or card.fps)
        if not isinstance(card, VertexAnnotation) or not (self.view.mirror or self.view.vertices_only):
            return card
        own = {
            f"{self.source.name}/{s}": v * np.float32(self.source.scale) for s, v in self.templates.items()
        }
        other = {
            k: self._sides(np.asarray(v) * self.factor) for k, v in card.templates.items() if k not in own
        }
        metres = card.metres / float(self.factor)
        return dataclasses.replace(card, basis=None, templates=other | own, unit=self.unit, metres=metres)

    def notes(self) -> list[str]:
        """A line for each change."""
        view, out = self.view, []
        if view.over is not None:
            what = (
                "positions, over a neutral face of zeros"
                if view.over == ZERO
                else f"displacements over {view.over.name}"
            )
            out.append(f"Motion is {what}; every vertex stays where it was.")
        if view.template is not None:
            out.append(f"The movement of every subject is that of the neutral face {view.template.name} now.")
        if view.scale is not None:
            out.append(
                f"Vertices and templates multiplied by {view.scale:g}: from {self.source.unit} to {self.unit}."
            )
        if view.mirror:
            how = "by name"
            if self.mesh:
                given = view.mirror_map
                how = (
                    f"by the map {given.name}"
                    if given
                    else "by the symmetry of the neutral face; x changes its sign"
                )
            out.append(f"Left and right exchanged {how}.")
        has_basis = self.card is not None and self.card.basis is not None
        if has_basis and (view.mirror or view.vertices_only):
            out.append("The card's basis, which was fitted before, is left out.")
        return out


def _own_card(source: Dataset) -> VertexAnnotation | None:
    path = None if source.cards is None else source.cards / f"{source.annotation}.json"
    card = load_card(path) if path is not None and path.is_file() else None
    return card if isinstance(card, VertexAnnotation) else None


def _is_mesh(source: Dataset, card: VertexAnnotation | None) -> bool:
    if card is not None:
        return len(source.names) == card.dim
    return source.annotation in builtin.MESHES


def _neutral(path: Path, count: int) -> np.ndarray:
    """(V, 3) float32 of a template file, or zeros."""
    if path == ZERO:
        return np.zeros((count, 3), np.float32)
    if not path.is_file():
        raise DataError(f"There is no neutral face {path}; give an .npy (V, 3) or an .obj.")
    vertices = read_neutral(path, path.parent).vertices
    if len(vertices) != count:
        raise DataError(f"{path} has {len(vertices)} vertices, the motion has {count}.")
    return vertices
