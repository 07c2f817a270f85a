"""Where a dataset is written: its folder stays as it was until the new dataset is whole, and as it was where that fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unitalker.data.dataset import read_manifest
from unitalker.errors import DataError

DRAFT = ".unitalker-draft"
"""Folder within the dataset's folder in which the new files wait."""
MANIFEST = "dataset.json"
PARTS = ("audio", "motion", "residual")


@dataclass(frozen=True)
class Draft:
    """folder: where the files are to be written. notes: a line where an earlier dataset will be replaced."""

    folder: Path
    notes: tuple[str, ...] = ()


@contextmanager
def placed(out: Path, key: str = "", value: str = "") -> Iterator[Draft]:
    """Gives a folder to write a dataset in, whose files then take their places in `out`, the manifest last.

    An earlier dataset whose manifest has that value of `key` is replaced: the files that its manifest names go, all others
    stay. Where the writing fails `out` is what it was. Raises DataError where `out` is another dataset or holds other files.
    """
    old = _earlier(out, key, value)
    with new_folder(out):
        draft = out / DRAFT
        _remove(draft)
        draft.mkdir()
        try:
            yield Draft(draft, () if old is None else (_told(out, old),))
            _place(draft, out, old or {})
        finally:
            _remove(draft)


@contextmanager
def new_folder(out: Path) -> Iterator[None]:
    """Makes a folder and those around it. Where what follows fails, those that were made go if nothing lies in them."""
    made = [path for path in (out, *out.parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise DataError(f"Cannot make the folder {out}: {fault.strerror}.") from None
    try:
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise


def check_free(out: Path) -> None:
    """Raises DataError where `out` is a file, or a folder of other files than a dataset's."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; give a folder for the dataset.")
    if out.is_dir() and not (out / MANIFEST).exists() and not (out / DRAFT).exists() and any(out.iterdir()):
        raise DataError(
            f"{out} is neither an empty folder nor a dataset; give a new one, so that nothing of yours is mixed in."
        )


def _earlier(out: Path, key: str, value: str) -> dict[str, Any] | None:
    """Manifest of the dataset that is to be replaced, None for none."""
    check_free(out)
    if not (out / MANIFEST).exists():
        return None
    if not key:
        raise DataError(f"{out} is a dataset already; give another folder, or remove it first.")
    old = read_manifest(out)
    imported = "shards" not in old and old.get("stored", "values") == "values"
    if old.get(key) != value or not imported:
        raise DataError(
            f"{out} is a dataset of {old.get(key) or 'something else'} already; give another folder."
        )
    return old


def _told(out: Path, old: Mapping[str, Any]) -> str:
    return f"The earlier dataset in {out} ({len(old.get('clips', ()))} clips) was replaced."


def _place(draft: Path, out: Path, old: Mapping[str, Any]) -> None:
    """Move the files of the draft to their places, instead of those that an old manifest names."""
    (out / MANIFEST).unlink(missing_ok=True)
    for path in _named(out, old):
        path.unlink(missing_ok=True)
    files = [path.relative_to(draft) for path in draft.rglob("*") if path.is_file()]
    for name in sorted(files, key=lambda name: (name == Path(MANIFEST), name)):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (draft / name).replace(out / name)


def _named(out: Path, old: Mapping[str, Any]) -> Iterator[Path]:
    """Files of clips, templates and the own card that a manifest names, those in its folder."""
    names = [f"annotations/{old.get('annotation')}{end}" for end in (".json", ".npz")]
    names += [old["templates"]] if isinstance(old.get("templates"), str) else []
    for clip in old.get("clips", ()):
        names += [clip[part] for part in PARTS if isinstance(clip.get(part), str)]
    for path in (out / name for name in names):
        if path.resolve().is_relative_to(out.resolve()) and path.is_file():
            yield path


def _remove(draft: Path) -> None:
    if draft.exists():
        shutil.rmtree(draft)
