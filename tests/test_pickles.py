"""Pickles are read as data: what NumPy, scipy and Python write comes back equal, and nothing that a pickle asks for runs."""

from __future__ import annotations

import os
import pickle
import struct
import sys
import tracemalloc
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from unitalker.annotations.flame import load_flame
from unitalker.cli import main
from unitalker.data.importers.flame import read_flame_pickle
from unitalker.errors import AnnotationError, DataError
from unitalker.pickles import read_pickle

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "c": RNG.standard_normal((2, 3)),
    "fortran": np.asfortranarray(RNG.integers(0, 9, (2, 3))),
    "big": np.arange(3, dtype=">i4"),
    "half": RNG.standard_normal(4).astype(np.float16),
    "empty": np.zeros((0, 3)),
    "one": np.array(5.0),
    "text": np.array(["ab", "c"]),
    "bytes": np.array([b"ab", b"c"]),
    "bools": np.array([True, False]),
    "scalar": np.float32(1.5),
    "columns": scipy.sparse.random(5, 7, 0.4, "csc", random_state=0),
    "rows": scipy.sparse.random(5, 7, 0.4, "csr", random_state=0),
}
PLAIN = {"t": ("ä", {1, 2}, frozenset({3})), "b": b"x\xff", "e": b"", "n": [None, True, 2**70, -1.5, []]}


def read(folder: Path, data: bytes) -> Any:
    path = folder / "held.pkl"
    path.write_bytes(data)
    return read_pickle(path)


def same(found: Any, due: Any) -> bool:
    if scipy.sparse.issparse(due):
        due = due.toarray()
    if isinstance(due, np.ndarray):
        return found.dtype == due.dtype and np.array_equal(found, due)
    return type(found) is type(due) and found == due


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers_come_back(protocol: int, tmp_path: Path) -> None:
    shared = np.arange(3)
    held = {**ARRAYS, **PLAIN, "twice": [shared, shared], "ordered": OrderedDict(b=1, a=2)}
    raw = pickle.dumps(held, protocol)
    for spelling in (raw, _renamed(raw)):
        found = read(tmp_path, spelling)
        assert list(found) == list(held) and found["twice"][0] is found["twice"][1]
        assert list(found["ordered"].items()) == [("b", 1), ("a", 2)]
        for name in {**ARRAYS, **PLAIN}:
            assert same(found[name], held[name]), name


def _renamed(raw: bytes) -> bytes:
    """The other of NumPy's two spellings, where names stand in lines (protocols 0 to 3) or with their length."""
    old, new = b"numpy.core.multiarray", b"numpy._core.multiarray"
    one, other = (new, old) if new in raw else (old, new)
    for mark in (b"\x8c", b"X"):
        size = "<B" if mark == b"\x8c" else "<I"
        raw = raw.replace(
            mark + struct.pack(size, len(one)) + one, mark + struct.pack(size, len(other)) + other
        )
    if raw[:1] == b"\x80" and raw[1] >= 4:
        raw = raw[:2] + raw[11:] if raw[2:3] == b"\x95" else raw
    return raw.replace(b"c" + one + b"\n", b"c" + other + b"\n")


def test_python_2_strings_are_latin1(tmp_path: Path) -> None:
    values = np.arange(4, dtype="<f4")
    name, raw = b"Andr\xe9", values.tobytes()
    state = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
        b"(K\x01K\x04\x85cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U"
        + bytes([len(raw)])
        + raw
        + b"tb"
    )
    found = read(tmp_path, b"\x80\x02}U" + bytes([len(name)]) + name + state + b"s.")
    assert list(found) == ["André"] and np.array_equal(found["André"], values)


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *given: Any) -> None:
        self.call = (function, given)

    def __reduce__(self) -> Any:
        return self.call


def _flag(folder: Path) -> str:
    return f"touch {folder / 'ran'}"


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_that_a_pickle_names_is_called(protocol: int, tmp_path: Path) -> None:
    command = _flag(tmp_path)
    hostile = {
        "posix.system": Calls(os.system, command),
        "builtins.eval": Calls(eval, f"__import__('os').system({command!r})"),
        "builtins.exec": Calls(exec, f"import os; os.system({command!r})"),
        "builtins.getattr": Calls(getattr, os, "system"),
        "builtins.__import__": Calls(__import__, "os"),
        "subprocess.Popen": Calls(__import__("subprocess").Popen, ["sh", "-c", command]),
        "numpy.load": Calls(np.load, "x"),
        "types.SimpleNamespace": types.SimpleNamespace(a=1),
        "pathlib": tmp_path,
    }
    for named, one in hostile.items():
        try:
            raw = pickle.dumps({"v_template": np.zeros(3), "x": [one]}, protocol)
        except TypeError:  # a module as an argument has no pickle
            continue
        with pytest.raises(
            DataError, match=f"held.pkl is not read, because it asks for .*{named.split('.')[-1]}"
        ):
            read(tmp_path, raw)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "asks for os.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x0cgetattr.real\x93.", "asks for builtins.getattr.real"),
        (b"(S'true'\nios\nsystem\n.", "asks for os.system"),
        (b"(c__builtin__\neval\nS'1'\no.", "asks for __builtin__.eval"),
        (b"\x80\x02\x82\x01.", "number 1"),
        (b"S'x'\nP1\n.", "whole pickle|outside the file"),
        (b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93.", "holds a function or a class"),
        (b"\x80\x02cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R.", "type 'O8'"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "encodes text as 'rot13'"),
        (b"c_codecs\nencode\n}U\x08__code__U\x01xsb.", "changes a function"),
        (
            b"ccopy_reg\n_reconstructor\n(cnumpy.core.multiarray\nscalar\nc__builtin__\nobject\nNtR.",
            "no known class",
        ),
        (b"cchumpy.ch\nCh\n(NtR}U\x06__dict__U\x01xsb.", "computed from others|whole pickle"),
        (b"cchumpy.reordering\nSelect\n.", "asks for chumpy.reordering.Select"),
        (b"(lp0\ng0\na.", "holds itself"),
        (b"(" * 20 + b"l" * 3, "whole pickle"),
        (b"\x80\x02r\xff\xff\xff\xff.", "whole pickle"),
        (b"N" + b"r\xff\xff\xff\x7f" + b"0.", "whole pickle"),
        (b"not a pickle", "whole pickle"),
        (b"", "whole pickle"),
    ],
)
def test_tricks_are_refused(data: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        read(tmp_path, data)


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    whole = pickle.dumps(np.arange(100.0), 2)
    with pytest.raises(DataError, match="not a whole pickle"):
        read(tmp_path, whole[:-100])
    with pytest.raises(DataError, match="nested too deeply"):
        read(tmp_path, b"]" * 100000 + b"a" * 99999 + b".")
    wrong = scipy.sparse.random(5, 7, 0.4, "csc", random_state=0)
    wrong.indices = wrong.indices + 9
    with pytest.raises(DataError, match="contradicts itself"):
        read(tmp_path, pickle.dumps(wrong, 2))
    wrong = scipy.sparse.csr_matrix((10**6, 10**6))
    with pytest.raises(DataError, match="sparse matrix of shape"):
        read(tmp_path, pickle.dumps(wrong, 2))
    with pytest.raises(DataError, match=r"bytes, more than the 10"):
        read_pickle(tmp_path / "held.pkl", limit=10)
    with pytest.raises(DataError, match="There is no file"):
        read_pickle(tmp_path / "none.pkl")
    with pytest.raises(DataError, match="array of Python objects"):
        read(tmp_path, pickle.dumps(np.array([{}, None], object), 2))


def _flame(
    monkeypatch: pytest.MonkeyPatch, protocol: int, **changed: Any
) -> tuple[bytes, dict[str, np.ndarray]]:
    """FLAME 2020's form with 20 vertices, shapedirs as a chumpy array, the regressor as scipy's matrix."""
    module = types.ModuleType("chumpy.ch")
    ch = type("Ch", (), {"__module__": "chumpy.ch", "__qualname__": "Ch"})
    module.Ch = ch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    rng = np.random.default_rng(1)
    weights = rng.random((20, 5))
    arrays = {
        "v_template": rng.standard_normal((20, 3)),
        "shapedirs": rng.standard_normal((20, 3, 400)),
        "posedirs": rng.standard_normal((20, 3, 36)),
        "J_regressor": scipy.sparse.random(5, 20, 0.3, "csc", random_state=1).toarray(),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], range(5)], np.uint32),
        "weights": weights / weights.sum(1, keepdims=True),
        "f": rng.integers(0, 20, (9, 3)).astype(np.uint32),
    }
    shapes = ch()
    shapes.__dict__ = {"x": arrays["shapedirs"], "_dirty_vars": set(), "_itr": None, "want_derivs": True}
    held = {**arrays, "shapedirs": shapes, "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"])}
    held |= {"bs_type": "lrotmin", "bs_style": "lbs", **changed}
    raw = pickle.dumps(held, protocol)
    monkeypatch.undo()
    return raw, arrays


@pytest.mark.parametrize("protocol", (0, 1, 2, 4))
def test_flame_without_chumpy(protocol: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    raw, arrays = _flame(monkeypatch, protocol)
    assert "chumpy" not in sys.modules
    (tmp_path / "generic model.pkl").write_bytes(raw)
    assert (
        main(["data", "import", "flame", str(tmp_path / "generic model.pkl"), str(tmp_path / "flame.npz")])
        == 0
    )
    model = load_flame(tmp_path / "flame.npz")
    for name in ("v_template", "shapedirs", "J_regressor", "weights"):
        assert np.array_equal(getattr(model, name), arrays[name].astype(np.float32)), name
    assert np.array_equal(model.faces, arrays["f"]) and model.parents == (-1, 0, 1, 1, 1)
    flat = arrays["posedirs"].reshape(60, 36).T.astype(np.float32)
    assert np.array_equal(model.posedirs, flat)


def test_flame_pickles_that_are_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "flame.pkl"
    path.write_bytes(_flame(monkeypatch, 2, weights="none")[0])
    with pytest.raises(AnnotationError, match="lacks the FLAME array 'weights'"):
        read_flame_pickle(path)
    path.write_bytes(_flame(monkeypatch, 2, weights=np.ones((20, 5)))[0])
    with pytest.raises(AnnotationError, match="must sum to 1"):
        read_flame_pickle(path)
    path.write_bytes(pickle.dumps([1]))
    assert main(["data", "import", "flame", str(path), str(tmp_path / "x.npz")]) == 2
    assert "holds list, not FLAME's arrays" in capsys.readouterr().err
    assert main(["data", "import", "flame", str(path), str(tmp_path / "folder")]) == 2
    assert "must end in .npz" in capsys.readouterr().err
    assert main(["data", "import", "flame", str(tmp_path), str(tmp_path / "x.npz")]) == 2
    assert "There is no file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x05\x96" + struct.pack("<Q", 3 << 30) + b"abc.",
        b"\x80\x04\x8e" + struct.pack("<Q", 3 << 30) + b"abc.",
        b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"abc.",
        b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"abc.",
        b"\x80\x02T" + struct.pack("<i", 1 << 30) + b"abc.",
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
    ],
)
def test_no_room_is_made_for_bytes_that_are_not_there(data: bytes, tmp_path: Path) -> None:
    tracemalloc.start()
    with pytest.raises(DataError, match="cut off or damaged"):
        read(tmp_path, data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1_000_000


def test_damage_of_any_kind_is_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = [pickle.dumps({**ARRAYS, **PLAIN}, protocol) for protocol in range(6)]
    for turn in range(300):
        raw = bytearray(whole[turn % 6])
        for place in rng.integers(0, len(raw), rng.integers(1, 6)):
            raw[place] = rng.integers(256)
        try:
            read(tmp_path, bytes(raw))
        except DataError as told:
            assert "held.pkl" in str(told)
