"""Recipes: the settings, the data and the first weights of a run from a short command.

Training from a preset; fine-tuning on annotations that a model knows (the paper's Tab. 5); annotation transfer to one
that it does not know (section 4.6: the encoder stays, decoder and heads begin anew), from a dataset or from an ordinary
folder of sound and motion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unitalker.animation.animator import Animator
from unitalker.annotations.cards import load_card
from unitalker.config import RecipeConfig, TrainConfig, UniTalkerConfig
from unitalker.data.dataset import ANY, Dataset, open_dataset
from unitalker.data.importers.folder import FolderOptions, import_folder
from unitalker.data.pca import encode_dataset
from unitalker.errors import ConfigError, ModelError
from unitalker.export import read as read_motion
from unitalker.files import atomic
from unitalker.models import checkpoint
from unitalker.models.presets import SLOW, TRAINING, preset
from unitalker.models.unitalker import UniTalker
from unitalker.training.distributed import from_environment
from unitalker.training.optimisation import frozen_parts
from unitalker.training.session import open_run, same_codes
from unitalker.training.starting import IDENTITIES, transfer
from unitalker.training.table import RESTING, Comparison, compare, table, write_table
from unitalker.training.trainer import Trainer

Say = Callable[[str], None]

PAPER: dict[str, Any] = {
    "batching": "clips",
    "batch": 1,
    "loss": "paper",
    "optimiser": "adam",
    "lr": 1e-4,
    "schedule": "constant",
    "ramp": 0.0,
    "clip_norm": None,
    "ema": 0.0,
    "precision": "fp32",
    "epochs": 100,
    "warmup_epochs": 1,
    "phone_weight": 0.0,
    "closure_weight": 0.0,
    "validate_epochs": 1,
}
"""The release's way of training, for models with a published encoder."""
TUNING: dict[str, Any] = {"lr": 3e-4, "steps": 2000, "warmup_steps": 0, "validate_steps": 200}
"""Changes to the usual settings where a model of this package's small encoder goes on."""
TRANSFER: dict[str, Any] = TUNING | {"lr": 1e-3, "warmup_steps": 200}
"""The same where its decoder and heads begin anew."""
CODES = "-pca"
"""Ending of the folder with the codes of a new annotation's vertices; the vertices lie beside it."""


def check(recipe: RecipeConfig) -> UniTalkerConfig | None:
    """The configuration of the model that a recipe begins with, None where it begins with none.

    Raises ConfigError for flags that contradict each other, ModelError for an unknown model.
    """
    if recipe.preset and recipe.finetune:
        raise ConfigError(
            "A fine-tuned model keeps its own architecture: give --preset or --finetune, not both."
        )
    if recipe.finetune is None:
        if recipe.new_head:
            raise ConfigError("--new-head goes on from a model, so it takes --finetune and no --preset.")
        return None
    model = UniTalkerConfig.load(checkpoint.locate(recipe.finetune) / "config.json")
    if recipe.new_head in model.heads:
        raise ConfigError(
            f"{recipe.finetune} has a head {recipe.new_head!r} already: leave out --new-head, or choose another name."
        )
    return model


def settings(recipe: RecipeConfig, datasets: Sequence[Dataset], anew: bool = False) -> dict[str, Any]:
    """The TrainConfig settings, sources aside, that a recipe stands for; a file and --set may change them.

    anew: annotations are learned anew, whether the model knows them or not. Raises ModelError for an unknown preset or
    model, ConfigError for datasets that the recipe cannot learn from.
    """
    model = check(recipe)
    names = list(dict.fromkeys(d.annotation for d in datasets if d.subjects != (ANY,)))
    if not names:
        raise ConfigError("The datasets hold only resting sounds; add at least one with a moving face.")
    if recipe.preset is not None:
        facts = {"identities": (), "heads": dict.fromkeys(names, 1), "default_annotation": names[0]}
        model = UniTalkerConfig.parse(preset(recipe.preset) | facts)
    elif model is None:
        return {}
    elif not anew:
        _check_heads(recipe, model, names)
    usual = _usual(recipe, model.encoder.kind)
    if not any(c.split == "val" for d in datasets for c in d.clips):
        usual = {key: value for key, value in usual.items() if not key.startswith("validate")}
    built = model.model_dump(mode="json")
    cards = {}
    if recipe.finetune is not None:
        built["encoder"] |= {"pretrained": False} if model.encoder.kind == "hf" else {}
    if recipe.finetune is not None and not (recipe.new_head or anew):
        place = checkpoint.locate(recipe.finetune) / "annotations"
        _check_bases(place, datasets)
        cards = {"cards": str(place)}
    return usual | cards | {"model": built}


def _usual(recipe: RecipeConfig, encoder: str) -> dict[str, Any]:
    """How models of an encoder's kind are trained, or go on from another model."""
    again = recipe.finetune is not None
    if encoder == "hf" or recipe.preset in TRAINING:
        own = {"warmup_epochs": int(recipe.keep == "encoder")} if again else {}
        return PAPER | own | TRAINING.get(recipe.preset or "", {})
    return {} if not again else TRANSFER if recipe.keep == "encoder" else TUNING


def _check_heads(recipe: RecipeConfig, model: UniTalkerConfig, names: Sequence[str]) -> None:
    """Raises ConfigError for annotations that the recipe has no head for: the new one, else those of the model."""
    known = (recipe.new_head,) if recipe.new_head else tuple(model.heads)
    strange = next((name for name in names if name not in known), None)
    if strange is not None and recipe.new_head:
        raise ConfigError(f"The data is of the annotation {strange!r}, so its head is --new-head {strange}.")
    if strange is not None:
        raise ConfigError(
            f"{recipe.finetune} has no head for the annotation {strange!r}; it has {', '.join(known)}. Add one with "
            f"--new-head {strange}."
        )


def _check_bases(place: Path, datasets: Sequence[Dataset]) -> None:
    """Raises ConfigError for a dataset whose codes are of another basis than those of the cards in `place`."""
    for dataset in datasets:
        card = f"{dataset.annotation}.json"
        if dataset.stored != "codes" or dataset.cards is None or not (dataset.cards / card).is_file():
            continue
        if not same_codes(load_card(dataset.cards / card), load_card(place / card)):
            raise ConfigError(
                f"{dataset.folder} stores codes of another basis than the model's. Give the dataset of vertices that it "
                f"was made from, or make codes of that with: unitalker data pca … --card {place / card}."
            )


def prepare(
    recipe: RecipeConfig, source: Path, run: Path, options: FolderOptions | None = None, say: Say = print
) -> Path:
    """The dataset of a new annotation: `source` itself where it is one, else made of the ordinary folder in run/data.

    Vertices are stored as codes of a PCA basis of their own training clips, beside the vertices. What is there from an
    earlier start is used again. Raises what `import_folder` raises.
    """
    if (source / "dataset.json").is_file():
        return source
    made = run / "data" / str(recipe.new_head)
    if from_environment().count > 1:
        raise ConfigError(
            f"{source} is made a dataset by one process: run `unitalker data import folder` first, and give its result."
        )
    if (made / "dataset.json").is_file():
        say(f"{made} is there already: {source} is not read again.")
    else:
        chosen = replace(options or FolderOptions(), annotation=recipe.new_head)
        told = import_folder(source, made, chosen, read=read_motion)
        for sentence in (*told.notes, *told.problems):
            say(sentence)
    dataset = open_dataset(made)
    if dataset.unit == "weight":
        return made
    codes = made.with_name(made.name + CODES)
    if not (codes / "dataset.json").is_file():
        basis = encode_dataset(dataset, codes)
        held = basis.held["train"].share
        say(f"PCA: {basis.annotation.head_dim} codes a frame hold {held:.4%} of the training motion.")
    return codes


def measured_on(path: Path) -> Dataset:
    """The dataset that a source of a run is measured on: for codes, the vertices that they were made of where these lie
    beside them."""
    dataset, whole = open_dataset(path), path.with_name(path.name.removesuffix(CODES))
    if dataset.stored == "codes" and (whole / "dataset.json").is_file():
        vertices = open_dataset(whole)
        if (vertices.name, vertices.stored) == (dataset.name, "values"):
            return vertices
    return dataset


def open_recipe(
    recipe: RecipeConfig,
    config: TrainConfig,
    run: Path,
    *,
    start: Path | None = None,
    say: Say | None = None,
) -> Trainer:
    """A trainer for the run in a folder, as `session.open_run` gives it, begun with the recipe's model where it is new.

    start: a run folder whose weights to begin with, in place of the recipe's model. Writes recipe.json, and that only
    once model and data are accepted.
    """
    if start is None and recipe.finetune is None:
        _check_ground(config, run)
    if recipe.preset and f"{recipe.preset}{SLOW}" in TRAINING and say is not None:
        rates = {open_dataset(source.path).fps for source in config.sources}
        if rates == {25.0}:
            say(
                f"The data has 25 frames a second; {recipe.preset} is the form that was published for 30, {recipe.preset}{SLOW} "
                "that for 25."
            )
    trainer = open_run(config, run, start=start, say=say)
    if recipe.finetune is not None and trainer.step == 0 and start is None:
        fresh = begin(trainer, checkpoint.load(recipe.finetune).model, recipe)
        if fresh:
            trainer.say(f"Begins anew: {', '.join(dict.fromkeys(_part(name) for name in fresh))}.")
    if not (run / "recipe.json").is_file() and trainer.processes.chief:
        remember(recipe, run)
    return trainer


def _check_ground(config: TrainConfig, run: Path) -> None:
    """Raises ConfigError where the encoder is frozen with nothing but random weights in it, or a decoder lacks the run
    that it stands on."""
    if (run / "checkpoint.pt").is_file():
        return
    lacking = config.model.decoder.stands_on if config.model else None
    if lacking is not None:
        raise ConfigError(
            f"This model stands on {lacking}, trained before: begin with that run by --start RUN."
        )
    if "encoder" not in frozen_parts(config, warming=False):
        return
    encoder = config.model.encoder if config.model else None
    if encoder is None or encoder.kind != "hf" or not encoder.pretrained:
        raise ConfigError(
            "A frozen encoder (--only-head, --freeze encoder) must have learnt something before: begin with a model by "
            "--finetune MODEL, or with the weights of a run by --start RUN."
        )


def begin(trainer: Trainer, start: UniTalker, recipe: RecipeConfig) -> list[str]:
    """Give a new run the weights of the model that it begins with: its encoder, and with keep="all" the rest by name.

    An identity that `start` does not know begins as its pivot. Returns the names of the tensors that begin anew. Raises
    ModelError where anything else than the new annotation's head has no tensor of its name and shape to begin with.
    """
    fresh = transfer(start, trainer.model, recipe.keep)
    trainer.average.restart()
    kept = [name for name in fresh if recipe.keep == "all" or name.startswith("encoder.")]
    strange = [name for name in kept if not name.startswith(f"heads.{recipe.new_head}.")]
    if strange:
        raise ModelError(
            f"{recipe.finetune} has no tensor {strange[0]} of the shape that the run needs; a fine-tuned model keeps the "
            "architecture and the annotation cards of the one that it comes from."
        )
    return fresh


def _part(tensor: str) -> str:
    """ "heads.mine.bias" → "the head mine"; "decoder.…" → "the decoder"."""
    part, _, rest = tensor.partition(".")
    if part == "heads":
        return f"the head {rest.partition('.')[0]}"
    return "the identities" if tensor == IDENTITIES else f"the {part}"


def recalled(recipe: RecipeConfig, run: Path) -> RecipeConfig:
    """The recipe that the run in a folder was begun with, or for a new one the recipe asked for.

    Raises ConfigError where a run that exists is asked to go on by another recipe.
    """
    if not (run / "train.json").is_file():
        return recipe
    path = run / "recipe.json"
    old = RecipeConfig.load(path) if path.is_file() else RecipeConfig()
    if recipe not in (old, RecipeConfig()):
        raise ConfigError(
            f"The run in {run} was begun with {_told(old)}, not {_told(recipe)}; use a new folder."
        )
    return old


def remember(recipe: RecipeConfig, run: Path) -> None:
    """Write recipe.json into the run's folder."""
    run.mkdir(parents=True, exist_ok=True)
    with atomic(run / "recipe.json") as draft:
        draft.write_text(json.dumps(recipe.model_dump(mode="json"), indent=1))


def _told(recipe: RecipeConfig) -> str:
    given = recipe.model_dump(exclude_defaults=True)
    return ", ".join(f"--{key.replace('_', '-')} {value}" for key, value in given.items()) or "no recipe"


def result(run: Path) -> Path:
    """The model folder of a run: the best by its validation clips, else the last."""
    return next(p for p in (run / "best", run / "model") if (p / "config.json").is_file())


def before_and_after(recipe: RecipeConfig, sources: Sequence[str], run: Path, say: Say | None = None) -> str:
    """Measure the run's best model (the last where there is no best) against the one it began with, on each dataset's
    validation clips; write run/table.md and return the table. Where that one has no such head: against a resting face.
    """
    found = result(run)
    after = Animator(checkpoint.load(found))
    if not after.model.from_sound:
        return f"{found} is a motion autoencoder: nothing to animate yet. Its errors are in {run / 'metrics.jsonl'}."
    before = None if recipe.finetune is None else Animator(checkpoint.load(recipe.finetune))
    rows: list[Comparison] = []
    for dataset in (measured_on(Path(source)) for source in sources):
        if dataset.subjects == (ANY,):
            continue
        old = before if before is not None and dataset.annotation in before.annotations else None
        if say:
            say(f"Measuring on {dataset.name} …")
        rows.append(compare(dataset, after, old))
    new = recipe.finetune is None or recipe.new_head is not None
    text = table(rows, RESTING if new else str(recipe.finetune), found.name)
    write_table(text, run / "table.md")
    return text
