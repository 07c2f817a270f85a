"""Answers of a study → how often each system was preferred, with exact binomial intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unitalker.errors import DataError
from unitalker.evaluation.study.build import KEY
from unitalker.evaluation.study.clips import QUESTIONS, SIDES, side_of_a

LARGEST = 10_000_000
"""Bytes of a file of answers or of a key."""
SURE = 0.95


@dataclass(frozen=True)
class Preference:
    """How often A was preferred in one question. low, high: the exact (Clopper–Pearson) 95 % interval of the rate;
    p: of a two-sided binomial test against one half."""

    question: str
    preferred: int
    answers: int
    rate: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Score:
    """A study's outcome. a, b: names of the systems. raters: people who answered; missing: questions that they left out."""

    study: str
    a: str
    b: str
    raters: int
    preferences: tuple[Preference, ...]
    missing: int = 0

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dictionary."""
        return {"format": "unitalker.preferences", "version": 1} | asdict(self)

    def table(self) -> str:
        """Markdown: a line a question, as the paper's Tab. 3."""
        lines = [
            f"{self.a} against {self.b}: {self.raters} {'person' if self.raters == 1 else 'people'}",
            "",
            f"| question | {self.a} preferred | of | rate | 95 % interval | p (no difference) |",
            "|---|---|---|---|---|---|",
        ]
        for one in self.preferences:
            interval = f"{100 * one.low:.1f} … {100 * one.high:.1f} %"
            lines.append(
                f"| {one.question} | {one.preferred} | {one.answers} | {100 * one.rate:.1f} % | {interval} | {one.p:.2g} |"
            )
        if self.missing:
            lines += ["", f"{self.missing} questions were left out by those who answered."]
        return "\n".join(lines)


def preference(question: str, preferred: int, answers: int) -> Preference:
    """The rate preferred / answers with its exact interval (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest

    test = binomtest(preferred, answers)
    interval = test.proportion_ci(SURE, "exact")
    return Preference(
        question,
        preferred,
        answers,
        preferred / answers,
        float(interval.low),
        float(interval.high),
        float(test.pvalue),
    )


def score(paths: Sequence[Path], key: Path | None = None) -> list[Score]:
    """The outcome of each study that the files of answers belong to.

    key: the study's `study.json`, which has the systems' names; without it they are looked for beside the answers, and
    else called A and B: which side showed A follows from the seed. Raises DataError for a file that is no answers, an
    answer that the study has no place for, and for one person's answers given twice.
    """
    given: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        one = _answers(path)
        given.setdefault(one["study"], []).append(one | {"path": path})
    keys = _keys([key] if key else sorted({p.parent / KEY for p in paths}), required=key is not None)
    if key and (strange := set(given) - set(keys)):
        raise DataError(
            f"{key} is not the key of the answers to the study {sorted(strange)[0]}; give that one's."
        )
    return [_scored(study, answers, keys.get(study, {})) for study, answers in sorted(given.items())]


def _scored(study: str, sheets: Sequence[Mapping[str, Any]], key: Mapping[str, Any]) -> Score:
    seen: dict[str, Path] = {}
    counts, due = {name: [0, 0] for name in QUESTIONS}, 0
    for sheet in sheets:
        if (path := seen.get(sheet["rater"])) is not None:
            raise DataError(
                f"{path} and {sheet['path']} hold the answers of one person to one study; give one of them."
            )
        seen[sheet["rater"]] = sheet["path"]
        places = _places(sheet, key)
        due += len(places) * len(QUESTIONS)
        for question, a_preferred in _judgements(sheet, places):
            counts[question][0] += a_preferred
            counts[question][1] += 1
    found = tuple(preference(name, n, of) for name, (n, of) in counts.items() if of)
    if not found:
        raise DataError(f"The answers to the study {study} are empty.")
    missing = due - sum(one.answers for one in found)
    return Score(study, str(key.get("a", "A")), str(key.get("b", "B")), len(seen), found, missing)


def _places(sheet: Mapping[str, Any], key: Mapping[str, Any]) -> dict[str, str]:
    """Clip → the side that shows A: as the key says, without one as the sheet's seed does. Raises DataError for a sheet that
    another page than the key's has saved."""
    if not key:
        drawn = side_of_a(sheet["seed"], sheet["drawn_among"])
        return {clip: drawn[clip] for clip in sheet.get("clips", drawn) if clip in drawn}
    for name in ("seed", "drawn_among"):
        if sheet[name] != key[name]:
            raise DataError(
                f"{sheet['path']}: its {name} is not that of the study's key, so its sides are not known; it was changed, or "
                "another page saved it."
            )
    return {clip: key["a_is"][clip] for clip in key["clips"]}


def _judgements(sheet: Mapping[str, Any], where: Mapping[str, str]) -> list[tuple[str, bool]]:
    """(question, whether A was preferred) of every answer of one person. where: clip → the side that showed A."""
    out, had = [], set()
    for answer in sheet["answers"]:
        clip, question, side = (answer.get(k) for k in ("clip", "question", "side"))
        if clip not in where or question not in QUESTIONS or side not in SIDES:
            raise DataError(
                f"{sheet['path']}: an answer {answer} has no place in the study; it needs one of its clips, a question of "
                f"{', '.join(QUESTIONS)}, and left or right."
            )
        if (clip, question) in had:
            raise DataError(f"{sheet['path']}: {clip} has two answers to {question!r}; a person gives one.")
        had.add((clip, question))
        out.append((question, where[clip] == side))
    return out


def _answers(path: Path) -> dict[str, Any]:
    data = _json(path)
    good = (
        data.get("format") == "unitalker.answers"
        and isinstance(data.get("study"), str)
        and isinstance(data.get("rater"), str)
        and type(data.get("seed")) is int
        and _are(data.get("drawn_among"), str)
        and _are(data.get("clips", []), str)
        and _are(data.get("answers"), dict)
    )
    if not good:
        raise DataError(f"{path} is not a file of answers as the page of a study saves it.")
    return data


def _are(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(v, kind) for v in values)


def _keys(paths: Sequence[Path], required: bool) -> dict[str, dict[str, Any]]:
    """Study → its key, of the files that are there."""
    found = {}
    for path in paths:
        if not required and not path.is_file():
            continue
        data = _json(path)
        if data.get("format") != "unitalker.study" or not _whole(data):
            raise DataError(f"{path} is not the key of a study, which `study build` writes as {KEY}.")
        found[str(data.get("study"))] = data
    return found


def _whole(key: Mapping[str, Any]) -> bool:
    """Whether a key has all that counting needs."""
    sides, clips = key.get("a_is"), key.get("clips")
    named = all(isinstance(key.get(name), str) for name in ("study", "a", "b"))
    placed = isinstance(sides, dict) and _are(clips, str) and all(sides.get(c) in SIDES for c in clips or ())
    return named and placed and type(key.get("seed")) is int and _are(key.get("drawn_among"), str)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path} is larger than {LARGEST // 1_000_000} MB; that is no file of a study.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as fault:
        raise DataError(f"{path} is not valid JSON: {fault}.") from None
    if not isinstance(data, dict):
        raise DataError(f"{path} holds no JSON object.")
    return data
