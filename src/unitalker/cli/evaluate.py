"""`unitalker evaluate`: figures of a model on a dataset, or of any tool's predictions by a named protocol."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unitalker.cli.progress import bar
from unitalker.cli.run import load_rig
from unitalker.errors import ConfigError, DataError

if TYPE_CHECKING:
    from unitalker.data.dataset import Dataset
    from unitalker.evaluation.predictions import Source
    from unitalker.evaluation.protocols.result import Result

EXAMPLES = """Examples:
  unitalker evaluate mini sets/grid --split val
  unitalker evaluate --list
  unitalker evaluate runs/first/model --protocol biwi-testA \\
      --data sets/biwi --json figures.json --csv sequences.csv
  unitalker evaluate mini --protocol open --data sets/mine \\
      --report report.html
  unitalker evaluate runs/all/model --protocol a2f-bench --data sets/biwi \\
      --data sets/vocaset
  unitalker evaluate --predictions their/result --protocol biwi-testA \\
      --data sets/biwi"""

PARTIAL = 1
"""Exit code when sequences were left out because they are missing or broken."""
SUFFIXES = {"json": ".json", "csv": ".csv", "maps": ".npz", "report": ".html"}
"""Flag → the only suffix that its file may have."""
OLD = ("split", "rig", "output")
SPLIT = Parameter(help="Without --protocol: which part of the dataset, train, val or test. Default: val.")
WHO = Parameter(
    help="Identity to predict as: pivot, own (or subject) for each clip's, training for every training subject, or a name. "
    "Default: the protocol's; without one the pivot."
)
OUT = Parameter(name=("--output", "-o"), help="Without --protocol: write the figures to this .json file too.")
RIG = Parameter(
    help="Without --protocol: rig that lip distances are measured on; default: the built-in head."
)
PROTOCOL = Parameter(help="Named way to evaluate; --list tells them (docs/evaluation.md).")
DATA = Parameter(
    negative=(), show_default=False, help="Dataset folder, or a folder of them; repeat it for several."
)
PREDICTIONS = Parameter(
    help="Folder of another tool's motion, <subject>_<sentence>_condition_<subject>.npy: absolute vertices (T, 3V) or "
    "(T, V, 3) in the corpus's own unit. Takes the place of the model."
)
REGIONS = Parameter(
    help="Folder with lve.txt and fdd.txt (or lips.txt and upper_face.txt) in place of the dataset's."
)
FLAME = Parameter(help="File of your FLAME model, for datasets of FLAME numbers that bring none.")
JSON = Parameter(
    name="--json", help="Write every figure with unit, mask hash, counts and interval to this file."
)
CSV = Parameter(name="--csv", help="Write the figures of every sequence to this file.")
MAPS = Parameter(name="--maps", help="Write velocity and error maps, a number a vertex, to this .npz file.")
REPORT = Parameter(
    help="Write a page of figures, maps, curves and sequences to this .html file, which needs no other (plots extra)."
)
LIPS = Parameter(
    negative=(),
    show_default=False,
    help="Measures of the lips alone (LVE and its kin): no whole mesh is made, faster.",
)
SEED = Parameter(help="Another number, other resamples for the intervals.")
LIST = Parameter(name="--list", negative=(), show_default=False, help="List the protocols, and stop.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The flags of `evaluate`."""

    protocol: Annotated[str | None, PROTOCOL] = None
    data: Annotated[tuple[Path, ...], DATA] = ()
    predictions: Annotated[Path | None, PREDICTIONS] = None
    identity: Annotated[str | None, WHO] = None
    regions: Annotated[Path | None, REGIONS] = None
    flame: Annotated[Path | None, FLAME] = None
    json: Annotated[Path | None, JSON] = None
    csv: Annotated[Path | None, CSV] = None
    maps: Annotated[Path | None, MAPS] = None
    report: Annotated[Path | None, REPORT] = None
    lips: Annotated[bool, LIPS] = False
    seed: Annotated[int, SEED] = 0
    split: Annotated[str | None, SPLIT] = None
    rig: Annotated[str | None, RIG] = None
    output: Annotated[Path | None, OUT] = None
    listed: Annotated[bool, LIST] = False


def evaluate(
    model: Annotated[str | None, Parameter(help="Name of an installed model, or a model folder.")] = None,
    dataset: Annotated[
        Path | None, Parameter(help="Folder with dataset.json; with --protocol the same as --data.")
    ] = None,
    *,
    wishes: Wishes | None = None,
) -> int:
    """Compare predicted with captured motion: a model on a dataset, or a model or any tool's files by a protocol."""
    wishes = wishes or Wishes()
    if wishes.listed:
        _list()
        return 0
    if wishes.protocol is None:
        return _plain(model, dataset, wishes)
    given = [name for name in OLD if getattr(wishes, name) is not None]
    if given:
        raise ConfigError(f"--{given[0]} has no use with --protocol, which says it itself; leave it out.")
    folders = (*((dataset,) if dataset is not None else ()), *wishes.data)
    if not folders:
        raise ConfigError(
            f"The protocol {wishes.protocol} needs a dataset: --data FOLDER (`unitalker data import`)."
        )
    return _by_protocol(model, folders, wishes)


def _list() -> None:
    from unitalker.evaluation.protocols import PROTOCOLS

    for name, protocol in PROTOCOLS.items():
        print(f"{name:<28} {protocol.about} ({protocol.source})")


def _plain(model: str | None, dataset: Path | None, wishes: Wishes) -> int:
    """A model on one dataset: the report of docs/measurements.md."""
    from unitalker.animation.animator import load
    from unitalker.evaluation.report import evaluate as measure
    from unitalker.files import atomic, check_writable

    for name in ("predictions", "regions", "flame", "json", "csv", "maps", "report", "lips", "seed"):
        if getattr(wishes, name) not in (None, False, 0):
            instead = " (without one, -o FILE.json writes the figures)" if name == "json" else ""
            raise ConfigError(f"--{name} needs --protocol{instead}; `unitalker evaluate --list` tells them.")
    dataset = dataset or next(iter(wishes.data), None)
    if model is None or dataset is None:
        raise ConfigError("Say what to evaluate: a model and a dataset folder, or --protocol with --data.")
    if wishes.output is not None:
        check_writable(wishes.output)
    head = load_rig(wishes.rig) if wishes.rig else None
    who = {"own": "subject", None: "pivot"}.get(wishes.identity, wishes.identity)
    with bar("Animating", 1.0) as tell:

        def step(done: int, total: int) -> None:
            tell(done / total, ())

        report = measure(
            load(model), dataset, split=wishes.split or "val", rig=head, identity=who, progress=step
        )
    print(report.table())
    if wishes.output is not None:
        with atomic(wishes.output) as draft:
            draft.write_text(report.to_json() + "\n", encoding="utf-8")
    return 0


def _by_protocol(model: str | None, folders: tuple[Path, ...], wishes: Wishes) -> int:
    from unitalker.data.dataset import dataset_folders, open_dataset
    from unitalker.evaluation.protocols import find_protocol
    from unitalker.evaluation.protocols.run import Options, run
    from unitalker.files import check_writable

    protocol = find_protocol(wishes.protocol or "")
    if wishes.lips and wishes.maps is not None:
        raise ConfigError("--maps are of whole meshes, which --lips does not make; leave one of them out.")
    for path in (wishes.json, wishes.csv, wishes.maps, wishes.report):
        if path is not None:
            check_writable(path)
    if wishes.report is not None:
        from unitalker.evaluation.pages.build import check_ready

        check_ready()
    for name in SUFFIXES:
        path: Path | None = getattr(wishes, name)
        if path is not None and path.suffix.lower() != SUFFIXES[name]:
            raise ConfigError(f"--{name} writes a {SUFFIXES[name]} file, not {path.name!r}.")
    if wishes.regions is not None and not wishes.regions.is_dir():
        raise DataError(f"There is no folder {wishes.regions} of region lists.")
    datasets: list[Dataset] = [open_dataset(folder) for folder in dataset_folders(folders)]
    source = _source(model, wishes)
    who = "own" if wishes.identity == "subject" else wishes.identity
    with bar("Measuring", 1.0) as tell:
        result = run(
            protocol,
            datasets,
            source,
            Options(wishes.regions, wishes.flame, who, wishes.seed, wishes.lips, wishes.report is not None),
            lambda done, total: tell(done / total, ()),
        )
    print(result.text())
    _write(result, wishes)
    if result.problems:
        print(f"Partly measured: {len(result.problems)} left out, named above.", file=sys.stderr)
    return PARTIAL if result.problems else 0


def _source(model: str | None, wishes: Wishes) -> Source:
    """What predicts. Raises ConfigError for none, or two."""
    from unitalker.evaluation.predictions import FromFolder, FromModel

    if (model is None) == (wishes.predictions is None):
        raise ConfigError("Give either a model or --predictions FOLDER, and the dataset with --data.")
    if wishes.predictions is not None:
        return FromFolder(wishes.predictions)
    from unitalker.animation.animator import load

    animator = load(model or "")
    return FromModel(animator, animator.bundle.name, model_sha256=animator.bundle.digest)


def _write(result: Result, wishes: Wishes) -> None:
    from unitalker.files import atomic

    for path, text in ((wishes.json, result.to_json), (wishes.csv, result.to_csv)):
        if path is not None:
            with atomic(path) as draft:
                draft.write_text(text().rstrip("\n") + "\n", encoding="utf-8")
    if wishes.maps is not None:
        import numpy as np

        arrays = {
            f"{part.name}/{name}": values for part in result.parts for name, values in part.maps.items()
        }
        with atomic(wishes.maps) as draft, draft.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    if wishes.report is not None:
        from unitalker.evaluation.pages.build import write_page

        write_page(result, wishes.report)
