"""Pictures of video files: upright, of bounded size, in time with the sound, and faults as sentences."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from films import film, picture
from unitalker.audio import pictures as room
from unitalker.audio.pictures import open_pictures
from unitalker.errors import AudioError, DataError


def corner(path: Path, turn: int = 0, shape: tuple[float, float] = (1, 1)) -> Path:
    """An MP4 of 40 × 60 pixels, white in its upper left quarter, that says how it is to be turned and its pixels'
    shape."""
    import av

    image = np.zeros((40, 60, 3), np.uint8)
    image[:20, :30] = 255
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 60, 40, "yuv420p"
        video.codec_context.sample_aspect_ratio = Fraction(*shape)
        video.set_display_rotation(turn)
        for _ in range(3):
            file.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(video.encode(None))
    return path


@pytest.mark.parametrize(
    ("turn", "height", "white"),
    [(0, 40, (0, 0)), (90, 60, (1, 0)), (-90, 60, (0, 1)), (180, 40, (1, 1))],
)
def test_pictures_stand_upright(tmp_path: Path, turn: int, height: int, white: tuple[int, int]) -> None:
    """A turn counts counter-clockwise, as FFmpeg's display matrices do: upper left goes to lower left by 90 degrees."""
    with open_pictures(corner(tmp_path / "a.mp4", turn)) as video:
        (_, image), *others = video.frames()
    assert image.shape == (height, 100 - height, 3) and len(others) == 2
    quarters = image.reshape(2, height // 2, 2, -1, 3).mean((1, 3, 4))
    assert np.unravel_index(quarters.argmax(), (2, 2)) == white and quarters.max() > 200


def test_pixels_are_made_square_and_large_pictures_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_pictures(corner(tmp_path / "a.mp4", shape=(2, 1))) as video:
        assert next(video.frames())[1].shape == (40, 120, 3)
    with open_pictures(corner(tmp_path / "b.mp4", shape=(1, 2))) as video:
        assert next(video.frames())[1].shape == (80, 60, 3)
    monkeypatch.setattr(room, "LONGEST_SIDE", 30)
    with open_pictures(corner(tmp_path / "c.mp4")) as video:
        assert next(video.frames())[1].shape == (20, 30, 3)


def test_times_are_those_of_the_file(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.09, 0.5, 0.51]
    path = film(tmp_path / "a.mkv", times, lambda t: picture(t), np.zeros(16000))
    with open_pictures(path) as video:
        found = list(video.frames())
        assert video.seconds == pytest.approx(1, abs=0.1)
    assert [t for t, _ in found] == pytest.approx(times, abs=1e-3)
    assert [image[5, 5, 0] for _, image in found] == [round(t * 250) for t in times]


def test_faults_are_sentences(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.zeros(1000), 16000)
    (tmp_path / "text.mp4").write_text("no video at all")
    for name, kind, says in [
        ("a.wav", DataError, "has no pictures that can be read, only audio; give a video"),
        ("text.mp4", DataError, "is no video that can be read"),
        ("none.mp4", AudioError, "There is no file"),
    ]:
        with pytest.raises(kind, match=says), open_pictures(tmp_path / name):
            pass
    whole = corner(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DataError, match="half.mp4 has no pictures that can be read, nor sound; get a whole copy"
    ):
        every_picture(tmp_path / "half.mp4")


def every_picture(path: Path) -> list[tuple[float, np.ndarray]]:
    """Every picture of a file."""
    with open_pictures(path) as video:
        return list(video.frames())
