"""FLAME's published model, a Python-2 pickle with chumpy arrays, as an npz file of plain arrays.

The file is read by `unitalker.pickles`: nothing in it runs, and neither chumpy nor scipy is needed. It is a model, not a
corpus, so what comes out is one file, which `--flame-model` and `annotations.flame.load_flame` take.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unitalker.annotations.flame import FlameModel, flame_model, save_flame
from unitalker.errors import AnnotationError
from unitalker.pickles import read_pickle

ARRAYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights", "f")
"""Names of a FLAME pickle's arrays that make the model."""


def read_flame_pickle(path: str | Path) -> FlameModel:
    """The model of a published pickle, such as FLAME 2020's generic_model.pkl: (V, 3, 400) directions, 5 joints.

    Raises DataError for a pickle that cannot be read as data, AnnotationError for one that holds no whole FLAME model.
    """
    path = Path(path)
    held = read_pickle(path)
    if not isinstance(held, Mapping):
        raise AnnotationError(f"{path} holds {type(held).__name__}, not FLAME's arrays by name.")
    arrays = {str(name): value for name, value in held.items() if isinstance(value, np.ndarray)}
    plain = [name for name in ARRAYS if name in arrays and arrays[name].dtype.kind not in "fiu"]
    if plain:
        raise AnnotationError(f"{path}: {plain[0]} holds {arrays[plain[0]].dtype}, no numbers.")
    return flame_model(path, arrays)


def import_flame(source: Path, out: Path) -> Path:
    """Write the model of a pickle to `out`, an .npz file. Raises as `read_flame_pickle`."""
    if out.suffix != ".npz":
        raise AnnotationError(f"{out} must end in .npz: a FLAME model is one file.")
    return save_flame(read_flame_pickle(source), out)
