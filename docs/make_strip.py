"""Draw docs/strip.png: the built-in head saying a phrase, one picture a sound, over the sound itself.

Run: python docs/make_strip.py [--model NAME|DIR]      (needs the tts extra, and matplotlib for its font)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

import unitalker
from unitalker.data.tts import RATE, Spoken, speak
from unitalker.export.base import rig_weights
from unitalker.export.render import Renderer
from unitalker.rig import builtin_head

TEXT, VOICE = "Papa loves a warm blue room", "en"
SHOWN = (0, 1, 2, 5, 6, 9, 10, 11, 16)
"""Which of the phrase's sounds get a picture: lips shut, wide open, at the teeth, rounded, …"""
WIDTH, HEIGHT, LABEL, GAP, WAVE = 200, 220, 30, 30, 64
PAPER, INK, BAR, MARK = (24, 26, 30), (235, 235, 235), (122, 150, 190), (240, 160, 90)
TOP = HEIGHT + LABEL + GAP
OUT = Path(__file__).with_name("strip.png")


def faces(spoken: Spoken, moments: list[float], model: str) -> list[Image.Image]:
    """The head at each moment, in seconds, cut to the face."""
    animator = unitalker.load(model)
    motion = animator.animate((spoken.samples, RATE), annotations=["arkit52"])["arkit52"]
    rig = builtin_head()
    weights, _ = rig_weights(motion, rig)
    renderer = Renderer(rig, 3 * HEIGHT, "front")
    size = 3 * HEIGHT
    high, wide, bottom = 0.66 * size, 0.66 * size * WIDTH / HEIGHT, 0.92 * size
    box = ((size - wide) / 2, bottom - high, (size + wide) / 2, bottom)
    rows = [min(round(t * motion.fps), len(motion) - 1) for t in moments]
    drawn = [Image.fromarray(renderer.frame(rig.pose(weights[row]))) for row in rows]
    return [picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box) for picture in drawn]


def wave(draw: ImageDraw.ImageDraw, samples: np.ndarray, top: int, width: int) -> None:
    """The loudness outline of the sound, across the whole strip."""
    columns = np.array_split(np.abs(samples), width // 2)
    tall = np.array([c.max() for c in columns]) / max(float(np.abs(samples).max()), 1e-6)
    for i, part in enumerate(tall):
        half = 0.45 * WAVE * part
        draw.line((2 * i, top + WAVE / 2 - half, 2 * i, top + WAVE / 2 + half), fill=BAR)


def main() -> None:
    """Write the strip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini", help="an installed model or a model folder")
    model = parser.parse_args().model
    spoken = speak(TEXT, VOICE, rate=0.8)
    phones = [spoken.phones[i] for i in SHOWN]
    moments = [(p.start_s + p.end_s) / 2 for p in phones]
    width = len(phones) * WIDTH
    strip = Image.new("RGB", (width, TOP + WAVE + 6), PAPER)
    draw, font = ImageDraw.Draw(strip), ImageFont.truetype(findfont("DejaVu Sans"), 18)
    wave(draw, spoken.samples, TOP, width)
    for i, (phone, moment, face) in enumerate(
        zip(phones, moments, faces(spoken, moments, model), strict=True)
    ):
        middle, at = (i + 0.5) * WIDTH, moment / spoken.seconds * width
        strip.paste(face, (i * WIDTH, 0))
        draw.line((middle, HEIGHT + LABEL, at, TOP, at, TOP + WAVE), fill=MARK, width=2)
        draw.text((middle, HEIGHT + LABEL / 2), f"/{phone.ipa}/", fill=INK, font=font, anchor="mm")
    strip.quantize(200, dither=Image.Dither.NONE).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
