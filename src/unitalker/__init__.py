"""UniTalker: any voice in, 3D facial animation out.

>>> import unitalker
>>> unitalker.load("mini").animate("speech.wav")["arkit52"].save("face.csv")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unitalker.animation.animator import Animator as Animator
    from unitalker.animation.animator import load as load
    from unitalker.motion import Motion as Motion

__version__ = "0.1.0"
__all__ = ["Animator", "Motion", "__version__", "load"]

_HOMES = {
    "load": "unitalker.animation.animator",
    "Animator": "unitalker.animation.animator",
    "Motion": "unitalker.motion",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unitalker' has no attribute {name!r}")
