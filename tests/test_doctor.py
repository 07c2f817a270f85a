"""The doctor finds what was planted, and nothing where nothing was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from doctor_sets import FPS, NAMES, RATE, Spoil, heard, late, with_clip, write_set
from unitalker.annotations.layouts import mirrored_name
from unitalker.data.dataset import open_dataset
from unitalker.data.importers.expected import Expected
from unitalker.errors import DataError, ModelError
from unitalker.evaluation.doctor.counts import absent, count
from unitalker.evaluation.doctor.examine import Examination, examine
from unitalker.evaluation.doctor.plots import draw
from unitalker.evaluation.doctor.predictor import Heard
from unitalker.evaluation.doctor.report import MEASURES, Report

RNG = np.random.default_rng(1)


def kinds(seen: Examination, number: int) -> set[str]:
    return {f.kind for f in seen.findings[number]}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Examination:
    return examine(write_set(tmp_path_factory.mktemp("sets") / "healthy"), heard)


def test_a_healthy_set_has_no_findings_and_no_offset(healthy: Examination) -> None:
    assert [f for found in healthy.findings for f in found] == []
    assert max(abs(s.numbers["offset_ms"]) for s in healthy.sequences) <= 10
    assert min(s.numbers["offset_confidence"] for s in healthy.sequences) > 0.9


def swapped(motion: np.ndarray, names: dict[str, str]) -> np.ndarray:
    return motion[:, [NAMES.index(names.get(n, n)) for n in NAMES]]


def clipped(motion: np.ndarray) -> np.ndarray:
    return np.minimum(motion, 0.6 * motion.max(0))


def frozen(motion: np.ndarray) -> np.ndarray:
    held = motion.copy()
    held[60:75] = held[60]
    return held


def repeated(motion: np.ndarray) -> np.ndarray:
    held = motion.copy()
    held[5::5] = held[4:-1:5]
    return held


def dropped(motion: np.ndarray) -> np.ndarray:
    return np.concatenate([motion[:80], motion[89:], motion[-9:] + 1e-3 * RNG.random((9, 15))])


GAZE = {"eyeLookInLeft": "eyeLookInRight", "eyeLookInRight": "eyeLookInLeft"}
PLANTED: dict[str, tuple[str, Spoil]] = {
    "late": ("offset", lambda m, s: late(m, s, 0.2)),
    "early": ("offset", lambda m, s: late(m, s, -0.3)),
    "short": ("duration", lambda m, s: (m[:-12], s)),
    "frozen": ("frozen", lambda m, s: (frozen(m), s)),
    "repeated": ("repeated", lambda m, s: (repeated(m), s)),
    "dropped": ("slip", lambda m, s: (dropped(m), s)),
    "trembling": ("jitter", lambda m, s: (m + 0.15 * m.std() * RNG.standard_normal(m.shape), s)),
    "cut off": ("clipped motion", lambda m, s: (clipped(m), s)),
    "out of range": ("range", lambda m, s: (1.6 * m - 0.2, s)),
    "percent": ("scale", lambda m, s: (100 * m, s)),
    "ten times less": ("scale", lambda m, s: (0.1 * m, s)),
    "mirrored": ("sides", lambda m, s: (swapped(m, {n: mirrored_name(n) for n in NAMES}), s)),
    "crossed eyes": ("sides", lambda m, s: (swapped(m, GAZE), s)),
    "silent": ("silent", lambda m, s: (m, 1e-4 * s)),
    "distorted": ("clipped sound", lambda m, s: (m, np.clip(s, -0.1, 0.1))),
    "of another": ("mismatch", lambda m, s: (m, s[::-1])),
    "still": ("still", lambda m, s: (np.repeat(m[40:41], len(m), axis=0), s)),
    "hole": ("not finite", lambda m, s: (np.where(np.arange(len(m))[:, None] == 9, np.nan, m), s)),
}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Examination:
    faults = {2 * i + 1: spoil for i, (_, spoil) in enumerate(PLANTED.values())}
    return examine(
        write_set(tmp_path_factory.mktemp("sets") / "spoilt", faults, clips=2 * len(PLANTED) + 1), heard
    )


@pytest.mark.parametrize("name", PLANTED)
def test_every_planted_fault_is_found(spoilt: Examination, name: str) -> None:
    assert PLANTED[name][0] in kinds(spoilt, 2 * list(PLANTED).index(name) + 1)


def test_the_clips_between_have_no_findings(spoilt: Examination) -> None:
    assert [
        spoilt.sequences[i].clip.id for i in range(0, len(spoilt.findings), 2) if spoilt.findings[i]
    ] == []


def test_sentences_tell_number_and_place(spoilt: Examination) -> None:
    told = {f.kind: f.text for found in spoilt.findings for f in found}
    assert "frozen for 0.4" in told["frozen"] and "from 2.0" in told["frozen"]
    assert told["duration"] == "The motion lasts 5.60 s, the sound 6.00 s (-0.40 s)."
    assert "frames are missing" in told["slip"]
    assert told["not finite"] == "1 frames hold NaN or infinite numbers."


@pytest.mark.parametrize("form", ["weights", "vertices", "vertices the other way round"])
def test_planted_offsets_are_found_within_20_ms(tmp_path: Path, form: str) -> None:
    planted = np.random.default_rng(3).uniform(0.04, 0.4, 36) * np.tile([1, -1], 18)
    faults = {i: (lambda m, s, x=x: late(m, s, x)) for i, x in enumerate(planted)}
    mesh = np.random.default_rng(4).normal(0, 0.003, (len(NAMES), 900)) * (-1 if "other" in form else 1)
    mesh = None if form == "weights" else mesh
    seen = examine(write_set(tmp_path / form, faults, clips=36, mesh=mesh), heard)
    found = np.array([s.numbers["offset_ms"] for s in seen.sequences])
    assert np.abs(found - 1000 * planted).max() <= 20
    assert all(kinds(seen, i) >= {"offset"} for i in range(36) if abs(planted[i]) > 0.065)


def test_a_few_clips_get_the_first_stage_alone(tmp_path: Path) -> None:
    seen = examine(write_set(tmp_path / "few", {1: lambda m, s: late(m, s, 0.15)}, clips=3), heard)
    assert abs(seen.sequences[1].numbers["offset_ms"] - 150) <= 20
    assert "slip_ms" not in seen.sequences[1].numbers


def test_broken_files_are_named_and_the_rest_is_examined(tmp_path: Path) -> None:
    dataset = write_set(tmp_path / "broken", clips=6)
    dataset.path("c0.npy").unlink()
    dataset.path("c1.wav").unlink()
    dataset.path("c2.npy").write_bytes(dataset.path("c2.npy").read_bytes()[:90])
    dataset.path("c3.wav").write_bytes(b"no sound at all")
    seen = examine(with_clip(dataset, 4, motion="../elsewhere.npy"), heard)
    told = [" ".join(f.text for f in found) for found in seen.findings]
    assert "'c0.npy' of the manifest is missing" in told[0] and "'c1.wav'" in told[1]
    assert "c2.npy is not a readable npy array" in told[2] and "its audio cannot be read" in told[3]
    assert "points outside its folder" in told[4] and told[5] == ""


def test_faces_at_rest_to_no_voice_are_as_they_should_be(tmp_path: Path) -> None:
    dataset = write_set(tmp_path / "rest", {i: lambda m, s: (0 * m, s) for i in range(3)}, clips=3)
    clips = tuple(replace(c, subject="any") for c in dataset.clips)
    assert examine(replace(dataset, clips=clips), heard).findings == ((), (), ())
    assert "still" in kinds(examine(dataset, heard), 0)


def test_a_set_without_readable_motion_is_refused(tmp_path: Path) -> None:
    dataset = write_set(tmp_path / "none", clips=2)
    for clip in dataset.clips:
        dataset.path(clip.motion).unlink()
    with pytest.raises(DataError, match="none of the 2 clips has motion that can be read"):
        examine(dataset, heard)


def test_report_is_json_with_every_number_named(spoilt: Examination) -> None:
    data = json.loads(Report(spoilt).to_json())
    assert (data["format"], data["version"]) == ("unitalker.doctor", 1)
    assert len(data["clips"]) == len(spoilt.sequences)
    for clip in data["clips"]:
        assert set(clip["numbers"]) <= set(data["measures"]) <= set(MEASURES)
        assert clip["decision"] in ("keep", "shift", "exclude")
        assert all({"kind", "text", "decision"} == set(f) for f in clip["findings"])
    decided = data["summary"]["decisions"]
    assert sum(decided.values()) == len(spoilt.sequences) and decided["shift"] == 2


def test_text_is_short_and_puts_the_worst_first(spoilt: Examination) -> None:
    lines = Report(spoilt).text(shown=3).splitlines()
    assert len(lines) < 40 and "… and" in lines[-1]
    assert next(line for line in lines if line.startswith("c") and "):" in line).endswith("exclude")


def test_plots_are_pictures_of_the_faulty_clips(spoilt: Examination, tmp_path: Path) -> None:
    from PIL import Image

    made = draw(spoilt, tmp_path / "plots", shown=2)
    assert [p.name[:2] for p in made] == ["of", "01", "02"]
    for path in made:
        with Image.open(path) as picture:
            assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 3
    (tmp_path / "taken").write_text("")
    with pytest.raises(DataError, match="taken is a file"):
        draw(spoilt, tmp_path / "taken")


def test_counts_against_a_published_table(healthy: Examination) -> None:
    dataset = replace(healthy.dataset, extra={"problems": ["s_sentence32 was left out: no sound."]})
    table = Expected(
        "small",
        "arkit52",
        "weight",
        FPS,
        len(NAMES),
        subjects=("s", "t"),
        clips={"train": 6, "val": 7},
        hours=0.02,
    )
    found = {c.what: c for c in count(dataset, table)}
    assert found["sequences, train"].agrees and found["hours"].agrees and found["numbers a frame"].agrees
    assert (found["sequences, val"].found, found["sequences, val"].published) == (6, 7)
    assert absent(dataset, table) == ["subject t", "s_sentence32 was left out: no sound."]
    text = Report(healthy, tuple(found.values()), tuple(absent(dataset, table))).text()
    assert "published: sequences, val 7, here 6" in text and "absent: subject t" in text


def test_a_model_without_arkit_weights_is_refused() -> None:
    class Deaf:
        annotations = {"head": None}

        def animate(self, source: object, /, *, annotations: object) -> dict[str, object]:
            raise AssertionError

    with pytest.raises(ModelError, match="arkit52 weights, which this model lacks; it has head"):
        Heard(Deaf())  # type: ignore[arg-type]


def test_cli_writes_all_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from unitalker.cli import main

    folder = write_set(tmp_path / "with space ü", {0: lambda m, s: (m, 0 * s)}, clips=3).folder
    told, copy = tmp_path / "told.json", tmp_path / "copy"
    asked = ["--json", str(told), "--plots", str(tmp_path / "plots"), "--write", str(copy)]
    assert main(["data", "doctor", str(folder), *asked]) == 0
    assert "c0  (train, 6.0 s): exclude" in capsys.readouterr().out
    assert json.loads(told.read_text())["clips"][0]["decision"] == "exclude"
    assert [c.id for c in open_dataset(copy).clips] <= ["c1", "c2"]
    assert (tmp_path / "plots" / "offsets.png").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--tolerance", "-3"], "--tolerance must be milliseconds above 0, not -3."),
        (["--search", "9000"], "--search must lie between 100 and 5000 milliseconds, not be 9000."),
        (["--split", "vla"], "did you mean 'val'"),
        (["--against", "vocset"], "did you mean 'vocaset'"),
        (["--json", "nowhere/told.json"], "there is no folder nowhere"),
        (["--model", "maxi"], "There is no"),
        (["--write", "."], "lie in one another"),
    ],
)
def test_cli_says_what_is_wrong_before_it_reads(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    sentence: str,
) -> None:
    from unitalker.cli import main

    write_set(tmp_path / "set", clips=2)
    monkeypatch.chdir(tmp_path)
    assert main(["data", "doctor", "set", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_cli_names_a_folder_without_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from unitalker.cli import main

    assert main(["data", "doctor", str(tmp_path)]) == 2
    assert "is not a dataset" in capsys.readouterr().err


def test_samples_of_a_clip_are_read_once_and_stay_what_they_are(healthy: Examination) -> None:
    one = healthy.sequences[0]
    samples, rate = healthy.dataset.sound(one.clip)
    assert (rate, one.numbers["sound_s"]) == (RATE, len(samples) / RATE)
