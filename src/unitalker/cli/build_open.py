"""`unitalker data build-open`: the open benchmark from public recordings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unitalker.cli.progress import bar

EXAMPLES = """Examples:
  unitalker data build-open sets/open --source recordings
  unitalker data build-open sets/open --source recordings \\
      --rig ict_narrowface.npz
  unitalker data build-open sets/open-small --source recordings --quick"""

SOURCE = Parameter(
    env_var="UNITALKER_OPEN_SOURCE",
    help="Folder with grid_s1/ and facegood/, the recordings that the benchmark is made of (docs/open.md).",
)
RIG = Parameter(
    help="Rig file (.npz, .glb) of the second mesh; default: the front skin of the built-in head."
)
VERTICES = Parameter(
    negative=(), help="Keep the meshes' vertices as datasets too, for heads without PCA: some 2.6 GB more."
)
QUICK = Parameter(negative=(), help="An eighth of all clips, to try things out; no figures to publish.")


def build_open(
    output: Annotated[Path, Parameter(help="Folder for the four datasets and their card.")],
    *,
    source: Annotated[Path, SOURCE],
    rig: Annotated[Path | None, RIG] = None,
    vertices: Annotated[bool, VERTICES] = False,
    quick: Annotated[bool, QUICK] = False,
) -> int:
    """Make the open benchmark: real speech in four annotations, with fixed splits and a card."""
    from unitalker.data.open_benchmark import TEXT, Options, build
    from unitalker.data.open_deal import SETS

    with bar("Building", 1.0) as tell:
        made = build(source, output, Options(rig, vertices, quick), lambda share, what: tell(share, (), what))
    if not made:
        print(f"{output} holds this benchmark already; nothing was changed.", file=sys.stderr)
    print(output / TEXT, file=sys.stderr)
    for name in SETS:
        print(output / name)
    return 0
