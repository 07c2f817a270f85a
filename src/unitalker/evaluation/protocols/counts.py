"""Sentences on counts, lengths and motion that are not as expected."""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np

from unitalker.evaluation.protocols.base import Part

STILL = 1e-4
"""An upper face whose every vertex moves less than this share of the fastest one's speed rests."""
DOUBTFUL = 0.1
"""Predictions that are all together longer or shorter by more than this share may have another frame rate."""


def count_differences(part: Part, clips: Set[str], sequences: int, frames: int) -> list[str]:
    """What is not as the part expects. clips: those of the dataset's split; sequences, frames: that were measured."""
    found = []
    if part.sequences is not None and sequences != part.sequences:
        lost = [name for name in part.absent if name not in clips]
        none = f" ({', '.join(lost)} exists in no copy)" if lost and sequences < part.sequences else ""
        found.append(f"sequences: {sequences}, {part.counted_by}: {part.sequences}{none}.")
    if part.frames is not None and frames != part.frames:
        found.append(f"frames: {frames}, {part.counted_by}: {part.frames}.")
    return found


def length_differences(lengths: Mapping[str, int], fps: float) -> list[str]:
    """What predictions are longer or shorter by. lengths: how many are longer and shorter, by how many frames (over, cut),
    and all frames that are due and made."""
    found = []
    if lengths["longer"]:
        found.append(
            f"predictions longer than the truth: {lengths['longer']}, by {lengths['over']} frames together; their ends were "
            "cut."
        )
    if lengths["shorter"]:
        found.append(
            f"predictions shorter than the truth: {lengths['shorter']}, by {lengths['cut']} frames together; the truth's "
            "ends were cut."
        )
    share = lengths["made"] / max(lengths["due"], 1)
    if abs(share - 1) > DOUBTFUL:
        found.append(
            f"predictions have {share:.0%} of the truth's frames: no figure holds if they have another frame rate than "
            f"{fps:g}."
        )
    return found


def resting_differences(maps: Mapping[str, np.ndarray], upper: np.ndarray | None) -> list[str]:
    """Whether the upper face of the captured motion rests. maps: (V,) arrays as `Maps.arrays` gives them."""
    speed = maps.get("velocity_mean_truth")
    if speed is None or upper is None or speed[upper].max() >= STILL * max(float(speed.max()), 1e-30):
        return []
    return ["the upper face of the captured motion rests: UFVE and FDD say nothing."]
