"""ARKit weights of faces in pictures by MediaPipe's face landmarker. The only file that knows mediapipe.

The landmarker's numbers are taken by name: `_neutral`, which is no shape, is dropped, and there is no tongueOut.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.annotations.layouts import layout
from unitalker.data.annotate.trackers import Seen
from unitalker.data.importers.grid import KNOWN
from unitalker.errors import DataError

VARIABLE = "UNITALKER_FACE_LANDMARKER"
MODEL = "face_landmarker.task"
FACES = 2
"""Faces looked for: enough to know that there are several."""
BLACK = np.zeros((64, 64, 3), np.uint8)
CENTIMETRE = 0.01


def find_model(given: Path | None) -> Path:
    """The landmarker's model file: the one given, else the one that the environment variable UNITALKER_FACE_LANDMARKER
    names, else face_landmarker.task in the user's cache. Raises DataError, saying where it was looked for."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unitalker" / MODEL
    named = os.environ.get(VARIABLE)
    path = given or (Path(named) if named else cache)
    if not path.is_file():
        raise DataError(
            f"There is no tracker model {path}; give MediaPipe's {MODEL} with --tracker-model, by {VARIABLE}, "
            f"or put it at {cache}."
        )
    return path


class MediaPipeTracker:
    """MediaPipe's face landmarker as a `Tracker`. Raises DataError without the package or a model that it can read."""

    annotation, unit, known = "arkit52", "weight", KNOWN
    names = tuple(n for n in layout("mediapipe").names if n != "_neutral")

    def __init__(self, model: Path) -> None:
        self.model = model
        self._marker = self._open()
        self._stamp, self._origin = -1, 0
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        self.about = f"ARKit weights by the MediaPipe face landmarker, unsmoothed; model {model.name}, SHA-256 {digest}."

    def look(self, image: np.ndarray, seconds: float) -> Sequence[Seen]:
        """See Tracker.look."""
        import mediapipe  # pyright: ignore[reportMissingImports]

        self._stamp = max(self._stamp + 1, self._origin + round(seconds * 1000))
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        found = self._marker.detect_for_video(picture, self._stamp)
        return tuple(
            Seen(_weights(shapes, self.names), _box(marks), head_pose(np.asarray(turn)))
            for shapes, marks, turn in zip(
                found.face_blendshapes,
                found.face_landmarks,
                found.facial_transformation_matrixes,
                strict=True,
            )
        )

    def reset(self) -> None:
        """See Tracker.reset: in a black picture the landmarker loses the face that it follows."""
        if self._stamp >= 0:
            self._origin = self._stamp + 2
            self.look(BLACK, 0.0)

    def close(self) -> None:
        """See Tracker.close."""
        self._marker.close()

    def _open(self) -> Any:
        try:
            from mediapipe.tasks.python import BaseOptions, vision  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise DataError(
                "Tracking needs the package mediapipe; install it with: pip install 'unitalker[video]'."
            ) from None
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(self.model)),
            running_mode=vision.RunningMode.VIDEO,
            num_faces=FACES,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        try:
            return vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError, OSError) as fault:
            raise DataError(f"{self.model} is no face landmarker that mediapipe can read: {fault}") from None


def _weights(shapes: Sequence[Any], names: tuple[str, ...]) -> np.ndarray:
    """(51,) scores by name."""
    told = {shape.category_name: shape.score for shape in shapes}
    missing = [name for name in names if name not in told]
    if missing:
        raise DataError(f"The tracker's model does not tell {missing[0]}; it is no model of ARKit's shapes.")
    return np.array([told[name] for name in names], np.float32)


def _box(marks: Sequence[Any]) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of the landmarks, in shares of the picture."""
    places = np.array([(mark.x, mark.y) for mark in marks])
    (left, top), (right, bottom) = places.min(0), places.max(0)
    return float(left), float(top), float(right), float(bottom)


def head_pose(matrix: np.ndarray) -> np.ndarray:
    """(6,) pose as POSE_NAMES of the landmarker's (4, 4) matrix in centimetres, face to camera axes."""
    from scipy.spatial.transform import Rotation

    yaw, pitch, roll = Rotation.from_matrix(matrix[:3, :3]).as_euler("YXZ")
    return np.array([yaw, pitch, -roll, *(matrix[:3, 3] * CENTIMETRE)], np.float32)
