"""An npz whose compressed bytes are damaged is told in a sentence by everyone who reads one."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unitalker.annotations.flame import load_flame
from unitalker.annotations.released.files import read_arrays
from unitalker.errors import UniTalkerError
from unitalker.rig import load_rig

READERS = {
    "rig": lambda path: load_rig(str(path)),
    "flame": load_flame,
    "release": lambda path: read_arrays(path, ["neutral"]),
}


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    path = tmp_path / "spoilt.npz"
    np.savez_compressed(path, neutral=np.random.default_rng(0).random((400, 3)))
    data = bytearray(path.read_bytes())
    for place in range(200, len(data) - 600, 3):
        data[place] ^= 0x5A
    path.write_bytes(data)
    with pytest.raises(zlib.error), np.load(path) as arrays:
        arrays["neutral"]
    return path


@pytest.mark.parametrize("reader", READERS)
def test_damaged_bytes_are_told(reader: str, spoilt: Path) -> None:
    read: Callable[[Path], object] = READERS[reader]
    with pytest.raises(UniTalkerError, match="spoilt.npz"):
        read(spoilt)
