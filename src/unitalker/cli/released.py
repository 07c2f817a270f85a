"""`unitalker import`: checkpoints of the paper's release become model folders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

EXAMPLES = """Examples:
  unitalker import UniTalker-B-D0-D7.pt --data-root unitalker_data_release_V1 -o models/base
  unitalker import UniTalker-L-D0-D7.pt -o models/large
  unitalker animate speech.wav --model models/base -o face.glb
  unitalker animate speech.wav --model models/base --annotation BIWI_23370_vertices --identity D0/1 -o x.npz

Nothing is downloaded. docs/released.md tells what the numbers mean and how they compare with the release's own."""

CHECKPOINT = Parameter(help="The published .pt file, for example UniTalker-B-D0-D7.pt.")
OUTPUT = Parameter(name=("--output", "-o"), help="Folder to write the model into.")
DATA_ROOT = Parameter(
    help="The release's data folder, unitalker_data_release_V1: neutral faces, PCA bases and names of subjects. "
    "Without it there are no vertex heads, and subjects are called by number."
)
ENCODER = Parameter(
    help="The encoder's Hugging Face config.json, or the folder that holds it. Only needed for other encoders than the "
    "release's two, WavLM base plus and wav2vec 2.0 large XLSR-53."
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
    help="The release's resources folder (resources.zip, unpacked): triangles, for .glb and .mp4 of the vertex heads, "
    "and lip vertices, for evaluation and training on."
)
PIVOT = Parameter(
    negative=(), help="It was trained with random_id_prob 0, so the table has no pivot identity."
)


def import_released(
    checkpoint: Annotated[Path, CHECKPOINT],
    /,
    *,
    output: Annotated[Path, OUTPUT],
    data_root: Annotated[Path | None, DATA_ROOT] = None,
    encoder_config: Annotated[Path | None, ENCODER] = None,
    resources: Annotated[Path | None, RESOURCES] = None,
    datasets: Annotated[tuple[str, ...], DATASETS] = (),
    adaptor: Annotated[
        Literal["before_transformer", "after_encoder", "after_decoder"], ADAPTOR
    ] = "after_encoder",
    without_pivot: Annotated[bool, PIVOT] = False,
) -> int:
    """Turn a checkpoint of the UniTalker release into a model to animate and train with."""
    from unitalker.models.released import Released, encoder_text, explained, import_checkpoint

    asked = tuple(part.strip() for text in datasets for part in text.split(",") if part.strip())
    known = Released(data_root, encoder_config, asked, adaptor, not without_pivot, resources)
    imported = import_checkpoint(checkpoint, output, known)
    for sentence in (*imported.remarks, *explained(imported.left_out)):
        print(sentence, file=sys.stderr)
    config = imported.config
    print(
        f"{imported.folder}: {encoder_text(config)}; {len(config.identities)} identities; "
        f"heads {', '.join(config.heads)}"
    )
    return 0
