"""The model against the published code's outputs, the transformers library and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from unitalker.annotations import builtin
from unitalker.annotations.layouts import layout
from unitalker.config import MiniEncoderConfig, UniTalkerConfig
from unitalker.errors import ConfigError, ModelError
from unitalker.models import checkpoint
from unitalker.models.adaptor import adapt_aligned, adapt_clock
from unitalker.models.frontend import HOP, WINDOW, LevelState, level, log_mel, mel_filters
from unitalker.models.mini import MiniEncoder
from unitalker.models.unitalker import UniTalker
from unitalker.rig import builtin_head

ARKIT = layout("arkit52").names


def small(**changes: object) -> UniTalkerConfig:
    data: dict[str, object] = {
        "encoder": {"kind": "mini", "width": 16, "mels": 40},
        "adaptor": "after_decoder",
        "grid": "clock",
        "decoder": {"width": 16, "identity_dim": 8, "ahead": (1, 1, 0)},
        "identities": ("set/a", "set/b"),
        "heads": {"arkit52": 52},
        "default_annotation": "arkit52",
    }
    return UniTalkerConfig.parse(data | changes)


def test_paper_heads_are_linear_and_start_at_rest() -> None:
    model = UniTalker(small()).eval()
    with torch.inference_mode():
        out = model(torch.randn(1, 8000), model.embed({"pivot": 1.0}), 25, 12, ["arkit52"])["arkit52"]
    assert out.shape == (1, 12, 52)
    assert not out.any()


def test_adaptors_equal_numpy_interpolation() -> None:
    features = torch.randn(2, 40, 3)
    aligned = adapt_aligned(features, 25)
    where = np.linspace(0, 39, 25)
    want = np.stack(
        [[np.interp(where, np.arange(40), features[b, :, c]) for c in range(3)] for b in range(2)]
    )
    assert np.allclose(aligned.numpy(), want.transpose(0, 2, 1), atol=1e-5)
    clock = adapt_clock(features, 30, 60, 50)
    times = np.arange(30) / 60 * 50
    want = np.stack(
        [[np.interp(times, np.arange(40), features[b, :, c]) for c in range(3)] for b in range(2)]
    )
    assert np.allclose(clock.numpy(), want.transpose(0, 2, 1), atol=1e-5)
    assert torch.equal(adapt_clock(features, 50, 60, 50)[:, :20], clock[:, :20])


def test_log_mel_equals_stft() -> None:
    samples = torch.randn(1, WINDOW + HOP * 20)
    filters = torch.tensor(mel_filters(40))
    ours = log_mel(samples, filters)
    window = F.pad(torch.hann_window(WINDOW), (56, 56))
    spectrum = torch.stft(F.pad(samples, (56, 56)), 512, HOP, 512, window, center=False, return_complex=True)
    theirs = 10 * torch.log10(spectrum.abs().square().transpose(1, 2) @ filters + 1e-16)
    assert torch.allclose(ours, theirs[:, : ours.shape[1]], atol=2e-3)


def test_every_mel_band_hears_something() -> None:
    for warp in (0.82, 1.0, 1.2):
        filters = mel_filters(80, warp=warp)
        assert (filters.sum(0) > 0).all()
        assert np.isfinite(filters).all()


def test_levels_equal_the_plain_recursion_and_ignore_gain() -> None:
    mel = torch.randn(1, 60, 8) * 20 - 40
    out = level(mel.clone(), LevelState())
    peak, floor, want = -np.inf, np.full(8, np.inf), []
    for row in mel[0].numpy().astype(np.float64):
        peak = max(row.mean(), peak - 0.02)
        held = np.maximum(row, peak - 70)
        floor = np.minimum(held, floor + 0.04)
        want.append(np.concatenate([held - peak, held - floor]) / 20)
    assert np.allclose(out[0].numpy(), np.array(want), atol=1e-4)
    assert torch.allclose(level(mel + 13.0, LevelState()), out, atol=1e-5)
    state = LevelState()
    parts = [level(mel[:, :17].clone(), state), level(mel[:, 17:].clone(), state)]
    assert torch.allclose(torch.cat(parts, 1), out, atol=1e-5)


def test_look_ahead_of_the_mini_model_is_bounded() -> None:
    torch.manual_seed(0)
    model = UniTalker(small()).eval()
    torch.nn.init.normal_(model.heads["arkit52"].weight)
    sound = torch.randn(1, 16000) * 0.1
    changed = sound.clone()
    changed[:, 8000:] = torch.randn(1, 8000)
    with torch.inference_mode():
        a, b = (
            model(x, model.embed({"pivot": 1.0}), 100, 100, ["arkit52"])["arkit52"] for x in (sound, changed)
        )
    first = int((a - b).abs().amax((0, 2)).gt(1e-6).nonzero().min())
    assert first / 100 >= 0.5 - 0.120
    assert first / 100 < 0.5
    assert isinstance(model.encoder, MiniEncoder)
    assert model.encoder.seconds_ahead + 2 / 50 + 1 / 50 <= 0.120


def test_identity_mixtures_and_unknown_names() -> None:
    model = UniTalker(small())
    table = model.decoder.identity.weight
    assert torch.allclose(model.embed({"set/a": 0.25, "pivot": 0.75})[0], 0.25 * table[0] + 0.75 * table[2])
    with pytest.raises(ModelError, match="did you mean 'set/a'"):
        model.identity_row("set/A")


def test_unknown_settings_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'adaptor'"):
        small(adapter="after_decoder")
    with pytest.raises(ConfigError, match="has no head"):
        small(default_annotation="arkit25")


@pytest.mark.parametrize("half", [False, True])
def test_models_read_back(half: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = UniTalker(small()).eval()
    torch.nn.init.normal_(model.heads["arkit52"].weight)
    annotations = {"arkit52": builtin.weight_annotation("arkit52", builtin_head())}
    again = checkpoint.load(checkpoint.save(tmp_path / "m", model, annotations, half=half))
    for key, value in model.state_dict().items():
        assert torch.allclose(
            again.model.state_dict()[key], value, rtol=1e-3 if half else 0, atol=1e-4 if half else 0
        )
    assert again.annotations["arkit52"].names == ARKIT


def test_broken_models_are_told_strictly(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    annotations = {"arkit52": builtin.weight_annotation("arkit52", builtin_head())}
    folder = checkpoint.save(tmp_path / "m", UniTalker(small()), annotations)
    tensors = load_file(folder / "model.safetensors")
    bias = tensors.pop("heads.arkit52.bias")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"lacks \['heads.arkit52.bias'\]"):
        checkpoint.load(folder)
    save_file(tensors | {"heads.arkit52.bias": bias[:5]}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"of shape \(5,\), not \(52,\)"):
        checkpoint.load(folder)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        checkpoint.load(folder)
    with pytest.raises(ModelError, match="did you mean|There is no model"):
        checkpoint.load(tmp_path / "nothing")


def test_encoder_width_must_fit() -> None:
    with pytest.raises(ConfigError, match="dilation 1"):
        small(encoder=MiniEncoderConfig().model_dump() | {"dilations": (2, 1, 1)})
