"""Encoders against the transformers library, torch's own interpolation and each clip alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unitalker.config import HFEncoderConfig, MiniEncoderConfig, UniTalkerConfig
from unitalker.errors import ConfigError, ModelError
from unitalker.models.adaptor import adapt_aligned, adapt_clock
from unitalker.models.hf import HFEncoder, describe
from unitalker.models.mini import MiniEncoder
from unitalker.models.padding import normalise
from unitalker.models.unitalker import UniTalker

transformers = pytest.importorskip("transformers")

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "layerdrop": 0.0,
}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
FORMS: dict[str, tuple[dict[str, Any], bool]] = {
    "wavlm": ({"model_type": "wavlm"}, False),
    "wavlm-stable": ({"model_type": "wavlm"} | STABLE, True),
    "wav2vec2": ({"model_type": "wav2vec2"}, True),
    "wav2vec2-stable": ({"model_type": "wav2vec2"} | STABLE, True),
    "hubert": ({"model_type": "hubert"}, True),
}
CLASSES = {"wavlm": "WavLMModel", "wav2vec2": "Wav2Vec2Model", "hubert": "HubertModel"}


def settings(form: str, **changes: Any) -> HFEncoderConfig:
    shape, normal = FORMS[form]
    return HFEncoderConfig(name="none", architecture=shape | SIZES, normalise=normal, **changes)


def tiny(form: str) -> HFEncoder | MiniEncoder:
    torch.manual_seed(3)
    encoder = (
        MiniEncoder(MiniEncoderConfig(width=16, mels=40)) if form == "mini" else HFEncoder(settings(form))
    )
    return encoder.eval()


def library(encoder: HFEncoder, **changes: Any) -> nn.Module:
    """The library's own model with the encoder's weights."""
    arch = dict(encoder.config.architecture or {})
    kind = arch.pop("model_type")
    config = transformers.AutoConfig.for_model(kind, **arch, **changes)
    model = getattr(transformers, CLASSES[kind])(config).eval()
    model.load_state_dict(encoder.model.state_dict())
    return model


def prepared(encoder: HFEncoder, samples: torch.Tensor) -> torch.Tensor:
    """Samples as the library's own feature extractor hands them to the model."""
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=bool(encoder.config.normalise))
    rows = [extractor(row.numpy(), sampling_rate=16000).input_values[0] for row in samples]
    return torch.tensor(np.stack(rows))


def padded(rows: Sequence[torch.Tensor], width: int, content: float) -> torch.Tensor:
    """Rows of many lengths in one tensor, with noise (or one value) behind them."""
    samples = (
        torch.randn(len(rows), width) * 30
        if np.isfinite(content)
        else torch.full((len(rows), width), content)
    )
    for row, clip in zip(samples, rows, strict=True):
        row[: len(clip)] = clip
    return samples


def clips(seed: int, shortest: int = 400) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    lengths = [shortest, 24000, *torch.randint(shortest, 24000, (2,), generator=generator).tolist()]
    return [torch.randn(n, generator=generator) * 0.1 + 0.05 * i for i, n in enumerate(lengths)]


@pytest.mark.parametrize("form", FORMS)
def test_whole_batches_are_the_library_to_the_bit(form: str) -> None:
    encoder = tiny(form)
    assert isinstance(encoder, HFEncoder)
    samples = torch.randn(2, 9000)
    given = normalise(samples, None) if encoder.config.normalise else samples
    assert torch.allclose(given, prepared(encoder, samples), atol=1e-6)
    theirs = library(encoder)
    with torch.inference_mode():
        want = theirs(given).last_hidden_state
        assert torch.equal(encoder(samples), want)
        assert torch.equal(encoder(samples, torch.tensor([9000, 9000])), want)
        longer = torch.cat([samples, torch.randn(2, 77)], 1)
        assert torch.equal(encoder(longer, torch.tensor([9000, 9000])), want)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("seed", "content"), [(0, 0.0), (1, float("nan"))])
def test_padded_batches_are_the_library_on_each_clip(form: str, seed: int, content: float) -> None:
    encoder = tiny(form)
    assert isinstance(encoder, HFEncoder)
    theirs, rows = library(encoder), clips(seed)
    lengths = torch.tensor([len(row) for row in rows])
    with torch.inference_mode():
        out = encoder(padded(rows, 25000, content), lengths)
        for found, count, row in zip(out, encoder.counts(lengths), rows, strict=True):
            want = theirs(prepared(encoder, row[None])).last_hidden_state[0]
            assert len(want) == count
            assert (found[:count] - want).abs().max() < 1e-5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_padded_batches_of_the_small_encoder_are_each_clip(seed: int) -> None:
    encoder, rows = tiny("mini"), clips(seed, shortest=1)
    lengths = torch.tensor([len(row) for row in rows])
    with torch.inference_mode():
        out = encoder(padded(rows, 25000, float("inf") if seed else 0.0), lengths)
        for found, count, row in zip(out, encoder.counts(lengths), rows, strict=True):
            alone = encoder(row[None])[0]
            assert len(alone) == count
            assert (found[:count] - alone).abs().max() < 1e-5


@pytest.mark.parametrize("form", [*FORMS, "mini"])
def test_gradients_of_padded_batches_are_the_sum_of_each_clip(form: str) -> None:
    encoder, rows = tiny(form), clips(4)
    lengths = torch.tensor([len(row) for row in rows])
    counts = encoder.counts(lengths)
    weights = [torch.randn(int(count), encoder.size) for count in counts]
    samples = padded(rows, 24500, 0.0).requires_grad_()
    out = encoder(samples, lengths)
    sum((o[: len(w)] * w).sum() for o, w in zip(out, weights, strict=True)).backward()
    found = {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}
    encoder.zero_grad()
    for i, (row, weight) in enumerate(zip(rows, weights, strict=True)):
        alone = row[None].clone().requires_grad_()
        (encoder(alone)[0] * weight).sum().backward()
        assert samples.grad is not None
        assert alone.grad is not None
        own = samples.grad[i, : len(row)]
        assert (own - alone.grad[0]).abs().max() < 1e-4 * alone.grad.abs().max()
        assert not samples.grad[i, len(row) :].any()
    assert found
    for name, parameter in encoder.named_parameters():
        if name in found:
            assert parameter.grad is not None
            assert (found[name] - parameter.grad).abs().max() < 1e-4 * parameter.grad.abs().max() + 1e-6, name


def test_counts_are_the_library_s() -> None:
    encoder = tiny("wavlm")
    assert isinstance(encoder, HFEncoder)
    lengths = torch.arange(400, 3000)
    assert torch.equal(encoder.counts(lengths), encoder.model._get_feat_extract_output_lengths(lengths))
    assert encoder.shortest == 400


@pytest.mark.parametrize("form", ["wav2vec2", "wav2vec2-stable", "hubert"])
def test_fused_attention_equals_the_plain_one(form: str) -> None:
    encoder = tiny(form)
    assert isinstance(encoder, HFEncoder)
    assert encoder.model.config._attn_implementation == "sdpa"
    plain = library(encoder, attn_implementation="eager")
    assert plain.config._attn_implementation == "eager"
    samples = torch.randn(1, 16000)
    with torch.inference_mode():
        want = plain(prepared(encoder, samples)).last_hidden_state
        assert (encoder(samples) - want).abs().max() < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_adaptor_before_the_transformer_is_the_library_s_parts_with_torch_s_interpolation(form: str) -> None:
    encoder = tiny(form)
    assert isinstance(encoder, HFEncoder)
    theirs, rows = library(encoder), clips(5)
    frames = torch.tensor([1, 45, 70, 3])
    lengths = torch.tensor([len(row) for row in rows])
    with torch.inference_mode():
        together = encoder(padded(rows, 25000, 0.0), lengths, frames)
        assert together.shape[1] == 70
        for found, row, count in zip(together, rows, frames.tolist(), strict=True):
            features = theirs.feature_extractor(prepared(encoder, row[None]))
            resampled = F.interpolate(features, size=count, mode="linear", align_corners=True)
            projected = theirs.feature_projection(resampled.transpose(1, 2))
            hidden = projected[0] if isinstance(projected, tuple) else projected
            want = theirs.encoder(hidden).last_hidden_state
            alone = encoder(row[None], None, torch.tensor([count]))
            assert (alone - want).abs().max() < 1e-5
            assert (found[:count] - want[0]).abs().max() < 1e-5


@pytest.mark.parametrize("adaptor", ["before_transformer", "after_encoder", "after_decoder"])
@pytest.mark.parametrize("form", ["wavlm", "wav2vec2-stable", "mini"])
@pytest.mark.parametrize("grid", ["aligned_corners", "clock"])
def test_whole_models_give_in_a_padded_batch_what_they_give_alone(adaptor: str, form: str, grid: str) -> None:
    if adaptor == "before_transformer" and (form == "mini" or grid == "clock"):
        pytest.skip("no such model")
    torch.manual_seed(6)
    encoder = {"kind": "mini", "width": 16, "mels": 40} if form == "mini" else settings(form).model_dump()
    config = UniTalkerConfig.parse(
        {
            "encoder": encoder,
            "adaptor": adaptor,
            "grid": grid,
            "decoder": {"width": 16, "identity_dim": 8},
            "identities": ("set/a", "set/b"),
            "heads": {"x": 5},
            "default_annotation": "x",
        }
    )
    model = UniTalker(config).eval()
    nn.init.normal_(model.heads["x"].weight, std=0.3)
    rows, fps = clips(7), torch.tensor([25.0, 30.0, 60.0, 30.0])
    lengths = torch.tensor([len(row) for row in rows])
    frames = torch.round(lengths / 16000 * fps).long().clamp(min=1)
    identity = model.embed([0, 1, 2, 0])
    with torch.inference_mode():
        features = model.features(padded(rows, 25000, 0.0), frames, lengths)
        counts = model.encoder.counts(lengths)
        codes = model.codes(features, identity, fps, frames, ["x"], counts)["x"]
        assert codes.shape == (4, int(frames.max()), 5)
        for i, row in enumerate(rows):
            count = int(frames[i])
            alone = model(row[None], identity[i : i + 1], float(fps[i]), count, ["x"])["x"][0]
            assert (codes[i, :count] - alone).abs().max() < 1e-5


@pytest.mark.parametrize("grid", ["aligned_corners", "clock"])
def test_adaptor_rows_equal_numpy_and_the_row_alone(grid: str) -> None:
    model = UniTalker(
        UniTalkerConfig(
            encoder=MiniEncoderConfig(width=8),
            grid=grid,
            identities=(),
            heads={"x": 1},
            default_annotation="x",
        )
    )
    generator = np.random.default_rng(8)
    counts = torch.tensor([1, 50, *generator.integers(1, 50, 6)])
    frames = torch.tensor([7, 1, *generator.integers(1, 90, 6)])
    fps = torch.tensor([25, 30, 60, 29.97, 24, 100, 50, 12.5], dtype=torch.float64)
    x = torch.randn(8, 50, 3)
    out = model.adapt(x, fps, frames, 0, counts)
    assert out.shape == (8, int(frames.max()), 3)
    for i, (have, want) in enumerate(zip(counts.tolist(), frames.tolist(), strict=True)):
        times = (
            np.linspace(0, have - 1, want)
            if grid == "aligned_corners"
            else np.arange(want) / float(fps[i]) * 50
        )
        truth = np.stack([np.interp(times, np.arange(have), x[i, :have, c]) for c in range(3)], 1)
        assert np.abs(out[i, :want].numpy() - truth).max() < 1e-5
        own = x[i : i + 1, :have]
        alone = (
            adapt_aligned(own, want)
            if grid == "aligned_corners"
            else adapt_clock(own, want, float(fps[i]), 50)
        )
        assert (out[i, :want] - alone[0]).abs().max() < 1e-6
        assert not out[i, want:].any()


@pytest.mark.parametrize("form", ["wavlm", "wav2vec2-stable", "hubert"])
def test_checkpointing_changes_no_gradient(form: str) -> None:
    shape, _ = FORMS[form]
    still = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}
    samples, lengths, grads = torch.randn(2, 8000), torch.tensor([8000, 3000]), []
    for checkpointing in (False, True):
        torch.manual_seed(9)
        encoder = HFEncoder(
            HFEncoderConfig(
                name="none", architecture=shape | SIZES | still, normalise=True, checkpointing=checkpointing
            )
        ).train()
        seen: list[int] = []
        encoder.model.encoder.layers[0].attention.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        encoder(samples, lengths)[0].square().sum().backward()
        assert len(seen) == 1 + checkpointing
        grads.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name, grad in grads[0].items():
        assert torch.allclose(grad, grads[1][name], rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("form", FORMS)
def test_what_never_trains_is_frozen_from_the_start_and_keeps_no_graph(form: str) -> None:
    encoder = tiny(form).train()
    assert isinstance(encoder, HFEncoder)
    still = {n for n, p in encoder.named_parameters() if not p.requires_grad}
    assert {n.split(".")[1] for n in still} == {"feature_extractor", "masked_spec_embed"}
    seen: list[bool] = []
    encoder.model.feature_extractor.register_forward_hook(lambda _m, _i, out: seen.append(out.requires_grad))
    encoder(torch.randn(1, 4000)).sum().backward()
    assert seen == [False]
    assert not [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None]


def saved(folder: Path, form: str, normal: bool) -> Any:
    """A small published-looking model with a head of its own: folder with config, weights and preprocessor."""
    shape, _ = FORMS[form]
    arch = dict(shape | SIZES)
    kind = arch.pop("model_type")
    classes = {"wavlm": "WavLMForCTC", "wav2vec2": "Wav2Vec2ForCTC", "hubert": "HubertForCTC"}
    torch.manual_seed(10)
    model = getattr(transformers, classes[kind])(
        transformers.AutoConfig.for_model(kind, vocab_size=8, **arch)
    )
    model.eval().save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=normal).save_pretrained(folder)
    return getattr(model, kind)


@pytest.mark.parametrize(("form", "normal"), [("wavlm", False), ("wav2vec2-stable", True), ("hubert", True)])
def test_weights_come_from_a_local_folder(form: str, normal: bool, tmp_path: Path) -> None:
    theirs = saved(tmp_path, form, normal)
    found = describe(str(tmp_path))
    assert found.normalise is normal
    encoder = HFEncoder(found)
    samples = torch.randn(1, 8000)
    given = prepared(encoder, samples)
    with torch.inference_mode():
        want = theirs(given).last_hidden_state
        assert not torch.allclose(encoder.eval()(samples), want, atol=1e-3)
        encoder.load_pretrained()
        assert torch.allclose(encoder(samples), want, atol=1e-5)
    assert not any(p.requires_grad for p in encoder.model.feature_extractor.parameters())
    assert not encoder.training


def test_weights_that_do_not_fit_are_a_sentence(tmp_path: Path) -> None:
    saved(tmp_path / "wavlm", "wavlm", False)
    for changes, told in (
        ({"num_hidden_layers": 3}, r"lack \['encoder.layers.2"),
        ({"hidden_size": 64}, "can't be had"),
    ):
        architecture = {"model_type": "wavlm"} | SIZES | changes
        encoder = HFEncoder(HFEncoderConfig(name=str(tmp_path / "wavlm"), architecture=architecture))
        with pytest.raises(ModelError, match=told):
            encoder.load_pretrained()


def test_absent_weights_are_a_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match="No encoder '.*empty' can be read, as a folder or from the Hub"):
        describe(str(empty))
    encoder = HFEncoder(HFEncoderConfig(name=str(empty), architecture={"model_type": "wavlm"} | SIZES))
    with pytest.raises(ModelError, match="no file named model.safetensors.* Give a local folder of them"):
        encoder.load_pretrained()


@pytest.mark.parametrize(
    ("architecture", "told"),
    [
        ({"model_type": "bert"}, "allowed are wavlm, wav2vec2, hubert"),
        (
            {"model_type": "wavlm", "conv_stride": [5, 2, 2, 2, 2, 2, 4]},
            "features at another rate than 50 a second",
        ),
        ({"model_type": "wav2vec2", "add_adapter": True}, "features at another rate than 50 a second"),
    ],
)
def test_what_is_no_encoder_here_is_a_sentence(architecture: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        HFEncoder(HFEncoderConfig(name="x", architecture=architecture))


def test_too_short_sounds_are_a_sentence() -> None:
    encoder = tiny("wavlm")
    for samples, lengths in ((torch.zeros(1, 399), None), (torch.zeros(2, 800), torch.tensor([800, 399]))):
        with pytest.raises(
            ModelError, match=r"A sound of 399 samples is too short .* has 400 \(25 ms at 16 kHz\)"
        ):
            encoder(samples, lengths)


def test_an_adaptor_before_the_transformer_needs_one_and_no_clock() -> None:
    data = {"adaptor": "before_transformer", "identities": (), "heads": {"x": 1}, "default_annotation": "x"}
    with pytest.raises(ConfigError, match="needs an encoder with a transformer"):
        UniTalkerConfig.parse(data | {"encoder": {"kind": "mini"}})
    with pytest.raises(ConfigError, match="knows no clock"):
        UniTalkerConfig.parse(data | {"encoder": {"kind": "hf"}, "grid": "clock"})


@pytest.mark.parametrize("fault", [{"layer_norm_eps": "1e-05"}, {"hidden_size": "wide"}])
def test_an_architecture_that_the_library_refuses_is_a_sentence(fault: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="none that the transformers library takes.*" + next(iter(fault))):
        HFEncoder(HFEncoderConfig(name="x", architecture={"model_type": "wavlm"} | fault))
