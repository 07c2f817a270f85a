"""Videos to datasets with a tracker that reads known numbers off colours: clocks, cuts, losses, rest, memory, refusals."""

from __future__ import annotations

import json
import weakref
from pathlib import Path

import numpy as np
import pytest

from films import Colours, film, picture, speech
from unitalker.cli import main
from unitalker.data import annotate
from unitalker.data.annotate import Rules, Seen, annotate_videos
from unitalker.data.annotate.shots import CutFinder, Shots
from unitalker.data.dataset import Dataset, open_dataset
from unitalker.errors import DataError


def curve(at: np.ndarray | float) -> np.ndarray:
    """Jaw opening at times in seconds: slow enough for every clock here."""
    return 0.5 + 0.4 * np.sin(2 * np.pi * 0.8 * np.asarray(at))


def moving(time: float) -> np.ndarray:
    return picture(float(curve(time)))


def even(fps: float, seconds: float) -> np.ndarray:
    return np.arange(round(fps * seconds)) / fps


def jaw(dataset: Dataset, clip: int = 0) -> np.ndarray:
    return dataset.motion(dataset.clips[clip])[:, dataset.names.index("jawOpen")]


def run(paths: list[Path], out: Path, **options) -> annotate.Annotated:
    options = {"neutral": False} | options
    return annotate_videos(paths, out, options.pop("tracker", Colours()), **options)


def test_a_film_becomes_a_dataset(tmp_path: Path) -> None:
    sound = speech(4, [(1, 3)])
    made = run([film(tmp_path / "ta ke.mkv", even(25, 4), moving, sound)], tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    assert (dataset.annotation, dataset.fps, dataset.unit, dataset.known) == (
        "arkit52",
        25,
        "weight",
        ("jawOpen",),
    )
    (clip,) = dataset.clips
    assert (clip.id, clip.subject, clip.split, clip.seconds) == ("ta_ke_000", "ta_ke", "train", 4)
    assert np.abs(jaw(dataset) - curve(even(25, 4))).max() <= 0.5 / 250 + 1e-6
    others = dataset.motion(clip)[
        :, [i for i, n in enumerate(dataset.names) if n not in ("jawOpen", "mouthPucker")]
    ]
    assert others.shape == (100, 50) and not others.any()
    heard, rate = dataset.sound(clip)
    assert rate == 16000 and len(heard) == 64000 and np.abs(heard - sound).max() < 2 / 32768
    told = json.loads((tmp_path / "set/tracking.json").read_text())
    assert told["clips"]["ta_ke_000"]["confidence"] == 0.5
    pose = np.load(tmp_path / "set" / told["clips"]["ta_ke_000"]["pose"])
    assert pose.shape == (100, 6) and np.allclose(pose, [0.1, 0, 0, 0, 0, -0.5])
    assert made.notes[0] == "Weights by colour." and not made.refused
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == [
        "audio",
        "dataset.json",
        "motion",
        "pose",
        "tracking.json",
    ]


def test_a_varying_frame_rate_is_read_by_its_time_stamps(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    times = np.cumsum(np.concatenate([[0.0], rng.choice([0.017, 0.033, 0.05], 120)]))
    run([film(tmp_path / "a.mkv", times, moving, speech(5, []))], tmp_path / "set", fps=30)
    values = jaw(open_dataset(tmp_path / "set"))
    assert len(values) == int(times[-1] * 30 + 1e-6) + 1
    assert np.abs(values - curve(np.arange(len(values)) / 30)).max() < 0.012
    by_number = curve(times) - curve(np.arange(len(times)) / 30)
    assert np.abs(by_number).max() > 0.1


@pytest.mark.parametrize(("source", "fps"), [(60, 30), (24, 30), (29.97, 25)])
def test_other_frame_rates_keep_the_curve_in_time(tmp_path: Path, source: float, fps: float) -> None:
    run([film(tmp_path / "a.mkv", even(source, 4), moving, speech(4, []))], tmp_path / "set", fps=fps)
    values = jaw(open_dataset(tmp_path / "set"))
    inside = slice(20, len(values) - 20)
    assert np.abs(values - curve(np.arange(len(values)) / fps))[inside].max() < 0.004


def test_what_fewer_frames_cannot_hold_is_removed(tmp_path: Path) -> None:
    def shaken(time: float) -> np.ndarray:
        return picture(0.5 + 0.1 * np.cos(2 * np.pi * 24 * time))

    run([film(tmp_path / "a.mkv", even(60, 4), shaken, speech(4, []))], tmp_path / "set", fps=30)
    values = jaw(open_dataset(tmp_path / "set"))
    assert np.abs(values[30:-30] - 0.5).max() < 0.003


def test_short_losses_are_bridged_and_long_ones_split(tmp_path: Path) -> None:
    def lost(time: float) -> np.ndarray:
        gone = 1.0 <= time < 1.15 or 3.0 <= time < 3.5
        return picture(float(curve(time)), faces=not gone)

    made = run([film(tmp_path / "a.mkv", even(25, 6), lost, speech(6, []))], tmp_path / "set")
    first, second = json.loads((tmp_path / "set/tracking.json").read_text())["clips"].values()
    assert (first["start"], first["end"], first["ended"], first["bridged"]) == (0, 3, "loss", [[1.0, 1.12]])
    assert (second["start"], second["end"], second["bridged"]) == (3.52, 6, [])
    assert first["confidence"] == pytest.approx(0.5 * 71 / 75, abs=1e-4)
    values = jaw(made.dataset)
    gap = np.interp(even(25, 3)[25:29], [0.96, 1.16], curve(np.array([0.96, 1.16])))
    assert np.abs(values[25:29] - gap).max() < 0.003
    assert np.abs(jaw(made.dataset, 1) - curve(3.52 + even(25, 2.48))).max() < 0.003
    assert "split at losses of the face: 1; pictures without a face interpolated: 4" in made.notes[-1]
    start = round(3.52 * 16000)
    heard = made.dataset.sound(made.dataset.clips[1])[0]
    assert np.abs(heard - speech(6, [])[start : start + len(heard)]).max() < 2 / 32768


def test_cuts_jumps_and_holes_end_a_clip(tmp_path: Path) -> None:
    def scenes(time: float) -> np.ndarray:
        return picture(0.5, scene=0 if time < 2 else 200, place=0.5 if time < 4 else 0.8)

    times = [t for t in even(25, 8) if not 5.99 < t < 6.4]
    tracker = Colours()
    run([film(tmp_path / "a.mkv", times, scenes, speech(8, []))], tmp_path / "set", tracker=tracker)
    told = json.loads((tmp_path / "set/tracking.json").read_text())["clips"].values()
    spans = [(c["start"], c["end"], c["ended"]) for c in told]
    assert spans == [(0, 2, "cut"), (2, 4, "jump"), (4, 6, "hole"), (6.4, 8, "end")]
    assert tracker.resets == [0, 50, 150] and tracker.closed


def test_a_jump_is_a_leap_in_place_size_or_pose() -> None:
    def face(x: float = 0.5, half: float = 0.1, yaw: float = 0.0) -> Seen:
        box = (x - half, 0.5 - half, x + half, 0.5 + half)
        return Seen(np.zeros(2), box, np.array([yaw, 0, 0, 0, 0, 0]))

    for one, other, jumps in [
        (face(), face(0.55), False),
        (face(), face(0.65), True),
        (face(), face(half=0.12), False),
        (face(), face(half=0.14), True),
        (face(half=0.14), face(), True),
        (face(), face(yaw=0.2), False),
        (face(), face(yaw=-0.5), True),
        (Seen(np.zeros(2)), Seen(np.ones(2)), False),
    ]:
        shots = Shots(Colours(), Rules(shortest=0.01, longest=9), lambda low, high: low, "a")
        parts = [part for k in range(8) for part in shots._take(k / 25, one if k < 4 else other)]
        assert len(parts) == jumps


def test_fades_and_shaking_are_no_cuts() -> None:
    rng, finder = np.random.default_rng(0), CutFinder()
    faded = [np.full((90, 160, 3), 2 * i, np.uint8) for i in range(120)]
    shaken = [rng.integers(0, 255, (90, 160, 3), dtype=np.uint8) for _ in range(30)]
    found = [finder.cut_before(image) for image in [*faded, *shaken]]
    assert np.flatnonzero(found).tolist() == [120]


def test_long_shots_are_cut_where_nobody_speaks(tmp_path: Path) -> None:
    sound = speech(12, [(0, 4.2), (4.8, 8.9), (9.3, 12)])
    made = run(
        [film(tmp_path / "a.mkv", even(25, 12), moving, sound)], tmp_path / "set", rules=Rules(longest=6)
    )
    told = list(json.loads((tmp_path / "set/tracking.json").read_text())["clips"].values())
    assert [c["ended"] for c in told] == ["length", "length", "end"]
    assert 4.2 < told[0]["end"] < 4.8 and 8.9 < told[1]["end"] < 9.3
    assert [told[1]["start"], told[2]["start"]] == [told[0]["end"], told[1]["end"]]
    whole = np.concatenate([jaw(made.dataset, i) for i in range(3)])
    assert np.abs(whole - curve(even(25, 12))).max() < 0.003
    assert sum(len(made.dataset.sound(c)[0]) for c in made.dataset.clips) == 12 * 16000
    assert [c.split for c in made.dataset.clips] == ["train", "train", "val"]


def test_the_resting_face_is_taken_away(tmp_path: Path) -> None:
    def talks(time: float) -> np.ndarray:
        return picture(0.2 + 0.3 * (1.0 <= time < 3.0))

    path = film(tmp_path / "a.mkv", even(25, 4), talks, speech(4, [(1, 3)]))
    values = jaw(run([path], tmp_path / "set", neutral=True).dataset)
    assert np.allclose(values[:25], 0, atol=1e-3) and np.allclose(values[30:70], 0.3, atol=1e-3)
    pucker = open_dataset(tmp_path / "set").motion(open_dataset(tmp_path / "set").clips[0])
    assert not pucker[:, open_dataset(tmp_path / "set").names.index("mouthPucker")].any()
    kept = jaw(run([path], tmp_path / "kept").dataset)
    assert np.allclose(kept[:25], 0.2, atol=1e-3)


def test_rest_is_borrowed_from_the_video_and_its_absence_told(tmp_path: Path) -> None:
    def talks(time: float) -> np.ndarray:
        return picture(0.2 + 0.3 * (time >= 3.0), scene=200 * (time >= 3))

    sound = speech(6, [(2, 6)])
    made = run([film(tmp_path / "a.mkv", even(25, 6), talks, sound)], tmp_path / "set", neutral=True)
    assert np.allclose(jaw(made.dataset, 1), 0.3, atol=1e-3)
    assert made.notes[-1].endswith("relative to the rest of the whole video: a_001.")
    loud = film(tmp_path / "b.mkv", even(25, 3), moving, speech(3, [(0, 3)]))
    made = run([loud], tmp_path / "loud", neutral=True)
    assert made.notes[-1] == "b.mkv: no silence, so the resting face is still in its weights."
    assert np.abs(jaw(made.dataset) - curve(even(25, 3))).max() < 0.003


def test_several_faces_are_refused_or_the_largest_is_taken(tmp_path: Path, capsys) -> None:
    crowd = film(tmp_path / "b.mkv", even(25, 3), lambda t: picture(0.5, faces=2), speech(3, []))
    alone = film(tmp_path / "a.mkv", even(25, 3), moving, speech(3, []))
    made = run([crowd, alone], tmp_path / "set")
    assert [c.subject for c in made.dataset.clips] == ["a"]
    assert "b.mkv shows 2 faces (at 0.52 s, and for more than 0.5 s in all)" in made.refused[crowd]
    assert made.notes[-1].startswith("b.mkv: not used. b.mkv shows 2 faces")
    assert sorted(p.name for p in (tmp_path / "set/motion").iterdir()) == ["a_000.npy"]
    made = run([crowd], tmp_path / "largest", rules=Rules(largest=True))
    assert np.allclose(jaw(made.dataset), 0.4, atol=1e-3)


def test_of_faces_as_large_the_one_followed_stays() -> None:
    def face(x: float, half: float) -> Seen:
        return Seen(np.array([x, half]), (x - half, 0.5 - half, x + half, 0.5 + half))

    class Two(Colours):
        def look(self, image: np.ndarray, seconds: float) -> list[Seen]:
            wobble = 0.01 * np.sin(seconds * 90)
            return [face(0.2, 0.1 + wobble), face(0.8, 0.1 - wobble if seconds < 2 else 0.15)]

    shots = Shots(Two(), Rules(largest=True), lambda low, high: low, "a")
    parts = list(shots.run((k / 25, picture()) for k in range(100)))
    middles = [{s.values[0] for s in part.seen if s} for part in parts]
    assert len(parts) == 2 and all(len(m) == 1 for m in middles) and middles[1] == {0.8}


def test_splits_keep_videos_apart(tmp_path: Path) -> None:
    paths = [film(tmp_path / f"{i}.mkv", even(25, 2), moving, speech(2, [])) for i in range(4)]
    made = run(paths, tmp_path / "set", subject="anna")
    assert [(c.id, c.split) for c in made.dataset.clips] == [
        ("0_000", "train"),
        ("1_000", "train"),
        ("2_000", "val"),
        ("3_000", "test"),
    ]
    assert made.dataset.subjects == ("anna",)


def test_long_videos_stream() -> None:
    """A quarter of an hour: neither pictures nor numbers of more than one shot are held."""
    pictures: list[weakref.ref] = []
    numbers: list[weakref.ref] = []
    most = [0, 0]

    class Held(np.ndarray):
        pass

    class Counting(Colours):
        def look(self, image: np.ndarray, seconds: float) -> list[Seen]:
            values = np.zeros(2, np.float32).view(Held)
            numbers.append(weakref.ref(values))
            if len(numbers) % 500 == 0:
                for i, held in enumerate((pictures, numbers)):
                    held[:] = [ref for ref in held if ref() is not None]
                    most[i] = max(most[i], len(held))
            return [Seen(values)]

    def frames():
        for number in range(15 * 60 * 10):
            image = picture().view(Held)
            pictures.append(weakref.ref(image))
            yield number / 10, image

    shots = Shots(Counting(), Rules(longest=20), lambda low, high: (low + high) / 2, "a")
    count = sum(1 for _ in shots.run(frames()))
    assert count == 60 and shots.counts["pictures"] == 9000
    assert most[0] <= 3 and most[1] <= 500 + 203


class DummyFlame:
    """413 numbers, the jaw's turn as the picture's red; no face where its green is black."""

    def track(self, image: np.ndarray, seconds: float) -> np.ndarray | None:
        """See FlameTracker."""
        values = np.zeros(413)
        values[400], values[412] = image[5, 5, 0] / 250, 1
        return values if image[5, 5, 1] else None

    def reset(self) -> None:
        """See FlameTracker."""


def wrong() -> object:
    """Makes something that tracks nothing."""
    return 3


class Short(DummyFlame):
    """Gives too few numbers."""

    def track(self, image: np.ndarray, seconds: float) -> np.ndarray | None:
        """See FlameTracker."""
        return np.zeros(50)


def test_a_flame_tracker_is_plugged_in_by_name(tmp_path: Path, capsys) -> None:
    path = film(tmp_path / "a.mkv", even(25, 3), moving, speech(3, []))
    argv = ["data", "annotate", str(path), "-o", str(tmp_path / "set"), "--flame", f"{__name__}:DummyFlame"]
    assert main(argv) == 0
    dataset = open_dataset(tmp_path / "set")
    values = dataset.motion(dataset.clips[0])
    assert (dataset.annotation, dataset.unit, values.shape) == ("flame413", "flame", (75, 413))
    assert np.abs(values[:, dataset.names.index("jaw.x")] - curve(even(25, 3))).max() < 0.003
    assert np.allclose(values[:, 412], 1) and not (tmp_path / "set/pose").exists()
    assert f"FLAME parameters by the tracker {__name__}:DummyFlame." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tracker.py", "--flame takes module:function of an installed package"),
        ("../evil:make", "--flame takes module:function"),
        ("no_such_package:make", "No module named 'no_such_package'; is the package installed"),
        (f"{__name__}:absent", "has no attribute 'absent'"),
        (f"{__name__}:wrong", "made a int, which lacks track"),
    ],
)
def test_wrong_flame_trackers(name: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        annotate.flame_tracker(name)


def test_flame_numbers_are_checked(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", even(25, 2), moving, speech(2, []))
    with pytest.raises(DataError, match=r"shape \(50,\) at 0.000 s; it should give 413 finite numbers"):
        run([path], tmp_path / "set", tracker=annotate.flame_tracker(f"{__name__}:Short"))


def test_refusals(tmp_path: Path) -> None:
    silent = film(tmp_path / "silent.mkv", even(25, 2), moving, None)
    empty = film(tmp_path / "empty.mkv", even(25, 2), lambda t: picture(faces=0), speech(2, []))
    half = tmp_path / "half.mp4"
    half.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(500))
    for path, says in [
        (silent, "silent.mkv has no sound track, only video"),
        (empty, "empty.mkv gave no clip: 0 of 50 pictures show a face"),
        (half, "half.mp4 is no video that can be read"),
        (tmp_path / "none.mp4", "There is no file .*none.mp4"),
    ]:
        with pytest.raises(DataError, match=says):
            run([path], tmp_path / "set")
    assert not list((tmp_path / "set").glob("**/*.*"))
    good = film(tmp_path / "good.mkv", even(25, 2), moving, speech(2, []))
    run([good], tmp_path / "set")
    with pytest.raises(DataError, match="is a dataset already"):
        run([good], tmp_path / "set")
    with pytest.raises(DataError, match="0 < shortest ≤ half of longest"):
        run([good], tmp_path / "other", rules=Rules(shortest=15))
    with pytest.raises(DataError, match="between 10 and 120, not 5"):
        run([good], tmp_path / "other", fps=5)


def test_motion_ends_with_its_sound(tmp_path: Path) -> None:
    made = run([film(tmp_path / "a.mkv", even(25, 4), moving, speech(2.5, []))], tmp_path / "set")
    (clip,) = made.dataset.clips
    assert clip.seconds == pytest.approx(62 / 25) and len(jaw(made.dataset)) == 62


def test_annotated_videos_train_and_evaluate(tmp_path: Path, monkeypatch, capsys) -> None:
    sound = speech(12, [(0.5, 4), (5, 7), (8, 11)])
    made = run(
        [film(tmp_path / "a.mkv", even(25, 12), moving, sound)], tmp_path / "set", rules=Rules(longest=6)
    )
    monkeypatch.chdir(tmp_path)
    settings = ("steps=2", "warmup_steps=1", "batch=2", "crop_seconds=1", "precision=fp32", "phone_weight=0")
    settings += ("model.encoder.kind=mini", "model.encoder.width=8", "model.decoder.width=8")
    settings += ("model.adaptor=after_decoder", "model.grid=clock", "model.identities=[x/y]")
    settings += ("model.heads={arkit52: 52}", "model.default_annotation=arkit52")
    flags = [part for text in settings for part in ("--set", text)]
    assert main(["train", "--data", "set", "-o", "run", "--workers", "0", *flags]) == 0
    assert main(["evaluate", "run/model", "set", "-o", "figures.json"]) == 0
    assert json.loads(Path("figures.json").read_text())["facts"]["clips"] == len(made.dataset.split("val"))
