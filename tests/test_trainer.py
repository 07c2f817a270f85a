"""The trainer's parts against PyTorch and closed forms: gradients, optimisers, schedules, averages, validation."""

from __future__ import annotations

import functools
import json
import math
import os
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training_sets import cards, paper_run, small_model
from unitalker.annotations.cards import save_card
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.config import TrainConfig
from unitalker.errors import ConfigError
from unitalker.models import checkpoint
from unitalker.training import optimisation
from unitalker.training.batches import Batch, collate
from unitalker.training.clips import Clips
from unitalker.training.session import load_sources, open_run
from unitalker.training.trainer import Trainer
from unitalker.training.validation import Best


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def one_step(folder: Path, run: str, **changes: Any) -> Trainer:
    trainer = open_run(paper_run(folder, steps=1, epochs=None, **changes), folder / run)
    trainer.run(workers=0)
    return trainer


def gradients(trainer: Trainer, batches: list[Batch]) -> dict[str, torch.Tensor]:
    trainer.optimiser.zero_grad()
    for part, batch in enumerate(batches):
        trainer._backward(batch, part, last=part == len(batches) - 1)
    return {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None}


def test_two_batches_of_two_are_one_of_four(tmp_path: Path) -> None:
    changes = {"warmup_epochs": 0, "optimiser": "adam"}
    whole = open_run(paper_run(tmp_path, batch=4, **changes), tmp_path / "whole")
    parts = open_run(paper_run(tmp_path, batch=2, accumulate=2, **changes), tmp_path / "parts")
    for head in ("mesh", "weights"):
        for trainer in (whole, parts):
            torch.nn.init.constant_(trainer.model.heads[head].weight, 0.01)  # pyright: ignore
    wanted = gradients(whole, [whole.batches[0]])
    found = gradients(parts, [parts.batches[0], parts.batches[1]])
    assert wanted.keys() == found.keys() and len(wanted) > 20
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-8)
    assert whole.steps == parts.steps


def test_a_step_of_adam_is_its_formula(tmp_path: Path) -> None:
    trainer = open_run(paper_run(tmp_path, steps=1, epochs=None, warmup_epochs=0), tmp_path / "run")
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    moved = gradients(trainer, [trainer.batches[0]])
    trainer.run(workers=0)
    for name, parameter in trainer.model.named_parameters():
        if name in moved:
            g = moved[name]
            wanted = before[name] - 1e-3 * g / (g.abs() + 1e-8)
            torch.testing.assert_close(parameter.detach(), wanted, rtol=1e-4, atol=1e-7)


def test_gradients_are_clipped_only_where_asked(tmp_path: Path) -> None:
    trainer = open_run(paper_run(tmp_path, clip_norm=1e-3, warmup_epochs=0), tmp_path / "run")
    free = gradients(trainer, [trainer.batches[0]])
    norm = math.sqrt(sum(float(g.square().sum()) for g in free.values()))
    assert norm > 1e-3
    trainer._move()
    clipped = [p.grad for p in trainer.trained if p.grad is not None]
    assert math.sqrt(sum(float(g.square().sum()) for g in clipped)) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("step", [0, 3, 9, 10, 14, 59, 109])
def test_schedules_are_their_formulas(step: int) -> None:
    data = {"sources": [{"path": "a"}], "lr": 2.0}
    flat = TrainConfig.parse(data | {"schedule": "constant", "ramp": 0.0})
    assert optimisation.learning_rate(flat, step, 110, 10) == 2.0
    cosine = TrainConfig.parse(data | {"schedule": "cosine", "ramp": 0.1})
    wanted = 2.0 * min(1.0, (step % 10 + 1 if step < 20 else 10) / 10)
    if step >= 10:
        wanted *= 0.02 + 0.98 * (1 + math.cos(math.pi * (step - 10) / 100)) / 2
    assert optimisation.learning_rate(cosine, step, 110, 10) == pytest.approx(wanted)


def test_average_is_the_running_one_and_applies_to_the_bit() -> None:
    model = torch.nn.Linear(3, 2)
    average = optimisation.Average(model, 0.9)
    wanted = model.weight.detach().clone()
    for step in range(30):
        torch.nn.init.normal_(model.weight)
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.tensors["weight"], wanted)
    own = model.weight.detach().clone()
    with average.applied():
        assert torch.equal(model.weight, average.tensors["weight"])
    assert torch.equal(model.weight, own)


@pytest.mark.parametrize(
    ("changes", "moving"),
    [
        ({"freeze": ("encoder",)}, {"decoder", "identities", "heads"}),
        ({"freeze": ("decoder", "identities")}, {"encoder", "heads"}),
        ({"only_heads": True}, {"heads"}),
    ],
)
def test_frozen_parts_stay(tmp_path: Path, changes: dict[str, Any], moving: set[str]) -> None:
    trainer = open_run(paper_run(tmp_path, warmup_epochs=0, **changes), tmp_path / "run")
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    trainer.run(workers=0)
    found = {part for part, name, p in optimisation.parts(trainer.model) if not torch.equal(p, before[name])}
    assert found == moving


def test_everything_frozen_is_refused(tmp_path: Path) -> None:
    frozen = paper_run(
        tmp_path, warmup_epochs=0, freeze=("encoder", "decoder", "identities", "heads"), phone_weight=0.0
    )
    with pytest.raises(ConfigError, match="Every part of the model is frozen"):
        open_run(frozen, tmp_path / "run")


def test_epochs_and_warm_up_count_steps(tmp_path: Path) -> None:
    trainer = open_run(paper_run(tmp_path, epochs=3), tmp_path / "run")
    assert (trainer.steps, trainer.warm_up) == (12, 4)
    assert [trainer.batches.epochs_done(s) for s in (3, 4, 5, 8)] == [None, 1, None, 2]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 5}, "Give steps or epochs, not both"),
        ({"warmup_steps": 5}, "Give warmup_steps or warmup_epochs, not both"),
        ({"validate_steps": 5, "validate_epochs": 5}, "Give validate_steps or validate_epochs"),
        ({"patience": 5}, "Patience needs validation"),
        ({"device": "tpu"}, "device"),
        ({"optimiser": "sgd"}, "'adamw' or 'adam'"),
        ({"freeze": ("mouth",)}, "'encoder', 'decoder', 'identities' or 'heads'"),
    ],
)
def test_settings_that_contradict_are_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        paper_run(tmp_path, **changes)


def test_what_needs_a_gpu_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="precision 'fp16' needs a GPU"):
        open_run(paper_run(tmp_path, precision="fp16"), tmp_path / "run")
    with pytest.raises(ConfigError, match="device 'cuda:3' needs GPU number 3; PyTorch sees 0"):
        open_run(paper_run(tmp_path, device="cuda:3"), tmp_path / "run")


def test_a_batch_too_small_for_the_processes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(
        ConfigError, match="2 would leave some of 3 processes idle; use --set batch=3 or more"
    ):
        open_run(paper_run(tmp_path, batch=2), tmp_path / "run")


def test_bf16_is_close_to_fp32(tmp_path: Path) -> None:
    runs = [open_run(paper_run(tmp_path, precision=p), tmp_path / p) for p in ("fp32", "bf16")]
    for trainer in runs:
        for head in trainer.model.heads.values():
            torch.nn.init.constant_(head.weight, 0.01)  # pyright: ignore
    exact, rounded = (gradients(trainer, [trainer.batches[0]])["heads.mesh.weight"] for trainer in runs)
    assert not torch.equal(exact, rounded)
    assert float((exact - rounded).norm() / exact.norm()) < 0.03


@pytest.mark.parametrize(
    "decoder",
    [
        {"kind": "transformer", "width": 16, "identity_dim": 8, "layers": 1, "heads": 2},
        {"kind": "transformer_decoder", "width": 16, "heads": 2},
        {"kind": "autoregressive", "width": 16, "heads": 2},
        {"kind": "autoregressive", "width": 16, "heads": 2, "teacher_forcing": True},
    ],
)
def test_every_decoder_trains(tmp_path: Path, decoder: dict[str, Any]) -> None:
    changes = {
        "model": small_model(decoder=decoder),
        "warmup_epochs": 0,
        "lr": 3e-3,
        "epochs": 6,
        "pivot": 0.0,
    }
    trainer = open_run(paper_run(tmp_path, **changes), tmp_path / "run")
    trainer.run(workers=0)
    told = [line["mesh"] for line in lines(tmp_path / "run") if "mesh" in line]
    assert np.mean(told[-4:]) < np.mean(told[:4])


def test_validation_is_lve_of_the_meshes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer = open_run(paper_run(tmp_path, validate_epochs=1, ema=0.9, lr=3e-3), run)
    trainer.run(workers=0)
    told = [line for line in lines(run) if "val.score" in line]
    assert [line["step"] for line in told] == [4, 8]
    model = checkpoint.load(run / "model").model
    mesh = trainer.annotations["mesh"]
    import soundfile

    samples, _ = soundfile.read(tmp_path / "one" / "5.wav", dtype="float32")
    true = np.load(tmp_path / "one" / "5.npy")
    with torch.inference_mode():
        identity = model.embed({"one/s1": 1.0})
        codes = model(torch.tensor(samples[None]), identity, 25, len(true), ["mesh"])["mesh"][0].numpy()
    gap = mesh.vertices(mesh.decode(codes), np.zeros((12, 3))) - mesh.decode(mesh.encode(true)).reshape(
        -1, 12, 3
    )
    lve = (gap[:, :4] ** 2).sum(-1).max(-1).mean()
    assert told[-1]["val.one.lve"] == pytest.approx(lve, rel=1e-4)
    still = (mesh.decode(mesh.encode(true)).reshape(-1, 12, 3)[:, :4] ** 2).sum(-1).max(-1).mean()
    assert trainer.validation is not None
    assert told[-1]["val.score"] < 1
    two = told[-1]["val.score"] * 2 - told[-1]["val.one.lve"] / still
    assert 0 < two < 1.5


@pytest.mark.parametrize("repeat", [0.2, 3.0])
def test_validation_takes_each_clip_once(tmp_path: Path, repeat: float) -> None:
    sources = [{"path": str(tmp_path / name), "repeat": repeat} for name in ("one", "two")]
    paper_run(tmp_path)
    trainer = open_run(paper_run(tmp_path, validate_epochs=1, sources=sources), tmp_path / "run")
    assert trainer.validation is not None
    clips = trainer.validation.clips
    rows = [clips[i] for i in range(clips.steps_of(1))]
    assert sum(len(batch.identity) for batch in rows) == 2


@pytest.mark.parametrize("changes", [{}, {"adaptor": "after_decoder", "grid": "clock"}])
@pytest.mark.parametrize("batching", ["clips", "crops"])
def test_nothing_is_computed_beside_the_model(
    tmp_path: Path, batching: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device without memory refuses to meet another device's tensors, as a GPU would."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    usual = {"batching": batching, "phone_weight": 0.1, "closure_weight": 0.5, "augment": {"bands": 1.0}}
    trainer = open_run(paper_run(tmp_path, model=small_model(**changes), **usual), tmp_path / "run")
    trainer.objective.to("meta")
    loss, figures = trainer.objective(trainer.batches[0].to(torch.device("meta")))
    loss.backward()
    told = [loss, *(x for pair in figures.values() for x in pair)]
    assert {x.device.type for x in told} == {"meta"} and set(figures) >= {"mesh", "weights"}


def test_a_basis_fitted_on_the_way_has_the_releases_weight(tmp_path: Path) -> None:
    config = paper_run(tmp_path)
    whole = cards(tmp_path)["mesh"]
    assert isinstance(whole, VertexAnnotation)
    save_card(replace(whole, basis=None, head_weight=7.0), tmp_path / "one" / "annotations")
    mesh = load_sources(config.model_copy(update={"sources": config.sources[:1], "cards": None}))[1]["mesh"]
    assert isinstance(mesh, VertexAnnotation) and mesh.basis is not None
    assert mesh.head_weight == pytest.approx(0.01 * mesh.basis.scale**2)
    true, guess = torch.zeros(mesh.head_dim), torch.ones(mesh.head_dim) / mesh.basis.scale
    gap = mesh.decode(guess[None].numpy()) - mesh.decode(true[None].numpy())
    assert float(mesh.loss(guess, true)) == pytest.approx(np.square(gap).mean() + 0.01, rel=1e-5)


def test_a_run_goes_on_with_an_average_but_not_with_other_frozen_parts(tmp_path: Path) -> None:
    config = paper_run(tmp_path, epochs=None, steps=2, warmup_epochs=0)
    open_run(config, tmp_path / "run").run(workers=0)
    longer = config.model_copy(update={"steps": 3, "ema": 0.9})
    trainer = open_run(longer, tmp_path / "run")
    trainer.run(workers=0)
    last, mean = trainer.model.heads["mesh"].weight, trainer.average.tensors["heads.mesh.weight"]
    assert trainer.step == 3 and mean.abs().sum() > 0 and not torch.equal(last, mean)
    with pytest.raises(ConfigError, match="other parts frozen"):
        open_run(longer.model_copy(update={"freeze": ("encoder",)}), tmp_path / "run")


def test_patience_ends_a_run_and_best_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = paper_run(tmp_path, epochs=9, validate_epochs=1, patience=2)
    said: list[str] = []
    trainer = open_run(config, tmp_path / "run", say=said.append)
    scores = iter([0.9, 0.7, 0.8, 0.75, 0.1])
    weights: list[torch.Tensor] = []

    def measure(objective: Any, *_: object) -> dict[str, float]:
        weights.append(objective.model.heads["mesh"].weight.detach().clone())
        return {"val.score": next(scores)}

    monkeypatch.setattr(trainer.validation, "measure", measure)
    trainer.run(workers=0)
    assert trainer.step == 16 and "stopped after step 16; best/ has a score of 0.7" in said[-1]
    best = checkpoint.load(tmp_path / "run" / "best").model
    assert torch.equal(best.heads["mesh"].weight, weights[1])  # pyright: ignore
    again = open_run(config, tmp_path / "run")
    again.run(workers=0)
    assert again.step == 16


def test_best_waits() -> None:
    best = Best()
    assert [best.take(s) for s in (1.0, 0.5, 0.6, math.nan, 0.4)] == [True, True, False, False, True]
    assert (best.score, best.waited) == (0.4, 0)


def test_validation_without_clips_is_told(tmp_path: Path) -> None:
    config = paper_run(tmp_path, validate_epochs=1)
    for name in ("one", "two"):
        path = tmp_path / name / "dataset.json"
        path.write_text(path.read_text().replace('"val"', '"train"'))
    with pytest.raises(ConfigError, match="No dataset has clips for validation"):
        open_run(config, tmp_path / "run")


def test_the_run_folder_says_what_was_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = paper_run(tmp_path, epochs=1)
    open_run(config, run).run(workers=0)
    open_run(config, run).run(workers=0)
    assert TrainConfig.load(run / "train.json") == config
    begun = json.loads((run / "environment.json").read_text())
    assert [entry["step"] for entry in begun] == [0, 4]
    assert begun[0]["packages"]["torch"] == torch.__version__.split("+")[0] or torch.__version__
    assert begun[0]["device"] == "cpu" and begun[0]["processes"] == 1 and begun[0]["command"]
    assert [line["step"] for line in lines(run)] == [1, 2, 3, 4]


def test_metrics_of_steps_that_are_trained_once_more_are_dropped(tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer = open_run(paper_run(tmp_path, epochs=1), run)
    run.mkdir()
    (run / "metrics.jsonl").write_text('{"step": 3}\n{"step": 7}\n{"ste')
    trainer.folder.begin(trainer.config, 5, {})
    assert (run / "metrics.jsonl").read_text() == '{"step": 3}\n'


def test_tensorboard_has_the_figures(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = tmp_path / "run"
    open_run(paper_run(tmp_path, epochs=1, tensorboard=True), run).run(workers=0)
    events = reader.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    shown = {e.step: e.value for e in events.Scalars("mesh")}
    assert shown == {line["step"]: pytest.approx(line["mesh"]) for line in lines(run) if "mesh" in line}


def test_tensorboard_without_its_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    trainer = open_run(paper_run(tmp_path, tensorboard=True), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"pip install 'unitalker\[tensorboard\]'"):
        trainer.run(workers=0)


def test_codes_and_values_train_alike_and_residuals_complete_the_error(tmp_path: Path) -> None:
    config = paper_run(tmp_path)
    sources, faces, _ = load_sources(config, cards=tmp_path / "cards")
    names = [s.identity(c) for s in sources for c in s.clips]
    clips = Clips(sources, faces, names, config)
    item = clips._item(0, np.random.default_rng(0))
    values = np.load(tmp_path / "one" / "0.npy")
    mesh = faces["mesh"]
    outside = ((values - mesh.decode(item.codes)) ** 2).sum(1)
    trainer = open_run(config, tmp_path / "run")
    item.residual = outside.astype(np.float32)
    wanted = (values**2).mean() + 0.01 * (item.codes**2).mean()
    assert trainer.objective(collate([item], 1))[0].item() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    "backend",
    [
        "aot_eager",
        pytest.param(
            "inductor",
            marks=pytest.mark.skipif(
                shutil.which("c++") is None or "UNITALKER_SLOW_TESTS" not in os.environ,
                reason="a minute of C++ compilation; set UNITALKER_SLOW_TESTS=1 where there is a compiler",
            ),
        ),
    ],
)
def test_compiled_parts_train_as_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    whole = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", functools.partialmethod(whole, backend=backend))
    runs = [
        open_run(paper_run(tmp_path, compile=chosen, warmup_epochs=0, epochs=1), tmp_path / str(chosen))
        for chosen in (False, True)
    ]
    for trainer in runs:
        trainer.run(workers=0)
    assert lines(tmp_path / "True")[-1]["mesh"] == pytest.approx(
        lines(tmp_path / "False")[-1]["mesh"], rel=1e-4
    )
    assert runs[0].model.state_dict().keys() == runs[1].model.state_dict().keys()
    assert not torch.equal(runs[1].model.state_dict()["heads.mesh.weight"], torch.zeros(5, 16))
