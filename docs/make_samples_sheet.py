"""A contact sheet of recordings animated with a model: for each file seven frames and the curves of jaw and lips.

python docs/make_samples_sheet.py FILE… -o sheet.png [--model mini]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import unitalker
from unitalker.export.render import Renderer
from unitalker.motion import Motion
from unitalker.rig import builtin_head
from unitalker.rig.lips import lip_gap

FRAMES, SIZE, CURVE = 7, 160, 420


def curves(motion: Motion, gap: np.ndarray) -> Image.Image:
    """Lip gap (red) and jawOpen (blue) over the clip; the box is 3 cm and weight 1 high."""
    image = Image.new("RGB", (CURVE, SIZE), "white")
    draw = ImageDraw.Draw(image)
    for values, colour in ((gap / 3.0, "red"), (motion.channel("jawOpen"), "blue")):
        x = np.linspace(0, CURVE - 1, len(values))
        y = (SIZE - 4) * (1 - np.clip(values, 0, 1))
        draw.line([(float(a), float(b)) for a, b in zip(x, y, strict=True)], fill=colour)
    return image


def row(path: Path, animator: unitalker.Animator, renderer: Renderer) -> Image.Image:
    """Name, frames at the openings and closings of the mouth, curves."""
    rig = builtin_head()
    motion = animator.animate(path)["arkit52"]
    weights = rig.weights(motion.values, motion.names)
    gap = weights @ lip_gap(rig)
    chosen = np.linspace(0, len(motion) - 1, FRAMES + 2).astype(int)[1:-1]
    image = Image.new("RGB", (FRAMES * SIZE + CURVE, SIZE))
    for place, frame in enumerate(chosen):
        image.paste(Image.fromarray(renderer.frame(rig.pose(weights[frame]))), (place * SIZE, 0))
    image.paste(curves(motion, gap), (FRAMES * SIZE, 0))
    ImageDraw.Draw(image).text((4, 4), f"{path.stem}  {motion.seconds:.1f} s", fill="white")
    return image


def main() -> None:
    """Parse the flags, write the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", default="mini")
    options = parser.parse_args()
    animator, renderer = unitalker.load(options.model), Renderer(builtin_head(), size=SIZE)
    rows = [row(f, animator, renderer) for f in options.files]
    sheet = Image.new("RGB", (rows[0].width, SIZE * len(rows)))
    for place, image in enumerate(rows):
        sheet.paste(image, (0, place * SIZE))
    sheet.save(options.output)


if __name__ == "__main__":
    main()
