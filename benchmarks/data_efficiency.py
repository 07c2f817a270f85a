"""How good a new annotation becomes with less and less data, from `mini`'s encoder and from a random one (Fig. 4).

The data is an ordinary folder of sound and vertices, made here: synthetic speakers that no model was trained on, on a
mesh of every fourth vertex of the built-in head. They move by the same rules as most of what `mini` learned from, so the
curve tells that an encoder carries over to another mesh and other voices, not to captured people.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import Row, Setting

from unitalker.annotations.builtin import mesh_rows
from unitalker.audio import write_sound
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.importers.folder import FolderOptions, import_folder
from unitalker.data.synthesize import TWINS, synthesize
from unitalker.rig import builtin_head
from unitalker.training.efficiency import FRACTIONS, Point, curve
from unitalker.training.table import MILLIMETRES

SPEAKERS = "syn-d0"
SEED = 4041
STEP = 4
"""Every so many vertices of the head are in the mesh."""
SETTINGS = {"batch": 8, "crop_seconds": 3.0, "lr": 1e-3, "phone_weight": 0.0, "checkpoint_steps": 10_000}


def ordinary_folder(made: Dataset, folder: Path) -> Path:
    """The speakers as a user would have them: <speaker>/<clip>.flac and .npy (T, V, 3) in metres."""
    metres = TWINS[SPEAKERS].metres
    rows = mesh_rows(made.annotation, builtin_head())
    lips = np.flatnonzero(np.isin(rows[::STEP], builtin_head().regions["lips"]))
    for clip in made.clips:
        place = folder / clip.subject
        place.mkdir(parents=True, exist_ok=True)
        neutral = made.template(clip.subject)
        assert neutral is not None
        moved = np.asarray(made.motion(clip)).reshape(-1, len(rows), 3)
        np.save(place / f"{clip.id}.npy", metres * (neutral + moved)[:, ::STEP])
        np.save(place / "template.npy", metres * neutral[::STEP])
        write_sound(place / f"{clip.id}.flac", *made.sound(clip))
    (folder / "lips.txt").write_text(" ".join(map(str, lips)))
    return folder


def rows(setting: Setting) -> list[Row]:
    """One row a fraction: LVE from a random encoder and from the model's, beside a resting face's."""
    torch.set_num_threads(1)
    seconds, steps, fractions = (240.0, 40, FRACTIONS[::2]) if setting.quick else (600.0, 200, FRACTIONS)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (made,) = synthesize(root / "made", kinds=[SPEAKERS], seconds=seconds, seed=SEED)
        source = ordinary_folder(open_dataset(made), root / "takes")
        import_folder(source, root / "mask", FolderOptions(fps=TWINS[SPEAKERS].fps, unit="m"))
        settings = SETTINGS | {"steps": steps, "warmup_steps": steps // 10}
        found = curve(
            root / "mask", setting.model, root / "runs", fractions=fractions, changes=settings, say=_say
        )
    return [_row(point, setting.model, steps) for point in found]


def _row(point: Point, model: str, steps: int) -> Row:
    both = point.errors
    size = MILLIMETRES[both["trained"].unit] ** 2
    rest = size * both["trained"].before["LVE"]
    trained, random = (size * both[start].after["LVE"] for start in ("trained", "random"))
    return Row(
        f"validation LVE of a new mesh, {point.fraction:g} of the data ({point.seconds / 60:.1f} min, {steps} steps)",
        f"{trained:.3g} mm² from the encoder of {model}, {random:.3g} mm² from a random one",
        f"{trained / random:.2f} ×; {trained / rest:.2f} of a resting face's",
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
