"""Triangles of a corpus's mesh from the PLY file that comes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unitalker.errors import DataError

KINDS = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
LARGEST = 64_000_000
"""Bytes of a file that is read."""


def find_triangles(places: Sequence[Path], vertices: int, notes: list[str]) -> np.ndarray | None:
    """(F, 3) triangles of the first file there is, None without one; a file that does not fit is noted."""
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        return None
    try:
        faces = read_triangles(path, vertices)
    except DataError as fault:
        notes.append(f"Triangles were not read: {fault}")
        return None
    return faces


def read_triangles(path: Path, vertices: int) -> np.ndarray:
    """(F, 3) int32 triangles of a PLY file, text or binary. Raises DataError for another mesh, and for polygons."""
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path} is larger than {LARGEST // 1_000_000} MB.")
    head, mark, body = path.read_bytes().partition(b"end_header\n")
    try:
        order, elements = _elements(head.decode("ascii").split("\n"))
        found = _text(body, elements) if order is None else _binary(body, order, elements)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as fault:
        raise DataError(f"{path} is not a PLY file of triangles ({fault!r}).") from None
    count = next((n for name, n, _ in elements if name == "vertex"), 0)
    if not mark or count != vertices or (len(found) and not 0 <= found.min() <= found.max() < vertices):
        raise DataError(f"{path} is a mesh of {count} vertices, not {vertices}.")
    return found.astype(np.int32)


_Element = tuple[str, int, list[list[str]]]
"""Name, count, and the words of its properties: [kind, name] or ["list", kind of the count, kind, name]."""


def _elements(lines: list[str]) -> tuple[str | None, list[_Element]]:
    """Byte order, None for text, and elements of a header."""
    order: str | None = ""
    elements: list[_Element] = []
    for words in (line.split() for line in lines if line):
        if words[0] == "format":
            order = None if words[1] == "ascii" else ORDERS[words[1]]
        elif words[0] == "element":
            elements.append((words[1], int(words[2]), []))
        elif words[0] == "property":
            elements[-1][2].append(words[1:])
    if lines[0].strip() != "ply" or order == "":
        raise ValueError("no PLY header")
    return order, elements


def _text(body: bytes, elements: list[_Element]) -> np.ndarray:
    lines = body.decode("ascii").split("\n")
    start = 0
    for name, count, _ in elements:
        if name == "face":
            rows = [[int(word) for word in line.split()[:4]] for line in lines[start : start + count]]
            return _three(np.array(rows, np.int64).reshape(count, 4))
        start += count
    return np.zeros((0, 3), np.int64)


def _binary(body: bytes, order: str, elements: list[_Element]) -> np.ndarray:
    start = 0
    for name, count, properties in elements:
        lists = [words for words in properties if words[0] == "list"]
        if name != "face":
            if lists:
                raise ValueError(f"lists in {name}")
            start += count * sum(np.dtype(KINDS[words[0]]).itemsize for words in properties)
            continue
        if len(lists) != 1:
            raise ValueError("several lists in a face")
        row = [_field(order, words) for words in properties]
        faces = np.frombuffer(body, np.dtype([part for parts in row for part in parts]), count, start)
        corners = next(words[-1] for words in lists)
        return _three(np.column_stack([faces["count"], faces[corners]]).astype(np.int64))
    return np.zeros((0, 3), np.int64)


def _field(order: str, words: list[str]) -> list[tuple]:
    """A property in a record of NumPy's, lists as of three numbers."""
    if words[0] != "list":
        return [(words[-1], order + KINDS[words[0]])]
    return [("count", order + KINDS[words[1]]), (words[-1], order + KINDS[words[2]], (3,))]


def _three(rows: np.ndarray) -> np.ndarray:
    """Corners of rows (F, 4), the first number of which tells how many there are."""
    if len(rows) and (rows[:, 0] != 3).any():
        raise ValueError("polygons of other than three corners")
    return rows[:, 1:]
