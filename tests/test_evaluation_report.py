"""`evaluate` over small datasets of every kind, with an animator that knows the answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from evaluation_sets import make_set, motion
from unitalker.annotations.base import Annotation
from unitalker.annotations.blendshapes import BlendshapeAnnotation
from unitalker.annotations.flame import FLAME_NAMES
from unitalker.annotations.flame_rig import flame_codes, flame_from_rig
from unitalker.annotations.layouts import layout
from unitalker.annotations.parameters import FlameAnnotation
from unitalker.annotations.vertices import VertexAnnotation, vertex_names
from unitalker.data.dataset import open_dataset, write_manifest
from unitalker.errors import DataError
from unitalker.evaluation.report import Report, evaluate
from unitalker.evaluation.scoring import ARKIT, rest_sounds
from unitalker.motion import Motion
from unitalker.rig.rig import Rig

SHAPES = ("jawOpen", "mouthClose", "mouthPucker")
FRAMES, RATE = 50, 16000


class _Echo:
    """An animator that returns each clip's stored values at 50 fps plus an offset; other sounds give 0.01."""

    def __init__(
        self, known: Mapping[str, np.ndarray], *annotations: Annotation, offset: float = 0.0
    ) -> None:
        self.known, self.offset = known, offset
        self.annotations = {a.name: a for a in annotations}
        self.asked: list[Any] = []

    def animate(
        self, source: Any, /, *, annotations: Sequence[str], identity: str | None = None
    ) -> dict[str, Motion]:
        self.asked.append((Path(source).name, tuple(annotations), identity))
        made = {}
        for name in annotations:
            annotation = self.annotations[name]
            values = self.known.get(Path(source).name, np.full((10, annotation.dim), 0.01))
            made[name] = annotation.motion(np.repeat(values, 2, axis=0) + self.offset, 50.0)
        return made


def _rig() -> Rig:
    """Two lips of twenty vertices; jawOpen turns the lower one about a hinge behind it."""
    x = np.linspace(-0.02, 0.02, 20)
    vertices = np.array(
        [*[(v, 0.001, 0.1) for v in x], *[(v, -0.001, 0.1 - 8 * v * v) for v in x]], np.float32
    )
    shapes = np.zeros((3, 40, 3), np.float32)
    sine, cosine = np.sin(0.3), np.cos(0.3)
    y, z = vertices[20:, 1] - 0.02, vertices[20:, 2] - 0.01
    shapes[0, 20:, 1], shapes[0, 20:, 2] = cosine * y - sine * z - y, sine * y + cosine * z - z
    shapes[1, 20:, 1], shapes[2, :, 2] = 0.03, 0.01
    return Rig("toy", vertices, np.array([[0, 20, 1]]), SHAPES, shapes, regions={"lips": np.arange(40)})


def _write(
    folder: Path, annotation: Annotation, values: Sequence[np.ndarray], **facts: Any
) -> dict[str, Any]:
    """A dataset of one training and several development clips; returns {audio file: values}."""
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir()
    (folder / "motion").mkdir()
    clips = []
    for index, one in enumerate(values):
        np.save(folder / "motion" / f"{index}.npy", one.astype(np.float32))
        sound = 0.1 * rng.standard_normal(round(len(one) / 25 * RATE))
        soundfile.write(folder / "audio" / f"{index}.flac", sound, RATE)
        clips.append(
            {
                "id": str(index),
                "subject": "s",
                "audio": f"audio/{index}.flac",
                "motion": f"motion/{index}.npy",
                "split": "val" if index else "train",
                "seconds": len(one) / 25,
                "words": [[0.3, 0.6, "bin"], [0.6, 1.0, "red"]],
            }
        )
    manifest = {"format": "unitalker.dataset", "version": 1, "name": "toy", "annotation": annotation.name}
    manifest |= {
        "fps": 25,
        "unit": annotation.unit,
        "names": annotation.names,
        "subjects": ["s"],
        "clips": clips,
    }
    (folder / "dataset.json").write_text(json.dumps(manifest | facts))
    return {f"{index}.flac": one for index, one in enumerate(values)}


def _walks(dim: int, clips: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(8)
    return [
        np.abs(0.02 * rng.standard_normal((FRAMES, dim)).cumsum(0)).astype(np.float32) for _ in range(clips)
    ]


def test_arkit_weights(tmp_path: Path) -> None:
    arkit = BlendshapeAnnotation(ARKIT, 60.0, "weight", layout(ARKIT).names)
    echo = _Echo(_write(tmp_path, arkit, _walks(52), known=["jawOpen"]), arkit)
    seen: list[tuple[int, int]] = []
    report = evaluate(
        echo, tmp_path, rig=_rig(), identity="subject", progress=lambda *done: seen.append(done)
    )
    assert seen == [(1, 2), (2, 2)] and echo.asked[0] == ("1.flac", (ARKIT,), "toy/s")
    figures = report.groups[ARKIT]
    assert figures["r"]["jawOpen"] > 0.95 and figures["words"]["closure_words"] == 2
    assert list(figures["channels"]) == ["jawOpen"] and figures["frames"] == 2 * FRAMES
    assert report.rest == pytest.approx(dict.fromkeys(rest_sounds(), 0.01))
    assert echo.asked[-1] == ("chord.wav", (ARKIT,), None)
    assert json.loads(report.to_json())["facts"]["rig"] == "toy"
    assert "bilabial closure recall" in report.table() and "loudness alone" in report.table()
    with pytest.raises(DataError, match="no split 'test'"):
        evaluate(echo, tmp_path, split="test", rig=_rig())


def test_another_weight_layout_is_scored_through_both_heads(tmp_path: Path) -> None:
    names = layout("facegood116").names
    other = BlendshapeAnnotation("facegood116", 30.0, "weight", names)
    arkit = BlendshapeAnnotation(ARKIT, 60.0, "weight", layout(ARKIT).names)
    known = _write(tmp_path, other, _walks(116))

    class Both(_Echo):
        def animate(
            self, source: Any, /, *, annotations: Sequence[str], identity: str | None = None
        ) -> dict[str, Motion]:
            from unitalker.annotations.layouts import convert

            made = super().animate(source, annotations=annotations[:1], identity=identity)
            first = made[annotations[0]]
            return {n: first if n == first.annotation else convert(first, n) for n in annotations}

    report = evaluate(Both(known, other, arkit), tmp_path, rig=_rig())
    assert list(report.groups) == ["facegood116", ARKIT]
    assert report.groups[ARKIT]["r"] == pytest.approx(report.groups["facegood116"]["r"])
    alone = evaluate(_Echo(known, other), tmp_path, rig=_rig())
    assert list(alone.groups) == ["facegood116"] and not alone.rest


def test_an_annotation_nobody_knows_is_scored_by_channel(tmp_path: Path) -> None:
    dummy = BlendshapeAnnotation("dummy", 25.0, "weight", ("alpha", "beta"))
    echo = _Echo(_write(tmp_path, dummy, _walks(2)), dummy, offset=0.25)
    report = evaluate(echo, tmp_path)
    figures = report.groups["dummy"]
    assert (
        figures["rms"] == pytest.approx(0.25, abs=0.01)
        and "RMS error of all channels, weight" in report.table()
    )
    assert figures["channels"] == pytest.approx({"alpha": 1, "beta": 1}, abs=0.01)
    assert figures["rmse"] == pytest.approx({"alpha": 0.25, "beta": 0.25}, abs=0.01)


def test_vertices_in_their_unit(tmp_path: Path) -> None:
    regions = {"lips": np.array([0, 1]), "upper_face": np.array([3])}
    mesh = VertexAnnotation("mesh", 25.0, "mm", vertex_names(4), regions=regions)
    stored = [1000 * w for w in _walks(12)]
    echo = _Echo(_write(tmp_path, mesh, stored, scale=0.5), mesh, offset=2.0)
    echo.known = {name: 0.5 * values for name, values in echo.known.items()}
    still = {name: np.zeros_like(values) for name, values in echo.known.items()}
    figures = evaluate(_Echo(still, mesh), tmp_path).groups["mesh"]
    assert figures["lve_over_rest"] == pytest.approx(1)
    truth = np.concatenate(stored[1:]).reshape(-1, 4, 3) * 0.5
    assert figures["lve"] == pytest.approx((truth[:, :2] ** 2).sum(2).max(1).mean(), rel=1e-4)
    spread = [(c.reshape(-1, 4, 3)[:, 3] ** 2 * 0.25).sum(1).std() for c in stored[1:]]
    assert figures["fdd"] == pytest.approx(np.mean(spread), rel=1e-4)
    assert evaluate(echo, tmp_path).groups["mesh"]["mve"] == pytest.approx(2 * 3**0.5, rel=0.02)


def test_flame_numbers_are_compared_as_meshes(tmp_path: Path) -> None:
    rig = _rig()
    model = flame_from_rig(rig)
    flame = FlameAnnotation("flame", 25.0, "flame", FLAME_NAMES, regions=rig.regions, model=model)
    weights = [0.2 * w for w in _walks(3)]
    stored = [flame_codes(w, SHAPES, model) for w in weights]
    known = _write(tmp_path, flame, stored)
    still = {name: np.tile(flame.resting_values(), (len(v), 1)) for name, v in known.items()}
    figures = evaluate(_Echo(still, flame), tmp_path).groups["flame"]
    assert figures["unit"] == "m"
    moved = rig.pose(np.concatenate(weights[1:])) - rig.vertices
    assert figures["mve"] == pytest.approx(np.linalg.norm(moved, axis=2).mean(), rel=0.02)
    assert figures["lve_over_rest"] == pytest.approx(1)


def test_a_report_of_vertices_prints_its_units() -> None:
    report = Report({"dataset": "d"}, {"v": {"unit": "mm", "mve": 0.5, "lve": 2.0}})
    assert "MVE, mm" in report.table() and "LVE, mm²" in report.table()


def test_broken_manifests_are_told(tmp_path: Path) -> None:
    facts = {"format": "unitalker.dataset", "name": "x", "annotation": "arkit52", "fps": 30, "unit": "weight"}
    facts |= {"names": ["jawOpen"], "subjects": ["s"]}
    clip = {"id": "a", "subject": "s", "audio": "a.wav", "motion": "a.npy", "split": "val", "seconds": 1.0}
    for clips, what in (([{"id": "a"}], "every clip needs"), ([clip], "is not a readable npy array")):
        (tmp_path / "dataset.json").write_text(json.dumps(facts | {"clips": clips}))
        (tmp_path / "a.npy").write_text("no array")
        with pytest.raises(DataError, match=what):
            open_dataset(tmp_path).motion(open_dataset(tmp_path).clips[0])


@pytest.mark.parametrize("name", ["../out", "a/b", "a\\b", ".hidden", " ", "nul\0"])
def test_names_that_would_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    """Reports and runs call files by the names of datasets and clips."""
    made = make_set(tmp_path / "set", {"one": ("s", "test", motion(5, np.random.default_rng(0)))})
    for changed in (replace(made, name=name), replace(made, clips=(replace(made.clips[0], id=name),))):
        write_manifest(changed)
        with pytest.raises(DataError, match="cannot be part of a file's name"):
            open_dataset(made.folder)
