"""Rigs from files."""

from __future__ import annotations

from pathlib import Path

from unitalker.rig.rig import Rig


def load_rig(path_or_name: str | Path) -> Rig:
    """The built-in head."""
    from unitalker.rig import builtin_head

    return builtin_head()
