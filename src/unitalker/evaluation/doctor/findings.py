"""From numbers to findings: what is wrong with a clip, how surely, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from unitalker.data.dataset import ANY, Dataset
from unitalker.evaluation.doctor.sequence import Sequence

KEEP, SHIFT, EXCLUDE = "keep", "shift", "exclude"


@dataclass(frozen=True)
class Limits:
    """From which value on a number is a finding.

    tolerance_ms: offsets up to here are in time; 45 ms of early sound is what viewers begin to notice (ITU-R BT.1359).
    sure: least confidence of an offset that is acted on. least_s: shorter clips are not judged by mismatch.
    """

    tolerance_ms: float = 45.0
    sure: float = 0.9
    slip_gain_nats: float = 6.0
    slip_match_ratio: float = 0.5
    least_s: float = 2.5
    match_ratio: float = 0.5
    duration_s: float = 0.1
    silent_dbfs: float = -50.0
    clipped_sound_share: float = 0.0005
    clipped_motion_share: float = 0.01
    out_of_range_share: float = 0.01
    frozen_s: float = 0.15
    repeated_share: float = 0.08
    jitter_share: float = 0.05
    jitter_ratio: float = 2.5
    reach_ratio: float = 5.0
    still_share: float = 0.05
    mirror_nats: float = -5.0
    gaze_agreement: float = 0.0


PLAUSIBLE: dict[str, tuple[float, float]] = {
    "weight": (0.03, 2.5),
    "m": (0.0005, 0.15),
    "cm": (0.05, 15.0),
    "mm": (0.5, 150.0),
    "flame": (0.01, 1.2),
}
"""Unit → how far the number that moves most goes in a clip, at least and at most (FLAME: the jaw, radians)."""


@dataclass(frozen=True)
class Finding:
    """One fault of a clip. kind: its name in reports. text: a sentence. decision: what a curated dataset does."""

    kind: str
    text: str
    decision: str = KEEP


def judge(seen: Sequence, dataset: Dataset, limits: Limits) -> list[Finding]:
    """Everything that is wrong with a clip, the gravest first. Faces at rest to sounds that are no voice (the subject
    `any`) have no more than files and weights to be wrong."""
    if seen.clip.subject == ANY:
        return [*_files(seen), *_weights(seen, set(), limits)]
    found = [*_files(seen), *_sound(seen, limits), *_size(seen, dataset, limits), *_time(seen, limits)]
    found += _frames(seen, {f.kind for f in found}, limits)
    found += _weights(seen, {f.kind for f in found}, limits)
    found += _sides(seen, {f.kind for f in found}, limits)
    order = (EXCLUDE, SHIFT, KEEP)
    return sorted(found, key=lambda f: order.index(f.decision))


def _files(seen: Sequence) -> Iterator[Finding]:
    yield from (Finding("missing", text, EXCLUDE) for text in seen.missing)
    yield from (Finding("unreadable", text, EXCLUDE) for text in seen.broken)
    if holes := seen.numbers.get("not_finite_frames", 0):
        yield Finding("not finite", f"{holes:g} frames hold NaN or infinite numbers.", EXCLUDE)


def _sound(seen: Sequence, limits: Limits) -> Iterator[Finding]:
    n = seen.numbers
    if n.get("loudness_dbfs", 0) < limits.silent_dbfs:
        yield Finding(
            "silent", f"The sound is silent: {n['loudness_dbfs']:.0f} dBFS at its loudest.", EXCLUDE
        )
    elif n.get("clipped_sound_share", 0) > limits.clipped_sound_share:
        yield Finding(
            "clipped sound", f"{n['clipped_sound_share']:.2%} of the samples are cut off at the peak."
        )


def _time(seen: Sequence, limits: Limits) -> Iterator[Finding]:
    n = seen.numbers
    if "sound_s" in n and "motion_s" in n and abs(gap := n["motion_s"] - n["sound_s"]) > limits.duration_s:
        text = f"The motion lasts {n['motion_s']:.2f} s, the sound {n['sound_s']:.2f} s ({gap:+.2f} s)."
        yield Finding("duration", text)
    if "offset_ms" not in n or n.get("loudness_dbfs", 0) < limits.silent_dbfs:
        return
    late, sure = n["offset_ms"], n["offset_confidence"] >= limits.sure
    long, in_time = n["sound_s"] >= limits.least_s, sure and abs(late) <= limits.tolerance_ms
    slips = n.get("slip_gain_nats", 0) > limits.slip_gain_nats
    if slips and n["slip_match"] >= max(n["match"], limits.slip_match_ratio * n["usual_match"]):
        yield Finding("slip", _slip(n["slip_at_s"], n["slip_ms"]), EXCLUDE)
    elif long and n["match"] < limits.match_ratio * n["usual_match"] and not in_time:
        told = f"match {n['match']:.2f}, usual {n['usual_match']:.2f}"
        yield Finding("mismatch", f"Face and sound do not belong together at any offset ({told}).", EXCLUDE)
    elif sure and not in_time:
        way = "late" if late > 0 else "early"
        text = f"The motion is {abs(late):.0f} ms {way} (confidence {n['offset_confidence']:.2f})."
        yield Finding("offset", text, SHIFT)


def _slip(at_s: float, change_ms: float) -> str:
    if not change_ms:
        return f"At {at_s:.1f} s the whole face jumps from one frame to the next: frames are missing there."
    way = "earlier: frames are missing" if change_ms < 0 else "later: frames were added"
    return f"From about {at_s:.1f} s on the motion is {abs(change_ms):.0f} ms {way}, or the clocks differ."


def _frames(seen: Sequence, known: set[str], limits: Limits) -> Iterator[Finding]:
    n = seen.numbers
    if "moving_share" not in n:
        return
    if n["moving_share"] < limits.still_share:
        yield Finding("still", f"The face moves in {n['moving_share']:.1%} of the frames only.", EXCLUDE)
        return
    if n["frozen_s"] >= limits.frozen_s and not known & {"silent", "mismatch"}:
        text = f"The motion is frozen for {n['frozen_s']:.2f} s from {n['frozen_at_s']:.2f} s on while the voice goes on."
        yield Finding("frozen", text, EXCLUDE)
    if n["repeated_share"] > limits.repeated_share:
        yield Finding("repeated", f"{n['repeated_share']:.0%} of the moving frames repeat the one before.")
    if n["jitter_share"] > max(limits.jitter_share, limits.jitter_ratio * n.get("usual_jitter_share", 0)):
        yield Finding(
            "jitter",
            f"The motion trembles: noise of {n['jitter_share']:.0%} of its size from frame to frame.",
            EXCLUDE,
        )


def _size(seen: Sequence, dataset: Dataset, limits: Limits) -> Iterator[Finding]:
    n = seen.numbers
    if "reach" not in n or n["moving_share"] < limits.still_share:
        return
    low, high = PLAUSIBLE.get(dataset.unit, (0.0, inf)) if dataset.stored == "values" else (0.0, inf)
    ratio = n["reach_ratio"]
    if not any(low <= n["reach"] * factor <= high for factor in (1.0, dataset.scale)):
        text = (
            f"Numbers that go as far as {n['reach']:.3g} are no {dataset.unit} (expected {low:g} … {high:g})."
        )
        yield Finding("scale", text, EXCLUDE)
    elif not 1 / limits.reach_ratio <= ratio <= limits.reach_ratio:
        text = f"The face moves {ratio:.3g} times as far as in the other clips: another unit or scale."
        yield Finding("scale", text, EXCLUDE)


def _weights(seen: Sequence, known: set[str], limits: Limits) -> Iterator[Finding]:
    n = seen.numbers
    if "scale" in known:
        return
    if n.get("out_of_range_share", 0) > limits.out_of_range_share:
        text = f"{n['out_of_range_share']:.0%} of the frames have weights outside 0 … 1 ({n['lowest_weight']:.2f} … {n['highest_weight']:.2f})."
        yield Finding("range", text)
    if n.get("clipped_motion_share", 0) > limits.clipped_motion_share:
        yield Finding(
            "clipped motion",
            f"{seen.clipped} is cut off at its peak in {n['clipped_motion_share']:.0%} of the frames.",
        )


def _sides(seen: Sequence, known: set[str], limits: Limits) -> Iterator[Finding]:
    n = seen.numbers
    if not known & {"range", "scale"} and n.get("mirror_nats", 0.0) < limits.mirror_nats:
        text = f"Left and right have changed places: the face leans opposite to the subject's other clips ({n['mirror_nats']:.0f} nats)."
        yield Finding("sides", text, EXCLUDE)
    elif n.get("gaze_agreement", 1.0) < limits.gaze_agreement:
        text = f"The eyes turn against each other ({n['gaze_agreement']:.2f}): channels of left and right have changed places."
        yield Finding("sides", text, EXCLUDE)
