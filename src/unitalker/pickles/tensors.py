"""PyTorch tensors in pickles, as arrays: what their names stand for, without PyTorch and without calling anything.

A pickled tensor is a view (start, shape, strides) of a storage, and the storage a small file of its own inside: five
pickles (a mark, a version, facts of the machine, the storage's type and length, its key), then a count and raw bytes.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from unitalker.pickles.stand_ins import Object, Refused, filled

MARK = 0x1950A86A20F9469CFC6C
VERSION = 1001
KINDS = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}
"""Types of storages → dtypes."""


class _Facts(pickle._Unpickler):
    """Reads the pickles before a storage's bytes, which name nothing but its type."""

    dispatch = {k: v for k, v in pickle._Unpickler.dispatch.items() if k != pickle.BYTEARRAY8[0]}  # type: ignore[misc]

    def find_class(self, module: str, name: str) -> Any:
        """The type of a storage, by its name."""
        if module not in ("torch", "torch.storage") or name not in KINDS:
            raise Refused(f"it holds a tensor that asks for {module}.{name}")
        return KINDS[name]

    def get_extension(self, code: int) -> None:
        """Names by number, which no tensor uses."""
        raise Refused(f"it names a class by the number {code}")

    def persistent_load(self, pid: Any) -> Any:
        """The storage's own description."""
        return pid


def _stored(raw: Any) -> np.ndarray:
    """The numbers (N,) of a storage. Raises Refused or ValueError for bytes that are none."""
    if not isinstance(raw, (bytes, bytearray)):
        raise Refused("it holds a tensor without bytes")
    file = io.BytesIO(raw)
    mark, version, _, about, keys = (_Facts(file).load() for _ in range(5))
    if mark != MARK or version != VERSION or not isinstance(about, tuple) or about[:1] != ("storage",):
        raise ValueError("a tensor has no storage of the known form")
    kind, count = np.dtype(about[1]), int.from_bytes(file.read(8), "little")
    numbers = np.frombuffer(raw, kind, offset=file.tell())
    if keys != [about[2]] or count != about[4] or numbers.size != count:
        raise ValueError(f"a tensor's storage of {about[4]} numbers has {numbers.size}")
    return numbers


class _Tensor(Object):
    """torch._utils._rebuild_tensor_v2: storage, start, shape, strides, and what arrays do not have."""

    __slots__ = ()

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """The array."""
        storage, start, shape, strides = self.state[:4]
        numbers = plain(storage)
        sizes, steps = tuple(int(n) for n in shape), tuple(int(n) for n in strides)
        count = int(np.prod(sizes, dtype=object))
        last = start + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
        fits = (
            min((start, *sizes, *steps)) >= 0 and count <= numbers.size and (not count or last < numbers.size)
        )
        if not isinstance(numbers, np.ndarray) or not fits or len(sizes) > 32:
            raise ValueError(f"a tensor of shape {sizes} does not lie within its storage")
        if not count:
            return np.zeros(sizes, numbers.dtype)
        bytes_apart = tuple(step * numbers.itemsize for step in steps)
        return np.lib.stride_tricks.as_strided(numbers[start:], sizes, bytes_apart, writeable=False)


class _Storage(Object):
    """torch.storage._load_from_bytes."""

    __slots__ = ()

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """The numbers (N,)."""
        return _stored(*self.state)


TENSORS: dict[str, Any] = {
    "torch._utils._rebuild_tensor_v2": filled(_Tensor),
    "torch.storage._load_from_bytes": filled(_Storage),
}
"""Names that a pickled tensor asks for."""
