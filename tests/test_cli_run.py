"""`unitalker animate` from end to end, through a small untrained model made here."""

import json

import numpy as np
import pytest

from test_export_glb import MAKEHUMAN, octahedron, parse
from unitalker.annotations.layouts import layout
from unitalker.cli import main
from unitalker.export import read, write


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Folder of a model with random heads: arkit52 at 60 fps, arkit51 at 30 fps, a mesh of six vertices."""
    import torch

    from unitalker.annotations.blendshapes import BlendshapeAnnotation
    from unitalker.annotations.vertices import VertexAnnotation, vertex_names
    from unitalker.config import MiniEncoderConfig, TCNDecoderConfig, UniTalkerConfig
    from unitalker.models import checkpoint
    from unitalker.models.unitalker import UniTalker

    rig = octahedron()
    heads = [
        BlendshapeAnnotation("arkit52", 60, "weight", layout("arkit52").names),
        BlendshapeAnnotation("arkit51", 30, "weight", layout("arkit51").names),
        BlendshapeAnnotation("own", 30, "weight", ("JawOpen", "wobble", "sneer_up", "gulp", "huff")),
        BlendshapeAnnotation("strange", 30, "weight", ("wobble", "gulp")),
        VertexAnnotation("bare", 25, "m", vertex_names(6), templates={"set/anna": rig.vertices}),
        VertexAnnotation(
            "six", 25, "m", vertex_names(6), templates={"set/anna": rig.vertices}, faces=rig.faces
        ),
    ]
    config = UniTalkerConfig(
        encoder=MiniEncoderConfig(width=16),
        adaptor="after_decoder",
        grid="clock",
        decoder=TCNDecoderConfig(width=16, identity_dim=4),
        identities=("set/anna", "set/ben"),
        heads={head.name: head.head_dim for head in heads},
        default_annotation="arkit52",
    )
    torch.manual_seed(0)
    net = UniTalker(config)
    for name, parameter in net.heads.named_parameters():
        torch.nn.init.normal_(parameter, 0.3 if name.endswith("bias") else 0, 0.05)
    return checkpoint.save(tmp_path_factory.mktemp("model"), net, {head.name: head for head in heads})


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a.wav (1.5 s), b.flac (0.7 s) and text.wav, which is no sound."""
    import soundfile

    monkeypatch.chdir(tmp_path)
    sound = 0.1 * np.sin(np.cumsum(np.linspace(0.02, 0.3, 24000)))
    soundfile.write("a.wav", sound, 16000)
    soundfile.write("b.flac", sound[:11200], 16000)
    (tmp_path / "text.wav").write_text("this is a text\n" * 100)
    return tmp_path


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"a.wav", "b.flac", "text.wav"}


def test_several_outputs_of_one_inference(here, model, capsys, monkeypatch):
    from unitalker.animation.animator import Animator

    calls, run = [], Animator.run
    monkeypatch.setattr(Animator, "run", lambda *a, **k: calls.append(1) or run(*a, **k))
    argv = ["animate", "a.wav", "-o", "f.csv", "-o", "f.json", "-o", "f.npz", "--model", str(model)]
    assert main(argv) == 0 and len(calls) == 1
    assert names(here) == {"f.csv", "f.json", "f.npz"}
    motions = [read(f"f.{suffix}") for suffix in ("csv", "json", "npz")]
    assert {len(m) for m in motions} == {90} and {m.fps for m in motions} == {60}
    np.testing.assert_array_equal(motions[1].values, motions[2].values)
    np.testing.assert_allclose(motions[0].select(motions[1].names), motions[1].values, atol=1e-7)
    assert motions[1].annotation == "arkit52" and motions[1].values.std() > 0
    assert motions[2].provenance["audio"] == "a.wav"
    told = capsys.readouterr()
    assert told.out == "" and "f.csv: 90 frames of arkit52 at 60 fps" in told.err


def test_quiet(here, model, capsys):
    assert main(["animate", "a.wav", "-o", "f.npz", "--model", str(model), "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_flags_reach_the_motion(here, model):
    argv = [
        "animate",
        "a.wav",
        "-o",
        "f.json",
        "--model",
        str(model),
        "--fps",
        "25",
        "--start",
        "0.5",
        "--end",
        "1.3",
    ]
    assert main([*argv, "--identity", "set/anna:0.6,set/ben:0.4", "--annotation", "arkit51"]) == 0
    motion = read("f.json")
    assert (len(motion), motion.fps, motion.annotation) == (20, 25, "arkit51")
    assert motion.identity == "set/anna:0.6,set/ben:0.4"


def test_several_annotations(here, model):
    argv = ["animate", "b.flac", "-o", "f.npz", "--model", str(model), "--annotation", "arkit51,six"]
    assert main([*argv, "--annotation", "arkit52"]) == 0
    assert names(here) == {"f.arkit51.npz", "f.six.npz", "f.arkit52.npz"}
    mesh = read("f.six.npz")
    assert (len(mesh), mesh.unit) == (18, "m") and mesh.template is not None and mesh.template.shape == (6, 3)
    assert len(read("f.arkit51.npz")) == 21


def test_a_folder_of_outputs_and_one_bad_input(here, model, capsys):
    argv = ["animate", "a.wav", "text.wav", "b.flac", "none.wav", "-o", "out/", "--format", "json,csv"]
    assert main([*argv, "--model", str(model)]) == 1
    assert names(here) == {"out"} and names(here / "out") == {"a.json", "a.csv", "b.json", "b.csv"}
    assert len(read("out/a.json")) == 90 and len(read("out/b.csv")) == 42
    told = capsys.readouterr().err
    assert "There is no file none.wav" in told and "2 of 4 inputs failed." in told
    assert [
        line for line in told.split("\n") if line.startswith("text.wav is no media")
    ] and "Traceback" not in told


def test_progress_bars(here, model, capsys, monkeypatch):
    monkeypatch.setattr("unitalker.cli.progress.watched", lambda: True)
    monkeypatch.setattr("unitalker.cli.run.watched", lambda: True)
    rest = ["--annotation", "six", "--size", "64", "--model", str(model)]
    assert main(["animate", "b.flac", "-o", "f.mp4", *rest]) == 0
    assert main(["animate", "b.flac", "a.wav", "text.wav", "-o", ".", "--format", "mp4", *rest]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "b.mp4: 18 frames of six at 25 fps" in told.err
    assert "1 of 3 inputs failed." in told.err and "text.wav is no media" in told.err


def test_nothing_but_bad_inputs(here, model, capsys):
    argv = ["animate", "text.wav", "none.wav", "-o", "out/", "--format", "json", "--model", str(model)]
    assert main(argv) == 2
    assert names(here) == set() and "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("text.wav -o f.csv", "text.wav"),
        ("a.wav -o f.csv --end 0.02", "0.020 s of sound is too short"),
        ("a.wav -o f.csv --model minni", "There is no model 'minni'"),
        ("a.wav -o f.csv --model .", "holds no model"),
        ("a.wav -o f.csv --annotation arkit25", "did you mean 'arkit52'"),
        ("a.wav -o f.csv --identity set/ana", "did you mean 'set/anna'"),
        ("a.wav -o f.csv --identity set/anna:x", "needs a number"),
        ("a.wav -o f.npz --annotation six --template set/bob", "There is no template"),
        ("a.wav -o f.csv --fps 0", "frame rate must lie between"),
        ("a.wav -o f.csv --start 5", "1.5"),
        (
            "a.wav -o f.csv --annotation six",
            "Cannot write f.csv: Live Link Face CSV (61 columns) holds blendshape weights, but six holds vertices, not weights",
        ),
        ("a.wav -o f.glb --rig face.obj.no", "no rig file face.obj.no; --rig also takes head (built in)"),
        ("a.wav -o f.glb --rig haed", "did you mean 'head'? Known: head. That one is built in"),
        ("a.wav -o f.csv -o f.npz --annotation six", "Formats that can hold it: .json, .npz, .glb, .mp4"),
    ],
)
def test_refusals(here, model, capsys, argv, says):
    given = argv.split()
    chosen = [] if "--model" in given else ["--model", str(model)]
    assert main(["animate", *given, *chosen]) == 2
    told = capsys.readouterr()
    assert says in told.err and told.err.count("\n") == 1 and names(here) == set()


@pytest.mark.skipif(not MAKEHUMAN.exists(), reason="needs ../shared/assets/makehuman_arkit")
def test_a_rig_of_your_own(here, model):
    argv = ["animate", "a.wav", "-o", "f.glb", "--rig", str(MAKEHUMAN), "--model", str(model)]
    assert main(argv) == 0
    assert (here / "f.glb").stat().st_size > 100_000


def test_a_rig_of_another_mesh_is_refused_before_anything_is_written(here, model, capsys):
    argv = ["animate", "a.wav", "-o", "f.npz", "-o", "f.glb", "--annotation", "six", "--rig", "head"]
    assert main([*argv, "--model", str(model)]) == 2
    assert "moves 6 vertices" in capsys.readouterr().err and names(here) == set()


@pytest.mark.parametrize("suffix", ["csv", "glb"])
def test_channels_without_a_place_are_told(here, model, capsys, suffix):
    argv = [
        "animate",
        "a.wav",
        "-o",
        f"f.{suffix}",
        "-o",
        "f.npz",
        "--annotation",
        "own",
        "--model",
        str(model),
    ]
    assert main(argv) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        f".{suffix} has no place for 4 of the 5 channels of own, which are left out: wobble, sneer_up, gulp, …."
    )
    assert len(lines) == 3 and read("f.npz").names == ("JawOpen", "wobble", "sneer_up", "gulp", "huff")
    assert main([*argv, "--quiet"]) == 0 and capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["csv", "glb", "mp4"])
def test_files_without_a_place_for_any_channel_are_refused(here, model, capsys, suffix):
    argv = ["animate", "a.wav", "-o", "f.npz", "-o", f"f.{suffix}", "--annotation", "strange"]
    assert main([*argv, "--model", str(model)]) == 2
    told = capsys.readouterr().err
    assert "No channel of strange (wobble, gulp) has a place in" in told and names(here) == set()


@pytest.mark.parametrize("suffix", ["glb", "mp4"])
def test_meshes_without_triangles_are_refused_with_both_ways_out(here, model, capsys, suffix):
    argv = ["animate", "a.wav", "-o", "f.npz", "-o", f"f.{suffix}", "--annotation", "bare"]
    assert main([*argv, "--model", str(model)]) == 2
    told = capsys.readouterr().err
    assert "--rig" in told and "unitalker import" in told and "--resources" in told and names(here) == set()


def test_film_of_a_mesh(here, model):
    import av

    argv = ["animate", "b.flac", "-o", "f.mp4", "--annotation", "six", "--size", "64", "--model", str(model)]
    assert main([*argv, "-o", "f.glb"]) == 0
    assert len(parse(here / "f.glb")[0]["meshes"][0]["primitives"]) == 1
    with av.open("f.mp4") as film:
        assert film.streams.video[0].frames == 18 and film.streams.audio[0].codec_context.name == "aac"


def test_spoken_text(here, model):
    pytest.importorskip("espeakng_loader", reason="text-to-speech needs the tts extra")
    argv = [
        "animate",
        "--say",
        "Bonjour tout le monde",
        "--voice",
        "fr",
        "-o",
        "f.npz",
        "--model",
        str(model),
    ]
    assert main(argv) == 0
    assert 0.5 < read("f.npz").seconds < 5
    assert main([*argv[:2], "Hi", "-o", "f.csv", "--voice", "klingonese", "--model", str(model)]) == 2


def test_models_tell_their_sizes(model, capsys):
    import hashlib

    from safetensors.numpy import load_file

    assert main(["models", str(model), "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    weights = model / "model.safetensors"
    assert facts["parameters"] == sum(v.size for v in load_file(weights).values())
    assert facts["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert facts["weight_bytes"] == weights.stat().st_size < facts["bytes_on_disk"]
    assert main(["models", str(model)]) == 0
    text = capsys.readouterr().out
    assert f"{facts['parameters']:,} parameters" in text and facts["sha256"] in text and " MB" in text


def test_models(model, capsys):
    assert main(["models", str(model)]) == 0
    text = capsys.readouterr().out
    assert "arkit52" in text and "(default)" in text and "set/ben" in text and "pivot" in text
    assert main(["models", str(model), "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["default"] == "arkit52" and facts["identities"] == ["pivot", "set/anna", "set/ben"]
    assert {a["name"]: a["numbers"] for a in facts["annotations"]} == {
        "arkit52": 52,
        "arkit51": 51,
        "six": 18,
        "bare": 18,
        "own": 5,
        "strange": 2,
    }
    assert main(["models", "nobody"]) == 2


def test_python_saves_too(here, model):
    import unitalker

    motion = unitalker.load(model).animate(here / "a.wav")["arkit52"]
    assert repr(motion) == "Motion(arkit52, 90 frames at 60 fps, 52 channels, identity pivot)"
    motion.save("p.csv")
    assert main(["animate", "a.wav", "-o", "c.csv", "--model", str(model)]) == 0
    assert (here / "p.csv").read_bytes() == (here / "c.csv").read_bytes()
    write(motion, "p.glb", rig=octahedron())
