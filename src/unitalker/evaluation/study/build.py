"""The page of a study: pairs of films, one system on each side, in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.audio import RATE, stream
from unitalker.audio.container import Film
from unitalker.errors import ConfigError, DataError, UniTalkerError
from unitalker.evaluation.study.clips import QUESTIONS, order, side_of_a
from unitalker.evaluation.study.sides import Side
from unitalker.files import atomic

KEY = "study.json"
"""File beside the page that says which side shows which system. Who answers should not have it."""
LARGEST = 300_000_000
"""Bytes of films that one page holds; browsers take no much larger pages."""
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".aac", ".mp4", ".webm", ".mov", ".mkv")
SLACK = 0.1
"""Seconds by which a film may end before its sound without being told."""


@dataclass(frozen=True)
class Look:
    """How a study looks. fps: of its films. size: height of each face in pixels. seconds: of the longest clip; what is
    longer is shown to there. title: of the page."""

    fps: float = 30.0
    size: int = 384
    seconds: float = 20.0
    title: str = "Which face fits the voice?"

    def __post_init__(self) -> None:
        if not 1 <= self.fps <= 60:
            raise ConfigError(f"The films of a study have 1 to 60 frames a second, not {self.fps:g}.")
        if not 64 <= self.size <= 1024 or self.size % 2:
            raise ConfigError(
                f"The faces of a study are an even number of 64 to 1024 pixels high, not {self.size}."
            )
        if not 0.5 <= self.seconds <= 120:
            raise ConfigError(f"The clips of a study last 0.5 to 120 s, not {self.seconds:g}.")


@dataclass(frozen=True)
class Built:
    """A study that was written. page: its HTML file. clips: those in it. problems: sentences for those that are not."""

    page: Path
    clips: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def sounds(folder: Path) -> list[Path]:
    """The sound files of a folder by name. Raises DataError where there are none, or two of one stem."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; --audio takes a folder of sound files.")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SOUNDS and p.is_file())
    if not found:
        raise DataError(f"{folder} has no sound files ({', '.join(SOUNDS)}).")
    stems: dict[str, Path] = {}
    for path in found:
        if stems.setdefault(path.stem, path) is not path:
            raise DataError(f"{stems[path.stem].name} and {path.name} in {folder} have one name; rename one.")
    return found


def build(
    a: Side,
    b: Side,
    clips: Sequence[Path],
    out: Path,
    seed: int = 0,
    look: Look | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Built:
    """Write `out`/index.html, all films in it, and the key beside it. progress: called as (clips done, clips in all).

    A clip that one of the systems cannot show is left out and told. Raises DataError where no clip is left, or where
    the films are too many for a page.
    """
    look = look or Look()
    out.mkdir(parents=True, exist_ok=True)
    names = [path.stem for path in clips]
    where = side_of_a(seed, names)
    films: dict[str, bytes] = {}
    problems: list[str] = []
    notes: list[str] = []
    for done, path in enumerate(clips, 1):
        pair = (a, b) if where[path.stem] == "left" else (b, a)
        try:
            films[path.stem] = _film(pair, path, look, out / f".film-{done}.mp4", notes)
        except UniTalkerError as fault:
            problems.append(f"{path.name} was left out: {fault}")
        if sum(map(len, films.values())) > LARGEST:
            raise DataError(
                f"The films exceed {LARGEST // 1_000_000} MB, too much for one page; give fewer or shorter clips."
            )
        if progress:
            progress(done, len(clips))
    if not films:
        raise DataError(f"No clip can be shown by both systems. {problems[0]}")
    shown = order(seed, list(films))
    facts = _facts(seed, names, shown, films)
    _write_page(facts, films, look.title, out / "index.html")
    key = facts | {"a": a.name, "b": b.name, "a_is": {clip: where[clip] for clip in shown}}
    with atomic(out / KEY) as draft:
        draft.write_text(json.dumps(key, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Built(out / "index.html", tuple(shown), tuple(problems), tuple(notes))


def _facts(seed: int, names: Sequence[str], shown: Sequence[str], films: dict[str, bytes]) -> dict[str, Any]:
    """What page and key share. The study's name is a hash of its seed and films."""
    digests = [hashlib.sha256(films[clip]).hexdigest() for clip in shown]
    return {
        "format": "unitalker.study",
        "version": 1,
        "study": hashlib.sha256(" ".join([str(seed), *digests]).encode()).hexdigest()[:16],
        "seed": seed,
        "drawn_among": sorted(names),
        "clips": list(shown),
        "questions": QUESTIONS,
    }


def _film(pair: tuple[Side, Side], sound: Path, look: Look, place: Path, notes: list[str]) -> bytes:
    """Both sides of a clip as one film with its sound, so that neither can run ahead of the other."""
    samples = _heard(sound, look.seconds)
    count = max(1, round(len(samples) / RATE * look.fps))
    shown = [_held(side, sound, look, count, notes) for side in pair]
    bar = np.full((look.size, 4, 3), 255, np.uint8)
    try:
        with Film(place, (2 * look.size + 4, look.size), look.fps, RATE) as film:
            for left, right in zip(*shown, strict=True):
                film.picture(np.concatenate([left, bar, right], axis=1))
            for start in range(0, len(samples), RATE // 10):
                film.sound(samples[start : start + RATE // 10])
        return place.read_bytes()
    finally:
        place.unlink(missing_ok=True)


def _heard(sound: Path, seconds: float) -> np.ndarray:
    """Samples (N,) of a sound, of its beginning at most `seconds`."""
    blocks, count, most = [], 0, round(seconds * RATE)
    for block in stream(str(sound)):
        blocks.append(block)
        count += len(block)
        if count >= most:
            break
    if not count:
        raise DataError(f"{sound.name} holds no sound.")
    return np.concatenate(blocks)[:most]


def _held(side: Side, sound: Path, look: Look, count: int, notes: list[str]) -> Iterator[np.ndarray]:
    """`count` pictures of one side; what ends early keeps its last picture, and that is told."""
    last: np.ndarray | None = None
    have = 0
    for last in islice(side.pictures(sound, look.fps, look.size), count):
        have += 1
        yield last
    if last is None:
        raise DataError(f"{side.name} has no picture for it.")
    if (count - have) / look.fps > SLACK:
        notes.append(
            f"{side.name} ends {(count - have) / look.fps:.2f} s before {sound.name}; its last picture stays."
        )
    yield from repeat(last, count - have)


def _write_page(facts: dict[str, Any], films: dict[str, bytes], title: str, path: Path) -> None:
    page = files("unitalker.evaluation.study").joinpath("page.html").read_text(encoding="utf-8")
    coded = {clip: base64.b64encode(film).decode() for clip, film in films.items()}
    parts = {"TITLE": _html(title), "STUDY": _script(facts), "FILMS": _script(coded)}
    with atomic(path) as draft, draft.open("w", encoding="utf-8") as file:
        for number, piece in enumerate(page.split("@@")):
            file.write(parts[piece] if number % 2 else piece)


def _script(value: Any) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("&", "\\u0026")


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
