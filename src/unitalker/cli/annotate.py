"""`unitalker data annotate`: videos of speaking faces to a dataset."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unitalker.cli.progress import Tell, bar
from unitalker.errors import ConfigError, DataError

if TYPE_CHECKING:
    from unitalker.data.annotate import Tracker

EXAMPLES = """Examples:
  unitalker data annotate interview.mp4 -o sets/anna --subject anna
  unitalker data annotate takes/*.mov -o sets/takes \\
      --tracker-model face_landmarker.task
  unitalker data annotate film.mkv -o sets/film \\
      --flame my_tracker.flame:make --fps 30"""

VIDEOS = Parameter(help="Videos with sound, one face in each.")
OUTPUT = Parameter(name=("--output", "-o"), help="New folder for the dataset.")
MODEL = Parameter(
    help="MediaPipe's face_landmarker.task; else the file that UNITALKER_FACE_LANDMARKER names, else the one in "
    "~/.cache/unitalker."
)
FLAME = Parameter(
    help="Use your own tracker of FLAME parameters: module:function of an installed package (docs/annotate.md)."
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Choices:
    """How videos are annotated."""

    tracker_model: Annotated[Path | None, MODEL] = None
    flame: Annotated[str | None, FLAME] = None
    fps: Annotated[float | None, Parameter(help="Frames a second of the motion; else the first video's.")] = (
        None
    )
    subject: Annotated[
        str | None,
        Parameter(help="Who all videos show; else each video's face is another, named as its file."),
    ] = None
    largest: Annotated[
        bool, Parameter(negative=(), help="Take the largest of several faces instead of refusing the video.")
    ] = False
    keep_neutral: Annotated[
        bool, Parameter(negative=(), help="Leave the face's resting value in the weights.")
    ] = False
    bridge: Annotated[
        float, Parameter(help="Seconds without a face that are interpolated; more end a clip.")
    ] = 0.2
    longest: Annotated[float, Parameter(help="Longest clip in seconds.")] = 20.0
    shortest: Annotated[float, Parameter(help="Shortest clip in seconds; what is shorter is left out.")] = 1.0


def annotate(
    *videos: Annotated[Path, VIDEOS],
    output: Annotated[Path, OUTPUT],
    choices: Choices | None = None,
) -> int:
    """Track faces in videos: ARKit weights (or FLAME), head pose and 16 kHz sound, as a dataset."""
    from unitalker.data.annotate import Rules, annotate_videos

    picked = choices or Choices()
    _check(videos, output, picked)
    rules = Rules(picked.bridge, picked.longest, picked.shortest, picked.largest)
    rules.check()
    tracker = _tracker(picked)
    with bar("Tracking", float(len(videos))) as tell:
        made = annotate_videos(
            videos,
            output,
            tracker,
            fps=picked.fps,
            subject=picked.subject,
            rules=rules,
            neutral=not picked.keep_neutral,
            progress=_progress(videos, tell),
        )
    for note in made.notes:
        print(note, file=sys.stderr)
    print(output)
    return 1 if made.refused else 0


def _check(videos: tuple[Path, ...], output: Path, picked: Choices) -> None:
    """Raises ConfigError or DataError for what can be told before a tracker is made."""
    if not videos:
        raise ConfigError(
            "Give one or more videos, for example: unitalker data annotate film.mp4 -o sets/film."
        )
    if output.exists() and not output.is_dir():
        raise DataError(f"{output} is a file; give a folder to make the dataset in.")
    if picked.flame and (picked.tracker_model or picked.keep_neutral):
        raise ConfigError(
            "--tracker-model and --keep-neutral are for ARKit weights; --flame has its own tracker."
        )


def _tracker(picked: Choices) -> Tracker:
    from unitalker.data.annotate import flame_tracker

    if picked.flame:
        return flame_tracker(picked.flame)
    from unitalker.data.tracker_mediapipe import MediaPipeTracker, find_model

    return MediaPipeTracker(find_model(picked.tracker_model))


def _progress(videos: tuple[Path, ...], tell: Tell):
    """Moves the bar by the share of each video that is done; where nobody watches, a line a minute of video."""
    from unitalker.audio.pictures import open_pictures
    from unitalker.errors import UniTalkerError

    lengths: dict[Path, float] = {}
    told: dict[Path, int] = {}

    def step(path: Path, seconds: float) -> None:
        if path not in lengths:
            try:
                with open_pictures(path) as pictures:
                    lengths[path] = pictures.seconds or 0.0
            except UniTalkerError:
                lengths[path] = 0.0
        minute = int(seconds // 60)
        lines = (
            [f"{path.name}: {minute} min of {lengths[path] / 60:.1f}"] if minute > told.get(path, 0) else []
        )
        told[path] = minute
        share = min(1.0, seconds / lengths[path]) if lengths[path] else 0.0
        tell(videos.index(path) + share, lines)

    return step
