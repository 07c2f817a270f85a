"""Batches as a pure function, exact resume, learning, alignment against brute force, driven datasets."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from unitalker.annotations import builtin
from unitalker.annotations.layouts import layout
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.config import AugmentConfig, SourceConfig, TrainConfig
from unitalker.data.dataset import ANY, Clip, Dataset, open_dataset, write_manifest
from unitalker.data.driven import drive
from unitalker.errors import ConfigError, DataError, ModelError
from unitalker.models import checkpoint
from unitalker.rig import builtin_head
from unitalker.training.alignment import align
from unitalker.training.augment import equalise, loudness, mix, telephone
from unitalker.training.session import load_sources, open_run

ARKIT = layout("arkit52").names


def write_set(
    folder: Path, name: str, annotation: str = "arkit52", subject: str = "a", clips: int = 3
) -> Path:
    """A dataset whose jaw follows loud bursts of noise; subject ANY makes it a resting one."""
    out = folder / name
    (out / "audio").mkdir(parents=True)
    (out / "motion").mkdir()
    rng = np.random.default_rng(clips)
    made = []
    for i in range(clips):
        loud = np.repeat(rng.integers(0, 2, 12), 4000) if subject != ANY else np.zeros(48000)
        sound = rng.standard_normal(48000) * (0.2 * loud + 0.001)
        soundfile.write(out / "audio" / f"{i}.flac", sound, 16000)
        motion = np.zeros((75, 52), np.float32)
        motion[:, ARKIT.index("jawOpen")] = 0.5 * loud[(np.arange(75) / 25 * 16000).astype(int)]
        np.save(out / "motion" / f"{i}.npy", motion)
        phones = ((0.0, 3.0, "a"),) if i else ()
        made.append(Clip(str(i), subject, f"audio/{i}.flac", f"motion/{i}.npy", "train", 3.0, phones=phones))
    write_manifest(Dataset(out, name, annotation, 25, "weight", ARKIT, (subject,), tuple(made)))
    return out


def config(folder: Path, **changes: object) -> TrainConfig:
    paths = [write_set(folder, "x") if not (folder / "x").exists() else folder / "x"]
    paths.append(
        write_set(folder, "rest", subject=ANY) if not (folder / "rest").exists() else folder / "rest"
    )
    model = {
        "encoder": {"kind": "mini", "width": 16, "mels": 40, "dilations": (1, 1, 2)},
        "adaptor": "after_decoder",
        "grid": "clock",
        "decoder": {"width": 16, "identity_dim": 8, "ahead": (1, 1, 0)},
        "identities": ("x/a",),
        "heads": {"arkit52": 52},
        "default_annotation": "arkit52",
    }
    data: dict[str, object] = {
        "sources": [{"path": str(p)} for p in paths],
        "model": model,
        "steps": 8,
        "warmup_steps": 3,
        "batch": 4,
        "crop_seconds": 1.5,
        "precision": "fp32",
        "checkpoint_steps": 1000,
    }
    return TrainConfig.parse(data | changes)


def test_batches_are_a_pure_function_of_seed_and_step(tmp_path: Path) -> None:
    trainer = open_run(config(tmp_path), tmp_path / "run")
    one, other, again = trainer.batches[5], trainer.batches[6], trainer.batches[5]
    assert torch.equal(one.samples, again.samples)
    assert torch.equal(one.identity, again.identity)
    assert not torch.equal(one.samples, other.samples)
    assert one.samples.shape == (4, 24000)
    assert set(one.identity.tolist()) <= {0, 1}


def test_clean_crops_are_the_recording_and_its_motion(tmp_path: Path) -> None:
    off = AugmentConfig(
        noise=0, equalise=0, reverberate=0, gain=0, telephone=0, clip=0, speed=0, warp=0
    ).model_dump()
    trainer = open_run(config(tmp_path, augment=off, pivot=0.0), tmp_path / "run")
    sound = trainer.batches.faces[0].read(0)
    crop = trainer.batches._sound(sound, 1.0, 1.0)
    assert np.array_equal(crop, sound.samples[16000:40000].astype(np.float32) / 32768)
    outside = trainer.batches._sound(sound, -0.5, 1.0)
    assert not outside[:8000].any()
    batch = trainer.batches[0]
    for group in batch.groups:
        jaw = group.codes[..., ARKIT.index("jawOpen")]
        assert float(torch.minimum(jaw.abs(), (jaw - 0.5).abs()).max()) < 1e-6


def test_resume_is_exact(tmp_path: Path) -> None:
    whole = open_run(config(tmp_path), tmp_path / "whole")
    whole.run(workers=0)
    first = open_run(config(tmp_path), tmp_path / "parts")
    first.run(workers=0, until=0.0)
    assert first.step == 1
    second = open_run(config(tmp_path), tmp_path / "parts")
    assert second.step == 1
    second.run(workers=0)
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[key]), key
    assert checkpoint.load(tmp_path / "parts" / "model").model.config.identities == ("x/a",)


def test_warm_up_freezes_the_encoder(tmp_path: Path) -> None:
    trainer = open_run(config(tmp_path, steps=3), tmp_path / "run")
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    trainer.run(workers=0)
    after = trainer.model.state_dict()
    encoder = [k for k in before if k.startswith("encoder.")]
    assert all(torch.equal(before[k], after[k]) for k in encoder)
    assert not torch.equal(before["heads.arkit52.bias"], after["heads.arkit52.bias"])


def test_training_learns_that_loud_is_open(tmp_path: Path) -> None:
    trainer = open_run(
        config(tmp_path, steps=120, warmup_steps=5, lr=8e-3, ema=0.9, checkpoint_steps=500), tmp_path / "run"
    )
    trainer.run(workers=0)
    sound = trainer.batches.faces[0].read(0)
    samples = torch.tensor(sound.samples.astype(np.float32)[None] / 32768)
    model = trainer.averaged()
    with torch.inference_mode():
        jaw = model(samples, model.embed({"x/a": 1.0}), 25, 75, ["arkit52"])["arkit52"][
            0, :, ARKIT.index("jawOpen")
        ]
    assert sound.codes is not None
    assert np.corrcoef(jaw.numpy(), sound.codes[:, ARKIT.index("jawOpen")])[0, 1] > 0.7


def test_known_and_ignored_channels_mask_the_loss(tmp_path: Path) -> None:
    folder = write_set(tmp_path, "m")
    data = json.loads((folder / "dataset.json").read_text())
    data["known"] = ["jawOpen", "eyeBlinkLeft"]
    (folder / "dataset.json").write_text(json.dumps(data))
    run = TrainConfig(sources=(SourceConfig(path=str(folder), ignore=("eyeBlink",)),))
    sources, faces, _ = load_sources(run)
    mask = sources[0].mask
    assert mask is not None
    assert [n for n, m in zip(ARKIT, mask, strict=True) if m] == ["jawOpen"]
    wrong = torch.zeros(1, 52)
    wrong[0, ARKIT.index("tongueOut")] = 1.0
    assert float(faces["arkit52"].loss(wrong, torch.zeros(1, 52), torch.tensor(mask))) == 0.0


def test_lengths_that_disagree_are_told(tmp_path: Path) -> None:
    folder = write_set(tmp_path, "m")
    np.save(folder / "motion" / "1.npy", np.zeros((200, 52), np.float32))
    with pytest.raises(DataError, match=r"m/1: the motion is \+5.00 s longer than its audio"):
        load_sources(TrainConfig(sources=(SourceConfig(path=str(folder)),)))


def test_manifest_cannot_point_outside(tmp_path: Path) -> None:
    folder = write_set(tmp_path, "m")
    data = json.loads((folder / "dataset.json").read_text())
    data["clips"][0]["audio"] = "../../secret.flac"
    (folder / "dataset.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match="points outside its folder"):
        open_dataset(folder)
    dataset = open_dataset(folder, strict=False)
    with pytest.raises(DataError, match="points outside its folder"):
        dataset.path(dataset.clips[0].audio)
    with pytest.raises(DataError, match="There is no dataset folder"):
        open_dataset(tmp_path / "none")


def test_driven_meshes_are_the_posed_rig(tmp_path: Path) -> None:
    rig = builtin_head()
    source = open_dataset(write_set(tmp_path, "m"))
    moved = builtin.displacements("face", rig, np.eye(52, dtype=np.float32), ARKIT)
    face = builtin.mesh_annotation("face", rig, [moved], 52)
    made = open_dataset(drive(source, face, rig, tmp_path / "driven").folder)
    assert isinstance(face, VertexAnnotation)
    weights = np.asarray(source.motion(source.clips[0]))
    posed = rig.pose(rig.weights(weights, ARKIT))[:, builtin.face_rows(rig)]
    vertices = face.vertices(face.decode(np.asarray(made.motion(made.clips[0]))))
    assert np.abs(vertices - posed).max() < 2e-5
    assert made.path(made.clips[0].audio).read_bytes() == source.path(source.clips[0].audio).read_bytes()


def test_alignment_equals_brute_force() -> None:
    rng = np.random.default_rng(0)
    posteriors = np.log(rng.dirichlet(np.ones(4), 7))
    flat = np.full(4, 0.25)
    found = align(posteriors, flat, ["a", "b", "c"], [1, 2, 3])
    names = ["", "a", "", "b", "", "c", ""]
    classes, costs = [0, 1, 0, 2, 0, 3, 0], [0.0, 0, 4, 0, 4, 0, 0]
    best, best_path = -np.inf, None
    for cuts in itertools.product(range(7), repeat=7):
        steps = np.diff(cuts)
        legal = (steps >= 0).all() and cuts[0] <= 1 and cuts[-1] >= 5
        legal = legal and all(s <= 1 or (s == 2 and names[a]) for s, a in zip(steps, cuts, strict=False))
        if not legal:
            continue
        total = sum(posteriors[t, classes[s]] for t, s in enumerate(cuts)) - sum(
            costs[s] for i, s in enumerate(cuts) if i and cuts[i - 1] != s
        )
        if total > best:
            best, best_path = total, cuts
    assert best_path is not None
    want = [names[s] for s, _ in itertools.groupby(best_path)]
    assert [p[2] for p in found.phones] == want
    assert found.phones[-1][1] == pytest.approx(7 / 50)
    with pytest.raises(DataError, match="more phones than the recording"):
        align(posteriors[:2], flat, ["a", "b", "c"], [1, 2, 3])


def test_augmentations_do_what_they_say() -> None:
    rng = np.random.default_rng(0)
    voice = np.sin(2 * np.pi * 440 * np.arange(32000) / 16000).astype(np.float32)
    noise = rng.standard_normal(32000).astype(np.float32)
    added = mix(voice, noise, 10.0) - voice
    assert 20 * np.log10(loudness(voice) / np.sqrt(np.mean(added**2))) == pytest.approx(10.0, abs=0.1)
    flat = equalise(voice, rng, 0.0)
    assert np.allclose(flat, voice, atol=1e-4)
    hum = np.sin(2 * np.pi * 50 * np.arange(32000) / 16000)
    assert np.abs(telephone(voice + hum, rng)[2000:-2000]).max() < 1.2


def hf_config(folder: Path, name: str = "none", pretrained: bool = False) -> TrainConfig:
    """A run with a small WavLM; without a name that exists it must be given its architecture."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 37}
    convolutions = {"conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    arch = None if pretrained else {"model_type": "wavlm"} | sizes | convolutions
    encoder = {"kind": "hf", "name": name, "architecture": arch, "pretrained": pretrained}
    run = config(folder, steps=3, warmup_steps=1)
    assert run.model is not None
    model = run.model.model_dump() | {
        "encoder": encoder,
        "adaptor": "after_encoder",
        "grid": "aligned_corners",
    }
    return TrainConfig.parse(run.model_dump() | {"model": model})


def test_pretrained_extractor_never_trains(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    trainer = open_run(hf_config(tmp_path), tmp_path / "run")
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    trainer.run(workers=0)
    after = trainer.model.state_dict()
    extractor = [k for k in before if "feature_extractor" in k]
    assert extractor
    assert all(torch.equal(before[k], after[k]) for k in extractor)
    layers = "encoder.model.encoder.layers.0.feed_forward.output_dense.bias"
    assert not torch.equal(before[layers], after[layers])


def test_training_begins_with_published_weights_of_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    arch = hf_config(tmp_path).model_dump()["model"]["encoder"]["architecture"]
    published = transformers.WavLMModel(transformers.AutoConfig.for_model(**arch))
    published.save_pretrained(tmp_path / "hub")
    trainer = open_run(hf_config(tmp_path, str(tmp_path / "hub"), pretrained=True), tmp_path / "run")
    mine = trainer.model.state_dict()
    for key, value in published.state_dict().items():
        assert torch.equal(mine[f"encoder.model.{key}"], value), key
    trainer.save()
    again = checkpoint.load(tmp_path / "run" / "model")
    assert again.model.config.encoder.model_dump()["architecture"]["model_type"] == "wavlm"
    with pytest.raises(ModelError, match="No encoder|can't be had"):
        open_run(hf_config(tmp_path, str(tmp_path / "nowhere"), pretrained=True), tmp_path / "other")


def test_an_annotation_of_three_channels_trains_evaluates_and_exports(tmp_path: Path) -> None:
    from unitalker.animation.animator import load
    from unitalker.annotations.blendshapes import BlendshapeAnnotation
    from unitalker.annotations.cards import save_card
    from unitalker.evaluation.report import evaluate
    from unitalker.export import read

    names = ("open", "round", "smile")
    save_card(BlendshapeAnnotation("three", 25, "weight", names), tmp_path / "cards")
    folder = write_set(tmp_path, "t", "three")
    data = json.loads((folder / "dataset.json").read_text())
    data["names"] = names
    data["unit"] = "strength"
    (folder / "dataset.json").write_text(json.dumps(data))
    for clip in range(3):
        path = folder / "motion" / f"{clip}.npy"
        np.save(path, np.load(path)[:, [ARKIT.index("jawOpen"), 0, 1]])
    changes = config(tmp_path).model_dump()
    changes["model"] |= {"heads": {"three": 3}, "default_annotation": "three"}
    changes |= {"sources": [{"path": str(folder)}], "cards": str(tmp_path / "cards")}
    trainer = open_run(TrainConfig.parse(changes), tmp_path / "run")
    trainer.run(workers=0)
    animator = load(tmp_path / "run" / "model")
    motion = animator.animate(folder / "audio" / "1.flac")["three"]
    assert read(motion.save(tmp_path / "three.json")).names == names
    report = evaluate(animator, folder, split="train")
    assert "three" in report.groups


def test_a_run_cannot_go_on_with_other_heads(tmp_path: Path) -> None:
    open_run(config(tmp_path, steps=1), tmp_path / "run").run(workers=0)
    other = write_set(tmp_path, "y", subject="b")
    changed = config(tmp_path).model_dump()
    changed["sources"] = [{"path": str(other)}]
    with pytest.raises(ConfigError, match="Use a new folder, with --start"):
        open_run(TrainConfig.parse(changed), tmp_path / "run")
    rest = config(tmp_path).model_dump()
    rest["sources"] = [{"path": str(tmp_path / "rest")}]
    with pytest.raises(ConfigError, match="only resting sounds"):
        open_run(TrainConfig.parse(rest), tmp_path / "still")
