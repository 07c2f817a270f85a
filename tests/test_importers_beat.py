"""BEAT's and BEAT2's layouts, made up: values, clocks, splits, halves, long gaps, and broken files."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from unitalker.annotations.layouts import layout
from unitalker.cli import main
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.importers import expected, import_corpus
from unitalker.data.importers.beat_facts import EMOTIONS, SPEAKERS, parse, split_of
from unitalker.data.importers.beat_json import look
from unitalker.data.importers.corpus import Imported
from unitalker.data.importers.textgrid import read_words, words_within
from unitalker.data.likes import Size, make_like
from unitalker.data.likes.beat import STORED
from unitalker.errors import DataError

ARKIT = layout("arkit52").names


@pytest.fixture(scope="module")
def beat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_like("beat", tmp_path_factory.mktemp("corpora") / "Bëat of mine", Size(seconds=0.8))


def taken(kind: str, source: Path, out: Path) -> tuple[Dataset, Imported]:
    (made,) = import_corpus(kind, source, out)
    return open_dataset(made.folder), made


def face(
    folder: Path, stem: str, times: Any, rows: Any = None, names: Any = STORED, sound: float = 0
) -> Path:
    """A face file, and sound of so many seconds beside it."""
    rows = np.zeros((len(times), len(STORED))).tolist() if rows is None else rows
    frames = [{"weights": row, "time": float(t)} for row, t in zip(rows, times, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.json"
    path.write_text(json.dumps({"names": list(names), "frames": frames}))
    if sound:
        soundfile.write(folder / f"{stem}.wav", np.full(round(sound * 16000), 0.1), 16000)
    return path


def test_beat_is_read_by_name(beat: Path, tmp_path: Path) -> None:
    dataset, told = taken("beat", beat, tmp_path / "set")
    assert not told.problems and "train 2 of 1342, val 2 of 400, test 2 of 385" in told.notes[0]
    assert (dataset.annotation, dataset.fps, dataset.names) == ("arkit52", 60, ARKIT)
    assert dataset.known is not None and set(ARKIT) - set(dataset.known) == {"tongueOut"}
    assert dataset.subjects == ("1_wayne", "2_scott") and "data doctor" in told.notes[-1]
    for clip in dataset.clips:
        speaker = clip.subject.split("_")[0]
        held = json.loads((beat / speaker / f"{clip.id}.json").read_text())
        motion = np.asarray(dataset.motion(clip))
        for j, name in enumerate(ARKIT):
            stored = (
                [f["weights"][held["names"].index(name)] for f in held["frames"]] if name in STORED else 0
            )
            assert np.abs(motion[:, j] - stored).max() < 1e-6
        assert clip.language == "en" and clip.text == "syllables" and clip.words == ((0.1, 0.7, "syllables"),)
        assert clip.notes == "Speech, neutral." and len(dataset.sound(clip)[0]) == 12800
