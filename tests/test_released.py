"""Published checkpoints: equal to the release's outputs and to torch and transformers; nothing passes unnoticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import unitalker
from published_form import LAYERED, Published, data_folder, publish, save
from unitalker.annotations.layouts import layout
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.released.folder import safe_names
from unitalker.annotations.released.sets import ANNOTATIONS, SETS
from unitalker.cli import main
from unitalker.errors import ModelError
from unitalker.models.released import Released, import_checkpoint
from unitalker.models.released.encoder import inferred

pytest.importorskip("transformers")
REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "unitalker-wavlm-conv"
SOUND = np.random.default_rng(0).normal(size=20_001).astype(np.float32) / 10
"""1.25 s at 16 kHz."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_folder(tmp_path_factory.mktemp("data") / "release")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Published, Path]:
    made = publish()
    return made, save(made, tmp_path_factory.mktemp("plain") / "tiny.pt")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not REFERENCE.is_dir():
        pytest.skip("the published code's outputs are not here")
    out = tmp_path_factory.mktemp("reference") / "model"
    data = REFERENCE / "unitalker_data_release_V1"
    assert (
        main(["import", str(REFERENCE / "UniTalker-tiny.pt"), "--data-root", str(data), "-o", str(out)]) == 0
    )
    return out


@pytest.mark.parametrize("who", ["subject1", "pivot"])
def test_equals_the_published_code(who: str, reference: Path) -> None:
    animator, expected = unitalker.load(reference), np.load(REFERENCE / "expected.npz")
    for dataset in SETS:
        name = dataset.annotation
        identity = f"{dataset.id}/1" if who == "subject1" else "pivot"
        motion = animator.animate(
            REFERENCE / "clip.wav", annotations=[name], identity=identity, template=f"{dataset.id}/1"
        )[name]
        assert motion.values.shape == tuple(expected[f"{dataset.id}/{who}/shape"])
        whole = motion.values if motion.template is None else motion.values + motion.template.reshape(-1)
        want = expected[f"{dataset.id}/{who}"]
        assert np.abs(whole[:, : want.shape[1]] - want).max() < 1e-5, dataset.id
        assert motion.fps == (25 if dataset.id == "D0" else 30)


def test_command_line_animates_an_imported_model(reference: Path, tmp_path: Path) -> None:
    out, name = tmp_path / "x.npz", "BIWI_23370_vertices"
    sound = str(REFERENCE / "clip.wav")
    options = ["--model", str(reference), "--annotation", name, "--identity", "D0/1", "-o", str(out), "-q"]
    assert main(["animate", sound, *options]) == 0
    with np.load(out) as motion:
        whole = motion["values"] + motion["template"].reshape(-1)
    want = np.load(REFERENCE / "expected.npz")["D0/subject1"]
    assert np.abs(whole[:, :300] - want).max() < 1e-5
    template = np.load(REFERENCE / "unitalker_data_release_V1" / "D0_BIWI" / "id_template.npy")[1]
    assert np.abs(template * 0.2 - np.load(out)["template"]).max() < 1e-7


@pytest.mark.parametrize("decoder", ["tcn", "transformer"])
@pytest.mark.parametrize(
    ("kind", "form"),
    [("wavlm", {}), ("wavlm", LAYERED), ("wav2vec2", {}), ("wav2vec2", LAYERED), ("hubert", LAYERED)],
)
def test_every_form_equals_torch_and_transformers(
    kind: str, form: dict[str, Any], decoder: str, folder: Path, tmp_path: Path
) -> None:
    made = publish(kind, decoder, **form)
    (tmp_path / "config.json").write_text(json.dumps(made.config))
    known = Released(folder, tmp_path if kind != "wavlm" else None)
    import_checkpoint(save(made, tmp_path / "tiny.pt"), tmp_path / "model", known)
    animator = unitalker.load(tmp_path / "model")
    for row, identity in ((4, "D3/1"), (11, "pivot")):
        name = "3DETF_blendshape_weight"
        motion = animator.animate((SOUND, 16000), annotations=[name], identity=identity, template="D3/1")[
            name
        ]
        with torch.inference_mode():
            codes = made.codes(torch.tensor(SOUND), row, name, round(20_001 / 16_000 * 30)).numpy()
        added = np.load(folder / "D3D4_3DETF" / "D3_HDTF" / "id_template.npy")[1].astype(np.float32)
        assert np.abs(motion.values - (codes + added)).max() < 1e-5
        assert motion.template is None
        assert motion.names == layout("3detf52").names


def test_vertices_and_flame_numbers_are_the_published_formulas(
    plain: tuple[Published, Path], folder: Path, tmp_path: Path
) -> None:
    made, path = plain
    import_checkpoint(path, tmp_path / "m", Released(folder))
    names = ["FLAME_5023_vertices", "flame_params_from_dadhead"]
    animator = unitalker.load(tmp_path / "m")
    motions = animator.animate((SOUND, 16000), annotations=names, identity="D1/2", template="D1/1")
    with torch.inference_mode():
        vertex, flame = (made.codes(torch.tensor(SOUND), 2, name, 38).numpy() for name in names)
    with np.load(folder / "D1_vocaset" / "pca.npz") as pca:
        want = vertex @ pca["components_to_data"][:6] + pca["original_data_mean"]
    assert np.abs(motions[names[0]].values - want).max() < 1e-5
    template = np.load(folder / "D1_vocaset" / "id_template.npy")[1]
    assert np.abs(motions[names[0]].template - template).max() < 1e-6
    added = np.load(folder / "D5_unitalker_faceforensics++" / "id_template.npy")[0]
    assert np.abs(motions[names[1]].values - (flame + added)).max() < 1e-5
    assert motions[names[1]].values.shape == (38, 413)


def test_long_sound_is_cut_and_faded_as_the_release_does(
    plain: tuple[Published, Path], folder: Path, tmp_path: Path
) -> None:
    made, path = plain
    import_checkpoint(path, tmp_path / "m", Released(folder))
    sound = np.random.default_rng(1).normal(size=16000 * 31).astype(np.float32) / 10
    name = "3DETF_blendshape_weight"
    animator = unitalker.load(tmp_path / "m")
    motion = animator.animate((sound, 16000), annotations=[name], identity="D4/0")[name]
    with torch.inference_mode():
        first, second = (
            made.codes(torch.tensor(part), 5, name, round(len(part) / 16000 * 30)).numpy()
            for part in (sound[: 25 * 16000], sound[20 * 16000 :])
        )
    fall = np.linspace(1, 0, 150)[:, None]
    want = np.concatenate([first[:600], fall * first[600:] + (1 - fall) * second[:150], second[150:]])
    added = np.load(folder / "D3D4_3DETF" / "D4_RAVDESS" / "id_template.npy")[0]
    assert motion.values.shape == (930, 52)
    assert np.abs(motion.values - (want + added)).max() < 1e-5


def test_published_encoders_are_told_by_their_tensors() -> None:
    import transformers

    large = {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    }
    configs = (
        transformers.WavLMConfig(),
        transformers.Wav2Vec2Config(**large, **LAYERED),
        transformers.Wav2Vec2Config(),
    )
    for config in configs:
        with torch.device("meta"):
            model = getattr(transformers, type(config).__name__.replace("Config", "Model"))(config)
        shapes = {k: tuple(v.shape) for k, v in model.state_dict().items()}
        found = inferred(shapes, Path("x.pt"))
        theirs = config.to_dict()
        assert found == {k: list(v) if isinstance(v, tuple) else v for k in found for v in [theirs[k]]}


def test_other_spellings_give_the_same_weights(
    plain: tuple[Published, Path], folder: Path, tmp_path: Path
) -> None:
    made, path = plain
    spelt = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    old = {}
    for name, value in made.state.items():
        for new, former in spelt.items():
            name = name.replace(new, former)
        old[f"module.{name}"] = value
    assert sum("weight_g" in name for name in old) == 1
    torch.save({"epoch": 3, "state_dict": old}, tmp_path / "old.pt")
    known = Released(folder)
    first = import_checkpoint(path, tmp_path / "a", known).folder / "model.safetensors"
    second = import_checkpoint(tmp_path / "old.pt", tmp_path / "b", known).folder / "model.safetensors"
    assert first.read_bytes() == second.read_bytes()


def test_a_mask_embedding_may_be_absent(plain: tuple[Published, Path], folder: Path, tmp_path: Path) -> None:
    made, path = plain
    less = save(made, tmp_path / "less.pt", **{"audio_encoder.masked_spec_embed": None})
    motions = []
    for number, source in enumerate((path, less)):
        import_checkpoint(source, tmp_path / str(number), Released(folder))
        animator = unitalker.load(tmp_path / str(number))
        motions.append(animator.animate((SOUND, 16000))["3DETF_blendshape_weight"].values)
    assert np.array_equal(*motions)


def test_names_of_subjects_come_from_the_lists(
    plain: tuple[Published, Path], folder: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(folder, tmp_path / "data")
    (data / "D1_vocaset" / "val.json").write_text(json.dumps({"info": {"id_list": ["F 1", "F:1", 7]}}))
    (data / "D3D4_3DETF" / "D4_RAVDESS" / "train.json").write_text(json.dumps({"info": {"id_list": ["x"]}}))
    imported = import_checkpoint(plain[1], tmp_path / "m", Released(data))
    names = imported.config.identities
    assert names[:5] == ("D1/F_1", "D1/F_1_2", "D1/7", "D3/0", "D3/1")
    assert names[5:9] == ("D4/0", "D4/1", "D4/2", "D4/3")
    assert "D4 has 4 subjects" in imported.remarks[0]
    assert safe_names(["a,b", "../c", "", "中"]) == ("a_b", ".._c", "unnamed", "中")


def test_published_numbers_of_subjects_need_no_data_folder(tmp_path: Path) -> None:
    made = publish()
    table = torch.randn(6 + 12 + 13 + 141 + 24 + 719 + 8 + 11 + 1, 64)
    more: dict[str, torch.Tensor] = {"decoder.learnable_style_emb.weight": table}
    for name, known in ANNOTATIONS.items():
        size = known.dim if known.kind != "vertices" else 5
        more |= {
            f"out_head_dict.{name}.weight": torch.zeros(size, 16),
            f"out_head_dict.{name}.bias": torch.zeros(size),
        }
    imported = import_checkpoint(save(made, tmp_path / "all.pt", **more), tmp_path / "m")
    assert set(imported.left_out) == {k for k, a in ANNOTATIONS.items() if a.kind == "vertices"}
    assert set(imported.config.heads) == set(ANNOTATIONS) - set(imported.left_out)
    counts = [sum(n.startswith(f"{s.id}/") for n in imported.config.identities) for s in SETS]
    assert counts == [6, 12, 13, 141, 24, 719, 8, 11]
    card = (tmp_path / "m" / "README.md").read_text()
    assert "The head BIWI_23370_vertices is left out for want of D0_BIWI/id_template.npy" in card
    animator = unitalker.load(tmp_path / "m")
    assert animator.model.identity_row("D5/3") == 199
    assert torch.equal(animator.model.embed({"pivot": 1.0})[0], table[-1])
    values = animator.animate((SOUND, 16000), annotations=["flame_params_from_dadhead"])
    assert not values["flame_params_from_dadhead"].values.any()


def test_resources_give_triangles_lips_and_rigs(
    plain: tuple[Published, Path], folder: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    res, arrays = tmp_path / "resources", tmp_path / "resources" / "binary_resources"
    (res / "obj_template").mkdir(parents=True)
    arrays.mkdir()
    mesh = "".join(f"v {i} 0 0\n" for i in range(5023)) + "f 1/1/1 2/2 3 4\nf -1 -2 -3\n"
    (res / "obj_template" / "FLAME_5023_vertices.obj").write_text("# made up\n" + mesh)
    np.save(arrays / "02_flame_mouth_idx.npy", np.array([7, 3, 5022]))
    np.save(arrays / "flame_humanface_index.npy", np.array([8, 3, 7, 5022]))
    np.save(arrays / "03_emo_talk_mouth_idx.npy", np.array([1, 4]))
    shapes = random.normal(size=(52, 6, 3)).astype(np.float32)
    np.savez(arrays / "EmoTalk.npz", blendshape=shapes.reshape(52, -1), meanshape=np.zeros(18))
    import_checkpoint(plain[1], tmp_path / "m", Released(folder, resources=res))
    animator = unitalker.load(tmp_path / "m")
    vertex, weights = (animator.annotations[n] for n in ("FLAME_5023_vertices", "3DETF_blendshape_weight"))
    flame = animator.annotations["flame_params_from_dadhead"]
    assert isinstance(flame, FlameAnnotation) and flame.rows == (3, 7, 8, 5022)
    assert np.array_equal(flame.regions["lips"], [3, 7, 5022])
    assert np.array_equal(vertex.faces, [[0, 1, 2], [0, 2, 3], [5022, 5021, 5020]])
    codes = torch.tensor(random.normal(size=(3, 6)), dtype=torch.float32)
    moved = vertex.decode(codes.numpy()).reshape(3, -1, 3)[:, [3, 7, 5022]]
    assert np.abs(vertex.lips(codes).numpy() - moved).max() < 1e-5
    a, b = (torch.tensor(random.normal(size=(4, 52)), dtype=torch.float32) for _ in range(2))
    naive = np.square(np.tensordot((a - b).numpy(), shapes, 1)).mean((1, 2))
    naive += 1e-4 * np.square((a - b).numpy()).mean(1)
    assert np.allclose(weights.loss(a, b).numpy(), naive, rtol=1e-4)
    assert np.allclose(weights.lips(a).numpy(), np.tensordot(a.numpy(), shapes[:, [1, 4]], 1), atol=1e-4)
    (res / "obj_template" / "FLAME_5023_vertices.obj").write_text("v 0 0 0\nf 1 1 1\n")
    with pytest.raises(ModelError, match="no mesh of 5023 vertices: it has 1, and 1 triangles"):
        import_checkpoint(plain[1], tmp_path / "n", Released(folder, resources=res))
    with pytest.raises(ModelError, match="neither binary_resources nor obj_template"):
        import_checkpoint(plain[1], tmp_path / "n", Released(folder, resources=tmp_path))


@pytest.mark.parametrize("adaptor", ["before_transformer", "after_decoder"])
def test_other_places_of_the_adaptor(
    adaptor: str, plain: tuple[Published, Path], folder: Path, tmp_path: Path
) -> None:
    made, path = plain
    import_checkpoint(path, tmp_path / "m", Released(folder, adaptor=adaptor))
    name = "3DETF_blendshape_weight"
    motion = unitalker.load(tmp_path / "m").animate(
        (SOUND, 16000), annotations=[name], identity="D3/1", template="D3/1"
    )[name]
    with torch.inference_mode():
        codes = made.codes(torch.tensor(SOUND), 4, name, 38, adaptor).numpy()
    added = np.load(folder / "D3D4_3DETF" / "D3_HDTF" / "id_template.npy")[1]
    assert np.abs(motion.values - (codes + added)).max() < 1e-5
