"""Makes docs/maps.png: velocity and error of a model's motion on the head, beside the truth's.

Run: unitalker data synthesize sets --only syn-d0 --seconds 600      (needs the tts extra)
     python docs/make_maps.py sets/syn-d0 [--model NAME|DIR] [-o FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from unitalker.animation.animator import load
from unitalker.data.dataset import open_dataset
from unitalker.evaluation.pages.pictures import mesh_of
from unitalker.evaluation.plots.heads import View, sheet
from unitalker.evaluation.predictions import FromModel
from unitalker.evaluation.protocols import find_protocol
from unitalker.evaluation.protocols.run import Options, run

SIZE = 230


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("maps.png"))
    given = parser.parse_args()
    source = FromModel(load(given.model), given.model)
    (part,) = run(find_protocol("open"), [open_dataset(given.data)], source, Options(keep=True)).parts
    mesh = part.kept and mesh_of(part.kept, part.sequences[0].subject)
    if mesh is None:
        raise SystemExit("The dataset has no neutral face to draw on.")
    rows = []
    for name, title in (("mean", "mean speed"), ("std", "its deviation")):
        sides = (("truth", "truth"), ("prediction", given.model))
        maps = {label: part.maps[f"velocity_{name}_{side}"] for side, label in sides}
        rows.append((title, f"{part.unit}/s", maps))
    rows.append(("mean error", part.unit, {given.model: part.maps["error"]}))
    image = sheet(View(mesh, SIZE), rows, ("lips", "upper_face"))
    image.save(given.output, optimize=True)


if __name__ == "__main__":
    main()
