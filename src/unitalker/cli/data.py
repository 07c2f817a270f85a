"""`unitalker data`: datasets to train and measure on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from unitalker.cli.choices import check_folder
from unitalker.cli.corpus import CorpusChoices, imitate, import_published
from unitalker.cli.folder import KIND as ORDINARY
from unitalker.cli.folder import FolderChoices, check_unused, import_plain
from unitalker.cli.progress import bar
from unitalker.errors import ConfigError, DataError

SYNTHESIZE_EXAMPLES = """Examples:
  unitalker data synthesize --list
  unitalker data synthesize sets/
  unitalker data synthesize sets/ --only syn-d3 --seconds 3600 --seed 1
  # a small corpus in that layout, to try `data import` on
  unitalker data synthesize --like biwi made-up/biwi"""

IMPORT_EXAMPLES = """Examples:
  unitalker data import grid downloads/grid_s1 sets/grid
  unitalker data import facegood downloads/facegood sets/facegood
  unitalker data import biwi downloads/BIWI sets/biwi
  unitalker data import unitalker-v1 downloads/unitalker_data_release_V1 \\
      -o sets/release
  # FLAME's model, a file
  unitalker data import flame downloads/generic_model.pkl flame.npz
  # take1.wav with take1.npy, …
  unitalker data import folder my_takes sets/mine --fps 30 --unit mm
  unitalker data import folder live_link sets/anna --annotation arkit52"""

SHARD_EXAMPLES = """Examples:
  unitalker data shard sets/grid -o sets/grid-shards
  unitalker data shard sets/grid -o sets/grid-shards --clips 2000
  unitalker train --data sets/grid-shards -o runs/first"""

PCA_EXAMPLES = """Examples:
  unitalker data pca sets/faces -o sets/faces-pca
  # the same basis
  unitalker data pca sets/more -o sets/more-pca \\
      --card sets/faces-pca/annotations/faces.json
  unitalker train --data sets/faces-pca -o runs/first"""

OUT = Parameter(help="Folder to make the datasets in, one folder each.")
GOAL = Parameter(
    name=("--output", "-o"),
    help="Where the dataset goes: facegood and unitalker-v1 give several and make a folder for each in it, facegood116 and "
    "arkit52, D0 to D7; all others write it into this very folder.",
)
ONLY = Parameter(
    negative=(), show_default=False, help="Only these datasets; repeat it, or a,b. Default: all of them."
)
SECONDS = Parameter(help="Seconds of sound in each dataset; default: the dataset's own (see --list).")
SEED = Parameter(help="Another number, other people and other clips.")
LISTED = Parameter(name="--list", negative=(), show_default=False, help="List the datasets, and stop.")
KIND = Parameter(
    help="Which corpus: the name of an importer, such as biwi or grid (docs/datasets.md); or folder."
)
SOURCE = Parameter(
    help="Folder of the corpus; grid: grid_s1.npz and audio/*.flac; facegood: an .npz and a .flac a recording; "
    "folder: sounds and motions of the same stem, perhaps in audio/ and motion/ and in a folder for each subject."
)
LIKE = Parameter(
    help="Imitate a corpus instead: its exact layout with made-up people, small, for `data import`; needs no tts extra."
)


def synthesize(
    output: Annotated[Path | None, OUT] = None,
    *,
    only: Annotated[tuple[str, ...], ONLY] = (),
    seconds: Annotated[float | None, SECONDS] = None,
    seed: Annotated[int, SEED] = 0,
    listed: Annotated[bool, LISTED] = False,
    like: Annotated[str | None, LIKE] = None,
) -> int:
    """Make datasets of synthetic speech and song, with faces that move to them (needs the tts extra)."""
    from unitalker.data.synthesize import TWINS
    from unitalker.data.synthesize import synthesize as run

    if listed:
        for name, twin in TWINS.items():
            about = f"{twin.annotation}, {twin.fps:g} fps, {twin.subjects} subjects, {twin.kind}"
            print(f"{name:<24} {about}, {twin.seconds:g} s")
        return 0
    if like is not None and only:
        raise ConfigError("--only is for the datasets of --list; --like makes one corpus.")
    if output is not None and like is not None:
        return imitate(like, output, seconds, seed)
    if output is None:
        raise ConfigError("Say where the datasets go, for example: unitalker data synthesize sets/.")
    if output.exists() and not output.is_dir():
        raise DataError(f"{output} is a file; give a folder to make the datasets in.")
    names = [part.strip() for text in only for part in text.split(",") if part.strip()] or list(TWINS)
    with bar("Synthesizing", len(names)) as tell:

        def progress(name: str, share: float) -> None:
            if name in names:
                tell(names.index(name) + share, ())

        for folder in run(output, kinds=names, seconds=seconds, seed=seed, progress=progress):
            print(folder)
    return 0


def import_corpus(
    kind: Annotated[str, KIND],
    source: Annotated[Path, SOURCE],
    output: Annotated[Path, GOAL],
    *,
    choices: FolderChoices | None = None,
    corpus: CorpusChoices | None = None,
) -> int:
    """Convert a corpus as published, or an ordinary folder of sound and motion, into dataset folders."""
    from unitalker.data.importers import known_kind

    if not known_kind(kind).file:
        check_folder(source, output)
    folder = choices or FolderChoices()
    if kind == ORDINARY:
        return import_plain(source, output, folder)
    check_unused(kind, folder)
    return import_published(kind, source, output, corpus or CorpusChoices(), folder.fps)


def shard(
    source: Annotated[Path, Parameter(help="Dataset folder to copy.")],
    *,
    output: Annotated[
        Path, Parameter(name=("--output", "-o"), help="New folder for the same dataset in shards.")
    ],
    clips: Annotated[int, Parameter(help="Clips in a shard.")] = 500,
) -> int:
    """Copy a dataset into a few large tar files, which storage reads faster than many small ones; train reads both."""
    from unitalker.data.dataset import open_dataset
    from unitalker.data.shards import write_shards

    check_folder(source, output)
    dataset = open_dataset(source)
    with bar("Writing shards", len(dataset.clips)) as tell:
        print(write_shards(dataset, output, clips, tell=lambda _, done: tell(done, ())))
    return 0


def pca(
    source: Annotated[Path, Parameter(help="Dataset folder whose motion is vertices.")],
    *,
    output: Annotated[
        Path, Parameter(name=("--output", "-o"), help="New folder for the same dataset as codes of a basis.")
    ],
    components: Annotated[int, Parameter(help="Numbers a frame, at most.")] = 512,
    centre: Annotated[
        Literal["mean", "rest"],
        Parameter(help="What the basis is about: the mean frame, or the resting face."),
    ] = "mean",
    card: Annotated[
        Path | None, Parameter(help="Annotation card (.json) whose basis to use instead.")
    ] = None,
    buffer: Annotated[float, Parameter(help="Megabytes of motion to hold at a time.")] = 256.0,
    seed: Annotated[int, Parameter(help="Seed of the random mixtures that the fit begins with.")] = 0,
) -> int:
    """Turn a dataset of vertices into one of PCA codes, fitted on its training split, with a card of its own."""
    from unitalker.data.dataset import open_dataset
    from unitalker.data.pca import encode_dataset

    check_folder(source, output)
    if components < 1:
        raise ConfigError(f"--components must be 1 or more, not {components}.")
    if not buffer > 0:
        raise ConfigError(f"--buffer must be above 0, not {buffer:g}.")
    if seed < 0:
        raise ConfigError(f"--seed must not be negative, as {seed} is.")
    options = {"centre": centre, "card": card, "buffer": buffer, "seed": seed}
    with bar("Fitting and writing", 1.0) as tell:
        made = encode_dataset(
            open_dataset(source), output, components, progress=lambda share: tell(share, ()), **options
        )
    for split, held in made.held.items():
        print(
            f"{split}: {made.annotation.head_dim} codes hold {held.share:.4%} of the motion", file=sys.stderr
        )
    print(output)
    return 0
