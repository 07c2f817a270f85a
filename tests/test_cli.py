"""The command line: what it refuses, before any work, and how; then real runs through the shipped model."""

import os
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import unitalker
from unitalker.cli import main
from unitalker.cli.app import app
from unitalker.cli.plan import plan
from unitalker.errors import UniTalkerError

LIGHT = (
    "import sys; from unitalker.cli import main; main({argv}); print(sorted(sys.modules), file=sys.stderr)"
)


@pytest.fixture
def wav(tmp_path, monkeypatch):
    """A second of hum, `hum.wav`, in the current folder."""
    import soundfile

    monkeypatch.chdir(tmp_path)
    soundfile.write("hum.wav", 0.1 * np.sin(np.arange(16000) * 0.06), 16000)
    return tmp_path / "hum.wav"


def refused(capsys, *argv: str) -> str:
    """The one sentence on stderr of a command that must exit with 2 and leave nothing."""
    before = sorted(Path().rglob("*"))
    assert main(list(argv)) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1, told
    assert sorted(Path().rglob("*")) == before
    return told.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("", "Give a sound file"),
        ("hum.wav", "Say where the motion goes"),
        ("hum.wav -o a.fbx", "There are: .csv"),
        ("hum.wav -o a", "A suffix must say the format"),
        ("hum.wav -o no/a.csv", "there is no folder no"),
        ("hum.wav -o hum.wav", "hum.wav is an input; it would be overwritten"),
        ("hum.wav -o a.csv --anotation x", "Did you mean --annotation?"),
        ("hum.wav -o a.csv --fps fast", "--fps"),
        ("hum.wav -o a.csv --start 2 --end 1", "--end must come after --start"),
        ("hum.wav -o a.csv --start -1", "--start must be"),
        ("hum.wav -o a.mp4 --size 7", "--size must be"),
        ("hum.wav -o a.mp4 --view top", "--view"),
        ("hum.wav -o a.glb --rig no.glb", "no rig file no.glb"),
        ("hum.wav -o out/", "--format: csv, json"),
        ("hum.wav -o out/ --format fbx", "There are: .csv"),
        ("hum.wav -o a.csv --format json", "end the output with a slash"),
        ("hum.wav b.wav -o a.csv", "2 inputs cannot all become a.csv"),
        ("hum.wav x/hum.wav -o out/ --format json", "would both write"),
        ("hum.wav -o a.csv --say hello", "not both"),
        ("missing.wav -o a.csv", "There is no file missing.wav"),
        (". -o a.csv", ". is a folder"),
        ("hum.wav -o hum.wav/a.csv", "Cannot write"),
    ],
)
def test_refusals_before_any_work(wav, capsys, argv, says):
    assert says in refused(capsys, "animate", *argv.split())


def test_empty_text(wav, capsys):
    assert "The text of --say is empty" in refused(capsys, "animate", "--say", "  ", "-o", "a.csv")


def test_unknown_verb(wav, capsys):
    assert 'Did you mean "animate"?' in refused(capsys, "animat")


def test_an_input_is_never_overwritten():
    with pytest.raises(UniTalkerError, match="it would be overwritten"):
        plan(["a.json"], None, ["a.json"], [])


def test_plan_of_one_input(tmp_path):
    (job,) = plan(["x/a.wav"], None, [f"{tmp_path}/f.csv", f"{tmp_path}/f.glb", f"{tmp_path}/f.csv"], [])
    assert job.outputs == (tmp_path / "f.csv", tmp_path / "f.glb")
    assert job.named("arkit52", several=False) == job.outputs
    assert job.named("arkit52", several=True)[0] == tmp_path / "f.arkit52.csv"


def test_plan_of_a_folder(tmp_path):
    jobs = plan(["a.wav", "b.mp3", "a.wav"], None, [f"{tmp_path}/new/deep/"], ["json,.CSV", "json"])
    assert [job.outputs for job in jobs] == [
        tuple(tmp_path / "new/deep" / f"{stem}.{suffix}" for suffix in ("json", "csv")) for stem in "ab"
    ]
    assert not (tmp_path / "new").exists()
    (spoken,) = plan([], "hello", [str(tmp_path)], ["npz"])
    assert spoken.outputs == (tmp_path / "speech.npz",) and spoken.source is None


@pytest.mark.parametrize("argv", [["--help"], ["animate", "--help"], ["animate", "no.wav", "-o", "a.csv"]])
def test_light_start(argv):
    told = subprocess.run([sys.executable, "-c", LIGHT.format(argv=argv)], capture_output=True, text=True)
    loaded = set(told.stderr.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert not loaded & {"torch", "scipy", "pydantic", "transformers", "av", "soundfile", "PIL"}


def test_a_closed_pipe_is_no_fault():
    """`| head`: the reader goes before all is written."""
    code = "import sys; from unitalker.cli import main; sys.exit(main(['train', '--settings']))"
    reader, writer = os.pipe()
    os.close(reader)
    told = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (told.returncode, told.stderr) == (141, "")


@pytest.mark.parametrize("verb", ["animate", "models", "train", "data synthesize", "data annotate"])
def test_usage_names_the_positional_arguments(capsys, verb):
    assert main([*verb.split(), "--help"]) == 0
    usage, _, rest = capsys.readouterr().out.partition("\n")
    named = usage.rpartition("[")[2].rstrip(".]")
    assert usage.startswith(f"Usage: unitalker {verb} ") and named != "ARGS"
    assert any(line.lstrip("│* ").startswith(named) for line in rest.splitlines())


def examples() -> dict[str, str]:
    """Module and name → a text of examples in the help."""
    found = {}
    for path in sorted((Path(unitalker.__file__).parent / "cli").glob("*.py")):
        module = import_module(f"unitalker.cli.{path.stem}") if path.stem not in ("__main__", "app") else None
        texts = {n: t for n, t in vars(module).items() if n.endswith("EXAMPLES")} if module else {}
        found |= {f"{path.stem}.{name}": text for name, text in texts.items()}
    return found


@pytest.mark.parametrize("text", [pytest.param(t, id=n) for n, t in examples().items()])
def test_examples_can_be_copied_into_a_shell(text: str) -> None:
    """Lines fit a terminal of 80, bash reads them, and each is a command of ours with flags that it has."""
    body = text.removeprefix("Examples:\n").partition("\n\n")[0]
    assert max(map(len, body.splitlines())) <= 79
    assert subprocess.run(["bash", "-n"], input=body, text=True, check=False).returncode == 0
    for line in body.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "unitalker", line
        verbs, tree = [], app
        for word in words[1:]:
            if word not in tree:
                break
            verbs.append(word)
            tree = tree[word]
        assert verbs, line
        flags = {w.partition("=")[0] for w in words if w.startswith("-") and not w[1:].isdigit()}
        known = {n for a in tree.assemble_argument_collection() for n in a.names}
        assert flags <= known, (line, flags - known)


def test_help_names_every_verb(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in ("animate", "models", "evaluate", "train", "data"))
    assert main(["animate", "--help"]) == 0
    assert "unitalker animate speech.wav -o face.glb" in capsys.readouterr().out
