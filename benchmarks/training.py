"""Training throughput: our trainer against a loop of one clip a step that decodes vertices (training_reference.py).

Same encoder, same clips (of the sizes of BIWI, VOCASET, Multiface and a blendshape set, as much sound of each), same
machine, in turns. Run: python benchmarks/run.py --only training, on a GPU as well.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import Row, Setting
from made_data import SIZES, Amount, Size, make
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from training_reference import ENCODER, OPTIMISER, REST, Clock, Loop

from unitalker.config import TrainConfig
from unitalker.models.presets import preset
from unitalker.training.batches import Batch
from unitalker.training.session import open_run
from unitalker.training.trainer import Trainer

GPU = torch.cuda.is_available()
SMALL = {
    "model_type": "wavlm",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
"""An encoder for a look and for tests."""


@dataclass(frozen=True)
class Plan:
    """How much is measured. architecture: of the encoder, None for WavLM base plus; batch: clips in one of ours;
    turns: how often all take their turn, which is one batch of ours and as many clips of the loop."""

    amount: Amount = Amount(seconds=75.0)
    architecture: dict[str, Any] | None = None
    batch: int = 8
    turns: int = 4
    workers: int = 0
    sizes: tuple[tuple[str, Size], ...] = tuple(SIZES.items())


def plan(setting: Setting) -> Plan:
    """The plan for a record on this machine, or for a look."""
    if setting.quick:
        small = (("biwi", Size(2000, 25.0)), ("blendshapes", SIZES["blendshapes"]))
        return Plan(Amount(12.0, (1.0, 2.0), components=64), SMALL, batch=4, turns=2, sizes=small)
    if GPU:
        return Plan(Amount(seconds=240.0), batch=32, turns=12, workers=4)
    return Plan()


def rows(setting: Setting) -> list[Row]:
    """Throughput of both, what a step's parts take, arithmetic done, and the cost of a mesh's head."""
    if not GPU:
        torch.set_num_threads(1)
    chosen = plan(setting)
    with tempfile.TemporaryDirectory() as folder:
        return [*throughput(chosen, Path(folder)), *head_cost(chosen, Path(folder))]


def settings(sets: Sequence[Path], chosen: Plan, precision: str) -> dict[str, Any]:
    """Training as the paper does: whole clips, Eq. 2, Adam, no warm-up any more, weights not averaged."""
    model = preset("unitalker-b") | {"identities": (), "heads": {"none": 1}, "default_annotation": "none"}
    model["encoder"]["pretrained"] = False
    if chosen.architecture is not None:
        model["encoder"]["architecture"] = chosen.architecture
    return {
        "model": model,
        "sources": [{"path": str(path)} for path in sets],
        "batching": "clips",
        "batch": chosen.batch,
        "loss": "paper",
        "phone_weight": 0,
        "closure_weight": 0,
        "optimiser": "adam",
        "lr": 1e-4,
        "schedule": "constant",
        "ramp": 0,
        "clip_norm": None,
        "ema": 0,
        "precision": precision,
        "epochs": 1000,
        "warmup_steps": 0,
    }


def trainer(folder: Path, sets: Sequence[Path], chosen: Plan, precision: str) -> Trainer:
    """Our trainer with these settings."""
    return open_run(TrainConfig.parse(settings(sets, chosen, precision)), folder)


def batches(run: Trainer, workers: int) -> Iterator[Batch]:
    """The run's batches through a loader like its own."""
    return iter(DataLoader(run.batches, batch_size=None, sampler=range(10**6), num_workers=workers))


def finish() -> None:
    """Until the GPU has done what it was told."""
    if GPU:
        torch.cuda.synchronize()


@dataclass
class Turns:
    """Seconds of sound trained on in a second, one figure a turn: by the wall clock and by the processor's."""

    wall: list[float]
    processor: list[float]

    def take(self, work: Callable[[], float]) -> None:
        """One turn; `work` gives the seconds of sound."""
        finish()
        wall, processor = time.perf_counter(), time.process_time()
        seconds = work()
        finish()
        self.wall.append(seconds / (time.perf_counter() - wall))
        self.processor.append(seconds / (time.process_time() - processor))


def throughput(chosen: Plan, folder: Path) -> list[Row]:
    """Rows of the loop and of ours in fp32 and bf16, in turns after one that does not count."""
    sets = [make(folder / name, name, size, chosen.amount).folder for name, size in chosen.sizes]
    ours = {p: trainer(folder / p, sets, chosen, p) for p in ("fp32", "bf16")}
    loop = Loop(ours["fp32"].model, ours["fp32"].annotations, sets)
    clips = loop.clips()
    loaders = {name: batches(run, chosen.workers) for name, run in ours.items()}

    def one_by_one() -> float:
        items = [next(clips) for _ in range(chosen.batch)]
        for item in items:
            loop.step(item)
        return sum(item.seconds for item in items)

    def together(name: str) -> float:
        batch = next(loaders[name])
        ours[name]._train_step([batch])
        return batch.seconds

    works: dict[str, Callable[[], float]] = {"loop": one_by_one}
    works |= {name: lambda name=name: together(name) for name in ours}
    found = {name: Turns([], []) for name in works}
    for turn in range(chosen.turns + 1):
        for name, work in works.items():
            (found[name] if turn else Turns([], [])).take(work)
    times = {"loop": loop_parts(loop, [next(clips) for _ in range(chosen.batch)])}
    arithmetic = {}
    for name, run in ours.items():
        batch = next(loaders[name])
        times[name], arithmetic[name] = our_parts(run, batch), (flops(run, batch), batch.seconds)
    return speed_rows(found, times, arithmetic, chosen.batch)


def speed_rows(
    found: dict[str, Turns],
    times: dict[str, dict[str, float]],
    arithmetic: dict[str, tuple[float, float]],
    batch: int,
) -> list[Row]:
    """Throughput and its ratio to the loop's, the parts of a step, and operations: (their number, seconds of sound)."""
    unit, scale, of_processor = ("TFLOP/s", 1e12, "") if GPU else ("GFLOP/s", 1e9, " of processor time")
    labels = {"loop": "one clip a step, vertices decoded, fp32"}
    labels |= {p: f"ours, {batch} clips a batch, {p}" for p in ("fp32", "bf16")}
    out = []
    for name, label in labels.items():
        wall, processor = (
            median(a / b for a, b in zip(getattr(found[name], key), getattr(found["loop"], key), strict=True))
            for key in ("wall", "processor")
        )
        against = f"{wall:.2f} × the loop; {processor:.2f} × by processor time"
        figure = f"{median(found[name].wall):.2f} s of sound a second"
        out.append(Row(f"training, {label}", figure, "" if name == "loop" else against))
    for name, parts in times.items():
        whole = sum(parts.values())
        told = ", ".join(f"{part} {100 * spent / whole:.0f} %" for part, spent in parts.items())
        rate = ""
        if name in arithmetic:
            count, seconds = arithmetic[name]
            rate = f"{count / whole / scale:.3g} {unit}, {count / seconds / 1e9:.1f} GFLOP a second of sound"
        out.append(
            Row(
                f"a step of: {labels[name]}",
                f"{whole:.2f} s{of_processor} for {batch} clips",
                f"{told}; {rate}".rstrip("; "),
            )
        )
    return out


def loop_parts(loop: Loop, items: Sequence[Any]) -> dict[str, float]:
    """Seconds of each part of the loop's steps on some clips."""
    clock = Clock(loop.device)
    for item in items:
        loop.step(item, clock)
    return clock.parts


def our_parts(run: Trainer, batch: Batch) -> dict[str, float]:
    """Seconds of each part of our step on a batch: the encoder's graph is cut off and its backward pass done apart."""
    clock, objective = Clock(run.device), run.objective
    encode = objective.features
    run.optimiser.zero_grad(set_to_none=True)
    clock.start()
    batch = batch.to(run.device)
    with run.precision.autocast():
        features = encode(batch)
        clock.stop(ENCODER[0])
        cut = features.detach().requires_grad_()
        objective.features = lambda _: cut
        loss, _ = objective(batch)
    objective.features = encode
    clock.stop(REST[0])
    loss.backward()
    clock.stop(REST[1])
    features.backward(cut.grad)
    clock.stop(ENCODER[1])
    run._move()
    clock.stop(OPTIMISER)
    return clock.parts


def flops(run: Trainer, batch: Batch) -> float:
    """Floating-point operations of a batch's forward and backward pass, matrix products and convolutions, padding too."""
    with FlopCounterMode(display=False) as counter:
        run._backward(batch, 0, last=True)
    run.optimiser.zero_grad(set_to_none=True)
    return float(counter.get_total_flops())


def head_cost(chosen: Plan, folder: Path) -> list[Row]:
    """Our step with a mesh of BIWI's size behind its head, against 52 weights; the same sound and frame rate."""
    name, mesh = chosen.sizes[0]
    same = replace(SIZES["blendshapes"], fps=mesh.fps)
    amount = replace(chosen.amount, seconds=chosen.amount.seconds / 2)
    runs = []
    for label, size in ((name, mesh), ("weights", same)):
        data = make(folder / f"head-{label}", label, size, amount).folder
        runs.append(trainer(folder / f"head-run-{label}", [data], chosen, "bf16"))
    loaders = [batches(run, chosen.workers) for run in runs]
    found = [Turns([], []) for _ in runs]
    for turn in range(chosen.turns + 1):
        for run, loader, turns in zip(runs, loaders, found, strict=True):
            batch = next(loader)
            (turns if turn else Turns([], [])).take(lambda run=run, batch=batch: one_step(run, batch))
    first, second = (median(turns.processor if not GPU else turns.wall) for turns in found)
    where = "" if GPU else " of processor time"
    head = runs[0].model.config.heads[mesh.annotation]
    return [
        Row(
            f"training, a head for {3 * mesh.vertices} numbers ({head} coefficients), bf16",
            f"{first:.2f} s of sound a second{where}",
            f"{first / second:.2f} × a head of 52 weights with the same sound",
        )
    ]


def one_step(run: Trainer, batch: Batch) -> float:
    """A step on a batch; its seconds of sound."""
    run._train_step([batch])
    return batch.seconds
