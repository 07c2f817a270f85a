"""Small datasets in the exact layouts of published corpora, with made-up people, so that reading, training and measuring
on each can be tried without a licensed file."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from unitalker.errors import ConfigError, DataError, unknown


@dataclass(frozen=True)
class Size:
    """How much to make. people: subjects. takes: sequences of each. seconds: of each sequence. seed: another number,
    other people and sequences."""

    people: int = 2
    takes: int = 3
    seconds: float = 1.5
    seed: int = 0


SECONDS = (0.5, 60.0)
"""Shortest and longest sequence that is made up."""

LIKES: dict[str, tuple[str, str]] = {
    "biwi": ("biwi", "make"),
    "vocaset": ("vocaset", "make"),
    "vocaset-raw": ("vocaset", "make_raw"),
    "multiface": ("multiface", "make_raw"),
    "meshtalk": ("multiface", "make"),
    "3detf-hdtf": ("etf", "make_hdtf"),
    "3detf-ravdess": ("etf", "make_ravdess"),
    "unitalker-v1": ("released", "make"),
    "beat": ("beat", "make"),
    "beat2": ("beat", "make_body"),
    "talkshow": ("talkshow", "make"),
    "talkshow-flat": ("talkshow", "make_flat"),
    "livelink": ("livelink", "make"),
    "audio2face": ("audio2face", "make"),
    "audio2face-own": ("audio2face", "make_own"),
    "mediapipe": ("mediapipe", "make"),
    "flame-npz": ("flame_npz", "make"),
    "flame-flat": ("flame_npz", "make_flat"),
    "grid": ("recordings", "make_grid"),
    "facegood": ("recordings", "make_facegood"),
    "folder": ("recordings", "make_folder"),
}
"""Layout → module here and its function (out, size), which writes the folder that an importer reads."""

READERS = {
    "vocaset-raw": "vocaset",
    "meshtalk": "multiface",
    "talkshow-flat": "talkshow",
    "audio2face-own": "audio2face",
    "flame-flat": "flame-npz",
}
"""Layout → importer that reads it, where it is called otherwise."""
FLAGS = {"flame-flat": " --fps 25", "folder": " --fps 30"}
"""What an importer must be told of a layout that does not say it."""

Maker = Callable[[Path, Size], Path]


def make_like(kind: str, out: Path, size: Size | None = None) -> Path:
    """Write a small corpus in the layout of a kind. Raises DataError for an unknown kind and a folder that is not empty,
    ConfigError for a size out of range."""
    if kind not in LIKES:
        raise DataError(unknown("layout to imitate", kind, LIKES, limit=20))
    size = size or Size()
    if not (
        1 <= size.people <= 8
        and 1 <= size.takes <= 40
        and SECONDS[0] <= size.seconds <= SECONDS[1]
        and size.seed >= 0
    ):
        raise ConfigError(
            "An imitation has 1 to 8 people with 1 to 40 takes of 0.5 to 60 s, and a seed from 0; not "
            f"{size.people}, {size.takes}, {size.seconds:g} and {size.seed}."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            f"{out} is not an empty folder; give a new one, so that nothing of yours is mixed in."
        )
    out.mkdir(parents=True, exist_ok=True)
    module, function = LIKES[kind]
    maker: Maker = getattr(import_module(f"unitalker.data.likes.{module}"), function)
    return maker(out, size)


def reader(kind: str) -> str:
    """Name of the importer that reads a layout."""
    return READERS.get(kind, kind)


def import_command(kind: str, folder: Path) -> str:
    """What to type to import a made-up corpus."""
    name = reader(kind)
    return f"unitalker data import {name} {shlex.quote(str(folder))} sets/{name}{FLAGS.get(kind, '')}"
