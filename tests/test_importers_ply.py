"""Triangles of PLY files, written here byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from unitalker.data.importers.ply import find_triangles, read_triangles
from unitalker.errors import DataError

FACES = [[0, 1, 2], [2, 1, 3], [3, 0, 2]]


def written(path: Path, kind: str, vertices: int = 4, corners: int = 3, extra: str = "") -> Path:
    head = (
        f"ply\nformat {kind} 1.0\ncomment made here\nelement vertex {vertices}\nproperty float x\nproperty double y\n"
        f"property float z\nelement face {len(FACES)}\n{extra}property list uchar int vertex_indices\nend_header\n"
    )
    mark = ">" if "big" in kind else "<"
    if kind == "ascii":
        body = "".join("0 1 2.5\n" for _ in range(vertices)) + "".join(
            f"{corners} {a} {b} {c}\n" for a, b, c in FACES
        )
        path.write_text(head + body)
    else:
        flags = struct.pack("B", 7) if extra else b""
        rows = b"".join(struct.pack(f"{mark}fdf", 0, 1, 2.5) for _ in range(vertices))
        path.write_bytes(
            head.encode()
            + rows
            + b"".join(flags + struct.pack(f"{mark}B3i", corners, *face) for face in FACES)
        )
    return path


@pytest.mark.parametrize("kind", ("ascii", "binary_little_endian", "binary_big_endian"))
def test_triangles_of_every_form(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.ply", kind)
    assert read_triangles(path, 4).tolist() == FACES
    notes: list[str] = []
    found = find_triangles((tmp_path / "none.ply", path), 4, notes)
    assert found is not None and found.dtype == np.int32 and not notes
    assert find_triangles((tmp_path / "none.ply",), 4, notes) is None and not notes
    assert find_triangles((path,), 5, notes) is None and "a mesh of 4 vertices, not 5" in notes[0]
    with pytest.raises(DataError, match="polygons of other than three"):
        read_triangles(written(path, kind, corners=4), 4)
    with pytest.raises(DataError, match="a mesh of 3 vertices|not 3"):
        read_triangles(written(path, kind, vertices=3), 3)


def test_other_properties_and_other_files(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ply", "binary_little_endian", extra="property uchar flags\n")
    assert read_triangles(path, 4).tolist() == FACES
    for data in (
        b"",
        b"ply\nend_header\n",
        b"\xff\xfe",
        path.read_bytes()[:-5],
        b"ply\nformat odd 1.0\nend_header\n",
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match="is not a PLY file of triangles"):
            read_triangles(path, 4)
