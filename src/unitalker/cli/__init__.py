"""The command line: every verb a thin call into one room. Errors are one sentence on stderr, exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `unitalker VERB …`. Gives the exit code: 0 done, 1 partly, 2 nothing, 130 interrupted."""
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
        return result if isinstance(result, int) else 0
    except (UniTalkerError, CycloptsError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; files that were complete stay.", file=sys.stderr)
        return 130
