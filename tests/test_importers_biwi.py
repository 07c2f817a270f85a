"""BIWI's layout, made up: what is read, how it is split, and what other preparations and broken files are told."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unitalker.annotations.cards import load_card
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.data.dataset import open_dataset
from unitalker.data.importers import expected, import_corpus
from unitalker.data.importers.biwi import split_of
from unitalker.data.likes import Size, make_like


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_like("biwi", tmp_path_factory.mktemp("corpora") / "Bïwi of mine", Size(seconds=0.6))


def test_what_is_stored_is_the_source(corpus: Path, tmp_path: Path) -> None:
    (made,) = import_corpus("biwi", corpus, tmp_path / "biwi")
    dataset = open_dataset(made.folder)
    assert not made.problems and "train 1 of 190, val 1 of 24, test 1 of 24, test_b 3 of 32" in made.notes[0]
    assert (dataset.annotation, dataset.fps, dataset.scale, dataset.unit) == (
        "BIWI_23370_vertices",
        25,
        0.2,
        "u",
    )
    assert {c.id: c.split for c in dataset.clips} == {
        "F2_e01": "train",
        "F2_e33": "val",
        "F2_e37": "test",
        **{f"F1_e{i}": "test_b" for i in (38, 39, 40)},
    }
    templates = pickle.loads((corpus / "templates.pkl").read_bytes())
    for clip in dataset.clips:
        neutral = templates[clip.subject]
        assert np.array_equal(dataset.template(clip.subject), neutral)
        source = np.load(corpus / "vertices_npy" / f"{clip.id}.npy")
        assert np.abs(np.asarray(dataset.motion(clip)) + neutral.reshape(-1) - source).max() < 1e-6
        assert soundfile.info(dataset.path(clip.audio)).frames == 9600
    card = load_card(tmp_path / "biwi" / "annotations" / "BIWI_23370_vertices.json")
    assert isinstance(card, VertexAnnotation) and {k: len(v) for k, v in card.regions.items()} == {
        "lips": 4996,
        "upper_face": 7784,
    }
    assert np.array_equal(card.templates["biwi/F2"], templates["F2"] * np.float32(0.2))


def test_splits_are_the_published_ones() -> None:
    table = expected("biwi")
    assert table is not None and len(table.subjects) == 14
    counts: dict[str, int] = {}
    for subject in table.subjects:
        for number in range(1, 41):
            if f"{subject}_e{number:02d}" not in table.missing:
                split = split_of(subject, number)
                counts[split] = counts.get(split, 0) + 1
    assert {k: v for k, v in counts.items() if k != "unused"} == table.clips
