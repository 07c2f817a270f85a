"""Settings of a recipe: what a run begins with, and what it keeps of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unitalker.config.base import Settings


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
