"""What the doctor says: a short text for people, and every number by its name as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence as Listed
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unitalker.evaluation.doctor.counts import Count
from unitalker.evaluation.doctor.examine import Examination
from unitalker.evaluation.doctor.findings import EXCLUDE, KEEP, SHIFT, Finding
from unitalker.evaluation.doctor.sequence import Sequence

FORMAT = "unitalker.doctor"

MEASURES: dict[str, tuple[str, str]] = {
    "sound_s": ("s", "length of the sound"),
    "motion_s": ("s", "length of the motion"),
    "offset_ms": ("ms", "motion minus sound; positive: the face is late"),
    "offset_confidence": ("0 … 1", "probability that the offset is right within 20 ms"),
    "offset_spread_ms": ("ms", "standard deviation of the offset"),
    "match": ("r", "correlation of face and predicted face at the offset, weighted over the pairs compared"),
    "usual_match": ("r", "median of match over the dataset"),
    "slip_ms": (
        "ms",
        "offset after slip_at_s minus before, of the likeliest change; 0 where only a jump tells",
    ),
    "slip_at_s": ("s", "where the offset changes"),
    "slip_gain_nats": (
        "nats",
        "by how much two offsets, and a jump of all numbers, explain the clip better than one",
    ),
    "slip_match": ("r", "match with both offsets"),
    "frozen_s": ("s", "longest stretch of equal frames while the voice goes on"),
    "frozen_at_s": ("s", "where it begins"),
    "repeated_share": (
        "share",
        "frames equal to the one before, of those in which the voice moves the mouth",
    ),
    "moving_share": ("share", "frames that differ from the one before"),
    "jitter_share": ("share", "noise from frame to frame over the motion's deviation"),
    "usual_jitter_share": ("share", "median of jitter_share over the dataset"),
    "loudness_dbfs": ("dBFS", "95th percentile of the level of 50 ms blocks"),
    "clipped_sound_share": ("share", "samples in runs of three and more at the peak"),
    "clipped_motion_share": ("share", "frames in runs at the peak of a mouth weight"),
    "out_of_range_share": ("share", "frames with a weight outside -0.05 … 1.05"),
    "lowest_weight": ("weight", "smallest weight"),
    "highest_weight": ("weight", "largest weight"),
    "reach": ("stored unit", "1st to 99th percentile of the number that moves most (FLAME: of the jaw)"),
    "reach_ratio": ("ratio", "reach over the usual of the subject, or of the dataset"),
    "amplitude": ("cm or stored unit", "mean absolute deviation of the mouth's opening"),
    "mirror_nats": ("nats", "how much rather the clip leans as the subject's others do than the other way"),
    "mirror_worth_nats": (
        "nats",
        "what a clip of the subject usually has of it: below 5 an exchange is not to be seen",
    ),
    "gaze_agreement": ("-1 … 1", "whether the eyes turn together"),
    "not_finite_frames": ("frames", "frames with NaN or infinite numbers"),
}
"""Measure → unit, meaning."""


@dataclass(frozen=True)
class Report:
    """An examination with its words. counts, absent: against the published table, empty without one."""

    seen: Examination
    counts: tuple[Count, ...] = ()
    absent: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Figures of the whole dataset."""
        seen = self.seen
        offsets = _all(seen.sequences, "offset_ms", sure=seen.limits.sure)
        middle = np.percentile(offsets, (25, 50, 75)) if len(offsets) else np.full(3, np.nan)
        decided = Counter(decision(found) for found in seen.findings)
        return {
            "clips": len(seen.sequences),
            "subjects": len({s.clip.subject for s in seen.sequences}),
            "hours": round(sum(s.clip.seconds for s in seen.sequences) / 3600, 4),
            "annotation": seen.dataset.annotation,
            "fps": seen.dataset.fps,
            "splits": dict(Counter(s.clip.split for s in seen.sequences)),
            "compared": seen.how.about,
            "offset_median_ms": _number(middle[1]),
            "offset_quartiles_ms": [_number(middle[0]), _number(middle[2])],
            "offsets_sure": len(offsets),
            "findings": dict(Counter(k for found in seen.findings for k in {f.kind for f in found})),
            "decisions": {key: decided[key] for key in (KEEP, SHIFT, EXCLUDE)},
        }

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dictionary."""
        used = {key for s in self.seen.sequences for key in s.numbers}
        return {
            "format": FORMAT,
            "version": 1,
            "dataset": self.seen.dataset.name,
            "folder": str(self.seen.dataset.folder),
            "summary": self.summary(),
            "published": [asdict(c) for c in self.counts],
            "absent": list(self.absent),
            "limits": asdict(self.seen.limits),
            "measures": {k: {"unit": u, "about": a} for k, (u, a) in MEASURES.items() if k in used},
            "clips": [_clip(s, f) for s, f in zip(self.seen.sequences, self.seen.findings, strict=True)],
        }

    def to_json(self) -> str:
        """The report as JSON text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)

    def text(self, shown: int = 20) -> str:
        """The report for people: the dataset, what was found how often, and the worst clips."""
        facts, lines = self.summary(), [f"{self.seen.dataset.name}  ({self.seen.dataset.folder})"]
        lines += _headline(facts)
        lines += _published(self.counts, self.absent)
        lines += [
            f"  {kind:<16} {n:>5} of {facts['clips']}"
            for kind, n in sorted(facts["findings"].items(), key=lambda i: -i[1])
        ]
        worst = sorted(
            zip(self.seen.sequences, self.seen.findings, strict=True), key=lambda pair: _gravity(pair[1])
        )
        told = [(s, f) for s, f in worst if f]
        for one, found in told[:shown]:
            lines += ["", f"{one.clip.id}  ({one.clip.split}, {one.clip.seconds:.1f} s): {decision(found)}"]
            lines += [f"  {f.kind}: {f.text}" for f in found]
        if len(told) > shown:
            lines += ["", f"… and {len(told) - shown} more; --json FILE has all."]
        return "\n".join(lines)


def decision(found: Listed[Finding]) -> str:
    """What becomes of a clip: the gravest decision of its findings."""
    return found[0].decision if found else KEEP


def _gravity(found: Listed[Finding]) -> tuple[int, int]:
    return (EXCLUDE, SHIFT, KEEP).index(decision(found)), -len(found)


def _headline(facts: dict[str, Any]) -> list[str]:
    splits = ", ".join(f"{name} {n}" for name, n in facts["splits"].items())
    lines = [
        f"  {facts['clips']} clips ({splits}), {facts['subjects']} subjects, {facts['hours']:.2f} h, "
        f"{facts['annotation']} at {facts['fps']:g} fps"
    ]
    if facts["offsets_sure"]:
        low, high = facts["offset_quartiles_ms"]
        lines.append(
            f"  offset: median {facts['offset_median_ms']:+.0f} ms, middle half {low:+.0f} … {high:+.0f} ms "
            f"({facts['offsets_sure']} clips told surely; by {facts['compared']})"
        )
    else:
        lines.append(f"  offset: told surely of no clip (by {facts['compared']})")
    kept = facts["decisions"]
    return [*lines, f"  {kept[KEEP]} to keep, {kept[SHIFT]} to shift, {kept[EXCLUDE]} to exclude"]


def _published(counts: Listed[Count], gone: Listed[str], shown: int = 8) -> list[str]:
    lines = [f"  published: {c.what} {c.published}, here {c.found}" for c in counts if not c.agrees]
    if counts and not lines:
        lines = [f"  all {len(counts)} published numbers agree"]
    lines += [f"  absent: {name}" for name in gone[:shown]]
    return lines + ([f"  absent: {len(gone) - shown} more"] if len(gone) > shown else [])


def _clip(one: Sequence, found: Listed[Finding]) -> dict[str, Any]:
    return {
        "id": one.clip.id,
        "subject": one.clip.subject,
        "split": one.clip.split,
        "decision": decision(found),
        "findings": [asdict(f) for f in found],
        "numbers": {key: _number(value) for key, value in one.numbers.items()},
    }


def _all(seen: Listed[Sequence], key: str, sure: float) -> np.ndarray:
    return np.array([s.numbers[key] for s in seen if s.numbers.get("offset_confidence", 0) >= sure])


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
