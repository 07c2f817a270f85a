"""Recipes and their table: what a recipe keeps, freezes and prints, against metrics and weights taken by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from unitalker.animation.animator import Animator
from unitalker.annotations.base import Annotation
from unitalker.annotations.builtin import flame_annotation, weight_annotation
from unitalker.annotations.cards import load_card
from unitalker.annotations.layouts import layout
from unitalker.cli import main
from unitalker.cli.train import run_settings
from unitalker.config import RecipeConfig, TrainConfig, UniTalkerConfig, merged
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.data.importers.folder import FolderOptions, import_folder
from unitalker.data.pca import encode_dataset
from unitalker.errors import ConfigError, ModelError
from unitalker.export import read
from unitalker.models import checkpoint
from unitalker.models.unitalker import UniTalker
from unitalker.rig import builtin_head
from unitalker.training import recipes
from unitalker.training.efficiency import subset
from unitalker.training.table import compare, surface, table

ARKIT = layout("arkit52").names
SMALL = {
    "encoder": {"kind": "mini", "width": 16, "mels": 40, "dilations": (1, 1, 2)},
    "adaptor": "after_decoder",
    "grid": "clock",
    "decoder": {"width": 16, "identity_dim": 8, "ahead": (1, 1, 0)},
}


def write_takes(folder: Path, clips: int = 4, mesh: bool = True) -> Path:
    """An ordinary folder: bursts of noise, and a mesh of 8 vertices (or two weights) that follows them."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(clips)
    neutral = np.random.default_rng(5).standard_normal((8, 3)).astype(np.float32)
    shape = np.random.default_rng(6).standard_normal((8, 3)).astype(np.float32)
    for i in range(clips):
        loud = np.repeat(np.r_[0, rng.integers(0, 2, 9)], 3200)
        soundfile.write(folder / f"{i}.wav", rng.standard_normal(32000) * (0.2 * loud + 0.0001), 16000)
        open_ = 0.5 * loud[(np.arange(50) * 640)].astype(np.float32)
        if mesh:
            np.save(folder / f"{i}.npy", neutral + open_[:, None, None] * shape)
        else:
            rows = [f"{x},{x / 2}" for x in open_]
            (folder / f"{i}.csv").write_text("\n".join(["jawOpen,puff", *rows]))
    (folder / "fps.txt").write_text("25")
    (folder / "lips.txt").write_text("0 1 2")
    return folder


def make_set(folder: Path, mesh: bool = True, annotation: str | None = None) -> Dataset:
    source = write_takes(folder.parent / f"{folder.name}-takes", mesh=mesh)
    unit = "cm" if mesh else None
    return open_dataset(import_folder(source, folder, FolderOptions(annotation=annotation, unit=unit)).folder)


WAVLM = {
    "model_type": "wavlm", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 17, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


def save_model(
    folder: Path, dataset: Dataset, annotation: Annotation, seed: int = 0, **parts: object
) -> Path:
    """A small model whose head is not at zero, as a model folder."""
    torch.manual_seed(seed)
    names = {
        "identities": [f"{dataset.name}/{s}" for s in dataset.subjects],
        "heads": {annotation.name: annotation.head_dim},
        "default_annotation": annotation.name,
    }
    model = UniTalker(UniTalkerConfig.parse(SMALL | parts | names))
    for head in model.heads.values():
        torch.nn.init.normal_(head.weight, std=0.1)
    return checkpoint.save(folder, model, {annotation.name: annotation})


def by_hand(folder: Path, dataset: Dataset, clip_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction (T, D) of one clip, by the model's own forward pass."""
    clip = next(c for c in dataset.clips if c.id == clip_id)
    bundle = checkpoint.load(folder)
    samples = torch.tensor(soundfile.read(dataset.path(clip.audio), dtype="float32")[0])[None]
    truth = np.asarray(dataset.motion(clip))
    who = bundle.model.embed({f"{dataset.name}/{clip.subject}": 1.0})
    name = dataset.annotation
    with torch.inference_mode():
        made = bundle.model(samples, who, dataset.fps, len(truth), [name])[name][0].numpy()
    return truth, bundle.annotations[name].decode(made)


def test_table_of_vertices_is_what_the_formulas_say(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set")
    card = load_card(tmp_path / "set" / "annotations" / "set.json")
    old, new = (save_model(tmp_path / f"m{i}", dataset, card, i) for i in range(2))
    found = compare(dataset, Animator(checkpoint.load(new)), Animator(checkpoint.load(old)))
    (clip,) = [c for c in dataset.clips if c.split == "val"]
    for folder, figures in ((old, found.before), (new, found.after)):
        truth, made = (x.reshape(50, 8, 3).astype(np.float64) for x in by_hand(folder, dataset, clip.id))
        distance = np.linalg.norm(truth - made, axis=2)
        assert figures["LVE"] == pytest.approx((distance[:, :3].max(1) ** 2).mean(), rel=1e-4)
        assert figures["LVD"] == pytest.approx(distance[:, :3].max(1).mean(), rel=1e-4)
        assert figures["MVE"] == pytest.approx(distance.mean(), rel=1e-4)
    rows = table([found], "old", "new").splitlines()
    change = 100 * (found.after["MVE"] / found.before["MVE"] - 1)
    mve = f"| {found.before['MVE'] * 10:.4g} | {found.after['MVE'] * 10:.4g} | {change:+.1f} % |"
    assert rows[0] == "| on | figure | before: old | after: new | change |"
    assert rows[4] == "| set val, 1 clip | MVE, mm " + mve
    assert rows[5:] == ["", "set, identities: own 1 clip."]
    far = dataclasses.replace(found, before={"MVE": 0.001}, after={"MVE": 0.0246})
    assert "| MVE, mm | 0.01 | 0.246 | × 24.6 |\n" in table([far], "old", "new")


def test_both_sides_of_a_table_speak_as_one_identity(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set")
    card = load_card(tmp_path / "set" / "annotations" / "set.json")
    knows = save_model(tmp_path / "knows", dataset, card)
    strange = save_model(tmp_path / "not", dataclasses.replace(dataset, name="other"), card)
    other = tensors(strange)
    assert all(torch.equal(value, other[key]) for key, value in tensors(knows).items())
    own, pivot = (Animator(checkpoint.load(folder)) for folder in (knows, strange))
    known = compare(dataset, own, own)
    assert known.before == known.after and known.notes[0] == "set, identities: own 1 clip."
    for after, before in ((own, pivot), (pivot, own)):
        found = compare(dataset, after, before)
        assert found.before == found.after != known.after
        assert found.notes[0] == "set, identities: pivot 1 clip."


def test_before_a_new_annotation_stands_the_resting_face(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set", mesh=False)
    card = load_card(tmp_path / "set" / "annotations" / "set.json")
    model = save_model(tmp_path / "m", dataset, card)
    found = compare(dataset, Animator(checkpoint.load(model)), None)
    (clip,) = [c for c in dataset.clips if c.split == "val"]
    jaw = np.asarray(dataset.motion(clip))[:, dataset.names.index("jawOpen")]
    rig = builtin_head()
    shape = np.linalg.norm(rig.shapes[rig.shape_names.index("jawOpen")], axis=1)
    lips = shape[np.asarray(rig.regions["lips"])].max()
    assert found.unit == "m" and found.before["LVD"] == pytest.approx(np.mean(jaw * lips), rel=1e-4)
    assert found.before["LVE"] == pytest.approx(np.mean((jaw * lips) ** 2), rel=1e-4)
    assert found.before["MVE"] == pytest.approx(np.mean(jaw) * shape.mean(), rel=1e-4)


def test_numbers_without_a_mesh_have_their_own_error(tmp_path: Path) -> None:
    source = write_takes(tmp_path / "takes", clips=1, mesh=False)
    (source / "0.csv").write_text((source / "0.csv").read_text().replace("jawOpen", "blow"))
    dataset = open_dataset(import_folder(source, tmp_path / "set").folder)
    card = load_card(tmp_path / "set" / "annotations" / "set.json")
    model = save_model(tmp_path / "m", dataset, card)
    found = compare(dataset, Animator(checkpoint.load(model)), None)
    truth, made = by_hand(model, dataset, "0")
    assert found.before == {"RMS": pytest.approx(np.sqrt(np.square(truth).mean()), rel=1e-5)}
    assert found.after == {"RMS": pytest.approx(np.sqrt(np.square(truth - made).mean()), rel=1e-4)}
    assert found.split == "train" and "set has no validation clips: measured on train." in found.notes


def test_surfaces_of_weights_and_flame_are_posed_heads() -> None:
    rig = builtin_head()
    weights = np.random.default_rng(0).random((3, 52)).astype(np.float32)
    arkit = surface(weight_annotation("arkit52", rig))
    posed = rig.pose(rig.weights(weights, ARKIT)) - rig.vertices
    assert arkit is not None and np.abs(arkit.displacements(weights) - posed).max() < 1e-6
    annotation = flame_annotation(rig)
    flame = surface(annotation)
    assert flame is not None and flame.unit == "m" and flame.lips is not None
    codes = 0.1 * np.random.default_rng(1).standard_normal((2, annotation.head_dim)).astype(np.float32)
    rest = annotation.vertices(annotation.decode(np.zeros_like(codes)))
    moved = annotation.vertices(annotation.decode(codes)) - rest
    assert np.abs(flame.displacements(annotation.decode(codes)) - moved).max() < 1e-6


FAST = [
    "steps=3", "warmup_steps=1", "batch=2", "crop_seconds=1", "precision=fp32", "phone_weight=0", "closure_weight=0",
    "lr=0.01", "log_steps=1",
]  # fmt: skip


def train(*words: object, fast: bool = True) -> int:
    sets = [part for text in (FAST if fast else []) for part in ("--set", text)]
    return main(["train", "--workers", "0", *map(str, words), *sets])


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(folder).model.state_dict()


def changed(old: Path, new: Path) -> set[str]:
    """First words of the tensors that differ; the identity table counts as "identities"."""
    a, b = tensors(old), tensors(new)
    assert a.keys() == b.keys()
    names = {k.replace("decoder.identity", "identities") for k in a if not torch.equal(a[k], b[k])}
    return {name.partition(".")[0] for name in names}


@pytest.fixture(scope="module")
def anna(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """A dataset of ARKit weights, and a model that knows its annotation and speaker."""
    folder = tmp_path_factory.mktemp("anna")
    dataset = make_set(folder / "anna", mesh=False, annotation="arkit52")
    return dataset, save_model(
        folder / "model", dataset, weight_annotation("arkit52", builtin_head()), seed=7
    )


@pytest.mark.parametrize(
    ("flags", "moved"),
    [
        ((), {"encoder", "decoder", "identities", "heads"}),
        (("--freeze", "encoder"), {"decoder", "identities", "heads"}),
        (("--freeze", "encoder,decoder"), {"identities", "heads"}),
        (("--only-head",), {"heads"}),
    ],
)
def test_fine_tuning_moves_what_it_says(anna, tmp_path, flags, moved) -> None:
    dataset, model = anna
    run = tmp_path / "run"
    assert train("--finetune", model, "--data", dataset.folder, "-o", run, *flags) == 0
    assert changed(model, run / "model") == moved
    head = (run / "table.md").read_text().splitlines()[0]
    assert head.startswith(f"| on | figure | before: {model} | after: ")


def begun(model: Path, dataset: Dataset, run: Path, **recipe: object) -> dict[str, torch.Tensor]:
    """Weights of a run at step 0."""
    asked = RecipeConfig(finetune=str(model), **recipe)  # type: ignore[arg-type]
    tree = recipes.settings(asked, [dataset]) | {"sources": [{"path": str(dataset.folder)}]}
    trainer = recipes.open_recipe(asked, TrainConfig.parse(tree), run)
    assert all(torch.equal(v, trainer.average.tensors[k]) for k, v in trainer.model.state_dict().items())
    return trainer.model.state_dict()


def test_fine_tuning_begins_with_head_and_identities_by_name(anna, tmp_path) -> None:
    dataset, model = anna
    old = tensors(model)
    assert all(torch.equal(value, old[key]) for key, value in begun(model, dataset, tmp_path / "a").items())
    stranger = tmp_path / "set" / "ben"
    stranger.parent.mkdir()
    other = make_set(stranger, mesh=False, annotation="arkit52")
    table_ = begun(model, other, tmp_path / "b")["decoder.identity.weight"]
    assert torch.equal(table_, old["decoder.identity.weight"][[1, 1]])


def test_transfer_keeps_the_encoder_alone(anna, tmp_path) -> None:
    _, model = anna
    mine = make_set(tmp_path / "mine")
    old = tensors(model)
    new = begun(model, mine, tmp_path / "run", keep="encoder", new_head="mine")
    encoder = {k for k in new if k.startswith("encoder.")}
    assert encoder and all(torch.equal(new[k], old[k]) for k in encoder)
    assert not torch.equal(new["decoder.map.weight"], old["decoder.map.weight"])
    assert not new["heads.mine.weight"].any() and "heads.arkit52.weight" not in new
    kept = begun(model, mine, tmp_path / "all", keep="all", new_head="mine")
    assert torch.equal(kept["decoder.map.weight"], old["decoder.map.weight"])


def test_a_new_head_from_an_ordinary_folder(anna, tmp_path, capsys, monkeypatch) -> None:
    _, model = anna
    monkeypatch.chdir(tmp_path)
    takes = write_takes(tmp_path / "takes")
    words = ("--finetune", model, "--new-head", "mine", "--data", takes, "--unit", "cm", "-o", "run")
    assert train(*words, "--freeze", "encoder", "--minutes", "0") == 0
    first = capsys.readouterr()
    assert "Template of speaker" in first.err
    assert "Begins anew: the identities, the decoder, the head mine." in first.err
    assert not first.out and "step 1 of 3" in first.err
    assert main(["train", "--workers", "0", "-o", "run"]) == 0
    told = capsys.readouterr()
    assert (
        "| before: resting face |" in told.out and "LVE, mm²" in told.out and "resumed at step 1" in told.err
    )
    assert "PCA: " in first.err and open_dataset("run/data/mine-pca").stored == "codes"
    old, new = tensors(model), tensors(Path("run/model"))
    assert all(torch.equal(new[k], old[k]) for k in new if k.startswith("encoder."))
    assert new["heads.mine.weight"].any()
    result = recipes.result(Path("run"))
    found = compare(open_dataset("run/data/mine"), Animator(checkpoint.load(result)), None)
    assert (
        told.out.strip()
        == table([found], "resting face", result.name)
        == Path("run/table.md").read_text().strip()
    )
    assert main(["evaluate", str(result), "run/data/mine"]) == 0
    assert "LVE" in capsys.readouterr().out
    assert (
        main(["animate", "takes/0.wav", "-o", "0.npz", "--model", str(result), "--identity", "mine/speaker"])
        == 0
    )
    motion = read("0.npz")
    assert (motion.annotation, motion.unit, motion.values.shape) == ("mine", "cm", (50, 24))
    assert motion.template is not None and motion.values.any()
    assert train(*words) == 0
    assert main(["train", "--finetune", str(model), "-o", "run"]) == 2
    assert "was begun with" in capsys.readouterr().err


def test_models_of_a_published_encoder_go_on_in_the_papers_way(tmp_path, capsys) -> None:
    pytest.importorskip("transformers")
    mine = make_set(tmp_path / "mine", mesh=False)
    card = load_card(mine.folder / "annotations" / "mine.json")
    encoder = {"kind": "hf", "name": "nobody/nothing", "architecture": WAVLM, "normalise": False}
    paper = {"encoder": encoder, "adaptor": "after_encoder", "grid": "aligned_corners"}
    model = save_model(tmp_path / "model", mine, card, 1, **paper)
    sets = ["epochs=2", "batch=2", "precision=fp32", "lr=0.01"]
    flags = [part for text in sets for part in ("--set", text)]
    run = tmp_path / "run"
    assert (
        train(
            "--finetune", model, "--data", mine.folder, "-o", run, "--freeze", "encoder", *flags, fast=False
        )
        == 0
    )
    assert "after: best" in capsys.readouterr().out
    assert changed(model, run / "model") == {"decoder", "identities", "heads"}
    config = TrainConfig.load(run / "train.json")
    assert (config.batching, config.loss, config.warmup_epochs, config.validate_epochs) == (
        "clips",
        "paper",
        0,
        1,
    )


def test_presets_are_built_and_trained_in_their_way(anna) -> None:
    dataset, _ = anna
    paper = recipes.settings(RecipeConfig(preset="unitalker-b"), [dataset])
    config = TrainConfig.parse(paper | {"sources": [{"path": "x"}]})
    assert (config.batching, config.loss, config.optimiser, config.lr) == ("clips", "paper", "adam", 1e-4)
    assert (config.epochs, config.warmup_epochs, config.batch, config.ema) == (100, 1, 1, 0)
    assert config.precision == "fp32"
    assert (
        config.model is not None
        and config.model.encoder.kind == "hf"
        and config.model.heads == {"arkit52": 1}
    )
    mini = recipes.settings(RecipeConfig(preset="mini"), [dataset])
    assert mini.keys() == {"model"} and mini["model"]["encoder"]["kind"] == "mini"


def test_steps_asked_for_take_the_place_of_a_recipes_epochs(anna, tmp_path) -> None:
    dataset, _ = anna
    base = recipes.settings(RecipeConfig(preset="unitalker-b"), [dataset]) | {"sources": [{"path": "x"}]}
    config = run_settings(None, tmp_path, [], ["steps=7", "validate_steps=2"], base)
    assert (config.steps, config.epochs, config.warmup_epochs) == (7, None, 1)
    assert (config.validate_steps, config.validate_epochs) == (2, None)


def test_a_preset_trains_on_the_command_line(anna, tmp_path, capsys) -> None:
    dataset, _ = anna
    small = ["model.encoder.width=8", "model.encoder.mels=40", "model.decoder.width=8"]
    sets = [part for text in small for part in ("--set", text)]
    assert train("--preset", "mini", "--data", dataset.folder, "-o", tmp_path / "run", *sets) == 0
    assert "| before: resting face |" in capsys.readouterr().out
    config = UniTalkerConfig.load(tmp_path / "run" / "model" / "config.json")
    assert (
        config.adaptor == "after_decoder"
        and config.heads == {"arkit52": 52}
        and config.encoder.kind == "mini"
    )


def test_refused_recipes(anna, tmp_path, capsys, monkeypatch) -> None:
    dataset, model = anna
    monkeypatch.chdir(tmp_path)
    mesh = make_set(tmp_path / "mesh")
    refused = {
        "--new-head x --preset mini": "--new-head goes on from a model",
        "--new-head arkit52": "mini has a head 'arkit52' already",
        f"--preset mini --finetune {model}": "give --preset or --finetune, not both",
        "--preset mega": "There is no preset 'mega'",
        "--finetune mega": "There is no model 'mega'",
        f"--finetune {model} --new-head arkit52": "has a head 'arkit52' already",
        f"--finetune {model} --new-head other": "of the annotation 'arkit52', so its head is --new-head arkit52",
        f"--finetune {model} --freeze brain": "--freeze takes encoder, decoder, identities or heads, not 'brain'",
        "--only-head": "A frozen encoder (--only-head, --freeze encoder) must have learnt something before",
        "--preset mini --freeze encoder": "A frozen encoder (--only-head, --freeze encoder) must have learnt",
        f"--finetune {model} --freeze encoder,decoder,heads,identities": "Every part of the model is frozen",
        f"--finetune {model} --start x": "--start and --finetune both say",
    }
    for flags, says in refused.items():
        assert train("--data", dataset.folder, "-o", "run", *flags.split()) == 2, flags
        told = capsys.readouterr().err
        assert says in told, (flags, told)
    assert not Path("run").exists()
    assert train("--data", mesh.folder, "-o", "run2", "--finetune", model) == 2
    assert (
        "has no head for the annotation 'mesh'; it has arkit52. Add one with --new-head mesh"
        in capsys.readouterr().err
    )
    assert train("--data", "nowhere", "-o", "run3", "--finetune", model, "--new-head", "y") == 2
    assert "There is no folder nowhere" in capsys.readouterr().err and not Path("run3").exists()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert train("--data", write_takes(Path("takes")), "-o", "r", "--finetune", model, "--new-head", "y") == 2
    assert "is made a dataset by one process" in capsys.readouterr().err
    monkeypatch.delenv("WORLD_SIZE")
    assert train("--data", "a", "--data", "b", "-o", "run4", "--finetune", model, "--new-head", "y") == 2
    assert "learns from one --data" in capsys.readouterr().err


def test_codes_of_another_basis_are_refused(tmp_path) -> None:
    dataset = make_set(tmp_path / "mine")
    first, other = (encode_dataset(dataset, tmp_path / f"codes-{c}", centre=c) for c in ("mean", "rest"))
    model = save_model(tmp_path / "model", dataset, first.annotation)
    asked = RecipeConfig(finetune=str(model))
    assert recipes.settings(asked, [first.dataset])["cards"] == str(model / "annotations")
    assert recipes.measured_on(tmp_path / "codes-mean").stored == "codes"
    with pytest.raises(ConfigError, match="codes of another basis than the model's"):
        recipes.settings(asked, [other.dataset])


def test_one_clip_has_nothing_to_validate_on(anna, tmp_path) -> None:
    dataset, model = anna
    one = dataclasses.replace(dataset, clips=tuple(dataset.split("train")[:1]))
    asked = RecipeConfig(finetune=str(model))
    assert "validate_steps" in recipes.settings(asked, [dataset])
    assert not any(key.startswith("validate") for key in recipes.settings(asked, [one]))
    with pytest.raises(ConfigError, match="only resting sounds"):
        recipes.settings(asked, [dataclasses.replace(dataset, subjects=("any",))])


def test_a_model_of_another_shape_is_refused(anna, tmp_path) -> None:
    dataset, model = anna
    asked = RecipeConfig(finetune=str(model))
    tree = recipes.settings(asked, [dataset]) | {"sources": [{"path": str(dataset.folder)}]}
    tree["model"]["decoder"]["width"] = 24
    with pytest.raises(ModelError, match=r"has no tensor decoder\."):
        recipes.open_recipe(asked, TrainConfig.parse(tree), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_subsets_are_parts_of_each_other(tmp_path) -> None:
    source = write_takes(tmp_path / "takes", clips=14)
    dataset = open_dataset(import_folder(source, tmp_path / "set", FolderOptions(unit="cm")).folder)
    parts = [subset(dataset, tmp_path / f"{f}", f) for f in (1.0, 0.5, 0.1)]
    ids = [{c.id for c in open_dataset(p.folder).split("train")} for p in parts]
    assert [len(i) for i in ids] == [12, 6, 2] and ids[0] > ids[1] > ids[2]
    for part in parts:
        assert {c.id for c in part.split("val")} == {c.id for c in dataset.split("val")}
        for clip in part.clips:
            assert np.array_equal(part.motion(clip), dataset.motion(clip))
            assert part.path(clip.audio).read_bytes() == dataset.path(clip.audio).read_bytes()
    with pytest.raises(ConfigError, match="above 0 and at most at 1, not 2"):
        subset(dataset, tmp_path / "x", 2)


def test_the_curve_of_data_efficiency(anna, tmp_path, capsys) -> None:
    _, model = anna
    mine = make_set(tmp_path / "mine")
    words = [
        "bench",
        "data-efficiency",
        "--data",
        str(mine.folder),
        "--model",
        str(model),
        "--fractions",
        "1,0.5",
    ]
    sets = [part for text in FAST for part in ("--set", text)]
    assert main([*words, "-o", str(tmp_path / "out"), *sets]) == 0
    text = capsys.readouterr().out
    assert text == (tmp_path / "out" / "table.md").read_text()
    rows = [line.split("|")[1:-1] for line in text.splitlines()[2:]]
    assert [(float(r[0]), int(r[1])) for r in rows] == [(1, 2), (0.5, 1)]
    for row in rows:
        runs = tmp_path / "out" / row[0].strip()
        for start, column in (("random", 4), ("trained", 5)):
            part = open_dataset(runs / "mine")
            found = compare(part, Animator(checkpoint.load(recipes.result(runs / start))), None)
            assert float(row[column]) == pytest.approx(100 * found.after["LVE"], rel=1e-3)
            assert float(row[3]) == pytest.approx(100 * found.before["LVE"], rel=1e-3)
    assert main([*words[:-1], "half", "-o", str(tmp_path / "out")]) == 2
    assert "--fractions takes shares between commas" in capsys.readouterr().err


def test_settings_inside_settings_are_changed_one_by_one() -> None:
    usual = {"model": {"grid": "clock", "decoder": {"width": 256}}, "lr": 1.0}
    assert merged(usual, {"model": {"decoder": {"width": 8}}, "lr": 2.0}) == {
        "model": {"grid": "clock", "decoder": {"width": 8}},
        "lr": 2.0,
    }
    assert usual["lr"] == 1.0
