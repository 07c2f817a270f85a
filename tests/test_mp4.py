"""Films, read back with PyAV: frames, size, rate, sound in time, pictures that move, and nothing half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unitalker import audio
from unitalker.errors import AudioError, ExportError
from unitalker.export.mp4 import write_mp4
from unitalker.rig.rig import Material, Rig


@pytest.fixture
def rig() -> Rig:
    """Two quads, a face and a jaw that drops."""
    square = np.array([[-1, 0, 0], [1, 0, 0], [1, 1, 0], [-1, 1, 0]], np.float32) * 0.1
    vertices = np.concatenate([square, square - np.array([0, 0.1, 0], np.float32)])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]], np.int32)
    drop = np.zeros((1, 8, 3), np.float32)
    drop[0, 4:, 1] = -0.06
    return Rig(
        "box", vertices, faces, ("jawOpen",), drop, materials=(Material("skin", (0.7, 0.2, 0.1), 0, 4),)
    )


def frames(rig: Rig, count: int):
    for number in range(count):
        yield rig.pose(np.array([float(number == count - 1)]))


def streams(path: Path):
    import av

    with av.open(str(path)) as file:
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        kinds = {s.type: s for s in file.streams}
        facts = {
            "codecs": {k: s.codec_context.name for k, s in kinds.items()},
            "fps": float(file.streams.video[0].average_rate),
            "format": file.streams.video[0].codec_context.pix_fmt,
            "starts": {k: float((s.start_time or 0) * s.time_base) for k, s in kinds.items()},
        }
    return pictures, facts


@pytest.mark.parametrize("fps", [25, 30, 29.97, 60])
def test_a_film_holds_every_frame_and_the_sound_in_time(tmp_path: Path, rig: Rig, fps: float) -> None:
    sound = np.zeros(16000, np.float32)
    sound[8000:8020] = 0.9
    path = write_mp4(tmp_path / "x.mp4", frames(rig, round(fps)), rig, fps, sound, size=96)
    pictures, facts = streams(path)
    assert len(pictures) == round(fps)
    assert facts["fps"] == pytest.approx(fps, rel=1e-4)
    assert facts["codecs"] == {"video": "h264", "audio": "aac"}
    assert facts["format"] == "yuv420p"
    assert abs(facts["starts"]["video"] - facts["starts"]["audio"]) < 0.001
    heard = audio.read(path)
    assert abs(heard.seconds - 1.0) < 0.03
    assert abs(np.argmax(np.abs(heard.samples)) - 8010) <= 16
    assert [p.name for p in tmp_path.iterdir()] == ["x.mp4"]


def test_pictures_show_the_face_in_its_colours(tmp_path: Path, rig: Rig) -> None:
    from unitalker.export.render import Renderer

    pictures, _ = streams(write_mp4(tmp_path / "x.mp4", frames(rig, 5), rig, 25, size=128))
    assert pictures[0].shape == (128, 128, 3)
    assert np.std(pictures[0]) > 10
    still = Renderer(rig, 128, fine=2).frame().astype(float)
    assert np.abs(pictures[0] - still).mean() < 4
    moved = np.abs(pictures[-1].astype(float) - pictures[0]).mean(axis=-1) > 40
    assert moved.sum() > 300
    assert not moved[:50].any()


def test_the_index_stands_in_front(tmp_path: Path, rig: Rig) -> None:
    data = write_mp4(tmp_path / "x.mp4", frames(rig, 5), rig, 25, size=64).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 22255])
def test_sound_of_any_rate_keeps_its_length(tmp_path: Path, rig: Rig, rate: int) -> None:
    tone = 0.4 * np.sin(2 * np.pi * 500 * np.arange(rate // 2) / rate)
    path = write_mp4(tmp_path / "x.mp4", frames(rig, 13), rig, 25, tone, rate, size=64)
    heard = audio.read(path)
    assert abs(heard.seconds - 0.5) < 0.03
    assert np.sqrt(np.mean(heard.samples[2000:6000] ** 2)) == pytest.approx(0.4 / np.sqrt(2), rel=0.05)


def test_sound_may_come_in_blocks(tmp_path: Path, rig: Rig) -> None:
    tone = (0.4 * np.sin(2 * np.pi * 500 * np.arange(16000) / 16000)).astype(np.float32)
    whole = write_mp4(tmp_path / "a.mp4", frames(rig, 25), rig, 25, tone, size=64)
    parts = write_mp4(tmp_path / "b.mp4", frames(rig, 25), rig, 25, iter(np.split(tone, 10)), size=64)
    assert np.array_equal(audio.read(whole).samples, audio.read(parts).samples)


def test_only_a_few_frames_are_held(tmp_path: Path, rig: Rig) -> None:
    import weakref

    handed: list[weakref.ref] = []

    class Counted(np.ndarray):
        pass

    def counted():
        for vertices in frames(rig, 60):
            view = vertices.view(Counted)
            handed.append(weakref.ref(view))
            assert sum(ref() is not None for ref in handed) < 4
            yield view

    write_mp4(tmp_path / "x.mp4", counted(), rig, 30, size=32)


def test_a_film_that_fails_leaves_nothing_behind(tmp_path: Path, rig: Rig) -> None:
    def breaks():
        yield rig.vertices
        raise RuntimeError("stop")

    (tmp_path / "x.mp4").write_text("old")
    with pytest.raises(RuntimeError, match="stop"):
        write_mp4(tmp_path / "x.mp4", breaks(), rig, 25, size=32)
    with pytest.raises(ExportError, match="There are no frames to film"):
        write_mp4(tmp_path / "x.mp4", iter(()), rig, 25, size=32)
    with pytest.raises(AudioError, match="NaN"):
        write_mp4(tmp_path / "x.mp4", frames(rig, 3), rig, 25, np.full(4000, np.nan), size=32)
    assert (tmp_path / "x.mp4").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.mp4"]


def test_bad_input_is_told(tmp_path: Path, rig: Rig) -> None:
    for name, more, words in [
        ("x.avi", {}, r"written as \.mp4, not as 'x\.avi'"),
        ("x.mp4", {"size": 33}, "must be even, not 33; use 34"),
        ("x.mp4", {"fps": 0}, "1 to 240 frames a second, not 0"),
        ("x.mp4", {"view": "top"}, "There is no view 'top'"),
        ("no/x.mp4", {}, "there is no folder"),
        ("x.mp4", {"sound": np.zeros((2, 50))}, "sound of a film is mono"),
    ]:
        with pytest.raises(ExportError, match=words):
            write_mp4(tmp_path / name, frames(rig, 2), rig, **{"fps": 25, "size": 32, **more})
    assert not list(tmp_path.iterdir())
