"""Protocols, predictions of other tools and intervals, against the field's scripts written out and against draws by hand."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap

from evaluation_fixtures import predict
from evaluation_sets import FPS, LIPS, UPPER, Knowing, make_set, motion, toy
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.flame import FLAME_NAMES
from unitalker.annotations.layouts import layout
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.pca import fit_basis
from unitalker.cli import main
from unitalker.data.dataset import open_dataset
from unitalker.errors import ConfigError, DataError, ModelError
from unitalker.evaluation.bootstrap import draws, interval
from unitalker.evaluation.faces import mask_hash
from unitalker.evaluation.metrics.registry import METRICS, ratio
from unitalker.evaluation.predictions import RULES, FromFolder, FromModel
from unitalker.evaluation.protocols import PROTOCOLS, find_protocol, matched
from unitalker.evaluation.protocols.result import Result
from unitalker.evaluation.protocols.run import Options, run
from unitalker.motion import Motion

RNG = np.random.default_rng(11)


def test_a_face_that_never_moves_has_no_lag(toys: tuple[Path, dict[str, np.ndarray]]) -> None:
    still = Knowing(toys[1], toy(), {"toys/a": 0.0, "toys/b": 0.0, "pivot": 0.0})
    result = measured(toys, still, "own")
    found = result.to_dict()["metrics"]
    assert found["opening_r"]["value"] == 0.0 and "opening_lag_ms" not in found
    assert found["lve_over_rest"]["value"] == found["fdd"]["value"] / found["fdd_absolute"]["value"] == 1.0
    assert [row["opening_lag_ms [ms]"] for row in csv.DictReader(io.StringIO(result.to_csv()))] == [""] * 3


def measured(
    toys: tuple[Path, dict[str, np.ndarray]], animator: Knowing, identity: str | None = None
) -> Result:
    source = FromModel(animator, "knowing")
    return run(find_protocol("open"), [open_dataset(toys[0])], source, Options(identity=identity))


def test_a_model_is_measured_as_whom_the_rule_says(toys: tuple[Path, dict[str, np.ndarray]]) -> None:
    factors = {"toys/a": 0.5, "toys/b": 0.8, "pivot": 0.0}
    animator = Knowing(toys[1], toy(), factors)
    values = {
        m: measured(toys, animator, m).to_dict()["metrics"] for m in ("own", "pivot", "training", "toys/b")
    }
    resting = {
        name: np.square(v.reshape(len(v), -1, 3)[:, LIPS]).sum(2).max(1) for name, v in toys[1].items()
    }
    frames = sum(map(len, resting.values()))
    own = sum((1 - factors[f"toys/{n[0]}"]) ** 2 * r.sum() for n, r in resting.items()) / frames
    assert values["own"]["lve"]["value"] == pytest.approx(own, rel=1e-4)
    assert values["pivot"]["lve_over_rest"]["value"] == pytest.approx(1.0)
    assert values["toys/b"]["lve_over_rest"]["value"] == pytest.approx(0.2**2, rel=1e-4)
    assert values["training"]["lve_over_rest"]["value"] == pytest.approx((0.5**2 + 0.2**2) / 2, rel=1e-4)
    assert values["training"]["lve"]["count"] == 2 * frames and values["training"]["lve"]["frames"] == frames
    assert "diversity" in values["training"] and "diversity" not in values["own"]
    assert values["own"]["opening_r"]["value"] > 0.95 and values["own"]["opening_lag_ms"]["value"] == 0
    told = measured(toys, animator, "pivot").parts[0].differences
    assert "predicted as pivot; the protocol's identity is own." in told
    with pytest.raises(ModelError, match="no identity 'toys/c'; did you mean 'toys/b'"):
        measured(toys, animator, "toys/c")


def test_identities_that_a_model_lacks_are_told(toys: tuple[Path, dict[str, np.ndarray]]) -> None:
    by_subject = measured(toys, Knowing(toys[1], toy(), {"elsewhere/a": 1.0, "pivot": 0.0}))
    assert by_subject.notes[1:] == [
        "knowing was trained on elsewhere, not on toys: subjects are predicted as those of the same names there.",
        "knowing does not know b of toys: predicted as the pivot.",
    ]
    some = measured(toys, Knowing(toys[1], toy(), {"toys/a": 1.0, "pivot": 0.0}), "training")
    assert some.notes == ["knowing knows 1 of the 2 training subjects of toys: averaged over those."]
    everybody = Knowing(toys[1], toy(), {"s0": 1.0, "s1": 0.9, "pivot": 0.0})
    told = measured(toys, everybody, "training")
    assert set(everybody.asked) == {"s0", "s1"} and "averaged over all 2 of its identities" in told.notes[0]


def test_pooled_clip_means_and_intervals_are_those_of_the_rows(
    toys: tuple[Path, dict[str, np.ndarray]],
) -> None:
    result = measured(toys, Knowing(toys[1], toy(), {"toys/a": 0.5, "toys/b": 0.8, "pivot": 0.0}))
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    found = result.to_dict()["metrics"]
    frames = np.array([int(r["frames"]) for r in rows])
    own = np.array([float(r["lve [u²]"]) for r in rows])
    assert found["lve"]["value"] == pytest.approx((own * frames).sum() / frames.sum())
    assert found["lve"]["clip_mean"] == pytest.approx(own.mean())
    resampled = []
    for counts in draws(3, 0):
        picked = np.repeat(np.arange(3), counts)
        resampled.append((own[picked] * frames[picked]).sum() / frames[picked].sum())
    assert found["lve"]["interval"] == pytest.approx(np.percentile(resampled, [2.5, 97.5]).tolist())
    assert (
        len(resampled) == 1000
        and result.to_json()
        == measured(toys, Knowing(toys[1], toy(), {"toys/a": 0.5, "toys/b": 0.8, "pivot": 0.0})).to_json()
    )
    for name, entry in found.items():
        assert {"value", "unit", "interval", "frames", "mask", "mask_sha256", "formula", "source"} <= set(
            entry
        ), name


def test_intervals_are_close_to_scipys() -> None:
    values = RNG.gamma(2.0, size=60)
    ours = interval(np.stack([values, np.ones(60)], 1), ratio, draws(60, seed=4))
    theirs = bootstrap((values,), np.mean, method="percentile", n_resamples=4000, random_state=1)
    spread = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.08 * spread)
    assert np.isnan(interval(np.ones((1, 2)), ratio, draws(1))).all()


def test_sixty_frames_a_second_are_halved_and_splits_go_by_name(tmp_path: Path) -> None:
    subject, other = "FaceTalk_170809_00138_TA", "FaceTalk_170731_00024_TA"
    clips = {
        f"{subject}_sentence21": (subject, "train", motion(40, RNG)),
        f"{other}_sentence40": (other, "train", motion(51, RNG)),
        f"{subject}_sentence02": (subject, "test", motion(12, RNG)),
    }
    dataset = make_set(tmp_path / "set", clips, fps=60.0, extra={"corpus": "vocaset", "way": "unitalker"})
    answers = {name: values[::2] for name, (_, _, values) in clips.items()}
    result = run(
        find_protocol("vocaset-faceformer"),
        [dataset],
        FromModel(Knowing(answers, toy(), {"pivot": 1.0}), "k"),
    )
    (part,) = result.parts
    assert [row.frames for row in part.sequences] == [20, 26] and part.facts["fps"] == 30
    figures = {figure.metric.name: figure.value for figure in part.figures()}
    assert figures["lve"] == 0 and figures["opening_amplitude"] == pytest.approx(1.0)
    told = " ".join(part.differences)
    assert (
        "60 fps became 30" in told
        and "sequences: 2, published: 40 (FaceTalk_170809_00138_TA_sentence32" in told
    )
    assert "do not compare with published" in told and "predicted as the pivot" in result.notes[0]


def test_weights_move_the_built_in_head(tmp_path: Path) -> None:
    names = layout("arkit52").names
    arkit = BlendshapeAnnotation("arkit52", 60.0, "weight", names)
    values = np.zeros((50, 52), np.float32)
    values[:, names.index("jawOpen")] = np.abs(np.sin(np.arange(50) / 5))
    values[:, names.index("eyeBlinkLeft")] = 1.0
    make_set(tmp_path / "set", {"one": ("s", "val", values)}, arkit, known=["jawOpen"])
    source = FromModel(Knowing({"one": values}, arkit, {"toys/s": 0.5, "pivot": 0}), "half")
    result = run(find_protocol("open"), [open_dataset(tmp_path / "set")], source)
    found = result.to_dict()["metrics"]
    assert found["jaw_r"]["value"] == pytest.approx(1.0) and found["lve"]["unit"] == "mm²"
    assert found["lve_over_rest"]["value"] == pytest.approx(0.25, rel=1e-4)
    assert found["ufve"]["value"] == pytest.approx(0.0, abs=1e-5)
    assert result.parts[0].differences == [
        "it has no test clips: measured on val.",
        "the upper face of the captured motion rests: UFVE and FDD say nothing.",
    ]


def test_truth_that_is_stored_as_codes(tmp_path: Path) -> None:
    values = motion(30, RNG)
    card = toy().with_basis(fit_basis([values], 5, centre="mean"))
    codes = card.encode(values)
    dataset = make_set(tmp_path / "set", {"one": ("s", "test", codes)}, card, stored="codes")
    found = run(
        find_protocol("open"),
        [dataset],
        FromModel(Knowing({"one": card.decode(codes)}, card, {"pivot": 1.0}), "k"),
    )
    assert found.to_dict()["metrics"]["mve"]["value"] == pytest.approx(0, abs=1e-7)
    assert "outside their basis" in " ".join(found.parts[0].differences)


def test_lips_alone_are_the_same_figures(tmp_path: Path, corpus: Path) -> None:
    values, rng = motion(40, RNG), np.random.default_rng(1)
    card = toy().with_basis(fit_basis([values], 5, centre="mean"))
    codes = card.encode(values) + 0.1 * rng.standard_normal((40, 5)).astype(np.float32)

    class Coded(Knowing):
        """Decodes with whatever annotation it has at the time."""

        def animate(self, source: object, /, **asked: object) -> dict[str, Motion]:
            own = self.annotations["toy"]
            return {"toy": own.motion(own.decode(codes), FPS)}

    source = FromModel(Coded({}, card, {"pivot": 1.0}), "k")
    predict(corpus, tmp_path / "made", "test")
    cases = [
        ("open", make_set(tmp_path / "values", {"one": ("s", "test", values)}), source),
        ("open", make_set(tmp_path / "codes", {"one": ("s", "test", card.encode(values))}, card, stored="codes"), source),
        ("biwi-testA", open_dataset(corpus / "set"), FromFolder(tmp_path / "made")),
    ]  # fmt: skip
    for name, dataset, predictions in cases:
        whole, few = (
            run(find_protocol(name), [dataset], predictions, Options(lips=lips)).to_dict()
            for lips in (False, True)
        )
        assert few["parts"][0]["masks"]["lips"] == whole["parts"][0]["masks"]["lips"]
        assert few["parts"][0]["masks"]["opening"] == whole["parts"][0]["masks"]["opening"]
        assert {"lve", "lvd", "mod", "opening_r", "jitter"} <= set(few["metrics"]) and "mve" not in few[
            "metrics"
        ]
        for metric, entry in few["metrics"].items():
            assert entry["value"] == pytest.approx(whole["metrics"][metric]["value"], rel=1e-4), metric


def test_speakers_that_a_model_knows_from_elsewhere_are_told(
    toys: tuple[Path, dict[str, np.ndarray]],
) -> None:
    """Recordings of theirs may be among those it was trained on; several of one name are not guessed between."""
    factors = {"other/a": 1.0, "more/a": 0.5, "other/b": 1.0, "pivot": 0.0}
    result = measured(toys, Knowing(toys[1], toy(), factors), "own")
    notes = " ".join(result.notes)
    assert "trained on speakers of the same names (other/a, more/a, other/b), but not on toys" in notes
    assert "several identities called a (other/a, more/a), none of toys" in notes
    styles = {row.subject: row.styles for row in result.parts[0].sequences}
    assert styles["a"] == ("pivot",) and styles["b"] == ("other/b",)
    own = measured(toys, Knowing(toys[1], toy(), {"toys/a": 1.0, "toys/b": 1.0, "pivot": 0.0}), "own")
    assert not any("same names" in note for note in own.notes)


def test_a_resting_upper_face_is_told(tmp_path: Path) -> None:
    moved = motion(20, np.random.default_rng(1)).reshape(20, -1, 3)
    for still in (False, True):
        moved[:, UPPER] *= not still
        values = moved.reshape(20, -1)
        made = make_set(tmp_path / str(still), {"one": ("s", "test", values)})
        source = FromModel(Knowing({"one": values}, toy(), {"pivot": 0.5}), "k")
        (part,) = run(find_protocol("open"), [made], source).parts
        assert any("upper face of the captured motion rests" in line for line in part.differences) is still
        figures = {figure.metric.name: figure for figure in part.figures()}
        assert figures["fdd_absolute"].clip_mean == figures["fdd_absolute"].value


def test_counts_and_split_are_of_what_was_measured(tmp_path: Path) -> None:
    """Two clips of 20 and 30 frames for validation, phones of the second alone; no lips, so no measure of them."""
    rng = np.random.default_rng(4)
    clips = {name: ("s", "val", motion(frames, rng)) for name, frames in (("one", 20), ("two", 30))}
    made = make_set(tmp_path / "set", clips)
    spoken = [replace(c, phones=((0.1, 0.3, "p"),) if c.id == "two" else ()) for c in made.clips]
    made = replace(made, clips=tuple(spoken))
    source = FromModel(Knowing({n: c[2] for n, c in clips.items()}, toy(), {"pivot": 0.5}), "k")
    (part,) = run(find_protocol("open"), [made], source).to_dict()["parts"]
    assert part["facts"]["split"] == "val"
    counts = {n: (m["sequences"], m["frames"], m["count"]) for n, m in part["metrics"].items()}
    assert counts["lve"] == (2, 50, 50) and counts["closure"] == (1, 30, 1) and counts["fdd"] == (2, 50, 2)
    bare = replace(toy(), regions={})
    made = make_set(tmp_path / "bare", clips, bare)
    source = FromModel(Knowing({n: c[2] for n, c in clips.items()}, bare, {"pivot": 0.5}), "k")
    (part,) = run(find_protocol("open"), [made], source).to_dict()["parts"]
    assert "mve" in part["metrics"] and not {"jitter", "jitter_truth", "lve"} & set(part["metrics"])


def test_each_dataset_finds_its_part(tmp_path: Path) -> None:
    moved = {"one": ("s", "test", motion(5, RNG))}
    named = {n: make_set(tmp_path / n, moved, name=n) for n in ("syn-d3", "syn-d0", "unknown")}
    bench = find_protocol("a2f-bench")
    assert [part.name[:2] for part, _ in matched(bench, [named["syn-d3"], named["syn-d0"]])] == ["D0", "D3"]
    with pytest.raises(DataError, match="unknown is no dataset of the protocol a2f-bench"):
        matched(bench, [named["unknown"]])
    with pytest.raises(DataError, match="are both D0 BIWI"):
        matched(bench, [named["syn-d0"], named["syn-d0"]])
    source = FromModel(Knowing({"one": moved["one"][2]}, toy(), {"pivot": 1.0}), "k")
    result = run(bench, [named["syn-d3"], named["syn-d0"]], source)
    assert "D1 VOCASET, D2 Multiface" in result.notes[-1] and "metrics" not in result.to_dict()
    with pytest.raises(ConfigError, match="no protocol 'biwi-testC'; did you mean 'biwi-testB'"):
        find_protocol("biwi-testC")


def test_datasets_that_cannot_be_measured_leave_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flame = FlameAnnotation("flame_of_theirs", FPS, "flame", FLAME_NAMES)
    values = {"D1": motion(9, RNG), "D5": np.zeros((9, len(FLAME_NAMES)), np.float32), "D0": motion(9, RNG)}
    for name, face in {"D1": toy(), "D5": flame, "D0": toy()}.items():
        made = make_set(tmp_path / "sets" / name, {"one": ("s", "test", values[name])}, face, name=name)
        (tmp_path / "made" / name).mkdir(parents=True)
        neutral = made.template("s") if name != "D5" else np.zeros(1, np.float32)
        assert neutral is not None
        np.save(tmp_path / "made" / name / "one.npy", 0.5 * values[name] + neutral.reshape(-1))
    given = ["--protocol", "a2f-bench", "--data", str(tmp_path / "sets"), "--json", str(tmp_path / "f.json")]
    assert main(["evaluate", "--predictions", str(tmp_path / "made"), *given]) == 1
    told = json.loads((tmp_path / "f.json").read_text())
    assert [part["name"] for part in told["parts"]] == ["D0 BIWI", "D1 VOCASET"]
    for part in told["parts"]:
        assert part["metrics"]["lve_over_rest"]["value"] == pytest.approx(0.25, rel=1e-4)
    assert "D5 cannot be measured on vertices" in told["problems"][0] and "--flame" in told["problems"][0]
    assert "Partly measured: 1 left out" in capsys.readouterr().err


def test_protocols_are_whole() -> None:
    assert [p.name for p in PROTOCOLS.values()] == [*PROTOCOLS]
    for protocol in PROTOCOLS.values():
        assert protocol.identity in RULES and protocol.source and protocol.about
        for part in protocol.parts:
            assert all(len(mask.sha256) in (0, 64) and mask.source for mask in part.masks.values())
    (test_a,) = PROTOCOLS["biwi-testA"].parts
    assert (test_a.sequences, test_a.frames, test_a.size) == (24, 3879, 0.2)
    assert mask_hash(np.array([7, 0, 5, 5])) == hashlib.sha256(b"0,5,7").hexdigest()


def test_the_docs_list_every_figure_and_protocol() -> None:
    text = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text()
    for metric in METRICS:
        row = f"| `{metric.name}` | {metric.title} | {metric.unit.format(u='u')} |"
        assert row in text and f"| {metric.formula} | {metric.source} |" in text, metric.name
    for protocol in PROTOCOLS.values():
        assert f"| `{protocol.name}` | {protocol.about} | {protocol.identity} |" in text, protocol.name


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["evaluate"], "Say what to evaluate"),
        (["evaluate", "mini", "x", "--json", "f.json"], "--json needs --protocol (without one, -o FILE.json"),
        (["evaluate", "mini", "--protocol", "open", "--data", "{set}", "--report", "p.txt"], "--report writes a .html file"),
        (["evaluate", "mini", "x", "--lips"], "--lips needs --protocol"),
        (["evaluate", "mini", "--protocol", "open"], "needs a dataset: --data FOLDER"),
        (["evaluate", "mini", "x", "--protocol", "open", "--split", "val"], "--split has no use with --protocol"),
        (["evaluate", "--protocol", "open", "--data", "{set}"], "Give either a model or --predictions"),
        (["evaluate", "--predictions", "{set}/audio", "--protocol", "open", "--data", "{set}"], "holds no predictions"),
        (["evaluate", "mini", "--protocol", "open", "--data", "{set}", "--seed", "-1"], "--seed takes a whole number from 0"),
        (["evaluate", "mini", "--protocol", "open", "--data", "{set}"], "mini cannot be measured on toys: There is no head"),
    ],
)  # fmt: skip
def test_wrong_commands_are_told_in_a_sentence(
    command: list[str],
    sentence: str,
    toys: tuple[Path, dict[str, np.ndarray]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([part.format(set=toys[0]) for part in command]) == 2
    assert sentence in capsys.readouterr().err
