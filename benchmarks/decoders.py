"""The motion decoders on one core, at the paper's width, over the same features; encoder and adaptor left out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from common import Row, Setting, clocked

from unitalker.config import UniTalkerConfig
from unitalker.models.autoregressive import AutoregressiveDecoder
from unitalker.models.unitalker import UniTalker

FPS, FEATURES, CODES = 30, 768, 512
KINDS = {
    "tcn": "TCN",
    "transformer": "transformer, 3 layers",
    "transformer_decoder": "transformer decoder",
    "autoregressive": "autoregressive decoder",
}


def rows(setting: Setting) -> list[Row]:
    """Random weights and features of 10 s at 30 fps, one head of 512 numbers; the model chosen plays no part."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    seconds = 5.0 if setting.quick else 10.0
    features = torch.randn(1, round(seconds * FPS), FEATURES)
    works = {what: animate(model(kind), features) for kind, what in KINDS.items()}
    works["the same, all frames before computed again (FaceFormer's loop)"] = again(
        model("autoregressive"), features
    )
    with torch.inference_mode():
        took = {what: clocked(work, 3 if setting.quick else 5)[1] for what, work in works.items()}
    tcn, parallel = took[KINDS["tcn"]], took[KINDS["transformer_decoder"]]
    return [
        Row(
            f"{what}, width 256, one core",
            f"{seconds / spent:.0f} s of sound a second of processor time",
            f"{spent / tcn:.1f} × the TCN's time, {spent / parallel:.1f} × the transformer decoder's",
        )
        for what, spent in took.items()
    ]


def model(kind: str) -> UniTalker:
    """A small encoder, which is not run, and the decoder as the paper has it."""
    return UniTalker(
        UniTalkerConfig.parse(
            {
                "encoder": {"kind": "mini", "width": FEATURES},
                "decoder": {"kind": kind},
                "identities": ["nobody"],
                "heads": {"codes": CODES},
                "default_annotation": "codes",
            }
        )
    ).eval()


def animate(unitalker: UniTalker, features: torch.Tensor) -> Callable[[], object]:
    """Features → codes, by the model's own road."""
    who, frames = unitalker.embed({"pivot": 1.0}), features.shape[1]
    return lambda: unitalker.codes(features, who, FPS, frames, ["codes"])


def again(unitalker: UniTalker, features: torch.Tensor) -> Callable[[], object]:
    """Features → the same codes, without keys and values kept from frame to frame."""
    decoder, who = unitalker.decoder, unitalker.embed({"pivot": 1.0})
    assert isinstance(decoder, AutoregressiveDecoder)

    def work() -> torch.Tensor:
        made = features.new_zeros(1, 1, CODES)
        for n in range(1, features.shape[1] + 1):
            out = decoder(features[:, :n], who, "codes", unitalker.head("codes"), made)
            made = torch.cat([out, made[:, :1]], 1)
        return made[:, :-1]

    return work
