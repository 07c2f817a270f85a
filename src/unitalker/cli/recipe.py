"""The flags of `train` that stand for a recipe: what a run begins with, what it keeps and what does not train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from unitalker.cli.folder import FPS, LIPS, NAMES, UNIT
from unitalker.errors import ConfigError

if TYPE_CHECKING:
    from unitalker.config import RecipeConfig
    from unitalker.data.importers.folder import FolderOptions

USUAL = "mini"
"""Model that learns a new annotation where none is named."""
PARTS = {"encoder", "decoder", "identities", "heads"}
PRESET = Parameter(
    help="Model to build, with its way of training: mini, the paper's unitalker-b and unitalker-l, vanilla, or a baseline: "
    "faceformer, faceformer-non-autoregressive, codetalker-motion, codetalker, selftalk, facediffuser, each with -25 behind "
    "it for 25 frames a second (docs/baselines.md)."
)
FINETUNE = Parameter(
    help="Begin with this model, an installed one or a model folder, and its annotation cards."
)
NEW_HEAD = Parameter(
    help="Name of an annotation that the model (mini, or that of --finetune) does not know; --data is a dataset of it, "
    "or an ordinary folder of sound and motion (see `data import folder`)."
)
KEEP = Parameter(
    help="What stays of the model: all, or its encoder alone, so that decoder and heads begin anew. Default: encoder "
    "with --new-head, else all."
)
FREEZE = Parameter(
    negative=(),
    show_default=False,
    help="Parts that do not train: encoder, decoder, identities, heads; repeat it, or encoder,decoder.",
)
ONLY_HEAD = Parameter(negative=(), show_default=False, help="Only the heads train.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecipeChoices:
    """The flags of a recipe, and those that an ordinary folder needs."""

    preset: Annotated[str | None, PRESET] = None
    finetune: Annotated[str | None, FINETUNE] = None
    new_head: Annotated[str | None, NEW_HEAD] = None
    keep: Annotated[Literal["all", "encoder"] | None, KEEP] = None
    freeze: Annotated[tuple[str, ...], FREEZE] = ()
    only_head: Annotated[bool, ONLY_HEAD] = False
    fps: Annotated[float | None, FPS] = None
    unit: Annotated[Literal["m", "cm", "mm", "u"] | None, UNIT] = None
    names: Annotated[Path | None, NAMES] = None
    lips: Annotated[Path | None, LIPS] = None

    def recipe(self) -> RecipeConfig:
        """The recipe that the flags ask for."""
        from unitalker.config import RecipeConfig

        keep = self.keep or ("encoder" if self.new_head else None)
        start = self.finetune or (USUAL if self.new_head and not self.preset else None)
        given = {"preset": self.preset, "finetune": start, "new_head": self.new_head, "keep": keep}
        return RecipeConfig.parse({name: value for name, value in given.items() if value is not None}, "")

    def changes(self) -> dict[str, Any]:
        """Settings of the run that the flags change. Raises ConfigError for an unknown part, and where nothing would
        train."""
        parts = [part.strip() for text in self.freeze for part in text.split(",") if part.strip()]
        strange = next((part for part in parts if part not in PARTS), None)
        if strange is not None:
            raise ConfigError(f"--freeze takes encoder, decoder, identities or heads, not {strange!r}.")
        still = {*parts, *(PARTS - {"heads"} if self.only_head else ())}
        if still >= PARTS:
            raise ConfigError("Every part of the model is frozen; leave at least one of them to train.")
        return ({"freeze": parts} if parts else {}) | ({"only_heads": True} if self.only_head else {})

    def folder(self) -> FolderOptions:
        """What the files of an ordinary folder do not say."""
        from unitalker.data.importers.folder import FolderOptions

        return FolderOptions(self.new_head, self.fps, self.unit, self.names, self.lips)
