"""`unitalker data doctor`: what is wrong with a dataset, and a curated copy of it."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unitalker.cli.progress import bar
from unitalker.errors import ConfigError, DataError

if TYPE_CHECKING:
    from unitalker.data.dataset import Clip, Dataset
    from unitalker.data.importers.expected import Expected
    from unitalker.evaluation.doctor.report import Report

EXAMPLES = """Examples:
  unitalker data doctor sets/anna
  unitalker data doctor sets/anna --json anna.json --plots anna-plots
  # late clips shifted, broken ones left out; why: decisions.json
  unitalker data doctor sets/anna --write sets/anna-curated
  unitalker data doctor sets/vocaset --against vocaset"""

JSON = Parameter(name="--json", help="Write every number of every clip to this .json file.")
PLOTS = Parameter(help="Folder for pictures: all offsets, and face against sound of the worst clips.")
WRITE = Parameter(
    help="New folder for a curated copy: late or early clips put right, broken ones left out, every decision with its "
    "reason in decisions.json. The dataset itself is not touched."
)
AGAINST = Parameter(
    help="Count against the published numbers of this corpus (an importer's name); default: the one that the dataset "
    "was imported from."
)
TOLERANCE = Parameter(help="Milliseconds of offset that are in time.")
SEARCH = Parameter(help="Offsets looked for, ± milliseconds.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The flags of `data doctor`."""

    json: Annotated[Path | None, JSON] = None
    plots: Annotated[Path | None, PLOTS] = None
    write: Annotated[Path | None, WRITE] = None
    split: Annotated[str | None, Parameter(help="Only the clips of this split.")] = None
    against: Annotated[str | None, AGAINST] = None
    model: Annotated[str, Parameter(help="Model that says what the sound suggests.")] = "mini"
    tolerance: Annotated[float, TOLERANCE] = 45.0
    search: Annotated[float, SEARCH] = 600.0


def doctor(
    dataset: Annotated[Path, Parameter(help="Folder with dataset.json.")], *, wishes: Wishes | None = None
) -> int:
    """Examine a dataset clip by clip: offsets of face against sound, broken files, faults of frames, sound and scale."""
    from unitalker.data.dataset import open_dataset

    wishes = wishes or Wishes()
    _check(wishes)
    opened = open_dataset(dataset, strict=False)
    report = _examined(opened, None if wishes.split is None else opened.split(wishes.split), wishes)
    print(report.text())
    _write(report, wishes)
    told = {f.kind for found in report.seen.findings for f in found}
    return 1 if told & {"missing", "unreadable", "not finite"} else 0


def _check(wishes: Wishes) -> None:
    """Raises what can be known to be wrong before any clip is read."""
    from unitalker.data.importers import known_kind
    from unitalker.files import check_writable

    if not (math.isfinite(wishes.tolerance) and wishes.tolerance > 0):
        raise ConfigError(f"--tolerance must be milliseconds above 0, not {wishes.tolerance:g}.")
    if not 100 <= wishes.search <= 5000:
        raise ConfigError(f"--search must lie between 100 and 5000 milliseconds, not be {wishes.search:g}.")
    if wishes.against is not None:
        known_kind(wishes.against)
    if wishes.json is not None:
        check_writable(wishes.json)
    if wishes.plots is not None and wishes.plots.exists() and not wishes.plots.is_dir():
        raise DataError(f"{wishes.plots} is a file; give a folder for the plots.")


def _examined(dataset: Dataset, clips: list[Clip] | None, wishes: Wishes) -> Report:
    """Read and measure, with a bar."""
    from unitalker.animation.animator import load
    from unitalker.evaluation.doctor.counts import absent, count
    from unitalker.evaluation.doctor.curate import check_new
    from unitalker.evaluation.doctor.examine import examine
    from unitalker.evaluation.doctor.findings import Limits
    from unitalker.evaluation.doctor.predictor import Heard
    from unitalker.evaluation.doctor.report import Report

    if wishes.write is not None:
        check_new(dataset, wishes.write)
    heard, limits = Heard(load(wishes.model)), Limits(tolerance_ms=wishes.tolerance)
    total = len(dataset.clips if clips is None else clips)
    with bar("Examining", total) as tell:
        seen = examine(
            dataset, heard, clips=clips, search_s=wishes.search / 1000, limits=limits,
            progress=lambda done, _: tell(done, ()),
        )  # fmt: skip
    table = None if clips is not None else _published(dataset, wishes.against)
    if table is None:
        return Report(seen)
    return Report(seen, tuple(count(dataset, table)), tuple(absent(dataset, table)))


def _published(dataset: Dataset, kind: str | None) -> Expected | None:
    """The published table of a corpus, None where there is none or the dataset is no corpus's."""
    from unitalker.data.importers import IMPORTERS, expected

    told = kind or dataset.extra.get("corpus")
    return expected(told, dataset.name) if told in IMPORTERS else None


def _write(report: Report, wishes: Wishes) -> None:
    from unitalker.files import atomic

    if wishes.json is not None:
        with atomic(wishes.json) as draft:
            draft.write_text(report.to_json() + "\n", encoding="utf-8")
    if wishes.plots is not None:
        from unitalker.evaluation.doctor.plots import draw

        print(f"{len(draw(report.seen, wishes.plots))} pictures in {wishes.plots}", file=sys.stderr)
    if wishes.write is not None:
        from unitalker.evaluation.doctor.curate import curate

        with bar("Writing", len(report.seen.sequences)) as tell:
            print(curate(report.seen, wishes.write, progress=lambda done, _: tell(done, ())))
