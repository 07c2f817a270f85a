"""Reading sound, compared with closed-form tones, soundfile and scipy, for every container."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from unitalker import audio
from unitalker.errors import AudioError

CODECS = {
    "x.wav": ("pcm_s16le", 44100),
    "x.flac": ("flac", 44100),
    "x.mp3": ("libmp3lame", 44100),
    "x.m4a": ("aac", 44100),
    "x.mp4": ("aac", 48000),
    "x.opus": ("libopus", 48000),
    "x.webm": ("libopus", 48000),
    "x.mka": ("flac", 48000),
}


def tone(rate: int, seconds: float, hertz: float = 440.0, height: float = 0.5) -> np.ndarray:
    return (height * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def encode(path: Path, codec: str, rate: int, samples: np.ndarray, delay: float = 0.0) -> Path:
    """Mono samples in a container by PyAV alone."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, round(delay * rate)
        frame.time_base = Fraction(1, rate)
        convert = av.AudioResampler(stream.format.name, "mono", rate, frame_size=stream.frame_size or 1024)
        for part in [*convert.resample(frame), *convert.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", CODECS)
def test_every_container_keeps_length_level_and_the_time_of_a_click(tmp_path: Path, name: str) -> None:
    codec, rate = CODECS[name]
    samples = tone(rate, 2.0, height=0.1)
    samples[round(0.7 * rate)] = 0.95
    sound = audio.read(encode(tmp_path / name, codec, rate, samples))
    assert sound.samples.dtype == np.float32
    assert sound.rate == 16000
    assert sound.name == name
    assert abs(sound.seconds - 2.0) < 0.021
    click = np.argmax(np.abs(sound.samples)) / 16000
    assert abs(click - 0.7) <= 0.001
    middle = sound.samples[16000:30000]
    assert abs(np.sqrt(np.mean(middle**2)) - 0.1 / np.sqrt(2)) < 0.004


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("extra", [0, 1, 7])
def test_pcm_has_exactly_the_rounded_number_of_samples(tmp_path: Path, rate: int, extra: int) -> None:
    count = rate + extra
    soundfile.write(tmp_path / "x.wav", tone(rate, 2.0)[:count], rate)
    assert len(audio.read(tmp_path / "x.wav")) == round(count / rate * 16000)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_the_container_does_not_change_a_bit(tmp_path: Path, subtype: str) -> None:
    whole = np.round(tone(44100, 3.0, 523.0) * 32767).astype(np.int16)
    for name in ("x.wav", "x.flac"):
        soundfile.write(tmp_path / name, whole, 44100, subtype=subtype)
    wav, flac = audio.read(tmp_path / "x.wav"), audio.read(tmp_path / "x.flac")
    assert np.array_equal(wav.samples, flac.samples)
    assert wav.sha256 == flac.sha256
    assert np.array_equal(audio.from_array(whole, 44100).samples, wav.samples)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_sample_formats_agree_with_soundfile(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "x.wav", tone(16000, 0.5), 16000, subtype=subtype)
    theirs = soundfile.read(tmp_path / "x.wav", dtype="float32")[0]
    assert np.array_equal(audio.read(tmp_path / "x.wav").samples, theirs)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(16000, 0.5, 300.0, 0.8), tone(16000, 0.5, 700.0, 0.2)
    soundfile.write(tmp_path / "x.wav", np.stack([left, right], 1), 16000, subtype="FLOAT")
    assert np.allclose(audio.read(tmp_path / "x.wav").samples, (left + right) / 2, atol=1e-7)
    assert np.allclose(
        audio.from_array(np.stack([left, right]), 16000, channel_axis=0).samples, (left + right) / 2
    )


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
@pytest.mark.parametrize("hertz", [100.0, 1000.0, 4000.0, 7000.0])
def test_tones_pass_unchanged(rate: int, hertz: float) -> None:
    ours = audio.from_array(tone(rate, 1.0, hertz), rate).samples
    assert np.abs(ours - tone(16000, 1.0, hertz))[400:-400].max() < 5e-4


@pytest.mark.parametrize("hertz", [9000.0, 12000.0, 20000.0])
def test_tones_above_eight_kilohertz_do_not_fold_back(hertz: float) -> None:
    ours = audio.from_array(tone(44100, 1.0, hertz), 44100).samples
    assert np.abs(ours[400:-400]).max() < 1e-4


def test_resampling_agrees_with_scipy() -> None:
    noise = np.convolve(np.random.default_rng(0).standard_normal(48000), np.hanning(24), "same")
    noise = (noise / np.abs(noise).max() / 2).astype(np.float32)
    theirs = resample_poly(noise.astype(np.float64), 1, 3, window=("kaiser", 14.0))
    ours = audio.from_array(noise, 48000).samples
    assert np.corrcoef(ours[400:-400], theirs[400:-400])[0, 1] > 0.9999


@settings(max_examples=20, deadline=None)
@given(start=st.floats(0, 1.4), length=st.floats(0.01, 0.5), block=st.integers(1, 20000))
def test_a_part_is_that_part_of_the_whole(tmp_path_factory, start: float, length: float, block: int) -> None:
    path = tmp_path_factory.getbasetemp() / "part.flac"
    if not path.exists():
        soundfile.write(path, np.random.default_rng(1).uniform(-0.5, 0.5, 44100 * 2), 44100)
    whole = audio.read(path).samples
    blocks = list(audio.stream(path, start=start, end=start + length, block=block))
    first, last = round(start * 16000), round((start + length) * 16000)
    assert np.array_equal(np.concatenate(blocks), whole[first:last])
    assert all(len(b) == block for b in blocks[:-1])
    assert len(blocks[-1]) <= block


def test_sound_that_starts_late_is_led_by_silence(tmp_path: Path) -> None:
    import av

    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as file:
        picture = file.add_stream("libx264", rate=25)
        picture.width = picture.height = 64
        sound = file.add_stream("pcm_s16le", rate=16000)
        sound.layout = "mono"
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            frame.pts = number
            file.mux(picture.encode(frame))
        file.mux(picture.encode(None))
        late = av.AudioFrame.from_ndarray(np.full((1, 8000), 9999, np.int16), format="s16", layout="mono")
        late.sample_rate, late.pts, late.time_base = 16000, 8000, Fraction(1, 16000)
        file.mux(sound.encode(late))
        file.mux(sound.encode(None))
    samples = audio.read(path).samples
    assert len(samples) == 16000
    assert not samples[:7990].any()
    assert (samples[8010:] > 0.3).all()


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """An hour of sound passes in blocks while the peak of all allocations stays at a few of them."""
    import tracemalloc

    path = tmp_path / "long.flac"
    second = np.tile(np.round(tone(8000, 1.0) * 32767).astype(np.int16), 60)
    with soundfile.SoundFile(path, "w", 8000, 1, subtype="PCM_16") as file:
        for _ in range(60):
            file.write(second)
    tracemalloc.start()
    count = sum(len(block) for block in audio.stream(path, block=160000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 3600 * 16000
    assert peak < 8_000_000


def test_probe_tells_what_the_file_states(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros((22050, 2)), 22050)
    found = audio.probe(tmp_path / "x.wav")
    assert (found.seconds, found.codec, found.rate, found.channels) == (1.0, "pcm_s16le", 22050, 2)


def test_real_recordings_read_as_soundfile_reads_them() -> None:
    folder = Path(__file__).parents[2] / "shared" / "assets" / "audio_samples"
    if not folder.is_dir():
        pytest.skip("the recordings of ../shared are not here")
    for path in sorted(folder.glob("*.flac")):
        theirs, rate = soundfile.read(path, dtype="float32")
        assert np.array_equal(audio.read(path).samples, audio.from_array(theirs, rate).samples), path.name


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_written_sound_reads_back(tmp_path: Path, suffix: str) -> None:
    samples = np.round(tone(16000, 0.3) * 32768) / 32768
    path = audio.write_sound(tmp_path / f"x{suffix}", samples)
    assert np.array_equal(audio.read(path).samples, samples.astype(np.float32))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_writing_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"use \.wav, \.flac, \.ogg"):
        audio.write_sound(tmp_path / "x.mp9", np.zeros(8))
    with pytest.raises(AudioError, match="Cannot write"):
        audio.write_wav(tmp_path / "no" / "x.wav", np.zeros(8))
    with pytest.raises(AudioError, match=r"must end in \.wav"):
        audio.write_wav(tmp_path / "x.flac", np.zeros(8))
    assert not list(tmp_path.iterdir())
