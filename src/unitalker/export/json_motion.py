"""Motion as JSON: readable, exact (shortest text of each float32), one line a frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from unitalker.errors import AnnotationError, ExportError, unknown
from unitalker.export.base import MAX_BYTES, Options, provenance_text
from unitalker.files import atomic
from unitalker.motion import Motion

FORMAT, VERSION = "unitalker.motion", 1
_TYPES: dict[str, type | tuple[type, ...]] = {
    "format": str,
    "version": int,
    "annotation": str,
    "identity": str,
    "fps": (int, float),
    "unit": str,
    "names": list,
    "frames": list,
    "provenance": dict,
}


def write(motion: Motion, path: Path, options: Options) -> None:
    """Writes `{"format": "unitalker.motion", "version": 1, …}`; `template` only where the motion has one.

    Numbers read back as the same float32. Raises ExportError where the file cannot be written.
    """
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "annotation": motion.annotation,
        "identity": motion.identity,
        "fps": motion.fps,
        "unit": motion.unit,
        "names": motion.names,
    }
    provenance = provenance_text(motion)
    with atomic(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        file.write("{")
        for key, value in facts.items():
            file.write(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n")
        _rows(file, "frames", motion.values)
        if motion.template is not None:
            _rows(file, "template", np.asarray(motion.template, np.float32))
        file.write(f'"provenance": {provenance}}}\n')


def _rows(file: TextIO, key: str, values: np.ndarray) -> None:
    """`"key": [[…], …],` with the shortest decimal text of every float32."""
    file.write(f'"{key}": [')
    for i, row in enumerate(values):
        file.write(("\n[" if i == 0 else ",\n[") + ",".join(row.astype("U").tolist()) + "]")
    file.write("],\n")


def read(path: Path) -> Motion:
    """The motion in such a file. Raises ExportError, naming the fault, for any other."""
    if path.stat().st_size > MAX_BYTES:
        raise ExportError(f"{path} is larger than {MAX_BYTES >> 30} GiB; use .npz for motions of that size.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ExportError(f"{path} is not JSON: {error}.") from None
    _check(data, path)
    try:
        values = np.array(data["frames"], np.float32).reshape(len(data["frames"]), len(data["names"]))
        template = np.array(data["template"], np.float32).reshape(-1, 3) if "template" in data else None
        return Motion(
            values,
            tuple(data["names"]),
            data["fps"],
            data["annotation"],
            data["unit"],
            data["identity"],
            data["provenance"],
            template,
        )
    except (ValueError, TypeError):
        raise ExportError(
            f"{path}: every frame must hold {len(data['names'])} numbers, one for each name."
        ) from None
    except AnnotationError as error:
        raise ExportError(f"{path}: {error}") from None


def _check(data: Any, path: Path) -> None:
    """Raises ExportError where keys, types or version are not those of the format."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ExportError(f'{path} is not a motion: it needs "format": "{FORMAT}".')
    if data.get("version") != VERSION:
        raise ExportError(
            f"{path} has version {data.get('version')!r}; this package reads version {VERSION}."
        )
    for key, kind in _TYPES.items():
        if not isinstance(data.get(key), kind) or isinstance(data.get(key), bool):
            raise ExportError(f"{path}: {key!r} is missing or of the wrong type.")
    extra = [key for key in data if key not in _TYPES and key != "template"]
    if extra:
        raise ExportError(f"{path}: {unknown('key', extra[0], [*_TYPES, 'template'], limit=10)}")
