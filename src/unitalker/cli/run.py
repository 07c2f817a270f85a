"""Runs the jobs of `animate`: one model, one inference a sound, every file of it written from that."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unitalker.annotations.vertices import VertexAnnotation
from unitalker.cli.choices import Choices, check_source
from unitalker.cli.plan import Job
from unitalker.cli.progress import bar
from unitalker.errors import UniTalkerError
from unitalker.export import check_unit, format_of, write
from unitalker.export.base import mesh_rig

if TYPE_CHECKING:
    from unitalker.animation.animator import Animator, Request
    from unitalker.motion import Motion
    from unitalker.rig.rig import Rig

RATE = 16000
"""Samples a second of all sound in the package."""


class Run:
    """The model, the rig and the flags, shared by all jobs; what can be refused is refused at the start."""

    def __init__(self, picked: Choices, jobs: Sequence[Job]) -> None:
        if len(jobs) == 1 and jobs[0].source is not None:
            check_source(jobs[0].source)
        threading.Thread(target=import_module, args=("torch",), daemon=True).start()
        self.picked = picked
        self.rig = load_rig(picked.rig) if picked.rig else None
        self.spoken = _speak(picked.say, picked.voice) if picked.say is not None else None
        self.animator = _load_model(picked.model)
        self.request = self._request()
        for suffix in {path.suffix for job in jobs for path in job.outputs}:
            for annotation in self.request.annotations:
                check_unit(f"*{suffix}", annotation.unit, annotation.name)

    def _request(self) -> Request:
        """The checked names. Raises AnnotationError, ModelError or ConfigError with the nearest ones."""
        picked = self.picked
        names = [part.strip() for text in picked.annotation for part in text.split(",") if part.strip()]
        return self.animator.request(names or None, picked.identity, picked.template, picked.fps)

    def single(self, job: Job) -> int:
        """One job; its faults are raised."""
        lines = self.do(job)
        if not self.picked.quiet:
            print("\n".join(lines), file=sys.stderr)
        return 0

    def batch(self, jobs: Sequence[Job]) -> int:
        """Every job in turn; a failure is told and does not stop the rest. 0: all done, 1: some, 2: none."""
        failed = 0
        with bar("Animating", len(jobs), self.picked.quiet) as tell:
            for count, job in enumerate(jobs, start=1):
                try:
                    tell(count, self.do(job))
                except UniTalkerError as error:
                    failed += 1
                    tell(count, ())
                    print(f"{job.name}: {' '.join(str(error).split())}", file=sys.stderr)
        if failed:
            print(f"{failed} of {len(jobs)} inputs failed.", file=sys.stderr)
        return 2 if failed == len(jobs) else int(failed > 0)

    def do(self, job: Job) -> list[str]:
        """Animates one sound and writes its files. Gives a line about each file."""
        if job.source is not None:
            check_source(job.source)
        source = job.source if self.spoken is None else (self.spoken, RATE)
        assert source is not None
        motions = self.animator.run(self.request, source, self.picked.start, self.picked.end)
        several = len(motions) > 1
        return [
            self._write(motion, path, job)
            for name, motion in motions.items()
            for path in job.named(name, several)
        ]

    def _write(self, motion: Motion, path: Path, job: Job) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        film = format_of(path).sound
        with bar(path.name, len(motion), quiet=self.picked.quiet or not film) as tell:
            write(
                motion,
                path,
                rig=self._rig(motion) if film else self.rig,
                sound=self._sound(job) if film else None,
                rate=RATE,
                size=self.picked.size,
                view=self.picked.view,
                progress=lambda done: tell(done, ()),
            )
        return f"{path}: {len(motion)} frames of {motion.annotation} at {motion.fps:g} fps"

    def _rig(self, motion: Motion) -> Rig | None:
        """The rig of --rig; None: the built-in head; for another mesh than that, its own triangles."""
        annotation = self.animator.annotations[motion.annotation]
        if self.rig is not None or not isinstance(annotation, VertexAnnotation):
            return self.rig
        from unitalker.rig import builtin_head

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
    from unitalker.animation.animator import load

    return load(name)


def load_rig(path: str) -> Rig:
    """The rig in a GLB or npz file."""
    from unitalker import rig

    return rig.load_rig(path)


def _speak(text: str, voice: str) -> np.ndarray:
    """(N,) float32 samples at 16 kHz of the text."""
    from unitalker.data.tts import speak

    return speak(text, voice).samples
