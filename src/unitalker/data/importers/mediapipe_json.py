"""Scores of MediaPipe's face landmarker, as JSON or npz with the sound or film of the same name → arkit52.

Its 52 categories are `_neutral`, which is no weight, and 51 of ARKit's names; `tongueOut` is not among them and is kept out
of losses. Frames stand where their time stamps say. Scores are kept as they are, unless the resting face is to be taken
away: MediaPipe sees a little of many shapes in any face that rests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unitalker.annotations.layouts import layout
from unitalker.audio import probe
from unitalker.data.importers.corpus import Corpus, Imported, Options, Progress, Take, write_corpus
from unitalker.data.importers.expected import Expected
from unitalker.data.importers.mediapipe_files import NoScores, Tracked, examine, rows_of
from unitalker.data.importers.neutral import without_rest
from unitalker.data.importers.rows import Frames
from unitalker.data.importers.shelf import Shelf, look, split_of, subject_of
from unitalker.data.importers.stamped import Stamped, on_clock
from unitalker.data.importers.weights import Range, arkit52, checked_rate, known_note, spread, usual_rate
from unitalker.data.views_resample import FILTER
from unitalker.errors import DataError, UniTalkerError

NAMES = layout("arkit52").names
FACTS = Expected(
    "mediapipe", "arkit52", "weight", 30.0, len(NAMES), source="MediaPipe face landmarker scores"
)


@dataclass(frozen=True)
class Found:
    """A file of scores and its sound, which lasts `seconds` if it says so."""

    name: str
    tracked: Tracked
    sound: Path
    seconds: float | None


@dataclass(frozen=True)
class How:
    """What is done with all takes. neutral: take the resting face away. watch: of the weights' range."""

    fps: float
    neutral: bool
    watch: Callable[[Frames], Frames]


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out` from the scores under `source`. Raises DataError where none can be used."""
    shelf = look(source, (".json", ".npz"))
    problems, notes = [*shelf.problems], []
    found = list(_found(shelf, checked_rate(options.fps), problems, notes))
    if not found:
        raise DataError(
            problems[0] if problems else f"{source} holds no scores of MediaPipe's face landmarker."
        )
    fps = options.fps or usual_rate((one.tracked.rate, one.tracked.rows) for one in found)
    known = tuple(n for n in NAMES if all(n in one.tracked.names for one in found))
    corpus = Corpus(out.name, FACTS, arkit52(fps), (), fps=fps)
    corpus.known, corpus.own_card, corpus.problems = known, False, problems
    neutral = bool(options.neutral)
    corpus.notes = [
        "",
        f"Files: {len(found)}, all at {fps:g} frames a second here; filter: {FILTER}.",
        "Resting faces were taken away, clip by clip: the median of the silent frames; what is below 0 then is 0."
        if neutral
        else "Weights are as tracked, with the resting face in them; --neutral takes it away.",
        *known_note(known, NAMES),
        *notes,
        *shelf.alone(),
    ]
    how = How(fps, neutral, partial(Range().watch, notes=corpus.notes, place=0))
    split = split_of({one.name: subject_of(one.name) for one in found})
    takes: list[Take] = []
    for one in found:
        own = _stamped(one, split[one.name], how).takes(fps)
        takes += own
        if not own:
            problems.append(f"{one.name} was left out: none of its frames stands within the sound.")
    corpus.takes = takes
    return [write_corpus(corpus, out, progress)]


def _found(shelf: Shelf, fps: float | None, problems: list[str], notes: list[str]) -> Iterator[Found]:
    """The files that can be read, with their sounds; all else is told."""
    for name, path in shelf.motion.items():
        try:
            tracked = examine(path, NAMES, fps)
            sound = shelf.sound_of(name, _stems(name))
            if sound is None:
                raise DataError(f"{path.name} has no sound or film of its name; the voice is needed.")
            seconds = probe(sound).seconds
        except NoScores:
            notes.append(
                f"{path.relative_to(shelf.root)} holds no scores of MediaPipe, so it was not looked at."
            )
        except UniTalkerError as fault:
            shelf.claim(name)
            problems.append(f"{name} was left out: {fault}")
        else:
            yield Found(name, tracked, sound, seconds)


def _stems(name: str) -> tuple[str, ...]:
    """The stem without what tools append to it."""
    stem = name.rpartition("/")[2]
    for end in ("_blendshapes", "_blendshape", "_mediapipe", "_landmarks", "_face", "_arkit"):
        if stem.lower().endswith(end):
            return (stem[: -len(end)],)
    return ()


def _stamped(found: Found, split: str, how: How) -> Stamped:
    """The file as pieces on the clock of its sound."""
    tracked, fps = found.tracked, how.fps

    def motion(number: int) -> Frames:
        piece = tracked.pieces[number]
        table, times = rows_of(tracked, piece)
        frames = spread(on_clock(table, times, piece, fps), tracked.names, NAMES)
        if how.neutral:
            frames = without_rest(frames, found.sound, piece.ticks(fps)[0] / fps, fps)
        return how.watch(frames)

    subject = subject_of(found.name)
    return Stamped(
        found.name, subject, split, found.sound, found.seconds, tracked.pieces, motion, tracked.notes
    )
