"""Whole clips as batches: an epoch is its multiset, batches are pure functions, padding changes nothing."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from training_sets import paper_run, small_model, write_clips
from unitalker.config import TrainConfig
from unitalker.errors import DataError
from unitalker.training.batches import collate
from unitalker.training.clips import Clips
from unitalker.training.loading import load
from unitalker.training.order import Order, repeat_factors
from unitalker.training.session import load_sources, open_run


def make_order(count: int = 40, factors: tuple[float, ...] = (2.0, 1.5), **changes: object) -> Order:
    config = TrainConfig.parse({"sources": [{"path": "a"}], "batch": 4, "seed": 3} | changes)
    rng = np.random.default_rng(0)
    return Order(rng.uniform(1, 10, count), np.arange(count) % 2, np.array(factors), config)


def test_an_epoch_is_every_clip_times_its_factor() -> None:
    order = make_order()
    for epoch in (0, 5):
        seen = Counter(np.concatenate(order.epoch(epoch)).tolist())
        assert all(seen[i] == 2 for i in range(0, 40, 2))
        assert sorted(seen[i] for i in range(1, 40, 2)) == [1] * 10 + [2] * 10
    assert not np.array_equal(np.concatenate(order.epoch(0)), np.concatenate(order.epoch(5)))


def test_order_is_a_pure_function_of_seed_and_epoch() -> None:
    one, other = make_order(), make_order()
    later = [x.tolist() for x in other.epoch(7)]
    for epoch in range(7):
        one.epoch(epoch)
    assert [x.tolist() for x in one.epoch(7)] == later
    assert [x.tolist() for x in make_order(seed=4).epoch(7)] != later


@pytest.mark.parametrize("changes", [{}, {"batch_seconds": 30.0}])
def test_steps_are_found_again(changes: dict[str, object]) -> None:
    order = make_order(**changes)
    listed = [(epoch, place) for epoch in range(4) for place in range(len(order.epoch(epoch)))]
    fresh = make_order(**changes)
    assert [fresh.locate(step) for step in reversed(range(len(listed)))] == listed[::-1]
    assert order.steps_of(4) == len(listed)


def test_budget_bounds_the_padded_sound_of_a_batch() -> None:
    order = make_order(batch_seconds=30.0)
    costs = [len(step) * order.seconds[step].max() for step in order.epoch(0)]
    assert max(costs) <= 30.0
    assert np.mean(costs) > 20.0


def test_buckets_hold_clips_of_like_length() -> None:
    def padding(order: Order) -> float:
        steps = order.epoch(0)
        padded = sum(len(s) * order.seconds[s].max() for s in steps)
        return padded / sum(order.seconds[s].sum() for s in steps)

    assert padding(make_order(400, bucket=20)) < 1.1 < 1.3 < padding(make_order(400, bucket=1))


def test_balance_by_name() -> None:
    sizes = [100, 25, 400]
    assert repeat_factors(sizes, [10, 5, 1], "repeat").tolist() == [10, 5, 1]
    held = repeat_factors(sizes, [1, 1, 1], "equal") * sizes
    assert held == pytest.approx([175, 175, 175])
    rooted = repeat_factors(sizes, [1, 1, 1], "sqrt") * sizes
    assert rooted == pytest.approx(525 * np.array([10, 5, 20]) / 35)
    doubled = repeat_factors(sizes, [2, 1, 1], "equal") * sizes
    assert doubled == pytest.approx([262.5, 131.25, 131.25])


def test_batches_do_not_depend_on_what_was_asked_before(tmp_path: Path) -> None:
    config = paper_run(tmp_path)
    first, second = (open_run(config, tmp_path / run).batches for run in ("a", "b"))
    for number in (5, 0, 3):
        one = first[number]
    again = second[3]
    assert torch.equal(one.samples, again.samples) and torch.equal(one.identity, again.identity)
    assert [g.annotation for g in one.groups] == [g.annotation for g in again.groups]


def test_batches_can_be_sent_to_workers_that_are_not_forks(tmp_path: Path) -> None:
    batches = open_run(paper_run(tmp_path), tmp_path / "run").batches
    one, sent = batches[3], pickle.loads(pickle.dumps(batches))[3]
    assert torch.equal(one.samples, sent.samples) and torch.equal(one.groups[0].codes, sent.groups[0].codes)


def test_an_epoch_without_clips_is_told() -> None:
    with pytest.raises(DataError, match="An epoch of 6 clips holds none of them"):
        make_order(6, (0.1, 0.1))


def test_processes_share_a_batch(tmp_path: Path) -> None:
    config = paper_run(tmp_path)
    sources, faces, _ = load_sources(config, cards=tmp_path / "cards")
    names = [s.identity(c) for s in sources for c in s.clips]
    whole = Clips(sources, faces, names, config)[1]
    halves = [Clips(sources, faces, names, config, (rank, 2))[1] for rank in range(2)]
    rows = len(whole.identity)
    assert [len(h.identity) for h in halves] == [rows - rows // 2, rows // 2]
    assert sorted(whole.lengths.tolist()) == sorted(torch.cat([h.lengths for h in halves]).tolist())
    lone = Clips(sources, faces, names, config, (5, 6))[1]
    assert lone.idle and not any(h.idle for h in halves)


@pytest.mark.parametrize("adaptor", ["after_encoder", "after_decoder"])
def test_loss_of_a_padded_batch_is_the_mean_of_its_clips(tmp_path: Path, adaptor: str) -> None:
    trainer = open_run(paper_run(tmp_path, model=small_model(adaptor=adaptor)), tmp_path / "run")
    for head in trainer.model.heads.values():
        torch.nn.init.normal_(head.weight)
    trainer.objective.eval()
    clips = trainer.batches
    assert isinstance(clips, Clips)
    items = [clips._item(piece, np.random.default_rng(piece)) for piece in range(7)]
    assert len({len(i.samples) for i in items}) > 4
    with torch.no_grad():
        together = float(trainer.objective(collate(items, len(items)))[0])
        singles = [float(trainer.objective(collate([i], 1))[0]) for i in items]
    assert together == pytest.approx(np.mean(singles), rel=1e-5)


def test_paper_loss_is_vertex_error_plus_weighted_code_error(tmp_path: Path) -> None:
    trainer = open_run(paper_run(tmp_path), tmp_path / "run")
    clips = trainer.batches
    assert isinstance(clips, Clips)
    item = clips._item(0, np.random.default_rng(0))
    values = np.load(tmp_path / "one" / "0.npy")
    mesh = trainer.annotations["mesh"]
    true = mesh.decode(mesh.encode(values))
    wanted = (true**2).mean() + 0.01 * (mesh.encode(values) ** 2).mean()
    assert trainer.objective(collate([item], 1))[0].item() == pytest.approx(wanted, rel=1e-4)


def test_long_clips_are_cut_into_equal_pieces_that_lose_nothing(tmp_path: Path) -> None:
    config = paper_run(tmp_path, max_seconds=0.6, pivot=0.0)
    sources, faces, _ = load_sources(config, cards=tmp_path / "cards")
    names = [s.identity(c) for s in sources for c in s.clips]
    for held in (True, False):
        clips = Clips(sources, faces, names, config.model_copy(update={"held": held}))
        own = np.flatnonzero((clips.pieces["source"] == 0) & (clips.pieces["clip"] == 3))
        items = [clips._item(piece, np.random.default_rng(0)) for piece in own]
        assert len(items) == 4 and max(len(i.samples) for i in items) <= 0.64 * 16000
        whole = sources[0].read(3)
        assert whole.codes is not None
        assert np.array_equal(np.concatenate([i.codes for i in items]), whole.codes)
        sound = np.concatenate([i.samples for i in items])
        assert np.array_equal(sound, whole.samples.astype(np.float32) / 32768)
    assert "those above 0.6 s are cut, which makes" in clips.report()[0]


def test_held_clips_are_those_of_the_files(tmp_path: Path) -> None:
    config = paper_run(tmp_path, max_seconds=0.9)
    runs = [
        open_run(config.model_copy(update={"held": held}), tmp_path / f"{held}") for held in (True, False)
    ]
    held, read = (trainer.batches[2] for trainer in runs)
    assert torch.equal(held.samples, read.samples)
    assert all(torch.equal(a.codes, b.codes) for a, b in zip(held.groups, read.groups, strict=True))


def test_workers_do_not_change_a_run(tmp_path: Path) -> None:
    weights = []
    for workers in (0, 2):
        trainer = open_run(paper_run(tmp_path), tmp_path / f"run{workers}")
        trainer.run(workers=workers)
        weights.append(trainer.model.state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_vanilla_heads_predict_coordinates(tmp_path: Path) -> None:
    trainer = open_run(paper_run(tmp_path, pca=False, pivot=0.0, warmup_epochs=0), tmp_path / "run")
    assert trainer.model.config.heads == {"mesh": 36, "weights": 6}
    assert trainer.warm_up == 0
    pivot = len(trainer.model.config.identities)
    assert all(pivot not in trainer.batches[i].identity.tolist() for i in range(4))
    trainer.run(workers=0)
    again = open_run(paper_run(tmp_path, pca=False, pivot=0.0, warmup_epochs=0), tmp_path / "run")
    assert again.step == trainer.steps


def test_resting_sounds_fit_every_annotation(tmp_path: Path) -> None:
    config = paper_run(tmp_path)
    rest = write_clips(tmp_path, "rest", "weights", 30, [1.0, 1.5, 1.0], 5)
    text = (rest / "dataset.json").read_text().replace('"s0"', '"any"').replace('"s1"', '"any"')
    (rest / "dataset.json").write_text(text.replace('["any", "any"]', '["any"]'))
    data = config.model_dump() | {
        "sources": [*config.model_dump()["sources"], {"path": str(rest), "repeat": 20}]
    }
    clips = open_run(TrainConfig.parse(data), tmp_path / "run").batches
    groups = [g for number in range(6) for g in clips[number].groups]
    still = [g.annotation for g in groups for codes in g.codes if not codes.any()]
    assert set(still) == {"mesh", "weights"}


def test_a_file_that_is_no_sound_is_told(tmp_path: Path) -> None:
    config = paper_run(tmp_path, held=False)
    (tmp_path / "two" / "1.wav").write_bytes(b"not a sound")
    clips = open_run(config, tmp_path / "run").batches
    for workers in (0, 1):
        with pytest.raises(DataError, match="^two/1: its audio cannot be read"):
            list(load(clips, range(4), workers))


def test_a_clip_without_a_frame_is_told_before_training(tmp_path: Path) -> None:
    config = paper_run(tmp_path)
    path = tmp_path / "two" / "dataset.json"
    text = path.read_text()
    seconds = f'"seconds": {json.loads(text)["clips"][0]["seconds"]}'
    path.write_text(text.replace(seconds, '"seconds": 0.01', 1))
    with pytest.raises(DataError, match=r"^two/0: 0\.01 s are too short to train on"):
        open_run(config, tmp_path / "run")
