"""How long imports take, with a bare Python's start taken off."""

from __future__ import annotations

from common import Row, Setting, process_seconds, python, unitalker

LINES = {
    "import unitalker": python("import unitalker"),
    "import unitalker, and its noun Motion (NumPy)": python("import unitalker; unitalker.Motion"),
    "import unitalker, and load (torch)": python("import unitalker; unitalker.load"),
    "unitalker --help": unitalker("--help"),
}


def rows(setting: Setting) -> list[Row]:
    """Median seconds above a bare Python, and as a multiple of it."""
    bare, *rest = process_seconds([python("pass"), *LINES.values()], setting.repeats)
    return [
        Row(what, f"{taken - bare:.3f} s", f"{taken / bare:.1f} × a bare Python's start ({bare:.3f} s)")
        for what, taken in zip(LINES, rest, strict=True)
    ]
