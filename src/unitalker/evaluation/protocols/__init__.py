"""Named ways to evaluate: `PROTOCOLS` is the data, `run.run` carries one out, `result` tells what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unitalker.data.dataset import Dataset
from unitalker.errors import ConfigError, DataError, unknown
from unitalker.evaluation.protocols.base import Mask, Part, Protocol
from unitalker.evaluation.protocols.published import PROTOCOLS

__all__ = ["PROTOCOLS", "Mask", "Part", "Protocol", "find_protocol", "matched"]


def find_protocol(name: str) -> Protocol:
    """The protocol of that name. Raises ConfigError with the nearest names."""
    if name not in PROTOCOLS:
        raise ConfigError(unknown("protocol", name, PROTOCOLS, limit=20))
    return PROTOCOLS[name]


def matched(protocol: Protocol, datasets: Sequence[Dataset]) -> list[tuple[Part, Dataset]]:
    """The parts of a protocol with their datasets, in the protocol's order. Raises DataError for a dataset that is none of
    its, and for two of one part."""
    if protocol.each:
        (part,) = protocol.parts
        return [(replace(part, name=dataset.name), dataset) for dataset in datasets]
    found: dict[int, Dataset] = {}
    for dataset in datasets:
        place = _place(protocol, dataset)
        if place in found:
            raise DataError(
                f"{found[place].name} and {dataset.name} are both {protocol.parts[place].name} of {protocol.name}; give one."
            )
        found[place] = dataset
    return [(protocol.parts[place], found[place]) for place in sorted(found)]


def _place(protocol: Protocol, dataset: Dataset) -> int:
    """Which part a dataset is: by what its manifest says, else by its annotation where only one part has it."""
    named = [i for i, part in enumerate(protocol.parts) if part.fits(dataset)]
    alike = [i for i, part in enumerate(protocol.parts) if part.annotation == dataset.annotation]
    for places in (named, alike):
        if len(places) == 1:
            return places[0]
    due = ", ".join(f"{part.name} ({part.keys[0]})" for part in protocol.parts)
    raise DataError(
        f"{dataset.name} is no dataset of the protocol {protocol.name}, by its corpus, its name or its annotation "
        f"{dataset.annotation!r}; that takes {due}."
    )
