"""FaceDiffuser the slow way, from tensors by their published names: whole faces, one frame, unit and step at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

State = dict[str, torch.Tensor]
ENCODER = {
    "model_type": "hubert",
    "conv_dim": [8] * 7,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}


def library_encoder() -> Any:
    from transformers import HubertConfig, HubertModel

    return HubertModel(HubertConfig(**{k: v for k, v in ENCODER.items() if k != "model_type"})).eval()


def units(name: str, size: int, width: int, layers: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(layers):
        shapes[f"{name}.weight_ih_l{layer}"] = (3 * width, width if layer else size)
        shapes[f"{name}.weight_hh_l{layer}"] = (3 * width, width)
        shapes |= {f"{name}.bias_{kind}_l{layer}": (3 * width,) for kind in ("ih", "hh")}
    return shapes


def linear(name: str, size: int, out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, size), f"{name}.bias": (out,)}


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    torch.manual_seed(seed)
    state = {name: torch.randn(shape) / math.sqrt(shape[-1]) for name, shape in shapes.items()}
    return state | {f"audio_encoder.{k}": v for k, v in library_encoder().state_dict().items()}


def mesh_state(dim: int, width: int = 8, steps: int = 12, subjects: int = 3) -> State:
    shapes = {
        **linear("cond_projection", 48, width),
        **linear("input_projection.0", dim, 2 * width),
        "input_projection.1.weight": (1, 1, 9),
        "input_projection.1.bias": (1,),
        **linear("time_mlp.0", steps, width),
        **{f"norm_cond.{k}": (3 * width,) for k in ("weight", "bias")},
        **units("gru", 3 * width, width, 2),
        **linear("final_layer", width, dim),
        "obj_vector.weight": (width, subjects),
    }
    return random_state(shapes)


def weight_state(dim: int, width: int = 8, step_width: int = 6, steps: int = 12) -> State:
    size = 48 + dim + step_width
    shapes = {
        **linear("time_mlp.0", steps, step_width),
        **{f"norm_cond.{k}": (size,) for k in ("weight", "bias")},
        **units("gru", size, width, 2),
        **linear("final_layer", width, dim),
    }
    return random_state(shapes)


def control_state(dim: int, width: int = 8) -> State:
    step = "embed_timestep.time_embed"
    shapes = {
        **units("rnn", 48 + dim + width, width, 4),
        **linear(f"{step}.0", width, width),
        **linear(f"{step}.2", width, width),
        **linear("out", width, dim),
    }
    places = torch.tensor([sinusoid(t, width) for t in range(40)])[:, None]
    both = ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe")
    return random_state(shapes) | dict.fromkeys(both, places)


def sinusoid(place: int, width: int) -> list[float]:
    angles = [place / 10000 ** (2 * (c // 2) / width) for c in range(width)]
    return [math.cos(a) if c % 2 else math.sin(a) for c, a in enumerate(angles)]


def heard(state: State, samples: torch.Tensor, frames: int, fps: int) -> torch.Tensor:
    """Samples (N,) → two features of every frame side by side (frames, 48)."""
    encoder = library_encoder()
    own = {k.removeprefix("audio_encoder."): v for k, v in state.items() if k.startswith("audio_encoder.")}
    encoder.load_state_dict(own)
    samples = (samples - samples.mean()) / torch.sqrt(samples.var(unbiased=False) + 1e-7)
    features = encoder(samples[None]).last_hidden_state[0]
    if fps != 25:
        features = F.interpolate(features.T[None], size=2 * frames, mode="linear", align_corners=True)[0].T
    last = len(features) - len(features) % 2 - 1
    rows = [torch.cat([features[min(2 * t + i, last)] for i in (0, 1)]) for t in range(frames)]
    return torch.stack(rows)


def recurrent(state: State, name: str, frames: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Gated recurrent units by their equations."""
    layer, values = 0, list(frames)
    while f"{name}.weight_ih_l{layer}" in state:
        w_in, w_own, b_in, b_own = (
            state[f"{name}.{k}_l{layer}"] for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        memory, out = torch.zeros(w_own.shape[1]), []
        for x in values:
            from_in, from_own = (w_in @ x + b_in).chunk(3), (w_own @ memory + b_own).chunk(3)
            reset = torch.sigmoid(from_in[0] + from_own[0])
            keep = torch.sigmoid(from_in[1] + from_own[1])
            new = torch.tanh(from_in[2] + reset * from_own[2])
            memory = (1 - keep) * new + keep * memory
            out.append(memory)
        layer, values = layer + 1, out
    return values


def normed(x: torch.Tensor, state: State) -> torch.Tensor:
    centred = x - x.mean()
    scaled = centred / torch.sqrt(centred.square().mean() + 1e-5)
    return scaled * state["norm_cond.weight"] + state["norm_cond.bias"]


def affine(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return state[f"{name}.weight"] @ x + state[f"{name}.bias"]


def mish(x: torch.Tensor) -> torch.Tensor:
    return x * torch.tanh(torch.log1p(torch.exp(x)))


def token(state: State, step: int) -> torch.Tensor:
    return mish(state["time_mlp.0.weight"][:, step] + state["time_mlp.0.bias"])


def motion_token(state: State, x: torch.Tensor) -> torch.Tensor:
    """One noised frame (dim,) → (width,): linear, a kernel of 9 over the channels, the larger of each two."""
    wide = affine(state, "input_projection.0", x)
    padded, kernel = F.pad(wide, (4, 4)), state["input_projection.1.weight"].flatten()
    bias = float(state["input_projection.1.bias"])
    smooth = [max(float(padded[c : c + 9] @ kernel) + bias, 0.0) for c in range(len(wide))]
    return torch.tensor([max(smooth[2 * c], smooth[2 * c + 1]) for c in range(len(wide) // 2)])


def guess_mesh(state: State, sound: torch.Tensor, x: torch.Tensor, step: int, row: int, face: torch.Tensor) -> torch.Tensor:  # fmt: skip
    rows = []
    for s, frame in zip(sound, x, strict=True):
        parts = affine(state, "cond_projection", s), motion_token(state, frame), token(state, step)
        rows.append(normed(torch.cat(parts), state))
    style = state["obj_vector.weight"][:, row]
    return torch.stack(
        [affine(state, "final_layer", h * style) + face for h in recurrent(state, "gru", rows)]
    )


def guess_weights(state: State, sound: torch.Tensor, x: torch.Tensor, step: int) -> torch.Tensor:
    rows = [
        normed(torch.cat([s, frame, token(state, step)]), state) for s, frame in zip(sound, x, strict=True)
    ]
    return torch.stack([affine(state, "final_layer", h) for h in recurrent(state, "gru", rows)])


def guess_controls(state: State, sound: torch.Tensor, x: torch.Tensor, step: int) -> torch.Tensor:
    name, width = "embed_timestep.time_embed", state["out.weight"].shape[1]
    inner = affine(state, f"{name}.0", torch.tensor(sinusoid(step, width)))
    told = affine(state, f"{name}.2", inner * torch.sigmoid(inner))
    rows = [torch.cat([s, told, frame]) for s, frame in zip(sound, x, strict=True)]
    return torch.stack([affine(state, "out", h) for h in recurrent(state, "rnn", rows)])


def guess(state: State, sound: torch.Tensor, x: torch.Tensor, step: int, face: torch.Tensor) -> torch.Tensor:
    """What the network of the state's form makes of noised numbers; of a mesh, for its second identity."""
    if "obj_vector.weight" in state:
        return guess_mesh(state, sound, x, step, 1, face)
    return (guess_weights if "time_mlp.0.weight" in state else guess_controls)(state, sound, x, step)


def left(step: int, steps: int) -> float:
    """What the cosine schedule leaves of the signal's variance after steps 0 … step, each losing 99.9 % at most."""

    def curve(t: float) -> float:
        return math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2

    share = 1.0
    for t in range(step + 1):
        share *= max(curve(t + 1) / curve(t), 0.001)
    return share


def earlier(x: torch.Tensor, clean: torch.Tensor, step: int, steps: int, noise: torch.Tensor) -> torch.Tensor:
    """The numbers one step earlier: Bayes' rule for two Gaussians, what the clean ones say and what the noised ones say."""
    if step == 0:
        return clean
    before, now = left(step - 1, steps), left(step, steps)
    kept = now / before
    precision = 1 / (1 - before) + kept / (1 - kept)
    mean = (math.sqrt(before) * clean / (1 - before) + math.sqrt(kept) * x / (1 - kept)) / precision
    return mean + noise / math.sqrt(precision)
