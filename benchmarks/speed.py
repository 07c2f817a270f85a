"""The model on one core: seconds of sound animated in a second, decoding included, files left out."""

from __future__ import annotations

import torch
from common import RATE, Row, Setting, clocked, voice

import unitalker


def rows(setting: Setting) -> list[Row]:
    """The default annotation, then every annotation of the model in one inference."""
    torch.set_num_threads(1)
    seconds = 20.0 if setting.quick else 60.0
    samples = voice(seconds)
    animator = unitalker.load(setting.model)
    names = list(animator.annotations)
    out = []
    for what, asked in (
        (f"{animator.bundle.name}, {animator.default_annotation}, one core", None),
        (f"{animator.bundle.name}, all {len(names)} annotations, one core", names),
    ):
        repeats = 3 if setting.quick or asked else 5
        wall, processor = clocked(
            lambda asked=asked: animator.animate((samples, RATE), annotations=asked), repeats
        )
        out.append(
            Row(what, f"{seconds / wall:.0f} × real time", f"{seconds / processor:.0f} × by processor time")
        )
    return out
