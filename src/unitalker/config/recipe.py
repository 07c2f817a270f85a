"""Settings of a recipe: what a run begins with, and what it keeps of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from pydantic import Field

from unitalker.config.base import Settings


def give_way(usual: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """A recipe's settings without its epochs where steps are among the settings given, and the other way about."""
    gone = set()
    for kind in ("", "warmup_", "validate_"):
        for one, other in (("steps", "epochs"), ("epochs", "steps")):
            if kind + one in given and kind + other not in given:
                gone.add(kind + other)
    return {key: value for key, value in usual.items() if key not in gone}


def merged(tree: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes on top; settings inside settings are changed one by one."""
    out = dict(tree)
    for key, value in changes.items():
        inner = out.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            value = merged(inner, value)
        out[key] = value
    return out


class RecipeConfig(Settings):
    """What a training command asks for beside the settings of the run; saved as recipe.json in the run folder."""

    preset: str | None = Field(
        default=None, description="Model to build, by name, with the settings it is trained by."
    )
    finetune: str | None = Field(
        default=None, description="Model that the run begins with: an installed one, or a model folder."
    )
    new_head: str | None = Field(
        default=None,
        description="Annotation that the model has no head for yet, to be learned from the data.",
    )
    keep: Literal["all", "encoder"] = Field(
        default="all",
        description="What stays of the model: all (encoder, decoder, identities and heads by name), or its encoder alone.",
    )
