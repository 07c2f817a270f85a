"""`unitalker data import` of published corpora and `data synthesize --like`: flags, what was found, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unitalker.cli.progress import bar
from unitalker.errors import ConfigError

if TYPE_CHECKING:
    from unitalker.data.importers.corpus import Imported

PARTIAL = 1
"""Exit code when something was left out because it is broken."""
REGIONS = Parameter(
    help="Folder with the numbers of the lip and upper-face vertices, lve.txt and fdd.txt (or lips.txt and "
    "upper_face.txt); for corpora whose own folder lacks them. For unitalker-v1: the release's resources folder."
)
SPLIT = Parameter(help="How to split a corpus that is split in several published ways; see docs/datasets.md.")
PREPARATION = Parameter(
    help="For unitalker-v1: `release` prepares sequences as the published code does (25 or 30 frames a second, cut to 20 s, "
    "none under 0.5 s). Default: as they are stored."
)
NEUTRAL = Parameter(
    help="For mediapipe: take each clip's resting face, the median of its silent frames, away from its weights. Default: as "
    "tracked."
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CorpusChoices:
    """What a user decides about a published corpus."""

    regions: Annotated[Path | None, REGIONS] = None
    split: Annotated[str | None, SPLIT] = None
    preparation: Annotated[str | None, PREPARATION] = None
    neutral: Annotated[bool | None, NEUTRAL] = None


def import_published(kind: str, source: Path, output: Path, choices: CorpusChoices, fps: float | None) -> int:
    """Import with a bar, and tell what became of it. Gives the exit code."""
    from unitalker.data.importers import import_corpus
    from unitalker.data.importers.corpus import Options

    options = Options(choices.regions, choices.split, fps, choices.preparation, choices.neutral)
    with bar("Importing", 1.0) as tell:
        made = import_corpus(kind, source, output, options, lambda done, total: tell(done / total, ()))
    return report(made)


def report(made: Sequence[Imported]) -> int:
    """Every note and problem on stderr, the folders on stdout. Gives 1 where something is broken, else 0."""
    for one in made:
        for sentence in (*one.notes, *one.problems):
            print(sentence, file=sys.stderr)
    broken = sum(len(one.problems) for one in made)
    if broken:
        print(f"Partly imported: {broken} left out, named above and in dataset.json.", file=sys.stderr)
    for one in made:
        print(one.folder)
    return PARTIAL if broken else 0


def imitate(kind: str, output: Path, seconds: float | None, seed: int) -> int:
    """Write a small corpus in the layout of a kind, with made-up people."""
    from unitalker.data.likes import SECONDS, Size, import_command, make_like

    if seconds is not None and not SECONDS[0] <= seconds <= SECONDS[1]:
        raise ConfigError(
            f"--seconds must lie between {SECONDS[0]:g} and {SECONDS[1]:g} with --like, not be {seconds:g}."
        )
    if seed < 0:
        raise ConfigError(f"--seed must not be negative, as {seed} is.")
    size = Size(seed=seed) if seconds is None else Size(seconds=seconds, seed=seed)
    print(make_like(kind, output, size))
    print(f"Now import it: {import_command(kind, output)}", file=sys.stderr)
    return 0
