"""The flags of `animate`, and the checks of them that need no model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from unitalker.errors import AudioError, ConfigError, DataError, RigError

OUTPUT = Parameter(
    name=("--output", "-o"),
    negative=(),
    show_default=False,
    help="File to write; its suffix picks the format: .csv (Live Link Face), .json, .npz, .glb or .mp4. "
    "Repeat it for several files of one run. A folder (out/) takes one file for each input.",
)
FORMAT = Parameter(
    negative=(), help="What to write into an output folder: csv, json, npz, glb, mp4; or json,csv."
)
ANNOTATION = Parameter(
    negative=(),
    show_default=False,
    help="What to predict, for example arkit52; by default the model's own choice. Repeat it (or a,b) for "
    "several: out.npz becomes out.<annotation>.npz.",
)
IDENTITY = Parameter(
    help="Whose way of moving: pivot (nobody's), <dataset>/<subject>, or a mix such as A:0.6,B:0.4."
)
RIG = Parameter(
    help="Head of .glb and .mp4: a GLB with ARKit morph targets, a rig's .npz, or head (built in)."
)
VOICE = Parameter(help="Voice of --say: a language such as en, fr or cmn; en-us+f3 picks a speaker as well.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Choices:
    """The flags of `animate`."""

    output: Annotated[tuple[str, ...], OUTPUT] = ()
    format: Annotated[tuple[str, ...], FORMAT] = ()
    model: Annotated[
        str, Parameter(help="An installed model (see `unitalker models`) or a model folder.")
    ] = "mini"
    annotation: Annotated[tuple[str, ...], ANNOTATION] = ()
    identity: Annotated[str, IDENTITY] = "pivot"
    template: Annotated[
        str | None, Parameter(help="Neutral face of vertex annotations; else the identity's.")
    ] = None
    fps: Annotated[float | None, Parameter(help="Frames a second; else the annotation's own.")] = None
    rig: Annotated[str | None, RIG] = None
    start: Annotated[float | None, Parameter(help="Begin at this second of the sound.")] = None
    end: Annotated[float | None, Parameter(help="Stop at this second of the sound.")] = None
    say: Annotated[
        str | None, Parameter(help="Speak this text instead of reading a file (the tts extra).")
    ] = None
    voice: Annotated[str, VOICE] = "en"
    size: Annotated[int, Parameter(help="Width and height of an .mp4 in pixels.")] = 512
    view: Annotated[Literal["front", "three_quarter", "side"], Parameter(help="Camera of an .mp4.")] = "front"
    quiet: Annotated[
        bool,
        Parameter(name=("--quiet", "-q"), negative=(), show_default=False, help="Print nothing but errors."),
    ] = False


def check_choices(picked: Choices) -> None:
    """Raises ConfigError for numbers out of range, RigError for a rig file that is not there."""
    start, end = picked.start or 0.0, math.inf if picked.end is None else picked.end
    if not (math.isfinite(start) and start >= 0):
        raise ConfigError(f"--start must be a number of seconds from 0 on, not {picked.start}.")
    if not end > start:
        raise ConfigError(f"--end must come after --start ({start:g} s), not at {end:g} s.")
    if not 16 <= picked.size <= 4096 or picked.size % 2:
        raise ConfigError(f"--size must be an even number from 16 to 4096, not {picked.size}.")
    if picked.rig and Path(picked.rig).suffix and not Path(picked.rig).is_file():
        raise RigError(f"There is no rig file {picked.rig}; --rig also takes head (built in).")


def check_source(source: str) -> None:
    """Raises AudioError where the input is not a file."""
    path = Path(source)
    if path.is_dir():
        raise AudioError(f"{source} is a folder; give the sound files in it, for example {path}/*.wav.")
    if not path.exists():
        raise AudioError(f"There is no file {source}.")


def check_folder(source: Path, output: Path) -> None:
    """Raises DataError where the source is no folder, or the output is a file."""
    if not source.is_dir():
        raise DataError(f"There is no folder {source}.")
    if output.exists() and not output.is_dir():
        raise DataError(f"{output} is a file; give a folder to make the datasets in.")
