"""Pictures of an examination: the offsets of a dataset, and face against sound of the clips at fault."""

from __future__ import annotations

from collections.abc import Sequence as Listed
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unitalker.errors import DataError
from unitalker.evaluation.doctor import offset
from unitalker.evaluation.doctor.examine import Examination
from unitalker.evaluation.doctor.findings import Finding
from unitalker.evaluation.doctor.report import decision
from unitalker.evaluation.doctor.sequence import Sequence
from unitalker.files import atomic

WIDE, HIGH, EDGE = 1100, 260, 46
"""Width of a picture, height of a panel and room for its labels, pixels."""
FACE, SOUND, GREY, INK = "#c0392b", "#2e6da4", "#c8c8c8", "#222222"
SHOWN_S = 12.0
"""Seconds of a clip that are drawn."""


class Panel:
    """One plot with its axes: x from left to right, y upwards."""

    def __init__(
        self,
        picture: ImageDraw.ImageDraw,
        row: int,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
    ):
        self.picture, self.x, self.y = picture, x, (y[0], y[1] if y[1] > y[0] else y[0] + 1)
        self.top = row * HIGH
        self.font = ImageFont.load_default(13)
        box = (EDGE, self.top + 30, WIDE - 14, self.top + HIGH - 30)
        self.box = box
        picture.rectangle(box, outline=GREY)
        picture.text((EDGE, self.top + 8), title, INK, self.font)
        for share in (0, 0.25, 0.5, 0.75, 1):
            place = box[0] + share * (box[2] - box[0])
            picture.text(
                (place, box[3] + 5), f"{x[0] + share * (x[1] - x[0]):g}", INK, self.font, anchor="ma"
            )
        for share in (0, 1):
            picture.text(
                (box[0] - 5, box[3] - share * (box[3] - box[1])),
                f"{self.y[share]:.3g}",
                INK,
                self.font,
                anchor="rm",
            )

    def at(self, x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
        """Pixels of points in the panel's units."""
        across = (np.asarray(x) - self.x[0]) / (self.x[1] - self.x[0])
        up = np.clip((np.asarray(y) - self.y[0]) / (self.y[1] - self.y[0]), 0, 1)
        left, top, right, bottom = self.box
        return [
            (float(a), float(b))
            for a, b in zip(left + across * (right - left), bottom - up * (bottom - top), strict=True)
        ]

    def line(self, x: np.ndarray, y: np.ndarray, colour: str) -> None:
        """A curve."""
        self.picture.line(self.at(x, y), colour, 2)

    def upright(self, x: float, colour: str) -> None:
        """A line from bottom to top."""
        self.line(np.array([x, x]), np.array(self.y), colour)

    def bars(self, edges: np.ndarray, heights: np.ndarray, colour: str) -> None:
        """A histogram."""
        for low, high, height in zip(edges[:-1], edges[1:], heights, strict=True):
            (a, b), (c, d) = self.at(np.array([low, high]), np.array([height, self.y[0]]))
            if height:
                self.picture.rectangle((a + 1, b, c - 1, d), colour)


def draw(seen: Examination, folder: Path, shown: int = 20) -> list[Path]:
    """Write `offsets.png` and a picture of each of the worst clips at fault. Returns the files. Raises DataError for a
    folder that cannot be made."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file; give a folder for the plots.")
    folder.mkdir(parents=True, exist_ok=True)
    made = [_saved(_offsets(seen), folder / "offsets.png")]
    faulty = [(s, f) for s, f in zip(seen.sequences, seen.findings, strict=True) if f and s.trace is not None]
    faulty.sort(key=lambda pair: -abs(pair[0].numbers.get("offset_ms", 0)))
    for number, (one, found) in enumerate(faulty[:shown], 1):
        plain = "".join(c if c.isalnum() or c in "-_" else "_" for c in one.clip.id)
        made.append(_saved(_clip(one, found), folder / f"{number:02d}_{plain}.png"))
    return made


def _offsets(seen: Examination) -> Image.Image:
    """How the offsets of all clips lie, and how sure they are."""
    told = np.array(
        [
            (s.numbers["offset_ms"], s.numbers["offset_confidence"])
            for s in seen.sequences
            if "offset_ms" in s.numbers
        ]
    )
    told = told.reshape(-1, 2)
    far = max(600.0, 20 * np.ceil(np.abs(told[:, 0]).max(initial=0) / 20)) + 20
    edges = np.arange(-far, far + 1, 20.0)
    heights = np.histogram(told[:, 0], edges)[0]
    image = Image.new("RGB", (WIDE, 2 * HIGH), "white")
    picture, across = ImageDraw.Draw(image), (float(edges[0]), float(edges[-1]))
    title = f"{seen.dataset.name}: clips by offset, ms (positive: the face is late)"
    Panel(picture, 0, title, across, (0, float(heights.max(initial=1)))).bars(edges, heights, FACE)
    below = Panel(picture, 1, "confidence of each clip over its offset, ms", across, (0, 1))
    for x, y in below.at(told[:, 0], told[:, 1]):
        picture.ellipse((x - 3, y - 3, x + 3, y + 3), FACE)
    return image


def _clip(one: Sequence, found: Listed[Finding]) -> Image.Image:
    """The mouth against what the sound suggests, and how well they agree at each lag."""
    assert one.trace is not None
    image = Image.new("RGB", (WIDE, 2 * HIGH + 20 * len(found)), "white")
    picture = ImageDraw.Draw(image)
    curves = [
        _even(side[: round(SHOWN_S * offset.GRID), 0]) for side in (one.trace.mouth, one.trace.heard_mouth)
    ]
    times = np.arange(len(curves[0])) / offset.GRID
    title = f"{one.clip.id}: the mouth (red) and what the sound suggests (blue), seconds; {decision(found)}"
    panel = Panel(picture, 0, title, (0, float(times[-1])), (-3, 3))
    for curve, colour in zip(reversed(curves), (SOUND, FACE), strict=True):
        panel.line(times, curve, colour)
    r = offset.correlations(one.trace.mouth, one.trace.heard_mouth).mean(1)
    lags = 1000 * np.linspace(-1, 1, len(r)) * (len(r) // 2) / offset.GRID
    panel = Panel(
        picture, 1, "their correlation over the lag, ms; the line is the offset", (lags[0], lags[-1]), (-1, 1)
    )
    panel.line(lags, r, FACE)
    if "offset_ms" in one.numbers:
        panel.upright(one.numbers["offset_ms"], SOUND)
    for row, finding in enumerate(found):
        picture.text((EDGE, 2 * HIGH + 20 * row), f"{finding.kind}: {finding.text}", INK, panel.font)
    return image


def _even(curve: np.ndarray) -> np.ndarray:
    return (curve - curve.mean()) / max(float(curve.std()), 1e-9)


def _saved(image: Image.Image, path: Path) -> Path:
    with atomic(path, DataError) as draft:
        image.save(draft)
    return path
