"""All measures of one clip from blocks of frames, so that memory does not grow with its length.

A clip's result is a row of sums. Sums of clips added up give the figures over all frames, and sums of clips drawn with
replacement give their intervals; `registry` says how a figure is read off them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from unitalker.evaluation.metrics.meshes import squared_norms
from unitalker.evaluation.metrics.mouth import Pair, moments, opening_difference
from unitalker.evaluation.metrics.phones import Timed, closures

BLOCK_BYTES = 2_000_000
"""Vertices that are looked at together: about what a processor's cache holds."""

Sums = dict[str, np.ndarray]


@dataclass(frozen=True)
class Regions:
    """What is measured where: vertices of the lips, the upper face, and of both lips where the mouth opens."""

    lips: np.ndarray | None = None
    upper_face: np.ndarray | None = None
    pair: Pair | None = None


def block_frames(vertices: int) -> int:
    """Frames in a block of meshes of so many vertices."""
    return max(4, BLOCK_BYTES // (12 * vertices))


class Side:
    """One side of a clip, the truth or a prediction: what it tells without the other.

    fps: frames a second. rest: (3,) from the lower to the upper lip of the neutral face, for the opening.
    """

    def __init__(self, fps: float, regions: Regions, rest: np.ndarray | None) -> None:
        self.fps, self.regions, self.rest = fps, regions, rest
        self.frames = 0
        self.jerk = 0.0
        self.gaps: list[np.ndarray] = []
        self._last: np.ndarray | None = None
        self._lips: np.ndarray | None = None
        self._first: np.ndarray | None = None
        self._speed = self._speed_squares = self._upper = self._upper_squares = np.zeros(0)

    def add(self, motion: np.ndarray) -> None:
        """Take displacements (n, V, 3), which follow those before."""
        self._add_speed(motion)
        if self.regions.lips is not None:
            self._add_jerk(motion[:, self.regions.lips])
        if self.regions.upper_face is not None:
            self._add_upper(squared_norms(motion[:, self.regions.upper_face]))
        if self.regions.pair is not None and self.rest is not None:
            upper, lower = self.regions.pair
            apart = motion[:, upper].mean(1) - motion[:, lower].mean(1)
            self.gaps.append(np.linalg.norm(apart + self.rest, axis=1))
        self.frames += len(motion)

    def _add_speed(self, motion: np.ndarray) -> None:
        known = motion if self._last is None else np.concatenate([self._last, motion])
        self._last = motion[-1:].copy()
        squares = squared_norms(np.diff(known, axis=0))
        if not self._speed.size:
            self._speed, self._speed_squares = np.zeros((2, motion.shape[1]))
        self._speed_squares += squares.sum(0, dtype=np.float64)
        self._speed += np.sqrt(squares, out=squares).sum(0, dtype=np.float64)

    def _add_jerk(self, lips: np.ndarray) -> None:
        known = lips if self._lips is None else np.concatenate([self._lips, lips])
        self._lips = known[-3:].copy()
        if len(known) > 3:
            third = np.sqrt(squared_norms(np.diff(known, 3, axis=0)))
            self.jerk += float(third.mean(1).sum(dtype=np.float64)) * self.fps**3

    def _add_upper(self, squares: np.ndarray) -> None:
        if self._first is None:
            self._first = squares[0]
            self._upper, self._upper_squares = np.zeros((2, squares.shape[1]))
        apart = (squares - self._first).astype(np.float64)
        self._upper += apart.sum(0)
        self._upper_squares += np.square(apart).sum(0)

    @property
    def dynamics(self) -> float:
        """See `metrics.dynamics`, of all frames so far."""
        return float(_deviation(self._upper, self._upper_squares, self.frames).mean())

    @property
    def jerks(self) -> np.ndarray:
        """(sum, frames) of the jerk."""
        return np.array([self.jerk, max(self.frames - 3, 0)])

    @property
    def speeds(self) -> np.ndarray:
        """(2, V) sums of speeds and of their squares, u/s."""
        return np.stack([self._speed * self.fps, self._speed_squares * self.fps**2])

    def maps(self) -> tuple[np.ndarray, np.ndarray]:
        """See `metrics.velocity_maps`, of all frames so far."""
        return speed_maps(self.speeds, self.frames - 1)

    @property
    def gap(self) -> np.ndarray:
        """The mouth's opening, (T,)."""
        return np.concatenate(self.gaps)


def speed_maps(sums: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of speeds from sums (2, V) of `count` speeds a vertex."""
    count = max(count, 1)
    return sums[0] / count, _deviation(sums[0], sums[1], count)


class ClipMeter:
    """Measures of one clip: its truth against one prediction, or several of different styles.

    styles: number of predictions; sums are over all of them. See Side for the others.
    """

    def __init__(self, fps: float, regions: Regions, rest: np.ndarray | None = None, styles: int = 1) -> None:
        self.regions, self.fps, self.rest = regions, fps, rest
        self.truth = Side(fps, regions, rest)
        self.predictions = [Side(fps, regions, rest) for _ in range(styles)]
        self.error = np.zeros(0)
        self._sums: dict[str, float] = {}
        self._lips: list[list[np.ndarray]] = [[] for _ in range(styles)]
        self._diverse = 0.0

    def add(self, truth: np.ndarray, predictions: Sequence[np.ndarray]) -> None:
        """Take displacements (n, V, 3) of the truth and of each prediction, in one unit."""
        if not self.error.size:
            self.error = np.zeros(truth.shape[1])
        self.truth.add(truth)
        for side, predicted, lips in zip(self.predictions, predictions, self._lips, strict=True):
            side.add(predicted)
            self._add_errors(truth, predicted, lips)
        if self.regions.lips is not None:
            resting = squared_norms(truth[:, self.regions.lips]).max(1)
            self._grow("rest", len(predictions) * float(resting.sum(dtype=np.float64)))
        for one, other in combinations(predictions, 2):
            self._diverse += float(np.sqrt(squared_norms(one - other)).mean(1).sum(dtype=np.float64))

    def _add_errors(self, truth: np.ndarray, predicted: np.ndarray, lips: list[np.ndarray]) -> None:
        squares = squared_norms(truth - predicted)
        if self.regions.lips is not None:
            worst = np.take(squares, self.regions.lips, axis=1).max(1)
            lips.append(worst)
            self._grow("lve", float(worst.sum(dtype=np.float64)))
            self._grow("lvd", float(np.sqrt(worst).sum(dtype=np.float64)))
        apart = np.sqrt(squares, out=squares)
        self._grow("mve", float(apart.mean(1).sum(dtype=np.float64)))
        if self.regions.upper_face is not None:
            upper = np.take(apart, self.regions.upper_face, axis=1)
            self._grow("ufve", float(upper.mean(1).sum(dtype=np.float64)))
        self.error += apart.sum(0, dtype=np.float64)

    @property
    def lip_errors(self) -> np.ndarray | None:
        """LVE of each frame, (styles, T) u²; None where no lips are known."""
        known = self.regions.lips is not None and self._lips[0]
        return np.stack([np.concatenate(one) for one in self._lips]) if known else None

    def _grow(self, name: str, value: float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value

    def sums(self, phones: Timed = ()) -> Sums:
        """Name → sums of the clip. phones: (start, end, symbol) where they are known."""
        frames, styles = self.truth.frames, len(self.predictions)
        resting = self._sums.get("rest")
        out = {name: np.array([v, frames * styles]) for name, v in self._sums.items() if name != "rest"}
        if resting is not None:
            out["over_rest"] = np.array([self._sums["lve"], resting])
        if self.regions.lips is not None:
            out["jitter"] = np.sum([side.jerks for side in self.predictions], axis=0)
            out["jitter_truth"] = self.truth.jerks * styles
        for side in self.predictions:
            for name, values in self._of(side, phones).items():
                out[name] = out.get(name, 0.0) + values
        if styles > 1:
            pairs = styles * (styles - 1) / 2
            out["diversity"] = np.array([self._diverse / pairs / max(frames, 1), 1.0])
        return out

    def _of(self, side: Side, phones: Timed) -> Sums:
        """Sums that are not added frame by frame, of one prediction."""
        means, deviations = (
            float(np.abs(real - made).mean())
            for real, made in zip(self.truth.maps(), side.maps(), strict=True)
        )
        out = {"velocity_mean": np.array([means, 1.0]), "velocity_std": np.array([deviations, 1.0])}
        if self.regions.upper_face is not None:
            gap = self.truth.dynamics - side.dynamics
            out |= {"fdd": np.array([gap, 1.0]), "fdd_clips": np.array([abs(gap), 1.0])}
        if self.regions.pair is not None and self.rest is not None:
            out |= self._mouth(self.truth.gap, side.gap, float(np.linalg.norm(self.rest)), phones)
        return out

    def _mouth(self, truth: np.ndarray, made: np.ndarray, rest: float, phones: Timed) -> Sums:
        away = opening_difference(truth, made)
        out = {
            "mod": np.array([away.sum(), len(away)]),
            "opening": moments(truth, made, self.fps).reshape(-1),
        }
        if phones:
            for suffix, gap in (("", made - rest), ("_truth", truth - rest)):
                met = closures(gap, self.fps, phones)
                out |= {f"{name}{suffix}": np.array(pair, np.float64) for name, pair in met.items()}
        return out


@dataclass
class Maps:
    """Sums of speeds and errors over all sequences, for maps on the head."""

    speeds: np.ndarray | None = None
    counts: tuple[int, int] = (0, 0)
    error: np.ndarray | None = None
    frames: int = 0

    def add(self, meter: ClipMeter) -> None:
        """Take a clip that was measured."""
        pairs, styles = max(meter.truth.frames - 1, 0), len(meter.predictions)
        speeds = np.stack([meter.truth.speeds, sum(side.speeds for side in meter.predictions)])
        self.speeds = speeds if self.speeds is None else self.speeds + speeds
        self.counts = (self.counts[0] + pairs, self.counts[1] + pairs * styles)
        self.error = meter.error if self.error is None else self.error + meter.error
        self.frames += meter.truth.frames * styles

    def arrays(self) -> dict[str, np.ndarray]:
        """Name → (V,) float32."""
        if self.speeds is None or self.error is None:
            return {}
        out = {"error": self.error / self.frames}
        for name, sums, count in zip(("truth", "prediction"), self.speeds, self.counts, strict=True):
            out[f"velocity_mean_{name}"], out[f"velocity_std_{name}"] = speed_maps(sums, count)
        return {name: values.astype(np.float32) for name, values in out.items()}


def _deviation(total: np.ndarray, squares: np.ndarray, count: int) -> np.ndarray:
    """Standard deviation from sums of values and of their squares."""
    mean = total / count
    return np.sqrt(np.maximum(squares / count - np.square(mean), 0))
