"""Sheets for charts. The only file that needs matplotlib, the optional extra `plots`."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from unitalker.errors import ConfigError, ExportError
from unitalker.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["AMBER", "BLUE", "GREY", "INK", "RED", "TEAL", "Canvas", "check_installed", "literal", "styled"]

INK, GREY = "#202124", "#8a8f98"
BLUE, RED, AMBER, TEAL = "#3b82c4", "#d9534f", "#d99a2b", "#2a9d8f"
P = ParamSpec("P")
SUFFIXES = (".png", ".svg", ".pdf")
_LOOK: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-3, 5),
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "unitalker",
    "pdf.fonttype": 42,
}
_DATED = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}
_NAMED = re.compile(r' id="(?!p[0-9a-f]{10}|m[0-9a-f]{10})[^"]*"')
_TOLD = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
"""What a page has no use for: ids that nothing refers to (clips and markers are called p… and m…), addresses."""


def check_installed() -> None:
    """Raises ConfigError where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError(
            "Charts need matplotlib, which is not installed; install the extra: pip install 'unitalker[plots]'."
        ) from None


@contextmanager
def _look() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(_LOOK), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def styled(draw: Callable[P, Canvas]) -> Callable[P, Canvas]:
    """A function that draws, in the look of all charts. Raises ConfigError where matplotlib is missing."""

    @wraps(draw)
    def drawn(*given: P.args, **named: P.kwargs) -> Canvas:
        check_installed()
        with _look():
            return draw(*given, **named)

    return drawn


def literal(words: str) -> str:
    """Words of any origin as a label: no formulas are read in them, and a first underscore does not hide them."""
    plain = _printable(words)
    return (" " if plain.startswith("_") else "") + plain.replace("$", r"\$")


def _printable(words: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in words)


class Canvas:
    """A sheet with axes in rows and columns, for `styled` functions. width, height: inches. The same drawing gives the same
    bytes."""

    def __init__(
        self,
        width: float,
        height: float,
        rows: int = 1,
        columns: int = 1,
        heights: Sequence[float] | None = None,
    ) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(width, height), layout="constrained")
        grid = self.figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
        self.axes: list[Axes] = list(grid.reshape(-1))

    def text(self, axes: Axes, x: float, y: float, words: str, **how: Any) -> None:
        """Words of any origin, as they are: no formulas are read in them, what cannot be printed is a dot."""
        axes.text(x, y, _printable(words), parse_math=False, color=how.pop("color", INK), **how)

    def svg(self) -> str:
        """An `<svg>` element for a page, in which ink has the colour of the page's text."""
        whole = self._saved(".svg").decode("utf-8")
        element = _NAMED.sub("", _TOLD.sub("", whole[whole.index("<svg") :]))
        return element.replace(INK, "currentColor")

    def save(self, path: str | Path, dpi: int = 150) -> None:
        """Write a .png, .svg or .pdf file. Raises ExportError for another suffix or where it cannot be written."""
        suffix = Path(path).suffix.lower()
        if suffix not in SUFFIXES:
            raise ExportError(f"A chart is written as {', '.join(SUFFIXES)}, not {Path(path).name!r}.")
        made = self._saved(suffix, dpi)
        with atomic(path) as draft:
            draft.write_bytes(made)

    def _saved(self, suffix: str, dpi: int = 150) -> bytes:
        out = io.BytesIO()
        with _look():
            self.figure.savefig(
                out, format=suffix[1:], dpi=dpi, metadata=_DATED[suffix], transparent=suffix == ".svg"
            )
        return out.getvalue()
