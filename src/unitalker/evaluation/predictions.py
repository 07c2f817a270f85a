"""Where predictions come from: a model that animates, or another tool's files in CodeTalker's directory convention."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.data.dataset import Clip, Dataset
from unitalker.errors import AnnotationError, DataError, ModelError, unknown
from unitalker.evaluation.faces import Face, narrowed
from unitalker.motion import Motion, by_name

OWN, PIVOT, TRAINING = "own", "pivot", "training"
RULES = {
    OWN: "the clip's own subject",
    PIVOT: "the pivot, nobody's",
    TRAINING: "every training subject, averaged",
}
"""Identity rules: as whom a clip is predicted."""
MOST_STYLES = 64
FILE = re.compile(r"(?P<clip>.+)_condition_(?P<who>.+)")
"""CodeTalker's name of a prediction, without .npy."""
LIKENESS = (0.8, 1.25)
"""How much larger than the neutral face a predicted one may be."""
ASTRAY = 0.1
"""How far, as a share of the face's size, half of the vertices may lie from those of the neutral face."""

Read = Callable[[slice], np.ndarray]


@dataclass(frozen=True)
class Track:
    """One prediction: its frames, and what reads values (n, D) of some of them in the annotation's unit."""

    frames: int
    read: Read


class Source(Protocol):
    """What predicts. `name` is told in reports."""

    name: str
    facts: dict[str, Any]

    @property
    def notes(self) -> list[str]:
        """Sentences on what was decided so far."""
        ...

    def annotation(self, dataset: Dataset) -> Annotation | None:
        """The annotation that it predicts a dataset in, None where it brings none."""
        ...

    def heard(self, dataset: Dataset, clips: Sequence[Clip], names: Sequence[str]) -> None:
        """Note what of these clips it may have been trained on. names: what else the dataset is called, in lower case."""
        ...

    def styles(self, dataset: Dataset, clip: Clip, rule: str, training: Sequence[str]) -> list[str]:
        """As whom a clip is predicted, by an identity rule or a name."""
        ...

    def track(self, dataset: Dataset, clip: Clip, style: str, face: Face, fps: float) -> Track:
        """One prediction. Raises a UniTalkerError that says why there is none."""
        ...


class Animating(Protocol):
    """What FromModel needs of an animator."""

    @property
    def annotations(self) -> Mapping[str, Annotation]: ...

    @property
    def identities(self) -> Sequence[str]: ...

    def animate(
        self, source: Any, /, *, annotations: Sequence[str], identity: str | None, fps: float | None
    ) -> Mapping[str, Motion]: ...


class FromModel:
    """Predictions of an animator. Frames are made at the protocol's rate."""

    def __init__(self, animator: Animating, name: str, **facts: Any) -> None:
        self.animator, self.name, self.facts = animator, name, facts
        self.notes: list[str] = []
        self._narrow: tuple[Face, Animating] | None = None

    def annotation(self, dataset: Dataset) -> Annotation:
        """The model's head for a dataset. Raises AnnotationError with the heads it has."""
        if dataset.annotation not in self.animator.annotations:
            raise AnnotationError(
                f"{self.name} cannot be measured on {dataset.name}: "
                + unknown("head", dataset.annotation, self.animator.annotations)
            )
        return self.animator.annotations[dataset.annotation]

    def styles(self, dataset: Dataset, clip: Clip, rule: str, training: Sequence[str]) -> list[str]:
        """See Source.styles. Subjects that the model does not know speak as the pivot, which is noted."""
        if rule == PIVOT:
            return [PIVOT]
        if rule == OWN:
            found = self._identity(dataset, clip.subject)
            if found is None:
                self._note(f"{self._unsure(dataset, clip.subject)}: predicted as the pivot.")
            return [found or PIVOT]
        if rule != TRAINING:
            if rule not in self.animator.identities:
                raise ModelError(
                    unknown("identity", rule, dict.fromkeys([*RULES, *self.animator.identities]))
                )
            return [rule]
        found = [one for subject in training if (one := self._identity(dataset, subject)) is not None]
        if 0 < len(found) < len(training):
            self._note(
                f"{self.name} knows {len(found)} of the {len(training)} training subjects of {dataset.name}: averaged over "
                "those."
            )
        return found or self._everybody(dataset)

    def _alike(self, subject: str) -> list[str]:
        """Identities that are called as a subject, of whatever dataset."""
        return [one for one in self.animator.identities if one.rpartition("/")[2] == subject]

    def _unsure(self, dataset: Dataset, subject: str) -> str:
        """Why a subject has no identity of the model."""
        several = self._alike(subject)
        if not several:
            return f"{self.name} does not know {subject} of {dataset.name}"
        return (
            f"{self.name} has several identities called {subject} ({', '.join(several)}), none of {dataset.name} (--identity "
            "chooses one)"
        )

    def heard(self, dataset: Dataset, clips: Sequence[Clip], names: Sequence[str]) -> None:
        """See Source.heard: where it was trained on other datasets that have speakers of these clips, it may know the clips
        too."""
        known = {dataset.name.casefold(), *names}
        alike = [one for name in dict.fromkeys(clip.subject for clip in clips) for one in self._alike(name)]
        found = [one for one in alike if "/" in one]
        if found and not any(one.rpartition("/")[0].casefold() in known for one in found):
            self._note(
                f"{self.name} was trained on speakers of the same names ({', '.join(found[:4])}), but not on {dataset.name} as it "
                "is split here: it may have heard the very recordings that are measured, and then these are no test figures."
            )

    def _identity(self, dataset: Dataset, subject: str) -> str | None:
        """The model's name for a subject: by dataset, else by the subject alone where only one identity has it."""
        named = f"{dataset.name}/{subject}"
        if named in self.animator.identities:
            return named
        alike = self._alike(subject)
        if len(alike) != 1:
            return None
        if other := alike[0].rpartition("/")[0]:
            self._note(
                f"{self.name} was trained on {other}, not on {dataset.name}: subjects are predicted as those of the same "
                "names there."
            )
        return alike[0]

    def _everybody(self, dataset: Dataset) -> list[str]:
        known = [one for one in self.animator.identities if one != PIVOT]
        if 0 < len(known) <= MOST_STYLES:
            self._note(
                f"{self.name} knows no training subject of {dataset.name} by name: averaged over all {len(known)} of its "
                "identities."
            )
            return known
        self._note(f"{self.name} knows no training subject of {dataset.name}: predicted as the pivot.")
        return [PIVOT]

    def track(self, dataset: Dataset, clip: Clip, style: str, face: Face, fps: float) -> Track:
        """See Source.track."""
        name, own = dataset.annotation, self.annotation(dataset)
        if own.kind == "vertices" and own.dim != face.width:
            raise AnnotationError(
                f"{self.name} makes {own.dim} numbers a frame of {name}, {dataset.name} has {face.width}: two meshes "
                "of one name."
            )
        animator = self._of(own, face)
        made = animator.animate(dataset.recording(clip), annotations=[name], identity=style, fps=fps)[name]
        if face.rows is not None and animator is self.animator:
            return Track(len(made), lambda part: face.part(made.values[part]))
        named = face.annotation.kind != "vertices" and made.names != face.annotation.names
        values = by_name(made.values, made.names, face.annotation.names) if named else made.values
        return Track(len(made), lambda part: np.asarray(values[part], np.float32))

    def _of(self, own: Annotation, face: Face) -> Animating:
        """The animator, or where only lips are looked at one that decodes no other vertices."""
        if face.rows is None or not isinstance(own, VertexAnnotation) or own.basis is None:
            return self.animator
        if self._narrow is None or self._narrow[0] is not face:
            few: Any = copy(self.animator)
            few.annotations = {**self.animator.annotations, own.name: narrowed(own, face.rows)}
            self._narrow = (face, few)
        return self._narrow[1]

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


class FromFolder:
    """Files `<subject>_<sentence>_condition_<subject>.npy` of another tool, or `<subject>_<sentence>.npy`, in the folder or in
    one in it that is called as the dataset.

    Arrays (T, 3V) or (T, V, 3) hold absolute vertices in the corpus's own unit, as the dataset stores them; for weights
    and FLAME (T, D) the numbers themselves.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"There is no folder of predictions {folder}.")
        self.name, self.folder = folder.name, folder
        self.facts: dict[str, Any] = {"folder": str(folder)}
        self._alone: list[str] = []
        self._used: dict[Path, set[str]] = {}
        self._listed: dict[Path, dict[str, dict[str, Path]]] = {}
        if not any(folder.glob("*.npy")) and not any(folder.glob("*/*.npy")):
            raise DataError(
                f"{folder} holds no predictions; files are called as F2_e37_condition_F2.npy, subject, sentence and style."
            )

    def _folder(self, dataset: Dataset) -> Path:
        own = self.folder / dataset.name
        return own if own.is_dir() else self.folder

    def _files(self, dataset: Dataset) -> dict[str, dict[str, Path]]:
        """Clip → style → file; of the folder's own folder for the dataset where it has one."""
        folder = self._folder(dataset)
        if folder not in self._listed:
            found = self._listed[folder] = {}
            for path in sorted(folder.glob("*.npy")):
                match = FILE.fullmatch(path.stem)
                clip, who = (match["clip"], match["who"]) if match else (path.stem, "")
                found.setdefault(clip, {})[who] = path
        return self._listed[folder]

    @property
    def notes(self) -> list[str]:
        """See Source."""
        found = []
        if self._alone:
            found.append(
                f"{len(self._alone)} sequences, such as {self._alone[0]}, have one file without a condition, which stands for "
                "all styles that the rule asks for: they are no average over them."
            )
        for folder, used in self._used.items():
            every = [path.name for styles in self._listed[folder].values() for path in styles.values()]
            if strange := sorted(set(every) - used):
                found.append(
                    f"{len(strange)} of {len(every)} files in {folder.name}, such as {strange[0]}, are of no sequence and style "
                    "that was measured."
                )
        return found

    def heard(self, dataset: Dataset, clips: Sequence[Clip], names: Sequence[str]) -> None:
        """Files do not tell what their model was trained on."""

    def annotation(self, dataset: Dataset) -> None:
        """A folder brings no annotation; the dataset's is taken."""
        return

    def styles(self, dataset: Dataset, clip: Clip, rule: str, training: Sequence[str]) -> list[str]:
        """See Source.styles. A file without a condition stands for any rule; that is noted where it is one of several."""
        there = self._files(dataset).get(clip.id, {})
        wanted = {OWN: [clip.subject], PIVOT: [PIVOT], TRAINING: list(training)}.get(rule, [rule])
        if "" not in there or set(wanted) & set(there):
            return wanted
        if len(wanted) > 1:
            self._alone.append(clip.id)
        return [""]

    def track(self, dataset: Dataset, clip: Clip, style: str, face: Face, fps: float) -> Track:
        """See Source.track. Raises DataError for a missing file and for what cannot be such a prediction."""
        there = self._files(dataset).get(clip.id, {})
        path = there.get(style)
        if path is None:
            others = f"; there is {next(iter(there.values())).name}" if there else ""
            raise DataError(f"{clip.id}{f'_condition_{style}' if style else ''}.npy is missing{others}.")
        self._used.setdefault(self._folder(dataset), set()).add(path.name)
        try:
            stored = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError, TypeError):
            raise DataError(
                f"{path.name} is no readable .npy file of numbers, as np.save writes it of an array of floats."
            ) from None
        if not isinstance(stored, np.ndarray):
            raise DataError(
                f"{path.name} is an archive of arrays; one array is needed, as np.save writes it."
            )
        if face.annotation.kind != "vertices":
            return _numbers(stored, dataset.names or face.annotation.names, face, path.name)
        frames = _frames(stored, face.width, path.name)
        neutral = dataset.template(clip.subject)
        if neutral is None:
            raise DataError(
                f"{dataset.name} has no neutral faces, which absolute vertices are compared over; import it again."
            )
        flat, scale = neutral.reshape(-1), np.float32(dataset.scale)
        _check_absolute(np.asarray(frames[0], np.float32), flat, path.name)
        base = face.part(flat[None])
        return Track(len(frames), lambda part: (face.part(frames[part]) - base) * scale)


def _numbers(stored: np.ndarray, names: tuple[str, ...], face: Face, name: str) -> Track:
    """Weights or FLAME numbers (T, D) in the order of names, read in the annotation's."""
    frames = _frames(stored, len(names), name)
    return Track(
        len(frames), lambda part: by_name(np.asarray(frames[part], np.float32), names, face.annotation.names)
    )


def _frames(stored: np.ndarray, width: int, name: str) -> np.ndarray:
    """(T, width) view of an array. Raises DataError for another shape or kind."""
    if stored.dtype.kind not in "fiu" or not stored.size:
        raise DataError(f"{name} holds no numbers: {stored.dtype} of shape {stored.shape}.")
    if stored.ndim == 3 and stored.shape[0] == 1 and stored.shape[2] == width:
        stored = stored[0]
    if stored.ndim not in (2, 3) or stored[0].size != width or (stored.ndim == 3 and stored.shape[2] != 3):
        form = f"(T, {width})" + (f" or (T, {width // 3}, 3)" if width % 3 == 0 else "")
        raise DataError(f"{name} has the shape {stored.shape}; {form} is needed.")
    return stored.reshape(len(stored), -1)


def _check_absolute(frame: np.ndarray, neutral: np.ndarray, name: str) -> None:
    """Raises DataError for displacements, faces of another size, and vertices that do not lie where the neutral face has
    them."""
    vertices, face = frame.reshape(-1, 3), neutral.reshape(-1, 3)
    size = float(np.ptp(vertices, axis=0).max() / np.ptp(face, axis=0).max())
    if not LIKENESS[0] <= size <= LIKENESS[1]:
        raise DataError(
            f"{name}: its face is {size:.3g} times as large as the subject's neutral face. Absolute vertices in the "
            "corpus's own unit are needed, not displacements and not scaled ones."
        )
    away = float(np.median(np.linalg.norm(vertices - face, axis=1)) / np.ptp(face, axis=0).max())
    if away > ASTRAY:
        raise DataError(
            f"{name}: half of its vertices lie {away:.0%} of the face's size or more from where the subject's neutral face has "
            "them. Their order is another, or the face stands elsewhere; vertices as the corpus stores them are needed."
        )
