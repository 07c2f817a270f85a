"""The page of an evaluation: well-formed, alone, harmless whatever clips are called, with the figures of the JSON."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation_sets import Knowing, make_set, motion, toy
from unitalker.cli import main
from unitalker.evaluation.metrics import lve
from unitalker.evaluation.metrics.registry import METRICS
from unitalker.evaluation.pages import pictures
from unitalker.evaluation.pages.build import page
from unitalker.evaluation.predictions import FromModel
from unitalker.evaluation.protocols import find_protocol
from unitalker.evaluation.protocols.result import Result
from unitalker.evaluation.protocols.run import Options, run

MODEL = "_<model> $\\frac$"
NAMES = ("plain", "amp&<b>bold", "quote\"'x", "$y^2$", "</script><script>alert(1)", "@@HEAD@@")
EMPTY = {"meta", "img", "br", "link", "input", "hr"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, tag: str) -> list[Node]:
        """Every element of a name below."""
        return [n for c in self.children for n in ([c] if c.tag == tag else []) + c.all(tag)]

    @property
    def words(self) -> str:
        """Text here and below."""
        return self.text + "".join(child.words for child in self.children)


class Tree(HTMLParser):
    """A page as a tree; fails where elements do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open = [Node("", {})]
        self.feed(text)
        self.close()
        assert [node.tag for node in self.open] == [""], "elements are left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), "an attribute twice"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in EMPTY:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].text += data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Six clips of hostile names, predicted in two styles by an animator that moves less."""
    rng = np.random.default_rng(7)
    values = {f"c{k}": motion(30 + k, rng) for k in range(len(NAMES))}
    data = make_set(
        tmp_path_factory.mktemp("page") / "set", {name: ("a", "test", one) for name, one in values.items()}
    )
    spoken = ((0.0, 0.3, ""), (0.3, 0.5, "b"), (0.5, 0.9, "<i>"))
    clips = [{**vars(c), "id": name, "phones": spoken} for c, name in zip(data.clips, NAMES, strict=True)]
    data = type(data)(**{**vars(data), "clips": tuple(type(data.clips[0])(**c) for c in clips)})
    answers = {name: one * np.float32(0.3 + 0.1 * k) for k, (name, one) in enumerate(values.items())}
    source = FromModel(Knowing(answers, toy(), {"pivot": 1.0, "x": 0.8, "y": 1.1}), MODEL, model_sha256="abc")
    return run(find_protocol("open"), [data], source, Options(keep=True, identity="training"))


@pytest.fixture(scope="module")
def text(made: Result) -> str:
    return page(made)


@pytest.fixture(scope="module")
def tree(text: str) -> Node:
    return Tree(text).open[0]


def test_the_page_is_well_formed_and_alone(text: str, tree: Node) -> None:
    assert text.startswith("<!doctype html>") and text.count("<script") == 2
    policy = next(m.attributes["content"] for m in tree.all("meta") if "http-equiv" in m.attributes)
    assert policy.startswith("default-src 'none'; img-src data:")
    everything = [node for tag in {n.tag for n in _walk(tree)} for node in tree.all(tag)]
    for node in everything:
        for name, value in node.attributes.items():
            assert not name.startswith("on"), "no handlers in attributes"
            if name in ("src", "href", "xlink:href", "action", "poster", "srcset"):
                assert value.startswith(("data:image/png;base64,", "#")), (node.tag, value[:60])
            assert all(part.startswith("#") for part in re.findall(r"url\((.+?)\)", value))
    assert not {"link", "iframe", "object", "base"} & {node.tag for node in everything}
    assert not re.search(r"@import|https?://(?!www\.w3\.org/)", text)
    style = "".join(node.text for node in tree.all("style"))
    assert "prefers-color-scheme: dark" in style and "@media print" in style


def _walk(node: Node) -> list[Node]:
    return [one for child in node.children for one in (child, *_walk(child))]


def test_names_are_shown_as_they_are(tree: Node) -> None:
    heads = [row.all("th")[0].words for row in _sequences(tree)]
    assert sorted(heads) == sorted(NAMES)
    assert MODEL in tree.all("h1")[0].words
    assert not tree.all("b") or all("bold" not in one.words for one in tree.all("b"))


def test_figures_are_those_of_the_json(made: Result, tree: Node) -> None:
    told = json.loads(made.to_json())
    (held,) = (json.loads(n.words) for n in tree.all("script") if n.attributes.get("id") == "figures")
    assert held == told
    rows = {row.attributes["data-metric"]: row for row in tree.all("tr") if "data-metric" in row.attributes}
    assert list(rows) == list(told["metrics"])
    for name, entry in told["metrics"].items():
        value, span, mean = (cell.words.replace("−", "-") for cell in rows[name].all("td")[:3])
        assert float(rows[name].all("td")[0].attributes["data-value"]) == entry["value"]
        assert float(value) == pytest.approx(entry["value"], rel=1e-4)
        assert float(mean) == pytest.approx(entry["clip_mean"], rel=1e-4)
        assert [float(end) for end in span.split(" … ")] == pytest.approx(entry["interval"], rel=1e-3)
        assert entry["formula"] in rows[name].words and entry["source"] in rows[name].words
        assert rows[name].all("td")[5].words.split()[0] == str(entry["count"])


def _sequences(tree: Node) -> list[Node]:
    (table,) = (one for one in tree.all("table") if one.attributes.get("class") == "sortable")
    return table.all("tbody")[0].all("tr")


def test_sequences_are_those_of_the_csv_worst_first(made: Result, tree: Node) -> None:
    rows = list(csv.DictReader(io.StringIO(made.to_csv())))
    names = {m.name: f"{m.name} [{made.parts[0].unit_of(m)}]" for m in METRICS}
    order = sorted(rows, key=lambda row: -float(row[names["lve"]]))
    shown = _sequences(tree)
    assert [row.all("th")[0].words for row in shown] == [row["sequence"] for row in order]
    for row, expected in zip(shown, order, strict=True):
        cells = [cell.attributes["data-value"] for cell in row.all("td")]
        assert cells[:2] == ["a", expected["frames"]]
        assert cells[2] == expected[names["lve"]] and cells[3] == expected[names["lve_over_rest"]]


def test_maps_curves_and_classes_are_there(made: Result, tree: Node) -> None:
    images = [n.attributes["src"] for n in tree.all("img")]
    assert len(images) == 5
    for source in images:
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))
        assert shown.shape == (pictures.SIZE, pictures.SIZE, 4) and len(np.unique(shown)) > 10
    charts = [figure for figure in tree.all("figure") if figure.attributes.get("class") == "chart"]
    assert len(charts) == 5 and all(figure.all("svg") for figure in charts)
    words = [figure.all("svg")[0].words for figure in charts]
    assert "bilabials" in words[0] and "silence" in words[0]
    assert all("mean of 2 styles" in one and "seconds" in one for one in words[1:4])
    captions = [figure.all("figcaption")[0].words for figure in charts[1:4]]
    assert [one.split(":")[0] for one in captions] == ["worst", "median", "best"]
    assert all(re.search(r"r [\d.]+ at (\d+ ms (late|early)|no lag)\.", one) for one in captions)


def test_worst_median_and_best_are_by_lve(made: Result) -> None:
    (part,) = made.parts
    chosen = pictures.chosen(part)
    ranked = sorted(part.sequences, key=lambda one: -one.sums["lve"][0] / one.sums["lve"][1])
    assert [word for word, _ in chosen] == ["worst", "median", "best"]
    assert [one.id for _, one in chosen] == [ranked[k].id for k in (0, 3, 5)]
    part = type(part)(**{**vars(part), "sequences": ranked[:2]})
    assert [(word, one.id) for word, one in pictures.chosen(part)] == [
        ("worst", ranked[0].id),
        ("best", ranked[1].id),
    ]


def test_differences_masks_and_counts_stand_on_the_page(made: Result, tree: Node) -> None:
    (part,) = made.parts
    words = " ".join(tree.words.split())
    for line in (*part.differences, *made.notes):
        assert line in words
    for mask in part.masks.values():
        assert mask.sha256 in words and mask.source in words
    for fact in ("abc", "toys", made.protocol.about, made.protocol.pooling, f"frames{part.facts['frames']}"):
        assert str(fact) in words
    assert "Nothing differs" not in words


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(2)
    values = {f"c{k}": motion(12 + k, rng) for k in range(2)}
    data = make_set(tmp_path / "set", {name: ("a", "test", one) for name, one in values.items()}, name="x<y")
    (tmp_path / "made").mkdir()
    for name, one in values.items():
        np.save(tmp_path / "made" / f"{name}.npy", data.template("a").reshape(-1) + 0.5 * one)
    given = ["evaluate", "--predictions", str(tmp_path / "made"), "--data", str(data.folder)]
    for extra in ([], ["--lips"]):
        report = tmp_path / f"report{len(extra)}.html"
        command = [
            *given,
            "--protocol",
            "open",
            "--json",
            str(tmp_path / "f.json"),
            "--report",
            str(report),
            *extra,
        ]
        assert main(command) == 0, capsys.readouterr().err
        tree = Tree(report.read_text(encoding="utf-8")).open[0]
        value = json.loads((tmp_path / "f.json").read_text())["metrics"]["lve"]["value"]
        (row,) = (one for one in tree.all("tr") if one.attributes.get("data-metric") == "lve")
        assert float(row.all("td")[0].attributes["data-value"]) == value
        errors = np.concatenate(
            [lve(*(k * one.reshape(-1, 24, 3) for k in (1, 0.5)), range(12)) for one in values.values()]
        )
        assert value == pytest.approx(errors.mean(), rel=1e-3)
        assert bool(tree.all("img")) == (not extra), "--lips makes no meshes, so no maps"
    assert main(["evaluate", "mini", str(data.folder), "--report", str(tmp_path / "no.html")]) == 2
    assert "--report needs --protocol" in capsys.readouterr().err


def test_long_lists_unfold_but_never_differences(made: Result) -> None:
    lines = [f"note {k}." for k in range(40)]
    part = type(made.parts[0])(**{**vars(made.parts[0]), "differences": lines, "problems": lines})
    tree = Tree(page(type(made)(made.protocol, made.about, [part], []))).open[0]
    differs, gone = (n for n in tree.all("div") if n.attributes.get("class", "").startswith("notice"))
    assert not differs.all("details") and len(differs.all("li")) == 40
    assert gone.all("summary")[0].words == "34 more" and len(gone.all("li")) == 40
