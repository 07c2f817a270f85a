"""The card of the open benchmark: what each set holds, hashes to compare a rebuilt one with, where all comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unitalker.annotations.base import Annotation
from unitalker.config import SAMPLE_RATE
from unitalker.data.dataset import Dataset
from unitalker.data.importers.facegood import LAG_SECONDS
from unitalker.data.open_deal import LONGEST, SPLITS, UNFIT, UNUSED, WORDS
from unitalker.data.open_sets import Piece
from unitalker.errors import DataError

FORMAT, VERSION = "unitalker.open", 1
SOURCES = (
    {
        "name": "GRID corpus, speaker 1, tracked from its video",
        "repository": "github.com/TVR28/LipNet",
        "commit": "7cdd534e95aa989d9ce61c8739c64563bc496d01",
        "paths": ["data/s1/*.mpg", "data/alignments/s1/*.align"],
        "licence": "CC BY 4.0 (Cooke, Barker, Cunningham, Shao 2006)",
    },
    {
        "name": "FACEGOOD Audio2Face recordings",
        "repository": "github.com/FACEGOOD/FACEGOOD-Audio2Face",
        "commit": "e6d41b6ed9e414b2f7427e52e18c401f7d1775a8",
        "paths": ["code/train/wav/1114_2_0[123].wav", "code/train/bs_value/bs_value_1114_2_0[123].npy"],
        "licence": "MIT",
    },
)
RULES = (
    "Every recording is in one set and one split; no sound is in two places (checked by the SHA-256 of its samples).",
    "GRID: set and split by the SHA-256 of a clip's first four words, so that sentences with the same beginning stay "
    "together.",
    f"GRID: {len(UNFIT)} clips whose face is lost or far out of step are unused: "
    + "; ".join(f"{clip}, {why}" for clip, why in UNFIT.items())
    + ".",
    "FACEGOOD: recordings 1 and 2 are the rig's set, recording 3 drives the mesh. Each is cut into words at pauses in "
    "which every channel is zero; of 32 words in turn "
    + ", ".join(f"{count} {split}" for split, count in WORDS)
    + f"; neighbours of one split make clips of at most {LONGEST:g} s.",
    f"FACEGOOD's motion lags its sound by {1000 * LAG_SECONDS:.0f} ms and is read so much later, once.",
    "Meshes are driven by the channels that can be trusted alone; FACEGOOD's are read at 25 frames a second for it.",
    "Bases of the meshes are fitted on their training split.",
)


@dataclass(frozen=True)
class Entry:
    """One clip. sound: SHA-256 of its 16-bit samples."""

    id: str
    split: str
    seconds: float
    frames: int
    sound: str


@dataclass
class Ledger:
    """Every clip that was written, by set."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    heard: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, clip: Piece) -> None:
        """Enter a clip of a set. Raises DataError for a sound that was entered before."""
        sound = hashlib.sha256(np.round(clip.samples * 32768).astype("<i2").tobytes()).hexdigest()
        place = f"{name}/{clip.id}"
        if sound in self.heard:
            raise DataError(
                f"{place} and {self.heard[sound]} have the same sound; the recordings must differ, or one would be both "
                "learned and tested."
            )
        self.heard[sound] = place
        entry = Entry(clip.id, clip.split, len(clip.samples) / SAMPLE_RATE, len(clip.values), sound)
        self.entries.setdefault(name, []).append(entry)


@dataclass(frozen=True)
class SetFacts:
    """A set as written. masks: region → vertex numbers, ascending, of the mesh on which its errors are measured, the
    built-in head's face for weights."""

    name: str
    dataset: Dataset
    annotation: Annotation
    masks: dict[str, np.ndarray]


def mask_hash(rows: np.ndarray) -> str:
    """SHA-256 of vertex numbers as `unitalker evaluate` tells it: from 0, ascending, decimals between commas."""
    return hashlib.sha256(",".join(map(str, np.unique(rows).tolist())).encode()).hexdigest()


def card(sets: Sequence[SetFacts], ledger: Ledger, made_from: dict[str, Any]) -> dict[str, Any]:
    """The card as it is written to card.json."""
    told = {one.name: _set(one, ledger.entries[one.name]) for one in sets}
    head = {"format": FORMAT, "version": VERSION, "made_from": made_from}
    return head | {"sources": list(SOURCES), "rules": list(RULES), "sets": told}


def _set(facts: SetFacts, entries: Sequence[Entry]) -> dict[str, Any]:
    dataset = facts.dataset
    splits = [s for s in (*SPLITS, UNUSED) if any(e.split == s for e in entries)]
    return {
        "annotation": facts.annotation.name,
        "fps": dataset.fps,
        "unit": facts.annotation.unit,
        "numbers": facts.annotation.dim,
        "codes": facts.annotation.head_dim,
        "subjects": list(dataset.subjects),
        "licence": dataset.licence,
        "source": dataset.source,
        "splits": {split: _split([e for e in entries if e.split == split]) for split in splits},
        "masks": {k: {"vertices": len(v), "sha256": mask_hash(v)} for k, v in facts.masks.items()},
    }


def _split(entries: Sequence[Entry]) -> dict[str, Any]:
    order = sorted(entries, key=lambda e: e.id)
    return {
        "clips": len(order),
        "seconds": round(sum(e.seconds for e in order), 2),
        "frames": sum(e.frames for e in order),
        "list_sha256": _lines(e.id for e in order),
        "sound_sha256": _lines(f"{e.id} {e.sound}" for e in order),
    }


def _lines(lines: Any) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def markdown(told: dict[str, Any]) -> str:
    """The card for people."""
    lines = ["# Open benchmark", "", *(f"- {rule}" for rule in told["rules"]), ""]
    lines += [
        "| set | annotation | fps | numbers | codes | split | clips | minutes | frames | list | sound |",
        "|" + "---|" * 11,
    ]
    for name, one in told["sets"].items():
        about = f"{name} | {one['annotation']}, {one['unit']} | {one['fps']:g} | {one['numbers']} | {one['codes']}"
        for split, its in one["splits"].items():
            hashes = f"{its['list_sha256'][:12]} | {its['sound_sha256'][:12]}"
            lines.append(
                f"| {about} | {split} | {its['clips']} | {its['seconds'] / 60:.2f} | {its['frames']} | {hashes} |"
            )
    lines += ["", "| set | region | vertices | SHA-256 |", "|" + "---|" * 4]
    for name, one in told["sets"].items():
        for region, mask in one["masks"].items():
            lines.append(f"| {name} | {region} | {mask['vertices']} | {mask['sha256']} |")
    lines += ["", "| source | repository, commit | files | licence |", "|" + "---|" * 4]
    for one in told["sources"]:
        where = f"{one['repository']}, {one['commit'][:12]}"
        lines.append(f"| {one['name']} | {where} | {', '.join(one['paths'])} | {one['licence']} |")
    made = ", ".join(f"{key}: {value}" for key, value in told["made_from"].items())
    lines += ["", f"Made from {made}.", "", "To rebuild: `unitalker data build-open`, docs/open.md."]
    return "\n".join(lines) + "\n"
