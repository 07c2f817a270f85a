"""The study kit: what the page shows and saves, and what its answers are worth."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from unitalker.audio import write_sound
from unitalker.audio.container import Film
from unitalker.cli import main
from unitalker.errors import ConfigError, DataError
from unitalker.evaluation.study.build import Look, build, sounds
from unitalker.evaluation.study.clips import QUESTIONS, side_of_a
from unitalker.evaluation.study.score import preference, score
from unitalker.evaluation.study.sides import side

RED, BLUE = (200, 20, 20), (20, 20, 200)
NAMES = ("one", "two words", "drei", "четыре", "five")


def films(folder: Path, colour: tuple[int, int, int], seconds: float = 1.0) -> Path:
    """A film of one colour for each name."""
    folder.mkdir()
    for name in NAMES:
        with Film(folder / f"{name}.mp4", (48, 64), 25) as film:
            for _ in range(round(25 * seconds)):
                film.picture(np.full((64, 48, 3), colour, np.uint8))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of red films (A) against blue ones (B)."""
    root = tmp_path_factory.mktemp("study")
    (root / "audio").mkdir()
    for name in NAMES:
        write_sound(root / "audio" / f"{name}.wav", np.zeros(16000, np.float32), 16000)
    pair = side(str(films(root / "red", RED))), side(str(films(root / "blue", BLUE)))
    build(*pair, sounds(root / "audio"), root / "out", seed=3, look=Look(size=64, fps=10))
    return root


def embedded(page: Path, part: str) -> dict:
    found = re.search(rf'<script id="{part}" type="application/json">(.*?)</script>', page.read_text(), re.S)
    assert found
    return json.loads(found[1])


def reddest(film: bytes) -> set[str]:
    """The sides on which the pictures of a film are red, by another reader than the one that wrote it."""
    import av

    found = set()
    with av.open(io.BytesIO(film)) as file:
        for frame in file.decode(video=0):
            image = frame.to_ndarray(format="rgb24").astype(int)
            left, right = image[:, 20:40].mean((0, 1)), image[:, -40:-20].mean((0, 1))
            found.add("left" if left[0] > 150 else "right" if right[0] > 150 else "none")
    return found


def test_films_show_a_on_the_side_that_the_key_tells(place: Path) -> None:
    key = json.loads((place / "out" / "study.json").read_text())
    shown = embedded(place / "out" / "index.html", "films")
    assert sorted(shown) == sorted(NAMES)
    for clip, film in shown.items():
        assert reddest(base64.b64decode(film)) == {key["a_is"][clip]}


def test_films_have_the_frames_and_the_sound_of_their_clip(place: Path) -> None:
    import av

    for film in embedded(place / "out" / "index.html", "films").values():
        with av.open(io.BytesIO(base64.b64decode(film))) as file:
            assert file.streams.video[0].frames == 10
            assert float(file.streams.audio[0].duration * file.streams.audio[0].time_base) == pytest.approx(
                1, abs=0.1
            )


def test_page_needs_nothing_else_and_does_not_tell_who_is_who(place: Path) -> None:
    text = (place / "out" / "index.html").read_text()
    assert "@@" not in text
    assert not re.search(r"https?://", text)
    told = embedded(place / "out" / "index.html", "study")
    assert set(told["questions"]) == set(QUESTIONS)
    assert not {"a", "b", "a_is"} & set(told)
    assert "red" not in told["clips"] and ">red<" not in text


def answers(place: Path, rater: str, choose: dict[str, str], /, **changes: object) -> Path:
    """A sheet of one person who takes the same side in all questions of a clip."""
    told = embedded(place / "out" / "index.html", "study")
    given = [{"clip": c, "question": q, "side": choose[c]} for c in told["clips"] for q in QUESTIONS]
    sheet = {"format": "unitalker.answers", "version": 1, "rater": rater, "answers": given}
    sheet |= {k: told[k] for k in ("study", "seed", "drawn_among", "clips")} | changes
    path = place / f"{rater}.json"
    path.write_text(json.dumps(sheet))
    return path


def test_who_prefers_red_is_counted_for_red(place: Path) -> None:
    """Sides are told from the pixels of the films, not from the key."""
    shown = embedded(place / "out" / "index.html", "films")
    red = {c: reddest(base64.b64decode(f)).pop() for c, f in shown.items()}
    blue = {c: "left" if s == "right" else "right" for c, s in red.items()}
    sheets = [answers(place, "one", red), answers(place, "two", red), answers(place, "three", blue)]
    (outcome,) = score(sheets, place / "out" / "study.json")
    assert (outcome.a, outcome.b, outcome.raters) == ("red", "blue", 3)
    assert {(p.question, p.preferred, p.answers) for p in outcome.preferences} == {
        (q, 10, 15) for q in QUESTIONS
    }
    (without,) = score(sheets[:1])
    assert (without.a, without.preferences[0].rate) == ("A", 1.0)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_every_side_shows_a_for_half_of_the_clips(n: int) -> None:
    names = [f"clip {i}" for i in range(n)]
    for seed in range(5):
        sides = side_of_a(seed, names)
        assert abs(list(sides.values()).count("left") - n / 2) <= 0.5
        assert sides == side_of_a(seed, names[::-1])
    if n == 40:
        drawn = [[side_of_a(seed, names)[c] == "left" for c in names] for seed in range(300)]
        assert np.abs(np.mean(drawn, 0) - 0.5).max() < 0.12


@pytest.mark.parametrize(("k", "n"), [(0, 12), (12, 12), (230, 308), (5, 9)])
def test_intervals_are_those_of_the_beta_distribution(k: int, n: int) -> None:
    from scipy.stats import beta

    found = preference("q", k, n)
    assert found.low == pytest.approx(beta.ppf(0.025, k, n - k + 1) if k else 0.0, abs=1e-9)
    assert found.high == pytest.approx(beta.ppf(0.975, k + 1, n - k) if k < n else 1.0, abs=1e-9)


def test_an_interval_holds_the_true_rate_often_enough() -> None:
    rng = np.random.default_rng(0)
    counts = rng.binomial(30, 0.7, 400)
    inside = [p.low <= 0.7 <= p.high for p in (preference("q", int(k), 30) for k in counts)]
    assert np.mean(inside) > 0.93


def test_a_clip_that_one_side_lacks_is_left_out_and_told(place: Path, tmp_path: Path, capsys) -> None:
    audio = tmp_path / "audio"
    audio.mkdir()
    for name in ("one", "nobody"):
        write_sound(audio / f"{name}.wav", np.zeros(8000, np.float32), 16000)
    flags = ["--audio", str(audio), "-o", str(tmp_path / "out"), "--size", "64", "--fps", "5"]
    assert main(["study", "build", str(place / "red"), str(place / "blue"), *flags]) == 1
    assert "nobody.wav was left out" in capsys.readouterr().err
    assert list(embedded(tmp_path / "out" / "index.html", "films")) == ["one"]


def test_a_folder_with_a_study_is_left_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers that people have given fit the key that is there."""
    before = (place / "out" / "study.json").read_bytes()
    flags = ["--audio", str(place / "audio"), "-o", str(place / "out"), "--size", "64", "--fps", "5"]
    assert main(["study", "build", str(place / "red"), str(place / "blue"), *flags]) == 2
    assert "holds a study already" in capsys.readouterr().err
    assert (place / "out" / "study.json").read_bytes() == before


def test_questions_that_are_left_out_are_counted(place: Path) -> None:
    left = dict.fromkeys(NAMES, "left")
    whole = json.loads(answers(place, "whole", left).read_text())["answers"]
    (outcome,) = score([answers(place, "some", left, answers=whole[:4])])
    assert (
        outcome.missing == len(whole) - 4 and f"{len(whole) - 4} questions were left out" in outcome.table()
    )


def test_a_film_that_ends_early_keeps_its_last_picture_and_is_told(place: Path, tmp_path: Path) -> None:
    audio = tmp_path / "audio"
    audio.mkdir()
    write_sound(audio / "one.wav", np.zeros(32000, np.float32), 16000)
    made = build(
        side(str(place / "red")),
        side(str(place / "blue")),
        sounds(audio),
        tmp_path / "out",
        look=Look(size=64, fps=10),
    )
    assert len(made.notes) == 2 and "before one.wav" in made.notes[0]


def test_a_model_is_filmed(tmp_path: Path) -> None:
    audio = tmp_path / "audio"
    audio.mkdir()
    write_sound(audio / "tone.wav", np.sin(np.arange(4000) / 20).astype(np.float32) / 3, 16000)
    made = build(
        side("mini"),
        side("mini", identity="grid/s1"),
        sounds(audio),
        tmp_path / "out",
        look=Look(size=64, fps=8),
    )
    assert made.clips == ("tone",)
    key = json.loads((tmp_path / "out" / "study.json").read_text())
    assert (key["a"], key["b"]) == ("mini", "mini (grid/s1)")


def test_faults_of_answers_are_sentences(place: Path, tmp_path: Path) -> None:
    left = dict.fromkeys(NAMES, "left")
    good = answers(place, "good", left)
    with pytest.raises(DataError, match="answers of one person"):
        score([good, answers(place, "again", left, rater="good")])
    with pytest.raises(DataError, match="answers of one person"):
        score([good, good])
    with pytest.raises(DataError, match="has no place in the study"):
        score([answers(place, "odd", dict.fromkeys(NAMES, "middle"))])
    with pytest.raises(DataError, match="has two answers"):
        twice = json.loads(good.read_text())["answers"]
        score([answers(place, "twice", left, answers=twice + twice[:1])])
    with pytest.raises(DataError, match="not a file of answers"):
        score([answers(place, "seedless", left, seed="3")])
    with pytest.raises(DataError, match="are empty"):
        score([answers(place, "empty", left, answers=[])])
    broken = tmp_path / "broken.json"
    broken.write_text('{"format": ')
    with pytest.raises(DataError, match="not valid JSON"):
        score([broken])
    key = place / "out" / "study.json"
    with pytest.raises(DataError, match="its seed is not that of the study's key"):
        score([answers(place, "changed", left, seed=json.loads(key.read_text())["seed"] + 1)], key)
    told = json.loads(key.read_text())
    key_of_fewer = tmp_path / "study.json"
    key_of_fewer.write_text(json.dumps(told | {"clips": told["clips"][1:]}))
    with pytest.raises(DataError, match="has no place in the study"):
        score([good], key_of_fewer)
    key_of_fewer.write_text(json.dumps(told | {"a_is": {}}))
    with pytest.raises(DataError, match="is not the key of a study"):
        score([good], key_of_fewer)
    with pytest.raises(DataError, match="is not the key"):
        score([answers(place, "other", left, study="f00")], place / "out" / "study.json")


def test_faults_of_building_are_sentences(place: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither a model nor a folder"):
        side("nothing-here")
    with pytest.raises(ConfigError, match="no use"):
        side(str(place / "red"), annotation="arkit52")
    with pytest.raises(DataError, match="no sound files"):
        sounds(tmp_path)
    with pytest.raises(ConfigError, match="0.5 to 120"):
        Look(seconds=0)
    with pytest.raises(DataError, match="No clip can be shown"):
        (tmp_path / "none").mkdir()
        empty = side(str(tmp_path / "none"))
        build(empty, empty, sounds(place / "audio"), tmp_path / "out")
