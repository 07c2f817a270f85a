"""What people prefer: the paper's Tab. 3, as pages to send to them, and their answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from unitalker.errors import DataError
from unitalker.evaluation.published import PUBLISHED
from unitalker.evaluation.study.build import KEY, Look, build, sounds
from unitalker.evaluation.study.score import Score, score
from unitalker.evaluation.study.sides import ModelSide
from unitalker.training.paper.compared import NONE, baseline, targets
from unitalker.training.paper.grid import Cell, Grid, Report
from unitalker.training.paper.lab import Lab
from unitalker.training.paper.tables import whole

RIVALS = {"FaceFormer": "faceformer", "CodeTalker": "codetalker", "SelfTalk": "selftalk"}
OURS = "UniTalker-L-[D0-D7]"


def table3(lab: Lab) -> Report:
    """The user study: a page for each of three models beside UniTalker, made of Tab. 2's runs; --answers counts."""
    report = Report("table3", PUBLISHED["table3"].title)
    name = next(iter(targets(lab)), None)
    if name is None:
        report.notes.append(NONE)
        return report
    if lab.wishes.audio is not None:
        sounds(lab.wishes.audio)
    ours = lab.model(whole(lab))
    rivals = {label: lab.model(baseline(lab, preset, name)) for label, preset in RIVALS.items()}
    if ours is None:
        return report
    annotation = lab.sets[name].dataset.annotation
    folder = lab.out / "table3"
    audio = lab.wishes.audio or _test_sounds(lab, name, folder / "audio")
    (seconds, size, most), fps = lab.scale.shown, lab.rate(name)
    clips = sounds(audio)[:most]
    for label, model in rivals.items():
        page = folder / label
        if model is not None and not _current(page, [ours, model], clips):
            lab.progress.say(f"study: UniTalker beside {label}, {len(clips)} clips …")
            pair = [ModelSide(str(one), annotation, None, None) for one in (ours, model)]
            pair[0].name, pair[1].name = OURS, label
            built = build(pair[0], pair[1], clips, page, look=Look(fps=fps, size=size, seconds=seconds))
            report.notes += [*built.notes, *built.problems]
        if (page / KEY).is_file():
            report.texts.append(
                f"- UniTalker beside {label}: [{label}/index.html](table3/{label}/index.html)"
            )
    report.grids.append(
        _answers(lab.wishes.answers, [key for label in RIVALS if (key := folder / label / KEY).is_file()])
    )
    report.notes += [
        f"Both sides show {name}'s face, as the pivot, with the sounds of {audio}. Send index.html to people, keep study.json; "
        "then run the command again with --answers FILES.",
        "Paper: 868 answers in all, percent of answers that preferred UniTalker, in brackets.",
    ]
    return report


def _current(page: Path, models: Sequence[Path], clips: Sequence[Path]) -> bool:
    """Whether a page is there that is of these models and clips."""
    key = page / KEY
    if not key.is_file():
        return False
    newest = max((model / "model.safetensors").stat().st_mtime for model in models)
    named = json.loads(key.read_text(encoding="utf-8")).get("drawn_among")
    return key.stat().st_mtime > newest and named == sorted(path.stem for path in clips)


def _test_sounds(lab: Lab, name: str, folder: Path) -> Path:
    """A folder of the test clips' sounds of all datasets, one from each in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, other in enumerate((name, *(n for n in lab.columns if n != name))):
        _, dataset = lab.measured(other)
        clip = next((c for c in dataset.clips if c.split in ("test", "val")), dataset.clips[0])
        source = dataset.recording(clip)
        if isinstance(source, Path):
            shutil.copyfile(source, folder / f"{number}-{other}-{clip.id}{source.suffix}")
    return folder


def _answers(files: Sequence[Path], keys: Sequence[Path]) -> Grid:
    """The paper's table, with the rates of the answers that there are."""
    known = PUBLISHED["table3"]
    grid = Grid("", known.columns, marked=())
    rates = rates_of(files, keys)
    for label in RIVALS:
        found = rates.get(label)
        cells = {}
        for question in known.columns:
            one = next((p for p in found.preferences if p.question == question), None) if found else None
            values = (round(100 * one.rate, 1),) if one else ()
            cells[question] = Cell(values, "%" if one else "", known.at(label, question))
        people = f", {found.raters} answering" if found else ""
        grid.rows[f"UniTalker beside {label}{people}"] = cells
    return grid


def rates_of(files: Sequence[Path], keys: Sequence[Path]) -> Mapping[str, Score]:
    """Rival → what the answers to its study say. Raises DataError for answers to another study."""
    if not files:
        return {}
    rivals = {}
    for path in keys:
        key = json.loads(path.read_text(encoding="utf-8"))
        rivals[key["study"]] = key["b"]
    found = {}
    for one in score(files):
        if one.study not in rivals:
            raise DataError(
                f"Some answers are to the study {one.study}, which is none of these: {', '.join(map(str, keys))}."
            )
        found[rivals[one.study]] = one
    return found
