"""FaceDiffuser: its networks one unit at a time, its diffusion by Bayes' rule, its checkpoints, its training."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

import slow_facediffuser as slow
from slow_decoders import settings, stirred
from training_sets import paper_run, small_model
from unitalker.animation.animator import load
from unitalker.animation.roads import head_codes
from unitalker.cli import main
from unitalker.config import UniTalkerConfig
from unitalker.errors import ConfigError, ModelError
from unitalker.models.baselines.facediffuser import FacedEmbedding, FaceDiffuser
from unitalker.models.baselines.facediffuser_diffusion import Diffusion, frame_noise, noise_shares
from unitalker.models.presets import preset
from unitalker.models.released.baselines import Beside
from unitalker.models.released.kinds import import_baseline
from unitalker.models.unitalker import UniTalker
from unitalker.training.session import open_run

DECODER: dict[str, object] = {"kind": "facediffuser", "width": 16, "steps": 20, "dropout": 0.0}


def diffuser(**changes: object) -> tuple[UniTalker, FaceDiffuser]:
    model = cast(UniTalker, stirred(UniTalker(settings(DECODER | changes, adaptor="decoder"))))
    assert isinstance(model.decoder, FaceDiffuser)
    return model, model.decoder


def test_the_cosine_leaves_what_its_curve_says() -> None:
    for steps in (500, 1000):
        kept = Diffusion("cosine", steps).kept
        curve = np.cos((np.arange(1, steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
        start = np.cos(0.008 / 1.008 * np.pi / 2) ** 2
        assert np.allclose(kept[:-2], (curve / start)[:-2], rtol=1e-9)
        assert kept[-1] == pytest.approx(kept[-2] * 0.001)
    linear = noise_shares("linear", 1000)
    assert (linear[0], linear[-1]) == (pytest.approx(1e-4), pytest.approx(0.02))
    assert np.diff(linear) == pytest.approx(np.full(999, 0.0199 / 999))
    assert noise_shares("linear", 500).sum() == pytest.approx(linear.sum(), rel=1e-6)


@pytest.mark.parametrize("taken", [None, 7])
def test_steps_back_are_those_of_the_joint_gaussian(taken: int | None) -> None:
    """Mean and variance of what lies before, from the covariance of (clean, before, now) by conditioning."""
    diffusion = Diffusion("cosine", 20, taken)
    path = diffusion.path
    assert (path[0], path[-1], len(path)) == (0, 19, taken or 20)
    for place in range(1, len(path)):
        before, now = diffusion.kept[path[place - 1]], diffusion.kept[path[place]]
        spread_before, spread_now, both = 1 - before, 1 - now, np.sqrt(now / before) * (1 - before)
        old = both / spread_now
        guess = np.sqrt(before) - old * np.sqrt(now)
        found = diffusion._posterior(place)
        assert np.allclose(found, (guess, old, np.sqrt(spread_before - old * both)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("taken", [None, 12])
def test_walking_back_with_the_best_guess_draws_the_data(taken: int | None) -> None:
    """Of numbers that are normal with mean 3 and deviation 0.5 the best guess is known, so the walk must draw them."""
    diffusion = Diffusion("cosine", 60, taken)

    def best(noisy: torch.Tensor, step: int) -> torch.Tensor:
        kept = diffusion.kept[step]
        gain = 0.25 * np.sqrt(kept) / (0.25 * kept + 1 - kept)
        return 3 + gain * (noisy - np.sqrt(kept) * 3)

    made = diffusion.walk(best, lambda number: frame_noise(5, number, 4000, 1))
    assert float(made.mean()) == pytest.approx(3, abs=0.03)
    assert float(made.std()) == pytest.approx(0.5, abs=0.15 if taken else 0.03)
    sure = torch.full((4, 3), 2.5)
    assert torch.equal(diffusion.walk(lambda noisy, step: sure, lambda n: frame_noise(0, n, 4, 3)), sure)


def test_noising_keeps_the_variance_and_what_the_schedule_says() -> None:
    diffusion, clean = Diffusion("cosine", 50), torch.full((2, 3000, 2), 4.0)
    torch.manual_seed(0)
    noisy = diffusion.noised(clean, torch.tensor([3, 40]), torch.randn_like(clean))
    for row, step in zip(noisy, (3, 40), strict=True):
        assert float(row.mean()) == pytest.approx(4 * slow.left(step, 50) ** 0.5, abs=0.05)
        assert float(row.std()) == pytest.approx((1 - slow.left(step, 50)) ** 0.5, rel=0.05)


def test_noise_is_a_function_of_seed_draw_and_frame() -> None:
    long = frame_noise(3, 7, 400, 30)
    assert torch.equal(frame_noise(3, 7, 50, 30), long[:50])
    assert abs(float(long.mean())) < 0.05
    assert float(long.std()) == pytest.approx(1, abs=0.03)
    for other in (frame_noise(4, 7, 400, 30), frame_noise(3, 8, 400, 30)):
        assert abs(float((other * long).mean())) < 0.05


def states(form: str) -> tuple[slow.State, int]:
    if form == "controls":
        return slow.control_state(5), 5
    return (slow.mesh_state(12), 12) if form == "vertices" else (slow.weight_state(7), 7)


@pytest.mark.parametrize(
    ("form", "fps"), [("vertices", 25), ("vertices", 30), ("weights", 30), ("controls", 30)]
)
def test_published_checkpoints_equal_the_slow_road(tmp_path: Path, form: str, fps: int) -> None:
    """Import through the command line; then every step of noise with the same draws as the loop has."""
    pytest.importorskip("transformers")
    (state, dim), steps = states(form), 12
    torch.save(state, tmp_path / "model.pth")
    (tmp_path / "encoder.json").write_text(json.dumps(slow.ENCODER))
    (tmp_path / "told.json").write_text(json.dumps({"output_fps": fps, "diff_steps": steps}))
    asked = ["import", str(tmp_path / "model.pth"), "--kind", "facediffuser", "-o", str(tmp_path / "out")]
    asked += ["--encoder-config", str(tmp_path / "encoder.json"), "--config", str(tmp_path / "told.json")]
    face = torch.zeros(dim)
    if form == "vertices":
        faces = {n: np.random.default_rng(i).standard_normal((dim // 3, 3)) for i, n in enumerate("abcd")}
        (tmp_path / "faces.pkl").write_bytes(pickle.dumps(faces))
        asked += ["--templates", str(tmp_path / "faces.pkl"), "--subjects", "a,b,c"]
        face = torch.tensor(faces["b"], dtype=torch.float32).flatten()
    assert main(asked) == 0
    animator = load(tmp_path / "out")
    (name,), decoder = animator.annotations, animator.model.decoder
    assert isinstance(decoder, FaceDiffuser)
    torch.manual_seed(4)
    frames, samples = 19, torch.randn(12200) * 0.1
    noise = torch.randn(steps, frames, dim)
    with torch.inference_mode():
        heard = animator.model.heard(animator.model.features(samples[None], frames), fps, frames)
        who = animator.model.embed({"b" if form == "vertices" else "s0": 1.0})
        made = decoder.sampled(heard, who, name, lambda number: noise[number])[0] + face
        sound, x = slow.heard(state, samples, frames, fps), noise[0]
        for number, step in enumerate(reversed(range(steps)), start=1):
            guess = slow.guess(state, sound, x, step, face)
            x = slow.earlier(x, guess, step, steps, noise[number] if step else noise[0])
    assert x.std() > 0.1
    assert torch.allclose(made, x, atol=1e-4)
    motion = animator.animate((samples.numpy(), 16000))[name]
    assert len(motion.values) == round(12200 / 16000 * fps)
    still = {n for n, p in animator.model.encoder.named_parameters() if not p.requires_grad and "layers" in n}
    assert {n.split("layers.")[1][0] for n in still if "encoder.layers" in n} == {"0", "1"}


def test_a_published_mesh_in_the_release_s_units(tmp_path: Path) -> None:
    """The topology of 23,370 vertices is told in 0.2 of the checkpoint's units here: motion, faces and noise alike."""
    pytest.importorskip("transformers")
    state, dim, frames = slow.mesh_state(70110, steps=4), 70110, 6
    torch.save(state, tmp_path / "m.pth")
    (tmp_path / "encoder.json").write_text(json.dumps(slow.ENCODER))
    face = torch.randn(dim) * 0.3
    np.savez(tmp_path / "faces.npz", F2=face.numpy(), F3=face.numpy() + 1, F4=face.numpy() - 1)
    beside = Beside(None, tmp_path / "encoder.json", None, tmp_path / "faces.npz", ("F2", "F3", "F4"))
    made = import_baseline("facediffuser", tmp_path / "m.pth", tmp_path / "out", beside)
    assert list(made.config.heads) == ["BIWI_23370_vertices"]
    model, samples, noise = load(tmp_path / "out").model, torch.randn(3900) * 0.1, torch.randn(4, frames, dim)
    assert isinstance(model.decoder, FaceDiffuser)
    assert model.decoder.noise == pytest.approx(0.2)
    with torch.inference_mode():
        heard = model.heard(model.features(samples[None], frames), 25, frames)
        who = model.embed({"F2": 1.0})
        codes = model.decoder.sampled(heard, who, "BIWI_23370_vertices", lambda n: 0.2 * noise[n])[0]
        sound, x = slow.heard(state, samples, frames, 25), noise[0]
        for number, step in enumerate(reversed(range(4)), start=1):
            guess = slow.guess_mesh(state, sound, x, step, 0, face)
            x = slow.earlier(x, guess, step, 4, noise[number] if step else x)
    assert torch.allclose(codes / 0.2 + face, x, atol=1e-4)


def test_what_an_import_can_not_take_is_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    state = slow.mesh_state(3003)
    torch.save(state, tmp_path / "m.pth")
    (tmp_path / "encoder.json").write_text(json.dumps(slow.ENCODER))
    beside = Beside(encoder_config=tmp_path / "encoder.json")
    with pytest.raises(ModelError, match=r"1001 vertices is none of the published ones.*output_fps: 25"):
        import_baseline("facediffuser", tmp_path / "m.pth", tmp_path / "out", beside)
    torch.save(state | {"spare.weight": torch.zeros(2)}, tmp_path / "m.pth")
    (tmp_path / "told.json").write_text('{"output_fps": 25}')
    with pytest.raises(ModelError, match=r"unknown spare\.weight"):
        beside = Beside(encoder_config=tmp_path / "encoder.json", config=tmp_path / "told.json")
        import_baseline("facediffuser", tmp_path / "m.pth", tmp_path / "out", beside)
    torch.save(state, tmp_path / "m.pth")
    made = import_baseline("facediffuser", tmp_path / "m.pth", tmp_path / "out", beside)
    assert any("No neutral face of s0, s1, s2" in remark for remark in made.remarks)
    torch.save({"x": torch.zeros(2)}, tmp_path / "m.pth")
    with pytest.raises(ModelError, match="no FaceDiffuser checkpoint"):
        import_baseline("facediffuser", tmp_path / "m.pth", tmp_path / "out", beside)
    with pytest.raises(ConfigError, match="sampling_steps must be at most steps"):
        settings(DECODER | {"sampling_steps": 21}, adaptor="decoder")
    with pytest.raises(ConfigError, match="can't have the adaptor 'after_encoder'"):
        settings(DECODER)


def test_a_row_of_a_batch_moves_as_if_alone() -> None:
    model, _ = diffuser()
    features, who = torch.randn(3, 40, 16), model.embed([0, 2, 1])
    frames, counts, fps = (
        torch.tensor([12, 20, 9]),
        torch.tensor([24, 40, 15]),
        torch.tensor([25.0, 25.0, 30.0]),
    )
    with torch.inference_mode():
        whole = model.codes(features, who, fps, frames, ["points"], counts)["points"]
        for row, (count, have, rate) in enumerate(
            zip(frames.tolist(), counts.tolist(), fps.tolist(), strict=True)
        ):
            alone = model.codes(features[row : row + 1, :have], who[row : row + 1], rate, count, ["points"])
            assert torch.allclose(whole[row, :count], alone["points"][0], atol=1e-5)


def test_the_seed_alone_decides_the_performance() -> None:
    first, again, other = diffuser()[0], diffuser()[0], diffuser(seed=1)[0]
    quick = diffuser(sampling_steps=5)[0]
    sound = np.random.default_rng(0).standard_normal(32000).astype(np.float32) * 0.1
    made = []
    for model, blocks in (
        (first, [sound]),
        (again, [sound[:7000], sound[7000:]]),
        (other, [sound]),
        (quick, [sound]),
    ):
        torch.manual_seed(len(made))
        pieces = head_codes(model, blocks, model.embed({"set/a": 1.0}), 25, ["points"])
        made.append(torch.cat([p["points"] for p in pieces], 1))
    assert torch.equal(made[0], made[1])
    assert made[0].shape == (1, 50, 9)
    assert float((made[0] - made[2]).abs().max()) > 1e-4
    assert made[3].shape == made[0].shape


def test_long_sound_is_windows_that_cross_fade() -> None:
    """58 s: windows of 25 s, 5 s shared, each drawn anew with the same noise; frames are round(seconds · fps)."""
    model, _ = diffuser(steps=3)
    sound = np.random.default_rng(0).standard_normal(58 * 16000 + 900).astype(np.float32) * 0.1
    who, fps = model.embed({"set/b": 1.0}), 5
    made = torch.cat([p["points"] for p in head_codes(model, [sound], who, fps, ["points"])], 1)[0]
    assert len(made) == round(len(sound) / 16000 * fps)
    want = torch.zeros_like(made)
    for start in (0, 20, 40):
        part = torch.tensor(sound[start * 16000 : (start + 25) * 16000])[None]
        count = min(25 * fps, len(made) - start * fps)
        with torch.inference_mode():
            codes = model.codes(model.features(part, count), who, fps, count, ["points"])["points"][0]
        ramp = torch.ones(count, 1)
        if start:
            ramp[: 5 * fps, 0] = torch.linspace(0, 1, 5 * fps)
        if start < 40:
            ramp[-5 * fps :, 0] = torch.linspace(1, 0, 5 * fps)
        want[start * fps : start * fps + count] += codes * ramp
    assert torch.allclose(made, want, atol=1e-5)


def test_faces_of_identities_mix_and_do_not_train() -> None:
    model, decoder = diffuser(neutral_faces=True)
    table = decoder.identity
    assert isinstance(table, FacedEmbedding)
    torch.manual_seed(1)
    table.get_buffer("face_points").normal_()
    mixed = model.embed({"set/a": 0.25, "pivot": 0.75})
    style, face = table.parts(mixed, "points")
    assert torch.allclose(style[0], 0.25 * table.weight[0] + 0.75 * table.weight[2])
    rows = table.get_buffer("face_points")
    assert face is not None
    assert torch.allclose(face[0], 0.25 * rows[0] + 0.75 * rows[2])
    assert not {n for n, _ in model.named_parameters() if "face_" in n}
    with torch.inference_mode():
        features = torch.randn(1, 20, 16)
        codes = model.codes(features, mixed, 25, 10, ["points"])["points"]
        other = mixed.clone()
        other[:, 16:] = 0
        assert not torch.allclose(
            codes, model.codes(features, other, 25, 10, ["points"])["points"], atol=1e-3
        )


def test_training_guesses_what_was_noised() -> None:
    """The loss against Huber's by hand, with the same draws; the noise scales with the setting."""
    model, decoder = diffuser(noise=0.5)
    features, true, who = torch.randn(2, 24, 16), torch.randn(2, 12, 9), model.embed([0, 1])
    mask = torch.tensor([1.0, 0, 1, 1, 1, 1, 1, 1, 0])
    heard = model.heard(features, 25, 12)
    torch.manual_seed(6)
    made, terms = decoder.terms(heard, who, "points", true, mask)
    torch.manual_seed(6)
    steps, noise = torch.randint(20, (2,)), torch.randn(2, 12, 9)
    kept = torch.tensor([slow.left(int(s), 20) for s in steps])[:, None, None]
    network = decoder.network("points")
    noisy = kept.sqrt() * true + (1 - kept).sqrt() * 0.5 * noise
    want = network(network.hear(heard.two().flatten(2)), noisy, steps, who)
    assert torch.allclose(made, want, atol=1e-5)
    gap = (want - true).abs()
    huber = torch.where(gap < 1, 0.5 * gap**2, gap - 0.5) * mask
    assert torch.allclose(terms["motion"], huber.mean(-1), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "dim", "people", "millions"),
    [("facediffuser", 15069, 8, 89), ("facediffuser-25", 70110, 6, 189)],
)
def test_trainable_parameters_are_those_of_the_comparison(
    name: str, dim: int, people: int, millions: int
) -> None:
    pytest.importorskip("transformers")
    facts = {
        "identities": [f"s{i}" for i in range(people)],
        "heads": {"mesh": dim},
        "default_annotation": "mesh",
    }
    with torch.device("meta"):
        model = UniTalker(UniTalkerConfig.parse(preset(name) | facts))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert round(trained / 1e6) == millions
    assert f"{trained:,}" in (Path(__file__).parents[1] / "docs" / "baselines.md").read_text()


def run(folder: Path, decoder: dict[str, Any], **changes: Any) -> dict[str, float]:
    """Validation figures of a short training on the small mesh, heads of every coordinate."""
    model = small_model(adaptor="decoder", decoder=decoder, heads={"mesh": 36})
    config = paper_run(folder, model=model, pca=False, **changes)
    config = config.model_copy(update={"sources": config.sources[:1]})
    trainer = open_run(config, folder / "run")
    lines: list[dict[str, float]] = []
    trainer.run(lambda step, figures: lines.append(figures), workers=0)
    return {k: v for line in lines for k, v in line.items() if k.startswith(("val", "mesh"))}


def test_it_learns(tmp_path: Path) -> None:
    decoder = {"kind": "facediffuser", "width": 16, "steps": 20, "dropout": 0.0, "noise": 0.1}
    figures = run(tmp_path, decoder, epochs=30, warmup_epochs=0, validate_epochs=30, lr=5e-3)
    assert figures["val.score"] < 0.8
    assert set(figures) >= {"mesh", "mesh.motion"}
