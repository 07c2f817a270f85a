"""FaceFormer: published checkpoints against the published code's outputs and a slow loop; training; pairs of features."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import slow_baselines as slow
from slow_decoders import library_layers, settings, slow_mask, slow_positions, stirred
from unitalker.animation.animator import Animator, load
from unitalker.animation.roads import frames_due
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.cli import main
from unitalker.config import UniTalkerConfig
from unitalker.errors import ConfigError, ModelError
from unitalker.models.autoregressive import AutoregressiveDecoder
from unitalker.models.presets import preset
from unitalker.models.released.baselines import Beside
from unitalker.models.released.kinds import import_baseline
from unitalker.models.unitalker import UniTalker

REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "faceformer-vocaset"
MESH = f"mesh_{slow.POINTS}_vertices"


def moved(animator: Animator, clip: Path, who: str) -> np.ndarray:
    """Positions (T, 3V): motion and neutral face."""
    (motion,) = animator.animate(clip, identity=who).values()
    assert motion.template is not None
    return np.asarray(motion.values) + motion.template.reshape(1, -1)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the published code's outputs are not here")
def test_equals_the_published_faceformer(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    beside = Beside(encoder_config=REFERENCE / "encoder_config.json", templates=REFERENCE / "templates.npz")
    made = import_baseline("faceformer", REFERENCE / "vocaset.pth", tmp_path / "model", beside)
    assert made.config.identities == tuple(f"s{i}" for i in range(8))
    animator, expected = load(tmp_path / "model"), np.load(REFERENCE / "expected.npz")
    for subject in (0, 5):
        positions = moved(animator, REFERENCE / "clip.wav", f"s{subject}")
        assert positions.shape == expected[f"subject{subject}"].shape
        assert np.abs(positions - expected[f"subject{subject}"]).max() < 1e-5


@pytest.mark.parametrize("paired", [True, False])
def test_both_forms_equal_the_slow_road(tmp_path: Path, paired: bool) -> None:
    pytest.importorskip("transformers")
    period = 25 if paired else 30
    state, samples = slow.faceformer_state(3, period), slow.sound(tmp_path, 1.91)
    torch.save(state, tmp_path / "model.pth")
    faces = {n: np.full((slow.POINTS, 3), i, np.float64) for i, n in enumerate(("F2", "F3", "M3", "M1"))}
    (tmp_path / "templates.pkl").write_bytes(pickle.dumps(faces))
    told = [
        "--encoder-config",
        str(tmp_path / "encoder.json"),
        "--templates",
        str(tmp_path / "templates.pkl"),
    ]
    asked = ["import", str(tmp_path / "model.pth"), "--kind", "faceformer", "--subjects", "F2,F3,M3", *told]
    assert main([*asked, "-o", str(tmp_path / "out")]) == 0
    animator = load(tmp_path / "out")
    assert animator.annotations[MESH].fps == period
    assert list(animator.annotations[MESH].templates) == ["F2", "F3", "M3", "M1"]
    with torch.no_grad():
        want = slow.slow_faceformer(state, samples, 1, period, paired).numpy()
    positions = moved(animator, tmp_path / "clip.wav", "F3")
    assert positions.shape == want.shape == (95 // 2 if paired else int(95 / 50 * 30), 3 * slow.POINTS)
    assert np.abs(positions - (want + 1)).max() < 1e-4
    mean = state["obj_vector.weight"].mean(1)
    assert torch.allclose(animator.model.embed({"pivot": 1.0})[0], mean, atol=1e-6)


def test_pairs_equal_the_library_with_its_own_mask() -> None:
    """A frame attends to two features of its own: nn.TransformerDecoder with a mask, gradients too."""
    model = UniTalker(
        settings({"kind": "autoregressive", "layers": 2, "dropout": 0.0, "period": 7}, adaptor="paired")
    )
    stirred(model)
    decoder = model.decoder
    assert isinstance(decoder, AutoregressiveDecoder)
    features, who = torch.randn(1, 23, 16, requires_grad=True), model.embed({"set/b": 1.0})
    fast = model.codes(features, who, 25, 11, ["points"])["points"]
    layers, audio = library_layers(decoder.layers, 16, 4), decoder.map(features)[:, :22]
    fed, made = who[:, None], torch.empty(0)
    for n in range(1, 12):
        shut = torch.ones(n, 22, dtype=torch.bool)
        for i in range(n):
            shut[i, 2 * i : 2 * i + 2] = False
        x = layers(fed + slow_positions(n, 16, 7), audio, tgt_mask=slow_mask(4, 7, n), memory_mask=shut)
        made = model.head("points")(x)
        fed = torch.cat([fed, who[:, None] + decoder.motion["points"](made[:, -1:])], 1)
    assert torch.allclose(fast, made, atol=1e-5)
    found = [torch.autograd.grad(m.square().sum(), features, retain_graph=True)[0] for m in (fast, made)]
    assert found[0].abs().max() > 0
    assert torch.allclose(*found, rtol=1e-3, atol=1e-4)


def test_rows_of_a_padded_batch_of_pairs_are_as_if_alone() -> None:
    model = UniTalker(settings({"kind": "autoregressive", "dropout": 0.0}, adaptor="paired"))
    stirred(model)
    features, who = torch.randn(3, 21, 16), model.embed([0, 1, 2])
    frames, counts = torch.tensor([10, 7, 4]), torch.tensor([21, 14, 7])
    rates = torch.full((3,), 25.0)
    both = model.codes(features, who, rates, frames, ["points"], counts=counts)["points"]
    for i, (n, count) in enumerate(zip(frames.tolist(), counts.tolist(), strict=True)):
        alone = model.codes(features[i : i + 1, :count], who[i : i + 1], 25, n, ["points"])["points"][0]
        assert torch.allclose(both[i, :n], alone, atol=1e-5)


def test_a_frame_without_features_hears_the_last_ones() -> None:
    model = UniTalker(settings({"kind": "autoregressive", "dropout": 0.0}, adaptor="paired"))
    stirred(model)
    features = torch.randn(1, 9, 16)
    heard = model.heard(features, 25, 5).features[0]
    assert torch.equal(heard[3], features[0, 6:8])
    assert torch.equal(heard[4], features[0, [7, 7]])


def test_what_can_not_be_is_a_sentence(tmp_path: Path) -> None:
    model = UniTalker(settings({"kind": "autoregressive"}, adaptor="paired"))
    with pytest.raises(ModelError, match="knows 25 frames a second alone, not 30"):
        model.codes(torch.randn(1, 8, 16), model.embed([0]), 30, 4, ["points"])
    with pytest.raises(ConfigError, match="kind 'tcn' can't have the adaptor 'paired'"):
        settings({"kind": "tcn"}, adaptor="paired")
    with pytest.raises(ConfigError, match="ength 'features' needs an encoder of kind 'hf'"):
        settings({"kind": "autoregressive"}, length="features")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"subjects": ("a", "b")}, "names 2 subjects; .* was trained on 3"),
        ({"subjects": ("a", "b", "a")}, "names a more than once"),
        ({"templates": "two.npz"}, "the face of 'a' has 6 numbers"),
        ({"config": "other.json"}, "says dataset 'MEAD'; allowed are BIWI"),
        ({"config": "list.json"}, "holds no settings"),
        ({"lost": "vertice_map.bias"}, r"it lacks vertice_map.bias\.$"),
        (
            {"lost": "audio_encoder.encoder.layer_norm.bias"},
            "layer_norm.bias. If the encoder is not a published one",
        ),
        ({"more": "surprise"}, "it has the unknown surprise"),
        ({"period": 13}, "positions repeat after 13 frames, neither 25 nor 30"),
        ({"kind": "codetalker"}, "is no CodeTalker checkpoint: learnable_style_emb.weight is missing"),
        ({"kind": "faceforme"}, "did you mean 'faceformer'"),
    ],
)
def test_import_errors_are_sentences(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "other.json").write_text('{"DATA": {"dataset": "MEAD"}}')
    (tmp_path / "list.json").write_text("[1]")
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 3)))
    slow.sound(tmp_path, 0.1)
    period = change.get("period", 25)
    assert isinstance(period, int)
    state = slow.faceformer_state(3, period)
    state.pop(str(change.get("lost", "")), None)
    if "more" in change:
        state[str(change["more"])] = torch.zeros(2)
    torch.save(state, tmp_path / "model.pth")
    files: dict[str, Any] = {k: tmp_path / str(change[k]) for k in ("templates", "config") if k in change}
    names = change.get("subjects", ())
    assert isinstance(names, tuple)
    beside = Beside(encoder_config=tmp_path / "encoder.json", subjects=names, **files)
    with pytest.raises(ModelError, match=sentence):
        import_baseline(
            str(change.get("kind", "faceformer")), tmp_path / "model.pth", tmp_path / "out", beside
        )
    assert not (tmp_path / "out").exists()


def test_pickled_code_in_templates_is_not_run(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    slow.sound(tmp_path, 0.1)
    torch.save(slow.faceformer_state(3, 25), tmp_path / "model.pth")
    (tmp_path / "templates.pkl").write_bytes(b"cos\nsystem\n(S'touch " + bytes(tmp_path) + b"/ran'\ntR.")
    beside = Beside(encoder_config=tmp_path / "encoder.json", templates=tmp_path / "templates.pkl")
    with pytest.raises(ModelError, match="asks for os.system"):
        import_baseline("faceformer", tmp_path / "model.pth", tmp_path / "out", beside)
    assert not (tmp_path / "ran").exists()


def test_whose_neutral_face_is_not_their_own_is_told(tmp_path: Path) -> None:
    """Names of a Python 2 pickle may be bytes; nobody silently wears somebody else's face."""
    pytest.importorskip("transformers")
    slow.sound(tmp_path, 0.1)
    torch.save(slow.faceformer_state(3, 25), tmp_path / "model.pth")
    faces = {name: np.full(3 * slow.POINTS, k, np.float32) for k, name in enumerate((b"F2", b"F3", b"M3"))}
    (tmp_path / "templates.pkl").write_bytes(pickle.dumps(faces, protocol=2))
    given = {"encoder_config": tmp_path / "encoder.json", "templates": tmp_path / "templates.pkl"}
    for names, told in (
        ((), "none of s0, s1, s2"),
        (("F2", "F3", "M4"), "none of M4:"),
        (("F2", "F3", "M3"), ""),
    ):
        beside = Beside(subjects=names, **given)
        made = import_baseline("faceformer", tmp_path / "model.pth", tmp_path / "out", beside)
        said = [remark for remark in made.remarks if "has none of" in remark]
        assert [told in remark and "gets F2's" in remark for remark in said] == ([True] if told else [])
        animator = load(tmp_path / "out")
        motion = animator.animate(tmp_path / "clip.wav", identity=(names or ("s0", "s1"))[1])[MESH]
        assert motion.template is not None and float(np.ravel(motion.template)[0]) == (1.0 if names else 0.0)


def test_resources_give_a_known_mesh_its_triangles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    slow.sound(tmp_path, 0.5)
    state, wide = slow.faceformer_state(2, 30), 3 * 5023
    state |= {"vertice_map.weight": torch.randn(16, wide) / wide, "vertice_map_r.bias": torch.zeros(wide)}
    state["vertice_map_r.weight"] = torch.randn(wide, 16) / 1000
    torch.save(state, tmp_path / "model.pth")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "faces.npz", s0=rng.normal(size=(5023, 3)).astype(np.float32))
    (tmp_path / "resources" / "obj_template").mkdir(parents=True)
    rows = ["v 0 0 0"] * 5023 + ["f 1 2 3 4", "f 5021 5022 5023"]
    (tmp_path / "resources" / "obj_template" / "FLAME_5023_vertices.obj").write_text("\n".join(rows))
    asked = ["import", str(tmp_path / "model.pth"), "--kind", "faceformer", "-o", str(tmp_path / "out")]
    asked += ["--encoder-config", str(tmp_path / "encoder.json"), "--templates", str(tmp_path / "faces.npz")]
    assert main([*asked, "--resources", str(tmp_path / "resources")]) == 0
    mesh = load(tmp_path / "out").annotations["FLAME_5023_vertices"]
    assert isinstance(mesh, VertexAnnotation) and mesh.faces is not None
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [5020, 5021, 5022]]
    made = ["animate", str(tmp_path / "clip.wav"), "--model", str(tmp_path / "out"), "--identity", "s0"]
    assert main([*made, "-o", str(tmp_path / "face.glb")]) == 0 and (tmp_path / "face.glb").is_file()
    assert main([*asked, "--stage1", str(tmp_path / "model.pth")]) == 2
    assert "--stage1 is for --kind codetalker; faceformer has one stage" in capsys.readouterr().err


def test_a_mesh_of_the_release_takes_its_unit(tmp_path: Path) -> None:
    """Of 23,370 vertices at 25 fps: codes are a fifth of the checkpoint's numbers, and the motion fed back the same."""
    pytest.importorskip("transformers")
    samples = slow.sound(tmp_path, 0.5)
    state = slow.faceformer_state(2, 25)
    torch.manual_seed(0)
    wide = {
        "vertice_map.weight": (16, 70110),
        "vertice_map_r.weight": (70110, 16),
        "vertice_map_r.bias": (70110,),
    }
    state |= {name: torch.randn(shape) / 16 for name, shape in wide.items()}
    state["vertice_map.weight"] /= 16
    torch.save(state, tmp_path / "biwi.pth")
    beside = Beside(encoder_config=tmp_path / "encoder.json")
    made = import_baseline("faceformer", tmp_path / "biwi.pth", tmp_path / "out", beside)
    assert any("0.2 times the checkpoint's" in remark for remark in made.remarks)
    with torch.no_grad():
        want = slow.slow_faceformer(state, samples, 1, 25, True).numpy()
    motion = load(tmp_path / "out").animate(tmp_path / "clip.wav", identity="s1")["BIWI_23370_vertices"]
    assert np.abs(np.asarray(motion.values) - 0.2 * want).max() < 1e-4


def test_long_sounds_are_counted_as_their_windows_come(tmp_path: Path) -> None:
    """Frames due equal frames made where a model counts features: at the end of one window, and of two."""
    pytest.importorskip("transformers")
    slow.sound(tmp_path, 0.1)
    torch.save(slow.faceformer_state(2, 25), tmp_path / "model.pth")
    beside = Beside(encoder_config=tmp_path / "encoder.json")
    import_baseline("faceformer", tmp_path / "model.pth", tmp_path / "out", beside)
    animator = load(tmp_path / "out")
    for seconds, frames in ((0.9, 22), (25.0, 624), (26.0, 500 + 149)):
        noise = torch.randn(round(seconds * 16000)).numpy() * 0.1
        (motion,) = animator.animate((noise, 16000)).values()
        assert len(motion.values) == frames == frames_due(animator.model, len(noise), 25.0)


def test_learns_pairs(tmp_path: Path) -> None:
    """Fitted on one clip by plain gradient steps, the error falls to a small part of a resting face's."""
    torch.manual_seed(0)
    model = UniTalker(settings({"kind": "autoregressive", "dropout": 0.0}, adaptor="paired")).train()
    features = torch.randn(2, 24, 16)
    true = features.unflatten(1, (12, 2)).mean(2) @ torch.randn(16, 9) * 0.3
    optimiser = torch.optim.Adam([*model.decoder.parameters(), *model.heads.parameters()], 1e-2)
    loss = torch.zeros(())
    for _ in range(80):
        codes = model.codes(features, model.embed([0, 1]), 25, 12, ["points"])["points"]
        loss = nn.functional.mse_loss(codes, true)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.2 * float(true.square().mean())


@pytest.mark.parametrize(
    ("names", "numbers", "subjects", "millions", "exact"),
    [
        (("faceformer",), 15069, 8, 92, 92_214_493),
        (("faceformer-25",), 70110, 6, 108, 108_487_006),
        (("codetalker-motion", "codetalker"), 15069, 8, 315, 314_702_685),
        (("codetalker-motion-25", "codetalker-25"), 70110, 6, 561, 561_489_024),
    ],
)
def test_trainable_parameters_are_those_of_the_paper_s_table(
    names: tuple[str, ...], numbers: int, subjects: int, millions: int, exact: int
) -> None:
    """Tab. 2: FaceFormer 109 and 92 M, CodeTalker 561 and 315 M, its two stages together; no memory for the weights."""
    pytest.importorskip("transformers")
    facts = {"identities": tuple(f"set/{i}" for i in range(subjects)), "default_annotation": "mesh"}
    trained = 0
    for name in names:
        with torch.device("meta"):
            model = UniTalker(UniTalkerConfig.parse(preset(name) | facts | {"heads": {"mesh": numbers}}))
        trained += sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert (trained, round(trained / 1e6)) == (exact, millions)
    told = (Path(__file__).parents[1] / "docs" / "baselines.md").read_text()
    assert f"{exact:,}" in told
