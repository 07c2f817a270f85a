"""Files of the release beside the checkpoint, read without running anything in them: arrays, JSON, triangles."""

from __future__ import annotations

import contextlib
import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.errors import ModelError

LARGEST = 4 * 2**30
"""Bytes of a file that is read (the published bases have well under one GB)."""

LARGEST_TEXT = 256 * 2**20
"""Bytes of a JSON file that is read."""

FAULTS = (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises for files that it cannot read."""


def unpacked(path: Path) -> int:
    """Bytes that a file fills when read: those of its entries, where it is an archive."""
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            size = max(size, sum(entry.file_size for entry in archive.infolist()))
    return size


def sized(path: Path, most: int = LARGEST) -> Path:
    """The path of a file of at most `most` bytes. Raises ModelError for one that is."""
    size = unpacked(path)
    if size > most:
        raise ModelError(f"{path} holds {size / 2**20:.0f} MB; {most // 2**20} MB is the most that is read.")
    return path


def read_array(path: Path) -> np.ndarray:
    """The float32 numbers of a .npy file. Raises ModelError where it holds anything else."""
    try:
        return _floats(path, np.load(sized(path), allow_pickle=False))
    except FAULTS as fault:
        raise ModelError(f"{path} is not a readable array of numbers: {fault}.") from None


def read_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Those arrays of an .npz file, float32; others in it are left alone. Raises ModelError where one is missing."""
    try:
        with np.load(sized(path), allow_pickle=False) as data:
            missing = [k for k in names if k not in data.files]
            if missing:
                raise ModelError(f"{path} lacks the array {missing[0]!r}; it holds {', '.join(data.files)}.")
            return [_floats(path, data[k]) for k in names]
    except FAULTS as fault:
        raise ModelError(f"{path} is not a readable npz file of arrays: {fault}.") from None


def _floats(path: Path, array: np.ndarray) -> np.ndarray:
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise ModelError(f"{path} holds {array.dtype} where numbers were due.")
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ModelError(f"{path} holds NaN or infinite numbers.")
    return array


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises ModelError where it can't be read."""
    try:
        return json.loads(sized(path, LARGEST_TEXT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise ModelError(f"{path} is not a readable JSON file: {fault}.") from None


def read_triangles(path: Path, vertices: int) -> np.ndarray:
    """(F, 3) vertex indices of an .obj file over so many vertices; polygons are cut into fans. Raises ModelError."""
    faces: list[tuple[int, int, int]] = []
    count = 0
    try:
        for line in sized(path).read_text(encoding="utf-8").splitlines():
            word, *rest = line.split() or [""]
            count += word == "v"
            if word == "f":
                corners = [int(text.split("/")[0]) for text in rest]
                corners = [c - 1 if c > 0 else count + c for c in corners]
                faces += [(corners[0], b, c) for b, c in zip(corners[1:], corners[2:], strict=False)]
    except (OSError, ValueError) as fault:
        raise ModelError(f"{path} is not a readable .obj file: {fault}.") from None
    triangles = np.array(faces, np.int64).reshape(-1, 3)
    if count != vertices or not len(triangles) or triangles.min() < 0 or triangles.max() >= vertices:
        raise ModelError(
            f"{path} is no mesh of {vertices} vertices: it has {count}, and {len(faces)} triangles."
        )
    return triangles.astype(np.int32)
