"""Draw docs/head-shapes.png: the built-in head, every ARKit shape at weight 1, and a few mixtures, labelled.

Run: python docs/make_head_sheet.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unitalker.export.render import Renderer
from unitalker.rig import Rig, builtin_head

WIDTH, HEIGHT, LABEL, COLUMNS = 190, 230, 20, 9
OUT = Path(__file__).with_name("head-shapes.png")
MIXTURES: dict[str, dict[str, float]] = {
    "jawOpen + mouthClose": {"jawOpen": 1.0, "mouthClose": 1.0},
    "ah": {"jawOpen": 0.6},
    "ee": {"jawOpen": 0.12, "mouthSmile": 0.4, "mouthStretch": 0.3, "mouthLowerDown": 0.3},
    "oo": {"jawOpen": 0.12, "mouthPucker": 0.75, "mouthFunnel": 0.25},
    "smile": {"mouthSmile": 0.9, "jawOpen": 0.2, "cheekSquint": 0.6, "eyeSquint": 0.3, "mouthUpperUp": 0.3},
    "tongueOut + jawOpen": {"tongueOut": 1.0, "jawOpen": 0.25},
}


def weights(rig: Rig, mixture: dict[str, float]) -> np.ndarray:
    """(K,) weights; a name without a side sets both sides."""
    out = np.zeros(len(rig.shape_names), np.float32)
    for name, value in mixture.items():
        both = [i for i, n in enumerate(rig.shape_names) if n in (name, f"{name}Left", f"{name}Right")]
        out[both] = value
    return out


def pictures(rig: Rig) -> list[tuple[str, np.ndarray]]:
    """Label and picture (HEIGHT, WIDTH, 3) of each cell."""
    views = {v: Renderer(rig, 2 * HEIGHT, v) for v in ("front", "three_quarter", "side")}
    out = [(f"rest, {v.replace('_', ' ')}", r.frame(rig.vertices)) for v, r in views.items()]
    for name in rig.shape_names:
        out.append((name, views["front"].frame(rig.pose(weights(rig, {name: 1.0})))))
    for name, mixture in MIXTURES.items():
        out.append((name, views["front"].frame(rig.pose(weights(rig, mixture)))))
    side = weights(rig, MIXTURES["ah"])
    out.append(("ah, three quarter", views["three_quarter"].frame(rig.pose(side))))
    out.append(("ah, side", views["side"].frame(rig.pose(side))))
    return [(label, _fitted(picture)) for label, picture in out]


def _fitted(picture: np.ndarray) -> np.ndarray:
    """The middle of a picture, scaled to a cell."""
    size = picture.shape[0]
    high = 0.92 * size
    wide = high * WIDTH / HEIGHT
    box = ((size - wide) / 2, (size - high) / 2, (size + wide) / 2, (size + high) / 2)
    return np.asarray(Image.fromarray(picture).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box))


def main() -> None:
    """Write the sheet."""
    cells = pictures(builtin_head())
    rows = -(-len(cells) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * WIDTH, rows * (HEIGHT + LABEL)), (24, 26, 30))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for i, (label, picture) in enumerate(cells):
        x, y = i % COLUMNS * WIDTH, i // COLUMNS * (HEIGHT + LABEL)
        sheet.paste(Image.fromarray(picture), (x, y))
        draw.text(
            (x + WIDTH / 2, y + HEIGHT + LABEL / 2), label, fill=(235, 235, 235), font=font, anchor="mm"
        )
    small = Image.fromarray(
        (np.asarray(sheet) & 0xFC) | 0x02
    )  # six bits a colour: half the bytes, no visible loss
    small.save(OUT, optimize=True)


if __name__ == "__main__":
    main()
