"""`unitalker train` and `evaluate` through the real command line, on a dataset of a few seconds made here."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unitalker.annotations.layouts import layout
from unitalker.cli import main
from unitalker.cli.train import run_settings
from unitalker.errors import ConfigError

SMALL = (
    (
        "steps=4 warmup_steps=1 batch=2 crop_seconds=1 checkpoint_steps=2 precision=fp32 phone_weight=0 "
        "model.encoder.kind=mini model.encoder.width=8 model.adaptor=after_decoder model.grid=clock "
        "model.decoder.width=8 model.identities=[x/y] model.heads={arkit52: 52} model.default_annotation=arkit52"
    )
    .replace("{arkit52: 52}", "{arkit52:_52}")
    .split()
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Folder of a dataset: four clips of two seconds whose jaw follows the loudness."""
    import soundfile

    folder = tmp_path_factory.mktemp("set")
    names = layout("arkit52").names
    clips = []
    for i, split in enumerate(["train", "train", "train", "val"]):
        times = np.arange(32000) / 16000
        beat = np.clip(np.sin(2 * np.pi * (1.5 + 0.3 * i) * times), 0, 1)
        soundfile.write(folder / f"{i}.wav", 0.3 * beat * np.sin(2 * np.pi * 220 * times), 16000)
        values = np.zeros((120, 52), np.float32)
        values[:, names.index("jawOpen")] = beat[:: 32000 // 120][:120]
        np.save(folder / f"{i}.npy", values)
        clips.append(
            {
                "id": str(i),
                "subject": "anna",
                "audio": f"{i}.wav",
                "motion": f"{i}.npy",
                "split": split,
                "seconds": 2.0,
            }
        )
    facts = {"format": "unitalker.dataset", "version": 1, "name": "tiny", "annotation": "arkit52", "fps": 60}
    facts |= {"unit": "weight", "names": names, "subjects": ["anna"], "clips": clips}
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


def sets(*texts: str) -> list[str]:
    return [part for text in texts for part in ("--set", text.replace(":_", ": "))]


def test_train_stop_go_on_and_use(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    common = ["train", "--workers", "0"]
    assert main([*common, "--data", str(dataset), "-o", "whole", *sets(*SMALL)]) == 0
    told = capsys.readouterr().err
    assert "step 4 of 4" in told and "step 4: arkit52 " in told
    (line,) = Path("whole/metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 4 and json.loads(line)["arkit52"] > 0
    assert main([*common, "--data", str(dataset), "-o", "parts", "--minutes", "0", *sets(*SMALL)]) == 0
    assert "step 1 of 4" in capsys.readouterr().err
    assert main([*common, "-o", "parts"]) == 0
    assert "step 4 of 4" in capsys.readouterr().err
    from safetensors.numpy import load_file

    whole, parts = (load_file(f"{run}/model/model.safetensors") for run in ("whole", "parts"))
    assert {k: v.shape for k, v in whole.items()} == {k: v.shape for k, v in parts.items()}
    assert main(["animate", str(dataset / "0.wav"), "-o", "a.npz", "--model", "whole/model"]) == 0
    assert main(["evaluate", "whole/model", str(dataset), "-o", "figures.json"]) == 0
    assert "jawOpen" in capsys.readouterr().out
    assert json.loads((tmp_path / "figures.json").read_text())["facts"]["clips"] == 1


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    """A run of four steps that came to its end."""
    run = tmp_path_factory.mktemp("finished") / "run"
    assert main(["train", "--workers", "0", "--data", str(dataset), "-o", str(run), *sets(*SMALL)]) == 0
    return run


@pytest.mark.parametrize("left", [0, 10, 0.5, 0.999])
def test_a_broken_checkpoint_is_one_sentence_with_its_remedy(finished, tmp_path, capsys, left):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    capsys.readouterr()
    place = run / "checkpoint.pt"
    whole = place.read_bytes()
    place.write_bytes(whole[: int(left * len(whole)) if left < 1 else left])
    words = ["train", "--workers", "0", "-o", str(run), "--set", "steps=5"]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert f"{place} is broken" in told and "restore it" in told and f"--start {run}" in told
    assert "Traceback" not in told
    place.unlink()
    assert main([*words, "--start", str(run)]) == 0
    assert "step 5 of 5" in capsys.readouterr().err


def test_a_frozen_encoder_begins_with_a_run(finished, dataset, tmp_path):
    from safetensors.numpy import load_file

    words = ["train", "--workers", "0", "--data", str(dataset), "-o", str(tmp_path / "run"), *sets(*SMALL)]
    assert main([*words, "--only-head", "--start", str(finished), "--minutes", "0"]) == 0
    assert main(["train", "--workers", "0", "-o", str(tmp_path / "run")]) == 0
    old, new = (load_file(run / "model" / "model.safetensors") for run in (finished, tmp_path / "run"))
    moved = {name.partition(".")[0] for name in new if not np.array_equal(old[name], new[name])}
    assert moved == {"heads"}


def test_the_last_line_uses_the_result(finished, dataset, tmp_path, monkeypatch, capsys):
    shutil.copytree(finished, tmp_path / "a run")
    shutil.copy(dataset / "0.wav", tmp_path / "speech.wav")
    monkeypatch.chdir(tmp_path)
    for place in ("model", "best"):
        if place == "best":
            shutil.copytree("a run/model", "a run/best")
        capsys.readouterr()
        assert main(["train", "--workers", "0", "-o", "a run"]) == 0
        last = shlex.split(capsys.readouterr().err.splitlines()[-1])
        assert last[0] == "unitalker" and last[last.index("--model") + 1] == f"a run/{place}"
        assert main([*last[1:]]) == 0 and Path("face.glb").is_file()


def test_a_finished_run_keeps_its_settings(finished, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    files = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    capsys.readouterr()
    words = ["train", "--workers", "0", "-o", str(run)]
    assert main([*words, "--set", "lr=5e-4", "--set", "steps=3"]) == 2
    told = capsys.readouterr().err
    assert f"The run in {run} is finished (step 4 of 3)" in told and "(steps, lr)" in told
    assert "--set steps=8" in told and "new folder" in told
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == files
    assert main(words) == 0
    assert main([*words, "--set", "lr=5e-4", "--set", "steps=5"]) == 0
    assert json.loads((run / "train.json").read_text())["lr"] == 5e-4


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--start nowhere", "nowhere"),
        ("--set device=cuda:9", "cuda:9"),
        ("--set freeze=[decoder,identities,heads]", "Every part of the model is frozen"),
    ],
)
def test_what_is_refused_leaves_no_folder(dataset, tmp_path, monkeypatch, capsys, flags, says):
    monkeypatch.chdir(tmp_path)
    words = ["train", "--data", str(dataset), "-o", "runs/x", *sets(*SMALL), *flags.split()]
    assert main(words) == 2
    assert says in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_settings_of_file_run_and_flags(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("steps: 7\nsources: [{path: a}]\naugment: {noise: 0.1}\n")
    config = run_settings(recipe, tmp_path / "run", ["b", "c:2"], ["lr=5e-4", "augment.clip=0.2"])
    assert [(s.path, s.share) for s in config.sources] == [("b", 1), ("c", 2)]
    assert (config.steps, config.lr, config.augment.noise, config.augment.clip) == (7, 5e-4, 0.1, 0.2)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/train.json").write_text(config.model_dump_json())
    assert run_settings(None, tmp_path / "run", [], ["steps=9"]).steps == 9


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["stepz=3"], "did you mean 'steps'"),
        (["steps"], "--set takes key=value"),
        (["steps=-1"], r"^steps must be 1 or more, not -1\.$"),
        (["steps=abc"], r"^steps must be a whole number, not 'abc'\.$"),
        (["steps=1.5"], r"^steps must be a whole number, not 1\.5\.$"),
        (["lr=fast"], r"^lr must be a number, not 'fast'\.$"),
        (["compile=7"], r"^compile must be true or false, not 7\.$"),
        (["augment=3"], r"^augment must be settings as key: value, not 3\.$"),
        (["lr.x=1", "lr=[unclosed"], "is not a value"),
        (["lr=1", "lr.x=1"], "holds no settings of its own"),
    ],
)
def test_wrong_settings(tmp_path, changes, says):
    with pytest.raises(ConfigError, match=says):
        run_settings(None, tmp_path, ["a"], changes)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("train --data a", "Say where the run goes"),
        ("train -o runs/x", "there is no run to go on with"),
        ("train no.yaml -o runs/x", "no.yaml is not a readable"),
        (
            "train --data none -o runs/x",
            "There is no dataset folder none; make one with 'unitalker data synth",
        ),
        ("evaluate mini none", "There is no dataset folder none"),
        ("data import gridd a b", "did you mean 'grid'"),
        ("data import grid none out", "no folder none"),
    ],
)
def test_refusals(tmp_path, monkeypatch, capsys, argv, says):
    monkeypatch.chdir(tmp_path)
    assert main(argv.split()) == 2
    told = capsys.readouterr()
    assert says in told.err and told.err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_folder_of_datasets_names_them(dataset, capsys):
    assert main(["evaluate", "mini", str(dataset.parent)]) == 2
    assert f"it has no dataset.json; but these in it are datasets: {dataset}" in capsys.readouterr().err


def test_list_of_settings(capsys):
    assert main(["train", "--settings"]) == 0
    text = capsys.readouterr().out
    assert "augment.noise" in text and "checkpoint_steps" in text


def test_synthesize_without_the_extra_makes_no_folder(tmp_path, monkeypatch, capsys):
    from unitalker.data import tts

    monkeypatch.chdir(tmp_path)
    tts._files.cache_clear()
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    try:
        assert main(["data", "synthesize", "sets", "--only", "syn-d7,syn-d3"]) == 2
    finally:
        tts._files.cache_clear()
    assert "pip install 'unitalker[tts]'" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_synthesize(tmp_path, monkeypatch, capsys):
    pytest.importorskip("espeakng_loader", reason="text-to-speech needs the tts extra")
    monkeypatch.chdir(tmp_path)
    assert main(["data", "synthesize", "--list"]) == 0
    assert "syn-d7" in capsys.readouterr().out and not list(tmp_path.iterdir())
    assert main(["data", "synthesize", "sets", "--only", "syn-rest", "--seconds", "2"]) == 0
    from unitalker.data.dataset import open_dataset

    assert open_dataset(tmp_path / capsys.readouterr().out.strip()).clips
    assert main(["data", "synthesize", "sets", "--only", "syn-d77"]) == 2
    assert "did you mean 'syn-d7'" in capsys.readouterr().err
    assert main(["data", "synthesize"]) == 2


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ([4.25], "1 clip, 4.25 s"),
        ([2.0, 2.0], "2 clips, 4 s"),
        ([45.0, 45.0], "2 clips, 1.5 min"),
        ([7200.0], "1 clip, 2 h"),
    ],
)
def test_amounts_are_told_in_units_that_fit(dataset, lengths, says):
    import dataclasses

    from unitalker.data.dataset import open_dataset
    from unitalker.training.phones import PhoneTable
    from unitalker.training.sources import Source

    found = open_dataset(dataset)
    clips = [dataclasses.replace(found.clips[0], seconds=s) for s in lengths]
    assert Source(found, None, clips, PhoneTable()).amount == says


def test_a_run_whose_log_nobody_reads_is_saved(dataset, tmp_path):
    """`2>&1 | tee log` and Ctrl-C: the reader goes first, then the run is asked to stop."""
    code = (
        "import os, signal, sys; from unitalker.cli import main; from unitalker.training.trainer import Trainer\n"
        "step = Trainer._train_step\n"
        "def stopped(self, batches):\n"
        "    step(self, batches)\n"
        "    os.kill(os.getpid(), signal.SIGINT) if self.step == 2 else None\n"
        "Trainer._train_step = stopped\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    run = tmp_path / "run"
    argv = ["train", "--data", str(dataset), "-o", str(run), "--set", "log_steps=1", *sets(*SMALL)]
    reader, writer = os.pipe()
    os.close(reader)
    told = subprocess.run([sys.executable, "-c", code, *argv], stdout=writer, stderr=writer)
    os.close(writer)
    assert told.returncode == 3 and (run / "checkpoint.pt").is_file() and (run / "model").is_dir()
    assert main(["train", "-o", str(run)]) == 0
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 4
