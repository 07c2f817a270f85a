"""CodeTalker, both stages: against the published code's outputs, slow loops and library layers; training; refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import slow_baselines as slow
from slow_decoders import settings, slow_positions, stirred
from test_baselines_faceformer import moved
from training_sets import cards, small_model, write_clips
from unitalker.animation.animator import load
from unitalker.cli import main
from unitalker.errors import ConfigError, ModelError
from unitalker.models import checkpoint
from unitalker.models.baselines.codetalker import CodeTalker
from unitalker.models.baselines.motion_codes import MotionCodes
from unitalker.models.baselines.own import Heard
from unitalker.models.released.baselines import Beside
from unitalker.models.released.kinds import import_baseline
from unitalker.models.unitalker import UniTalker

REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "codetalker-vocaset"
STORE = {"width": 24, "layers": 2, "heads": 3, "inner": 10, "parts": 3, "part_dim": 4, "entries": 12}


def talker(stage: int = 2, dropout: float = 0.0, **changes: Any) -> tuple[UniTalker, CodeTalker]:
    decoder = {
        "kind": "codetalker",
        "stage": stage,
        "layers": 2,
        "period": 7,
        "dropout": dropout,
        "autoencoder": STORE,
    }
    model = UniTalker(settings(decoder, **changes))
    stirred(model)
    assert isinstance(model.decoder, CodeTalker)
    return model, model.decoder


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the published code's outputs are not here")
def test_equals_the_published_codetalker(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    told = [f"--{k}={REFERENCE / v}" for k, v in (("config", "config.json"), ("templates", "templates.npz"))]
    told += [
        f"--stage1={REFERENCE / 'stage1.pth.tar'}",
        f"--encoder-config={REFERENCE / 'encoder_config.json'}",
    ]
    asked = ["import", str(REFERENCE / "stage2.pth.tar"), "--kind", "codetalker", *told]
    assert main([*asked, "-o", str(tmp_path / "model")]) == 0
    animator, expected = load(tmp_path / "model"), np.load(REFERENCE / "expected.npz")
    for subject in (0, 5):
        positions = moved(animator, REFERENCE / "clip.wav", f"s{subject}")
        assert positions.shape == expected[f"subject{subject}"].shape
        assert np.abs(positions - expected[f"subject{subject}"]).max() < 1e-5


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with clip, encoder and settings for an import."""
    pytest.importorskip("transformers")
    slow.sound(tmp_path, 1.07)
    lines = [
        "NETWORK:",
        *(f"  {key}: {value}" for key, value in slow.STORE.items()),
        "PREDICTOR:",
        "  n_head: 4",
    ]
    (tmp_path / "stage2.yaml").write_text("\n".join(lines))
    return tmp_path


def save(folder: Path, paired: bool, inside: bool = False) -> tuple[slow.State, slow.State]:
    """Both stages' files in the published form; inside: the second's holds the first's tensors too."""
    period = 25 if paired else 30
    state, store = slow.codetalker_state(3, period, paired), slow.store_state(paired)
    whole = state | ({f"autoencoder.{k}": v for k, v in store.items()} if inside else {})
    torch.save({"state_dict": whole}, folder / "stage2.pth.tar")
    torch.save({"state_dict": store}, folder / "stage1.pth.tar")
    return state, store


def beside(folder: Path, **changes: Any) -> Beside:
    given: dict[str, Any] = {"stage1": folder / "stage1.pth.tar", "config": folder / "stage2.yaml"}
    given |= {"encoder_config": folder / "encoder.json"} | changes
    return Beside(**given)


@pytest.mark.parametrize("paired", [True, False])
def test_both_forms_equal_the_slow_road(files: Path, paired: bool) -> None:
    state, store = save(files, paired)
    import_baseline("codetalker", files / "stage2.pth.tar", files / "out", beside(files))
    samples, period = slow.sound(files, 1.07), 25 if paired else 30
    animator = load(files / "out")
    with torch.no_grad():
        want = slow.slow_codetalker(state, store, samples, 1, period, paired).numpy()
    (motion,) = animator.animate(files / "clip.wav", identity="s1").values()
    assert motion.fps == period and motion.values.shape == want.shape
    assert want.std(0).max() > 0.1
    assert np.abs(np.asarray(motion.values) - want).max() < 1e-4


@pytest.mark.parametrize("projected", [True, False])
def test_the_autoencoder_equals_library_layers(files: Path, projected: bool) -> None:
    _, store = save(files, projected)
    import_baseline("codetalker", files / "stage2.pth.tar", files / "out", beside(files))
    decoder = load(files / "out").model.decoder
    assert isinstance(decoder, CodeTalker)
    ours, motion = decoder.motion_codes[f"mesh_{slow.POINTS}_vertices"], torch.randn(1, 9, 3 * slow.POINTS)
    assert isinstance(ours, MotionCodes)
    with torch.no_grad():
        made, vectors = ours.encode(motion), slow.slow_encode(store, motion)
        nearest = slow.slow_nearest(store, vectors)
        assert torch.allclose(made.vectors, nearest, atol=1e-6)
        assert len(made.entries.unique()) > 3
        away = (nearest - vectors).unflatten(-1, (-1, store["quantize.embedding.weight"].shape[1]))
        assert torch.allclose(made.error, 1.25 * away.square().mean((-2, -1)), atol=1e-5)
        assert torch.allclose(ours.decode(made.vectors), slow.slow_decode(store, nearest), atol=1e-5)
        first = slow.slow_decode(store, nearest[:, :1])
        assert torch.allclose(ours.decode(nearest[:, :1], last=True), first, atol=1e-5)


def test_a_second_stage_may_hold_the_first(files: Path) -> None:
    save(files, True, inside=True)
    alone = import_baseline("codetalker", files / "stage2.pth.tar", files / "a", beside(files, stage1=None))
    other = {k: v + 1 if v.ndim == 2 else v for k, v in slow.store_state(True).items()}
    torch.save(other, files / "other.pth")
    told = import_baseline(
        "codetalker", files / "stage2.pth.tar", files / "b", beside(files, stage1=files / "other.pth")
    )
    assert len(told.remarks) == len(alone.remarks) + 1 and "its own was taken" in told.remarks[0]
    weights = [checkpoint.load(files / name).digest for name in "ab"]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stage1": None}, "holds the second stage alone; .* with --stage1"),
        ({"config": "squeezed.json"}, "quant_factor 0, as all published ones"),
        ({"config": "words.json"}, "num_attention_heads of --config must be a whole number, not 'eight'"),
        ({"config": "slope.json"}, "neg of --config must be a number, not 'steep'"),
        (
            {"more": "encoder.encoder_transformer.net.999999999.odd"},
            "has the unknown autoencoder.encoder.enc",
        ),
        ({"more": "encoder.encoder_transformer.net.odd"}, "has the unknown autoencoder.encoder.enc"),
        ({"config": "broken.yaml"}, "is not a readable YAML file"),
        ({"file": "stage1.pth.tar"}, "is CodeTalker's first stage, which knows no sound"),
        (
            {"lost": "quantize.embedding.weight"},
            "no CodeTalker stage-1 checkpoint: quantize.embedding.weight is missing",
        ),
        ({"lost": "decoder.decoder_pos_embedding.pe"}, "lacks decoder.decoder_pos_embedding.pe"),
        ({"lost": "decoder.expander.0.0.bias"}, "it lacks autoencoder.decoder.expander.0.0.bias"),
    ],
)
def test_import_errors_are_sentences(files: Path, change: dict[str, Any], sentence: str) -> None:
    _, store = save(files, True)
    (files / "squeezed.json").write_text(json.dumps(slow.STORE | {"quant_factor": 1}))
    (files / "words.json").write_text('{"num_attention_heads": "eight"}')
    (files / "slope.json").write_text('{"neg": "steep"}')
    (files / "broken.yaml").write_text("a: [")
    if "more" in change:
        torch.save(store | {change["more"]: torch.zeros(2)}, files / "stage1.pth.tar")
    if "lost" in change:
        torch.save({k: v for k, v in store.items() if k != change["lost"]}, files / "stage1.pth.tar")
    given = {k: v and files / v for k, v in change.items() if k in ("stage1", "config")}
    with pytest.raises(ModelError, match=sentence):
        name = change.get("file", "stage2.pth.tar")
        import_baseline("codetalker", files / name, files / "out", beside(files, **given))


def naive(decoder: CodeTalker, features: torch.Tensor, who: torch.Tensor, name: str) -> torch.Tensor:
    """The same decoder without memory: every frame runs all layers over all frames before it."""
    store = decoder.motion_codes[name]
    assert isinstance(store, MotionCodes)
    audio, fed, made = decoder.map(features), who[:, None], torch.empty(0)
    for n in range(1, features.shape[1] + 1):
        x = fed + slow_positions(n, 16, 7)
        for layer in decoder.layers:
            x = layer(x, audio[:, :n], 7)
        made = store.decode(store.quantise(decoder.vectors[name](x)).vectors)
        fed = torch.cat([fed, who[:, None] + decoder.motion[name](made[:, -1:])], 1)
    return made


@pytest.mark.parametrize("adaptor", ["after_encoder", "paired"])
def test_memory_changes_nothing(adaptor: str) -> None:
    model, decoder = talker(adaptor=adaptor)
    features, who = torch.randn(2, 24, 16), model.embed([0, 2])
    with torch.inference_mode():
        heard = model.heard(features, 25, 12)
        codes = decoder.codes(heard, who, "points")
        assert torch.allclose(codes, naive(decoder, heard.features, who, "points"), atol=1e-4)


def test_rows_of_a_padded_batch_are_as_if_alone() -> None:
    """At inference, and each loss; a row of one frame too."""
    model, decoder = talker()
    features, frames, true = torch.randn(3, 10, 16), torch.tensor([10, 6, 1]), torch.randn(3, 10, 9)
    rates = torch.full((3,), 25.0)
    who, both = model.embed([0, 1, 2]), Heard(features, frames, frames, rates)
    first, _ = talker(stage=1)
    for network, count in ((decoder, 2), (first.decoder, 2)):
        assert isinstance(network, CodeTalker)
        with torch.inference_mode():
            codes, losses = network.terms(both, who, "points", true)
            free = network.codes(both, who, "points") if network.from_sound else codes
            assert codes is not None and free is not None and len(losses) == count
            for i, n in enumerate(frames.tolist()):
                alone = Heard(features[i : i + 1, :n], frames[i : i + 1], frames[i : i + 1], rates[:1])
                own, terms = network.terms(alone, who[i : i + 1], "points", true[i : i + 1, :n])
                assert own is not None and torch.allclose(codes[i, :n], own[0], atol=1e-4)
                for name, loss in terms.items():
                    assert torch.allclose(losses[name][i, :n], loss[0], atol=1e-4)
                if network.from_sound:
                    own = network.codes(alone, who[i : i + 1], "points")
                    assert torch.allclose(free[i, :n], own[0], atol=1e-3)


def test_losses_are_the_published_ones() -> None:
    """Stage 1: L1, and (1 + 1/4) of the squared distance to the list. Stage 2: squared errors of motion and of vectors."""
    true, frames = torch.randn(1, 8, 9), torch.tensor([8])
    heard = Heard(torch.randn(1, 8, 16), frames, frames, torch.tensor([25.0]))
    model, decoder = talker(stage=1)
    store = decoder.motion_codes["points"]
    assert isinstance(store, MotionCodes)
    codes, terms = decoder.terms(heard, model.embed([0]), "points", true)
    found = store.encode(true)
    assert codes is not None
    assert torch.allclose(terms["motion"].mean(), F.l1_loss(store.decode(found.vectors), true), atol=1e-5)
    model, decoder = talker()
    store = decoder.motion_codes["points"]
    assert isinstance(store, MotionCodes)
    codes, terms = decoder.terms(heard, model.embed([1]), "points", true)
    assert codes is not None
    audio = decoder.map(heard.features)
    x = decoder.get_submodule("motion.points")(torch.cat([torch.zeros(1, 1, 9), true[:, :-1]], 1))
    x = x + model.embed([1])[:, None] + slow_positions(8, 16, 7)
    for layer in decoder.layers:
        x = layer(x, audio, 7)
    vectors = decoder.get_submodule("vectors.points")(x)
    reached = F.mse_loss(vectors, store.encode(true).vectors)
    assert torch.allclose(terms["vectors"].mean(), reached, atol=1e-5)
    motion = F.mse_loss(store.decode(store.quantise(vectors).vectors), true)
    assert torch.allclose(terms["motion"].mean(), motion, atol=1e-5)


def test_gradients_go_straight_through_the_list() -> None:
    model, decoder = talker()
    frames = torch.tensor([6])
    heard = Heard(torch.randn(1, 6, 16), frames, frames, torch.tensor([25.0]))
    _, terms = decoder.terms(heard, model.embed([0]), "points", torch.randn(1, 6, 9))
    terms["motion"].sum().backward()
    moving = decoder.get_parameter("vectors.points.weight").grad
    assert moving is not None and moving.abs().max() > 0
    assert all(p.grad is None for p in decoder.motion_codes.parameters())
    assert not any(p.requires_grad for p in decoder.motion_codes.parameters())


def test_the_first_stage_knows_no_sound() -> None:
    model, decoder = talker(stage=1)
    assert not decoder.from_sound and not any(p.requires_grad for p in model.encoder.parameters())
    with pytest.raises(ModelError, match="first stage, a motion autoencoder that knows no sound"):
        model.codes(torch.randn(1, 4, 16), model.embed([0]), 25, 4, ["points"])
    with pytest.raises(ModelError, match="'codetalker' has no hidden states that heads share"):
        model.hidden(torch.randn(1, 4, 16), model.embed([0]), 25, 4)


def test_settings_that_can_not_be_are_sentences() -> None:
    with pytest.raises(ConfigError, match="must be width, not 3 · 4 with 24"):
        settings({"kind": "codetalker", "autoencoder": STORE | {"projected": False}})
    with pytest.raises(ConfigError, match="multiple of heads, not 24 with 5"):
        settings({"kind": "codetalker", "autoencoder": STORE | {"heads": 5}})
    with pytest.raises(ConfigError, match="can't have the adaptor 'after_decoder'"):
        settings({"kind": "codetalker", "autoencoder": STORE}, adaptor="after_decoder")


def test_a_library_norm_of_one_frame_twice_is_that_of_one() -> None:
    """What the published code does with the first frame, which the library's instance norm refuses alone."""
    norm, x = nn.InstanceNorm1d(5), torch.randn(1, 5, 1)
    with pytest.raises(ValueError):
        norm(x)
    assert norm(x.repeat(1, 1, 2)).abs().max() < 1e-4


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of clips at 25 fps whose mesh follows the loudness, without a basis."""
    folder = tmp_path_factory.mktemp("twins")
    cards(folder)
    return write_clips(folder, "one", "mesh", 25, [1.0, 1.6, 0.8, 2.2, 1.3, 0.9], 1)


def run_settings(
    folder: Path, twins: Path, decoder: dict[str, Any], adaptor: str = "paired", **changes: Any
) -> Path:
    """A settings file of a small run."""
    model = small_model(decoder=decoder | {"width": 16, "dropout": 0.0}, adaptor=adaptor)
    data = {
        "sources": [{"path": str(twins)}],
        "cards": str(twins.parent / "cards"),
        "model": model,
        "pca": False,
        "batching": "clips",
        "batch": 5,
        "loss": "paper",
        "schedule": "constant",
        "lr": 3e-3,
        "steps": 40,
        "warmup_steps": 0,
        "phone_weight": 0.0,
        "pivot": 0.0,
        "ema": 0.0,
        "precision": "fp32",
        "log_steps": 5,
        "validate_steps": 20,
    }
    path = folder / "run.json"
    path.write_text(json.dumps(data | changes))
    return path


def figures(run: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def test_both_stages_train_through_the_command_line(
    twins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each gets better than its own start; the second begins with the first's autoencoder, which stays as it is."""
    store = STORE | {"entries": 16}
    first = {"kind": "codetalker", "stage": 1, "layers": 1, "autoencoder": store}
    (tmp_path / "a").mkdir()
    asked = run_settings(tmp_path / "a", twins, first)
    assert main(["train", str(asked), "-o", str(tmp_path / "first"), "--workers", "0"]) == 0
    told = capsys.readouterr()
    assert "is a motion autoencoder: nothing to animate yet" in told.out
    assert "unitalker train --preset codetalker --start" in told.err
    (tmp_path / "b").mkdir()
    asked = run_settings(tmp_path / "b", twins, first | {"stage": 2})
    second = ["train", str(asked), "-o", str(tmp_path / "second"), "--workers", "0"]
    assert main(second) == 2
    assert "stands on a motion autoencoder (--preset codetalker-motion)" in capsys.readouterr().err
    assert main([*second, "--start", str(tmp_path / "first")]) == 0
    assert (
        figures(tmp_path / "first", "mesh.motion")[-1] < 0.8 * figures(tmp_path / "first", "mesh.motion")[0]
    )
    assert (
        figures(tmp_path / "second", "mesh.vectors")[-1]
        < 0.8 * figures(tmp_path / "second", "mesh.vectors")[0]
    )
    old, new = (checkpoint.load(tmp_path / run / "model").model for run in ("first", "second"))
    inside = [name for name in new.state_dict() if "motion_codes" in name]
    assert inside and all(torch.equal(old.state_dict()[n], new.state_dict()[n]) for n in inside)
    table = new.embed([0, 1, 2])
    assert torch.allclose(table[2], table[:2].mean(0), atol=1e-6)
    assert (
        main(
            [
                "animate",
                str(twins / "0.wav"),
                "--model",
                str(tmp_path / "second" / "model"),
                "-o",
                str(tmp_path / "x.npz"),
            ]
        )
        == 0
    )
    with np.load(tmp_path / "x.npz") as made:
        assert len(made["values"]) == 25


def test_an_autoencoder_of_other_sizes_is_no_start(
    twins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = {"kind": "codetalker", "stage": 1, "layers": 1, "autoencoder": STORE}
    asked = run_settings(tmp_path, twins, first, steps=1, validate_steps=None)
    assert main(["train", str(asked), "-o", str(tmp_path / "first"), "--workers", "0"]) == 0
    other = first | {"stage": 2, "autoencoder": STORE | {"entries": 5}}
    asked = run_settings(tmp_path, twins, other, steps=1, validate_steps=None)
    again = ["train", str(asked), "-o", str(tmp_path / "second"), "--start", str(tmp_path / "first")]
    assert main([*again, "--workers", "0"]) == 2
    assert "has no decoder.motion_codes.mesh.list.weight of the shape" in capsys.readouterr().err


@pytest.mark.parametrize("adaptor", ["paired", "after_encoder"])
def test_faceformer_gets_better_than_its_start(twins: Path, tmp_path: Path, adaptor: str) -> None:
    decoder = {"kind": "autoregressive", "teacher_forcing": adaptor == "paired"}
    asked = run_settings(tmp_path, twins, decoder, adaptor, lr=1e-2, steps=60)
    assert main(["train", str(asked), "-o", str(tmp_path / "run"), "--workers", "0"]) == 0
    errors = figures(tmp_path / "run", "mesh")
    assert errors[-1] < 0.7 * errors[0]
    assert min(figures(tmp_path / "run", "val.score")) < 1
