"""Pictures of evaluations: colours against closed forms, curves as they were given, classes of phones against a loop."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from evaluation_sets import FPS, LIPS, Knowing, make_set, motion, toy
from unitalker.cli import main
from unitalker.data.dataset import Dataset, write_manifest
from unitalker.errors import ConfigError, DataError, ExportError
from unitalker.evaluation import metrics
from unitalker.evaluation.metrics.phones import CLASSES, classes_of_frames, lve_by_class, phone_class
from unitalker.evaluation.plots import charts
from unitalker.evaluation.plots.colours import STOPS, Scale, colours
from unitalker.evaluation.plots.heads import PAPER, Mesh, View, sheet, turn_of
from unitalker.evaluation.predictions import FromModel
from unitalker.evaluation.protocols import find_protocol
from unitalker.evaluation.protocols.run import Options, run
from unitalker.rig import builtin_head

SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float)
TWO = np.array([[0, 1, 2], [0, 2, 3]])
UNIT = Scale(0.0, 1.0, 1.0)


def test_colours_are_the_stops_and_straight_between() -> None:
    rgb = [tuple(bytes.fromhex(stop[1:])) for stop in STOPS]
    steps = len(STOPS) - 1
    assert np.allclose(colours(np.arange(steps + 1) / steps, UNIT), rgb)
    middle = colours(np.array([0.5 / steps]), UNIT)[0]
    assert np.allclose(middle, (np.add(rgb[0], rgb[1])) / 2)
    assert np.allclose(colours(np.array([-3.0, 9.0, np.nan]), UNIT), [rgb[0], rgb[-1], (128, 128, 128)])
    assert np.all(np.diff(colours(np.linspace(0, 1, 200), UNIT) @ (0.2126, 0.7152, 0.0722)) < 0), (
        "darker always"
    )


def test_a_scale_is_one_for_all_maps_and_tells_what_it_cuts() -> None:
    maps = [np.arange(1000.0), np.full(1000, 3.0)]
    scale = Scale.of(maps)
    assert scale.low == 0 and scale.high == pytest.approx(np.percentile(np.concatenate(maps), 99.5))
    assert scale.largest == 999 and scale.cut
    assert not Scale.of([np.ones(10)]).cut and Scale.of([np.zeros(4)]).high == 1.0


@pytest.mark.parametrize("winding", [TWO, TWO[:, ::-1]])
def test_a_square_has_the_colours_of_its_linear_values(winding: np.ndarray) -> None:
    size = 64
    drawn = View(Mesh(SQUARE, winding), size, shaded=False).draw((SQUARE[:, 0] + 1) / 2, UNIT)
    edge = 0.03 * size
    inner = np.arange(int(edge) + 2, size - int(edge) - 2)
    share = (inner + 0.5 - edge) / (size - 2 * edge)
    assert np.abs(drawn[size // 2 + 3, inner, :3] - colours(share, UNIT)).max() < 2.5
    assert (drawn[inner[0] : inner[-1], inner[0] : inner[-1], 3] == 255).all()
    assert drawn[0, 0, 3] == 0 and drawn.shape == (size, size, 4)


def test_what_is_nearer_hides_what_is_behind() -> None:
    both = np.concatenate([SQUARE, SQUARE * 0.5 + (0, 0, 1)])
    view = View(Mesh(both, np.concatenate([TWO, TWO + 4])), 64, shaded=False)
    drawn = view.draw(np.repeat([0.0, 1.0], 4), UNIT)
    assert np.allclose(drawn[32, 32, :3], colours(np.ones(1), UNIT), atol=1)
    assert np.allclose(drawn[32, 6, :3], colours(np.zeros(1), UNIT), atol=1)


def test_points_alone_are_drawn_where_they_are() -> None:
    axis = np.linspace(-1, 1, 12)
    x, y = (one.reshape(-1) for one in np.meshgrid(axis, axis))
    mesh = Mesh(np.stack([x, y, 0 * x], 1))
    drawn = View(mesh, 96, shaded=False).draw((y + 1) / 2, UNIT)
    place = 48 - 48 * (1 - 2 * 0.03) * axis[1:-1]
    assert np.abs(drawn[place.astype(int), 48, :3] - colours((axis[1:-1] + 1) / 2, UNIT)).max() < 30
    assert (drawn[8:-8, 8:-8, 3] == 255).all(), "discs touch"


@pytest.mark.parametrize("order", [(2, 0, 1), (0, 2, 1)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)])
def test_the_front_of_unknown_axes_is_found_by_the_masks(
    order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    head = builtin_head()
    regions = {name: np.asarray(head.regions[name]) for name in ("lips", "upper_face")}
    other = np.zeros((3, 3))
    other[range(3), order] = signs
    other *= np.linalg.det(other)
    turned = Mesh(head.vertices @ other.T, head.faces, "as in the dataset", regions)
    assert np.allclose(turn_of(turned) @ other, np.eye(3))
    assert np.allclose(turn_of(Mesh(head.vertices, head.faces, regions=regions)), np.eye(3))


def test_outlines_lie_at_the_edge_of_a_region() -> None:
    axis = np.linspace(-1, 1, 21)
    x, y = (one.reshape(-1) for one in np.meshgrid(axis, axis))
    left = np.flatnonzero(x < 0.05)
    mesh = Mesh(np.stack([x, y, 0 * x], 1), None, regions={"lips": left})
    view = View(mesh, 84, shaded=False)
    plain, lined = (view.draw(np.zeros(len(x)), UNIT, names) for names in ((), ("lips", "brow")))
    changed = np.flatnonzero((plain != lined).any((0, 2)))
    assert len(changed) and np.abs(changed - 43).max() <= 4


def test_maps_of_another_mesh_and_heads_without_extent_are_refused() -> None:
    with pytest.raises(DataError, match=r"The mesh has 4 vertices, the map \(5,\)"):
        View(Mesh(SQUARE, TWO), 32).draw(np.zeros(5), UNIT)
    with pytest.raises(DataError, match="without extent"):
        View(Mesh(np.zeros((4, 3)), TWO))


def test_a_sheet_leaves_places_empty_and_tells_where_colours_end() -> None:
    rng = np.random.default_rng(0)
    mesh = Mesh(rng.normal(size=(500, 3)).astype(np.float32), None, "")
    values = np.linspace(0, 1, 500)
    view = View(mesh, 64)
    picture = np.asarray(sheet(view, [("a", "m", {"x": None, "y": values})], ends=[0.25]))
    assert (picture[26:90, :64] == PAPER).all() and not (picture[26:90, 64:] == PAPER).all()
    whole = np.asarray(sheet(view, [("a", "m", {"x": None, "y": np.minimum(values, 0.25)})], ends=[0.25]))
    assert (picture[26:90] == whole[26:90]).all()
    assert (picture[90:] != whole[90:]).any()  # "largest 1" stands beside the scale


def test_a_sheet_shows_any_number_of_predictions() -> None:
    view = View(Mesh(SQUARE, TWO), 40)
    values = np.linspace(0, 1, 4)
    rows = [("velocity", "mm/s", {"truth": values, "a": values, "b": values}), ("error", "mm", {"a": values})]
    image = np.asarray(sheet(view, rows))
    assert image.shape == (2 * (26 + 40 + 44), 3 * 40, 3)
    heads = [image[26:66, 40 * k : 40 * k + 40] for k in range(3)]
    assert (heads[0] == heads[1]).all() and (heads[1] == heads[2]).all()


@pytest.mark.parametrize(
    ("name", "symbols"),
    {
        "bilabials": ["p", "b", "m", "B", "P", "bʲ", "M"],
        "labiodentals": ["f", "v", "F", "ɱ"],
        "open vowels": ["a", "æ", "ɑː", "AA1", "aɪ", "aʊ", "AY0", "ɐ", "ae"],
        "rounded vowels and w": ["u", "uː", "o", "ɔ", "oʊ", "OW1", "UW", "w", "W", "øː", "y"],
        "other vowels": ["i", "ɪ", "ə", "ɛ", "IY0", "EH1", "ER0"],
        "other consonants": ["t", "s", "ʃ", "SH", "tʃ", "CH", "k", "n", "NG", "j", "HH", "ɹ", "R"],
        "silence": ["", "sil", "SP", "spn", "pau"],
        "": ["5", "?!", "Ж"],
    }.items(),
)  # fmt: skip
def test_phones_have_the_class_of_their_sounds(name: str, symbols: list[str]) -> None:
    assert {symbol: phone_class(symbol) for symbol in symbols} == dict.fromkeys(symbols, name)


def test_lve_by_class_is_what_a_loop_counts() -> None:
    rng = np.random.default_rng(3)
    ends = np.cumsum(rng.uniform(0.02, 0.2, 60))
    symbols = rng.choice(["p", "f", "a", "u", "i", "t", "", "5"], 60)
    phones = [
        (float(a), float(b), str(s)) for a, b, s in zip([0.1, *ends], ends, symbols, strict=False) if a < b
    ]
    errors = rng.random((2, int(ends[-1] * FPS) + 20))
    expected: dict[str, list[float]] = {}
    for frame in range(errors.shape[1]):
        said = [s for a, b, s in phones if a <= frame / FPS < b]
        kind = phone_class(said[0]) if said else "silence"
        for style in range(2):
            expected.setdefault(kind, []).append(errors[style, frame])
    expected.pop("", None)
    found = lve_by_class(errors, FPS, phones)
    assert {k: int(v[1]) for k, v in found.items()} == {k: len(v) for k, v in expected.items()}
    for name, values in expected.items():
        assert found[name][0] == pytest.approx(sum(values))
        assert found[name][2] == sum(phone_class(s) == name for _, _, s in phones)
    assert (classes_of_frames(9, FPS, [], gaps=False) == -1).all()


def spoken(folder: Path) -> tuple[Dataset, dict[str, np.ndarray], dict[str, list[tuple[float, float, str]]]]:
    """A set of three clips with phones, one with words alone, and an animator's answers."""
    rng = np.random.default_rng(5)
    values = {f"c{k}": motion(30 + 5 * k, rng) for k in range(4)}
    made = make_set(folder, {name: ("a", "test", one) for name, one in values.items()})
    phones = {name: [(0.0, 0.3, ""), (0.3, 0.5, "b"), (0.5, 0.9, "a")] for name in ("c0", "c1", "c2")}
    clips = tuple(
        type(c)(**{**vars(c), "phones": tuple(phones.get(c.id, ())), "words": ((0.4, 0.8, "place"),)})
        for c in made.clips
    )
    made = Dataset(**{**vars(made), "clips": clips})
    write_manifest(made)
    return made, values, phones


def test_an_evaluation_tells_lve_by_phones(tmp_path: Path) -> None:
    data, values, phones = spoken(tmp_path / "set")
    answers = {name: one * np.float32(0.5) for name, one in values.items()}
    (part,) = run(
        find_protocol("open"), [data], FromModel(Knowing(answers, toy(), {"pivot": 1.0}), "k")
    ).parts
    told = part.to_dict()["lve_by_phones"]
    sums: dict[str, list[float]] = {}
    for name, timed in phones.items():
        lve = metrics.lve(values[name].reshape(-1, 24, 3), answers[name].reshape(-1, 24, 3), LIPS)
        for frame, error in enumerate(lve):
            said = [s for a, b, s in timed if a <= frame / FPS < b]
            sums.setdefault(phone_class(said[0]) if said else "silence", []).append(float(error))
    lve = metrics.lve(values["c3"].reshape(-1, 24, 3), answers["c3"].reshape(-1, 24, 3), LIPS)
    sums["bilabials"] += [float(e) for t, e in enumerate(lve) if 0.34 <= t / FPS < 0.46]
    assert list(told) == [name for name in CLASSES if name in sums]
    for name, errors in sums.items():
        assert told[name]["value"] == pytest.approx(np.mean(errors), rel=1e-5) and told[name][
            "frames"
        ] == len(errors)
        low, high = told[name]["interval"]
        assert low <= told[name]["value"] <= high and told[name]["unit"] == "u²"
    assert told["bilabials"]["phones"] == 4
    assert part.kept is None


def test_what_is_kept_is_the_opening_that_was_measured(tmp_path: Path) -> None:
    data, values, _ = spoken(tmp_path / "set")
    source = FromModel(Knowing(values, toy(), {"pivot": 0.5}), "k")
    (part,) = run(find_protocol("open"), [data], source, Options(keep=True)).parts
    assert part.kept is not None and part.kept.regions.pair is not None
    neutral = part.kept.face.neutral("a")
    for name, one in values.items():
        for row, factor in zip(part.kept.openings[name], (1, 0.5), strict=True):
            posed = neutral + np.float32(factor) * one.reshape(-1, 24, 3)
            assert np.allclose(row, metrics.opening(posed, part.kept.regions.pair), atol=1e-5)


def test_curves_come_back_as_they_were_given() -> None:
    rng = np.random.default_rng(0)
    truth, styles = rng.random(400), rng.random((3, 400))
    shown = charts.Opening(
        25.0, "mm", truth, {"m": styles}, [(0.0, 9.0, "p"), (9.0, 16.0, "$x^")], loudness=rng.random(400)
    )
    sheet_ = charts.openings(shown, seconds=4.0)
    first = charts.busiest(truth, 100)
    real, made = sheet_.axes[0].lines
    assert np.array_equal(real.get_ydata(), truth[first : first + 100])
    assert np.array_equal(real.get_xdata(), np.arange(first, first + 100) / 25)
    assert np.allclose(made.get_ydata(), styles.mean(0)[first : first + 100])
    assert made.get_label() == "m, mean of 3 styles"
    assert {text.get_text() for text in sheet_.axes[1].texts} <= {"p", "$x^"}
    svg = sheet_.svg()
    assert (
        svg.startswith("<svg") and "currentColor" in svg and svg == charts.openings(shown, seconds=4.0).svg()
    )
    with pytest.raises(DataError, match="The truth has 400 frames, m 399"):
        charts.openings(charts.Opening(25.0, "mm", truth, {"m": truth[1:]}))


def test_the_busiest_stretch_is_what_a_loop_finds() -> None:
    for seed in range(5):
        curve = np.random.default_rng(seed).random(80).cumsum()
        spread = [curve[i : i + 20].std() for i in range(61)]
        assert charts.busiest(curve, 20) == int(np.argmax(spread))
    assert charts.busiest(np.ones(5), 20) == 0


def test_bars_histograms_and_efficiency_hold_their_numbers() -> None:
    rows = [charts.Bar("bilabials", 2.0, 1.0, 3.5), charts.Bar("silence", 0.5, np.nan, np.nan)]
    axes = charts.bars(rows, "LVE").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [2.0, 0.5]
    values = np.random.default_rng(1).random(40)
    axes = charts.histograms({"LVE": values, "MVE": values[:1]}, {"LVE": 0.5}).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 40
    axes = charts.efficiency([1, 0.25, 0.5], {"trained": [1, 3, 2], "random": [2, 6, 4]}, "LVE", rest=9).axes[
        0
    ]
    assert [list(line.get_ydata()) for line in axes.lines[:2]] == [[3, 2, 1], [6, 4, 2]]
    assert list(axes.lines[0].get_xdata()) == [0.25, 0.5, 1]
    with pytest.raises(DataError, match="random has 1 points, the amounts of data are 2"):
        charts.efficiency([0.5, 1], {"random": [1]}, "LVE")
    with pytest.raises(DataError, match="must be above 0"):
        charts.efficiency([0, 1], {"random": [1, 2]}, "LVE")


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_charts_are_written_in_three_formats(tmp_path: Path, suffix: str, magic: bytes) -> None:
    chart = charts.bars([charts.Bar("a", 1.0, 0.5, 2.0)], "LVE")
    chart.save(tmp_path / f"a{suffix}", dpi=50)
    assert (tmp_path / f"a{suffix}").read_bytes().startswith(magic)
    with pytest.raises(ExportError, match=r"\.png, \.svg, \.pdf, not 'a\.gif'"):
        chart.save(tmp_path / "a.gif")


def test_without_matplotlib_a_sentence_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, values, _ = spoken(tmp_path / "set")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'unitalker\[plots\]'"):
        charts.bars([], "LVE")
    (tmp_path / "made").mkdir()
    np.save(tmp_path / "made" / "c0.npy", values["c0"])
    command = [
        "evaluate",
        "--predictions",
        str(tmp_path / "made"),
        "--protocol",
        "open",
        "--data",
        str(data.folder),
    ]
    assert main([*command, "--report", str(tmp_path / "r.html")]) == 2
    told = capsys.readouterr()
    assert "unitalker[plots]" in told.err and not told.out, "told before anything is measured"
    assert not (tmp_path / "r.html").exists()
    view = View(Mesh(SQUARE, TWO), 16)
    assert view.draw(np.zeros(4), UNIT).shape == (16, 16, 4), "maps need no matplotlib"
