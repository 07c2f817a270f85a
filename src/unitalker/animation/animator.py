"""The Animator: one object that turns sound into the motion of any annotation of its model."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import unitalker
from unitalker.animation.roads import frames_due, head_codes
from unitalker.annotations.base import Annotation
from unitalker.config import SAMPLE_RATE
from unitalker.errors import AnnotationError, ConfigError, ModelError, UniTalkerError, unknown
from unitalker.models import checkpoint
from unitalker.models.checkpoint import Bundle
from unitalker.models.unitalker import PIVOT
from unitalker.motion import Motion

Source = str | Path | tuple[np.ndarray, int]
Progress = Callable[[float], None]
"""Called with the seconds of sound animated so far."""

IN_MEMORY = 16_000_000
"""Values above this many bytes live in a temporary file instead of in memory."""
MAX_FPS = 240.0


class AnimatedMotion(Motion):
    """A Motion that can write itself."""

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write to `path`; the suffix picks the format. Options go to the writer (`rig`, `sound`, …).

        A UserWarning names the channels that the format, or the rig, has no place for.
        """
        from unitalker import export

        lost = export.check_channels(path, self, options.get("rig"))
        if lost:
            warnings.warn(
                f"{path} leaves out {len(lost)} of the {len(self.names)} channels of {self.annotation}: "
                f"{', '.join(lost[:3])}{', …' if len(lost) > 3 else ''}; .npz and .json hold them all.",
                stacklevel=2,
            )
        return export.write(self, path, **options)


@dataclass(frozen=True)
class Request:
    """What to animate, checked before any sound is read."""

    annotations: tuple[Annotation, ...]
    identity: Mapping[str, float]
    fps: float | None
    templates: Mapping[str, np.ndarray | None]

    @property
    def identity_text(self) -> str:
        """'pivot', a name, or 'A:0.6,B:0.4'."""
        if len(self.identity) == 1:
            return next(iter(self.identity))
        return ",".join(f"{n}:{w:g}" for n, w in self.identity.items())


class Animator:
    """Animates with one model. Make it with `unitalker.load(name or folder)`.

    The same sound gives the same motion in whatever blocks it arrives and in whatever container it lies.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.model = bundle.model
        self.annotations = dict(bundle.annotations)
        self.identities = (PIVOT, *bundle.model.config.identities)
        self.default_annotation = bundle.model.config.default_annotation

    def describe(self) -> dict[str, Any]:
        """Name, annotations with kind, fps and channels, identities, number of parameters."""
        return {
            "name": self.bundle.name,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "default": self.default_annotation,
            "annotations": {
                a.name: {"kind": a.kind, "fps": a.fps, "unit": a.unit, "channels": a.dim}
                for a in self.annotations.values()
            },
            "identities": list(self.identities),
        }

    def request(
        self,
        annotations: Sequence[str] | None = None,
        identity: str | None = None,
        template: str | None = None,
        fps: float | None = None,
    ) -> Request:
        """Check names and numbers. Raises AnnotationError, ModelError or ConfigError with the nearest names."""
        names = tuple(dict.fromkeys(annotations or (self.default_annotation,)))
        for name in names:
            if name not in self.annotations:
                raise AnnotationError(unknown("annotation", name, self.annotations))
        if fps is not None and not 1 <= fps <= MAX_FPS:
            raise ConfigError(
                f"The frame rate must lie between 1 and {MAX_FPS:g} frames a second, not {fps:g}."
            )
        mixture = self._mixture(identity or PIVOT)
        chosen = tuple(self.annotations[n] for n in names)
        if template is not None:
            self._check_template(template, chosen)
        return Request(chosen, mixture, fps, {a.name: self._template(a, mixture, template) for a in chosen})

    def _check_template(self, template: str, chosen: Sequence[Annotation]) -> None:
        known = list(dict.fromkeys(name for a in chosen for name in a.templates))
        told = ", ".join(a.name for a in chosen)
        if not known:
            raise AnnotationError(
                f"The template {template!r} has no use: {told} have no neutral face to choose."
            )
        if template not in known:
            raise AnnotationError(unknown(f"template of {told}", template, known))

    def _mixture(self, text: str) -> dict[str, float]:
        parts = [p.strip() for p in text.split(",") if p.strip()]
        if not parts:
            raise ModelError(
                "The identity is empty; give 'pivot', a name, or a mixture such as 'A:0.6,B:0.4'."
            )
        mixture: dict[str, float] = {}
        for part in parts:
            name, colon, weight = part.rpartition(":")
            name, share = (name, weight) if colon else (part, "1")
            try:
                number = float(share)
            except ValueError:
                raise ModelError(
                    f"The identity {part!r} needs a number after its colon, as in 'A:0.6,B:0.4'."
                ) from None
            self.model.identity_row(name)
            mixture[name] = mixture.get(name, 0.0) + number
        total = sum(mixture.values())
        if not np.isfinite(total) or total <= 0 or min(mixture.values()) < 0:
            raise ModelError(f"The identity {text!r} needs weights of at least 0 that do not sum to 0.")
        return {n: w / total for n, w in mixture.items()}

    def _template(
        self, annotation: Annotation, mixture: Mapping[str, float], asked: str | None
    ) -> np.ndarray | None:
        own = max(mixture, key=lambda n: mixture[n]) if asked not in annotation.templates else asked
        return annotation.template(own if own in annotation.templates else None)

    def animate(
        self,
        source: Source,
        *,
        annotations: Sequence[str] | None = None,
        identity: str | None = None,
        template: str | None = None,
        fps: float | None = None,
        start: float | None = None,
        end: float | None = None,
        progress: Progress | None = None,
    ) -> dict[str, AnimatedMotion]:
        """Sound → {annotation name: motion}, round(seconds · fps) frames each.

        source: a media file, or (samples, sample rate). annotations: default the model's default one. identity:
        'pivot' (the default), a name, or 'A:0.6,B:0.4'. template: the neutral face for vertex annotations. fps: default each
        annotation's own. start, end: seconds of the sound to animate.
        """
        return self.run(self.request(annotations, identity, template, fps), source, start, end, progress)

    def run(
        self,
        request: Request,
        source: Source,
        start: float | None = None,
        end: float | None = None,
        progress: Progress | None = None,
    ) -> dict[str, AnimatedMotion]:
        """Animate a checked request; see `animate`."""
        sound = SoundBlocks(source, start, end, progress)
        collectors = {
            a.name: Collector(a, request.fps or a.fps, request.templates[a.name]) for a in request.annotations
        }
        identity = self.model.embed(request.identity)
        rates = sorted({c.fps for c in collectors.values()})
        for number, fps in enumerate(rates):
            wanted = [c for c in collectors.values() if c.fps == fps]
            sound.silent = number > 0
            names = [c.annotation.name for c in wanted]
            for codes in head_codes(self.model, sound, identity, fps, names):
                for collector in wanted:
                    collector.add(codes[collector.annotation.name][0].cpu().numpy())
        facts = self._provenance(request, sound)
        return {n: self._motion(c, request, facts, sound) for n, c in collectors.items()}

    def _motion(
        self, collector: Collector, request: Request, facts: dict[str, Any], sound: SoundBlocks
    ) -> AnimatedMotion:
        annotation = collector.annotation
        values = collector.values()
        expected = frames_due(self.model, sound.samples, collector.fps)
        if len(values) != expected:
            raise UniTalkerError(
                f"The model made {len(values)} frames where {expected} were due; please report this."
            )
        return AnimatedMotion(
            values=values,
            names=annotation.names,
            fps=collector.fps,
            annotation=annotation.name,
            unit=annotation.unit,
            identity=request.identity_text,
            provenance=facts,
            template=collector.template,
        )

    def _provenance(self, request: Request, sound: SoundBlocks) -> dict[str, Any]:
        return {
            "software": f"unitalker {unitalker.__version__}",
            "model": self.bundle.name,
            "model_sha256": self.bundle.digest,
            "identity": request.identity_text,
            "audio": sound.name,
            "audio_sha256": sound.digest(),
            "audio_seconds": sound.samples / SAMPLE_RATE,
        }


class SoundBlocks:
    """The sound as blocks of samples that can be walked more than once; counts and hashes them on the first walk."""

    def __init__(
        self, source: Source, start: float | None, end: float | None, progress: Progress | None
    ) -> None:
        self.source, self.start, self.end, self.progress = source, start, end, progress
        self.silent = False
        self.samples = 0
        self._hash = hashlib.sha256()
        is_file = isinstance(source, (str, Path))
        self.name = Path(source).name if is_file else "samples"
        if not is_file:
            self._array = self._cut(*source)

    def _cut(self, samples: np.ndarray, rate: int) -> np.ndarray:
        from unitalker.audio import from_array

        return from_array(samples, rate, name="the sound").part(self.start, self.end)

    def __iter__(self) -> Iterator[np.ndarray]:
        seconds = 0.0
        for block in self._blocks():
            if not self.silent:
                self.samples += len(block)
                self._hash.update(np.ascontiguousarray(block, np.float32).tobytes())
            yield block
            seconds += len(block) / SAMPLE_RATE
            if self.progress and not self.silent:
                self.progress(seconds)

    def _blocks(self) -> Iterable[np.ndarray]:
        if isinstance(self.source, (str, Path)):
            from unitalker.audio import stream

            return stream(self.source, start=self.start, end=self.end)
        return (self._array[i : i + 160_000] for i in range(0, len(self._array), 160_000))

    def digest(self) -> str:
        """SHA-256 of the samples, float32 little-endian at 16 kHz."""
        return self._hash.hexdigest()


class Collector:
    """Decoded values of one annotation, in memory while small, else in an unnamed temporary file.

    template: neutral vertices (V, 3), which go along with the motion, or numbers (dim,) to add to every frame.
    """

    def __init__(self, annotation: Annotation, fps: float, template: np.ndarray | None = None) -> None:
        self.annotation, self.fps = annotation, fps
        whole = template is not None and template.ndim == 1
        self.added = template if whole else None
        self.template = None if whole else template
        self._pieces: list[np.ndarray] = []
        self._bytes = 0
        self._file: Any = None

    def add(self, codes: np.ndarray) -> None:
        """Decode and keep codes (n, head_dim)."""
        values = np.ascontiguousarray(self.annotation.decode(codes), np.float32)
        if self.added is not None:
            values = values + self.added
        self._bytes += values.nbytes
        self._pieces.append(values)
        if sum(p.nbytes for p in self._pieces) > IN_MEMORY:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="unitalker-")  # noqa: SIM115 (lives as long as the values)
        for piece in self._pieces:
            self._file.write(piece.tobytes())
        self._pieces.clear()

    def values(self) -> np.ndarray:
        """All frames (T, dim); a memory map when they went to a file."""
        if self._file is None:
            return np.concatenate([np.zeros((0, self.annotation.dim), np.float32), *self._pieces])
        self._spill()
        self._file.flush()
        return np.memmap(
            self._file, np.float32, "r", shape=(self._bytes // 4 // self.annotation.dim, self.annotation.dim)
        )


def load(name: str | Path = "mini", device: str = "cpu") -> Animator:
    """An Animator for an installed model's name or a model folder. Raises ModelError with the nearest names."""
    return Animator(checkpoint.load(name, device))


__all__ = ["AnimatedMotion", "Animator", "Request", "load"]
