"""`unitalker study`: which of two systems do people prefer?"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unitalker.cli.progress import bar

BUILD_EXAMPLES = """Examples:
  unitalker study build mini runs/mine --audio sounds/ -o study/
  unitalker study build mini films-of-another-tool/ --audio sounds/ \\
      --annotation-a arkit52 -o study/

Send index.html to the people, keep study.json: it tells which side is which."""
SCORE_EXAMPLES = """Examples:
  unitalker study score answers.json --key study/study.json
  unitalker study score answers/*.json --key study/study.json \\
      --json preferences.json"""

SYSTEM = Parameter(
    help="A model's name or folder; or a folder with a film (.mp4) or motion (.npz, .json, .csv) for each sound, by name."
)
AUDIO = Parameter(help="Folder of sound files; each becomes a clip.")
OUTPUT = Parameter(name=("--output", "-o"), help="Folder for index.html and its key, study.json.")
SEED = Parameter(help="Another seed shows other sides and another order.")
ANNOTATION = Parameter(show_default=False, help="What to show of a model; default: its own choice.")
IDENTITY = Parameter(show_default=False, help="Identity of a model; default: pivot.")
RIG = Parameter(show_default=False, help="Rig of both faces, as in `animate`; default: the built-in head.")
SECONDS = Parameter(help="Longer sounds are shown up to here.")
SIZE = Parameter(help="Height of each face in pixels.")
FPS = Parameter(help="Frames a second of the films.")
TITLE = Parameter(help="Heading of the page.")
ANSWERS = Parameter(help="Files of answers that people sent back.")
KEY = Parameter(
    show_default=False, help="The study's study.json, for the names; default: the one beside the answers."
)
AS_JSON = Parameter(name="--json", show_default=False, help="Write the figures to this file too.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Shown:
    """The flags of how the two systems are shown."""

    annotation_a: Annotated[str | None, ANNOTATION] = None
    annotation_b: Annotated[str | None, ANNOTATION] = None
    identity_a: Annotated[str | None, IDENTITY] = None
    identity_b: Annotated[str | None, IDENTITY] = None
    rig: Annotated[str | None, RIG] = None
    seconds: Annotated[float, SECONDS] = 20.0
    size: Annotated[int, SIZE] = 384
    fps: Annotated[float, FPS] = 30.0
    title: Annotated[str, TITLE] = "Which face fits the voice?"


USUAL = Shown()


def build(
    a: Annotated[str, SYSTEM],
    b: Annotated[str, SYSTEM],
    /,
    *,
    audio: Annotated[Path, AUDIO],
    output: Annotated[Path, OUTPUT] = Path("study"),
    seed: Annotated[int, SEED] = 0,
    shown: Shown = USUAL,
) -> int:
    """Make a page that shows two systems side by side and asks the paper's three questions."""
    from unitalker.errors import ConfigError
    from unitalker.evaluation.study.build import KEY as KEY_FILE
    from unitalker.evaluation.study.build import Look, build, sounds
    from unitalker.evaluation.study.sides import side

    if (output / KEY_FILE).exists():
        raise ConfigError(
            f"{output} holds a study already, whose answers fit its own {KEY_FILE} alone; give another folder, or remove that one."
        )
    look = Look(shown.fps, shown.size, shown.seconds, shown.title)
    clips = sounds(audio)
    pair = (
        side(a, shown.annotation_a, shown.identity_a, shown.rig),
        side(b, shown.annotation_b, shown.identity_b, shown.rig),
    )
    with bar("Filming", len(clips)) as tell:

        def step(done: int, total: int) -> None:
            tell(done, (), f"{done} of {total}")

        built = build(*pair, clips, output, seed, look, step)
    for line in (*built.notes, *built.problems):
        print(line, file=sys.stderr)
    print(f"{built.page}: {len(built.clips)} clips of {len(clips)}; which side is which stands in study.json")
    return int(bool(built.problems))


def score(
    *answers: Annotated[Path, ANSWERS],
    key: Annotated[Path | None, KEY] = None,
    as_json: Annotated[Path | None, AS_JSON] = None,
) -> int:
    """Count people's answers: how often the first system was preferred, with exact binomial intervals."""
    from unitalker.errors import ConfigError
    from unitalker.evaluation.study.score import score
    from unitalker.files import atomic

    if not answers:
        raise ConfigError("Give at least one file of answers, as the page of `study build` saves it.")
    outcome = score(answers, key)
    print("\n\n".join(one.table() for one in outcome))
    if as_json is not None:
        with atomic(as_json) as draft:
            draft.write_text(
                json.dumps([one.to_dict() for one in outcome], indent=1) + "\n", encoding="utf-8"
            )
    return 0
