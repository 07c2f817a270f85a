"""The autoregressive decoder against a loop without memory, the published FaceFormer and plain cross-fades."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile
import torch

from slow_decoders import library_layers, settings, slow_mask, slow_positions, stirred
from unitalker.animation.roads import head_codes
from unitalker.config import UniTalkerConfig
from unitalker.errors import ConfigError, ModelError
from unitalker.models.autoregressive import AutoregressiveDecoder
from unitalker.models.unitalker import UniTalker


def autoregressive(layers: int = 1, forced: bool = False) -> UniTalker:
    decoder = {
        "kind": "autoregressive",
        "layers": layers,
        "dropout": 0.0,
        "period": 7,
        "teacher_forcing": forced,
    }
    return cast(UniTalker, stirred(UniTalker(settings(decoder))))


def slow_road(model: UniTalker, features: torch.Tensor, who: torch.Tensor, name: str) -> torch.Tensor:
    """FaceFormer's loop with the library's layers: every frame computes all frames before it again."""
    decoder = model.decoder
    assert isinstance(decoder, AutoregressiveDecoder)
    theirs, audio = library_layers(decoder.layers, 16, 4), decoder.map(features)
    fed, codes = who[:, None], torch.empty(0)
    for n in range(1, features.shape[1] + 1):
        mine = torch.ones(n, features.shape[1]).scatter_(1, torch.arange(n)[:, None], 0).bool()
        x = theirs(fed + slow_positions(n, 16, 7), audio, tgt_mask=slow_mask(4, 7, n), memory_mask=mine)
        codes = model.head(name)(x)
        fed = torch.cat([fed, who[:, None] + decoder.motion[name](codes[:, -1:])], 1)
    return codes


@pytest.mark.parametrize("layers", [1, 2])
def test_autoregressive_equals_the_slow_road(layers: int) -> None:
    model = autoregressive(layers)
    features, who = torch.randn(1, 20, 16), model.embed({"set/b": 1.0})
    with torch.inference_mode():
        codes = model.codes(features, who, 25, 20, ["weights", "points"])
        for name, made in codes.items():
            assert torch.allclose(made, slow_road(model, features, who, name), atol=1e-5)


def test_fed_with_its_own_codes_all_frames_at_once_are_the_same() -> None:
    model = autoregressive(2, forced=True)
    features, who = torch.randn(3, 20, 16), model.embed([0, 1, 2])
    with torch.inference_mode():
        free = model.codes(features, who, 25, 20, ["weights", "points"])
        forced = model.train().codes(features, who, 25, 20, ["weights", "points"], true=free)
        other = model.codes(features, who, 25, 20, ["points"], true={"points": free["points"] + 9})
    assert all(torch.allclose(free[n], forced[n], atol=1e-5) for n in free)
    assert torch.allclose(free["points"][:, 0], other["points"][:, 0], atol=1e-5)
    assert not torch.allclose(free["points"][:, 1], other["points"][:, 1], atol=1e-3)


def test_gradients_of_the_free_road_equal_those_of_the_slow_one() -> None:
    model = autoregressive()
    features, who = torch.randn(1, 8, 16), model.embed({"set/a": 1.0})
    found = []
    for road in (
        model.codes(features, who, 25, 8, ["points"])["points"],
        slow_road(model, features, who, "points"),
    ):
        parts = model.decoder.map.weight, model.heads["points"].weight, model.decoder.identity.weight
        found.append(torch.autograd.grad(road.square().sum(), parts, retain_graph=True))
    for fast, slow in zip(*found, strict=True):
        assert fast.abs().max() > 0
        assert torch.allclose(fast, slow, rtol=1e-3, atol=1e-4)


def test_what_an_autoregressive_decoder_can_not_do_is_a_sentence() -> None:
    model = autoregressive(forced=True).train()
    features, who = torch.randn(1, 8, 16), model.embed({"set/a": 1.0})
    with pytest.raises(ModelError, match="no hidden states that heads share"):
        model.hidden(features, who, 25, 8)
    with pytest.raises(ModelError, match="needs the true codes of 'points'"):
        model.codes(features, who, 25, 8, ["points"], true={"weights": torch.zeros(1, 8, 5)})
    with pytest.raises(ConfigError, match="teacher_forcing must run at the motion's rate"):
        settings({"kind": "autoregressive", "teacher_forcing": True}, adaptor="after_decoder")


def test_windows_of_the_autoregressive_decoder_cross_fade_codes() -> None:
    """25 s windows, 5 s shared, each begun anew: against a plain loop over whole arrays."""
    model = autoregressive()
    fps, names = 5, ["weights", "points"]
    sound = np.random.default_rng(0).standard_normal(58 * 16000).astype(np.float32) * 0.1
    who = model.embed({"set/b": 1.0})
    pieces = list(head_codes(model, [sound[:300_000], sound[300_000:]], who, fps, names))
    for name in names:
        made = torch.cat([piece[name] for piece in pieces], 1)[0]
        want = torch.zeros_like(made)
        for start in (0, 20, 40):
            part = torch.tensor(sound[start * 16000 : (start + 25) * 16000])[None]
            count = part.shape[1] * fps // 16000
            with torch.inference_mode():
                codes = model.codes(model.features(part, count), who, fps, count, [name])[name][0]
            ramp = torch.ones(count, 1)
            if start:
                ramp[: 5 * fps, 0] = torch.linspace(0, 1, 5 * fps)
            if start < 40:
                ramp[-5 * fps :, 0] = torch.linspace(1, 0, 5 * fps)
            want[start * fps : start * fps + count] += codes * ramp
        assert made.shape == (58 * fps, model.config.heads[name])
        assert torch.allclose(made, want, atol=1e-5)


FACEFORMER = Path(__file__).parents[2] / "shared" / "reference" / "faceformer-vocaset"
NAMES = (
    ("audio_encoder.", "encoder.model."),
    ("audio_feature_map.", "decoder.map."),
    ("vertice_map.", "decoder.motion.mesh."),
    ("transformer_decoder.layers.", "decoder.layers."),
    ("vertice_map_r.", "heads.mesh."),
)
"""Tensors of the published FaceFormer → their names here."""


def faceformer() -> UniTalker:
    state = torch.load(FACEFORMER / "vocaset.pth", weights_only=True)
    config = UniTalkerConfig.parse(
        {
            "encoder": {
                "kind": "hf",
                "architecture": json.loads((FACEFORMER / "encoder_config.json").read_text()),
                "normalise": True,
            },
            "adaptor": "before_transformer",
            "decoder": {"kind": "autoregressive", "width": 32},
            "identities": [f"s{i}" for i in range(8)],
            "heads": {"mesh": 300},
            "default_annotation": "mesh",
        }
    )
    assert torch.allclose(state.pop("PPE.pe")[0], slow_positions(630, 32, 30), atol=1e-6)
    subjects = state.pop("obj_vector.weight").T
    ours = {"decoder.identity.weight": torch.cat([subjects, torch.zeros(1, 32)])}
    for key, value in state.items():
        old, new = next(pair for pair in NAMES if key.startswith(pair[0]))
        ours[new + key.removeprefix(old)] = value
    model = UniTalker(config).eval()
    model.load_state_dict(ours)
    return model


@pytest.mark.skipif(not FACEFORMER.is_dir(), reason="the published code's outputs are not here")
def test_equals_the_published_faceformer() -> None:
    pytest.importorskip("transformers")
    model = faceformer()
    sound, _ = soundfile.read(FACEFORMER / "clip.wav", dtype="float32")
    samples, expected = torch.tensor(sound)[None], np.load(FACEFORMER / "expected.npz")
    frames = int(model.encoder.counts(torch.tensor([len(sound)])).item() / 50 * 30)
    for subject in (0, 5):
        want = expected[f"subject{subject}"]
        template = np.load(FACEFORMER / "templates.npz")[f"s{subject}"].reshape(1, 300)
        assert len(want) == frames
        with torch.inference_mode():
            who = model.embed({f"s{subject}": 1.0})
            made = model.codes(model.features(samples, frames), who, 30, frames, ["mesh"])["mesh"][0]
        assert np.abs(made.numpy() + template - want).max() < 1e-5
