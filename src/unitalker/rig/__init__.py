"""The built-in head and rig files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from unitalker.rig.rig import Material, Rig

__all__ = ["Material", "Rig", "builtin_head", "load_rig"]


@cache
def builtin_head() -> Rig:
    """The head that ships with the package (one shared object; treat its arrays as read-only)."""
    from unitalker.rig.store import HEAD_FILE, read_rig

    return read_rig(HEAD_FILE)


def load_rig(path_or_name: str | Path) -> Rig:
    """A rig by name ("head") or from a file: .npz in the shared form, .glb with ARKit morph targets.

    Raises RigError for unknown names, unreadable files and files without ARKit shapes.
    """
    from unitalker.rig.files import load_rig as load

    return load(path_or_name)
