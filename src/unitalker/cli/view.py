"""`unitalker data view`: a dataset written again with something changed."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unitalker.cli.choices import check_folder
from unitalker.cli.progress import bar

EXAMPLES = """Examples:
  unitalker data view sets/anna -o sets/anna-mirrored --mirror
  unitalker data view sets/anna -o sets/anna-30 --fps 30 --loudness -23
  unitalker data view sets/mine -o sets/mine-m --scale 0.001    (mm to m, where the dataset has its own card)
  unitalker data view sets/mine -o sets/positions --over zero"""

MAP = Parameter(help="With --mirror, for vertices: file with the number of each vertex's partner, from 0.")
LOUDNESS = Parameter(help="Loudness of each clip in LUFS (ITU-R BS.1770), such as -23.")
OVER = Parameter(
    help="Neutral face (.npy, .obj) that the same vertices become displacements over; zero gives positions."
)
TEMPLATE = Parameter(help="Neutral face (.npy, .obj) that the same movement is given to.")
SCALE = Parameter(help="Factor on vertices and templates; the card's unit follows.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a view changes."""

    mirror: Annotated[bool, Parameter(negative=(), help="Exchange left and right.")] = False
    mirror_map: Annotated[Path | None, MAP] = None
    fps: Annotated[float | None, Parameter(help="Frames a second of the motion.")] = None
    loudness: Annotated[float | None, LOUDNESS] = None
    over: Annotated[Path | None, OVER] = None
    template: Annotated[Path | None, TEMPLATE] = None
    scale: Annotated[float | None, SCALE] = None


def view(
    source: Annotated[Path, Parameter(help="Dataset folder.")],
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="New folder for the view.")],
    changes: Changes | None = None,
) -> int:
    """Write a dataset mirrored, at another frame rate or loudness, over another neutral face or in another unit."""
    from unitalker.data.dataset import open_dataset
    from unitalker.data.views import View, make_view

    check_folder(source, output)
    dataset = open_dataset(source)
    with bar("Writing the view", len(dataset.clips)) as tell:
        made = make_view(
            dataset, output, View(**asdict(changes or Changes())), progress=lambda done, _: tell(done, ())
        )
    for note in made.notes:
        print(note, file=sys.stderr)
    print(output)
    return 0
