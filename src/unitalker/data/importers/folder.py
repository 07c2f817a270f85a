"""An ordinary folder of sound and motion → a dataset with its own annotation card.

Any sound that can be read and a motion of the same stem are a clip: `take1.wav` and `take1.npy`, side by side or in
`audio/` and `motion/`, perhaps in a folder for each subject (`anna/take1.wav`). Motion is vertices, .npy (T, V, 3) or
(T, 3V), or weights with names: .csv with a line of names (Live Link Face too), .json, .npz, or .npy with names.txt.
Vertices are positions; the dataset stores displacements over the subject's template. Nothing is left out or changed
without a line in the summary (`Imported.notes`, and the manifest's `notes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from unitalker.annotations import builtin
from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation, rig_gram
from unitalker.annotations.cards import save_card
from unitalker.annotations.layouts import channel_key, convert, layout
from unitalker.annotations.vertices import HEAD_WEIGHT, VertexAnnotation
from unitalker.audio import read as read_sound
from unitalker.audio import write_sound
from unitalker.config import SAMPLE_RATE
from unitalker.data.dataset import Clip, Dataset, write_manifest
from unitalker.data.importers.corpus import AGREE_SECONDS, BROKEN_SECONDS, Imported, spelt
from unitalker.data.importers.folder_faces import Neutral, resting_face, silent_frames
from unitalker.data.importers.folder_files import LENGTHS, Pair, Read
from unitalker.data.importers.folder_plan import FolderOptions, Plan
from unitalker.data.placing import check_free, placed
from unitalker.errors import AnnotationError, DataError, UniTalkerError
from unitalker.files import atomic
from unitalker.motion import Motion, by_name
from unitalker.rig import builtin_head

__all__ = ["FolderOptions", "Imported", "import_folder"]

BLOCK_BYTES = 32 << 20
"""Motion is read, moved and written in pieces of this size."""
WEIGHT_HEAD_WEIGHT = 1e-4
"""λ of the paper's Eq. 2 for weights, as its release sets it."""

Progress = Callable[[int, int], None]


def import_folder(
    source: Path,
    out: Path,
    options: FolderOptions | None = None,
    *,
    read: Read | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Write the dataset `out` from the pairs of sound and motion in `source`.

    read: reads Live Link Face CSV files, as unitalker.export.read does. progress: steps done, steps in all. A pair that
    cannot be used, or is unlike most others, is left out and told (`Imported.problems`). Raises DataError, AudioError or
    AnnotationError where that leaves nothing, and for a folder that does not say what its numbers are; the manifest is
    written last, and after a failure `out` is what it was.
    """
    source, out = Path(source), Path(out)
    if not source.is_dir():
        raise DataError(f"There is no folder {source}.")
    if out.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{out} lies in {source}; write the dataset to another place.")
    check_free(out)
    plan = Plan(source, out.name, options or FolderOptions(), read)
    with placed(out, "source", _origin(source)) as draft:
        _written(_Work(plan, draft.folder, progress), out.name)
    return Imported(out, (*draft.notes, *plan.notes), tuple(plan.problems))


def _origin(source: Path) -> str:
    """What the manifest says of where the dataset comes from."""
    return f"the folder {source.name}"


def _written(work: _Work, name: str) -> None:
    """Every file of the dataset, the manifest last."""
    out, clips = work.out, work.write()
    annotation = work.annotation()
    if not work.plan.layout:
        save_card(annotation, out / "annotations")
    facts = Dataset(
        out,
        name,
        annotation.name,
        work.plan.fps,
        annotation.unit,
        annotation.names,
        work.plan.subjects,
        tuple(clips),
        known=work.plan.known if work.plan.layout else None,
        source=_origin(work.plan.source),
        extra={"notes": [*map(spelt, work.plan.notes)], "problems": [*map(spelt, work.plan.problems)]},
    )
    write_manifest(facts)


class _Work:
    """The writing of one dataset. lengths: clip name → frames that are used; quiet: → silent frames (T,);
    low, high: range of all weights."""

    def __init__(self, plan: Plan, out: Path, progress: Progress | None) -> None:
        self.plan, self.out, self.progress = plan, out, progress
        self.lengths: dict[str, int] = {}
        self.quiet: dict[str, np.ndarray] = {}
        self.neutral = dict(plan.neutral)
        self.low, self.high = 0.0, 1.0
        self.done = 0

    def write(self) -> list[Clip]:
        """Sounds, then templates where none is given, then motion. Gives the manifest's clips."""
        for room in ("audio", "motion"):
            (self.out / room).mkdir(parents=True, exist_ok=True)
        clips = self._sounds()
        for subject in self.plan.subjects if self.plan.mesh else ():
            if subject not in self.neutral:
                self.neutral[subject] = self._made_template(subject)
            self.plan.notes.append(f"Template of {subject}: {self.neutral[subject].about}.")
        for pair, clip in zip(self.plan.pairs, clips, strict=True):
            self._motion(pair, self.out / clip.motion)
        return clips

    def _sounds(self) -> list[Clip]:
        """The sound of every pair, those that cannot be used left out of the plan. Raises where none can."""
        clips, faults = [], []
        for pair in self.plan.pairs:
            try:
                clips.append(self._sound(pair))
            except UniTalkerError as fault:
                faults.append(fault)
                self.plan.leave_out(pair, fault)
        if not clips:
            raise faults[0]
        return clips

    def _step(self) -> None:
        self.done += 1
        if self.progress:
            self.progress(self.done, 2 * len(self.plan.pairs))

    def _sound(self, pair: Pair) -> Clip:
        """Write a clip's sound as 16 kHz FLAC, cut where its motion ends earlier."""
        self._check_finite(pair)
        samples = read_sound(pair.sound).samples
        frames, count = self._common(pair, len(samples))
        clip = Clip(
            pair.id,
            pair.subject,
            f"audio/{pair.id}.flac",
            f"motion/{pair.id}.npy",
            self.plan.splits[pair.name],
            round(count / SAMPLE_RATE, 6),
        )
        write_sound(self.out / clip.audio, samples[:count])
        self.lengths[pair.name] = frames
        self.quiet[pair.name] = silent_frames(samples[:count], frames, self.plan.fps)
        self._step()
        return clip

    def _common(self, pair: Pair, samples: int) -> tuple[int, int]:
        """Frames and samples of a clip that are used; the longer is cut, with a note, beyond 0.1 s."""
        frames = self.plan.frames[pair.name]
        motion, sound = frames / self.plan.fps, samples / SAMPLE_RATE
        if abs(motion - sound) > AGREE_SECONDS:
            longer = "motion" if motion > sound else "sound"
            told = self.plan.problems if motion > sound + BROKEN_SECONDS else self.plan.notes
            told.append(
                f"{pair.name}: the {longer} is {abs(motion - sound):.2f} s longer than its partner; its end was cut."
            )
            frames = min(frames, round(sound * self.plan.fps))
            samples = min(samples, round(motion * SAMPLE_RATE))
        if frames < 2:
            raise DataError(
                f"{pair.name} has only {frames} frames with sound; give more of it, or remove it."
            )
        return frames, samples

    def _made_template(self, subject: str) -> Neutral:
        """The neutral face that a motion file carries, else one of the silent frames."""
        pairs = [p for p in self.plan.pairs if p.subject == subject]
        takes = [self.plan.take(p) for p in pairs]
        own = next((t.template for t in takes if t.template is not None), None)
        if own is not None:
            return Neutral(own, None, "its motion file's own")
        motions = [t.values[: self.lengths[p.name]] for p, t in zip(pairs, takes, strict=True)]
        flat = [m.reshape(-1, self.plan.width) for m in motions]
        face, about = resting_face(flat, [self.quiet[p.name] for p in pairs])
        return Neutral(face.reshape(-1, 3), None, about)

    def _motion(self, pair: Pair, path: Path) -> None:
        """Write a clip's motion in the annotation's channels, in pieces."""
        plan = self.plan
        width = len(layout(plan.name).names) if plan.layout else plan.width
        header = {"descr": "<f4", "fortran_order": False, "shape": (self.lengths[pair.name], width)}
        with atomic(path, DataError) as draft, draft.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in self._blocks(pair):
                self.low, self.high = min(self.low, float(block.min())), max(self.high, float(block.max()))
                if plan.layout:
                    block = convert(Motion(block, plan.names, plan.fps, "folder", "weight"), plan.name).values
                file.write(np.ascontiguousarray(block, "<f4").data)
        self._step()

    def _check_finite(self, pair: Pair) -> None:
        """Raises DataError for motion with holes, before a template is made of it."""
        values = self.plan.take(pair).values.reshape(-1, self.plan.width)
        rows = max(1, BLOCK_BYTES // (4 * self.plan.width))
        for start in range(0, len(values), rows):
            if not np.isfinite(values[start : start + rows]).all():
                raise DataError(f"{pair.motion} holds NaN or infinite numbers.")

    def _blocks(self, pair: Pair) -> Iterator[np.ndarray]:
        """Displacements, or weights in the channel order of the first file: blocks (n, D) float32."""
        plan = self.plan
        take = plan.take(pair)
        values = take.values[: self.lengths[pair.name]].reshape(-1, plan.width)
        rows = max(1, BLOCK_BYTES // (4 * plan.width))
        for start in range(0, len(values), rows):
            block = np.array(values[start : start + rows], np.float32)
            if take.names is not None:
                yield by_name(block, take.names, plan.names)
            elif take.template is not None:
                yield block + (take.template - self.neutral[pair.subject].vertices).reshape(-1)
            else:
                yield block - self.neutral[pair.subject].vertices.reshape(-1)

    def annotation(self) -> Annotation:
        """The convention of the folder's numbers: vertices with templates and regions, or named weights."""
        plan = self.plan
        if not plan.mesh:
            return self._layout() if plan.layout else self._weights()
        faces = [n.faces for n in self.neutral.values() if n.faces is not None and len(n.faces)]
        return VertexAnnotation(
            plan.name,
            plan.fps,
            plan.unit,
            plan.names,
            regions=plan.regions,
            templates={f"{plan.dataset}/{s}": n.vertices for s, n in self.neutral.items()},
            head_weight=HEAD_WEIGHT,
            faces=faces[0] if faces else None,
            metres=LENGTHS[plan.unit],
        )

    def _weights(self) -> Annotation:
        plan = self.plan
        gram, lips = _on_the_head(plan.names)
        known = 0 if gram is None else int((gram.diagonal() > 0).sum())
        measured = (
            f"{known} of {len(plan.names)} channels move the built-in head: errors count on its vertices too."
        )
        plan.notes.append(measured if known else "No channel is ARKit's: errors are of the weights alone.")
        inside = self.low >= 0 and self.high <= 1
        if not inside:
            plan.notes.append(f"Weights reach from {self.low:g} to {self.high:g}; they are kept as they are.")
        bounds = (0.0, 1.0) if inside else None
        facts = BlendshapeAnnotation(plan.name, plan.fps, "weight", plan.names, gram=gram, lip_shapes=lips)
        return replace(facts, bounds=bounds, head_weight=WEIGHT_HEAD_WEIGHT)

    def _layout(self) -> Annotation:
        """A built-in layout; what it lacks and what the folder lacks is told."""
        plan = self.plan
        annotation = builtin.weight_annotation(plan.name, builtin_head())
        kept = {channel_key(name) for name in plan.known}
        extra = [name for name in plan.names if channel_key(name) not in kept]
        missing = [name for name in annotation.names if name not in plan.known]
        if extra:
            plan.notes.append(f"Channels that {plan.name} lacks, left out: {', '.join(extra)}.")
        if missing:
            plan.notes.append(
                f"Channels of {plan.name} that are not here, kept out of losses: {', '.join(missing)}."
            )
        return annotation


def _on_the_head(names: tuple[str, ...]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Gram matrix (D, D) and lip shapes (D, L, 3) of weights through their ARKit names on the built-in head."""
    arkit = layout("arkit52").names
    units = Motion(np.eye(len(names), dtype=np.float32), names, 1.0, "folder", "weight")
    try:
        to_arkit = convert(units, "arkit52").values
    except AnnotationError:
        return None, None
    rig = builtin_head()
    lips = rig.shapes[:, np.asarray(rig.regions["lips"])]
    moved = np.tensordot(rig.weights(to_arkit, arkit), lips, 1)
    gram = to_arkit @ rig_gram(rig, arkit, unit=0.01) @ to_arkit.T
    return gram.astype(np.float32), moved.astype(np.float32)
