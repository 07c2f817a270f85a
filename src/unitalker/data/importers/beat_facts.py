"""What BEAT holds: speakers, languages, emotions, and the split of its authors."""

from __future__ import annotations

import re
from dataclasses import dataclass

from unitalker.data.importers.corpus import UNUSED
from unitalker.data.importers.expected import Expected

NAMES = (
    *("wayne", "scott", "solomon", "lawrence", "stewart", "carla", "sophie", "catherine", "miranda", "kieks"),
    *("nidal", "zhao", "lu", "zhang", "carlos", "jorge", "itoi", "daiki", "jaime", "li"),
    *("ayana", "luqi", "hailing", "kexin", "goto", "reamey", "yingqing", "tiffnay", "hanieh", "katya"),
)
SPEAKERS = tuple(f"{number}_{name}" for number, name in enumerate(NAMES, 1))
FOUR_HOURS = (1, 2, 3, 4, 6, 7, 8, 9, 11, 21)
"""Numbers of the speakers with four hours; the others have one."""
LANGUAGES = ("en", "zh", "es", "ja")
"""By the kind of recording: 0 and 1 English speech and conversation, 2 and 3 Chinese, and so on."""
EMOTIONS = {
    64: "neutral",
    72: "happiness",
    80: "anger",
    86: "sadness",
    94: "contempt",
    102: "surprise",
    110: "fear",
    118: "disgust",
}
"""Last number of speech → emotion; conversation is neutral."""
SPEECH_TEST = (*range(1, 9), 65, 73, 81, 87, 95, 103, 111)
SPEECH_VAL = (*range(57, 65), 72, 80, 86, 94, 102, 110, 118)
SHORT_TEST, SHORT_VAL = (1, 2, 3, 4), (5, 6, 7, 8)
SHORT_TRAIN = (*range(9, 17), 66, 74, 82, 88, 96, 104, 112, 118)
SHORT_HALVED = (65, 73, 81, 87, 95, 103, 111)
HALVES = {0: 30.0, 1: 300.0}
"""Where the one-hour speakers' halved sequences are cut, in seconds, by the kind of recording: the first half is test, the
second val."""
ABSENT = (*(f"9_miranda_0_{n}_{n}" for n in range(2, 9)), *(f"21_ayana_0_{n}_{n}" for n in range(1, 9)))
CHANNELS = 51
EXPECTED = Expected(
    corpus="beat",
    annotation="arkit52",
    unit="weight",
    fps=60.0,
    width=CHANNELS + 1,
    subjects=SPEAKERS,
    clips={"train": 1342, "val": 400, "test": 400 - len(ABSENT)},
    missing=ABSENT,
    hours=60.0,
    licence="BEAT: research only, see github.com/PantoMatrix/PantoMatrix",
    source="BEAT (Body-Expression-Audio-Text), face and sound",
)
"""Sequences and hours of the English part, by the authors' rule; their table has 60 h of it, and 16 of other languages."""
TAKE = re.compile(r"(?P<speaker>(?P<id>[0-9]+)_.+)_(?P<kind>[0-7])_(?P<start>[0-9]+)_(?P<end>[0-9]+|[ab])")


@dataclass(frozen=True)
class Name:
    """What a file's name says. id: the speaker's number. kind: 0 … 7. half: a or b of a sequence that its owner cut."""

    speaker: str
    id: int
    kind: int
    start: int
    end: int
    half: str = ""

    @property
    def language(self) -> str:
        """Code of the language."""
        return LANGUAGES[self.kind // 2]

    @property
    def about(self) -> str:
        """The kind of recording and, where one is meant, the emotion."""
        if self.kind % 2:
            return "Conversation, neutral."
        felt = {next((e for last, e in EMOTIONS.items() if n <= last), "") for n in (self.start, self.end)}
        return f"Speech, {felt.pop()}." if len(felt) == 1 and "" not in felt else "Speech."

    @property
    def cut(self) -> float | None:
        """Seconds at which the sequence is halved by the authors' rule, None for most."""
        halved = SHORT_HALVED if self.kind == 0 else (1,)
        short = self.kind in HALVES and self.id not in FOUR_HOURS and 1 <= self.id <= len(SPEAKERS)
        return HALVES[self.kind] if short and not self.half and self.start == self.end in halved else None


def parse(stem: str) -> Name | None:
    """What a file's name says, None for another name."""
    match = TAKE.fullmatch(stem)
    if match is None:
        return None
    half = match["end"] if match["end"] in "ab" else ""
    start = int(match["start"])
    end = start if half else int(match["end"])
    return Name(match["speaker"], int(match["id"]), int(match["kind"]), start, end, half)


def split_of(name: Name) -> str:
    """Split of a sequence by its authors' rule for English, which is taken for the other languages too.

    Speakers that the corpus does not have, and numbers that the rule leaves out, are `unused`. Recordings of several
    numbers, which were not cut yet, are of their numbers' split, and of train where these differ.
    """
    if not 1 <= name.id <= len(SPEAKERS) or name.end < name.start:
        return UNUSED
    if name.half:
        return "test" if name.half == "a" else "val"
    long = name.id in FOUR_HOURS or name.kind > 1
    rule = _long if long else _short
    found = {rule(name.kind % 2, number) for number in range(name.start, name.end + 1)[:200]}
    return found.pop() if len(found) == 1 else "train"


def _long(conversation: int, number: int) -> str:
    """Split of a sequence of a four-hour speaker."""
    if conversation:
        return {1: "test", 12: "val"}.get(number, "train" if 2 <= number <= 11 else UNUSED)
    if number in SPEECH_TEST or number in SPEECH_VAL:
        return "test" if number in SPEECH_TEST else "val"
    return "train" if 9 <= number <= 117 else UNUSED


def _short(conversation: int, number: int) -> str:
    """Split of a sequence of a one-hour speaker, of its first half where it is cut."""
    if conversation:
        return {1: "test", 0: "train", 2: "train", 3: "train", 4: "train"}.get(number, UNUSED)
    if number in SHORT_TEST or number in SHORT_HALVED:
        return "test"
    return "val" if number in SHORT_VAL else "train" if number in SHORT_TRAIN else UNUSED
