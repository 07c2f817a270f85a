"""Roads from blocks of sound to codes: exact chunks for our encoder, cross-faded windows for the others.

Both take an iterator of sample blocks of any size and yield frames in order, with memory bounded by one chunk. How
the blocks are cut never changes what comes out: chunk edges are set by the clock alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch

from unitalker.config import FEATURE_RATE, SAMPLE_RATE
from unitalker.models.autoregressive import AutoregressiveDecoder
from unitalker.models.baselines.own import OwnDecoder
from unitalker.models.frontend import HOP, WINDOW, LevelState
from unitalker.models.mini import MEL_PER_FEATURE, STEP, TAIL, MiniEncoder
from unitalker.models.unitalker import UniTalker
from unitalker.motion import frame_count

CHUNK_FEATURES = 500
"""Features (10 s) that the exact road computes at a time."""
MEL_BLOCK = 1000
"""Mel frames (10 s) that are levelled at a time; fixed, so that blocks of any size give the same bits."""
WINDOW_SECONDS = 25
OVERLAP_SECONDS = 5
"""The release's windows for long sound: 25 s, 5 s shared with the next, linear cross-fade."""
STEP_SAMPLES = (WINDOW_SECONDS - OVERLAP_SECONDS) * SAMPLE_RATE


def head_codes(
    model: UniTalker, blocks: Iterable[np.ndarray], identity: torch.Tensor, fps: float, names: Sequence[str]
) -> Iterator[dict[str, torch.Tensor]]:
    """Blocks of samples (n,) → pieces {head: codes (1, frames, head_dim)}; in all `frames_due`.

    A decoder whose heads share no states, an autoregressive one or a baseline's, begins every window anew; what it made
    of the last one is cross-faded like the rest.
    """
    if not isinstance(model.decoder, AutoregressiveDecoder | OwnDecoder):
        for states in hidden_states(model, blocks, identity, fps):
            with torch.inference_mode():
                yield {name: model.head(name)(states) for name in names}
        return

    def window(features: torch.Tensor, frames: int) -> torch.Tensor:
        codes = model.codes(features, identity, fps, frames, names)
        return torch.cat([codes[name] for name in names], -1)

    widths = [model.config.heads[name] for name in names]
    with torch.inference_mode():
        for piece in _windows(model, blocks, fps, window):
            yield dict(zip(names, piece.split(widths, -1), strict=True))


def frames_due(model: UniTalker, samples: int, fps: float) -> int:
    """Frames of a sound of so many samples: round(seconds · fps), or where the model counts features, those that come
    before the last window and those that its features fill."""
    if model.config.length == "clock":
        return frame_count(samples / SAMPLE_RATE, fps)
    later = max(0, samples - WINDOW_SECONDS * SAMPLE_RATE)
    origin = -(-later // STEP_SAMPLES) * STEP_SAMPLES
    return frame_count(origin / SAMPLE_RATE, fps) + model.frame_count(samples - origin, fps)


def hidden_states(
    model: UniTalker, blocks: Iterable[np.ndarray], identity: torch.Tensor, fps: float
) -> Iterator[torch.Tensor]:
    """Blocks of samples (n,) → pieces (1, frames, width) of hidden states; in all round(seconds · fps) frames."""
    shape = (model.config.adaptor, model.config.grid, model.config.decoder.kind)
    exact = isinstance(model.encoder, MiniEncoder) and shape == ("after_decoder", "clock", "tcn")

    def window(features: torch.Tensor, frames: int) -> torch.Tensor:
        return model.hidden(features, identity, fps, frames)

    with torch.inference_mode():
        yield from _exact(model, blocks, identity, fps) if exact else _windows(model, blocks, fps, window)


class MelStream:
    """Levelled log-mel of a sound that arrives in blocks; equal to that of the whole sound."""

    def __init__(self, encoder: MiniEncoder) -> None:
        self.encoder = encoder
        self.state = LevelState()
        self.device = encoder.filters.device
        self.held = torch.zeros(WINDOW // 2, device=self.device)
        self.samples = 0

    def push(self, block: np.ndarray) -> torch.Tensor:
        """Samples (n,) → the mel frames (M, 2·mels) that they complete, in whole blocks of MEL_BLOCK, perhaps none."""
        self.samples += len(block)
        samples = torch.as_tensor(np.ascontiguousarray(block, np.float32)).to(self.device)
        self.held = torch.cat([self.held, samples])
        ready = (len(self.held) - WINDOW) // HOP + 1
        return self._drain(ready // MEL_BLOCK * MEL_BLOCK)

    def finish(self) -> torch.Tensor:
        """The last mel frames, the sound followed by zeros; in all 2·(samples // 320 + TAIL) + 1 have come."""
        done = (self.samples + WINDOW // 2 - len(self.held)) // HOP
        wanted = MEL_PER_FEATURE * (self.samples // STEP + TAIL) + 1 - done
        need = (wanted - 1) * HOP + WINDOW
        self.held = torch.cat([self.held, self.held.new_zeros(max(0, need - len(self.held)))])
        return self._drain(wanted)

    def _drain(self, count: int) -> torch.Tensor:
        pieces = [self.held.new_zeros(0, 2 * self.encoder.config.mels)]
        while count > 0:
            now = min(count, MEL_BLOCK)
            piece = self.held[: (now - 1) * HOP + WINDOW]
            pieces.append(self.encoder.mel_features(piece[None], self.state)[0])
            self.held = self.held[now * HOP :]
            count -= now
        return torch.cat(pieces)


def mel_chunks(encoder: MiniEncoder, blocks: Iterable[np.ndarray]) -> Iterator[tuple[torch.Tensor, int]]:
    """(mel frames, total samples so far or −1 until the end is known) in pieces, then the last with the total."""
    stream = MelStream(encoder)
    for block in blocks:
        yield stream.push(block), -1
    yield stream.finish(), stream.samples


def _exact(
    model: UniTalker, blocks: Iterable[np.ndarray], identity: torch.Tensor, fps: float
) -> Iterator[torch.Tensor]:
    encoder, decoder = model.encoder, model.config.decoder
    assert isinstance(encoder, MiniEncoder)
    assert decoder.kind == "tcn"
    ahead = encoder.config.lookahead + sum(decoder.ahead)
    behind = encoder.frames_behind + 6
    mel, first = identity.new_zeros(0, 2 * encoder.config.mels), 0
    done, frames, last = 0, 0, identity.new_zeros(1, 0, model.config.decoder.width)
    for piece, samples in mel_chunks(encoder, blocks):
        mel = torch.cat([mel, piece])
        end = samples >= 0
        have = first + (len(mel) + 1) // MEL_PER_FEATURE
        while done < have and (end or have - done >= CHUNK_FEATURES + ahead):
            stop = min(done + CHUNK_FEATURES, have)
            cut = min(stop + ahead, have)
            window = mel[: MEL_PER_FEATURE * (cut - 1 - first) + 1]
            states = model.decoder(encoder.encode_mel(window[None]), identity)[:, done - first : stop - first]
            states = torch.cat([last, states], 1)
            origin = done - last.shape[1]
            total = frame_count(samples / SAMPLE_RATE, fps) if end else None
            out, frames = _between(states, origin, frames, fps, total, stop == have)
            if out.shape[1]:
                yield out
            last, done = states[:, -1:], stop
            keep = max(0, done - behind)
            mel, first = mel[MEL_PER_FEATURE * (keep - first) :], keep


def _between(
    states: torch.Tensor, origin: int, frames: int, fps: float, total: int | None, final: bool
) -> tuple[torch.Tensor, int]:
    """Hidden states of feature frames origin… → motion frames from `frames` on that lie before the last of them.

    total: number of motion frames in all, once the end of the sound is known; the final piece goes on to it.
    """
    stop = origin + states.shape[1] - 1
    until = int(np.ceil(stop * fps / FEATURE_RATE))
    if total is not None:
        until = total if final else min(until, total)
    until = max(until, frames)
    times = torch.arange(frames, until, dtype=torch.float64) * (FEATURE_RATE / fps)
    where = (times - origin).clamp(0, states.shape[1] - 1)
    low = where.floor().long()
    part = (where - low).float()[None, :, None].to(states.device)
    low = low.to(states.device)
    high = (low + 1).clamp(max=states.shape[1] - 1)
    return states[:, low] * (1 - part) + states[:, high] * part, until


def _windows(
    model: UniTalker,
    blocks: Iterable[np.ndarray],
    fps: float,
    window: Callable[[torch.Tensor, int], torch.Tensor],
) -> Iterator[torch.Tensor]:
    """window: features (1, T, F) of a window and its count of motion frames → what is made of it (1, frames, C)."""
    step = STEP_SAMPLES
    size = WINDOW_SECONDS * SAMPLE_RATE
    held, origin, tail = np.zeros(0, np.float32), 0, None
    for block, end in _with_end(blocks):
        held = np.concatenate([held, block])
        while len(held) > size or (end and len(held)):
            final = end and len(held) <= size
            start = frame_count(origin / SAMPLE_RATE, fps)
            stop = frame_count((origin + len(held[:size])) / SAMPLE_RATE, fps)
            count = stop - start
            if model.config.length == "features":
                count = model.frame_count(len(held[:size]), fps)
            if not count:
                return
            states = window(_features(model, held[:size], count), count)
            if tail is not None:
                states = _fade(tail, states)
            keep = stop - start if final else frame_count((origin + step) / SAMPLE_RATE, fps) - start
            out, tail = states[:, :keep], states[:, keep:]
            if out.shape[1]:
                yield out
            held, origin = (held[:0], origin) if final else (held[step:], origin + step)


def _features(model: UniTalker, samples: np.ndarray, frames: int) -> torch.Tensor:
    shortest = 400
    padded = np.pad(samples, (0, max(0, shortest - len(samples))))
    return model.features(torch.as_tensor(padded, dtype=torch.float32)[None].to(model.device), frames)


def _fade(tail: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """Cross-fade linearly from the end of the window before into the start of this one."""
    count = min(tail.shape[1], states.shape[1])
    ramp = torch.linspace(0, 1, count, device=states.device)[None, :, None]
    mixed = tail[:, :count] * (1 - ramp) + states[:, :count] * ramp
    return torch.cat([mixed, states[:, count:]], 1)


def _with_end(blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    for block in blocks:
        yield np.asarray(block, np.float32), False
    yield np.zeros(0, np.float32), True
