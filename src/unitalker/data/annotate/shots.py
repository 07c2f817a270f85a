"""A video's pictures as shots: stretches in which one face is tracked without a break.

A shot ends at a cut (the picture changes all at once), a jump (the face is suddenly elsewhere), a hole in the pictures,
where the face is lost for longer than is bridged, and where it becomes too long (then in the quietest moment of its
second half). One shot is held at a time, whatever the video's length.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from unitalker.data.annotate.trackers import Seen, Tracker
from unitalker.errors import DataError

CUT_SHARE, CUT_RATIO, CUT_MEMORY = 0.1, 4.0, 24
"""A cut: the mean change of the picture is above this share of full scale, and so many times the last change and the
median of the last ones."""
JUMP, GROWTH, TURN = 0.5, 1.3, 0.35
"""A jump, from one picture to the next: the middle of the face moves by more than this share of its size, its height
changes by more than this factor, or the head turns by more than these radians (20 degrees)."""
CROWD_SECONDS = 0.5
"""A video that shows several faces for longer than this, in all, is refused."""
HARDLY = 1.5
"""Of several faces another is followed when its area is larger by this factor."""
GRID = 48

Quiet = Callable[[float, float], float]
"""The quietest moment between two times, in seconds."""


@dataclass(frozen=True)
class Rules:
    """How a video is cut into clips, in seconds. bridge: without a face, interpolated. longest, shortest: of a clip;
    what is shorter is left out. largest: of several faces the largest is taken instead of refusing the video."""

    bridge: float = 0.2
    longest: float = 20.0
    shortest: float = 1.0
    largest: bool = False

    def check(self) -> None:
        """Raises DataError for lengths that leave no clip."""
        if not (self.bridge >= 0 and 0 < self.shortest <= self.longest / 2 < np.inf):
            raise DataError(
                "Clips need bridge ≥ 0 and 0 < shortest ≤ half of longest, not bridge "
                f"{self.bridge:g}, shortest {self.shortest:g} and longest {self.longest:g} s."
            )


@dataclass
class Shot:
    """Pictures of one face, the first and the last with it. times: seconds; seen: None where there is no face; ended:
    why it ends."""

    times: list[float] = field(default_factory=list)
    seen: list[Seen | None] = field(default_factory=list)
    ended: str = ""

    @property
    def seconds(self) -> float:
        """From the first picture to the last."""
        return self.times[-1] - self.times[0] if self.times else 0.0

    def part(self, first: int, last: int | None, ended: str) -> Shot:
        """The pictures first … last, those at the ends without a face left out."""
        times, seen = self.times[first:last], self.seen[first:last]
        found = [i for i, one in enumerate(seen) if one is not None]
        keep = slice(found[0], found[-1] + 1) if found else slice(0)
        return Shot(times[keep], seen[keep], ended)


class CutFinder:
    """Finds cuts by the change of a coarse copy of the picture."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._usual: deque[float] = deque(maxlen=CUT_MEMORY)

    def cut_before(self, image: np.ndarray) -> bool:
        """Whether this picture (H, W, 3) uint8 begins something new."""
        step = max(1, min(image.shape[:2]) // GRID)
        coarse = image[::step, ::step].astype(np.int16)
        last, self._last = self._last, coarse
        if last is None:
            return False
        if last.shape != coarse.shape:
            self._usual.clear()
            return True
        change = float(np.abs(coarse - last).mean()) / 255
        usual = max(self._usual[-1], float(np.median(self._usual))) if self._usual else 0.0
        self._usual.append(change)
        return change > CUT_SHARE and change > CUT_RATIO * usual


class Shots:
    """Makes shots of a video's pictures. counts: pictures, with a face, bridged ones, breaks by reason, and so on."""

    def __init__(self, tracker: Tracker, rules: Rules, quiet: Quiet, name: str) -> None:
        self.tracker, self.rules, self.quiet, self.name = tracker, rules, quiet, name
        self.counts: Counter[str] = Counter()
        self.crowd = self.left_out = 0.0
        self._shot = Shot()
        self._cuts = CutFinder()

    def run(self, frames: Iterable[tuple[float, np.ndarray]]) -> Iterator[Shot]:
        """Shots of at least `rules.shortest` seconds, as they end. Raises DataError for a crowd."""
        self.tracker.reset()
        last: float | None = None
        for seconds, image in frames:
            wait = 0.0 if last is None else seconds - last
            cut, last = self._cuts.cut_before(image), seconds
            if cut or wait > max(self.rules.bridge, 0.1):
                yield from self._end("cut" if cut else "hole")
                self.tracker.reset()
            seen = self._one(self.tracker.look(image, seconds), seconds, wait)
            yield from self._take(seconds, seen)
        yield from self._end("end")

    def _take(self, seconds: float, seen: Seen | None) -> Iterator[Shot]:
        """Add a picture to the shot; gives the shot where it ends before or with it."""
        self.counts["pictures"] += 1
        self.counts["with a face"] += seen is not None
        before = self._before()
        if seen and before and _jumped(before, seen):
            yield from self._end("jump")
        if not self._shot.times and seen is None:
            return
        self._shot.times.append(seconds)
        self._shot.seen.append(seen)
        if seen is None and seconds - self._last_found() > self.rules.bridge:
            yield from self._end("loss")
        elif self._shot.seconds > self.rules.longest:
            yield from self._halve()

    def _last_found(self) -> float:
        return next(
            t for t, s in zip(reversed(self._shot.times), reversed(self._shot.seen), strict=True) if s
        )

    def _end(self, why: str) -> Iterator[Shot]:
        whole, self._shot = self._shot, Shot()
        yield from self._told(whole.part(0, None, why))

    def _halve(self) -> Iterator[Shot]:
        """Give the first part of a shot that is too long, and go on with the rest."""
        whole, start = self._shot, self._shot.times[0]
        moment = self.quiet(start + self.rules.longest / 2, start + self.rules.longest)
        place = int(np.searchsorted(whole.times, moment))
        begin = next((i for i in range(place, len(whole.seen)) if whole.seen[i] is not None), len(whole.seen))
        self._shot = Shot(whole.times[begin:], whole.seen[begin:])
        yield from self._told(whole.part(0, place, "length"))

    def _told(self, shot: Shot) -> Iterator[Shot]:
        if not shot.times:
            return
        self.counts[shot.ended] += 1
        if shot.seconds < self.rules.shortest:
            self.counts["short"] += 1
            self.left_out += shot.seconds
            return
        self.counts["bridged"] += sum(s is None for s in shot.seen)
        yield shot

    def _largest(self, faces: Sequence[Seen]) -> Seen:
        """The largest face; the one followed so far where it is hardly smaller."""
        largest, before = max(faces, key=_size), self._before()
        if before is None:
            return largest
        same = min(faces, key=lambda face: float(np.linalg.norm(_middle(face) - _middle(before))))
        return same if _size(largest) < HARDLY * _size(same) else largest

    def _before(self) -> Seen | None:
        return next((s for s in reversed(self._shot.seen) if s is not None), None)

    def _one(self, faces: Sequence[Seen], seconds: float, wait: float) -> Seen | None:
        """The face, None where there is none or where several leave it open whose numbers they would be."""
        if len(faces) < 2:
            return faces[0] if faces else None
        self.counts["several"] += 1
        if self.rules.largest:
            return self._largest(faces)
        self.crowd += wait
        if self.crowd > CROWD_SECONDS:
            raise DataError(
                f"{self.name} shows {len(faces)} faces (at {seconds:.2f} s, and for more than {CROWD_SECONDS} s in "
                "all); cut the picture to one face, or take the largest with --largest."
            )
        return None


def _middle(face: Seen) -> np.ndarray:
    return np.zeros(2) if face.box is None else np.array(face.box).reshape(2, 2).mean(0)


def _size(face: Seen) -> float:
    if face.box is None:
        return 0.0
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)


def _jumped(before: Seen, now: Seen) -> bool:
    """Whether a face is suddenly elsewhere, of another size, or looks another way."""
    if (
        before.pose is not None
        and now.pose is not None
        and np.abs(now.pose[:3] - before.pose[:3]).max() > TURN
    ):
        return True
    if before.box is None or now.box is None:
        return False
    one, two = np.array(before.box).reshape(2, 2), np.array(now.box).reshape(2, 2)
    size, was = (np.maximum(box[1] - box[0], 1e-6) for box in (two, one))
    moved = (np.abs(one.mean(0) - two.mean(0)) / size > JUMP).any()
    return bool(moved or max(size[1] / was[1], was[1] / size[1]) > GROWTH)
