"""From a corpus's layout to figures: imitation, import, two steps of training and evaluation, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unitalker.cli import main
from unitalker.data.likes import Size, make_like

SETTINGS = [
    "steps=2",
    "warmup_steps=1",
    "batch=2",
    "crop_seconds=0.6",
    "checkpoint_steps=2",
    "precision=fp32",
    "phone_weight=0",
    "closure_weight=0",
    "model.encoder.kind=mini",
    "model.encoder.width=8",
    "model.decoder.width=8",
]


@pytest.mark.parametrize(
    "kind", ("biwi", "vocaset", "multiface", "livelink", "audio2face", "mediapipe", "flame-npz")
)
def test_a_corpus_can_be_trained_and_measured_on(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitalker.training.session.PCA_COMPONENTS", 4)
    source = make_like(kind, tmp_path / "source", Size(people=1, seconds=0.7))
    assert main(["data", "import", kind, str(source), str(tmp_path / "set")]) == 0
    chosen = [part for text in SETTINGS for part in ("--set", text)]
    assert (
        main(
            [
                "train",
                "--data",
                str(tmp_path / "set"),
                "-o",
                str(tmp_path / "run"),
                "--preset",
                "mini",
                *chosen,
            ]
        )
        == 0
    )
    given = ["--split", "test", "--identity", "subject", "-o", str(tmp_path / "figures.json")]
    assert main(["evaluate", str(tmp_path / "run" / "model"), str(tmp_path / "set"), *given]) == 0
    (figures,) = json.loads((tmp_path / "figures.json").read_text())["groups"].values()
    if kind in ("biwi", "vocaset", "multiface"):
        assert figures["mve"] > 0 and ("lve" in figures) == (kind in ("biwi", "vocaset"))
    else:
        assert figures["clips"] == 1 and figures["frames"] > 10 and (figures.get("r") or figures["rmse"])
    if kind == "biwi":
        protocol = [
            "--protocol",
            "biwi-testA",
            "--data",
            str(tmp_path / "set"),
            "--json",
            str(tmp_path / "p.json"),
        ]
        for more in ([], ["--lips"]):
            assert main(["evaluate", str(tmp_path / "run" / "model"), *protocol, *more]) == 0
            found = json.loads((tmp_path / "p.json").read_text())["metrics"]["lve"]
            assert found["value"] == pytest.approx(figures["lve"] / 0.04, rel=1e-4) and found["unit"] == "U²"
