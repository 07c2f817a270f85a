"""The examination of a dataset: every clip read once, offsets from all of them together, then what is wrong with each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Sequence as Listed
from dataclasses import dataclass, replace

import numpy as np

from unitalker.data.dataset import Clip, Dataset
from unitalker.evaluation.doctor import offset
from unitalker.evaluation.doctor.findings import Finding, Limits, judge
from unitalker.evaluation.doctor.reading import Reading, reading
from unitalker.evaluation.doctor.sequence import Predictor, Sequence, look
from unitalker.evaluation.doctor.slip import slip

COMPANY = 5
"""Clips of a subject from which on its usual reach can be known."""
FEW, STRAY, MOST_NATS = 4, 0.02, 6.0
"""Clips of a subject from which on its leaning to one side can be known; how much a pair's leaning differs from clip to
clip at least; and the most that one pair can say."""
LEAST_AROUND = 0.02
"""Least deviation of the largest jumps of clips."""


@dataclass(frozen=True)
class Examination:
    """What was found. sequences, findings: one a clip, in the manifest's order."""

    dataset: Dataset
    how: Reading
    limits: Limits
    sequences: tuple[Sequence, ...]
    findings: tuple[tuple[Finding, ...], ...]


def examine(
    dataset: Dataset,
    predict: Predictor,
    *,
    clips: Listed[Clip] | None = None,
    search_s: float = offset.SEARCH_S,
    limits: Limits | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Examination:
    """Examine a dataset's clips. predict: (samples, rate) → ARKit weights that the sound suggests.

    clips: some of them, default all. search_s: offsets looked for, ± seconds. Raises DataError where no clip's motion
    can be read; a single clip at fault is reported, not raised.
    """
    how, limits = reading(dataset), limits or Limits()
    chosen = dataset.clips if clips is None else clips
    seen = []
    for done, clip in enumerate(chosen):
        seen.append(look(dataset, clip, how, predict))
        if progress:
            progress(done + 1, len(chosen))
    _offsets(seen, dataset.fps, how.signed, search_s, limits)
    _usual(seen)
    for members in _by_subject(seen).values():
        _mirrors(members)
    return Examination(
        dataset, how, limits, tuple(seen), tuple(tuple(judge(s, dataset, limits)) for s in seen)
    )


def _offsets(seen: list[Sequence], fps: float, signed: bool, search_s: float, limits: Limits) -> None:
    """Fill in offset, confidence, match and slip of every clip that has a trace."""
    heard = [
        s for s in seen if s.trace is not None and s.numbers.get("loudness_dbfs", 0) >= limits.silent_dbfs
    ]
    traces = [s.trace for s in heard if s.trace is not None]
    if not signed:
        traces = _turned(traces, search_s)
    found, ears = offset.estimates(traces, search_s)
    usual = float(np.median([e.match for e in found])) if found else 0.0
    late = float(np.median([e.offset_s for e in found])) if found else 0.0
    peaks = [float(s.jumps.max()) for s in heard if s.jumps is not None]
    for one, trace, told, ear in zip(heard, traces, found, ears, strict=True):
        one.numbers |= {
            "offset_ms": 1000 * told.offset_s,
            "offset_confidence": told.confidence,
            "offset_spread_ms": 1000 * told.spread_s,
            "match": told.match,
            "usual_match": usual,
        }
        if ear is None or one.jumps is None:
            continue
        split = slip(ear, trace, _deviations(one.jumps, peaks), fps, late, search_s)
        if split:
            one.numbers |= {"slip_ms": 1000 * split.change_s, "slip_at_s": split.at_s}
            one.numbers |= {"slip_gain_nats": split.gain, "slip_match": split.match}


def _deviations(jumps: np.ndarray, peaks: list[float]) -> np.ndarray:
    """Jumps (T,) in deviations from the median of the largest jump of each clip."""
    usual = float(np.median(peaks))
    around = 1.4826 * float(np.median(np.abs(np.array(peaks) - usual)))
    return (jumps - usual) / (around + LEAST_AROUND)


def _turned(traces: list[offset.Trace], search_s: float) -> list[offset.Trace]:
    """The traces with the mouth's curve turned round where that agrees better with what the sound suggests: over all
    clips, each at its best lag, for their offsets may differ."""
    curves = [offset.correlations(t.mouth, t.heard_mouth, search_s)[:, 0] for t in traces]
    upright, turned = (sum(max(float((sign * r).max()), 0.0) ** 2 for r in curves) for sign in (1, -1))
    return [replace(t, mouth=-t.mouth) for t in traces] if turned > upright else traces


def _usual(seen: list[Sequence]) -> None:
    """How far each clip goes over the usual of its subject, or of all where there are few, and the usual jitter."""
    moving = [s for s in seen if s.numbers.get("reach", 0) > 0]
    for members in _by_subject(moving).values():
        company = members if len(members) >= COMPANY else moving
        usual = float(np.median([s.numbers["reach"] for s in company]))
        for one in members:
            one.numbers["reach_ratio"] = one.numbers["reach"] / usual
            one.numbers["usual_jitter_share"] = float(np.median([s.numbers["jitter_share"] for s in moving]))


def _mirrors(members: list[Sequence]) -> None:
    """Nats by which a clip leans as the subject's others do rather than the other way, and what such a clip usually has:
    with a leaning d of a pair, and μ ± σ of the other clips, 2 d μ / σ², over all pairs. The median and the median
    deviation stand for μ and σ, for some of the others may be turned too."""
    known = [(s, s.sides) for s in members if s.sides is not None and len(s.sides)]
    if len(known) < FEW:
        return
    leanings = np.stack([sides for _, sides in known])
    for place, (one, own) in enumerate(known):
        others = np.delete(leanings, place, axis=0)
        usual = np.median(others, axis=0)
        spread = 1.4826 * np.median(np.abs(others - usual), axis=0)
        power = np.square(spread) * (1 + 1 / len(others)) + STRAY**2
        one.numbers["mirror_nats"] = float(np.clip(2 * own * usual / power, -MOST_NATS, MOST_NATS).sum())
        one.numbers["mirror_worth_nats"] = float(np.minimum(2 * np.square(usual) / power, MOST_NATS).sum())


def _by_subject(seen: list[Sequence]) -> dict[str, list[Sequence]]:
    groups: dict[str, list[Sequence]] = defaultdict(list)
    for one in seen:
        groups[one.clip.subject].append(one)
    return groups
