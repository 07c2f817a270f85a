"""The house keeps its walls: import law, sizes, no corpus names outside importers, light imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "unitalker"
FILES = sorted(SOURCE.rglob("*.py"))
FLOORS = [
    {"cli"},
    {"training"},
    {"evaluation"},
    {"animation"},
    {"models", "data", "export"},
    {"annotations"},
    {"rig", "audio"},
    {"motion", "config", "errors", "files", "pickles"},
]
"""Rooms from the top of the house to its ground; imports only go down, rooms on one floor don't know each other."""
OPTIONAL = ("transformers", "espeakng_loader", "tensorboard", "mediapipe", "matplotlib")
CORPORA = re.compile(
    r"\b(biwi|vocaset|facegood|meshtalk|multiface|ravdess|hdtf|beat2|talkshow)\b", re.IGNORECASE
)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def floor(name: str) -> int:
    return next((i for i, rooms in enumerate(FLOORS) if name in rooms), -1)


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [
                f"{node.module}.{a.name}" if node.module == "unitalker" else node.module for a in node.names
            ]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if own in ("__init__", "__main__"):
        return
    for module in imports(path):
        other = room(module) if module.startswith("unitalker") else ""
        if not other or other == own or floor(other) < 0:
            continue
        ground = floor(other) == len(FLOORS) - 1
        assert floor(other) > floor(own) or (ground and floor(own) == floor(other)), f"{own} imports {module}"


def test_every_room_has_its_floor() -> None:
    rooms = {p.relative_to(SOURCE).parts[0].removesuffix(".py") for p in FILES} - {"__init__", "__main__"}
    assert rooms <= set().union(*FLOORS)


def test_optional_packages_have_one_door_each() -> None:
    doors: dict[str, set[str]] = {}
    for path in FILES:
        for module in imports(path):
            name = "tensorboard" if module == "torch.utils.tensorboard" else module.split(".")[0]
            if name in OPTIONAL:
                doors.setdefault(name, set()).add(str(path.relative_to(SOURCE)))
    assert {k: len(v) for k, v in doors.items()} == dict.fromkeys(OPTIONAL, 1), doors


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_sizes_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 350, "a file of more than 350 lines tells more than one story"
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not text.strip()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno <= 45, f"{node.name} is too long to read at once"
            given = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            count = len([name for name in given if name not in ("self", "cls")])
            assert count <= 8, f"{node.name} takes {count} parameters"


def test_corpus_names_live_in_importers_and_cards() -> None:
    for path in FILES:
        if "importers" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.If, ast.IfExp, ast.Compare)):
                test = node.test if isinstance(node, (ast.If, ast.IfExp)) else node
                assert not CORPORA.search(ast.unparse(test)), f"{path.name}: {ast.unparse(test)}"


@pytest.mark.parametrize("module", ["unitalker", "unitalker.motion", "unitalker.errors", "unitalker.cli"])
def test_import_is_light(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'transformers', 'scipy', 'av') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_no_arbitrary_unpickling_and_no_shell() -> None:
    for path in FILES:
        text = path.read_text()
        for smell in (
            "allow_pickle=True",
            "weights_only=False",
            "shell=True",
            "os.system(",
            "pickle.load",
        ):
            assert smell not in text, f"{path.name} has {smell}"


def test_weights_are_loaded_strictly_and_as_plain_tensors() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called, given = ast.unparse(node.func), {k.arg for k in node.keywords}
                assert not (called.endswith("load_state_dict") and "strict" in given), path.name
                assert called != "torch.load" or "weights_only" in given, path.name


def test_texts_hold_no_placeholders() -> None:
    root = SOURCE.parents[1]
    texts = [*root.glob("*.md"), *(root / "docs").glob("*.md"), *SOURCE.rglob("*.md")]
    assert texts
    for path in texts:
        assert not re.search(r"\b(FIGURE|FINISH):", path.read_text()), path
