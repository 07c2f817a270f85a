"""Training as real processes: killed, asked to stop, gone on with, and two that are one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from training_sets import paper_run, small_model
from unitalker.cli import main

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def settings(folder: Path, **changes: Any) -> Path:
    """A settings file whose run uses everything that has a state."""
    decoder = {"width": 16, "identity_dim": 8, "dropout": 0.3}
    usual = {
        "model": small_model(decoder=decoder),
        "epochs": None,
        "steps": 40,
        "warmup_epochs": 1,
        "batch": 2,
    }
    usual |= {"accumulate": 2, "ema": 0.9, "optimiser": "adamw", "schedule": "cosine", "clip_norm": 1.0}
    usual |= {"checkpoint_steps": 4, "log_steps": 3, "validate_steps": 5}
    path = folder / "run.json"
    path.write_text(paper_run(folder, **usual | changes).model_dump_json())
    return path


def begin(*words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "unitalker.cli", "train", *map(str, words)]
    return subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def figures(run: Path) -> list[dict[str, Any]]:
    """Lines of the log without the clock's."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "time"} for line in lines]


def wait_for(run: Path, step: int) -> None:
    for _ in range(6000):
        log = run / "metrics.jsonl"
        if log.is_file() and any(f'"step": {s}' in log.read_text() for s in range(step, step + 3)):
            return
        time.sleep(0.01)
    raise AssertionError(f"the run did not come to step {step}")


def same(a: Any, b: Any, where: str = "") -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}.{i}")
    else:
        assert a == b, where


def test_a_run_that_is_killed_and_stopped_ends_as_if_it_never_was(tmp_path: Path) -> None:
    path = settings(tmp_path)
    assert main(["train", str(path), "-o", str(tmp_path / "whole"), "--workers", "0"]) == 0
    run = tmp_path / "parts"
    killed = begin(path, "-o", run)
    wait_for(run, 9)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    asked = begin(path, "-o", run, "--workers", "0")
    wait_for(run, 21)
    asked.send_signal(signal.SIGTERM)
    told = asked.communicate(timeout=60)[1]
    assert asked.returncode == 3 and "resumed at step" in told
    assert "Asked to stop: the state after step" in told
    assert main(["train", "-o", str(run), "--workers", "0"]) == 0
    states = [torch.load(r / "checkpoint.pt", weights_only=True) for r in (tmp_path / "whole", run)]
    assert states[0]["step"] == 40
    same(*states)
    assert figures(run) == figures(tmp_path / "whole")
    for name in ("model", "best"):
        same(*(load_file(r / name / "model.safetensors") for r in (tmp_path / "whole", run)))


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_two_processes_are_one(tmp_path: Path) -> None:
    path = settings(
        tmp_path, model=small_model(), batch=3, steps=8, log_steps=1, checkpoint_steps=100, validate_steps=4
    )
    assert main(["train", str(path), "-o", str(tmp_path / "one"), "--workers", "0"]) == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    words = ["-m", "unitalker.cli", "train", str(path), "-o", str(tmp_path / "two"), "--workers", "0"]
    done = subprocess.run([*launch, *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "FutureWarning" not in done.stderr
    one, two = figures(tmp_path / "one"), figures(tmp_path / "two")
    assert [line["step"] for line in two] == [line["step"] for line in one] and len(one) == 10
    for a, b in zip(one, two, strict=True):
        assert b == pytest.approx(a, rel=1e-5)
    weights = [load_file(tmp_path / r / "model" / "model.safetensors") for r in ("one", "two")]
    for key, value in weights[0].items():
        assert float((weights[1][key] - value).norm()) <= 1e-5 * float(value.norm()) + 1e-7, key
    assert json.loads((tmp_path / "two" / "environment.json").read_text())[0]["processes"] == 2
