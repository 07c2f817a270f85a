"""Media files through PyAV (FFmpeg): sound out of any of them, films into MP4. `pictures.py` reads their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.audio.headers import mp3_counts_frames, ogg_missing_bytes, wav_missing_bytes
from unitalker.audio.sound import check_samples, scaled
from unitalker.errors import AudioError

FORMATS = (
    "wav,w64,aiff,au,caf,mp3,aac,ac3,eac3,flac,ogg,mov,mp4,m4a,matroska,webm,avi,mpegts,mpeg,flv,asf,amr,"
    "ape,tta,wv,dsf,mxf,dts,voc,rm,nut,loas,mpc,mpc8"
)
"""Demuxers that may open a file; not play lists and other text, which open further files or addresses."""

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Samples a second that AAC, the sound of an MP4, can hold."""

_BT709 = 1
_GAP_SECONDS = 0.05
_LEAD_SECONDS = 0.005
_LONGEST_GAP = 600.0
_SHORT_SECONDS = 0.25


@dataclass(frozen=True)
class SoundStream:
    """The sound of an open file. rate: its own samples a second. seconds: the length it states, or None."""

    path: Path
    codec: str
    container: str
    rate: int
    channels: int
    seconds: float | None
    _input: Any
    _stream: Any

    def blocks(self) -> Iterator[np.ndarray]:
        """Mono float32 blocks (n,) at the file's own rate: the mean of its channels.

        Time 0 is the start of the file: sound that begins later, or has a hole, is filled up with silence.
        Raises AudioError for damaged or missing sound.
        """
        origin = (self._input.start_time or 0) / 1_000_000
        done = 0
        for frame in self._frames():
            if frame.sample_rate != self.rate:
                raise AudioError(
                    f"{self.path} changes its sample rate from {self.rate} to {frame.sample_rate}; "
                    "convert it to one rate first."
                )
            gap = self._gap(frame, origin, done)
            yield from _silence(gap)
            samples = self._trimmed(_mono(frame, self.path.name), done + gap)
            done += gap + len(samples)
            if len(samples):
                yield samples
        self._check_length(done)

    def _frames(self) -> Iterator[Any]:
        """Decoded frames, damage told as AudioError."""
        from av.error import FFmpegError

        count = 0
        try:
            for frame in self._input.decode(self._stream):
                count += frame.samples
                yield frame
        except FFmpegError as error:
            raise AudioError(
                f"{self.path} is damaged or cut short after {count / self.rate:.2f} s ({reason(error)}); "
                "get a whole copy or cut it with an audio tool."
            ) from None

    def _gap(self, frame: Any, origin: float, done: int) -> int:
        """Samples of silence before a frame, from its time stamp."""
        if frame.pts is None or frame.time_base is None:
            return 0
        wait = float(frame.pts * frame.time_base) - origin - done / self.rate
        if wait > _LONGEST_GAP:
            raise AudioError(
                f"{self.path} has a hole of {wait:.0f} s in its sound at {done / self.rate:.2f} s."
            )
        return round(wait * self.rate) if wait > (_GAP_SECONDS if done else _LEAD_SECONDS) else 0

    def _trimmed(self, samples: np.ndarray, done: int) -> np.ndarray:
        """An MP4 states where its sound ends within the last coded frame; the padding after it is dropped."""
        if self.seconds is None or not self.container.startswith("mov"):
            return samples
        return samples[: max(round(self.seconds * self.rate) - done, 0)]

    def _check_length(self, done: int) -> None:
        found = done / self.rate
        if done == 0:
            raise AudioError(f"{self.path} has a sound track without a single sample; record it again.")
        if self.seconds is not None and found < self.seconds - _SHORT_SECONDS:
            raise AudioError(
                f"{self.path} is cut short: its header promises {self.seconds:.2f} s of sound, "
                f"but it ends after {found:.2f} s."
            )


@contextmanager
def open_sound(path: str | Path) -> Iterator[SoundStream]:
    """The sound of a media file, closed at the end. Raises AudioError when it cannot be had."""
    import av
    from av.error import FFmpegError

    file = existing(Path(path))
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{file.resolve()}", options=options)
    except FFmpegError as error:
        raise AudioError(
            f"{file} is no media file that can be read ({reason(error)}); "
            "use wav, mp3, m4a, ogg, opus, flac, mp4 or webm, whole and undamaged."
        ) from None
    with container:
        yield _sound_of(container, file)


def existing(path: Path) -> Path:
    """The path, when a regular, readable, non-empty file is there."""
    if path.is_dir():
        raise AudioError(f"{path} is a directory; name the sound file in it.")
    if not path.exists():
        raise AudioError(f"There is no file {path}; check the name.")
    if not path.is_file():
        raise AudioError(f"{path} is no regular file; save the sound to a file first.")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise AudioError(f"{path} cannot be read ({error.strerror}); check its permissions.") from None
    if empty:
        raise AudioError(f"{path} is empty (0 bytes); record or copy it again.")
    if missing := wav_missing_bytes(path) or ogg_missing_bytes(path):
        have = path.stat().st_size
        raise AudioError(
            f"{path} is cut short: its header promises {missing + have} bytes, but the file has {have}; "
            "get a whole copy."
        )
    return path


def _sound_of(container: Any, path: Path) -> SoundStream:
    stream = container.streams.best("audio")
    if stream is None:
        kinds = sorted({s.type for s in container.streams}) or ["nothing"]
        raise AudioError(f"{path} has no sound track, only {', '.join(kinds)}; give a file with sound.")
    if not stream.rate or stream.codec_context is None:
        raise AudioError(f"{path} has a sound track that no decoder here knows; convert it to wav or mp3.")
    return SoundStream(
        path=path,
        codec=stream.codec_context.name,
        container=container.format.name,
        rate=stream.rate,
        channels=stream.channels,
        seconds=_promised(container, stream, path),
        _input=container,
        _stream=stream,
    )


def _promised(container: Any, stream: Any, path: Path) -> float | None:
    """Seconds of sound that the file states itself; None where FFmpeg would only estimate."""
    name = container.format.name
    exact = name in {"wav", "w64", "flac", "aiff", "au", "caf"} or name.startswith("mov")
    if exact or (name == "mp3" and mp3_counts_frames(path)):
        return float(stream.duration * stream.time_base) if stream.duration else None
    if name.startswith("matroska") and len(container.streams) == 1 and container.duration:
        return container.duration / 1_000_000
    return None


def _mono(frame: Any, name: str) -> np.ndarray:
    """(n,) float32: the mean of a decoded frame's channels, checked."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    samples = check_samples(scaled(values, name), name)
    return samples[0] if len(samples) == 1 else samples.mean(axis=0, dtype=np.float32)


def _silence(count: int, block: int = 65536) -> Iterator[np.ndarray]:
    for start in range(0, count, block):
        yield np.zeros(min(block, count - start), np.float32)


def reason(error: Exception) -> str:
    """FFmpeg's own words, without its error number and file name."""
    return str(getattr(error, "strerror", None) or error).lower()


class Film:
    """An MP4 under way: H.264 (yuv420p, index in front) and, with `rate`, AAC.

    path: file to fill. size: (width, height), even. fps: pictures a second. rate: samples a second
    of mono sound. Use it as a context; pictures and sound each come in order.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float, rate: int | None = None) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        self._convert = VideoReformatter()
        self._file = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        picture: Any = self._file.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(1001), options={"preset": "veryfast", "crf": "19"}
        )
        picture.width, picture.height = size
        picture.pix_fmt = "yuv420p"
        context = picture.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = 1
        self._picture = picture
        self._sound = _aac(self._file, rate) if rate else None
        self._count = 0
        self._heard = 0

    def __enter__(self) -> Film:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._file.close()

    def picture(self, image: np.ndarray) -> None:
        """Adds one picture (height, width, 3) uint8 RGB."""
        import av

        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame = self._convert.reformat(frame, format="yuv420p", dst_colorspace=_BT709)
        frame.pts = self._count
        frame.time_base = 1 / self._picture.average_rate
        self._count += 1
        self._file.mux(self._picture.encode(frame))

    def sound(self, samples: np.ndarray) -> None:
        """Adds mono float32 samples (n,)."""
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        assert self._sound is not None
        frame.sample_rate = self._sound.rate
        frame.pts = self._heard
        frame.time_base = Fraction(1, self._sound.rate)
        self._heard += len(samples)
        self._file.mux(self._sound.encode(frame))

    def _flush(self) -> None:
        for stream in (self._picture, self._sound):
            if stream is not None:
                self._file.mux(stream.encode(None))


def _aac(file: Any, rate: int) -> Any:
    """A mono AAC track. AAC knows few rates; others raise AudioError."""
    if rate not in AAC_RATES:
        known = ", ".join(map(str, AAC_RATES))
        raise AudioError(f"MP4 sound has no rate of {rate} Hz; resample it to one of {known}.")
    stream = file.add_stream("aac", rate=rate)
    stream.layout = "mono"
    stream.bit_rate = min(128000, 6 * rate)
    return stream
