"""What names in a pickle stand for while it is read: inert objects of ours that keep what a pickle tells them."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

DENSE_LIMIT = 100_000_000
"""Most numbers of a sparse matrix that is written out."""
DTYPE = re.compile(r"(b1|[iu][1248]|f[248]|c8|c16|[SU][0-9]{1,6})")
"""Numbers and texts; no Python objects, no records."""


class Refused(Exception):
    """What a pickle must not hold."""


class _Sealed(type):
    """Classes that a pickle cannot change."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise Refused(f"it changes {cls.__name__}.{name}")


class _Call:
    """A function that a pickle may call, and do nothing else with."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *given: Any) -> Any:
        return self._make(*given)

    def __setstate__(self, state: Any) -> None:
        raise Refused("it changes a function")


class Object(metaclass=_Sealed):
    """An object as its pickled state; `value` makes plain data of it."""

    __slots__ = ("state",)

    def __new__(cls, *given: Any) -> Object:
        made = object.__new__(cls)
        object.__setattr__(made, "state", None)
        return made

    def __init__(self, *given: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        object.__setattr__(self, "state", state)

    def __setattr__(self, name: str, value: Any) -> None:
        raise Refused(f"it sets {name} of a {type(self).__name__}")

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """Plain data; `plain` does the same for what the state holds."""
        raise Refused(f"it holds a bare {type(self).__name__.strip('_')}")


class _Mark(Object):
    """A class that is only named as an argument: ndarray, object."""

    __slots__ = ()


class _Dtype(Object):
    """numpy.dtype(code, align, copy) with the state (version, byte order, …)."""

    __slots__ = ("code",)

    def __new__(cls, code: Any = "", *given: Any) -> _Dtype:
        made = super().__new__(cls)
        object.__setattr__(made, "code", code)
        return made  # type: ignore[return-value]

    @property
    def kind(self) -> np.dtype:
        """The dtype of numbers or texts."""
        code, state = self.code, self.state
        if not isinstance(code, str) or not DTYPE.fullmatch(code):
            raise Refused(f"it holds an array of the type {code!r}, which are no plain numbers or texts")
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        if order not in ("<", ">", "=", "|"):
            raise Refused(f"it holds an array of the byte order {order!r}")
        return np.dtype(code).newbyteorder(order)

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """The dtype."""
        return self.kind


class _Array(Object):
    """ndarray with the state (version, shape, dtype, Fortran order, bytes)."""

    __slots__ = ()

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """The array."""
        if self.state is None:
            return np.zeros(0, np.uint8)
        _, shape, kind, fortran, raw = self.state
        return _array(raw, kind, shape, "F" if fortran else "C")


class _Sparse(Object):
    """A sparse matrix with the state {data, indices, indptr, _shape}, rows or columns one after the other."""

    __slots__ = ()
    by_row = True

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """The dense matrix."""
        held = {k: plain(v) for k, v in dict(self.state).items()}
        shape = tuple(int(n) for n in held.get("_shape", held.get("shape", ())))
        if len(shape) != 2 or min(shape) < 0 or shape[0] * shape[1] > DENSE_LIMIT:
            raise Refused(
                f"it holds a sparse matrix of shape {shape}; at most {DENSE_LIMIT} numbers are read"
            )
        data, inner, ends = (np.asarray(held[k]) for k in ("data", "indices", "indptr"))
        dense = np.zeros(shape if self.by_row else shape[::-1], data.dtype)
        counts = np.diff(ends)
        whole = len(ends) == len(dense) + 1 and ends[0] == 0 and ends[-1] == len(inner) == len(data)
        if (
            not whole
            or (counts < 0).any()
            or (len(inner) and not 0 <= inner.min() <= inner.max() < dense.shape[1])
        ):
            raise ValueError("a sparse matrix contradicts itself")
        np.add.at(dense, (np.repeat(np.arange(len(dense)), counts), inner), data)
        return dense if self.by_row else dense.T


class _Columns(_Sparse):
    """csc_matrix."""

    __slots__ = ()
    by_row = False


class _Chumpy(Object):
    """chumpy.ch.Ch with the array `x` in its state."""

    __slots__ = ()

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """The array."""
        if not isinstance(self.state, dict) or "x" not in self.state:
            raise Refused("it holds a chumpy object that is computed from others, not an array")
        return np.asarray(plain(self.state["x"]))


def _array(raw: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    """The array of some bytes. Raises Refused for Python objects, ValueError for bytes that do not fill it."""
    if not isinstance(kind, _Dtype) or order not in ("C", "F"):
        raise Refused("it holds an array without a type")
    if isinstance(raw, str):
        raw = raw.encode("latin1")
    if not isinstance(raw, (bytes, bytearray)):
        raise Refused("it holds an array of Python objects")
    sizes = tuple(int(n) for n in shape)
    flat = np.frombuffer(bytes(raw), kind.kind) if len(raw) else np.zeros(0, kind.kind)
    if len(sizes) > 32 or min(sizes, default=0) < 0 or flat.size != int(np.prod(sizes, dtype=object)):
        raise ValueError(f"an array of shape {sizes} has {len(raw)} bytes")
    return flat.reshape(sizes, order=order)


def _reconstructed(kind: Any, *given: Any) -> Object:
    """numpy's and copy_reg's function for an empty object, to be filled by its state."""
    if kind is _Ndarray:
        return _Array()
    if isinstance(kind, _Sealed) and kind is not _Plain:
        return kind()
    raise Refused("it makes an object of no known class")


def _encoded(text: Any, codec: Any = "latin1") -> bytes:
    """Bytes as Python 3 writes them into old protocols."""
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise Refused(f"it encodes text as {codec!r}")
    return text.encode("latin1")


def _bytes(*given: Any) -> bytes:
    if given not in ((), ("",)):
        raise Refused("it calls bytes with arguments")
    return b""


class _Ndarray(_Mark):
    """numpy.ndarray."""

    __slots__ = ()


class _Plain(_Mark):
    """object."""

    __slots__ = ()


class _Scalar(Object):
    """numpy's function for one number: its dtype and bytes."""

    __slots__ = ()

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """The number."""
        kind, raw = self.state
        return _array(raw, kind, (), "C")[()]


class _Buffer(Object):
    """numpy's function for an array from a buffer: bytes, dtype, shape, order."""

    __slots__ = ()

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """The array."""
        return _array(*self.state)


def filled(kind: type[Object]) -> _Call:
    """A function whose arguments are the state of its result."""

    def make(*given: Any) -> Object:
        made = kind()
        made.__setstate__(given)
        return made

    return _Call(make)


STAND_INS: dict[str, Any] = {
    "numpy.ndarray": _Ndarray,
    "numpy.dtype": _Dtype,
    "numpy.core.multiarray._reconstruct": _Call(_reconstructed),
    "numpy.core.multiarray.scalar": filled(_Scalar),
    "numpy.core.numeric._frombuffer": filled(_Buffer),
    "chumpy.ch.Ch": _Chumpy,
    "_codecs.encode": _Call(_encoded),
    "collections.OrderedDict": _Call(OrderedDict),
}
for _module in ("copy_reg", "copyreg"):
    STAND_INS[f"{_module}._reconstructor"] = _Call(_reconstructed)
for _module in ("__builtin__", "builtins"):
    _plain_ones = {"object": _Plain, "bytes": _Call(_bytes), "set": _Call(set), "frozenset": _Call(frozenset)}
    STAND_INS |= {f"{_module}.{name}": made for name, made in _plain_ones.items()}
for _name, _made in (("csc", _Columns), ("csr", _Sparse)):
    for _module in (f"scipy.sparse.{_name}", f"scipy.sparse._{_name}"):
        STAND_INS[f"{_module}.{_name}_matrix"] = _made
