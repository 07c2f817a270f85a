"""Writers: one file per output format, and the renderer. A format is one entry of `WRITERS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from unitalker.errors import ExportError, unknown
from unitalker.motion import Motion

if TYPE_CHECKING:
    import numpy as np

    from unitalker.rig.rig import Rig

MESH_UNITS = ("m", "cm", "mm", "u")
"""Units of vertex motions; "u" is a dataset's own, unknown one."""


@dataclass(frozen=True)
class Format:
    """One output format. module: has `write(motion, path, options)` and, where `reads`, `read(path)`.

    units: the motion units that it can hold, None for any; sound: whether it has a sound track.
    """

    module: str
    about: str
    units: tuple[str, ...] | None = None
    reads: bool = False
    sound: bool = False

    def holds(self, unit: str) -> bool:
        """Whether a motion in that unit fits."""
        return self.units is None or unit in self.units


WRITERS: dict[str, Format] = {
    ".csv": Format("csv_livelink", "Live Link Face CSV (61 columns)", ("weight",), reads=True),
    ".json": Format("json_motion", "named numbers, as text", reads=True),
    ".npz": Format("npz_motion", "named numbers, as NumPy arrays", reads=True),
    ".glb": Format("glb", "animated head, glTF 2.0", ("weight", *MESH_UNITS)),
    ".mp4": Format("mp4_motion", "video with sound", ("weight", *MESH_UNITS), sound=True),
}


PLACES = ("csv_livelink", "glb", "mp4_motion")
"""Modules of the formats that hold some named weights only: the layout's, or the rig's."""


def format_of(path: str | Path) -> Format:
    """The format that a file's suffix names. Raises ExportError, listing those that exist, for any other."""
    suffix = Path(path).suffix
    if suffix.lower() not in WRITERS:
        listed = ", ".join(f"{s} ({f.about})" for s, f in WRITERS.items())
        what = f"No format has the suffix {suffix!r}" if suffix else "A suffix must say the format"
        raise ExportError(f"Cannot write {path}: {what}. There are: {listed}.")
    return WRITERS[suffix.lower()]


def check_unit(path: str | Path, unit: str, annotation: str) -> None:
    """Raises ExportError, naming the formats that could, where this one cannot hold numbers in `unit`."""
    chosen = format_of(path)
    if not chosen.holds(unit):
        able = ", ".join(suffix for suffix, entry in WRITERS.items() if entry.holds(unit))
        kind = "blendshape weights" if chosen.units == ("weight",) else "blendshape weights or a moving mesh"
        given = "vertices, not weights" if unit in MESH_UNITS else f"numbers of another kind ({unit})"
        raise ExportError(
            f"Cannot write {path}: {chosen.about} holds {kind}, but {annotation} holds {given}. "
            f"Formats that can hold it: {able}."
        )


def check_channels(path: str | Path, motion: Motion, rig: Rig | None = None) -> tuple[str, ...]:
    """Channels of a weight motion (its frames are not looked at) that the format, or the rig, has no place for.

    rig: as in `write`. Raises ExportError where no channel has a place; .json and .npz have one for all.
    """
    if motion.unit != "weight" or format_of(path).module not in PLACES:
        return ()
    from unitalker.annotations.layouts import layout
    from unitalker.export.base import Options, head_rig, left_out

    if format_of(path).module == "csv_livelink":
        return left_out(motion, layout("livelink_csv").names, "Live Link Face's CSV")
    shown = head_rig(Options(rig))
    return left_out(motion, shown.shape_names, f"rig {shown.name!r}")


def check(path: str | Path) -> None:
    """Raises ExportError where no format has the path's suffix, or the file cannot be written there.

    Cheap, and leaves nothing behind: for use before any long work.
    """
    from unitalker.files import check_writable

    format_of(path)
    check_writable(path)


def write(
    motion: Motion,
    path: str | Path,
    *,
    rig: Rig | None = None,
    sound: np.ndarray | Iterable[np.ndarray] | None = None,
    rate: int = 16000,
    size: int = 512,
    view: str = "front",
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Writes the motion in the format that the path's suffix names, whole or not at all; gives the path back.

    rig: the head for .glb and .mp4 (None: the built-in one). sound: samples at `rate` Hz for .mp4,
    (N,) floats or blocks of them; size (pixels) and view of its picture. Raises ExportError with a sentence
    for anything amiss.
    """
    from unitalker.export.base import Options

    goal = Path(path)
    check_unit(goal, motion.unit, f"the motion of {motion.annotation}")
    check_channels(goal, motion, rig)
    check(goal)
    module = import_module(f"unitalker.export.{format_of(goal).module}")
    module.write(motion, goal, Options(rig, sound, rate, size, view, progress))
    return goal


def read(path: str | Path) -> Motion:
    """The motion in a .csv (Live Link Face), .json or .npz file. Raises ExportError for anything else."""
    goal = Path(path)
    able = [suffix for suffix, entry in WRITERS.items() if entry.reads]
    if goal.suffix.lower() not in able:
        raise ExportError(f"Cannot read {goal}: {unknown('readable suffix', goal.suffix, able)}")
    if not goal.is_file():
        raise ExportError(f"Cannot read {goal}: there is no such file.")
    module = import_module(f"unitalker.export.{WRITERS[goal.suffix.lower()].module}")
    try:
        return module.read(goal)
    except OSError as error:
        raise ExportError(f"Cannot read {goal}: {error.strerror or error}.") from error
