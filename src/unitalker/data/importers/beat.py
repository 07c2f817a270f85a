"""BEAT: ARKit weights of 30 speakers at 60 fps, with sound, words, language and emotion.

Each sequence is a .json of weights and a sound of the same name, such as 1_wayne_0_9_9 (speaker, kind of recording, first
and last number), in folders by speaker or any others. Weights are put by their names into arkit52; tongueOut is not
captured. The authors say themselves that sound and face do not run in step throughout: measure before training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from unitalker.annotations.layouts import layout
from unitalker.data.importers import weights
from unitalker.data.importers.beat_facts import EXPECTED, Name, parse, split_of
from unitalker.data.importers.beat_json import Stretch, look, stretch_frames, stretches
from unitalker.data.importers.corpus import (
    UNUSED,
    Corpus,
    Imported,
    Options,
    Progress,
    Take,
    spelt,
    write_corpus,
)
from unitalker.data.importers.folder_files import SOUND
from unitalker.data.importers.rows import Frames
from unitalker.data.importers.textgrid import Word, read_words, words_within
from unitalker.errors import DataError
from unitalker.motion import by_name

NAMES = layout("arkit52").names
CAPTURED = tuple(name for name in NAMES if name != "tongueOut")
STEP = (
    "Face and sound of this corpus do not run in step throughout, and the offset differs from file to file: run "
    "`unitalker data doctor` on the dataset, and `--write` a curated one to train on."
)


def run(source: Path, out: Path, options: Options, progress: Progress | None = None) -> list[Imported]:
    """Write the dataset `out` from all .json and sound files of one name below `source`.

    Raises DataError where there are none, or none that can be used.
    """
    faces, sounds, grids = _files(source)
    named = {stem: name for stem in {*faces, *sounds} if (name := parse(stem)) is not None}
    if not {*named} & {*faces}:
        raise DataError(
            f"{source} holds no face files of this corpus: .json files called as 1_wayne_0_9_9.json, beside sound of the "
            "same name."
        )
    card = weights.arkit52(EXPECTED.fps)
    corpus = Corpus(out.name, EXPECTED, card, (), known=CAPTURED, own_card=False)
    corpus.problems += _alone(faces, sounds, named)
    takes: list[Take] = []
    stems = sorted({*named} & {*faces} & {*sounds})
    for done, stem in enumerate(stems, 1):
        try:
            takes += _takes(named[stem], stem, faces[stem], sounds[stem], grids.get(stem), corpus)
        except DataError as fault:
            corpus.problems.append(f"{stem} was left out: {fault}")
        if progress:
            progress(done, len(stems))
    corpus.takes = takes
    _count(corpus)
    corpus.notes.append(STEP)
    return [write_corpus(corpus, out, progress)]


def _files(source: Path) -> tuple[dict[str, Path], dict[str, Path], dict[str, Path]]:
    """Stem → face, sound and TextGrid, anywhere below a folder; sound beside the face comes before other sound."""
    found: dict[str, dict[str, Path]] = {"face": {}, "sound": {}, "grid": {}}
    kinds = {".json": "face", ".textgrid": "grid"} | dict.fromkeys(SOUND, "sound")
    if not source.is_dir():
        raise DataError(f"There is no folder {source}.")
    for path in sorted(source.rglob("*")):
        kind = kinds.get(path.suffix.lower())
        if kind and path.is_file() and not path.name.startswith("."):
            found[kind].setdefault(spelt(path.stem), path)
    for stem, face in found["face"].items():
        beside = next((p for suffix in SOUND if (p := face.with_suffix(suffix)).is_file()), None)
        if beside is not None:
            found["sound"][stem] = beside
    return found["face"], found["sound"], found["grid"]


def _alone(faces: dict[str, Path], sounds: dict[str, Path], named: dict[str, Name]) -> Iterator[str]:
    """A sentence for each file that cannot be used by itself."""
    for stem, path in sorted(faces.items()):
        if stem not in named:
            yield f"{path.name} was left out: sequences are called as 1_wayne_0_9_9."
        elif stem not in sounds:
            yield f"{stem} was left out: {path} has no sound of the same name."
    for stem in sorted({*sounds} & {*named} - {*faces}):
        yield f"{stem} was left out: {sounds[stem]} has no face {stem}.json."


def _takes(
    name: Name, stem: str, face: Path, sound: Path, grid: Path | None, corpus: Corpus
) -> Iterator[Take]:
    """The takes of a sequence: one, or one for each stretch between long gaps and each half."""
    file = look(face, CAPTURED)
    parts = stretches(file.times, EXPECTED.fps, name.cut)
    if not parts:
        raise DataError(f"{face} has no two neighbouring frames.")
    words = _words(grid, stem, corpus)
    gaps = len(parts) - 1 - (name.cut is not None and _is_cut(parts, name.cut))
    if gaps:
        corpus.notes.append(
            f"{stem}: frames are missing for more than 0.2 s, so it became {len(parts)} clips."
        )
    for place, part in enumerate(parts):
        second = name.cut is not None and part.first >= round(name.cut * EXPECTED.fps)
        start = part.first / EXPECTED.fps
        stop = (part.last + 1) / EXPECTED.fps if place + 1 < len(parts) else None
        frames = stretch_frames(file, part, EXPECTED.fps, file.notes if not place else ())
        yield Take(
            _name(name, stem, second, place if gaps else None),
            name.speaker,
            "val" if second else split_of(name),
            sound,
            partial(_named, frames),
            start=start,
            stop=stop,
            text=" ".join(word for *_, word in words_within(words, start, stop)),
            language=name.language,
            words=words_within(words, start, stop),
            about=name.about,
        )


def _is_cut(parts: list[Stretch], cut: float) -> bool:
    return any(part.first == round(cut * EXPECTED.fps) for part in parts[1:])


def _name(name: Name, stem: str, second: bool, place: int | None) -> str:
    """A clip's name; the halves of a sequence are called as the authors do, 5_stewart_0_65_a."""
    whole = stem if name.cut is None else f"{name.speaker}_{name.kind}_{name.start}_{'b' if second else 'a'}"
    return whole if place is None else f"{whole}_{place:02d}"


def _named(frames: Frames) -> Frames:
    """The frames in arkit52's order."""
    return Frames(
        frames.count, lambda: (by_name(block, CAPTURED, NAMES) for block in frames.blocks()), frames.notes
    )


def _words(grid: Path | None, stem: str, corpus: Corpus) -> tuple[Word, ...]:
    if grid is None:
        return ()
    try:
        return read_words(grid)
    except DataError as fault:
        corpus.notes.append(f"{stem}: its words were not taken over: {fault}")
        return ()


def _count(corpus: Corpus) -> None:
    """Tell how the splits compare with the published ones, and which speakers are unknown."""
    have = Counter(take.split for take in corpus.takes)
    parts = [f"{split} {have[split]} of {due}" for split, due in EXPECTED.clips.items()]
    corpus.notes.append(
        f"Sequences (published for English): {', '.join(parts)}; in no published split: {have[UNUSED]}."
    )
    others = Counter(take.language for take in corpus.takes if take.language != "en")
    if others:
        told = ", ".join(f"{count} {language}" for language, count in sorted(others.items()))
        corpus.notes.append(f"Of other languages, split by the rule for English: {told}.")
    strange = sorted({take.subject for take in corpus.takes} - set(EXPECTED.subjects))
    if strange:
        corpus.notes.append(f"Speakers that the corpus does not have: {', '.join(strange)}.")
