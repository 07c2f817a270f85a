"""The Animator: chunks, containers, gain and names; compared with the whole model at once."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import unitalker
from unitalker.animation import animator as animator_module
from unitalker.animation.animator import AnimatedMotion, Animator
from unitalker.animation.roads import head_codes, hidden_states
from unitalker.annotations import builtin
from unitalker.annotations.layouts import layout
from unitalker.config import UniTalkerConfig
from unitalker.errors import AnnotationError, AudioError, ConfigError, ModelError
from unitalker.models.checkpoint import Bundle
from unitalker.models.unitalker import UniTalker
from unitalker.motion import frame_count
from unitalker.rig import builtin_head

ARKIT = layout("arkit52").names


def bundle(encoder: dict[str, object] | None = None, **changes: object) -> Bundle:
    """A small random model with weight, mesh and FLAME heads."""
    rig = builtin_head()
    moved = builtin.displacements("face", rig, np.eye(52, dtype=np.float32), ARKIT)
    faces = {
        "arkit52": builtin.weight_annotation("arkit52", rig),
        "face": builtin.mesh_annotation("face", rig, [moved], 20),
        "flame413": builtin.flame_annotation(rig),
    }
    data: dict[str, object] = {
        "encoder": encoder or {"kind": "mini", "width": 16, "mels": 40},
        "adaptor": "after_decoder",
        "grid": "clock",
        "decoder": {"width": 16, "identity_dim": 8, "ahead": (1, 1, 0)},
        "identities": ("set/a", "set/b"),
        "heads": {n: a.head_dim for n, a in faces.items()},
        "default_annotation": "arkit52",
    }
    torch.manual_seed(0)
    model = UniTalker(UniTalkerConfig.parse(data | changes)).eval()
    for head in model.heads.values():
        torch.nn.init.normal_(head.weight, std=0.1)
        torch.nn.init.constant_(head.bias, 0.2)
    return Bundle("tiny", Path(), model, faces, "0" * 64)


@pytest.fixture(scope="module")
def tiny() -> Animator:
    return Animator(bundle())


def speechlike(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    count = round(seconds * 16000)
    loud = np.interp(np.arange(count), np.linspace(0, count, 40), rng.uniform(0, 0.3, 40))
    return (rng.standard_normal(count) * loud).astype(np.float32)


@settings(deadline=None, max_examples=15)
@example(samples=round(19.9 * 16000), fps=30.0, block=160_000)
@given(
    samples=st.integers(1, 40 * 16000),
    fps=st.sampled_from([24.0, 25.0, 29.97, 30.0, 60.0]),
    block=st.sampled_from([1000, 16000, 77777, 640000]),
)
def test_chunks_equal_the_whole(samples: int, fps: float, block: int) -> None:
    model = TINY.model
    sound = speechlike(samples / 16000, samples)
    identity = model.embed({"set/a": 1.0})
    frames = frame_count(samples / 16000, fps)
    with torch.inference_mode():
        whole = model.hidden(model.encoder(torch.tensor(sound)[None]), identity, fps, frames)
    blocks = [sound[i : i + block] for i in range(0, samples, block)]
    parts = list(hidden_states(model, blocks, identity, fps))
    made = torch.cat(parts, 1) if parts else whole[:, :0]
    assert made.shape == whole.shape
    assert torch.allclose(made, whole, atol=1e-4)


TINY = Animator(bundle())


def test_block_sizes_give_the_same_bits(tiny: Animator) -> None:
    sound = speechlike(35)
    identity = tiny.model.embed({"pivot": 1.0})
    runs = []
    for size in (160_000, 4321, len(sound)):
        blocks = [sound[i : i + size] for i in range(0, len(sound), size)]
        runs.append(torch.cat(list(hidden_states(tiny.model, blocks, identity, 60)), 1))
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])


def test_long_sound_through_windows_equals_the_releases_cross_fade() -> None:
    """25 s windows, 5 s shared, linear cross-fade: against a plain loop over whole arrays."""
    model = Animator(bundle(adaptor="after_encoder", grid="aligned_corners")).model
    sound, fps = speechlike(58), 25
    identity = model.embed({"set/b": 1.0})
    made = torch.cat(list(hidden_states(model, [sound[:300_000], sound[300_000:]], identity, fps)), 1)[0]
    want = torch.zeros(58 * fps, 16)
    weight = torch.zeros(58 * fps, 1)
    with torch.inference_mode():
        for start in (0, 20, 40):
            piece = sound[start * 16000 : (start + 25) * 16000]
            count = round(len(piece) / 16000 * fps)
            states = model.hidden(model.encoder(torch.tensor(piece)[None]), identity, fps, count)[0]
            ramp = torch.ones(count, 1)
            if start:
                ramp[: 5 * fps, 0] = torch.linspace(0, 1, 5 * fps)
            if start < 40:
                ramp[-5 * fps :, 0] = torch.linspace(1, 0, 5 * fps)
            want[start * fps : start * fps + count] += states * ramp
            weight[start * fps : start * fps + count] += ramp
    assert torch.allclose(weight, torch.ones_like(weight), atol=1e-5)
    assert made.shape == want.shape
    assert torch.allclose(made, want, atol=1e-5)


@pytest.mark.parametrize("fps", [24, 29.97, 59.94])
def test_windows_give_every_frame_once_at_rates_that_are_not_whole(fps: float) -> None:
    model = Animator(bundle(adaptor="after_encoder", grid="aligned_corners")).model
    sound = speechlike(66)
    parts = list(hidden_states(model, [sound], model.embed({"pivot": 1.0}), fps))
    assert sum(p.shape[1] for p in parts) == frame_count(66, fps)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("kind", ["tcn", "transformer", "transformer_decoder", "autoregressive"])
def test_nothing_is_computed_beside_the_model(
    kind: str, exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device without memory refuses to meet another device's tensors, as a GPU would."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    adaptor, grid = ("after_decoder", "clock") if exact else ("after_encoder", "aligned_corners")
    made = bundle(decoder={"kind": kind, "width": 16}, adaptor=adaptor, grid=grid)
    model = made.model.to("meta")
    sound = [np.zeros(26 * 16000, np.float32)]
    pieces = list(head_codes(model, sound, model.embed({"pivot": 1.0}), 5.0, ["arkit52", "face"]))
    codes = [torch.cat([piece[name] for piece in pieces], 1) for name in ("arkit52", "face")]
    assert all(c.shape[1] == 130 and c.device.type == "meta" for c in codes)


def test_container_and_gain_do_not_change_the_motion(tiny: Animator, tmp_path: Path) -> None:
    sound = np.round(speechlike(3) * 16384) / 32768
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="PCM_16")
    soundfile.write(tmp_path / "a.flac", sound, 16000, subtype="PCM_16")
    soundfile.write(tmp_path / "quiet.wav", sound / 32, 16000, subtype="FLOAT")
    motions = [tiny.animate(tmp_path / n)["arkit52"] for n in ("a.wav", "a.flac", "quiet.wav")]
    assert np.array_equal(motions[0].values, motions[1].values)
    assert np.abs(motions[0].values - motions[2].values).max() < 1e-4
    assert np.ptp(motions[0].values) > 0.01


def test_several_annotations_share_a_sound_and_keep_their_clocks(tiny: Animator) -> None:
    out = tiny.animate(
        (speechlike(2.01), 16000), annotations=["arkit52", "face", "flame413"], identity="set/a:1,set/b:3"
    )
    assert {n: len(m) for n, m in out.items()} == {"arkit52": 121, "face": 60, "flame413": 60}
    assert out["face"].template is not None
    assert out["face"].unit == "m"
    assert out["arkit52"].identity == "set/a:0.25,set/b:0.75"
    assert out["arkit52"].provenance["audio_seconds"] == pytest.approx(2.01)
    again = tiny.animate(
        (speechlike(2.01), 16000), annotations=["face"], identity="set/b:0.75,set/a:0.25", fps=25
    )
    assert len(again["face"]) == 50


def test_start_and_end_cut_the_sound(tiny: Animator, tmp_path: Path) -> None:
    sound = speechlike(4)
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    cut = tiny.animate(tmp_path / "a.wav", start=1.0, end=2.5)["arkit52"]
    same = tiny.animate((sound[16000:40000], 16000))["arkit52"]
    assert np.array_equal(cut.values, same.values)
    with pytest.raises(AudioError, match="nothing starts at 9 s"):
        tiny.animate((sound, 16000), start=9.0)
    with pytest.raises(AudioError, match="must be seconds of 0 or more"):
        tiny.animate((sound, 16000), start=-1.0)
    with pytest.raises(AudioError, match="end asks for 5 s"):
        tiny.animate((sound, 16000), end=5.0)


def test_long_motion_lives_in_a_file(tiny: Animator, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = (speechlike(12), 16000)
    near = tiny.animate(sound)["arkit52"]
    monkeypatch.setattr(animator_module, "IN_MEMORY", 1000)
    far = tiny.animate(sound)["arkit52"]
    base = far.values
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert np.array_equal(near.values, far.values)


def test_wrong_names_are_told_with_the_nearest(tiny: Animator) -> None:
    sound = (speechlike(0.5), 16000)
    with pytest.raises(AnnotationError, match="did you mean 'arkit52'"):
        tiny.animate(sound, annotations=["arkit25"])
    with pytest.raises(ModelError, match="did you mean 'set/a'"):
        tiny.animate(sound, identity="set/aa")
    with pytest.raises(ModelError, match="needs a number after its colon"):
        tiny.animate(sound, identity="set/a:much")
    with pytest.raises(ModelError, match="do not sum to 0"):
        tiny.animate(sound, identity="set/a:0")
    with pytest.raises(AnnotationError, match="template"):
        tiny.animate(sound, annotations=["face"], template="nobody")
    with pytest.raises(AnnotationError, match="has no use"):
        tiny.animate(sound, template="set/a")
    with pytest.raises(ConfigError, match="between 1 and 240"):
        tiny.animate(sound, fps=1000)
    with pytest.raises(ModelError, match="There is no model"):
        unitalker.load("maxi")


def test_motion_saves_itself(tiny: Animator, tmp_path: Path) -> None:
    from unitalker.export import read

    motion = tiny.animate((speechlike(1), 16000))["arkit52"]
    again = read(motion.save(tmp_path / "face.npz"))
    assert np.array_equal(again.values, motion.values)
    assert again.names == motion.names


def test_saving_tells_which_channels_a_format_leaves_out(tmp_path: Path) -> None:
    motion = AnimatedMotion(np.zeros((3, 2), np.float32), ("jawOpen", "wobble"), 30, "own", "weight")
    with pytest.warns(UserWarning, match="leaves out 1 of the 2 channels of own: wobble; .npz and .json"):
        motion.save(tmp_path / "a.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        motion.save(tmp_path / "a.npz")
