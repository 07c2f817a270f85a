"""Takes of Live Link Face: CSV files of timecodes and ARKit weights, with the film or a sound of the same take.

The app writes a folder a take, `20240131_MySlate_3/MySlate_3_iPhone.csv` with `.mov` beside it; after a calibration also
`_cal.csv`, `_raw.csv` and the one pose `_neutral.csv`. Any folder of CSV files with sounds of the same names will do. Times
come from the timecodes, never from counting rows. Columns are found by name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unitalker.annotations.layouts import layout
from unitalker.audio import probe
from unitalker.audio.timecode import CLOCK, began
from unitalker.data.importers.corpus import Corpus, Imported, Options, Progress, Take, write_corpus
from unitalker.data.importers.expected import Expected
from unitalker.data.importers.livelink_csv import NoTake, Recording, examine, rows_of
from unitalker.data.importers.rows import Frames
from unitalker.data.importers.shelf import Shelf, look, split_of, subject_of
from unitalker.data.importers.stamped import Stamped, on_clock
from unitalker.data.importers.weights import Range, arkit52, checked_rate, known_note, spread, usual_rate
from unitalker.data.views_resample import FILTER
from unitalker.errors import DataError, UniTalkerError

NAMES = layout("arkit52").names
FACTS = Expected("livelink", "arkit52", "weight", 60.0, len(NAMES), source="Live Link Face takes")
FORMS = ("_cal", "", "_raw")
"""Ends of the names of a take's files: calibrated by the performer's resting face, as it is, and as tracked."""
NEUTRAL = "_neutral"
DAY = 24 * 3600.0

Watch = Callable[[Frames], Frames]


@dataclass(frozen=True)
class Found:
    """A take. offset: seconds of the sound before the first row of the file. seconds: of the sound, None if it does not
    say. told: how the two were aligned."""

    name: str
    subject: str
    sound: Path
    recording: Recording
    offset: float
    seconds: float | None
    told: str


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out` from the takes under `source`. Raises DataError where none can be used."""
    shelf = look(source, (".csv",))
    problems, notes = [*shelf.problems], []
    found = list(_takes(shelf, problems, notes))
    if not found:
        raise DataError(
            problems[0]
            if problems
            else f"{source} holds no CSV file of Live Link Face (Timecode,BlendShapeCount,…)."
        )
    fps = checked_rate(options.fps) or usual_rate((one.recording.rate, one.recording.rows) for one in found)
    known = tuple(n for n in NAMES if all(n in one.recording.names for one in found))
    split = split_of({one.name: one.subject for one in found})
    corpus = Corpus(out.name, FACTS, arkit52(fps), (), fps=fps)
    corpus.known = known if len(known) < len(NAMES) else None
    corpus.own_card, corpus.problems = False, problems
    rates = Counter(f"{one.recording.rate:.5g}" for one in found)
    told = ", ".join(f"{count} at {rate}" for rate, count in sorted(rates.items()))
    corpus.notes = [
        "",
        f"Takes: {len(found)} ({told} frames a second by their timecodes), all at {fps:g} here; filter: {FILTER}.",
        "Angles of head and eyes are no part of arkit52 and were left out.",
        *known_note(known, NAMES),
        *notes,
        *shelf.alone(),
    ]
    watch = partial(Range().watch, notes=corpus.notes, place=0)
    takes: list[Take] = []
    for one in found:
        own = _stamped(one, split[one.name], fps, watch).takes(fps)
        takes += own
        if not own:
            problems.append(f"{one.name} was left out: none of its rows stands within the sound.")
    corpus.takes = takes
    return [write_corpus(corpus, out, progress)]


def _takes(shelf: Shelf, problems: list[str], notes: list[str]) -> Iterator[Found]:
    """The takes whose times can be read; all else is told."""
    for name, path in _chosen(shelf, notes).items():
        try:
            recording = examine(path, NAMES)
            sound = shelf.sound_of(name, _stems(name)) or _only_sound(shelf, path)
            if sound is None:
                raise DataError(f"{path.name} has no film or sound of its name; the voice is needed.")
            offset, seconds, told = _aligned(recording, sound)
        except NoTake:
            notes.append(
                f"{path.relative_to(shelf.root)} is no take of Live Link Face, so it was not looked at."
            )
        except UniTalkerError as fault:
            shelf.claim(name)
            problems.append(f"{name} was left out: {fault}")
        else:
            yield Found(_short(name), _subject(name), sound, recording, offset, seconds, told)


def _chosen(shelf: Shelf, notes: list[str]) -> dict[str, Path]:
    """Take → the best of its files."""
    forms: dict[str, dict[str, Path]] = {}
    for name, path in shelf.motion.items():
        end = next((e for e in (*FORMS, NEUTRAL) if e and name.lower().endswith(e)), "")
        forms.setdefault(name[: len(name) - len(end)], {})[end] = path
    chosen = {}
    for name, files in forms.items():
        kept = next((end for end in FORMS if end in files), None)
        if kept is None:
            notes.append(f"{files[NEUTRAL].name} is a resting face without a take.")
            continue
        chosen[name] = files[kept]
        others = [files[end].name for end in FORMS if end in files and end != kept]
        if others:
            notes.append(f"{name}: {files[kept].name} was used, not {', '.join(others)}.")
    return chosen


def _stems(name: str) -> tuple[str, ...]:
    """Other stems of a take's sound: without the device, and of the forms."""
    stem = name.rpartition("/")[2]
    bare = re.sub(r"(?<=_\d)_[^_]+$|(?<=_\d\d)_[^_]+$|(?<=_\d\d\d)_[^_]+$", "", stem)
    return tuple(dict.fromkeys([*(stem + end for end in FORMS if end), bare]))


def _only_sound(shelf: Shelf, path: Path) -> Path | None:
    """The one sound in the folder of the one take in it."""
    sounds = [p for p in shelf.sound.values() if p.parent == path.parent]
    bases = {re.sub(r"_(cal|raw|neutral)$", "", p.stem, flags=re.I) for p in path.parent.glob("*.csv")}
    if len(sounds) != 1 or len(bases) != 1:
        return None
    shelf.used.add(sounds[0])
    return sounds[0]


def _own_folder(folder: str, stem: str) -> bool:
    """Whether the app made the folder for this take alone, `20240131_MySlate_3` for `MySlate_3_iPhone`."""
    bare = re.sub(r"^\d{8}_", "", folder)
    return folder == stem or (re.search(r"_\d+$", bare) is not None and (stem + "_").startswith(bare + "_"))


def _short(name: str) -> str:
    """The name without a folder that repeats it."""
    *folders, stem = name.split("/")
    return "/".join([*(folders[:-1] if folders[-1:] == [stem] else folders), stem])


def _subject(name: str) -> str:
    """Whose take it is: the outermost folder that is not the take's own."""
    *folders, stem = name.split("/")
    return subject_of("/".join([*(f for f in folders if not _own_folder(f, stem)), stem]))


def _aligned(recording: Recording, sound: Path) -> tuple[float, float | None, str]:
    """Seconds of the sound before the motion (below 0: after its start), the sound's length, and how that is known."""
    seconds, start = probe(sound).seconds, began(sound)
    if start is None:
        return 0.0, seconds, ""
    offset = (recording.began - start.seconds + DAY / 2) % DAY - DAY / 2
    if abs(offset) <= max(start.grain, 1 / CLOCK):
        return 0.0, seconds, ""
    if (seconds is not None and offset > seconds) or offset + recording.pieces[-1].end < 0:
        return (
            0.0,
            seconds,
            f"{start.told} does not meet the rows' ({offset:+.2f} s): aligned at their starts.",
        )
    when = "before" if offset > 0 else "after"
    return (
        offset,
        seconds,
        f"by {start.told} the sound begins {abs(offset):.3f} s {when} the motion; aligned so.",
    )


def _stamped(found: Found, split: str, fps: float, watch: Watch) -> Stamped:
    """The take as pieces on the clock of its sound."""
    recording = found.recording
    spans = tuple(piece.moved(found.offset) for piece in recording.pieces)

    def motion(number: int) -> Frames:
        table, times = rows_of(recording, recording.pieces[number])
        frames = on_clock(table, times + found.offset, spans[number], fps)
        return watch(spread(frames, recording.names, NAMES))

    notes = (*recording.notes, *filter(None, [found.told]))
    return Stamped(
        found.name, found.subject, split, found.sound, found.seconds, spans, motion, notes, apart=True
    )
