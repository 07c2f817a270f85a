"""`unitalker animate`: sound or text in, files out."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from unitalker.cli.choices import Choices, check_choices
from unitalker.cli.plan import plan

DEFAULTS = Choices()

EXAMPLES = """Examples:
  unitalker animate speech.wav -o face.glb
  unitalker animate speech.mp3 -o face.csv -o face.mp4
  unitalker animate takes/*.wav -o out/ --format json,glb
  unitalker animate speech.wav --annotation arkit52,arkit51 -o face.npz
  unitalker animate --say "Bonjour tout le monde" --voice fr -o hello.mp4

Exit code: 0 every file is written, 1 some inputs failed, 2 nothing was written."""

INPUTS = Parameter(help="Sound or video files: wav, mp3, m4a, flac, ogg, opus, mp4, webm and more.")


def animate(*inputs: Annotated[str, INPUTS], choices: Choices = DEFAULTS) -> int:
    """Turn recordings, or a text, into facial animation."""
    jobs = plan(inputs, choices.say, choices.output, choices.format)
    check_choices(choices)
    from unitalker.cli.run import Run

    run = Run(choices, jobs)
    return run.batch(jobs) if len(jobs) > 1 else run.single(next(iter(jobs)))
