"""What the importers of corpora share: takes in, a dataset of ours out, and a sentence for all that did not fit.

An importer finds the takes of a corpus without reading them and gives them to `write_corpus`, which goes through them one
by one: sound of any kind to 16 kHz mono FLAC, motion in blocks to npy. A take that cannot be used is left out and told
(`Imported.problems`), what was cut or filled is told (`Imported.notes`), and the manifest is written last.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.annotations.cards import save_card
from unitalker.audio import stream
from unitalker.config import SAMPLE_RATE
from unitalker.data.dataset import Clip, Dataset, write_manifest
from unitalker.data.importers.expected import Expected
from unitalker.data.importers.linking import Links
from unitalker.data.importers.rows import Frames
from unitalker.data.placing import placed
from unitalker.errors import DataError, UniTalkerError
from unitalker.files import atomic

AGREE_SECONDS = 0.1
"""Sound and motion may differ by so much in length; more is cut and told."""
BROKEN_SECONDS = 1.0
"""Motion that outlasts its sound by more than this has lost its sound: it is left out."""
SHORTEST = 2
"""Frames that a clip must have."""
LONGEST_ID = 200
"""Bytes of a clip's id, which with a suffix is the name of a file."""
UNUSED = "unused"
"""Split of sequences that are in none of a corpus's published splits."""

Progress = Callable[[int, int], None]
"""Called with the takes that are done, and how many there are."""
Sound = Path | Callable[[], np.ndarray]
"""A media file, or what gives samples (N,) float32 at 16 kHz."""


@dataclass(frozen=True)
class Options:
    """What a user may say about a corpus; each importer takes some of it (`Kind.takes`).

    regions: folder of index lists (see importers/regions.py). split: name of a published way to split. fps: frames a
    second of the dataset. preparation: name of a published way to prepare sequences. neutral: take each
    clip's resting face away from its weights.
    """

    regions: Path | None = None
    split: str | None = None
    fps: float | None = None
    preparation: str | None = None
    neutral: bool | None = None


@dataclass(frozen=True)
class Imported:
    """A dataset folder that was written. notes: a line for all that was missing, cut, filled or decided; problems: for
    all that was left out because it is broken."""

    folder: Path
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Take:
    """One sequence of a corpus. name: as the corpus calls it, unique in it; the clip's id is made of it.

    motion: opens the frames, which are in the unit of the corpus; it raises a UniTalkerError for what cannot be used.
    start: seconds of the sound before the first frame. stop: where the take ends in a longer sound, None for its end.
    about: a fact for the clip's notes. apart: sound and motion were recorded by two devices, started and stopped each by
    itself, so motion may outlast its sound by any time and is cut.
    """

    name: str
    subject: str
    split: str
    sound: Sound
    motion: Callable[[], Frames]
    start: float = 0.0
    stop: float | None = None
    text: str = ""
    language: str = ""
    words: tuple[tuple[float, float, str], ...] = ()
    about: str = ""
    apart: bool = False


@dataclass
class Corpus:
    """A corpus that was looked at.

    name: of the dataset. card: its annotation. templates: subject → (V, 3) in the unit of the files; without them the card
    keeps its own.
    fps, scale: other than expected. known: channels that can be trusted, None for all. notes, problems: what the looking
    found. own_card: whether the dataset carries the card, which built-in annotations need not. way: to split, where
    there are several published ones. link: files that need no change are linked, not written.
    """

    name: str
    expected: Expected
    card: Annotation
    takes: Sequence[Take]
    templates: Mapping[str, np.ndarray] = field(default_factory=dict)
    fps: float | None = None
    scale: float | None = None
    known: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    own_card: bool = True
    way: str = ""
    link: bool = False


def write_corpus(corpus: Corpus, out: Path, progress: Progress | None = None) -> Imported:
    """Write the dataset folder `out`, in place of an earlier import of the same corpus.

    Raises DataError where no take can be used, and `out` is what it was then, or where it is another dataset.
    """
    with placed(out, "corpus", corpus.expected.corpus) as draft:
        _write(corpus, draft.folder, progress)
    return Imported(out, (*draft.notes, *corpus.notes), tuple(corpus.problems))


def _write(corpus: Corpus, out: Path, progress: Progress | None) -> None:
    """Write every file of the dataset, the manifest last."""
    for room in ("audio", "motion"):
        (out / room).mkdir()
    takes = _distinct(corpus)
    work, clips = _Work(corpus, out), []
    for done, take in enumerate(takes, 1):
        try:
            clips.append(work.clip(take))
        except UniTalkerError as fault:
            corpus.problems.append(f"{take.name} was left out: {fault}")
        if progress:
            progress(done, len(takes))
    if not clips:
        first = f" {corpus.problems[0]}" if corpus.problems else ""
        raise DataError(f"Nothing of {corpus.name} can be used, so no dataset was written.{first}")
    if work.links:
        corpus.notes.append(work.links.text())
    corpus.notes[:], corpus.problems[:] = map(spelt, corpus.notes), map(spelt, corpus.problems)
    _facts(corpus, out, clips)


def spelt(name: str) -> str:
    """A file's name as text that can be written: composed Unicode, and "?" for bytes that are no UTF-8."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())


def file_name(name: str) -> str:
    """A clip's id: letters, digits, `-`, `.` and `_` of a name, composed Unicode; of a long one the end is a hash."""
    plain = "".join(c if c.isalnum() or c in "-._" else "_" for c in spelt(name)).lstrip(".") or "_"
    if len(plain.encode()) <= LONGEST_ID:
        return plain
    start = plain.encode()[: LONGEST_ID - 13].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(plain.encode()).hexdigest()[:12]}"


def same_name(name: str) -> str:
    """What two names share that are one for a person or a file system: case and Unicode form set aside."""
    return spelt(name).casefold()


def _distinct(corpus: Corpus) -> list[Take]:
    """The takes without those whose subject or clip would be mistaken for another one."""
    subjects: dict[str, str] = {}
    ids: dict[str, Take] = {}
    kept = []
    for take in corpus.takes:
        who = subjects.setdefault(same_name(take.subject), take.subject)
        first = ids.setdefault(same_name(file_name(take.name)), take)
        if who != take.subject:
            corpus.problems.append(
                f"{take.name} was left out: its subject {take.subject!r} and {who!r} have one name; rename one."
            )
        elif first is not take:
            corpus.problems.append(
                f"{take.name} was left out: it and {first.name} would be one clip; rename one."
            )
        else:
            kept.append(take)
    return kept


class _Work:
    """The writing of clips."""

    def __init__(self, corpus: Corpus, out: Path) -> None:
        self.corpus, self.out = corpus, out
        self.fps = corpus.fps or corpus.expected.fps
        self.width = len(corpus.card.names)
        self.links = Links(out) if corpus.link else None

    def clip(self, take: Take) -> Clip:
        """Write a take's files. Raises a UniTalkerError that says why it cannot be used, and leaves no file."""
        frames, name = take.motion(), file_name(take.name)
        files = {"audio": f"audio/{name}.flac", "motion": f"motion/{name}.npy"}
        notes: list[str] = [*frames.notes]
        try:
            files["audio"], samples, heard = self._sound(take, frames.count, name)
            count = self._agreed(take, frames.count, heard, notes)
            files["motion"] = self._motion(frames, count, name)
        except BaseException:
            for file in files.values():
                (self.out / file).unlink(missing_ok=True)
            raise
        self.corpus.notes += [f"{take.name}: {note}" for note in notes]
        facts = {key: getattr(take, key) for key in ("subject", "split", "text", "language", "words")}
        seconds = round(samples / SAMPLE_RATE, 6)
        told = spelt(" ".join([take.about, *notes] if take.about else notes))
        return Clip(name, seconds=seconds, notes=told, **files, **facts)

    def _agreed(self, take: Take, frames: int, heard: int, notes: list[str]) -> int:
        """Frames that have sound. Raises DataError where motion and sound do not belong together."""
        over = frames / self.fps - heard / SAMPLE_RATE
        if over > BROKEN_SECONDS and not take.apart:
            raise DataError(
                f"its motion lasts {frames / self.fps:.2f} s, its sound only {heard / SAMPLE_RATE:.2f} s; "
                "one of the files is not whole, or they are not of one take."
            )
        if over > AGREE_SECONDS:
            notes.append(f"the motion is {over:.2f} s longer than the sound; its end was cut.")
            frames = min(frames, round(heard / SAMPLE_RATE * self.fps))
        elif over < -AGREE_SECONDS:
            notes.append(f"the sound is {-over:.2f} s longer than the motion; its end was cut.")
        if frames < SHORTEST:
            raise DataError(f"it has {frames} frames with sound; at least {SHORTEST} are needed.")
        return frames

    def _sound(self, take: Take, frames: int, name: str) -> tuple[str, int, int]:
        """Write 16 kHz FLAC as long as the motion, or link a file that is. Gives its name, the samples written, and those
        that there were."""
        import soundfile

        goal, slack = round(frames / self.fps * SAMPLE_RATE), round(AGREE_SECONDS * SAMPLE_RATE)
        whole = not take.start and take.stop is None
        if self.links and whole and (linked := self.links.sound(take.sound, goal, slack, name)):
            return linked
        written, heard, path = 0, 0, self.out / f"audio/{name}.flac"
        tail = np.zeros(0, np.float32)
        with atomic(path, DataError) as draft:
            with soundfile.SoundFile(draft, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as file:
                for block in _blocks(take):
                    fits = block[: max(0, goal - written)]
                    file.write(_integers(fits))
                    tail = np.concatenate([tail, block[len(fits) :][: slack + 1]])[: slack + 1]
                    written, heard = written + len(fits), heard + len(block)
                if len(tail) <= slack:
                    file.write(_integers(tail))
                    written += len(tail)
            if not heard:
                raise DataError(f"its sound is empty from {take.start:.2f} s on.")
        return f"audio/{name}.flac", written, heard

    def _motion(self, frames: Frames, count: int, name: str) -> str:
        """Write `count` frames as float32, or link the file that holds them. Gives its name."""
        if self.links and frames.file and count == frames.count:
            for _ in self._checked(frames, count):
                pass
            return self.links.motion(frames, name)
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, self.width)}
        path = self.out / f"motion/{name}.npy"
        with atomic(path, DataError) as draft, draft.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in self._checked(frames, count):
                file.write(block.data)
        return f"motion/{name}.npy"

    def _checked(self, frames: Frames, count: int) -> Iterator[np.ndarray]:
        """The first `count` frames in blocks. Raises DataError for too few, another width, and no finite numbers."""
        left = count
        for block in frames.blocks():
            block = np.ascontiguousarray(block[:left], "<f4")
            if block.shape[1:] != (self.width,):
                raise DataError(f"its motion has {block.shape[1]} numbers a frame, not {self.width}.")
            if not np.isfinite(block.sum()) and not np.isfinite(block).all():
                bad = count - left + int(np.flatnonzero(~np.isfinite(block).all(1))[0])
                raise DataError(f"its motion holds NaN or infinite numbers, the first in frame {bad}.")
            yield block
            left -= len(block)
            if not left:
                return
        raise DataError(f"its motion has {count - left} frames where {count} were told.")


def _blocks(take: Take) -> Iterator[np.ndarray]:
    """Samples of a take's sound from its start to its stop."""
    if isinstance(take.sound, Path):
        if not take.sound.is_file():
            raise DataError(f"there is no file {take.sound}.")
        yield from stream(take.sound, start=take.start or None, end=take.stop)
    else:
        stop = None if take.stop is None else round(take.stop * SAMPLE_RATE)
        yield take.sound()[round(take.start * SAMPLE_RATE) : stop]


def _integers(samples: np.ndarray) -> np.ndarray:
    """Floats as 16 bit, full scale 32768."""
    return np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)


def _facts(corpus: Corpus, out: Path, clips: Sequence[Clip]) -> None:
    """Write templates, card and, last, the manifest."""
    expected, scale = corpus.expected, corpus.expected.scale if corpus.scale is None else corpus.scale
    subjects = tuple(dict.fromkeys(c.subject for c in clips))
    templates = {s: np.asarray(corpus.templates[s], np.float32) for s in subjects if s in corpus.templates}
    if templates:
        with atomic(out / "templates.npz", DataError) as draft:
            np.savez(draft, allow_pickle=False, **templates)
    if corpus.own_card:
        neutral = {f"{corpus.name}/{s}": vertices * np.float32(scale) for s, vertices in templates.items()}
        save_card(replace(corpus.card, templates=neutral or corpus.card.templates), out / "annotations")
    told = {"corpus": expected.corpus, "way": corpus.way, "notes": corpus.notes, "problems": corpus.problems}
    write_manifest(
        Dataset(
            out,
            corpus.name,
            corpus.card.name,
            corpus.fps or expected.fps,
            corpus.card.unit,
            corpus.card.names,
            subjects,
            tuple(clips),
            known=corpus.known,
            scale=scale,
            templates="templates.npz" if templates else None,
            licence=expected.licence,
            source=expected.source,
            extra=told,
        )
    )
