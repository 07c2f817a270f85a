"""The errors of the package: sentences that say what, the value, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UniTalkerError(Exception):
    """Anything that the user can mend. Its text is one sentence (or a few); the CLI prints it and exits with 2."""


class AudioError(UniTalkerError):
    """A file or array that is not usable sound."""


class AnnotationError(UniTalkerError):
    """Numbers that do not fit the annotation they claim to follow."""


class RigError(UniTalkerError):
    """A mesh or blendshape file that cannot serve as a rig."""


class ModelError(UniTalkerError):
    """A model, identity or weight file that is unknown or broken."""


class ExportError(UniTalkerError):
    """A motion that cannot be written in the format asked for."""


class DataError(UniTalkerError):
    """A dataset that is incomplete or contradicts itself."""


class ConfigError(UniTalkerError):
    """A setting that does not exist or has a value out of range."""


class DivergedError(ConfigError):
    """A training run whose loss is no number any more."""


def unknown(kind: str, name: str, allowed: Iterable[str], limit: int = 8, like: float = 0.5) -> str:
    """Sentence for an unknown name: "There is no annotation 'arkit25'; did you mean 'arkit52'? Known: …".

    Nearest names come first; at most `limit` known names are listed. like: how much a near name has in
    common, 1 for all.
    """
    known = [str(a) for a in allowed]
    lowered = {k.lower(): k for k in known}
    near = [lowered[str(name).lower()]] if str(name).lower() in lowered else []
    near += difflib.get_close_matches(str(name), known, n=3, cutoff=like)
    near += [lowered[m] for m in difflib.get_close_matches(str(name).lower(), lowered, n=3, cutoff=like)]
    near = list(dict.fromkeys(near))[:3]
    guess = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
    more = f", … ({len(known)} in all)" if len(known) > limit else ""
    listed = ", ".join(known[:limit]) + more if known else "none"
    return f"There is no {kind} {name!r}{guess} Known: {listed}."
