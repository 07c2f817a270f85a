"""Motion as NPZ: plain NumPy arrays, no pickles."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.errors import AnnotationError, ExportError
from unitalker.export.base import Options, provenance_text
from unitalker.files import atomic
from unitalker.motion import Motion

KEYS = ("values", "names", "fps", "annotation", "unit", "identity", "provenance")


def write(motion: Motion, path: Path, options: Options) -> None:
    """Writes `values (T, D) float32, names (D,), fps, annotation, unit, identity, provenance` (JSON text).

    `template (V, 3) float32` is added where the motion has one. Raises ExportError where the file cannot be
    written.
    """
    arrays: dict[str, Any] = {
        "values": motion.values,
        "names": np.array(motion.names, dtype=np.str_),
        "fps": np.float64(motion.fps),
        "annotation": np.str_(motion.annotation),
        "unit": np.str_(motion.unit),
        "identity": np.str_(motion.identity),
        "provenance": np.str_(provenance_text(motion)),
    }
    if motion.template is not None:
        arrays["template"] = np.asarray(motion.template, np.float32)
    with atomic(path) as draft, draft.open("wb") as file:
        np.savez(file, **arrays)


def read(path: Path) -> Motion:
    """The motion in such a file. Raises ExportError, naming the fault, for any other."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > max(1 << 30, 20 * path.stat().st_size):
            raise ExportError(
                f"{path} would unpack to {size >> 20} MiB, far more than a motion file of its size."
            )
        with np.load(path, allow_pickle=False) as data:
            missing = [key for key in KEYS if key not in data.files]
            if missing:
                raise ExportError(f"{path} is not a motion: it lacks {', '.join(missing)}.")
            arrays = {key: data[key] for key in (*KEYS, *({"template"} & set(data.files)))}
        return _motion(arrays)
    except (zipfile.BadZipFile, zlib.error, ValueError, TypeError, EOFError, AnnotationError) as error:
        raise ExportError(f"{path} is not a motion: {error}") from None


def _motion(arrays: dict[str, np.ndarray]) -> Motion:
    """The motion of checked arrays. Raises ValueError for wrong kinds."""
    if arrays["values"].dtype.kind != "f" or arrays["names"].dtype.kind != "U":
        raise ValueError("`values` must be floats and `names` text.")
    provenance = json.loads(str(arrays["provenance"]))
    if not isinstance(provenance, dict):
        raise ValueError("`provenance` must be a JSON object.")
    return Motion(
        arrays["values"],
        tuple(str(n) for n in arrays["names"].tolist()),
        float(arrays["fps"]),
        str(arrays["annotation"]),
        str(arrays["unit"]),
        str(arrays["identity"]),
        provenance,
        arrays.get("template"),
    )
