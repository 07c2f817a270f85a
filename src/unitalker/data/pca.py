"""Datasets of vertices as datasets of PCA codes: what an epoch reads shrinks from every coordinate to some hundred.

The new dataset carries its own card with the basis, the codes of each frame, and the energy that each frame has outside
the basis, with which the vertex error of a prediction stays exact (see annotations/vertices.py).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from unitalker.annotations import builtin
from unitalker.annotations.cards import load_card, save_card
from unitalker.annotations.pca import Basis, Centre, fit_basis, passes
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.data.dataset import Clip, Dataset, MotionBlocks, link, write_manifest
from unitalker.data.placing import check_free, placed
from unitalker.errors import DataError
from unitalker.files import atomic
from unitalker.rig import builtin_head

Progress = Callable[[float], None]
"""Called with the share that is done."""


@dataclasses.dataclass(frozen=True)
class Held:
    """Energy of a split's motion about the basis's mean, and the part of it outside the basis, in unit²."""

    total: float
    outside: float

    @property
    def share(self) -> float:
        """Share that the codes hold: of the training motion, the explained variance."""
        return 1 - self.outside / self.total if self.total > 0 else 1.0


@dataclasses.dataclass(frozen=True)
class Made:
    """What `encode_dataset` made: the dataset, its annotation, and how much of each split's motion the codes hold."""

    dataset: Dataset
    annotation: VertexAnnotation
    held: dict[str, Held]


def encode_dataset(
    source: Dataset,
    out: Path,
    components: int = 512,
    *,
    centre: Centre = "mean",
    card: Path | None = None,
    buffer: float = 256,
    seed: int = 0,
    progress: Progress | None = None,
) -> Made:
    """Write `source`, whose motion is vertices, to the folder `out` with codes of a PCA basis.

    The basis is fitted on the training split alone. Frames are read in blocks of `buffer` MB, a few times (`pca.passes`),
    and once more to be written; memory is about one such block and four times the basis, however many frames there are. Sound
    is linked, not copied, where the file system can.
    card: an annotation card whose basis is used instead of a new one, so that datasets share a head.
    Raises DataError for a dataset that does not store vertices, or whose topology no card tells.
    """
    face, neutral = _topology(source, card), _templates(source)
    _check_places(source, out)
    check_free(out)
    rows = max(1, int(buffer * 1e6 / (4 * face.dim)))
    tell = _counter(source, 0 if card else passes(components, face.dim), progress)
    if card is None:
        basis = fit_basis(MotionBlocks((source,), rows, tell=tell), components, centre=centre, seed=seed)
        face = face.with_basis(basis)
    named = {f"{source.name}/{subject}": vertices for subject, vertices in neutral.items()}
    face = dataclasses.replace(face, templates=dict(face.templates) | named)
    clips, held = [], {}
    with placed(out) as draft:
        for clip in source.clips:
            coded, energy = _encode(source, clip, face, draft.folder, max(1, rows // 4))
            clips.append(coded)
            before = held.get(clip.split, Held(0.0, 0.0))
            held[clip.split] = Held(before.total + energy.total, before.outside + energy.outside)
            tell(len(source.motion(clip)))
        save_card(face, draft.folder / "annotations")
        made = _write(source, face, neutral, draft.folder, tuple(clips))
    return Made(dataclasses.replace(made, folder=out), face, held)


def _counter(source: Dataset, times: int, progress: Progress | None) -> Callable[[int], None]:
    """What to call with the frames dealt with: `times` times those of the training split, then once all."""
    if progress is None:
        return lambda count: None
    frames = {clip: len(source.motion(clip)) for clip in source.clips}
    work = times * sum(frames[clip] for clip in source.split("train")) + sum(frames.values())
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress(done / work)

    return tell


def _topology(source: Dataset, card: Path | None) -> VertexAnnotation:
    """The vertex annotation of a dataset: from the card given, its own card, or built in."""
    if source.stored != "values":
        raise DataError(
            f"{source.name} stores codes already; `data pca` takes the dataset that it was made from."
        )
    own = None if source.cards is None else source.cards / f"{source.annotation}.json"
    if card is not None:
        face = load_card(card)
    elif own is not None and own.is_file():
        face = load_card(own)
    elif source.annotation in builtin.MESHES:
        face = builtin.mesh_topology(source.annotation, builtin_head())
    elif source.annotation in builtin.NAMES or len(source.names) % 3:
        face = None
    else:
        raise DataError(
            f"{source.name}: nothing tells the topology {source.annotation!r}; the dataset needs its card, "
            f"annotations/{source.annotation}.json."
        )
    if not isinstance(face, VertexAnnotation):
        raise DataError(
            f"{source.name} holds {source.annotation!r}, no vertices; only vertex motion has a PCA basis."
        )
    if face.dim != len(source.names) or (
        card is not None and (face.basis is None or face.name != source.annotation)
    ):
        raise DataError(
            f"{source.name} has {len(source.names)} numbers a frame of {source.annotation!r}; the card is of {face.dim} "
            f"of {face.name!r}, {'without' if face.basis is None else 'with'} a basis."
        )
    return face


def _templates(source: Dataset) -> dict[str, np.ndarray]:
    """Neutral vertices by subject, in the annotation's unit."""
    found = {subject: source.template(subject) for subject in source.subjects}
    return {
        s: np.asarray(v, np.float32) * np.float32(source.scale) for s, v in found.items() if v is not None
    }


def _check_places(source: Dataset, out: Path) -> None:
    """Raises DataError where the new files would lie on the old ones, on each other or outside the folder."""
    if out.resolve() == source.folder.resolve():
        raise DataError(f"{out} is the dataset itself; give another folder for its codes.")
    counts = Counter(clip.id for clip in source.clips)
    for name, count in counts.items():
        if count > 1 or not (out / name).resolve().is_relative_to(out.resolve()):
            raise DataError(
                f"{source.name}: the clip id {name!r} stands twice or is no file name; give each its own."
            )
    if not all(isinstance(source.recording(clip), Path) for clip in source.clips):
        raise DataError(f"{source.name} is in shards; make codes of the dataset before it is put in shards.")


def _encode(source: Dataset, clip: Clip, face: VertexAnnotation, out: Path, rows: int) -> tuple[Clip, Held]:
    """Write a clip's codes, residual and sound; the clip as it lies in `out`, and its energies."""
    assert face.basis is not None
    values = source.motion(clip)
    parts = [
        _codes(np.asarray(values[i : i + rows], np.float32) * np.float32(source.scale), face.basis)
        for i in range(0, max(1, len(values)), rows)
    ]
    codes, outside, total = (np.concatenate(column) for column in zip(*parts, strict=True))
    files = {"motion": f"motion/{clip.id}.npy", "residual": f"motion/{clip.id}.residual.npy"}
    files["audio"] = f"audio/{clip.id}{Path(clip.audio).suffix}"
    for name in files.values():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
    for name, array in (("motion", codes), ("residual", outside)):
        with atomic(out / files[name], DataError) as draft:
            np.save(draft, array)
    link(source.path(clip.audio), out / files["audio"])
    energy = Held(float(total.sum(dtype=np.float64)), float(outside.sum(dtype=np.float64)))
    return dataclasses.replace(clip, **files), energy


def _codes(values: np.ndarray, basis: Basis) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes (n, K) of displacements, energies (n,) of what they leave out, and of the displacements about the mean."""
    codes = basis.encode(values).astype(np.float32)
    left = values - basis.decode(codes)
    total = np.square(values - basis.mean).sum(1)
    return codes, np.square(left).sum(1, dtype=np.float32), total


def _write(
    source: Dataset,
    face: VertexAnnotation,
    neutral: dict[str, np.ndarray],
    out: Path,
    clips: tuple[Clip, ...],
) -> Dataset:
    """Write templates and manifest."""
    if neutral:
        with atomic(out / "templates.npz", DataError) as draft:
            np.savez(draft, allow_pickle=False, **neutral)
    facts = {key: getattr(source, key) for key in ("name", "fps", "subjects", "licence", "source", "extra")}
    dataset = Dataset(
        folder=out,
        annotation=face.name,
        unit=face.unit,
        names=(),
        clips=clips,
        templates="templates.npz" if neutral else None,
        stored="codes",
        **facts,
    )
    write_manifest(dataset)
    return dataset
