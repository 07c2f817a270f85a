"""Runs the jobs of `animate`: one model, one inference a sound, every file of it written from that."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unitalker.annotations.vertices import VertexAnnotation
from unitalker.audio import RATE
from unitalker.cli.choices import Choices, check_source
from unitalker.cli.plan import Job
from unitalker.cli.progress import bar, watched
from unitalker.errors import AudioError, UniTalkerError
from unitalker.export import check_channels, check_unit, format_of, write
from unitalker.export.base import check_mesh, mesh_rig, some
from unitalker.motion import Motion
from unitalker.rig import builtin_head

if TYPE_CHECKING:
    from unitalker.animation.animator import Animator, Request
    from unitalker.annotations.base import Annotation
    from unitalker.rig.rig import Rig

HEADS = (".glb", ".mp4")
"""Suffixes of files that show a head."""

SHORTEST = 0.05
"""Seconds of sound below which there is nothing to animate: shorter than any sound of speech."""

SMALL_MODEL = 20_000_000
"""Parameters below which more than one thread only makes a model wait for the others."""


class Run:
    """The model, the rig and the flags, shared by all jobs; what can be refused is refused at the start."""

    def __init__(self, picked: Choices, jobs: Sequence[Job]) -> None:
        if len(jobs) == 1 and jobs[0].source is not None:
            check_source(jobs[0].source)
        self.picked = picked
        self.rig = load_rig(picked.rig) if picked.rig else None
        self.spoken = _speak(picked.say, picked.voice) if picked.say is not None else None
        self.animator = _load_model(picked.model)
        self.request = self._request()
        for path in {path.suffix: path for job in reversed(jobs) for path in reversed(job.outputs)}.values():
            for annotation in self.request.annotations:
                self._check(path, annotation)

    def _check(self, path: Path, annotation: Annotation) -> None:
        """Raises ExportError for numbers that the file cannot hold; tells of channels that it leaves out."""
        check_unit(path, annotation.unit, annotation.name)
        if isinstance(annotation, VertexAnnotation):
            rig = self.rig or (None if annotation.faces is not None else builtin_head())
            if rig and path.suffix.lower() in HEADS:
                check_mesh(annotation.name, annotation.dim, rig)
            return
        nothing = np.zeros((0, len(annotation.names)), np.float32)
        motion = Motion(nothing, annotation.names, annotation.fps, annotation.name, annotation.unit)
        lost = check_channels(path, motion, self.rig)
        if lost and not self.picked.quiet:
            print(
                f"{path.suffix} has no place for {len(lost)} of the {len(annotation.names)} channels of "
                f"{annotation.name}, which are left out: {some(lost)}.",
                file=sys.stderr,
            )

    def _request(self) -> Request:
        """The checked names. Raises AnnotationError, ModelError or ConfigError with the nearest ones."""
        picked = self.picked
        names = [part.strip() for text in picked.annotation for part in text.split(",") if part.strip()]
        return self.animator.request(names or None, picked.identity, picked.template, picked.fps)

    def single(self, job: Job) -> int:
        """One job; its faults are raised."""
        show = not self.picked.quiet
        with bar(job.name, self._seconds(job) if show and watched() else 1.0, show) as tell:
            motions = self._animate(job, lambda seconds: tell(seconds, ()))
        lines = []
        for motion, path in self._files(job, motions):
            with bar(path.name, len(motion), show and format_of(path).sound) as tell:
                lines.append(self._write(motion, path, job, lambda count, tell=tell: tell(count, ())))
        if show:
            print("\n".join(lines), file=sys.stderr)
        return 0

    def batch(self, jobs: Sequence[Job]) -> int:
        """Every job in turn; a failure is told and does not stop the rest. 0: all done, 1: some, 2: none."""
        failed = 0
        with bar("Animating", len(jobs), not self.picked.quiet) as tell:
            for count, job in enumerate(jobs, start=1):
                try:
                    files = self._files(job, self._animate(job))
                    lines = [self._write(motion, path, job) for motion, path in files]
                    tell(count, () if self.picked.quiet else lines)
                except UniTalkerError as error:
                    failed += 1
                    told = " ".join(str(error).split())
                    tell(count, [told if job.name in told else f"{job.name}: {told}"])
            if failed:
                tell(len(jobs), [f"{failed} of {len(jobs)} inputs failed."])
        return 2 if failed == len(jobs) else int(failed > 0)

    def _animate(self, job: Job, progress: Callable[[float], None] | None = None) -> Mapping[str, Motion]:
        """Annotation → motion of one job's sound."""
        if job.source is not None:
            check_source(job.source)
        source = job.source if self.spoken is None else (self.spoken, RATE)
        assert source is not None
        motions = self.animator.run(self.request, source, self.picked.start, self.picked.end, progress)
        seconds = min(motion.provenance["audio_seconds"] for motion in motions.values())
        if seconds < SHORTEST:
            raise AudioError(
                f"{job.name}: {seconds:.3f} s of sound is too short to animate; give {SHORTEST:g} s or more."
            )
        return motions

    def _files(self, job: Job, motions: Mapping[str, Motion]) -> Iterator[tuple[Motion, Path]]:
        """Every file of the job with the motion that goes into it."""
        for name, motion in motions.items():
            for path in job.named(name, len(motions) > 1):
                yield motion, path

    def _write(
        self, motion: Motion, path: Path, job: Job, progress: Callable[[int], None] | None = None
    ) -> str:
        """Writes one file; gives a line about it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        film = format_of(path).sound
        write(
            motion,
            path,
            rig=self._rig(motion),
            sound=self._sound(job) if film else None,
            rate=RATE,
            size=self.picked.size,
            view=self.picked.view,
            progress=progress,
        )
        return f"{path}: {len(motion)} frames of {motion.annotation} at {motion.fps:g} fps"

    def _seconds(self, job: Job) -> float:
        """Length of the part of a sound that is asked for, as far as its header tells."""
        from unitalker.audio import probe

        if self.spoken is not None or job.source is None:
            return len(self.spoken if self.spoken is not None else ()) / RATE
        end = probe(job.source).seconds or 0.0
        return max(min(end, self.picked.end or end) - (self.picked.start or 0.0), 1e-3)

    def _rig(self, motion: Motion) -> Rig | None:
        """The rig of --rig; None: the built-in head; for another mesh than that, its own triangles."""
        annotation = self.animator.annotations[motion.annotation]
        if self.rig is not None or not isinstance(annotation, VertexAnnotation):
            return self.rig
        if annotation.faces is None or np.array_equal(builtin_head().faces, annotation.faces):
            return None
        return mesh_rig(motion, annotation.faces, annotation.metres)

    def _sound(self, job: Job) -> np.ndarray | Iterable[np.ndarray]:
        """Samples of the film's sound track, cut like the motion; of a file, in blocks."""
        start, end = self.picked.start, self.picked.end
        if self.spoken is not None:
            return self.spoken[round((start or 0) * RATE) : None if end is None else round(end * RATE)]
        from unitalker.audio import stream

        return stream(str(job.source), start=start, end=end)


def _load_model(name: str) -> Animator:
    import torch

    from unitalker.animation.animator import load

    animator = load(name)
    if sum(p.numel() for p in animator.model.parameters()) < SMALL_MODEL:
        torch.set_num_threads(1)
    return animator


def load_rig(path: str) -> Rig:
    """The rig in a GLB or npz file."""
    from unitalker import rig

    return rig.load_rig(path)


def _speak(text: str, voice: str) -> np.ndarray:
    """(N,) float32 samples at 16 kHz of the text."""
    from unitalker.data.tts import speak

    return speak(text, voice).samples
