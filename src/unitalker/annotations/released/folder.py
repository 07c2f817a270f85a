"""The release's data folder: subjects and their names, neutral faces, PCA bases. Only what an import needs is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.annotations.pca import Basis
from unitalker.annotations.released.files import read_array, read_arrays, read_json
from unitalker.annotations.released.sets import ANNOTATIONS, SETS, ReleasedSet
from unitalker.errors import ModelError

TEMPLATE, PCA = "id_template.npy", "pca.npz"
LISTS = ("train.json", "val.json", "test.json")
PCA_ARRAYS = ("components_to_data", "original_data_mean")
"""What a basis is made of; the file's other arrays (statistics of the codes) are not needed."""


@dataclass(frozen=True)
class DataFolder:
    """A folder in the layout of unitalker_data_release_V1. Raises ModelError where it holds none of the datasets."""

    root: Path

    def __post_init__(self) -> None:
        if not any(self.place(dataset).is_dir() for dataset in SETS):
            raise ModelError(
                f"{self.root} is not the release's data folder: it holds none of "
                f"{', '.join(s.folder for s in SETS[:3])}, …; give the folder that holds them."
            )

    def place(self, dataset: ReleasedSet, file: str = "") -> Path:
        """A dataset's folder, or a file in it."""
        return self.root / dataset.folder / file

    def templates(self, dataset: ReleasedSet) -> np.ndarray | None:
        """(S, dim) float32, the subjects' neutral faces in the model's units (scaled); None without the file."""
        rows = self.neutral(dataset)
        return None if rows is None else np.float32(dataset.scale) * rows

    def neutral(self, dataset: ReleasedSet) -> np.ndarray | None:
        """(S, dim) float32, the subjects' neutral faces as the file has them; None without the file."""
        path, dim = self.place(dataset, TEMPLATE), ANNOTATIONS[dataset.annotation].dim
        if not path.is_file():
            return None
        rows = read_array(path)
        if rows.ndim < 2 or rows[0].size != dim:
            raise ModelError(
                f"{path} holds an array of shape {rows.shape}; a row for each subject with {dim} numbers was due."
            )
        return rows.reshape(len(rows), dim)

    def listed(self, dataset: ReleasedSet) -> tuple[str, ...]:
        """Subject names of the first of train.json, val.json and test.json that tells them, made safe and unique."""
        for file in LISTS:
            path = self.place(dataset, file)
            if path.is_file():
                found = read_json(path)
                info = found.get("info") if isinstance(found, dict) else None
                names = info.get("id_list") if isinstance(info, dict) else None
                if isinstance(names, list) and names:
                    return safe_names(names)
        return ()

    def subjects(self, dataset: ReleasedSet) -> int | None:
        """Number of subjects as the folder tells it, by its neutral faces or else its list; None where it doesn't."""
        rows = self.templates(dataset)
        return len(self.listed(dataset)) or None if rows is None else len(rows)

    def basis(self, dataset: ReleasedSet, size: int | None = None) -> Basis | None:
        """The first `size` components, or all, in the model's units; None without the file. Need not be orthonormal."""
        path, dim = self.place(dataset, PCA), ANNOTATIONS[dataset.annotation].dim
        if not path.is_file():
            return None
        components, mean = read_arrays(path, PCA_ARRAYS)
        if components.ndim != 2 or components.shape[1] != dim or mean.size != dim:
            raise ModelError(
                f"{path} holds components {components.shape} over a mean {mean.shape}, not of {dim} numbers."
            )
        if size is not None and len(components) < size:
            raise ModelError(
                f"{path} holds {len(components)} components, but the checkpoint's head predicts {size}: "
                "the file belongs to another model."
            )
        return Basis(mean.reshape(dim), np.ascontiguousarray(components[:size]))


def subject_names(listed: Sequence[str], subjects: int) -> tuple[str, ...]:
    """What so many subjects are called: as they are listed, or by number where another number of them is listed."""
    return tuple(listed) if len(listed) == subjects else tuple(str(i) for i in range(subjects))


def safe_names(names: Iterable[Any]) -> tuple[str, ...]:
    """Names as identities can be asked for: letters, digits, '.', '-' and '_'; a repeated one gets a number."""
    out: list[str] = []
    for name in names:
        plain = re.sub(r"[^\w.-]+", "_", str(name).strip()).strip("_") or "unnamed"
        unique, number = plain, 2
        while unique in out:
            unique, number = f"{plain}_{number}", number + 1
        out.append(unique)
    return tuple(out)
