"""The demo's page: one HTML file that shows the clips by relative path, without any script."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np

from unitalker.motion import Motion

ABOUT = {
    ".mp4": "film with sound",
    ".wav": "the sound",
    ".csv": "Live Link Face curves",
    ".glb": "animated head, glTF 2.0",
    ".json": "named numbers, as text",
    ".npz": "named numbers, for NumPy",
}
CURVES = {"jawOpen": "#c2410c", "mouthPucker": "#1d4ed8", "mouthClose": "#15803d"}
STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
main{display:grid;gap:1.5rem;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr))}
article{max-width:32rem;border:1px solid #8884;border-radius:.75rem;padding:1rem}
h2{margin:0}video,audio,svg{width:100%;margin:.5rem 0}video{border-radius:.5rem;aspect-ratio:1}
svg{height:4.5rem;background:#8881;border-radius:.5rem}small,td:last-child{opacity:.75}
"""


@dataclass(frozen=True)
class Entry:
    """One clip on the page. took: seconds that animating and writing the motion files lasted; poster: picture that
    stands for the film until it plays."""

    title: str
    text: str
    motion: Motion
    files: list[Path]
    took: float
    poster: Path


def curves(motion: Motion, width: int = 600, height: int = 100) -> str:
    """A drawing of a few channels over time, each from 0 (bottom) to 1 (top)."""
    lines, shown = [], [n for n in CURVES if n in motion.names]
    for name in shown:
        values = motion.channel(name)[:: max(1, len(motion) // width)]
        x = np.linspace(0, width, len(values))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, height * (1 - values), strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{CURVES[name]}" stroke-width="2"/>')
    key = ", ".join(f'<span style="color:{CURVES[n]}">{n}</span>' for n in shown)
    box = f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{"".join(lines)}</svg>'
    return f"{box}<small>{key}, 0 to 1 over the clip</small>" if shown else ""


def article(entry: Entry) -> str:
    """One clip: film or sound, curves, links."""
    named = {p.suffix: quote(p.name) for p in entry.files}
    media = (
        f'<video controls preload="metadata" poster="{quote(entry.poster.name)}" src="{named[".mp4"]}"></video>'
        if ".mp4" in named
        else f'<audio controls src="{named.get(".wav", "")}"></audio>'
    )
    rows = "".join(
        f'<tr><td><a href="{quote(p.name)}">{escape(p.name)}</a></td><td>{ABOUT[p.suffix]}, '
        f"{p.stat().st_size / 1000:,.0f} kB</td></tr>"
        for p in entry.files
    )
    motion = entry.motion
    facts = f"{len(motion)} frames of {escape(motion.annotation)} at {motion.fps:g} a second, identity {escape(motion.identity)}"
    return (
        f"<article><h2>{escape(entry.title)}</h2><p>{escape(entry.text)}</p>{media}{curves(motion)}"
        f"<p><small>{facts}; {motion.seconds:.1f} s animated and written in {entry.took:.2f} s</small></p>"
        f"<table>{rows}</table></article>"
    )


def write_page(path: Path, entries: list[Entry]) -> Path:
    """Write the page beside the files that it shows; gives its path."""
    body = "\n".join(article(entry) for entry in entries)
    path.write_text(
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>UniTalker demo</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style>\n'
        f"<h1>UniTalker: a voice in, a face out</h1>\n<p>Nothing but the sound was given to the model. "
        f"The head is the one that comes with the package.</p>\n<main>\n{body}\n</main></html>\n",
        encoding="utf-8",
    )
    return path
