"""Speak three languages and sing a phrase, or take a recording of yours; animate it; make a page to look at.

    make demo                   English, French, Chinese, and a song
    make demo AUDIO=me.wav      your recording instead

Every clip becomes a film with sound (.mp4), Live Link Face curves (.csv), an animated head (.glb), and the numbers
(.json, .npz), all in demo/out, which demo/out/index.html shows.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
from page import Entry, write_page
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import unitalker
from unitalker import export
from unitalker.audio import RATE, read, write_wav
from unitalker.data.singing import sing
from unitalker.data.tts import speak
from unitalker.errors import UniTalkerError
from unitalker.motion import frame_count, resample

OUT = Path(__file__).with_name("out")
RECORDING = "recording"
SUFFIXES = (".csv", ".glb", ".json", ".npz")
FILM_FPS, FILM_SECONDS = 30, 60.0  # a longer recording is animated whole, but filmed only this far
LIMIT = 1800.0  # seconds of a recording; `unitalker animate` takes any length


@dataclass(frozen=True)
class Clip:
    """One thing to animate: a text for a voice (spoken, or sung), or a recording."""

    name: str
    title: str
    text: str = ""
    voice: str = "en"
    sung: bool = False
    recording: Path | None = None

    def samples(self) -> np.ndarray:
        """(N,) float32 at 16 kHz."""
        if self.recording is not None:
            return read(self.recording, limit_seconds=LIMIT).samples
        if self.sung:
            return sing(self.text, self.voice, rng=np.random.default_rng(5), tempo=100, scale="major")[
                0
            ].samples
        return speak(self.text, self.voice, rate=0.9).samples


CLIPS = (
    Clip("english", "English", "My mother bought a big blue map, and five warm loaves of bread.", "en"),
    Clip("french", "French", "Bonjour ! Ma bouche bouge avec ma voix, sans image et sans studio.", "fr"),
    Clip("chinese", "Mandarin", "你好，我的嘴巴会跟着声音动。", "zh"),
    Clip("song", "Sung", "Row, row, row your boat, gently down the stream.", "en", sung=True),
)


def animate(clip: Clip, animator: unitalker.Animator, out: Path, size: int = 512) -> Entry:
    """Write every file of one clip into `out`: the sound, the motion in each format, the film."""
    samples = clip.samples()
    write_wav(out / f"{clip.name}.wav", samples)
    begun = time.perf_counter()
    motion = animator.animate((samples, RATE))[animator.default_annotation]
    for suffix in SUFFIXES:
        motion.save(out / f"{clip.name}{suffix}")
    took = time.perf_counter() - begun
    shown = motion.with_values(motion.values[: round(FILM_SECONDS * motion.fps)])
    sound = samples[: round(FILM_SECONDS * RATE)]
    film = resample(shown, FILM_FPS, frame_count(len(sound) / RATE, FILM_FPS))
    export.write(film, out / f"{clip.name}.mp4", sound=sound, size=size)
    files = [out / f"{clip.name}{suffix}" for suffix in (".mp4", ".wav", *SUFFIXES)]
    return Entry(clip.title, clip.text, motion, files, took, poster(out / f"{clip.name}.mp4"))


def poster(film: Path) -> Path:
    """Write the picture in the middle of a film beside it, as a JPEG; gives its path."""
    path = film.with_suffix(".jpg")
    with av.open(str(film)) as opened:
        stream = opened.streams.video[0]
        frame = next(islice(opened.decode(stream), stream.frames // 2, None))
        frame.to_image().save(path, quality=85)
    return path


def remove_stale(out: Path, entries: list[Entry], clips: tuple[Clip, ...]) -> None:
    """Delete what an earlier demo wrote and this one did not: its own known names, and no input of this one."""
    fresh = {path.resolve() for entry in entries for path in (*entry.files, entry.poster)}
    fresh |= {clip.recording.resolve() for clip in clips if clip.recording is not None}
    for name in (*(clip.name for clip in CLIPS), RECORDING):
        for suffix in (".mp4", ".jpg", ".wav", *SUFFIXES):
            path = out / f"{name}{suffix}"
            if path.resolve() not in fresh:
                path.unlink(missing_ok=True)


def make(clips: tuple[Clip, ...], model: str, out: Path, console: Console, size: int = 512) -> Path:
    """Animate the clips, write the page; gives its path."""
    out.mkdir(parents=True, exist_ok=True)
    entries = []
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("Loading the model", total=len(clips))
        animator = unitalker.load(model)
        for clip in clips:
            progress.update(task, description=f"Animating and filming: {clip.title}")
            entries.append(entry := animate(clip, animator, out, size))
            line = f"{clip.title}: {entry.motion.seconds:.1f} s, motion in four formats in {entry.took:.2f} s"
            progress.console.print(line)
            progress.advance(task)
        progress.update(task, description="Done")
    page = write_page(out / "index.html", entries)
    remove_stale(out, entries, clips)
    return page


def main() -> int:
    """Parse the flags, run; one sentence on stderr and exit code 2 when something is amiss."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--audio", type=Path, help="a recording of yours, in any format")
    parser.add_argument("--model", default="mini", help="an installed model or a model folder")
    given = parser.parse_args()
    own = given.audio and (Clip(RECORDING, given.audio.name, recording=given.audio),)
    console = Console(stderr=True, highlight=False)
    try:
        page = make(own or CLIPS, given.model, OUT, console)
    except UniTalkerError as error:
        hint = " Or animate a recording of yours: make demo AUDIO=me.wav" if "tts" in str(error) else ""
        print(f"{error}{hint}", file=sys.stderr)
        return 2
    console.print(f"\nOpen [bold]{page}[/bold] in a browser: films and links to all files.", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
