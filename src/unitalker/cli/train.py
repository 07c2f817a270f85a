"""`unitalker train`: dataset folders in, a run folder with a model out; stopped runs go on where they left off."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from unitalker.cli.progress import bar, say
from unitalker.cli.recipe import RecipeChoices
from unitalker.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from unitalker.config import RecipeConfig, TrainConfig

EXAMPLES = """Examples:
  unitalker train --data sets/grid --data sets/synthetic:2 -o runs/first
  unitalker train recipe.yaml -o runs/second --set lr=5e-4 \\
      --set augment.noise=0.3
  # goes on after a stop
  unitalker train -o runs/second
  unitalker train --preset unitalker-b --data sets/a --data sets/b \\
      -o runs/paper
  # an annotation that mini knows
  unitalker train --finetune mini --data sets/anna -o runs/anna
  # one that no model knows
  unitalker train --new-head mine --data my_takes --fps 30 -o runs/mine
  unitalker animate speech.wav --model runs/second/model -o face.glb"""

STOPPED = 3
"""Exit code of a run that SIGINT or SIGTERM stopped before its end, its state saved."""
CONFIG = Parameter(help="YAML or JSON file of settings; `--settings` lists them all.")
OUTPUT = Parameter(
    name=("--output", "-o"),
    help="Run folder: train.json (settings), metrics.jsonl (losses), checkpoint.pt and phones.json (to go on "
    "with), model/ (the model, for --model), best/ (the same, best on validation clips), table.md (before and after).",
)
DATA = Parameter(
    negative=(),
    show_default=False,
    help="Dataset folder to train on, perhaps with its share: sets/a:2. Repeat it for several; it replaces the "
    "file's sources. With --new-head also an ordinary folder of sound and motion.",
)
SET = Parameter(
    name="--set",
    negative=(),
    show_default=False,
    help="One setting, key=value; dots reach inside. steps=… takes the place of a recipe's epochs, and epochs=… of steps.",
)
START = Parameter(help="Begin with the weights of this other run, where names and shapes agree.")
MINUTES = Parameter(help="Stop after so many minutes; the same command goes on later.")
LISTED = Parameter(negative=(), show_default=False, help="List all settings with their defaults, and stop.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunChoices:
    """How a run is done."""

    start: Annotated[Path | None, START] = None
    workers: Annotated[int, Parameter(help="Processes that prepare batches.")] = 1
    minutes: Annotated[float | None, MINUTES] = None


def train(
    config: Annotated[Path | None, CONFIG] = None,
    *,
    output: Annotated[Path | None, OUTPUT] = None,
    data: Annotated[tuple[str, ...], DATA] = (),
    change: Annotated[tuple[str, ...], SET] = (),
    how: RunChoices | None = None,
    recipe: RecipeChoices | None = None,
    settings: Annotated[bool, LISTED] = False,
) -> int:
    """Train a model on dataset folders, fine-tune one, teach one a new annotation, or go on with a run.

    Exit code: 0 done (or --minutes are over), 2 refused, 3 stopped by Ctrl-C or SIGTERM with its state saved.
    """
    from unitalker.config import TrainConfig

    if settings:
        print("\n".join(settings_text(TrainConfig)))
        return 0
    if output is None:
        raise ConfigError("Say where the run goes, for example -o runs/first.")
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output} is a file; give a folder for the run.")
    how, picked = how or RunChoices(), recipe or RecipeChoices()
    if how.start is not None and picked.finetune is not None:
        raise ConfigError("--start and --finetune both say what to begin with; give one of them.")
    asked, chosen = planned(picked, config, output, data, change)
    return _run(asked, chosen, output, how)


def planned(
    picked: RecipeChoices, file: Path | None, run: Path, data: Sequence[str], changes: Sequence[str]
) -> tuple[RecipeConfig, TrainConfig]:
    """Recipe and settings of a run; a new annotation's data is made ready. Raises ConfigError and what data raises."""
    from unitalker.training import recipes

    asked = picked.recipe()
    recipe = recipes.recalled(asked, run)
    base = picked.changes()
    if recipe.model_fields_set and not (run / "train.json").is_file():
        base = _begun(recipe, picked, file, run, data) | base
    given = () if recipe.new_head else data
    return recipe, run_settings(file, run, given, changes, base)


def _begun(
    recipe: RecipeConfig, picked: RecipeChoices, file: Path | None, run: Path, data: Sequence[str]
) -> dict[str, Any]:
    """The settings that a new run's recipe stands for, with its sources."""
    from unitalker.data.dataset import open_dataset
    from unitalker.training import recipes

    recipes.check(recipe)
    if not data and file is None:
        raise ConfigError("Give datasets with --data, or a settings file with sources.")
    sources = [_source(text) for text in data] or (_read(file).get("sources", []) if file else [])
    if recipe.new_head:
        if len(sources) != 1:
            raise ConfigError(
                "--new-head learns from one --data: a dataset, or a folder of sound and motion."
            )
        made = recipes.prepare(recipe, Path(sources[0]["path"]), run, picked.folder(), say=say)
        sources = [sources[0] | {"path": str(made)}]
    datasets = [open_dataset(source["path"]) for source in sources]
    return recipes.settings(recipe, datasets) | {"sources": sources}


def run_settings(
    file: Path | None,
    run: Path,
    data: Sequence[str],
    changes: Sequence[str],
    base: Mapping[str, Any] | None = None,
) -> TrainConfig:
    """The settings of a file, or of the run itself, over those of a recipe (base), with --data and --set on top.

    Raises ConfigError.
    """
    from unitalker.config import TrainConfig, give_way

    saved = run / "train.json"
    tree = dict(base or {})
    if file is None and not data and not saved.is_file() and "sources" not in tree:
        raise ConfigError(
            "Give datasets with --data, or a settings file; there is no run to go on with here."
        )
    origin = file or (saved if saved.is_file() else None)
    if origin is not None:
        tree = _read(origin) | tree if saved.is_file() else tree | _read(origin)
    if data:
        tree["sources"] = [_source(text) for text in data]
    asked = changed(changes)
    if base is not None and not saved.is_file():
        tree = give_way(tree, set(asked) | set(_read(file) if file else ()))
    for text in changes:
        _change(tree, text)
    return TrainConfig.parse(tree, str(origin or ""))


def _read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML or JSON file. Raises ConfigError for anything else."""
    import yaml

    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is not a readable YAML or JSON file: {error}.") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold settings as key: value, not {type(tree).__name__}.")
    return tree


def _source(text: str) -> dict[str, Any]:
    """`sets/a:2` → path and share."""
    path, colon, share = text.rpartition(":")
    try:
        return {"path": path, "share": float(share)} if colon and not Path(text).exists() else {"path": text}
    except ValueError:
        return {"path": text}


def _change(tree: dict[str, Any], text: str) -> None:
    """Puts the value of `a.b=value` into the tree. Raises ConfigError for a text without "=" or a broken value."""
    import yaml

    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set takes key=value, such as lr=5e-4, not {text!r}.")
    *outer, last = key.strip().split(".")
    for name in outer:
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {text}: {name!r} holds no settings of its own.")
        tree = inner
    try:
        tree[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text}: {value!r} is not a value; quote it if it is text.") from None


def changed(texts: Sequence[str]) -> dict[str, Any]:
    """The settings of --set texts alone. Raises ConfigError as they do."""
    tree: dict[str, Any] = {}
    for text in texts:
        _change(tree, text)
    return tree


def settings_text(kind: type[BaseModel], prefix: str = "") -> list[str]:
    """One line a setting: key, default, what it does; settings inside settings with their dots."""
    from pydantic import BaseModel

    lines = []
    for name, field in kind.model_fields.items():
        if isinstance(field.default, BaseModel):
            lines += settings_text(type(field.default), f"{prefix}{name}.")
            continue
        default = "required" if field.is_required() else field.default
        lines.append(f"{prefix + name:<24} {default!s:<14} {field.description or ''}".rstrip())
    return lines


def _run(recipe: RecipeConfig, config: TrainConfig, folder: Path, how: RunChoices) -> int:
    """Opens the run, trains with a bar, prints the table of what it changed, and says how to use the model.

    Gives the exit code: STOPPED where a signal ended it early.
    """
    from unitalker.training import recipes
    from unitalker.training.afterwards import next_command
    from unitalker.training.session import check_workers

    until = float("inf") if how.minutes is None else time.time() + 60 * how.minutes
    count = check_workers(how.workers)
    trainer = recipes.open_recipe(recipe, config, folder, start=how.start, say=say)
    with bar("Training", trainer.steps, show=trainer.processes.chief) as tell:

        def report(step: int, figures: dict[str, float]) -> None:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            last = step == trainer.steps or time.time() > until
            tell(step, [f"step {step}: {shown}"] if shown and (step % 500 == 0 or last) else [], shown)

        trainer.run(report, workers=count, until=until)
    code = STOPPED if trainer.asked and not trainer.ended else 0
    if not trainer.processes.chief:
        return code
    say(f"{folder / 'model'}: step {trainer.step} of {trainer.steps}")
    if trainer.ended:
        print(recipes.before_and_after(recipe, [source.path for source in config.sources], folder, say))
        say(next_command(folder))
    return code
