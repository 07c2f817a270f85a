"""What an import refuses, and in what words; what it leaves out, and what it says then."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import unitalker
from published_form import LAYERED, Published, data_folder, publish, save
from unitalker.cli import main
from unitalker.errors import AnnotationError, ModelError
from unitalker.models.released import Released, import_checkpoint
from unitalker.models.released import state as released_state

pytest.importorskip("transformers")
TABLE = "decoder.learnable_style_emb.weight"
EXTRACTOR = "audio_encoder.feature_extractor.conv_layers"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_folder(tmp_path_factory.mktemp("data") / "release")


@pytest.fixture(scope="module")
def made() -> Published:
    return publish()


def refused(source: Path, folder: Path | None, sentence: str, **known: object) -> None:
    """Importing must fail with that sentence and leave nothing behind."""
    out = source.parent / "model"
    with pytest.raises(ModelError, match=sentence):
        import_checkpoint(source, out, Released(folder, **known))  # type: ignore[arg-type]
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"decoder.audio_feature_map.bias": None}, r"lacks decoder.audio_feature_map.bias\."),
        ({"decoder.extra": torch.zeros(3)}, r"the unknown decoder.extra\."),
        (
            {"audio_encoder.encoder.layer_norm.bias": torch.zeros(3)},
            r"audio_encoder.encoder.layer_norm.bias is \(3,\), not \(16,\)",
        ),
        (
            {f"audio_encoder.encoder.layers.9.attention.{k}_proj.bias": torch.zeros(16) for k in "qkv"},
            r"lacks audio_encoder.encoder.layers.2[\w.]*, [\w.]*, [\w.]* and \d+ more",
        ),
        ({TABLE: torch.full((12, 64), torch.nan)}, "NaN or infinite"),
        ({TABLE: None}, "no UniTalker checkpoint: decoder.learnable_style_emb.weight is missing"),
        ({"out_head_dict.mine.bias": torch.zeros(4)}, "no released annotation 'mine'"),
        (
            {"out_head_dict.3DETF_blendshape_weight.head_layer.0.weight": torch.zeros(16, 16)},
            "several layers",
        ),
        ({"out_head_dict.3DETF_blendshape_weight.bias": torch.zeros(51)}, "has 51 numbers, not 52"),
        ({f"{EXTRACTOR}.0.conv.weight": torch.zeros(8, 1, 11)}, "strides can't be told; give the encoder's"),
        ({"decoder.transformer_decoder.layers.0.norm1.bias": torch.zeros(16)}, "both kinds"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    changes: dict[str, torch.Tensor | None], sentence: str, made: Published, folder: Path, tmp_path: Path
) -> None:
    refused(save(made, tmp_path / "x.pt", **changes), folder, sentence)


def test_files_that_are_no_checkpoints(made: Published, folder: Path, tmp_path: Path) -> None:
    whole = save(made, tmp_path / "whole.pt").read_bytes()
    path = tmp_path / "x.pt"
    refused(path, folder, "no checkpoint file")
    for content in (whole[: len(whole) // 2], b"", b"not weights", pickle.dumps({"a": Path("x")})):
        path.write_bytes(content)
        refused(path, folder, "cannot be read as a PyTorch checkpoint of plain tensors")
    for data, sentence in (
        ({}, "holds no state dict"),
        ([torch.zeros(1)], "a list, not tensors"),
        ({"epoch": 3}, "no tensors: epoch"),
        (
            {
                "a": torch.zeros(1),
                "b.weight_g": torch.zeros(1),
                "b.parametrizations.weight.original0": torch.zeros(1),
            },
            "twice",
        ),
        ({"a": torch.zeros(1).expand(2**40)}, "more than 8 GB"),
        ({"a": torch.zeros(2, 2).to_sparse()}, "no plain tensor"),
    ):
        torch.save(data, path)
        refused(path, folder, sentence)


def test_files_that_are_too_large_are_not_read(
    made: Published, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(made, tmp_path / "x.pt")
    monkeypatch.setattr(released_state, "LARGEST", 1000)
    refused(path, folder, "a checkpoint may have")


def test_running_code_from_a_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"a": Evil()}, tmp_path / "x.pt")
    refused(tmp_path / "x.pt", folder, "holds code or objects that are no tensors, and none of them is made")
    assert not (tmp_path / "ran").exists()


def test_wav2vec2_of_another_size_needs_its_configuration(folder: Path, tmp_path: Path) -> None:
    made = publish("wav2vec2", **LAYERED)
    path = save(made, tmp_path / "x.pt")
    refused(path, folder, r"has 2 of 16; give the encoder's configuration with --encoder-config")
    config = tmp_path / "config.json"
    config.write_text(json.dumps(made.config | {"num_hidden_layers": 3}))
    refused(path, folder, r"lacks audio_encoder.encoder.layers.2", encoder_config=config)
    config.write_text("{")
    refused(path, folder, "not a readable JSON file", encoder_config=config)
    config.write_text(json.dumps({"model_type": "bert"}))
    refused(path, folder, "allowed are wavlm, wav2vec2, hubert", encoder_config=config)
    config.write_text(json.dumps(made.config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    imported = import_checkpoint(path, tmp_path / "m", Released(folder, config))
    assert imported.config.encoder.model_dump()["normalise"] is False


def test_numbers_of_subjects_must_add_up(made: Published, folder: Path, tmp_path: Path) -> None:
    data = shutil.copytree(folder, tmp_path / "data")
    template = data / "D3D4_3DETF" / "D3_HDTF" / "id_template.npy"
    np.save(template, np.zeros((3, 52)))
    path = save(made, tmp_path / "x.pt")
    refused(path, data, r"11 subjects and the pivot, but .* have 12: D1 3 \(the data folder\), D3 3")
    refused(path, None, r"have 896: D1 12 \(published\), D3 141")
    refused(path, folder, "no released dataset 'D9'", datasets=["D9"])
    refused(path, folder, "no head BIWI_23370_vertices", datasets=["D0"])
    refused(path, folder, "head 3DETF_blendshape_weight; add D3 or D4", datasets=["D1", "D5"])
    refused(path, folder, "must be 1 or more, not 'x'", datasets=["D1:x"])
    template.unlink()
    imported = import_checkpoint(path, tmp_path / "m", Released(data))
    assert imported.remarks == ("D3 is taken to have 2 subjects, the rows that remain.",)
    assert imported.config.identities[3:6] == ("D3/0", "D3/1", "D4/0")
    added = unitalker.load(tmp_path / "m").annotations["3DETF_blendshape_weight"].templates
    assert not added["D3/1"].any()
    assert added["D4/1"].any()


def test_datasets_are_told_by_the_heads_or_by_the_user(made: Published, tmp_path: Path) -> None:
    few = {k: None for k in made.state if k.startswith("out_head_dict.") and "3DETF" not in k}
    ravdess = save(made, tmp_path / "x.pt", **few, **{TABLE: torch.randn(25, 64)})
    imported = import_checkpoint(ravdess, tmp_path / "a")
    assert imported.config.identities == tuple(f"D4/{i}" for i in range(24))
    order = Released(datasets=["D4:20", "D3:4"])
    names = import_checkpoint(ravdess, tmp_path / "b", order).config.identities
    assert (names[0], names[20]) == ("D4/0", "D3/0")


def test_a_table_without_pivot_takes_the_mean(made: Published, folder: Path, tmp_path: Path) -> None:
    table = made.state[TABLE][:11]
    path = save(made, tmp_path / "x.pt", **{TABLE: table})
    refused(path, folder, "or --without-pivot if it was")
    imported = import_checkpoint(path, tmp_path / "m", Released(folder, pivot=False))
    assert "no pivot" in imported.remarks[0]
    model = unitalker.load(tmp_path / "m").model
    assert torch.allclose(model.embed({"pivot": 1.0})[0], table.mean(0), atol=1e-6)


def test_a_missing_basis_leaves_only_its_head_out(
    made: Published, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shutil.copytree(folder, tmp_path / "data")
    (data / "D1_vocaset" / "pca.npz").unlink()
    path = save(made, tmp_path / "x.pt", **{"out_head_dict.FLAME_5023_vertices.weight": None})
    refused(path, data, "lacks out_head_dict.FLAME_5023_vertices.weight")
    save(made, path)
    assert main(["import", str(path), "--data-root", str(data), "-o", str(tmp_path / "m")]) == 0
    told = capsys.readouterr()
    assert told.err.startswith(
        "The head FLAME_5023_vertices is left out for want of D1_vocaset/pca.npz; to add it"
    )
    assert "heads 3DETF_blendshape_weight, flame_params_from_dadhead" in told.out
    assert told.err.strip() in (tmp_path / "m" / "README.md").read_text()
    with pytest.raises(AnnotationError, match="no annotation 'FLAME_5023_vertices'"):
        unitalker.load(tmp_path / "m").request(["FLAME_5023_vertices"])
    assert main(["import", str(path), "--data-root", str(folder), "-o", str(tmp_path / "m")]) == 0
    assert capsys.readouterr().err == ""
    assert unitalker.load(tmp_path / "m").request(["FLAME_5023_vertices"], template="D1/0")


def test_damaged_data_folders_are_told(made: Published, folder: Path, tmp_path: Path) -> None:
    path = save(made, tmp_path / "x.pt")
    refused(path, tmp_path, "not the release's data folder")
    data = shutil.copytree(folder, tmp_path / "data")
    pca, template = data / "D1_vocaset" / "pca.npz", data / "D1_vocaset" / "id_template.npy"
    whole = {"components_to_data": np.zeros((8, 15069)), "original_data_mean": np.zeros(15069)}
    for changes, sentence in (
        (
            {"components_to_data": np.zeros((5, 15069))},
            "holds 5 components, but the checkpoint's head predicts 6",
        ),
        ({"components_to_data": np.zeros((8, 15))}, r"components \(8, 15\) over a mean"),
        ({"original_data_mean": np.full(15069, np.inf)}, "NaN or infinite"),
        ({"original_data_mean": np.array([{}])}, "not a readable npz"),
    ):
        np.savez(pca, **(whole | changes))
        refused(path, data, sentence)
    np.savez(pca, components_to_data=whole["components_to_data"])
    refused(path, data, "lacks the array 'original_data_mean'; it holds components_to_data")
    pca.write_bytes(b"PK\3\4 no zip")
    refused(path, data, "not a readable npz")
    np.save(template, np.zeros((3, 5)))
    refused(path, data, r"shape \(3, 5\); a row for each subject with 15069")
    template.write_bytes(template.read_bytes()[:90])
    refused(path, data, "not a readable array")


def test_command_line_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(tmp_path / "none.pt"), "-o", str(tmp_path / "m")]) == 2
    assert "There is no checkpoint file" in capsys.readouterr().err
    (tmp_path / "m").write_text("")
    assert main(["import", str(tmp_path / "none.pt"), "-o", str(tmp_path / "m")]) == 2
    assert "give a folder for the model" in capsys.readouterr().err


def test_templates_are_checked_over_all_annotations(made: Published, folder: Path, tmp_path: Path) -> None:
    import_checkpoint(save(made, tmp_path / "x.pt"), tmp_path / "m", Released(folder))
    animator = unitalker.load(tmp_path / "m")
    names = ["FLAME_5023_vertices", "3DETF_blendshape_weight"]
    faces = animator.request(names, identity="D4/3", template="D1/2").templates
    assert np.array_equal(faces[names[0]], animator.annotations[names[0]].templates["D1/2"])
    assert np.array_equal(faces[names[1]], animator.annotations[names[1]].templates["D4/3"])
    with pytest.raises(
        AnnotationError, match="no template of FLAME_5023_vertices, 3DETF_blendshape_weight 'D9/9'"
    ):
        animator.request(names, template="D9/9")
