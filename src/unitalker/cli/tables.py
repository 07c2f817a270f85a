"""`unitalker bench table2 … fig6, all`: the paper's tables and figures."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unitalker.cli.bench import SET
from unitalker.cli.evaluate import PARTIAL
from unitalker.cli.progress import bar, say
from unitalker.cli.train import STOPPED, changed
from unitalker.errors import ConfigError

if TYPE_CHECKING:
    from unitalker.training.paper.scales import Scale

EXAMPLES = """Examples:
  unitalker bench table5 --quick -o bench/
  unitalker bench all --quick -o bench/
  unitalker bench table2 --data sets/biwi --data sets/vocaset -o bench/
  unitalker bench table5 --data sets/ --seeds 0,1,2 -o bench/
  unitalker bench table7 --data open/ --set epochs=20 -o bench/"""
EVERY = "all"
NAMES: dict[str, str] = {
    "table2": "UniTalker and four published models on D0 and D1: errors, parameters, seconds.",
    "table3": "The user study's pages, and what the answers say.",
    "table4": "One model of many heads against data brought to one topology, with more and more datasets.",
    "table5": "Models of one dataset, of all, and fine-tuned on each.",
    "table6": "Four audio encoders.",
    "table7": "Two motion decoders, TCN and transformer.",
    "table8": "One sentence of a subject to learn from.",
    "table9": "Two places of the frequency adaptor.",
    "table10": "FaceFormer with and without autoregression: error and time.",
    "table11": "Hard datasets, in training and not, animated as the pivot.",
    "fig4": "Data efficiency on an unseen annotation, and identities of other annotations.",
    "fig5": "With and without PCA and warm-up, by the decoder's channels.",
    "fig6": "Velocities and errors on the head.",
    EVERY: "All tables and figures; runs that several ask for are trained once.",
}
"""Command → its help."""

DATA = Parameter(
    negative=(),
    show_default=False,
    help="Dataset folder, or a folder of them; repeat it for several. Without: synthetic twins of the paper's eight.",
)
OUTPUT = Parameter(
    name=("--output", "-o"),
    help="Folder for runs, figures and reports. What is there is not made again, and serves other tables too.",
)
SEEDS = Parameter(help="Seeds between commas; every figure is the mean over their runs.")
SCALE = Parameter(
    show_default=False, help="full (default): the paper's sizes; quick: minutes on two cores, says nothing."
)
QUICK = Parameter(negative=(), show_default=False, help="The same as --scale quick.")
SETS = Parameter(show_default=False, help="Datasets to measure on, between commas, such as D0,D1.")
FLAME = Parameter(show_default=False, help="File of your FLAME model, for datasets of FLAME numbers.")
AUDIO = Parameter(show_default=False, help="table3: folder of sounds; default: test clips.")
ANSWERS = Parameter(negative=(), show_default=False, help="table3: a file of answers; repeat it for several.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Choices:
    """The flags of every table."""

    output: Annotated[Path, OUTPUT] = Path("bench")
    data: Annotated[tuple[Path, ...], DATA] = ()
    seeds: Annotated[str, SEEDS] = "0"
    scale: Annotated[str | None, SCALE] = None
    quick: Annotated[bool, QUICK] = False
    sets: Annotated[str, SETS] = ""
    change: Annotated[tuple[str, ...], SET] = ()
    flame: Annotated[Path | None, FLAME] = None
    audio: Annotated[Path | None, AUDIO] = None
    answers: Annotated[tuple[Path, ...], ANSWERS] = ()


USUAL = Choices()


def command(name: str) -> Callable[..., int]:
    """What carries the command of that name out."""

    def made(*, choices: Choices = USUAL) -> int:
        return carry_out(name, choices)

    made.__name__, made.__doc__ = name, NAMES[name]
    return made


def carry_out(name: str, choices: Choices) -> int:
    """Make a table, or all. Gives 0, 1 where some of all could not be made, or 3 where Ctrl-C or SIGTERM stopped it: the same command goes on."""
    scale, seeds = _scale(choices), _seeds(choices.seeds)
    if choices.output.exists() and not choices.output.is_dir():
        raise ConfigError(f"{choices.output} is a file; give a folder for the bench.")
    from unitalker.training.paper import bench
    from unitalker.training.paper.lab import Wishes
    from unitalker.training.paper.progress import Progress

    chosen = bench.TABLES if name == EVERY else {name: bench.TABLES[name]}
    columns = tuple(part.strip() for part in choices.sets.split(",") if part.strip())
    wishes = Wishes(columns, choices.flame, choices.audio, choices.answers)
    choices.output.mkdir(parents=True, exist_ok=True)
    try:
        with bench.alone(choices.output), bar("Bench", 1.0) as tell:
            progress = Progress(tell)
            lab = bench.open_lab(choices.data, choices.output, scale, seeds, progress, wishes)
            written = bench.carry_out(lab, chosen)
    except KeyboardInterrupt:
        say(f"Stopped; what is done stays in {choices.output}, and the same command goes on.")
        return STOPPED
    for page in written:
        print(page.read_text(encoding="utf-8") if name != EVERY else os.fspath(page))
    return PARTIAL if lab.failed else 0


def _scale(choices: Choices) -> Scale:
    """The sizes that are asked for, with the settings of --set."""
    from unitalker.training.paper.scales import find_scale

    if choices.quick and choices.scale not in (None, "quick"):
        raise ConfigError(f"--quick is --scale quick; --scale {choices.scale} says another one.")
    scale = find_scale("quick" if choices.quick else choices.scale or "full")
    changes = changed(choices.change)
    return replace(scale, changes=changes | ({"flame": str(choices.flame)} if choices.flame else {}))


def _seeds(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdigit() for part in parts) or len(set(parts)) < len(parts):
        raise ConfigError(
            f"--seeds takes different whole numbers between commas, such as 0,1,2, not {text!r}."
        )
    return tuple(int(part) for part in parts)
