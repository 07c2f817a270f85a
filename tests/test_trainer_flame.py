"""Training on FLAME numbers: errors on the user's own model against naive skinning, sentences, cards."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from slow_flame import naive_skinning, random_flame
from training_sets import paper_run, small_model, write_clips
from unitalker.annotations.cards import load_card, save_card
from unitalker.annotations.flame import DIM, FLAME_NAMES, FlameModel, save_flame
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.config import TrainConfig
from unitalker.errors import AnnotationError
from unitalker.models import checkpoint
from unitalker.training.session import load_sources, open_run

ROWS, LIPS = (2, 9, 4, 5), np.array([3, 11])
CARD = FlameAnnotation(
    "dad", 30, "flame", FLAME_NAMES, regions={"lips": LIPS}, rows=ROWS, relative=False, head_weight=1e-4
)
"""As the importer of released checkpoints makes it with the release's resources."""


def flame_run(
    folder: Path, card: FlameAnnotation = CARD, **changes: object
) -> tuple[TrainConfig, FlameModel]:
    """A run on a dataset of FLAME numbers with a small random model of twelve vertices, beside the mesh's."""
    model = random_flame()
    paper_run(folder)
    write_clips(folder, "film", "dad", 30, [0.8, 1.1, 0.9], 3)
    save_card(card, folder / "cards")
    save_flame(model, folder / "flame.npz")
    sources = [{"path": str(folder / name)} for name in ("one", "film")]
    return paper_run(folder, sources=sources, **{"flame": str(folder / "flame.npz")} | changes), model


def seen(model: FlameModel, numbers: np.ndarray) -> np.ndarray:
    """Every vertex (T, V, 3) in metres by the second implementation."""
    pose = np.zeros((len(numbers), 5, 3))
    pose[:, 2] = numbers[:, 400:403]
    return np.stack([naive_skinning(model, n[:400], p) for n, p in zip(numbers, pose, strict=True)])


@pytest.mark.parametrize("rows", [ROWS, ()])
def test_errors_are_those_of_the_model_the_run_names(tmp_path: Path, rows: tuple[int, ...]) -> None:
    config, model = flame_run(tmp_path, dataclasses.replace(CARD, rows=rows))
    face = load_sources(config, cards=tmp_path / "cards")[1]["dad"]
    bare = load_sources(config.model_copy(update={"flame": None}), cards=tmp_path / "cards")[1]["dad"]
    assert face.has_lips and not bare.has_lips
    guess, true = 0.3 * np.random.default_rng(0).standard_normal((2, 4, DIM)).astype(np.float32)
    numbers = np.square(guess - true).mean(1)
    apart = (seen(model, guess) - seen(model, true))[:, list(rows or range(12))]
    naive = 1e4 * np.square(apart).mean((1, 2)) + 1e-4 * numbers
    got, alone = (a.loss(torch.tensor(guess), torch.tensor(true)).numpy() for a in (face, bare))
    np.testing.assert_allclose(got, naive, rtol=1e-4)
    np.testing.assert_allclose(alone, numbers, rtol=1e-5)


def test_errors_in_metres_without_those_of_numbers_are_the_releases(tmp_path: Path) -> None:
    config, model = flame_run(tmp_path, dataclasses.replace(CARD, error_metres=1.0, head_weight=0.0))
    face = load_sources(config, cards=tmp_path / "cards")[1]["dad"]
    guess, true = 0.3 * np.random.default_rng(0).standard_normal((2, 4, DIM)).astype(np.float32)
    naive = np.square((seen(model, guess) - seen(model, true))[:, list(ROWS)]).mean((1, 2))
    got = face.loss(torch.tensor(guess), torch.tensor(true)).numpy()
    np.testing.assert_allclose(got, naive, rtol=1e-4)


def test_validation_is_lve_of_the_skinned_lips(tmp_path: Path) -> None:
    config, model = flame_run(tmp_path, validate_epochs=1, ema=0.9, lr=3e-3)
    told: list[str] = []
    open_run(config, tmp_path / "run", say=told.append).run(workers=0)
    assert "dad: the loss looks at 4 of 12 vertices of the FLAME model; 2 lip vertices" in told
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    figure = [line["val.film.lve"] for line in lines if "val.score" in line][-1]
    made = checkpoint.load(tmp_path / "run" / "model").model
    samples, _ = soundfile.read(tmp_path / "film" / "2.wav", dtype="float32")
    true = np.load(tmp_path / "film" / "2.npy")
    with torch.inference_mode():
        who = made.embed({"film/s0": 1.0})
        codes = made(torch.tensor(samples[None]), who, 30, len(true), ["dad"])["dad"][0].numpy()
    gap = (seen(model, codes) - seen(model, true))[:, LIPS]
    assert figure == pytest.approx(np.square(gap).sum(-1).max(-1).mean(), rel=1e-3)
    resumed = open_run(config, tmp_path / "run", say=told.append).annotations["dad"]
    assert isinstance(resumed, FlameAnnotation) and resumed.model is not None and resumed.rows == ROWS


def test_what_the_card_does_not_tell_is_said(tmp_path: Path) -> None:
    config, _ = flame_run(tmp_path, dataclasses.replace(CARD, rows=(), regions={}))
    told: list[str] = []
    open_run(config, tmp_path / "run", say=told.append)
    assert (
        "dad: the loss looks at all 12 vertices of the FLAME model; no lip vertices (its card does not tell them)"
    ) in told
    other = paper_run(tmp_path, flame=config.flame, model=small_model())
    open_run(other, tmp_path / "other", say=told.append)
    assert "flame has no use in this run: none of its datasets has FLAME numbers" in told


def test_files_that_do_not_fit_are_told(tmp_path: Path) -> None:
    config, _ = flame_run(tmp_path, flame=str(tmp_path / "generic_model.pkl"))
    with pytest.raises(AnnotationError, match=r"data import flame generic_model\.pkl flame\.npz"):
        open_run(config, tmp_path / "run")
    config, _ = flame_run(tmp_path / "far", dataclasses.replace(CARD, rows=(3, 5022)))
    with pytest.raises(AnnotationError, match=r"vertices up to 5022 \(rows\), the FLAME model has 12"):
        open_run(config, tmp_path / "run")


def test_rows_stand_in_the_card(tmp_path: Path) -> None:
    save_card(CARD, tmp_path)
    back = load_card(tmp_path / "dad.json")
    assert isinstance(back, FlameAnnotation) and back.rows == ROWS
    assert np.array_equal(back.regions["lips"], LIPS) and not back.relative
