"""`python -m unitalker.rig.head` builds the head from its code and writes the file that ships."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from unitalker.rig.head.build import build_head
from unitalker.rig.store import HEAD_FILE, write_rig


def main() -> int:
    """Write the head; say where and how large."""
    parser = argparse.ArgumentParser(prog="python -m unitalker.rig.head", description=main.__doc__)
    parser.add_argument(
        "-o", "--output", type=Path, default=HEAD_FILE, help="where to write (default: the package)"
    )
    path = parser.parse_args().output
    rig = build_head()
    write_rig(rig, path)
    size = path.stat().st_size / 1e6
    sys.stdout.write(f"{path}: {len(rig.vertices)} vertices, {len(rig.faces)} triangles, {size:.2f} MB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
