"""The training benches: both sides minimise the same loss, data are what they say, all of them run at toy size."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import made_data
import sharding
import training
import training_memory
import training_reference
from common import Setting

from unitalker.annotations.cards import load_card
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.data.dataset import open_dataset, write_manifest
from unitalker.data.shards import write_shards
from unitalker.training.trainer import Trainer

SIZES = (("mesh", made_data.Size(40, 25.0, "u", 0.1)), ("weights", made_data.SIZES["blendshapes"]))
PLAN = training.Plan(
    made_data.Amount(3.0, (0.5, 1.0), components=8), training.SMALL, batch=2, turns=1, sizes=SIZES
)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, training_reference.Loop]:
    """Our trainer and the loop on the same datasets; heads that predict something, no dropout."""
    folder = tmp_path_factory.mktemp("bench")
    sets = [made_data.make(folder / name, name, size, PLAN.amount).folder for name, size in SIZES]
    ours = training.trainer(folder / "run", sets, PLAN, "fp32")
    for head in ours.model.heads.values():
        assert isinstance(head, torch.nn.Linear)
        torch.nn.init.normal_(head.weight, std=0.1)
    loop = training_reference.Loop(ours.model, ours.annotations, sets)
    for model in (ours.objective, loop.model):
        model.eval()
    return ours, loop


def test_the_loop_decodes_vertices_and_finds_our_loss(
    sides: tuple[Trainer, training_reference.Loop],
) -> None:
    """Value, and gradient of the first decoder layer, for every clip of both kinds of annotation."""
    ours, loop = sides
    ours.batches.config = ours.config.model_copy(update={"pivot": 0.0})
    items = {item.motion[0, 0, 0].item(): item for item in loop.items}
    compared = set()
    for number in range(4):
        batch = ours.batches[number]
        theirs, grown = 0.0, torch.zeros_like(loop.model.decoder.map.weight)
        for group in batch.groups:
            for row, codes in zip(group.rows, group.codes, strict=True):
                decoder = loop.decoders[group.annotation]
                whole = decoder.decode(codes) if group.annotation != "arkit52" else codes
                item = min(items.values(), key=lambda i, w=whole: distance(i, w))
                assert item.annotation == group.annotation
                assert int(item.identity) == int(batch.identity[row])
                loss = loop.loss(
                    loop.features(item.audio), item.identity, item.motion, item.template, item.annotation
                )
                (gradient,) = torch.autograd.grad(loss, loop.model.decoder.map.weight)
                theirs, grown = (
                    theirs + loss.item() / len(batch.identity),
                    grown + gradient / len(batch.identity),
                )
                compared.add(group.annotation)
        mine, _ = ours.objective(batch)
        (gradient,) = torch.autograd.grad(mine, ours.model.decoder.map.weight)
        assert mine.item() == pytest.approx(theirs, rel=1e-4)
        assert torch.allclose(gradient, grown, rtol=1e-3, atol=1e-5 * float(grown.abs().max()))
    assert compared == {"mesh40", "arkit52"}


def distance(item: training_reference.Item, motion: torch.Tensor) -> float:
    """How far a clip's first frames are from others; far where the widths differ."""
    if item.motion.shape[2] != motion.shape[1]:
        return float("inf")
    count = min(item.motion.shape[1], len(motion))
    return float((item.motion[0, :count] - item.template - motion[:count]).square().sum())


def test_the_loop_s_encoder_is_ours(sides: tuple[Trainer, training_reference.Loop]) -> None:
    ours, loop = sides
    audio = torch.randn(1, 9000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(loop.features(audio), ours.model.encoder(audio), atol=1e-5)
    moving = {n for n, p in loop.encoder.named_parameters() if p.requires_grad}
    assert moving and not any(name.startswith("feature_extractor") for name in moving)


def test_training_reads_shards_as_files(tmp_path: Path) -> None:
    """Every clip of a mesh set in codes, with its own card, through the trainer's batches."""
    whole = made_data.make(tmp_path / "whole", "faces", SIZES[0][1], PLAN.amount)
    for clip in whole.clips:
        np.save(whole.folder / f"{clip.id}.npy", np.arange(len(whole.motion(clip)), dtype=np.float32))
    clips = tuple(replace(clip, residual=f"{clip.id}.npy") for clip in whole.clips)
    write_manifest(replace(whole, clips=clips))
    cut = write_shards(open_dataset(whole.folder), tmp_path / "cut", clips=2)
    seen = []
    for folder in (whole.folder, cut):
        run = training.trainer(tmp_path / f"run-{folder.name}", [folder], replace(PLAN, batch=1), "fp32")
        rows = [run.batches[number] for number in range(len(clips))]
        sums = [(b.samples.double().abs().sum(), b.groups[0].codes.double().abs().sum()) for b in rows]
        outside = [b.groups[0].residual for b in rows]
        assert all(r is not None and r.max() == r.numel() - 1 for r in outside)
        seen.append(sorted((float(a), float(b)) for a, b in sums))
    assert seen[0] == seen[1] and len(set(seen[0])) == len(clips)


def test_made_values_are_the_made_codes_decoded(tmp_path: Path) -> None:
    size, amount = SIZES[0][1], PLAN.amount
    codes = made_data.make(tmp_path / "codes", "faces", size, amount)
    values = made_data.make(tmp_path / "values", "faces", size, amount, stored="values")
    annotation = load_card(tmp_path / "codes" / "annotations" / "mesh40.json")
    assert isinstance(annotation, VertexAnnotation) and annotation.basis is not None
    rows = annotation.basis.components
    assert np.allclose(rows @ rows.T, np.eye(8), atol=1e-5)
    for one, other in zip(codes.clips, values.clips, strict=True):
        assert one.seconds == other.seconds
        moved = values.motion(other)
        assert np.allclose(np.asarray(codes.motion(one)) @ rows, moved, atol=1e-5)
        assert 0.03 < np.sqrt(np.mean(np.square(moved))) < 0.3
        assert len(moved) == round(one.seconds * 25)
        assert len(codes.sound(one)[0]) == round(one.seconds * 16000)


def test_training_bench_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "plan", lambda _: PLAN)
    found = training.rows(Setting(quick=True))
    assert [row.what.split(",")[0] for row in found[:3]] == ["training"] * 3
    assert "× the loop" in found[1].ratio and "FLOP/s" in found[4].ratio
    assert found[-1].what.startswith("training, a head for 120 numbers (8 coefficients)")


def test_memory_bench_runs() -> None:
    ((own, whole),) = training_memory.measure(50, (100,), components=16)
    assert 50 < own < whole < 5000


def test_sharding_bench_runs() -> None:
    whole, cut = sharding.rows(Setting(quick=True))
    assert "files of their own" in whole.what and "shards of 100" in cut.what
