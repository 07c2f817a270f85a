"""One's own recordings, made up: a GRID speaker with tracked weights, FACEGOOD's recordings, an ordinary folder of takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unitalker.annotations.layouts import LAYOUTS, RULES
from unitalker.audio import write_sound
from unitalker.data.importers.grid import ALIGN_UNITS, DEVELOPMENT_CLIPS
from unitalker.data.likes import Size
from unitalker.data.likes.talk import NAMES, talk

RATE = 16000
VIDEO_FPS, RIG_FPS = 25.0, 30.0
SILENCE = 0.32
"""Seconds of closed mouth before and behind each GRID sentence: 8 frames."""
LATE = 1
"""Frames by which FACEGOOD's motion is late."""


def make_grid(out: Path, size: Size) -> Path:
    """grid_s1.npz and audio/*.flac: one speaker, with as many clips for training as asked for and all that the corpus
    keeps for development, since that is told by their number."""
    rng = np.random.default_rng(size.seed)
    count = size.people * size.takes + DEVELOPMENT_CLIPS
    names = ("_neutral", *sorted(name for name in NAMES if name != "tongueOut"))
    (out / "audio").mkdir()
    clips, weights, words = [f"b{number:05d}a" for number in range(count)], [], []
    rest, end = round(SILENCE * ALIGN_UNITS), round((size.seconds + 2 * SILENCE) * ALIGN_UNITS)
    for clip in clips:
        said = talk(size.seconds, VIDEO_FPS, rng, RATE)
        write_sound(out / "audio" / f"{clip}.flac", np.pad(said.samples, round(SILENCE * RATE)), RATE)
        own = np.pad(said.weights, ((round(SILENCE * VIDEO_FPS),) * 2, (0, 0)))
        columns = [np.zeros(len(own)) if n == "_neutral" else own[:, NAMES.index(n)] for n in names]
        weights.append(np.stack(columns, 1).astype(np.float16))
        words.append(f"0 {rest} sil|{rest} {end - rest} bin|{end - rest} {end} sil")
    np.savez_compressed(
        out / "grid_s1.npz",
        allow_pickle=False,
        clip=np.array(clips),
        arkit_mp=np.stack(weights),
        names=np.array(names),
        valid=np.ones(np.stack(weights).shape[:2], bool),
        align=np.array(words),
        transcript=np.array(["sil bin sil"] * count),
        fps=np.float32(VIDEO_FPS),
    )
    return out


def make_facegood(out: Path, size: Size) -> Path:
    """1114_2_01 … 03 as .npz (116 channels of the rig, and ARKit's) and .flac, of all takes one after the other; the
    motion is a frame late, as the published one is."""
    rng = np.random.default_rng(size.seed)
    rule = next(rule for rule in RULES if rule.source == "facegood116")
    raw = LAYOUTS["facegood116"].names
    for number in (1, 2, 3):
        said = talk(size.seconds * size.takes * size.people, RIG_FPS, rng, RATE)
        late = np.concatenate([said.weights[:1].repeat(LATE, 0), said.weights[:-LATE]])
        values = np.zeros((len(late), len(raw)), np.float32)
        for arkit, channels in rule.channels.items():
            for channel in channels:
                values[:, raw.index(channel)] = late[:, NAMES.index(arkit)]
        write_sound(out / f"1114_2_0{number}.flac", said.samples, RATE)
        np.savez_compressed(
            out / f"1114_2_0{number}.npz",
            allow_pickle=False,
            raw116=values,
            raw_names=np.array(raw),
            arkit=late,
            names=np.array(NAMES),
            fps=np.float32(RIG_FPS),
        )
    return out


def make_folder(out: Path, size: Size) -> Path:
    """<subject>/take1.wav beside take1.npy, weights with their names in names.txt."""
    rng = np.random.default_rng(size.seed)
    for person in range(size.people):
        (out / f"speaker{person + 1}").mkdir()
        for take in range(size.takes):
            said = talk(size.seconds, RIG_FPS, rng, RATE)
            path = out / f"speaker{person + 1}" / f"take{take + 1}"
            write_sound(path.with_suffix(".wav"), said.samples, RATE)
            np.save(path.with_suffix(".npy"), said.weights)
    (out / "names.txt").write_text("\n".join(NAMES))
    return out
