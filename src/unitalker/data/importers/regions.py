"""Lists of vertices that measures need: the lips and the upper face, from a corpus's folder or one that a user names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unitalker.data.importers.folder_faces import indices
from unitalker.errors import DataError

FILES = {"lips": ("lips.txt", "lve.txt"), "upper_face": ("upper_face.txt", "fdd.txt")}
"""Region → names of its file, ours and CodeTalker's: vertex numbers from 0 between commas, blanks or lines."""


def find_regions(
    folders: tuple[Path | None, ...], vertices: int, notes: list[str], published: dict[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Region → vertex numbers, each from the first folder that has its file; what is not found is noted.

    published: how many there are in the list that papers use. Raises DataError for a list of another mesh.
    """
    found = {}
    for region, names in FILES.items():
        places = [folder / name for folder in folders if folder is not None for name in names]
        path = next((p for p in places if p.is_file()), None)
        if path is None:
            notes.append(
                f"No list of the {region.replace('_', ' ')} ({names[1]}) was found: measures of it are left out; "
                "give its folder with --regions."
            )
            continue
        found[region] = indices(path, vertices)
        due = (published or {}).get(region, len(found[region]))
        if len(found[region]) != due:
            notes.append(f"{path.name} lists {len(found[region])} vertices; the published list has {due}.")
    return found


def check_regions(folder: Path | None, more: tuple[str, ...] = ()) -> None:
    """Raises DataError where the folder that a user names is none, or has no list. more: other lists it may hold."""
    names = (*more, *(n for listed in FILES.values() for n in listed))
    if folder is not None and not folder.is_dir():
        raise DataError(f"There is no folder {folder} of region lists.")
    if folder is not None and not any((folder / name).is_file() for name in names):
        raise DataError(f"{folder} holds no region list: {', '.join(names)}.")
