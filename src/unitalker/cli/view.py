"""`unitalker data view` and `data unify`: a dataset written again with something changed, or on another topology."""

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
  # mm to m, where the dataset has its own card
  unitalker data view sets/mine -o sets/mine-m --scale 0.001
  unitalker data view sets/mine -o sets/positions --over zero"""

UNIFY_EXAMPLES = """Examples:
  # registers the two neutral faces
  unitalker data unify sets/mine -o sets/mine-face
  # weights drive the built-in head
  unitalker data unify sets/grid -o sets/grid-face
  unitalker data unify sets/mine -o sets/mine-head --to head \\
      --correspondence mine-to-head.npz"""

TO = Parameter(help="Topology: face or head (built in), or an annotation card (.json) of vertices.")
FILE = Parameter(
    help="npz file of the correspondence: corners and weights (target vertices, 3), or index; else the neutral faces are "
    "registered and the new dataset has it as correspondence.npz."
)
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


def unify(
    source: Annotated[Path, Parameter(help="Dataset folder: vertices with a card, or weights.")],
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="New folder for the dataset.")],
    to: Annotated[str, TO] = "face",
    correspondence: Annotated[Path | None, FILE] = None,
) -> int:
    """Re-express a dataset on one topology: the preprocessing baseline of the paper's Tab. 4."""
    from unitalker.data.dataset import open_dataset
    from unitalker.data.unify import unify as run

    check_folder(source, output)
    dataset = open_dataset(source)
    with bar("Carrying over", len(dataset.clips)) as tell:
        made = run(dataset, output, to, correspondence, progress=lambda done, _: tell(done, ()))
    for note in made.notes:
        print(note, file=sys.stderr)
    print(output)
    return 0
