"""`unitalker bench`: measurements that train models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from unitalker.errors import ConfigError

EXAMPLES = """Examples:
  unitalker bench data-efficiency --data sets/mine --model mini \\
      -o runs/efficiency
  unitalker bench data-efficiency --data sets/mine -o runs/quick \\
      --fractions 1,0.5 --set steps=200"""

DATA = Parameter(help="Dataset folder with training and validation clips.")
MODEL = Parameter(help="The model whose encoder is compared with a random one.")
OUTPUT = Parameter(name=("--output", "-o"), help="Folder for the runs; table.md in it is the result.")
FRACTIONS = Parameter(help="Shares of each subject's training clips, between commas.")
SET = Parameter(name="--set", negative=(), show_default=False, help="One setting of the runs, key=value.")


def data_efficiency(
    *,
    data: Annotated[Path, DATA],
    output: Annotated[Path, OUTPUT],
    model: Annotated[str, MODEL] = "mini",
    fractions: Annotated[str, FRACTIONS] = "1,0.5,0.25,0.125",
    change: Annotated[tuple[str, ...], SET] = (),
) -> int:
    """Teach a model's encoder a dataset's annotation with less and less data, and a random encoder as well."""
    from unitalker.cli.progress import say
    from unitalker.cli.train import changed
    from unitalker.files import check_writable
    from unitalker.training.efficiency import curve, curve_table
    from unitalker.training.table import write_table

    shares = _shares(fractions)
    settings: dict[str, Any] = changed(change)
    output.mkdir(parents=True, exist_ok=True)
    check_writable(output / "table.md")

    points = curve(data, model, output, fractions=shares, changes=settings, say=say)
    text = curve_table(points, next(iter(points[0].errors["trained"].after)))
    write_table(text, output / "table.md")
    print(text)
    return 0


def _shares(text: str) -> Sequence[float]:
    try:
        shares = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        shares = []
    if not shares:
        raise ConfigError(f"--fractions takes shares between commas, such as 1,0.5,0.25, not {text!r}.")
    return shares
