"""CodeTalker frame by frame on one core: what remembering keys and values saves, at the published depth and a quarter of
its width; and how much of the rest is the motion decoder, which can't remember."""

from __future__ import annotations

import torch
from common import Row, Setting, clocked

from unitalker.config import UniTalkerConfig
from unitalker.models.baselines.codetalker import CodeTalker
from unitalker.models.baselines.motion_codes import MotionCodes
from unitalker.models.baselines.own import Heard
from unitalker.models.transformer import positions
from unitalker.models.unitalker import UniTalker

FPS, FEATURES, CODES, WIDTH = 30, 768, 15069, 256


def rows(setting: Setting) -> list[Row]:
    """Random weights and features of 4 s (quick: 2 s) at 30 fps, one head of 5023 vertices."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    frames = (2 if setting.quick else 4) * FPS
    whole = model()
    decoder, who = whole.decoder, whole.embed({"pivot": 1.0})
    assert isinstance(decoder, CodeTalker)
    features, count = torch.randn(1, frames, FEATURES), torch.tensor([frames])
    heard = Heard(features, count, count, torch.tensor([float(FPS)]))
    with torch.inference_mode():
        works = {
            "as it is": lambda: decoder.codes(heard, who, "mesh"),
            "all frames before computed again (the published loop)": lambda: again(decoder, features, who),
            "the motion decoder alone, for every frame": lambda: decoded(decoder, frames),
        }
        took = {what: clocked(work, 1 if setting.quick else 3)[1] for what, work in works.items()}
    usual = took["as it is"]
    return [
        Row(
            f"CodeTalker, width {WIDTH}, {frames} frames: {what}",
            f"{1000 * spent / frames:.1f} ms a frame",
            f"{spent / usual:.2f} × the model's own way",
        )
        for what, spent in took.items()
    ]


def model() -> UniTalker:
    """A small encoder, which is not run, and the decoder for 30 fps, narrower than published."""
    store = {"width": WIDTH, "parts": 16, "part_dim": WIDTH // 16, "inner": 384, "projected": False}
    return UniTalker(
        UniTalkerConfig.parse(
            {
                "encoder": {"kind": "mini", "width": FEATURES},
                "decoder": {
                    "kind": "codetalker",
                    "width": WIDTH,
                    "layers": 6,
                    "period": FPS,
                    "autoencoder": store,
                },
                "identities": ["nobody"],
                "heads": {"mesh": CODES},
                "default_annotation": "mesh",
            }
        )
    ).eval()


def again(decoder: CodeTalker, features: torch.Tensor, who: torch.Tensor) -> torch.Tensor:
    """Features → codes without keys and values kept from frame to frame, every frame decoded whole."""
    store, audio = decoder.get_submodule("motion_codes.mesh"), decoder.map(features)
    assert isinstance(store, MotionCodes)
    fed, made = who[:, None], audio
    for n in range(1, features.shape[1] + 1):
        x = fed + positions(0, n, WIDTH, FPS)
        for layer in decoder.layers:
            x = layer(x, audio[:, :n], FPS)
        made = store.decode(store.quantise(decoder.get_submodule("vectors.mesh")(x)).vectors)
        fed = torch.cat([fed, who[:, None] + decoder.get_submodule("motion.mesh")(made[:, -1:])], 1)
    return made


def decoded(decoder: CodeTalker, frames: int) -> torch.Tensor:
    """The frame that is fed back, of all vectors so far, for every frame."""
    store = decoder.get_submodule("motion_codes.mesh")
    assert isinstance(store, MotionCodes)
    vectors = torch.randn(1, frames, WIDTH)
    return torch.cat([store.decode(vectors[:, :n], last=True) for n in range(1, frames + 1)], 1)
