"""Text and elements of HTML; all that comes from data passes through `plain`."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable

import numpy as np
from PIL import Image


def plain(text: object) -> str:
    """Text that may stand in an element or in an attribute."""
    shown = "".join(c if c.isprintable() or c == " " else "\ufffd" for c in str(text))
    return html.escape(shown, quote=True)


def element(tag: str, inside: str, kind: str = "", **attributes: object) -> str:
    """An element around markup. kind: its class; attributes: others by name, `_` for `-`; None is left out."""
    given = {"class": kind or None, **{name.replace("_", "-"): value for name, value in attributes.items()}}
    told = "".join(f' {name}="{plain(value)}"' for name, value in given.items() if value is not None)
    return f"<{tag}{told}>{inside}</{tag}>"


def table(heads: Iterable[str], rows: Iterable[str], kind: str = "") -> str:
    """A table in a box that scrolls sideways. heads, rows: markup of the cells of the head and of whole rows."""
    body = element("thead", element("tr", "".join(heads))) + element("tbody", "\n".join(rows))
    return element("div", element("table", body, kind), "scroll")


def number(value: float, digits: int = 5) -> str:
    """A number for people: `digits` significant ones; a dash for what is none."""
    if not math.isfinite(value):
        return "–"
    shown = f"{value:.{digits}g}"
    return shown.replace("-", "−")


def picture(pixels: np.ndarray, about: str) -> str:
    """An image (H, W, 4) uint8 inside the page."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    coded = base64.b64encode(out.getvalue()).decode()
    height, width = pixels.shape[:2]
    return f'<img alt="{plain(about)}" width="{width}" height="{height}" src="data:image/png;base64,{coded}">'
