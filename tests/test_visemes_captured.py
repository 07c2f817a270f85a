"""Viseme curves against a captured speaker: level, timing and shape of the jaw, closures, from word times alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="the tts extra is not installed")

from unitalker.data.tts import Phone, speak
from unitalker.data.visemes import NAMES, lip_gap, perform
from unitalker.evaluation.captured import Case, common_lag, word_recall
from unitalker.evaluation.metrics import sample_at
from unitalker.motion import Motion

CAPTURED = Path(__file__).parents[2] / "shared" / "assets" / "pairs_train" / "grid_s1" / "grid_s1.npz"
pytestmark = pytest.mark.skipif(not CAPTURED.is_file(), reason="the captured recordings are not here")


def word_phones(word: str, store: dict[str, list[Phone]]) -> list[Phone]:
    if word not in store:
        text = word.upper() + "." if len(word) == 1 else word
        store[word] = [p for p in speak(text, "en-gb").phones if p.ipa]
    return store[word]


def stretched(words: list[tuple[float, float, str]], store: dict[str, list[Phone]]) -> list[Phone]:
    """Spoken words' phones, each word stretched to its captured interval."""
    out, now = [], 0.0
    for start, end, word in words:
        phones = word_phones(word, store)
        first, scale = phones[0].start_s, (end - start) / (phones[-1].end_s - phones[0].start_s)
        if start > now:
            out.append(Phone(now, start, ""))
        out += [
            Phone(start + (p.start_s - first) * scale, start + (p.end_s - first) * scale, p.ipa, p.stress)
            for p in phones
        ]
        now = end
    return [*out, Phone(now, 3.0, "")]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    data = np.load(CAPTURED, allow_pickle=False)
    names = [str(n) for n in data["names"]]
    weights, store, out = data["arkit_mp"].astype(np.float32), {}, []
    for i in range(0, 800, 8):
        rows = [w.split(" ") for w in str(data["align"][i]).split("|")]
        spans = [(int(a) / 25000, int(b) / 25000, w) for a, b, w in rows]
        words = [s for s in spans if s[2] not in ("sil", "sp")]
        times = np.arange(75) / 25
        silent = (times < words[0][0] - 0.15) | (times > words[-1][1] + 0.3)
        if silent.sum() < 3 or not np.isfinite(weights[i]).all():
            continue
        truth = (weights[i] - np.median(weights[i][silent], 0))[:, 1:]
        curves = perform(stretched(words, store), 3.0, 60)
        out.append(
            Case(
                str(i),
                Motion(truth, tuple(names[1:]), 25, "mediapipe", "weight"),
                Motion(curves, NAMES, 60, "arkit52", "weight"),
                np.zeros(48000, np.float32),
                words,
            )
        )
    return out


def test_the_jaw_moves_as_the_speaker_s(cases: list[Case]) -> None:
    lag, r = common_lag(cases)
    assert len(cases) > 80
    assert r > 0.70
    assert abs(lag) <= 0.03


def test_the_jaw_opens_as_far_as_the_speaker_s(cases: list[Case]) -> None:
    ours = np.concatenate([c.prediction.channel("jawOpen") for c in cases])
    truth = np.concatenate([c.truth.channel("jawOpen") for c in cases])
    for share in (75, 90, 98):
        assert np.percentile(ours, share) == pytest.approx(np.percentile(truth, share), rel=0.3)


def test_bilabial_words_close_and_vowels_open(cases: list[Case]) -> None:
    gaps = [sample_at(lip_gap(c.prediction.values), 60, c.times) for c in cases]
    scores = word_recall(gaps, cases)
    assert scores["closure_words"] > 100
    assert scores["closure"] > 0.97
    assert scores["open"] > 0.95
