"""From dataset folders to a trained model: annotations, sources, model configuration, trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from unitalker.annotations import builtin
from unitalker.annotations.base import Annotation
from unitalker.annotations.cards import load_card
from unitalker.annotations.flame import load_flame
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.pca import fit_basis
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.config import MiniEncoderConfig, TrainConfig, UniTalkerConfig
from unitalker.data.dataset import ANY, Dataset, MotionBlocks, open_dataset
from unitalker.errors import ConfigError, DataError
from unitalker.rig import builtin_head
from unitalker.training.phones import PhoneTable
from unitalker.training.sources import Source, lip_opening, open_source, resting_energy
from unitalker.training.trainer import Trainer

Say = Callable[[str], None]
PCA_FRAMES = 6000
"""Frames of motion that a basis is fitted on, spread over the clips."""
PCA_COMPONENTS = 512
"""Components of a basis, at most: the paper's number."""


def make_annotations(
    datasets: Sequence[Dataset], cards: Path | None = None, lip_weight: float = 1.0, pca: bool = True
) -> dict[str, Annotation]:
    """The annotations that the datasets need: from `cards` (a folder of <name>.json) where they are, else from the
    datasets' own cards, else built in.

    Mesh annotations without a PCA basis get one of the datasets' own motion, unless pca is False. Raises AnnotationError
    for a name that is nowhere, DataError for datasets whose cards differ.
    """
    rig = builtin_head()
    out: dict[str, Annotation] = {}
    for name in dict.fromkeys(d.annotation for d in datasets if d.subjects != (ANY,)):
        own = [d for d in datasets if d.annotation == name]
        card = own_card(name, own)
        if cards is not None and (cards / f"{name}.json").is_file():
            out[name] = builtin.completed(load_card(cards / f"{name}.json"), rig)
        elif card is not None:
            out[name] = builtin.completed(_with_basis(card, own) if pca else card, rig)
        elif builtin.require(name) in builtin.WEIGHTS:
            out[name] = builtin.weight_annotation(name, rig, lip_weight)
        elif name in builtin.MESHES:
            plain = builtin.mesh_topology(name, rig)
            mesh = builtin.mesh_annotation(name, rig, _spread(own)) if pca else plain
            out[name] = dataclasses.replace(mesh, templates=_templates(mesh, own))
        else:
            out[name] = builtin.flame_annotation(rig)
    return out


def own_card(name: str, datasets: Sequence[Dataset]) -> Annotation | None:
    """The card of an annotation that the datasets carry, with the templates of all of them; None where none does.

    Raises DataError where two of them mean different things by it.
    """
    places = {d.name: d.folder / "annotations" / f"{name}.json" for d in datasets}
    found = {dataset: load_card(path) for dataset, path in places.items() if path.is_file()}
    if not found:
        return None
    first, card = next(iter(found.items()))
    for other, its in found.items():
        if its.names != card.names or not same_codes(its, card):
            raise DataError(
                f"{first} and {other} carry different cards of the annotation {name!r}; datasets that are trained "
                "together need one channel order and one basis."
            )
    return dataclasses.replace(card, templates={k: v for c in found.values() for k, v in c.templates.items()})


def same_codes(one: Annotation, other: Annotation) -> bool:
    """Whether codes of one are codes of the other: the same basis or none, for vertices; always for other kinds."""
    if not isinstance(one, VertexAnnotation) or not isinstance(other, VertexAnnotation):
        return one.kind == other.kind and one.head_dim == other.head_dim
    a, b = one.basis, other.basis
    if a is None or b is None:
        return a is b
    same = a.scale == b.scale and a.components.shape == b.components.shape
    return same and np.array_equal(a.mean, b.mean) and np.array_equal(a.components, b.components)


def _with_basis(card: Annotation, datasets: Sequence[Dataset]) -> Annotation:
    """A mesh annotation of the datasets' own making gets its PCA basis here, unless its card has one."""
    if not isinstance(card, VertexAnnotation) or card.basis is not None:
        return card
    return card.with_basis(fit_basis(_spread(datasets), PCA_COMPONENTS))


def _spread(datasets: Sequence[Dataset]) -> MotionBlocks:
    """Blocks of displacements in the annotation's unit, every n-th frame, PCA_FRAMES in all."""
    stored = [d for d in datasets if d.stored == "values"]
    if not stored:
        raise DataError(
            "A PCA basis needs a dataset that stores vertices; all of these store codes of a basis."
        )
    frames = sum(c.seconds * d.fps for d in stored for c in d.split("train"))
    return MotionBlocks(stored, rows=512, step=max(1, int(frames / PCA_FRAMES)))


def _templates(annotation: Annotation, datasets: Sequence[Dataset]) -> dict[str, np.ndarray]:
    out = dict(annotation.templates)
    for dataset in datasets:
        for subject in dataset.subjects:
            neutral = dataset.template(subject)
            if neutral is not None:
                out[f"{dataset.name}/{subject}"] = np.asarray(neutral, np.float32) * dataset.scale
    return out


def load_sources(
    config: TrainConfig,
    annotations: Mapping[str, Annotation] | None = None,
    cards: Path | None = None,
) -> tuple[list[Source], dict[str, Annotation], PhoneTable]:
    """Open every dataset of a run, in the way its loss counts them.

    With the relative loss λ is such that vertex and code errors both count, and errors are in units of a resting
    face's; with the paper's, λ is the annotation's own.
    """
    datasets = [open_dataset(s.path) for s in config.sources]
    faces = dict(annotations or make_annotations(datasets, cards, config.lip_weight, config.pca))
    if config.flame is not None:
        faces = with_flame(faces, Path(config.flame))
    if not config.pca:
        faces = {name: without_basis(a, datasets) for name, a in faces.items()}
    table = PhoneTable()
    sources = [open_source(d, faces, table, s) for d, s in zip(datasets, config.sources, strict=True)]
    if config.batching == "crops":
        for source in sources:
            source.hold()
    if config.loss == "relative":
        _balance(sources, faces, config.head_weight)
    if config.closure_weight:
        for source in sources:
            source.opening = lip_opening(source)
    return sources, faces, table


def validation_sources(
    config: TrainConfig, annotations: Mapping[str, Annotation], table: PhoneTable
) -> list[Source]:
    """The split "val" of every dataset with moving faces that has one."""
    found = []
    for settings in config.sources:
        dataset = open_dataset(settings.path)
        if dataset.subjects != (ANY,) and any(c.split == "val" for c in dataset.clips):
            found.append(open_source(dataset, annotations, table, settings, split="val"))
            found[-1].number = len(found) - 1
    return found


def _balance(sources: Sequence[Source], faces: dict[str, Annotation], head_weight: float) -> None:
    """Give every annotation its λ and every source its unit, both from typical motion."""
    for name in faces:
        own = [s for s in sources if s.annotation is not None and s.annotation.name == name]
        typical = np.concatenate([c.codes for s in own for c in s.some(20) if c.codes is not None])
        faces[name] = builtin.balanced(faces[name], typical[:: max(1, len(typical) // 4000)], head_weight)
        for source in own:
            source.annotation = faces[name]
            source.energy = resting_energy(source)


def with_flame(annotations: Mapping[str, Annotation], path: Path) -> dict[str, Annotation]:
    """The annotations, those of FLAME numbers without a model over the one in a file.

    Raises AnnotationError for a file that is no FLAME model (pickles: with the way to convert them) and for one of
    another mesh than the cards'.
    """
    model = load_flame(path)
    return {
        name: a.with_model(model) if isinstance(a, FlameAnnotation) and a.model is None else a
        for name, a in annotations.items()
    }


def flame_report(annotations: Mapping[str, Annotation]) -> list[str]:
    """What the errors of FLAME numbers are measured on, a line each; one that none of them is FLAME's."""
    lines = []
    for face in annotations.values():
        if isinstance(face, FlameAnnotation) and face.model is not None:
            count = len(face.model.v_template)
            rows = f"{len(face.rows)} of {count}" if face.rows else f"all {count}"
            lips = f"{len(face.regions['lips'])} lip vertices" if face.has_lips else "no lip vertices"
            why = "" if face.rows and face.has_lips else " (its card does not tell them)"
            lines.append(f"{face.name}: the loss looks at {rows} vertices of the FLAME model; {lips}{why}")
    return lines or ["flame has no use in this run: none of its datasets has FLAME numbers"]


def without_basis(annotation: Annotation, datasets: Sequence[Dataset]) -> Annotation:
    """A vertex annotation whose head predicts every coordinate. Raises DataError for data stored as codes of a basis."""
    if not isinstance(annotation, VertexAnnotation):
        return annotation
    for dataset in datasets:
        if dataset.annotation == annotation.name and dataset.stored == "codes":
            raise DataError(
                f"{dataset.name} stores codes of a PCA basis; without PCA (pca: false) a head needs the dataset of values "
                "that it was made from."
            )
    return dataclasses.replace(annotation, basis=None, gap=None)


def model_config(
    config: TrainConfig, sources: Sequence[Source], annotations: Mapping[str, Annotation]
) -> UniTalkerConfig:
    """The run's model with identities and heads of its data; our small streaming model where none is given."""
    identities = tuple(sorted({s.identity(c) for s in sources if not s.rest for c in s.clips}))
    heads = {a.name: a.head_dim for a in annotations.values()}
    if not heads:
        raise ConfigError(
            "The datasets hold only resting sounds; add at least one dataset with a moving face."
        )
    default = "arkit52" if "arkit52" in heads else next(iter(heads))
    if config.model is not None:
        model = self_contained(config.model)
        data = model.model_dump() | {
            "decoder": model.decoder.with_lips(_lip_rows(annotations)).model_dump(),
            "identities": identities,
            "heads": heads,
            "default_annotation": default,
        }
        return UniTalkerConfig.parse(data)
    return UniTalkerConfig.parse(
        {
            "encoder": MiniEncoderConfig().model_dump(),
            "adaptor": "after_decoder",
            "grid": "clock",
            "decoder": {"ahead": (1, 1, 0)},
            "identities": identities,
            "heads": heads,
            "default_annotation": default,
        }
    )


def self_contained(model: UniTalkerConfig) -> UniTalkerConfig:
    """The model's configuration with its encoders' architectures in it, so that no Hub is asked when it is read back."""
    if model.encoder.kind != "hf":
        return model
    from unitalker.models.hf import complete

    whole = {"encoder": complete(model.encoder), "decoder": model.decoder.with_encoders(complete)}
    return model.model_copy(update=whole)


def _lip_rows(annotations: Mapping[str, Annotation]) -> dict[str, list[int]]:
    """Head → its lip vertices, for heads that predict every coordinate of a mesh."""
    meshes = {n: a for n, a in annotations.items() if isinstance(a, VertexAnnotation) and a.basis is None}
    return {n: np.asarray(a.regions["lips"]).tolist() for n, a in meshes.items() if a.has_lips}


def open_run(
    config: TrainConfig,
    folder: Path,
    *,
    cards: Path | None = None,
    start: Path | None = None,
    say: Say | None = None,
) -> Trainer:
    """A trainer for the run in `folder`, resumed where it left off. start: a run folder whose weights to begin with.

    Writes nothing: `Trainer.run` does. Raises ConfigError for other settings than those of a run that is finished.
    """
    saved = folder / "model" / "annotations"
    cards = Path(config.cards) if cards is None and config.cards is not None else cards
    sources, annotations, table = load_sources(config, cards=saved if saved.is_dir() else cards)
    model = model_config(config, sources, annotations)
    _check_same(folder, model)
    held_out = validation_sources(config, annotations, table)
    trainer = Trainer(config, model, sources, annotations, len(table), folder, held_out, say)
    trainer.folder.phones = tuple(table.index)
    for line in [*trainer.batches.report(), *(flame_report(annotations) if config.flame is not None else ())]:
        trainer.say(line)
    if trainer.resume():
        _check_finished(trainer)
        trainer.say(f"resumed at step {trainer.step}")
    elif start is not None:
        trainer.begin_with(start)
    elif model.encoder.kind == "hf" and model.encoder.pretrained:
        trainer.load_encoder()
    return trainer


def _check_same(folder: Path, model: UniTalkerConfig) -> None:
    """Raises ConfigError where the run in `folder` has other identities or heads than its datasets now give."""
    path = folder / "model" / "config.json"
    if not path.is_file():
        return
    old = UniTalkerConfig.load(path)
    if old.identities != model.identities or old.heads != model.heads:
        raise ConfigError(
            f"The run in {folder} was begun with {len(old.identities)} identities and the heads {sorted(old.heads)}; its "
            f"datasets now give {len(model.identities)} and {sorted(model.heads)}. Use a new folder, with --start {folder}."
        )


def _check_finished(trainer: Trainer) -> None:
    """Raises ConfigError where a run that is over is given other settings: nothing would be trained with them."""
    path = trainer.folder.path / "train.json"
    if not trainer.ended or not path.is_file():
        return
    old, new = TrainConfig.load(path).model_dump(), trainer.config.model_dump()
    other = [name for name, value in new.items() if value != old[name]]
    if other:
        raise ConfigError(
            f"The run in {path.parent} is finished (step {trainer.step} of {trainer.steps}), so other settings "
            f"({', '.join(other)}) would change nothing: go on with more steps, such as --set steps={2 * trainer.step}, or "
            f"begin in a new folder with --start {path.parent}."
        )


def check_workers(count: int) -> int:
    """Number of data workers. Raises ConfigError outside 0 … 64."""
    if not 0 <= count <= 64:
        raise ConfigError(f"--workers must lie between 0 and 64, not {count}.")
    return count
