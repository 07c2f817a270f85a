"""Every unusable sound is told in one sentence that names it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unitalker import audio
from unitalker.errors import AudioError


def wav(path: Path, samples: np.ndarray | None = None, rate: int = 16000, **more: str) -> Path:
    soundfile.write(path, np.zeros(16000) if samples is None else samples, rate, **more)
    return path


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"There is no file .*none\.wav"):
        audio.read(tmp_path / "none.wav")


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="is a directory"):
        audio.read(tmp_path)


def test_device() -> None:
    if not Path("/dev/null").exists():
        pytest.skip("no /dev/null on this system")
    with pytest.raises(AudioError, match="no regular file"):
        audio.read("/dev/null")


@pytest.mark.parametrize(
    "text",
    [b"hello, I am a text\n" * 50, b"#EXTM3U\n#EXTINF:1,\nother.wav\n", b"RIFF\0\0\0\0JUNK", b"\0" * 4000],
)
def test_file_that_is_no_media(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(text)
    with pytest.raises(AudioError, match="is no media file that can be read"):
        audio.read(path)


def test_play_list_opens_nothing_else(tmp_path: Path) -> None:
    wav(tmp_path / "other.wav")
    lists = {
        "a.m3u8": "#EXTM3U\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n",
        "a.txt": "ffconcat version 1.0\nfile other.wav\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(AudioError, match="is no media file"):
            audio.read(tmp_path / name)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    with pytest.raises(AudioError, match=r"is empty \(0 bytes\)"):
        audio.read(tmp_path / "x.wav")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wav(tmp_path / "x.wav")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match="Permission denied.*check its permissions"):
        audio.read(path)


def test_film_without_sound(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "x.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    with pytest.raises(AudioError, match="has no sound track, only video"):
        audio.read(tmp_path / "x.mp4")


def test_no_samples(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="without a single sample"):
        audio.read(wav(tmp_path / "x.wav", np.zeros(0)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity(tmp_path: Path, bad: float) -> None:
    samples = np.zeros(50000, np.float32)
    samples[40000] = bad
    with pytest.raises(AudioError, match="NaN or infinite"):
        audio.read(wav(tmp_path / "x.wav", samples, subtype="FLOAT"))
    with pytest.raises(AudioError, match="the first at number 40000"):
        audio.from_array(samples, 16000)


def test_floats_on_the_scale_of_integers() -> None:
    with pytest.raises(AudioError, match=r"samples up to 20000, but floats must lie in \[-1, 1\]"):
        audio.from_array(np.full(100, 20000.0), 16000)


def test_mild_overshoot_is_clipped() -> None:
    assert audio.from_array(np.full(100, 1.5), 16000).samples.max() == 1.0


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.mp3", "x.ogg"])
def test_cut_short(tmp_path: Path, name: str) -> None:
    path = wav(tmp_path / name, np.random.default_rng(0).uniform(-0.3, 0.3, 48000))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match="cut short"):
        audio.read(path)


def test_wav_header_with_a_wrong_length_is_told_but_a_streamed_one_is_read(tmp_path: Path) -> None:
    path = wav(tmp_path / "x.wav", np.full(16000, 0.25))
    data = bytearray(path.read_bytes())
    where = data.index(b"data") + 4
    data[where : where + 4] = struct.pack("<I", 32000 * 3)
    path.write_bytes(data)
    with pytest.raises(AudioError, match="header promises 96044 bytes, but the file has 32044"):
        audio.read(path)
    data[where : where + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    assert len(audio.read(path)) == 16000


def test_start_and_end(tmp_path: Path) -> None:
    path = wav(tmp_path / "x.wav")
    for start, end, words in [
        (-1.0, None, "start must be seconds of 0 or more, not -1"),
        (0.0, float("nan"), "end must be seconds"),
        (0.5, 0.5, r"end \(0.5 s\) must be later than start \(0.5 s\)"),
        (1.0, None, "is 1.000 s long, so nothing starts at 1 s"),
        (0.2, 1.5, "is 1.000 s long, but end asks for 1.5 s"),
    ]:
        with pytest.raises(AudioError, match=words):
            audio.read(path, start=start, end=end)


def test_limit(tmp_path: Path) -> None:
    path = wav(tmp_path / "x.wav")
    assert len(audio.read(path, limit_seconds=1.0)) == 16000
    with pytest.raises(AudioError, match="more than the 0.5 s of sound allowed"):
        audio.read(path, limit_seconds=0.5)


def test_arrays_that_are_no_sound() -> None:
    with pytest.raises(AudioError, match=r"has shape \(2, 8\).*channel_axis"):
        audio.from_array(np.zeros((2, 8)), 16000)
    with pytest.raises(AudioError, match="holds no samples"):
        audio.from_array(np.zeros(0), 16000)
    with pytest.raises(AudioError, match="holds complex128 samples"):
        audio.from_array(np.zeros(8, complex), 16000)
    for rate in (0, -1, 16000.5, float("nan")):
        with pytest.raises(AudioError, match="sample rate"):
            audio.from_array(np.zeros(8), rate)
