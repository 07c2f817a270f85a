"""Carrying out a protocol: clip by clip, a block of frames at a time, never a dataset's meshes together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unitalker.data.dataset import Clip, Dataset
from unitalker.errors import AnnotationError, ConfigError, DataError, ModelError, UniTalkerError
from unitalker.evaluation.captured import phones_of_words
from unitalker.evaluation.faces import face_of, mask_hash, truth
from unitalker.evaluation.metrics.mouth import moments
from unitalker.evaluation.metrics.phones import of_clip
from unitalker.evaluation.metrics.registry import JAW, LIPS, METRICS, OPENING
from unitalker.evaluation.metrics.streams import ClipMeter, Maps, Regions, block_frames
from unitalker.evaluation.predictions import PIVOT, RULES, Source, Track
from unitalker.evaluation.protocols import matched
from unitalker.evaluation.protocols.base import Part, Protocol
from unitalker.evaluation.protocols.counts import count_differences, length_differences, resting_differences
from unitalker.evaluation.protocols.kept import Kept
from unitalker.evaluation.protocols.mouth import captured_pair
from unitalker.evaluation.protocols.result import MaskUsed, PartResult, Result
from unitalker.evaluation.protocols.result import Sequence as Row

Progress = Callable[[int, int], None]
NOT_GIVEN = "Not given, so in none of the figures"
OF_LIPS = frozenset(metric.sums for metric in METRICS if metric.region in (LIPS, OPENING, JAW))
OTHER_RATE = 1.4
"""A prediction that is longer or shorter by more has another frame rate."""


@dataclass(frozen=True)
class Options:
    """What a user may say. regions: folder of index lists. flame: file of a FLAME model. identity: a rule or a name in
    place of the protocol's. lips: measures of the lips alone, without meshes. keep: also what pictures need.

    Raises ConfigError for a seed below 0.
    """

    regions: Path | None = None
    flame: Path | None = None
    identity: str | None = None
    seed: int = 0
    lips: bool = False
    keep: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"--seed takes a whole number from 0, not {self.seed}.")


def run(
    protocol: Protocol,
    datasets: Sequence[Dataset],
    source: Source,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Result:
    """Evaluate predictions of datasets by a protocol.

    Sequences that are missing or broken, and datasets that cannot be measured, are left out and told in `problems`. Raises
    a UniTalkerError where nothing can be measured and for an unknown identity, DataError for a dataset that is not of the
    protocol.
    """
    options = options or Options()
    pairs = matched(protocol, datasets)
    works, problems = _works(protocol, pairs, source, options)
    total, done, parts = sum(len(work.clips) for work in works), 0, []
    for work in works:
        for clip in work.clips:
            work.take(clip)
            done += 1
            if progress:
                progress(done, total)
        try:
            parts.append(work.result())
        except DataError as fault:
            problems.append(fault)
    if not parts:
        raise problems[0]
    notes, given = list(source.notes), [part for part, _ in pairs]
    if absent := [part.name for part in protocol.parts if not protocol.each and part not in given]:
        notes.append(f"{NOT_GIVEN}: {', '.join(absent)}.")
    about = {"predictions of": source.name, **source.facts}
    return Result(protocol, about, parts, notes, [str(fault) for fault in problems])


def _works(
    protocol: Protocol, pairs: Sequence[tuple[Part, Dataset]], source: Source, options: Options
) -> tuple[list[_Work], list[UniTalkerError]]:
    """What is to be measured, and why some datasets cannot be. Raises the reason of the first where none can."""
    works: list[_Work] = []
    problems: list[UniTalkerError] = []
    for part, dataset in pairs:
        try:
            works.append(_Work(protocol, part, dataset, source, options))
        except (AnnotationError, DataError) as fault:
            problems.append(fault)
    if not works:
        raise problems[0]
    return works, problems


class _Work:
    """One dataset of a protocol."""

    def __init__(
        self, protocol: Protocol, part: Part, dataset: Dataset, source: Source, options: Options
    ) -> None:
        self.part, self.dataset, self.source, self.options = part, dataset, source, options
        self.rule = options.identity or protocol.identity
        self.differences: list[str] = []
        if options.identity not in (None, protocol.identity):
            self.differences.append(
                f"predicted as {self.rule}; the protocol's identity is {protocol.identity}."
            )
        self.split, self.clips = self._split()
        self.step, self.fps = self._rate()
        own = dataset.annotation == part.annotation
        unit = {"unit": part.unit, "size": part.size} if own else {}
        said = {"regions": options.regions, "flame": options.flame, "lips": options.lips}
        self.face = face_of(dataset, source.annotation(dataset), **unit, **said)
        self.regions = self._regions()
        self.training = part.training(dataset)
        source.heard(dataset, self.clips, part.keys)
        self.rows: list[Row] = []
        self.problems: list[str] = []
        self.lengths: Counter[str] = Counter()
        self.maps = Maps()
        self.kept = Kept(dataset, self.face, self.regions) if options.keep else None
        self._preparation(own)

    def _split(self) -> tuple[str, list[Clip]]:
        """The split and its clips to measure; of a dataset without test clips under `open`, those for validation."""
        clips = self.part.clips(self.dataset)
        if clips:
            return self.part.split, clips
        if not self.part.keys and (held := self.part.clips(self.dataset, "val")):
            self.differences.append("it has no test clips: measured on val.")
            return "val", held
        have = sorted({clip.split for clip in self.dataset.clips})
        if self.part.split_of is not None:
            raise DataError(
                f"{self.dataset.name} has no clip of {self.part.name} by the names of its clips, which tell this protocol's split; "
                f"it has {len(self.dataset.clips)} clips of {', '.join(self.dataset.subjects[:3])}"
                f"{' and others' if len(self.dataset.subjects) > 3 else ''}."
            )
        raise DataError(
            f"{self.dataset.name} has no clips of {self.part.name} (split {self.part.split!r}); it has {', '.join(have)}."
        )

    def _rate(self) -> tuple[int, float]:
        fps = self.part.fps or self.dataset.fps
        step = round(self.dataset.fps / fps)
        if step < 1 or abs(self.dataset.fps / step - fps) > 1e-3:
            self.differences.append(f"{self.dataset.fps:g} frames a second, not {fps:g}.")
            return 1, self.dataset.fps
        if step > 1:
            self.differences.append(
                f"one frame in {step} was taken: {self.dataset.fps:g} fps became {fps:g}."
            )
        return step, fps

    def _preparation(self, own: bool) -> None:
        """Tell what of the dataset and its masks is not the protocol's."""
        part, dataset = self.part, self.dataset
        if part.annotation and not own:
            self.differences.append(
                f"{dataset.name} has the annotation {dataset.annotation!r}, not {part.annotation!r}: its figures do not "
                "compare with published ones."
            )
        if dataset.stored == "codes":
            self.differences.append(
                "the truth is stored as codes: what lies outside their basis is in no figure."
            )
        wanted = {n: m for n, m in part.masks.items() if n == LIPS or not self.options.lips}
        for name, mask in wanted.items():
            used = self.masks.get(name)
            if used is None:
                self.differences.append(f"no list of the region {name} is known; published: {mask.source}.")
            elif mask.vertices and used.vertices != mask.vertices:
                self.differences.append(
                    f"the region {name} has {used.vertices} vertices; published: {mask.vertices}, {mask.source}."
                )
            elif own and mask.sha256 and used.sha256 != mask.sha256:
                self.differences.append(f"the vertices of the region {name} are not those of {mask.source}.")
        self.differences += self.face.notes
        if self.options.regions is not None and self.face.annotation.kind != "vertices":
            self.differences.append(
                f"the lists in {self.options.regions.name} are not used: {self.dataset.annotation} is measured on the built-in head."
            )

    def _regions(self) -> Regions:
        face = self.face
        pair = face.pair
        told = "the built-in head" if pair else "the captured motion: inner lips near the middle of the mouth"
        if pair is None and "lips" in face.regions:
            pair, told_not = captured_pair(self.dataset, face, face.regions["lips"])
            self.differences += told_not
        listed = {n: (rows, face.told[n]) for n, rows in face.regions.items()}
        if pair is not None:
            listed["opening"] = (np.concatenate(pair), told)
        self.masks = {
            n: MaskUsed(len(np.unique(r)), mask_hash(face.numbers(r)), why) for n, (r, why) in listed.items()
        }
        return Regions(face.regions.get("lips"), face.regions.get("upper_face"), pair)

    def take(self, clip: Clip) -> None:
        """Measure a clip; what is missing or broken becomes a problem."""
        styles = self.source.styles(self.dataset, clip, self.rule, self.training)
        tracks: dict[str, Track] = {}
        for style in styles:
            try:
                tracks[style] = self.source.track(self.dataset, clip, style, self.face, self.fps)
            except ModelError:
                raise
            except UniTalkerError as fault:
                self.problems.append(str(fault))
        if not tracks:
            return
        try:
            self._measure(clip, tracks)
        except UniTalkerError as fault:
            self.problems.append(f"{clip.id}: {fault}")

    def _measure(self, clip: Clip, tracks: dict[str, Track]) -> None:
        due, read = truth(self.dataset, clip, self.face, self.step)
        count = self._agreed(due, tracks)
        meter = ClipMeter(self.fps, self.regions, self._rest(clip), len(tracks))
        jaws: list[list[np.ndarray]] = [[] for _ in range(1 + len(tracks))]
        sides = ("the truth", *(f"the prediction as {s}" if s else "the prediction" for s in tracks))
        for part in _blocks(count, block_frames(self.face.vertices)):
            values = [read(part), *(track.read(part) for track in tracks.values())]
            for who, one in zip(sides, values, strict=True):
                if not np.isfinite(one.sum()) and not np.isfinite(one).all():
                    frame = part.start + int(np.argmin(np.isfinite(one).all(1)))
                    raise DataError(f"{who} has NaN or infinite numbers in frame {frame}.")
            moved = [self.face.moved(one) for one in values]
            meter.add(moved[0], moved[1:])
            if self.face.jaw is not None:
                for curve, one in zip(jaws, values, strict=True):
                    curve.append(self.face.jaw(one))
        sums = meter.sums(clip.phones or phones_of_words(clip.words))
        if self.face.jaw is not None:
            real, *made = (np.concatenate(curve) for curve in jaws)
            sums["jaw"] = np.sum([moments(real, one, self.fps) for one in made], axis=0).reshape(-1)
        if self.options.lips:
            sums = {name: values for name, values in sums.items() if name in OF_LIPS}
        else:
            self.maps.add(meter)
        if self.kept is not None:
            self.kept.add(clip, meter)
        sums |= of_clip(meter.lip_errors, self.fps, clip.phones, phones_of_words(clip.words))
        self.rows.append(Row(clip.id, clip.subject, count, tuple(tracks), sums))

    def _agreed(self, due: int, tracks: dict[str, Track]) -> int:
        """Frames that all sides have. Raises DataError for other frame rates."""
        for style, track in tracks.items():
            if max(track.frames, due) > OTHER_RATE * min(track.frames, due) + 3:
                raise DataError(
                    f"the prediction{f' as {style}' if style else ''} has {track.frames} frames where {due} are due at "
                    f"{self.fps:g} fps; it has another frame rate, or is of another sentence."
                )
            more = track.frames - due
            self.lengths.update(longer=int(more > 0), shorter=int(more < 0), due=due, made=track.frames)
            self.lengths.update(over=max(more, 0), cut=max(-more, 0))
        count = min(due, *(track.frames for track in tracks.values()))
        if count < 1:
            raise DataError("there are no frames to compare.")
        return count

    def _rest(self, clip: Clip) -> np.ndarray | None:
        neutral = self.face.neutral(clip.subject) if self.regions.pair else None
        if neutral is None or self.regions.pair is None:
            return None
        upper, lower = self.regions.pair
        return neutral[upper].mean(0) - neutral[lower].mean(0)

    def _whose(self) -> str:
        """As whom sequences were predicted: the rule, and how many it had nobody for."""
        told = f"{self.rule} ({RULES[self.rule]})" if self.rule in RULES else self.rule
        nobody = sum(row.styles == (PIVOT,) for row in self.rows)
        return told if self.rule == PIVOT or not nobody else f"{told}; {nobody} as the pivot"

    def result(self) -> PartResult:
        """What was found. Raises DataError where no sequence could be measured."""
        if not self.rows:
            why = f" {self.problems[0]}" if self.problems else ""
            raise DataError(f"No sequence of {self.dataset.name} could be measured.{why}")
        part, own = self.part, self.dataset.annotation == self.part.annotation
        frames = sum(row.frames for row in self.rows)
        self.differences += count_differences(part, {c.id for c in self.clips}, len(self.rows), frames)
        self.differences += length_differences(self.lengths, self.fps)
        self.differences += resting_differences(self.maps.arrays(), self.regions.upper_face)
        facts = {
            "dataset": self.dataset.name,
            "annotation": self.dataset.annotation,
            "split": self.split,
            "identity": self._whose(),
            "fps": self.fps,
            "unit": part.unit_about if part.unit_about and own else self.face.unit,
            "vertices": self.face.about,
            "sequences": len(self.rows),
            "expected_sequences": self.part.sequences,
            "frames": frames,
            "expected_frames": self.part.frames,
            "expected_by": self.part.counted_by,
        }
        return PartResult(
            self.part.name,
            self.face.unit,
            facts,
            self.masks,
            self.rows,
            self.differences,
            self.problems,
            self.maps.arrays(),
            self.options.seed,
            self.kept,
        )


def _blocks(frames: int, size: int) -> Iterator[slice]:
    for start in range(0, frames, size):
        yield slice(start, min(start + size, frames))
