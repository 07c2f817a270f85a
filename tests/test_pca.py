"""PCA by random mixtures against the full SVD and scikit-learn; datasets of vertices as datasets of codes."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.cards import load_card, save_card
from unitalker.annotations.pca import SPANS, Basis, fit_basis, passes
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.cli import main
from unitalker.data.dataset import Clip, Dataset, MotionBlocks, open_dataset, write_manifest
from unitalker.data.pca import encode_dataset
from unitalker.errors import AnnotationError, DataError


class Counted:
    """Blocks of an array, counted every time they are gone through."""

    def __init__(self, data: np.ndarray, rows: int) -> None:
        self.data, self.rows, self.times = data, rows, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        self.times += 1
        return (self.data[i : i + self.rows] for i in range(0, len(self.data), self.rows))


def motion(frames: int, dim: int, rank: int, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Frames off their mean, in `rank` directions of falling size, with noise."""
    rng = np.random.default_rng(seed)
    moved = rng.standard_normal((frames, rank)) * np.geomspace(1, 0.02, rank)
    data = moved @ rng.standard_normal((rank, dim)) + rng.standard_normal(dim)
    return (data + noise * rng.standard_normal((frames, dim))).astype(np.float32)


def held(basis: Basis, data: np.ndarray) -> float:
    """Share of the energy about the basis's mean that its components hold."""
    about = data.astype(np.float64) - basis.mean
    return float(np.square(about @ basis.components.T.astype(np.float64)).sum() / np.square(about).sum())


def orthonormality(basis: Basis) -> float:
    wide = basis.components.astype(np.float64)
    return float(np.abs(wide @ wide.T - np.eye(basis.size)).max())


@pytest.mark.parametrize("centre", ["mean", "rest"])
@pytest.mark.parametrize(("frames", "dim"), [(50, 300), (500, 60), (900, 700)])
def test_small_data_give_the_components_of_the_full_svd(centre, frames: int, dim: int) -> None:
    """The last shape is larger than what the fit looks at, so the mixtures must find the directions."""
    data = motion(frames, dim, rank=40, noise=1e-3)
    basis = fit_basis(np.array_split(data, 7), 10, centre=centre)
    about = data - data.mean(0, dtype=np.float64) if centre == "mean" else data.astype(np.float64)
    _, values, rows = np.linalg.svd(about, full_matrices=False)
    along = np.abs((basis.components * rows[:10]).sum(1))
    np.testing.assert_allclose(along, 1, atol=1e-4)
    assert basis.scale == pytest.approx(np.sqrt((values[:10] ** 2).sum() / frames / 10), rel=1e-4)
    assert held(basis, data) >= (values[:10] ** 2).sum() / (values**2).sum() - 1e-6
    assert orthonormality(basis) < 1e-5
    assert basis.mean.any() == (centre == "mean")


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_components_are_orthonormal_for_motion_of_few_directions(noise: float) -> None:
    """Without noise the directions that are not there are dropped; with a trace of it they are kept."""
    basis = fit_basis([motion(300, 400, rank=5, noise=noise)], 30, centre="mean")
    assert basis.size == (5 if not noise else 30)
    assert orthonormality(basis) < 1e-5
    few = fit_basis([motion(3, 400, rank=3)], 30)
    assert few.size == 3 and orthonormality(few) < 1e-5


def test_as_good_as_incremental_pca() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    data = motion(800, 700, rank=60, noise=0.03)
    theirs = decomposition.IncrementalPCA(30, batch_size=100).fit(data)
    other = Basis(theirs.mean_, theirs.components_)
    ours = fit_basis(np.array_split(data, 11), 30, centre="mean")
    best = np.linalg.svd(data - data.mean(0), compute_uv=False) ** 2
    assert held(ours, data) >= held(other, data)
    assert held(ours, data) == pytest.approx(best[:30].sum() / best.sum(), abs=1e-5)


def test_the_same_seed_gives_the_same_basis_and_other_blocks_the_same_span() -> None:
    data = motion(600, 500, rank=12)
    first, again = (fit_basis(Counted(data, 64), 12, seed=3) for _ in range(2))
    assert np.array_equal(first.components, again.components) and first.scale == again.scale
    other = fit_basis(Counted(data, 599), 12, seed=4)
    assert not np.array_equal(first.components, other.components)
    assert np.linalg.svd(first.components @ other.components.T)[1].min() > 1 - 1e-5
    once = fit_basis((b for b in np.array_split(data, 5)), 12, seed=3)
    assert np.allclose(held(once, data), held(first, data), atol=1e-6)


def test_passes_and_memory_do_not_grow_with_the_frames() -> None:
    peaks = []
    for frames in (600, 2400):
        data = motion(frames, 2000, rank=8, noise=0.01)
        blocks = Counted(data, 100)
        tracemalloc.start()
        fit_basis(blocks, 16, centre="mean")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert blocks.times == passes(16, 2000) == SPANS + 1
    assert peaks[1] < 1.05 * peaks[0]
    assert peaks[1] < 4 * (35 * (SPANS + 4) + 16 + 100) * 2000 + 1e6


def test_motion_that_gives_no_basis_is_told() -> None:
    with pytest.raises(AnnotationError, match="every frame given is at rest"):
        fit_basis([np.zeros((5, 9))], 2)
    with pytest.raises(AnnotationError, match="at least one frame"):
        fit_basis([], 2)
    with pytest.raises(AnnotationError, match="NaN or infinity"):
        fit_basis([np.full((3, 9), np.nan)], 2)


TOPOLOGY, VERTICES = "cloud", 40


def vertex_card(**facts) -> VertexAnnotation:
    lips = {"lips": np.array([4, 7])}
    return VertexAnnotation(TOPOLOGY, 25, "m", vertex_names(VERTICES), regions=lips, **facts)


def a_dataset(folder: Path, card: Annotation | None, scale: float = 0.5, frames: int = 90) -> Dataset:
    """Three training clips that move in five directions, one validation clip that also moves elsewhere."""
    rng = np.random.default_rng(8)
    names = card.names if card else vertex_names(VERTICES)
    directions = rng.standard_normal((6, len(names)))
    (folder / "sound").mkdir(parents=True)
    clips = []
    for number, split in enumerate(("train", "train", "train", "val")):
        size = np.geomspace(1, 0.1, 6) * (np.arange(6) < 5 + (split == "val"))
        values = (rng.standard_normal((frames + number, 6)) * size) @ directions + 0.3 * directions[0]
        np.save(folder / f"{number}.npy", values.reshape(len(values), -1, 3).astype(np.float32))
        soundfile.write(folder / "sound" / f"{number}.flac", np.zeros(16 * 40 * len(values)), 16000)
        facts = {"subject": "ann", "split": split, "seconds": len(values) / 25, "text": "hello"}
        clips.append(Clip(id=f"c{number}", audio=f"sound/{number}.flac", motion=f"{number}.npy", **facts))
    np.savez(folder / "neutral.npz", ann=rng.standard_normal((VERTICES, 3)))
    name = card.name if card else TOPOLOGY
    made = Dataset(
        folder,
        "set",
        name,
        25.0,
        "dm",
        tuple(names),
        ("ann",),
        tuple(clips),
        scale=scale,
        templates="neutral.npz",
    )
    write_manifest(made)
    if card:
        save_card(card, folder / "annotations")
    return open_dataset(folder)


def test_a_dataset_of_vertices_becomes_one_of_codes(tmp_path: Path, capsys) -> None:
    source = a_dataset(tmp_path / "set", vertex_card())
    assert main(["data", "pca", str(source.folder), "-o", str(tmp_path / "pca"), "--components", "12"]) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path / "pca") and "train: 5 codes hold 100.0000%" in told.err
    made = open_dataset(tmp_path / "pca")
    assert (made.stored, made.scale, made.unit, made.name, made.fps) == ("codes", 1.0, "m", "set", 25.0)
    assert made.cards is not None
    face = load_card(made.cards / f"{TOPOLOGY}.json")
    assert isinstance(face, VertexAnnotation) and face.basis is not None and face.has_lips
    assert face.basis.size == 5 and orthonormality(face.basis) < 1e-5
    for before, after in zip(source.clips, made.clips, strict=True):
        true = source.motion(before) * 0.5
        codes, outside = made.motion(after), made.residual(after)
        assert outside is not None
        shown = face.decode(codes)
        np.testing.assert_allclose(np.square(true - shown).sum(1), outside, rtol=1e-3, atol=1e-6)
        inside = np.square(shown - face.basis.mean).sum(1)
        np.testing.assert_allclose(np.square(true - face.basis.mean).sum(1), inside + outside, rtol=1e-5)
        assert made.path(after.audio).stat().st_ino == source.path(before.audio).stat().st_ino
        assert (after.id, after.subject, after.split, after.text) == (before.id, "ann", before.split, "hello")
    assert made.residual(made.split("train")[0]).max() < 1e-6 < made.residual(made.split("val")[0]).max()
    neutral, given = made.template("ann"), source.template("ann")
    assert neutral is not None and given is not None
    np.testing.assert_allclose(neutral, 0.5 * given, rtol=1e-6)
    np.testing.assert_array_equal(face.template("set/ann"), neutral)
    assert face.head_weight == pytest.approx(0.01 * face.basis.scale**2)


def test_the_loss_of_codes_and_residual_is_that_of_the_vertices_in_the_files(tmp_path: Path) -> None:
    source = a_dataset(tmp_path / "set", vertex_card(head_weight=0.0))
    made = encode_dataset(source, tmp_path / "pca", 3)
    assert 0.5 < made.held["train"].share < 1 and made.held["val"].share < 1
    face = dataclasses.replace(made.annotation, head_weight=0.0)
    clip = made.dataset.clips[3]
    codes, outside = np.array(made.dataset.motion(clip)), np.array(made.dataset.residual(clip))
    guess = codes + np.random.default_rng(1).standard_normal(codes.shape).astype(np.float32)
    naive = np.square(face.decode(guess) - 0.5 * source.motion(source.clips[3])).mean(1)
    fast = face.loss(torch.tensor(guess), torch.tensor(codes), residual=torch.tensor(outside))
    np.testing.assert_allclose(fast.numpy(), naive, rtol=1e-4)


@settings(deadline=None, max_examples=10)
@given(rows=st.integers(1, 300), step=st.integers(1, 4))
def test_blocks_hold_every_frame_once_whatever_their_size(tmp_path_factory, rows: int, step: int) -> None:
    folder = tmp_path_factory.mktemp("blocks") / "set"
    source = a_dataset(folder, None, frames=20)
    told: list[int] = []
    blocks = MotionBlocks((source,), rows, step=step, tell=told.append)
    want = np.concatenate([0.5 * source.motion(c)[::step] for c in source.split("train")])
    for _ in range(2):
        read = [block.copy() for block in blocks]
        np.testing.assert_array_equal(np.concatenate(read), want)
        assert all(len(b) == rows for b in read[:-1])
    assert sum(told) == 2 * len(want)


def test_the_buffer_does_not_change_the_basis_and_a_card_lends_its_own(tmp_path: Path) -> None:
    source = a_dataset(tmp_path / "set", vertex_card())
    shares: list[float] = []
    whole = encode_dataset(source, tmp_path / "a", 4, progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0
    small = encode_dataset(source, tmp_path / "b", 4, buffer=0.01)
    assert whole.held["val"].share == pytest.approx(small.held["val"].share, abs=1e-5)
    rest = encode_dataset(source, tmp_path / "c", 4, centre="rest")
    assert not rest.annotation.rest().any() and whole.annotation.rest().any()
    card = tmp_path / "a" / "annotations" / f"{TOPOLOGY}.json"
    lent = encode_dataset(source, tmp_path / "d", card=card)
    for one, other in zip(whole.dataset.clips, lent.dataset.clips, strict=True):
        np.testing.assert_array_equal(lent.dataset.motion(other), whole.dataset.motion(one))


def test_the_built_in_topology_needs_no_card(tmp_path: Path) -> None:
    from unitalker.annotations.builtin import mesh_topology
    from unitalker.rig import builtin_head

    face = mesh_topology("face", builtin_head())
    source = dataclasses.replace(a_dataset(tmp_path / "set", face, frames=6), templates=None)
    (source.folder / "annotations" / "face.json").unlink()
    made = encode_dataset(source, tmp_path / "pca", 3)
    assert made.annotation.basis is not None and made.annotation.basis.size == 3
    np.testing.assert_array_equal(made.annotation.regions["lips"], face.regions["lips"])


def refusals(folder: Path) -> Iterator[tuple[Dataset, Path, Path | None, str]]:
    """Datasets that cannot be turned into codes, and what is said."""
    plain = a_dataset(folder / "plain", None)
    yield (
        plain,
        folder / "out",
        None,
        "nothing tells the topology 'cloud'; the dataset needs its card, annotations/",
    )
    source = a_dataset(folder / "set", vertex_card())
    yield source, source.folder, None, "is the dataset itself"
    yield dataclasses.replace(source, stored="codes"), folder / "out", None, "stores codes already"
    twice = dataclasses.replace(source, clips=source.clips[:1] * 2)
    yield twice, folder / "out", None, "'c0' stands twice"
    away = dataclasses.replace(source, clips=(dataclasses.replace(source.clips[0], id="../x"),))
    yield away, folder / "out", None, "is no file name"
    own = source.folder / "annotations" / f"{TOPOLOGY}.json"
    yield source, folder / "out", own, "the card is of 120 of 'cloud', without a basis"
    weights = BlendshapeAnnotation("w", 25, "weight", tuple("abc"))
    yield a_dataset(folder / "weights", weights), folder / "out", None, "holds 'w', no vertices"


def test_what_has_no_vertices_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for dataset, out, card, said in refusals(tmp_path):
        with pytest.raises(DataError, match=said):
            encode_dataset(dataset, out, card=card)
    assert not (tmp_path / "out").exists()
    assert main(["data", "pca", str(tmp_path / "set"), "-o", str(tmp_path / "o"), "--components", "0"]) == 2


def test_a_residual_that_does_not_fit_is_told(tmp_path: Path) -> None:
    made = encode_dataset(a_dataset(tmp_path / "set", vertex_card()), tmp_path / "pca", 3).dataset
    clip = made.clips[0]
    np.save(made.folder / clip.residual, np.zeros(3, np.float32))
    with pytest.raises(DataError, match=r"90 frames of motion need a residual of \(90,\), not \(3,\)"):
        made.residual(clip)
    assert made.residual(dataclasses.replace(clip, residual="")) is None
