"""`unitalker import`: checkpoints of the paper's release, and of published baselines, become model folders."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from unitalker.errors import ConfigError

if TYPE_CHECKING:
    from unitalker.config import UniTalkerConfig

EXAMPLES = """Examples:
  unitalker import UniTalker-B-D0-D7.pt \\
      --data-root unitalker_data_release_V1 -o models/base
  unitalker import UniTalker-L-D0-D7.pt -o models/large
  unitalker import vocaset.pth --kind faceformer --templates templates.pkl \\
      -o models/faceformer
  unitalker import biwi_stage2.pth.tar --kind codetalker \\
      --stage1 biwi_stage1.pth.tar --subjects F2,F3,F4,M3,M4,M5 \\
      --templates templates.pkl -o models/codetalker
  unitalker animate speech.wav --model models/base -o face.glb
  unitalker animate speech.wav --model models/base \\
      --annotation BIWI_23370_vertices --identity D0/1 -o x.npz

Nothing is downloaded. docs/released.md tells what the numbers mean and how they compare with the release's own,
docs/baselines.md the same for the other kinds."""

TWO_STAGES = "codetalker"
CHECKPOINT = Parameter(help="The published file, for example UniTalker-B-D0-D7.pt.")
KIND = Parameter(
    help="What it is a checkpoint of, where it is no UniTalker's: faceformer, codetalker, selftalk or facediffuser."
)
STAGE1 = Parameter(help="codetalker: the checkpoint of the first stage, the motion autoencoder.")
CONFIG = Parameter(
    help="Baselines: the settings that it was trained with, JSON or YAML, for what the tensors don't tell."
)
TEMPLATES = Parameter(help="Baselines: neutral faces by subject, templates.pkl or .npz.")
SUBJECTS = Parameter(
    negative=(),
    show_default=False,
    help="Baselines: names of the subjects it was trained on, in order: F2,F3,F4. Default: s0,s1,…",
)
OUTPUT = Parameter(name=("--output", "-o"), help="Folder to write the model into.")
DATA_ROOT = Parameter(
    help="The release's data folder, unitalker_data_release_V1: neutral faces, PCA bases and names of subjects. "
    "Without it there are no vertex heads, and subjects are called by number."
)
ENCODER = Parameter(
    help="The encoder's Hugging Face config.json, or the folder that holds it. Only needed for other encoders than "
    "published ones: WavLM base plus and wav2vec 2.0 large XLSR-53 of UniTalker, wav2vec 2.0 base (FaceFormer, CodeTalker) "
    "and large (SelfTalk), HuBERT base (FaceDiffuser)."
)
DATASETS = Parameter(
    negative=(),
    show_default=False,
    help="Datasets that it was trained on, where that can't be told from the heads: D0,D1; with the number of subjects "
    "where it isn't the published one: D0:4,D1.",
)
ADAPTOR = Parameter(
    help="Where features change to the motion's frame rate: interpolate_pos 0, 1, 2 in the release's settings."
)
RESOURCES = Parameter(
    help="The UniTalker release's resources folder (resources.zip, unpacked): triangles, for .glb and .mp4 of its meshes, "
    "and lip vertices, for evaluation and training on."
)
PIVOT = Parameter(
    negative=(), help="It was trained with random_id_prob 0, so the table has no pivot identity."
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReleaseChoices:
    """What the tensors of a UniTalker checkpoint can't tell."""

    data_root: Annotated[Path | None, DATA_ROOT] = None
    datasets: Annotated[tuple[str, ...], DATASETS] = ()
    adaptor: Annotated[Literal["before_transformer", "after_encoder", "after_decoder"], ADAPTOR] = (
        "after_encoder"
    )
    without_pivot: Annotated[bool, PIVOT] = False


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BaselineChoices:
    """What the tensors of a baseline's checkpoint can't tell."""

    stage1: Annotated[Path | None, STAGE1] = None
    config: Annotated[Path | None, CONFIG] = None
    templates: Annotated[Path | None, TEMPLATES] = None
    subjects: Annotated[tuple[str, ...], SUBJECTS] = ()


def import_released(
    checkpoint: Annotated[Path, CHECKPOINT],
    /,
    *,
    output: Annotated[Path, OUTPUT],
    kind: Annotated[str | None, KIND] = None,
    encoder_config: Annotated[Path | None, ENCODER] = None,
    resources: Annotated[Path | None, RESOURCES] = None,
    release: ReleaseChoices | None = None,
    baseline: BaselineChoices | None = None,
) -> int:
    """Turn a checkpoint of the UniTalker release, or of a published baseline, into a model to animate and train with."""
    _check(kind, release, baseline)
    if kind is not None:
        chosen = baseline or BaselineChoices()
        return _import_baseline(kind, checkpoint, output, encoder_config, resources, chosen)
    return _import_release(checkpoint, output, encoder_config, resources, release or ReleaseChoices())


def _check(kind: str | None, release: ReleaseChoices | None, baseline: BaselineChoices | None) -> None:
    """Raises ConfigError for a flag that this kind of checkpoint has no use for."""
    told = baseline if kind is None else release
    usual = None if told is None else type(told)()
    strange = (
        [f.name for f in fields(told) if getattr(told, f.name) != getattr(usual, f.name)] if told else []
    )
    if strange and kind is None:
        raise ConfigError(
            f"{_flag(strange[0])} is for baselines: say which with --kind, as in --kind faceformer."
        )
    if strange:
        raise ConfigError(f"{_flag(strange[0])} is for UniTalker's own checkpoints, not for --kind {kind}.")
    if kind not in (None, TWO_STAGES) and baseline is not None and baseline.stage1 is not None:
        raise ConfigError(f"--stage1 is for --kind {TWO_STAGES}; {kind} has one stage.")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _names(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for text in given for part in text.split(",") if part.strip())


def _import_release(
    checkpoint: Path, output: Path, encoder: Path | None, resources: Path | None, choices: ReleaseChoices
) -> int:
    from unitalker.models.released import Released, encoder_text, explained, import_checkpoint

    known = Released(
        choices.data_root,
        encoder,
        _names(choices.datasets),
        choices.adaptor,
        not choices.without_pivot,
        resources,
    )
    imported = import_checkpoint(checkpoint, output, known)
    return _tell(
        imported.folder,
        imported.config,
        encoder_text(imported.config),
        (*imported.remarks, *explained(imported.left_out)),
    )


def _import_baseline(
    kind: str,
    checkpoint: Path,
    output: Path,
    encoder: Path | None,
    resources: Path | None,
    choices: BaselineChoices,
) -> int:
    from unitalker.models.released import encoder_text
    from unitalker.models.released.baselines import Beside
    from unitalker.models.released.kinds import import_baseline

    named = _names(choices.subjects)
    beside = Beside(choices.stage1, encoder, choices.config, choices.templates, named, resources)
    imported = import_baseline(kind, checkpoint, output, beside)
    about = f"{kind}, {encoder_text(imported.config)}"
    return _tell(imported.folder, imported.config, about, imported.remarks)


def _tell(folder: Path, config: UniTalkerConfig, about: str, remarks: tuple[str, ...]) -> int:
    for sentence in remarks:
        print(sentence, file=sys.stderr)
    people = f"{len(config.identities)} identities"
    print(f"{folder}: {about}; {people}; heads {', '.join(config.heads)}")
    return 0
