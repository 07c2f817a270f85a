"""SelfTalk: its transformer by plain matrices, its lip reader by the library's parts, its checkpoints, its training."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from slow_decoders import settings, stirred
from training_sets import paper_run, small_model
from unitalker.animation.animator import load
from unitalker.cli import main
from unitalker.config import UniTalkerConfig
from unitalker.errors import ModelError
from unitalker.models.baselines.own import Heard
from unitalker.models.baselines.selftalk import SelfTalk, velocity_error
from unitalker.models.baselines.selftalk_reader import LipReader, spelled
from unitalker.models.presets import PRESETS, TRAINING, preset
from unitalker.models.released.baselines import Beside
from unitalker.models.released.kinds import import_baseline
from unitalker.models.unitalker import UniTalker
from unitalker.training.session import open_run

pytest.importorskip("transformers")

RECIPES = Path(__file__).parents[1] / "recipes" / "baselines"
SIZES = {
    "conv_dim": [8] * 7,
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
    "vocab_size": 7,
}
RECOGNISER: dict[str, object] = {
    "name": "tiny",
    "architecture": {"model_type": "wav2vec2"} | SIZES,
    "normalise": True,
    "pretrained": False,
}
READING: dict[str, object] = {
    "recogniser": RECOGNISER,
    "letters": 7,
    "layers": 1,
    "heads": 8,
    "inner": 20,
    "dropout": 0.0,
}
DECODER: dict[str, object] = {"kind": "selftalk", "width": 16, "heads": 4, "dropout": 0.0}


def talker(reading: bool = True, **changes: object) -> tuple[UniTalker, SelfTalk]:
    own = {"reading": READING, "lips": {"points": (0, 2)}} if reading else {}
    model = cast(UniTalker, stirred(UniTalker(settings(DECODER | own, **changes))))
    assert isinstance(model.decoder, SelfTalk)
    return model, model.decoder


def attention(x: torch.Tensor, memory: torch.Tensor, state: dict[str, torch.Tensor], name: str, heads: int) -> torch.Tensor:  # fmt: skip
    """(T, W) attends to all of memory (S, W), head by head and frame by frame."""
    width = x.shape[1]
    size = width // heads
    weight, bias = state[f"{name}.in_proj_weight"], state[f"{name}.in_proj_bias"]
    q, k, v = (
        y @ weight[i * width : (i + 1) * width].T + bias[i * width : (i + 1) * width]
        for i, y in enumerate((x, memory, memory))
    )
    rows = []
    for t in range(len(x)):
        parts = []
        for head in range(heads):
            columns = slice(head * size, (head + 1) * size)
            score = torch.exp(k[:, columns] @ q[t, columns] / math.sqrt(size))
            parts.append((score[:, None] * v[:, columns]).sum(0) / score.sum())
        rows.append(state[f"{name}.out_proj.weight"] @ torch.cat(parts) + state[f"{name}.out_proj.bias"])
    return torch.stack(rows)


def slow_codes(state: dict[str, torch.Tensor], features: torch.Tensor, heads: int = 4) -> torch.Tensor:
    """Features (T, F) → codes, by published names: one layer, attention to everything, no mask, no positions."""

    def norm(y: torch.Tensor, name: str) -> torch.Tensor:
        centred = y - y.mean(1, keepdim=True)
        scale = torch.sqrt(centred.square().mean(1, keepdim=True) + 1e-5)
        return centred / scale * state[f"{name}.weight"] + state[f"{name}.bias"]

    def line(y: torch.Tensor, name: str) -> torch.Tensor:
        return y @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    layer = "transformer_decoder.layers.0"
    audio = line(features, "audio_feature_map")
    x = norm(audio + attention(audio, audio, state, f"{layer}.self_attn", heads), f"{layer}.norm1")
    x = norm(x + attention(x, audio, state, f"{layer}.multihead_attn", heads), f"{layer}.norm2")
    x = norm(x + line(line(x, f"{layer}.linear1").clamp(min=0), f"{layer}.linear2"), f"{layer}.norm3")
    return line(x, "vertice_map_r")


def published_state(paired: bool, dim: int, lips: int = 2, width: int = 16) -> dict[str, torch.Tensor]:
    """A tiny checkpoint in the published spelling: both encoders, the decoder, the lip reader."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2Model

    torch.manual_seed(2)
    parts: dict[str, nn.Module] = {
        "audio_encoder": Wav2Vec2Model(Wav2Vec2Config(**SIZES)),  # pyright: ignore[reportArgumentType]
        "text_encoder": Wav2Vec2ForCTC(Wav2Vec2Config(**SIZES)),  # pyright: ignore[reportArgumentType]
        "audio_feature_map": nn.Linear(24 * (1 + paired), width),
        "transformer_decoder": nn.TransformerDecoder(
            nn.TransformerDecoderLayer(width, 4, 2 * width, batch_first=True), 1
        ),
        "vertice_map_r": nn.Linear(width, dim),
        "lip_map": nn.Linear(3 * lips, 24),
        "transformer": nn.Transformer(24, 8, 1, 1, 20, batch_first=True),
        "lm_head": nn.Linear(24, 7),
    }
    return {f"{name}.{k}": v for name, part in parts.items() for k, v in part.state_dict().items()}


def library_features(state: dict[str, torch.Tensor], samples: torch.Tensor, paired: bool) -> torch.Tensor:
    """Samples (N,) → what a frame hears, by the library: pairs of 50 Hz, or 30 Hz put in before the transformer."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    encoder: Any = Wav2Vec2Model(Wav2Vec2Config(**SIZES)).eval()  # pyright: ignore[reportArgumentType]
    own = {k.removeprefix("audio_encoder."): v for k, v in state.items() if k.startswith("audio_encoder.")}
    encoder.load_state_dict(own)
    x = ((samples - samples.mean()) / torch.sqrt(samples.var(unbiased=False) + 1e-7))[None]
    if paired:
        features = encoder(x).last_hidden_state[0]
        return features[: len(features) // 2 * 2].reshape(len(features) // 2, -1)
    low = encoder.feature_extractor(x)
    between = F.interpolate(low, size=int(low.shape[2] / 50 * 30), mode="linear", align_corners=True)
    return encoder.encoder(encoder.feature_projection(between.mT)[0]).last_hidden_state[0]


@pytest.mark.parametrize(("paired", "dim"), [(True, 12), (False, 12), (True, 70110)])
def test_published_checkpoints_equal_the_slow_road(tmp_path: Path, paired: bool, dim: int) -> None:
    state, scale = published_state(paired, dim), 0.2 if dim == 70110 else 1.0
    torch.save(state, tmp_path / "model.pth")
    (tmp_path / "encoder.json").write_text(json.dumps(RECOGNISER["architecture"]))
    face = np.random.default_rng(0).standard_normal((dim // 3, 3))
    np.savez(tmp_path / "faces.npz", F2=face, F3=face + 1)
    asked = ["import", str(tmp_path / "model.pth"), "--kind", "selftalk", "-o", str(tmp_path / "out")]
    asked += ["--encoder-config", str(tmp_path / "encoder.json"), "--templates", str(tmp_path / "faces.npz")]
    assert main([*asked, "--subjects", "F2,F3"]) == 0
    animator = load(tmp_path / "out")
    assert animator.identities == ("pivot", "F2", "F3")
    assert not [k for k in animator.model.state_dict() if "reader" in k]
    samples = np.random.default_rng(1).standard_normal(21350).astype(np.float32) * 0.1
    (motion,) = animator.animate((samples, 16000), identity="F3").values()
    with torch.inference_mode():
        want = slow_codes(state, library_features(state, torch.tensor(samples), paired)).numpy()
    assert motion.values.shape == want.shape == (33 if paired else 39, dim)
    assert motion.template is not None
    assert (
        np.abs((motion.values + motion.template.reshape(-1)) / scale - want - face.reshape(-1) - 1).max()
        < 1e-4
    )


def test_an_import_with_the_lips_named_keeps_the_lip_reader(tmp_path: Path) -> None:
    state = published_state(False, 12)
    torch.save(state, tmp_path / "model.pth")
    (tmp_path / "encoder.json").write_text(json.dumps(RECOGNISER["architecture"]))
    (tmp_path / "told.json").write_text('{"lips": [3, 1]}')
    beside = Beside(encoder_config=tmp_path / "encoder.json", config=tmp_path / "told.json")
    made = import_baseline("selftalk", tmp_path / "model.pth", tmp_path / "out", beside)
    assert made.config.identities == ("s0",)
    decoder = load(tmp_path / "out").model.decoder
    assert isinstance(decoder, SelfTalk)
    assert decoder.reader is not None
    assert decoder.reader.columns["mesh_4_vertices"].tolist() == [9, 10, 11, 3, 4, 5]
    assert torch.equal(decoder.reader.letters.weight, state["lm_head.weight"])
    assert torch.equal(decoder.reader.recogniser.letters.weight, state["text_encoder.lm_head.weight"])
    (tmp_path / "told.json").write_text('{"lips": [4]}')
    with pytest.raises(ModelError, match="a list of vertices from 0 to 3"):
        import_baseline("selftalk", tmp_path / "model.pth", tmp_path / "out", beside)


@pytest.mark.parametrize("spare", ["transformer.spare", "audio_feature_map.spare"])
def test_every_tensor_of_a_checkpoint_is_accounted_for(tmp_path: Path, spare: str) -> None:
    state = published_state(False, 12)
    (tmp_path / "encoder.json").write_text(json.dumps(RECOGNISER["architecture"]))
    beside = Beside(encoder_config=tmp_path / "encoder.json")
    torch.save(state | {spare: torch.zeros(3)}, tmp_path / "model.pth")
    with pytest.raises(ModelError, match=f"unknown {spare}"):
        import_baseline("selftalk", tmp_path / "model.pth", tmp_path / "out", beside)
    torch.save({k: v for k, v in state.items() if k != "lip_map.bias"}, tmp_path / "model.pth")
    with pytest.raises(ModelError, match=r"lacks lip_map\.bias"):
        import_baseline("selftalk", tmp_path / "model.pth", tmp_path / "out", beside)


def test_features_come_in_twos() -> None:
    """At 25 fps a frame has its own two of 50 Hz, the last held; at other rates they lie between, corners aligned."""
    features = torch.randn(3, 21, 4)
    frames, counts = torch.tensor([9, 11, 7]), torch.tensor([21, 20, 13])
    two = Heard(features, frames, counts, torch.tensor([25.0, 25.0, 30.0])).two()
    assert two.shape == (3, 11, 2, 4)
    for row in (0, 1):
        for t in range(int(frames[row])):
            for i in (0, 1):
                assert torch.equal(two[row, t, i], features[row, min(2 * t + i, 19)])
    between = F.interpolate(features[2:, :13].mT, size=14, mode="linear", align_corners=True).mT
    assert torch.allclose(two[2, :7].reshape(14, 4), between[0], atol=1e-6)
    alone = Heard(features[2:], frames[2:], counts[2:], torch.tensor([30.0])).two()
    assert torch.allclose(alone[0, :7], two[2, :7])


@pytest.mark.parametrize("adaptor", ["after_encoder", "decoder"])
def test_a_row_of_a_batch_moves_as_if_alone(adaptor: str) -> None:
    model, _ = talker(reading=False, adaptor=adaptor)
    features, who = torch.randn(3, 40, 16), model.embed([0, 1, 2])
    frames, counts, fps = (
        torch.tensor([12, 20, 9]),
        torch.tensor([24, 40, 15]),
        torch.tensor([25.0, 25.0, 30.0]),
    )
    with torch.inference_mode():
        whole = model.codes(features, who, fps, frames, ["points"], counts)["points"]
        for row, (count, have) in enumerate(zip(frames.tolist(), counts.tolist(), strict=True)):
            alone = model.codes(features[row : row + 1, :have], who[:1], float(fps[row]), count, ["points"])
            assert torch.allclose(whole[row, :count], alone["points"][0], atol=1e-5)
            assert whole[row, :count].std() > 0.01


def test_the_velocity_s_error_is_its_mean_square() -> None:
    error, own = torch.randn(2, 9, 5), torch.ones(2, 9, dtype=torch.bool)
    own[1, 6:] = False
    rows = (velocity_error(error, own) * own).sum(1) / own.sum(1)
    for row, count in ((0, 9), (1, 6)):
        changes = [error[row, t + 1] - error[row, t] for t in range(count - 1)]
        assert float(rows[row]) == pytest.approx(float(torch.stack(changes).square().mean()), rel=1e-5)


def test_text_is_what_the_library_s_tokeniser_spells(tmp_path: Path) -> None:
    from transformers import Wav2Vec2CTCTokenizer

    letters = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "a": 5, "b": 6}
    (tmp_path / "vocab.json").write_text(json.dumps(letters))
    theirs = Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"))
    rng = np.random.default_rng(0)
    for _ in range(40):
        heard = torch.tensor(rng.choice([0, 0, 4, 5, 6], 30))
        text = theirs.batch_decode(heard[None], clean_up_tokenization_spaces=False)
        assert spelled(heard, 0, 4).tolist() == theirs(text).input_ids[0]
    assert len(spelled(torch.tensor([0, 4, 4, 0]), 0, 4)) == 0


@pytest.mark.parametrize("paired", [True, False])
def test_the_lip_reader_s_errors_are_the_library_s(paired: bool) -> None:
    """Two padded rows against each alone, by F.interpolate, nn.Transformer and F.ctc_loss as the paper has them."""
    model, decoder = talker(adaptor="decoder" if paired else "after_encoder")
    reader = decoder.reader
    assert isinstance(reader, LipReader)
    torch.manual_seed(3)
    nn.init.normal_(reader.recogniser.letters.weight, std=5)
    samples, lengths, fps = torch.randn(2, 17000) * 0.1, torch.tensor([17000, 12345]), 25.0
    frames = torch.tensor([26, 19])
    counts = reader.recogniser.encoder.counts(lengths)
    features, true = torch.randn(2, int(counts.max()), 16), torch.randn(2, 26, 9)
    with torch.inference_mode():
        heard = model.heard(features, torch.full((2,), fps), frames, counts)
        heard = Heard(heard.features, heard.frames, heard.counts, heard.fps, samples, lengths)
        made, terms = decoder.terms(heard, model.embed([0, 1]), "points", true)
        assert list(terms) == list(decoder.losses)
        for row, (count, have) in enumerate(zip(frames.tolist(), counts.tolist(), strict=True)):
            spoken, logits = reader.recogniser(samples[row : row + 1, : lengths[row]])
            size = min(have, 2 * count) if paired else have
            lips = reader.lips["points"](made[row, :count].unflatten(-1, (3, 3))[:, [0, 2]].flatten(1))
            x = F.interpolate(lips.T[None], size=size, mode="linear", align_corners=True).mT
            theirs = nn.Transformer(24, 8, 1, 1, 20, batch_first=True).eval()
            theirs.load_state_dict(reader.transformer.state_dict())
            read = theirs(x, x)
            latent = F.mse_loss(read, spoken[:, :size])
            text = spelled(logits[0, :size].argmax(-1), 0, 4)
            assert len(text) > 0
            logs = F.log_softmax(reader.letters(read), -1).transpose(0, 1)
            loss = F.ctc_loss(logs, text[None], torch.tensor([size]), torch.tensor([len(text)]), reduction="mean", zero_infinity=True)  # fmt: skip
            assert torch.allclose(terms["latent"][row], 1e-3 * latent, rtol=1e-3)
            assert torch.allclose(terms["text"][row], 1e-4 * loss, rtol=1e-3)
            assert float(terms["motion"][row, :count].mean()) == pytest.approx(
                1000 * float(F.mse_loss(made[row, :count], true[row, :count])), rel=1e-4
            )


def test_the_recogniser_never_trains() -> None:
    model, decoder = talker(adaptor="after_encoder")
    reader = decoder.reader
    assert reader is not None
    model.train()
    assert not reader.recogniser.training
    assert reader.transformer.training
    assert not any(p.requires_grad for p in reader.recogniser.parameters())
    samples, lengths = torch.randn(1, 9000) * 0.1, torch.tensor([9000])
    heard = model.heard(torch.randn(1, 27, 16), 25.0, 14)
    heard = Heard(heard.features, heard.frames, heard.counts, heard.fps, samples, lengths)
    _, terms = decoder.terms(heard, model.embed([0]), "points", torch.randn(1, 14, 9))
    (terms["latent"] + terms["text"]).sum().backward()
    for parameter in (decoder.map.weight, reader.letters.weight, reader.lips["points"].weight):
        assert isinstance(parameter, nn.Parameter)
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("name", "dim", "lips", "millions"), [("selftalk", 15069, 254, 450), ("selftalk-25", 70110, 4996, 539)]
)
def test_trainable_parameters_are_those_of_the_comparison(
    name: str, dim: int, lips: int, millions: int
) -> None:
    """Lips as many as the published masks of both corpora have; Tab. 2 rounds 449.5 up."""
    facts = {"identities": [], "heads": {"mesh": dim}, "default_annotation": "mesh"}
    config = UniTalkerConfig.parse(preset(name) | facts)
    config = config.model_copy(update={"decoder": config.decoder.with_lips({"mesh": range(lips)})})
    with torch.device("meta"):
        model = UniTalker(config)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert round(trained / 1e6 + 0.05) == millions
    assert f"{trained:,}" in (Path(__file__).parents[1] / "docs" / "baselines.md").read_text()


def test_it_learns_on_lips_and_sound(tmp_path: Path) -> None:
    decoder = {"kind": "selftalk", "width": 16, "dropout": 0.0, "reading": READING}
    model = small_model(adaptor="decoder", decoder=decoder, heads={"mesh": 36})
    changes: dict[str, Any] = {"epochs": 30, "warmup_epochs": 0, "validate_epochs": 30, "lr": 5e-3}
    config = paper_run(tmp_path, model=model, pca=False, **changes)
    config = config.model_copy(update={"sources": config.sources[:1]})
    trainer = open_run(config, tmp_path / "run")
    assert isinstance(trainer.model.decoder, SelfTalk)
    assert trainer.model.decoder.reader is not None
    assert trainer.model.decoder.reader.columns["mesh"].tolist() == list(range(12))
    lines: list[dict[str, float]] = []
    trainer.run(lambda step, figures: lines.append(figures), workers=0)
    told = [line for line in lines if "mesh.latent" in line]
    assert told[-1]["mesh.latent"] < told[0]["mesh.latent"]
    assert told[-1]["mesh.text"] < told[0]["mesh.text"]
    assert next(line["val.score"] for line in lines if "val.score" in line) < 0.8
    assert load(tmp_path / "run" / "model").model.config.decoder == trainer.model.config.decoder


def test_both_learn_a_made_up_copy_of_a_corpus(tmp_path: Path) -> None:
    """From the command line: synthesize, import, train; the figures are those of a resting face before."""
    assert main(["data", "synthesize", "--like", "vocaset", str(tmp_path / "raw")]) == 0
    assert (
        main(["data", "import", "vocaset", str(tmp_path / "raw"), str(tmp_path / "set"), "--fps", "30"]) == 0
    )
    for kind in ("selftalk", "facediffuser"):
        recipe, run = RECIPES / f"{kind}-small.yaml", tmp_path / kind
        asked = ["train", str(recipe), "--data", str(tmp_path / "set"), "-o", str(run), "--workers", "0"]
        assert main([*asked, "--set", "epochs=25"]) == 0
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert min(line["val.score"] for line in lines if "val.score" in line) < 0.9
        assert main(["animate", str(next((tmp_path / "set" / "audio").iterdir())), "--model", str(run / "best"), "-o", str(run / "x.npz")]) == 0  # fmt: skip


@pytest.mark.parametrize("adaptor", ["after_encoder", "paired"])
def test_without_feedback_is_faceformer_that_ignores_its_motion(adaptor: str) -> None:
    """Tab. 10's change: the same weights, what is fed back taken as nothing."""
    fed = cast(
        UniTalker, stirred(UniTalker(settings({"kind": "autoregressive", "period": 7}, adaptor=adaptor)))
    )
    plain = UniTalker(settings({"kind": "transformer_decoder", "period": 7}, adaptor=adaptor)).eval()
    state = fed.state_dict()
    for name in [k for k in state if k.startswith("decoder.motion.")]:
        state.pop(name).zero_()
    plain.load_state_dict(state)
    frames, counts = torch.tensor([12, 7]), torch.tensor([24, 15])
    with torch.inference_mode():
        features, who = torch.randn(2, 24, 16), plain.embed([0, 2])
        for name in ("points", "weights"):
            one, other = (m.codes(features, who, 25.0, frames, [name], counts)[name] for m in (fed, plain))
            for row, count in enumerate(frames.tolist()):
                assert torch.allclose(one[row, :count], other[row, :count], atol=1e-5)


def test_the_vanilla_recipe_is_the_vanilla_preset() -> None:
    import yaml

    told = yaml.safe_load((RECIPES / "vanilla.yaml").read_text())
    assert told == TRAINING["vanilla"]
    assert preset("vanilla") == preset("unitalker-b")
    text = (RECIPES / "README.md").read_text()
    assert set(re.findall(r"--preset ([\w-]+)", text)) <= set(PRESETS)


def test_the_recogniser_begins_with_published_weights(tmp_path: Path) -> None:
    """A local copy of a recogniser, read by its own library; one that is nowhere is a sentence with the way out."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    theirs = Wav2Vec2ForCTC(Wav2Vec2Config(**SIZES)).eval()  # pyright: ignore[reportArgumentType]
    theirs.save_pretrained(tmp_path / "letters")
    for name, fits in ((str(tmp_path / "letters"), True), (str(tmp_path / "nowhere"), False)):
        told = READING | {"recogniser": RECOGNISER | {"name": name, "pretrained": True, "normalise": False}}
        model = UniTalker(settings(DECODER | {"reading": told}))
        assert isinstance(model.decoder, SelfTalk)
        if not fits:
            with pytest.raises(ModelError, match=r"--set model\.decoder\.reading\.recogniser\.name=FOLDER"):
                model.decoder.load_pretrained()
            continue
        model.decoder.load_pretrained()
        assert model.decoder.reader is not None
        samples = torch.randn(1, 8000) * 0.1
        with torch.inference_mode():
            _, letters = model.decoder.reader.recogniser(samples)
            assert torch.allclose(letters, theirs(samples).logits, atol=1e-5)
