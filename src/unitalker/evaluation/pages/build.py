"""An evaluation as one HTML file that needs nothing else: no network, no other files, no fonts."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from unitalker import __version__
from unitalker.evaluation.pages import pictures, tables
from unitalker.evaluation.pages.markup import element, plain
from unitalker.evaluation.plots.canvas import check_installed
from unitalker.evaluation.protocols.result import PartResult, Result
from unitalker.files import atomic


def check_ready() -> None:
    """Raises ConfigError where what the page is drawn with is missing."""
    check_installed()


def write_page(result: Result, path: Path) -> None:
    """Write the page of a result that was made with `Options.keep`.

    Raises ConfigError where matplotlib is missing, ExportError where the file cannot be written.
    """
    whole = page(result)
    with atomic(path) as draft:
        draft.write_text(whole, encoding="utf-8")


def page(result: Result) -> str:
    """The page as text."""
    name = result.about.get("predictions of", "predictions")
    title = f"{name} by {result.protocol.name}"
    parts = {
        "TITLE": plain(title),
        "HEAD": tables.head(result),
        "PARTS": "\n".join(_part(part, str(name), len(result.parts) > 1) for part in result.parts),
        "FOOT": plain(
            f"Made by UniTalker {__version__}. The figures are in this file as JSON too, in the element “figures”."
        ),
        "FIGURES": _script(result.to_json()),
    }
    frame = files("unitalker.evaluation.pages").joinpath("page.html").read_text(encoding="utf-8")
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(frame.split("@@")))


def _part(part: PartResult, name: str, several: bool) -> str:
    """All of one dataset."""
    inside = [
        element("h2", plain(part.name if several else part.facts["dataset"])),
        tables.facts(part),
        tables.headline(part),
        tables.figures(part),
        pictures.maps(part, name),
        pictures.phone_classes(part),
        pictures.openings(part, name),
        pictures.spread(part),
        tables.sequences(part),
        tables.masks(part),
    ]
    return element("section", "\n".join(one for one in inside if one), kind="part")


def _script(text: str) -> str:
    """JSON that may stand in a script element, without line breaks between its parts."""
    told = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    return told.replace("<", "\\u003c").replace("&", "\\u0026")
