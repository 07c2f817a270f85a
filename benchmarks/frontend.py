"""The log-mel front end with its running levels, on one core: alone, and as a share of the whole model's time."""

from __future__ import annotations

import torch
from common import RATE, Row, Setting, clocked, voice

import unitalker
from unitalker.animation.roads import MelStream
from unitalker.models.mini import MiniEncoder


def rows(setting: Setting) -> list[Row]:
    """Nothing for models without this front end."""
    torch.set_num_threads(1)
    seconds = 20.0 if setting.quick else 60.0
    samples = voice(seconds)
    animator = unitalker.load(setting.model)
    encoder = animator.model.encoder
    if not isinstance(encoder, MiniEncoder):
        return [Row("front end", "the model has another one")]

    def listen() -> None:
        stream = MelStream(encoder)
        for start in range(0, len(samples), 10 * RATE):
            stream.push(samples[start : start + 10 * RATE])
        stream.finish()

    with torch.inference_mode():
        wall, _ = clocked(listen, setting.repeats)
    whole, _ = clocked(lambda: animator.animate((samples, RATE)), 3)
    return [
        Row(
            f"log-mel front end, {encoder.config.mels} bands, one core",
            f"{seconds / wall:.0f} × real time",
            f"{100 * wall / whole:.0f} % of the whole animation's time",
        )
    ]
