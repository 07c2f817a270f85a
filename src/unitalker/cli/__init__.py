"""The command line: every verb a thin call into one room. Errors are one sentence on stderr, exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

CLOSED_PIPE = 141
"""Exit code when the reader of stdout has gone (`| head`): 128 + SIGPIPE, as shells count it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `unitalker VERB …`. Gives the exit code: 0 done, 1 partly, 2 nothing, 3 stopped, 130 interrupted, 141 nobody reads."""
    from cyclopts import CycloptsError

    from unitalker.cli.app import app
    from unitalker.errors import UniTalkerError

    try:
        result = app(
            sys.argv[1:] if argv is None else list(argv),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        print(end="", flush=True)
        return result if isinstance(result, int) else 0
    except (UniTalkerError, CycloptsError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    except PermissionError as error:
        where = error.filename or "a file"
        print(f"No permission for {where}; give another place, or change its permissions.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; files that were complete stay.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
