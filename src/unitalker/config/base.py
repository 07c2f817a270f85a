"""What all settings share: frozen, unknown keys are errors that name the nearest one, faults read as sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from unitalker.errors import ConfigError, unknown

SAMPLE_RATE = 16_000
"""Samples a second of every waveform inside the package."""

FEATURE_RATE = 50
"""Encoder features a second."""


class Settings(BaseModel):
    """Base of all settings: frozen, and no key that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @classmethod
    def parse(cls, data: dict[str, Any], where: str = "the configuration") -> Self:
        """Settings from plain data. Raises ConfigError with one sentence per fault."""
        try:
            return cls.model_validate(data)
        except ValidationError as fault:
            raise ConfigError(_sentence(cls, fault, where)) from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Settings from a JSON file."""
        try:
            data = json.loads(Path(path).read_text())
        except (OSError, ValueError) as fault:
            raise ConfigError(f"{path} is not a readable JSON file: {fault}.") from None
        return cls.parse(data, str(path))


def _sentence(cls: type[BaseModel], fault: ValidationError, where: str) -> str:
    parts = []
    for error in fault.errors():
        key = ".".join(str(p) for p in error["loc"])
        if error["type"] == "extra_forbidden":
            parts.append(unknown("setting", key, cls.model_fields))
        else:
            parts.append(_fault(key or "a setting", dict(error)))
    return (f"{where}: " if where else "") + " ".join(parts)


_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "text"}
_KINDS |= {"tuple": "a list", "dict": "settings as key: value", "model": "settings as key: value"}
_LIMITS = {"greater_than_equal": "{ge} or more", "less_than_equal": "{le} or less"}
_LIMITS |= {"greater_than": "above {gt}", "less_than": "below {lt}", "literal_error": "{expected}"}


def _fault(key: str, error: dict[str, Any]) -> str:
    """Sentence for one fault of a setting, as pydantic lists it: "steps must be a whole number, not 'abc'."."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return f"{key} is missing."
    if kind in _LIMITS:
        allowed = _LIMITS[kind].format(**context)
    elif kind.endswith(("_type", "_parsing", "_from_float")) and kind.split("_")[0] in _KINDS:
        allowed = _KINDS[kind.split("_")[0]]
    else:
        said = error["msg"].removeprefix("Value error, ")
        return f"{key}: {said} (got {error.get('input')!r})." if error["loc"] else f"{said.capitalize()}."
    return f"{key} must be {allowed}, not {error.get('input')!r}."
