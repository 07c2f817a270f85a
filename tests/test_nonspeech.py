"""Sounds that are no voice: lengths, levels, spectra against closed forms, variety."""

from __future__ import annotations

import numpy as np
import pytest

from unitalker.data.nonspeech import KINDS, RATE, coloured, nonspeech, random_nonspeech
from unitalker.errors import ConfigError


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_finite_within_scale_and_repeatable(kind: str) -> None:
    wave = nonspeech(kind, 2.003, np.random.default_rng(5))
    assert wave.shape == (round(2.003 * RATE),)
    assert wave.dtype == np.float32
    assert np.isfinite(wave).all()
    assert np.abs(wave).max() <= 1
    assert (kind == "silence") == (not wave.any())
    assert np.array_equal(wave, nonspeech(kind, 2.003, np.random.default_rng(5)))
    if kind != "silence":
        assert not np.array_equal(wave, nonspeech(kind, 2.003, np.random.default_rng(6)))


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_coloured_noise_falls_as_its_name_says(slope: float) -> None:
    """Power between octaves 200–400 and 1600–3200 Hz differs by 2^(-3·slope) per hertz."""
    wave = coloured(RATE * 20, slope, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    low = power[(hertz > 200) & (hertz < 400)].mean()
    high = power[(hertz > 1600) & (hertz < 3200)].mean()
    assert np.log2(low / high) == pytest.approx(3 * slope, abs=0.25)
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(1.0)


def test_hum_is_at_a_mains_frequency() -> None:
    wave = nonspeech("hum", 4, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    peak = np.argmax(power) * RATE / len(wave)
    nearest = min((abs(peak / base - round(peak / base)), base) for base in (50, 60))
    assert nearest[0] < 0.02


def test_loudness_varies_and_kinds_mix() -> None:
    rng = np.random.default_rng(2)
    drawn = [random_nonspeech(1.0, rng) for _ in range(150)]
    names = {name for name, _ in drawn}
    levels = [np.sqrt(np.mean(w**2)) for _, w in drawn if w.any()]
    assert len(names) > 20
    assert any("+" in n for n in names)
    assert np.percentile(levels, 90) > 10 * np.percentile(levels, 10)


def test_empty_and_bad_requests() -> None:
    assert nonspeech("wind", 0, np.random.default_rng(0)).shape == (0,)
    assert nonspeech("band", 0.05, np.random.default_rng(0)).shape == (800,)
    with pytest.raises(ConfigError, match="did you mean 'rain'"):
        nonspeech("rains", 1, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="between 0 and 3600"):
        nonspeech("rain", -1, np.random.default_rng(0))
