"""MediaPipe's landmarker on films of the built-in head, whose weights are known; its door and its pose without it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from unitalker.annotations.layouts import layout
from unitalker.data import tracker_mediapipe
from unitalker.data.annotate import annotate_videos
from unitalker.data.synthesize import rotation_columns
from unitalker.data.tracker_mediapipe import MediaPipeTracker, find_model, head_pose
from unitalker.errors import DataError
from unitalker.export import write
from unitalker.motion import Motion

MODEL = Path(__file__).parents[2] / "shared/assets/mediapipe_tracker/face_landmarker.task"


@pytest.fixture
def tracker():
    pytest.importorskip("mediapipe")
    if not MODEL.is_file():
        pytest.skip("the landmarker's model file is not here")
    return MediaPipeTracker(MODEL)


def test_the_built_in_head_is_tracked(tmp_path: Path, tracker: MediaPipeTracker) -> None:
    """Jaw and pucker, moved one after the other, come back, in time."""
    names, at = layout("arkit52").names, np.arange(75) / 25
    weights = np.zeros((75, 52), np.float32)
    jaw = 0.3 * np.sin(2 * np.pi * at) ** 2 * (at < 1.5)
    pucker = 0.5 * np.sin(np.pi * at / 1.5) ** 2 * (at >= 1.5)
    weights[:, names.index("jawOpen")], weights[:, names.index("mouthPucker")] = jaw, pucker
    sound = np.random.default_rng(0).standard_normal(48000).astype(np.float32) * 0.1
    write(Motion(weights, names, 25, "arkit52", "weight"), tmp_path / "head.mp4", sound=sound, size=256)
    made = annotate_videos([tmp_path / "head.mp4"], tmp_path / "set", tracker, neutral=False)
    (clip,) = made.dataset.clips
    values = made.dataset.motion(clip)
    assert values.shape == (75, 52) and not values[:, names.index("tongueOut")].any()
    told = {n: values[:, names.index(n)] for n in ("jawOpen", "mouthPucker")}
    assert np.corrcoef(told["jawOpen"], jaw)[0, 1] > 0.8
    assert np.corrcoef(told["mouthPucker"], pucker)[0, 1] > 0.8
    late = [np.corrcoef(np.roll(told["jawOpen"], -k)[3:-3], jaw[3:-3])[0, 1] for k in (-2, -1, 0, 1, 2)]
    assert int(np.argmax(late)) in (1, 2, 3)
    pose = np.load(tmp_path / "set/pose" / f"{clip.id}.npy")
    assert np.abs(pose[:, :3]).max() < 0.2 and -1 < pose[:, 5].mean() < -0.1


def test_a_reset_forgets_the_face(tracker: MediaPipeTracker) -> None:
    from unitalker.export.render import Renderer
    from unitalker.rig import builtin_head

    image = Renderer(builtin_head(), 256).frame()
    first = tracker.look(image, 0.0)[0].values
    for time in (0.04, 0.08):
        tracker.look(image, time)
    tracker.reset()
    again = tracker.look(image, 0.0)[0].values
    assert np.array_equal(first, again)
    tracker.close()


def test_head_pose_turns_as_the_rest_of_the_package_does() -> None:
    angles = np.array([0.2, -0.3, 0.1])
    columns = rotation_columns(angles[None])[0]
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1] = columns[:3], columns[3:]
    matrix[:3, 2] = np.cross(columns[:3], columns[3:])
    matrix[:3, 3] = 1, 2, -50
    pitch, yaw, roll = angles
    assert np.allclose(head_pose(matrix), [yaw, pitch, roll, 0.01, 0.02, -0.5], atol=1e-6)
    left = Rotation.from_euler("Y", 0.4).apply([0, 0, 1])
    assert left[0] > 0
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("Y", 0.4).as_matrix()
    assert head_pose(turned)[0] == pytest.approx(0.4)


def test_where_the_model_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(tracker_mediapipe.VARIABLE, raising=False)
    with pytest.raises(DataError, match="There is no tracker model .*unitalker/face_landmarker.task; give"):
        find_model(None)
    (tmp_path / "unitalker").mkdir()
    cached, named, given = (tmp_path / n for n in ("unitalker/face_landmarker.task", "named", "given"))
    for path in (cached, named, given):
        path.touch()
    assert find_model(None) == cached
    monkeypatch.setenv(tracker_mediapipe.VARIABLE, str(named))
    assert find_model(None) == named and find_model(given) == given


def test_a_wrong_model_and_a_missing_package_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "face_landmarker.task"
    model.write_bytes(b"nothing of the kind")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "mediapipe.tasks.python", None)
        with pytest.raises(DataError, match=r"pip install 'unitalker\[video\]'"):
            MediaPipeTracker(model)
    pytest.importorskip("mediapipe")
    with pytest.raises(DataError, match="is no face landmarker that mediapipe can read"):
        MediaPipeTracker(model)
