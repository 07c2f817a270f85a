"""The demo: every file that its page names is there, speech and recordings alike, and faults are sentences."""

from __future__ import annotations

import importlib
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from rich.console import Console

from unitalker.audio import write_wav
from unitalker.config import MiniEncoderConfig, TCNDecoderConfig, UniTalkerConfig
from unitalker.export import read

FOLDER = Path(__file__).parents[1] / "demo"


@pytest.fixture(scope="module")
def demo():
    """The demo as a module."""
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("demo")
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Folder of a small untrained model with the ARKit head."""
    import torch

    from unitalker.annotations.builtin import weight_annotation
    from unitalker.models import checkpoint
    from unitalker.models.unitalker import UniTalker
    from unitalker.rig import builtin_head

    torch.manual_seed(0)
    config = UniTalkerConfig(
        encoder=MiniEncoderConfig(mels=20, width=16, dilations=(1, 1), lookahead=1),
        adaptor="after_decoder",
        grid="clock",
        decoder=TCNDecoderConfig(width=16, identity_dim=4, ahead=(1, 1, 0)),
        identities=("test/one",),
        heads={"arkit52": 52},
        default_annotation="arkit52",
    )
    net = UniTalker(config)
    torch.nn.init.normal_(net.heads["arkit52"].weight, std=0.1)
    folder = tmp_path_factory.mktemp("model")
    return checkpoint.save(folder, net, {"arkit52": weight_annotation("arkit52", builtin_head())})


class Links(HTMLParser):
    """Every src and href of a page, and the tags that it uses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.found += [value for key, value in attrs if key in ("src", "href")]


def test_a_recording_becomes_a_page_whose_links_all_lead_to_files(demo, model, tmp_path):
    beat = np.sin(2 * np.pi * 3 * np.arange(12000) / 16000)
    recording = write_wav(tmp_path / "a take.wav", (0.3 * beat * np.sin(np.arange(12000))).astype(np.float32))
    clip = demo.Clip("recording", "<my> take", recording=recording)
    (tmp_path / "out").mkdir()
    for name in ("english.mp4", "song.jpg", "recording.csv", "mine.csv"):
        (tmp_path / "out" / name).write_text("of an earlier demo")
    page = demo.make((clip,), str(model), tmp_path / "out", Console(quiet=True), size=64)
    text = page.read_text()
    links = Links(text)
    assert "&lt;my&gt; take" in text and "script" not in links.tags and "link" not in links.tags
    named = {unquote(name) for name in links.found}
    assert named == {f"recording{s}" for s in (".mp4", ".wav", ".csv", ".glb", ".json", ".npz")}
    assert all((page.parent / name).stat().st_size > 100 for name in named)
    assert len(read(page.parent / "recording.npz")) == 45
    from PIL import Image

    assert 'poster="recording.jpg"' in text and Image.open(page.parent / "recording.jpg").size == (64, 64)
    left = {path.name for path in page.parent.iterdir()}
    assert left == named | {"index.html", "recording.jpg", "mine.csv"}


def test_a_recording_out_of_an_earlier_demo_is_kept(demo, tmp_path):
    path = tmp_path / "english.wav"
    path.write_text("an input")
    demo.remove_stale(tmp_path, [], (demo.Clip("recording", "mine", recording=path),))
    assert path.exists()


def test_texts_are_spoken_and_sung(demo):
    pytest.importorskip("espeakng_loader", reason="text-to-speech needs the tts extra")
    assert {clip.voice for clip in demo.CLIPS} >= {"en", "fr", "zh"} and any(c.sung for c in demo.CLIPS)
    for clip in demo.CLIPS:
        samples = clip.samples()
        assert len(samples) > 2 * 16000 and np.abs(samples).max() > 0.1
    assert np.array_equal(demo.CLIPS[-1].samples(), demo.CLIPS[-1].samples())


def test_faults_are_one_sentence(demo, model, monkeypatch, capsys, tmp_path):
    from unitalker.data import tts

    monkeypatch.setattr(demo, "OUT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["demo.py", "--audio", "nowhere.wav", "--model", str(model)])
    assert demo.main() == 2
    assert "nowhere.wav" in capsys.readouterr().err

    tts._files.cache_clear()
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(sys, "argv", ["demo.py", "--model", str(model)])
    try:
        assert demo.main() == 2
    finally:
        tts._files.cache_clear()
    told = capsys.readouterr().err
    assert "unitalker[tts]" in told and "AUDIO=me.wav" in told
