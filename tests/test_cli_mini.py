"""The shipped model through the command line: every format and annotation from one recording."""

import av
import numpy as np
import pytest

from unitalker.cli import main
from unitalker.export import read

pytest.importorskip("espeakng_loader", reason="text-to-speech needs the tts extra")


@pytest.fixture(scope="module")
def mini():
    """The name of the shipped model."""
    from unitalker.models.checkpoint import installed

    assert "mini" in installed()
    return "mini"


@pytest.fixture
def speech(tmp_path, monkeypatch):
    """speech.wav in the current folder: three spoken words between half seconds of silence. Gives its seconds."""
    import soundfile

    from unitalker.data.tts import speak

    monkeypatch.chdir(tmp_path)
    rest = np.zeros(8000, np.float32)
    samples = np.concatenate([rest, speak("papa and banana", "en").samples, rest])
    soundfile.write("speech.wav", samples, 16000)
    return len(samples) / 16000


def test_every_format(mini, speech):
    outputs = [part for suffix in ("csv", "json", "npz", "glb", "mp4") for part in ("-o", f"f.{suffix}")]
    assert main(["animate", "speech.wav", *outputs, "--size", "128"]) == 0
    motion = read("f.npz")
    assert (motion.annotation, motion.fps, motion.identity) == ("arkit52", 60, "pivot")
    assert len(motion) == round(speech * 60)
    with av.open("f.mp4") as film:
        assert film.streams.video[0].frames == len(motion)


def test_the_mouth_opens_for_speech_and_only_for_speech(mini, speech):
    assert main(["animate", "speech.wav", "-o", "f.json"]) == 0
    jaw = read("f.json").channel("jawOpen")
    assert jaw[:20].mean() < 0.05 and jaw[-15:].mean() < 0.08 and jaw[30:-30].max() > 0.15


def test_every_annotation_and_several_voices(mini, speech, capsys):
    import unitalker

    names = list(unitalker.load("mini").annotations)
    assert main(["animate", "speech.wav", "-o", "f.npz", "--annotation", ",".join(names)]) == 0
    for name in names:
        motion = read(f"f.{name}.npz")
        assert motion.annotation == name and len(motion) == round(speech * motion.fps)
    assert main(["models"]) == 0
    told = capsys.readouterr().out
    assert "mini" in told and all(name in told for name in names)
    for voice, text in (("fr", "Bonjour"), ("de", "Guten Tag"), ("zh", "你好")):
        assert main(["animate", "--say", text, "--voice", voice, "-o", f"{voice}.csv"]) == 0
        assert len(read(f"{voice}.csv")) > 20
