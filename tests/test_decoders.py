"""The decoders against PyTorch's own transformer layers, brute-force masks and each clip on its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from slow_decoders import library_layers, settings, slow_mask, slow_positions, stirred
from unitalker.config import CrossDecoderConfig, TransformerDecoderConfig
from unitalker.errors import ConfigError
from unitalker.models import transformer
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


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_changes_rounding_alone(kind: str) -> None:
    model = UniTalker(settings({"kind": kind}))
    stirred(model)
    features, who = torch.randn(2, 30, 16), model.embed([0, 2])
    lengths = torch.tensor([30, 20]), torch.tensor([15, 10])
    whole = model.codes(features, who, 25, lengths[1], ["points"], lengths[0])["points"]
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.codes(features, who, 25, lengths[1], ["points"], lengths[0])["points"]
    assert rough.dtype == torch.bfloat16
    assert torch.allclose(rough.float()[0], whole[0], atol=0.1)
    rough.float().square().mean().backward()
    assert model.decoder.map.weight.grad is not None
    assert torch.isfinite(model.decoder.map.weight.grad).all()
