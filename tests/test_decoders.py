"""The decoders against PyTorch's own transformer layers, brute-force masks and each clip on its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from slow_decoders import library_layers, settings, slow_mask, slow_positions, stirred
from unitalker.animation.roads import head_codes
from unitalker.config import CrossDecoderConfig, TransformerDecoderConfig, UniTalkerConfig
from unitalker.errors import ConfigError, ModelError
from unitalker.models import transformer
from unitalker.models.autoregressive import AutoregressiveDecoder
from unitalker.models.transformer import Attention, CrossDecoder, TransformerDecoder, past_bias, positions
from unitalker.models.unitalker import UniTalker


@pytest.mark.parametrize(("heads", "period"), [(1, 7), (2, 30), (4, 30), (4, 25), (6, 3)])
def test_bias_of_the_past_equals_the_slow_one(heads: int, period: int) -> None:
    want = slow_mask(heads, period, 70)
    assert torch.equal(past_bias(heads, period, 0, 70), want)
    assert torch.equal(past_bias(heads, period, 40, 61), want[:, 40:61, :61])


def test_positions_equal_the_formula() -> None:
    assert torch.allclose(positions(0, 75, 12, 30), slow_positions(75, 12, 30), atol=1e-6)
    assert torch.allclose(positions(0, 75, 12), slow_positions(75, 12, 1000), atol=1e-5)
    assert torch.equal(positions(40, 20, 12, 30), positions(0, 75, 12, 30)[40:60])


@pytest.mark.parametrize(("layers", "heads", "frames"), [(1, 4, 75), (2, 2, 31), (1, 4, 1)])
def test_cross_decoder_equals_the_library_under_the_release_masks(
    layers: int, heads: int, frames: int
) -> None:
    config = CrossDecoderConfig(width=16, layers=layers, heads=heads)
    ours = stirred(CrossDecoder(11, 3, config))
    assert isinstance(ours, CrossDecoder)
    theirs = library_layers(ours.layers, 16, heads)
    features, who = torch.randn(3, frames, 11), ours.identity(torch.tensor([0, 3, 1]))
    mine = ~torch.eye(frames, dtype=torch.bool)
    with torch.inference_mode():
        query = who[:, None] + slow_positions(frames, 16, 30)
        for row in range(3):
            want = theirs(
                query[row : row + 1],
                ours.map(features[row : row + 1]),
                tgt_mask=slow_mask(heads, 30, frames),
                memory_mask=mine,
            )
            got = ours(features[row : row + 1], who[row : row + 1])
            assert torch.allclose(got, want, atol=1e-6)


@pytest.mark.parametrize(("layers", "heads"), [(3, 4), (1, 2)])
def test_transformer_equals_the_library(layers: int, heads: int) -> None:
    config = TransformerDecoderConfig(width=16, identity_dim=6, layers=layers, heads=heads)
    ours = stirred(TransformerDecoder(11, 3, config))
    assert isinstance(ours, TransformerDecoder)
    layer = nn.TransformerEncoderLayer(16, heads, 32, batch_first=True)
    theirs = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False).eval()
    theirs.layers.load_state_dict(ours.layers.state_dict())
    features, who = torch.randn(3, 40, 11), ours.identity(torch.tensor([0, 3, 1]))
    valid = torch.arange(40) < torch.tensor([40, 17, 1])[:, None]
    with torch.inference_mode():
        joined = torch.cat([ours.map(features), who[:, None].repeat(1, 40, 1)], -1) @ ours.join.weight.T
        want = theirs(joined + ours.join.bias + slow_positions(40, 16, 1000), src_key_padding_mask=~valid)
        assert torch.allclose(ours(features, who, valid)[valid], want[valid], atol=1e-5)
        whole = theirs(joined + ours.join.bias + slow_positions(40, 16, 1000))
        assert torch.allclose(ours(features, who), whole, atol=1e-5)


def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, features, who = (
        stirred(CrossDecoder(11, 1, CrossDecoderConfig(width=16))),
        torch.randn(2, 50, 11),
        torch.randn(2, 16),
    )
    with torch.inference_mode():
        whole = ours(features, who)
        monkeypatch.setattr(transformer, "QUERIES", 7)
        assert torch.allclose(ours(features, who), whole, atol=1e-6)


def test_more_frames_than_the_release_allows() -> None:
    ours = stirred(CrossDecoder(4, 1, CrossDecoderConfig(width=8, heads=2)))
    with torch.inference_mode():
        out = ours(torch.randn(1, 3100, 4), torch.randn(1, 8))
    assert out.shape == (1, 3100, 8)
    assert torch.isfinite(out).all()


def test_dropout_of_the_own_frame_takes_whole_heads() -> None:
    ours = Attention(8, 4, 0.5)
    with torch.no_grad():
        ours.in_proj_bias.fill_(1.0)
        ours.in_proj_weight.zero_()
        ours.out_proj.weight.copy_(torch.eye(8))
    out = ours.train().to_own(torch.randn(5, 400, 8)).unflatten(-1, (4, 2))
    assert torch.equal(out[..., 0], out[..., 1])
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert abs((out > 0).float().mean().item() - 0.5) < 0.05


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


def test_heads_that_do_not_share_the_width_are_a_sentence() -> None:
    with pytest.raises(ConfigError, match="multiple of heads, not 18 with 4"):
        settings({"kind": "transformer_decoder", "width": 18})


KINDS = ["tcn", "transformer", "transformer_decoder", "autoregressive"]
TINY_WAV2VEC = {
    "kind": "hf",
    "name": "none",
    "normalise": True,
    "architecture": {
        "model_type": "wav2vec2",
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 17,
        "conv_dim": [8] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("encoder", "adaptor"),
    [
        ("mini", "after_encoder"),
        ("mini", "after_decoder"),
        ("wav2vec2", "before_transformer"),
        ("wav2vec2", "after_encoder"),
        ("wav2vec2", "after_decoder"),
    ],
)
def test_a_row_of_a_padded_batch_equals_the_row_alone(kind: str, encoder: str, adaptor: str) -> None:
    if encoder == "wav2vec2":
        pytest.importorskip("transformers")
    changes: dict[str, object] = {"encoder": TINY_WAV2VEC} if encoder == "wav2vec2" else {}
    model = UniTalker(settings({"kind": kind}, adaptor=adaptor, **changes))
    stirred(model.decoder)
    stirred(model.heads)
    model.eval()
    lengths, rates = torch.tensor([16000, 9000, 12345]), torch.tensor([25.0, 30.0, 60.0])
    frames = (lengths / 16000 * rates).round().long()
    samples = torch.randn(3, 16000) * 0.1
    who = model.embed([0, 1, 2])
    with torch.inference_mode():
        counts = model.encoder.counts(lengths)
        batch = model.codes(model.features(samples, frames, lengths), who, rates, frames, ["points"], counts)[
            "points"
        ]
        for row, (length, count) in enumerate(zip(lengths.tolist(), frames.tolist(), strict=True)):
            own = model.features(samples[row : row + 1, :length], count)
            alone = model.codes(own, who[row : row + 1], rates[row].item(), count, ["points"])["points"]
            assert alone.shape == (1, count, 9)
            assert torch.allclose(batch[row : row + 1, :count], alone, atol=1e-5)


def test_rows_taken_from_a_longer_batch_have_their_own_length() -> None:
    pytest.importorskip("transformers")
    model = UniTalker(
        settings(
            {"kind": "autoregressive", "teacher_forcing": True},
            adaptor="before_transformer",
            encoder=TINY_WAV2VEC,
        )
    )
    frames = torch.tensor([30, 12])
    features = model.features(torch.randn(2, 16000), frames, torch.tensor([16000, 9000]))
    true = {"points": torch.randn(1, 12, 9)}
    assert features.shape[1] == 30
    codes = model.train().codes(features[1:], model.embed([1]), 25, frames[1:], ["points"], true=true)
    assert codes["points"].shape == (1, 12, 9)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_for_training_alone(kind: str) -> None:
    model = UniTalker(settings({"kind": kind}))
    stirred(model)
    features, who = torch.randn(1, 30, 16), model.embed({"pivot": 1.0})
    with torch.inference_mode():
        still = [model.codes(features, who, 25, 15, ["points"])["points"] for _ in range(2)]
        moving = [model.train().codes(features, who, 25, 15, ["points"])["points"] for _ in range(2)]
    assert torch.equal(*still)
    assert not torch.allclose(*moving, atol=1e-3)


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
