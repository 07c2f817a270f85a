"""Names of published encoders and of the paper's models: sizes against the paper and the published weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from unitalker.config import HFEncoderConfig, UniTalkerConfig
from unitalker.errors import ModelError
from unitalker.models import checkpoint
from unitalker.models.hf import HFEncoder, complete, describe
from unitalker.models.presets import ENCODERS, PRESETS, preset
from unitalker.models.unitalker import UniTalker

pytest.importorskip("transformers")

SUBJECTS = {"D0": 6, "D1": 12, "D2": 13, "D3": 141, "D4": 24, "D5": 719, "D6": 8, "D7": 11}
HEADS = {"biwi": 512, "vocaset": 512, "multiface": 512, "weights52": 52, "flame": 413, "weights51": 51}


def paper_model(name: str) -> UniTalker:
    """The model over the paper's eight datasets, without memory for its weights."""
    identities = tuple(f"{dataset}/{i}" for dataset, count in SUBJECTS.items() for i in range(count))
    data = {"identities": identities, "heads": HEADS, "default_annotation": "weights52"}
    with torch.device("meta"):
        return UniTalker(UniTalkerConfig.parse(preset(name) | data))


@pytest.mark.parametrize(
    ("name", "millions", "exact", "kept"),
    [("unitalker-b", 92, 91_852_084, 4_200_448), ("unitalker-l", 313, 312_964_420, 4_210_176)],
)
def test_trainable_parameters_are_the_paper_s(name: str, millions: int, exact: int, kept: int) -> None:
    model = paper_model(name)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert round(trained / 1e6) == millions
    assert trained == exact
    assert sum(p.numel() for p in model.encoder.model.feature_extractor.parameters()) == kept
    for figure in (exact, kept):
        assert f"{figure:,}" in (preset.__doc__ or "")


@pytest.mark.parametrize(
    ("short", "hub", "millions", "normalise"),
    [
        ("wavlm-base", "microsoft/wavlm-base", 94.38, False),
        ("wavlm-base-plus", "microsoft/wavlm-base-plus", 94.38, False),
        ("wav2vec2-base-960h", "facebook/wav2vec2-base-960h", 94.37, True),
        ("wav2vec2-large-xlsr-53", "facebook/wav2vec2-large-xlsr-53", 315.44, True),
        (
            "wav2vec2-large-xlsr-53-english",
            "jonatasgrosman/wav2vec2-large-xlsr-53-english",
            315.44,
            True,
        ),
        ("hubert-base", "facebook/hubert-base-ls960", 94.37, True),
    ],
)
def test_published_encoders_are_built_by_name_alone(
    short: str, hub: str, millions: float, normalise: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the Hub was asked")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", refuse)
    for name in (short, hub):
        with torch.device("meta"):
            encoder = HFEncoder(HFEncoderConfig(name=name))
        assert encoder.config.name == hub
        assert encoder.config.normalise is normalise
        total = sum(p.numel() for p in encoder.parameters())
        assert total / 1e6 == pytest.approx(millions, abs=0.006)


def test_every_encoder_of_the_table_and_no_other_is_tested_above() -> None:
    assert set(ENCODERS) == {
        "wavlm-base",
        "wavlm-base-plus",
        "wav2vec2-base-960h",
        "wav2vec2-large-xlsr-53",
        "wav2vec2-large-xlsr-53-english",
        "hubert-base",
    }


def test_what_the_user_sets_stays() -> None:
    given = HFEncoderConfig(name="hubert-base", pretrained=False, normalise=False, checkpointing=True)
    found = complete(given)
    assert (found.pretrained, found.normalise, found.checkpointing) == (False, False, True)
    assert found.architecture == describe("hubert-base").architecture
    assert complete(found) == found
    layered = {"model_type": "wav2vec2", "feat_extract_norm": "layer"}
    assert complete(HFEncoderConfig(name="x", architecture=layered)).normalise is True
    assert complete(HFEncoderConfig(name="x", architecture={"model_type": "wavlm"})).normalise is False


def test_a_model_s_settings_hold_its_encoder_whole() -> None:
    encoder = paper_model("unitalker-b").config.encoder
    assert encoder.kind == "hf"
    assert encoder.architecture == describe("wavlm-base-plus").architecture
    assert encoder.normalise is False


def test_mini_is_the_model_that_ships() -> None:
    shipped = json.loads((checkpoint.EMBEDDED / "mini" / "config.json").read_text())
    data = {k: shipped[k] for k in ("identities", "heads", "default_annotation")}
    ours = UniTalkerConfig.parse(preset("mini") | data)
    assert ours == UniTalkerConfig.load(checkpoint.EMBEDDED / "mini" / "config.json")


def test_presets_are_told_by_name_and_given_as_copies() -> None:
    with pytest.raises(ModelError, match="did you mean 'unitalker-b'"):
        preset("unitalker-B")
    preset("mini")["encoder"]["width"] = 8
    assert preset("mini") == PRESETS["mini"]
    assert "width" not in PRESETS["mini"]["encoder"]


def test_a_local_folder_of_a_known_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hubert-base").mkdir()
    (tmp_path / "hubert-base" / "config.json").write_text('{"model_type": "hubert", "hidden_size": 48}')
    found = describe("hubert-base")
    assert found.name == "hubert-base"
    assert found.architecture is not None
    assert found.architecture["hidden_size"] == 48
    assert found.normalise is False


def test_offline_the_hub_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was opened"))
    with pytest.raises(ModelError, match="No encoder 'nobody/nothing' can be read"):
        describe("nobody/nothing")
    with torch.device("meta"):
        encoder = HFEncoder(describe("wavlm-base"))
    with pytest.raises(ModelError, match="The weights of 'microsoft/wavlm-base' can't be had") as told:
        encoder.load_pretrained()
    assert "the Hugging Face Hub could not be asked (offline), and its cache has no copy." in str(told.value)
    assert "--set model.encoder.name=FOLDER" in str(told.value)
    assert "--set model.encoder.pretrained=false" in str(told.value)
