"""Measures as functions of arrays; each says its formula, its unit and where it comes from.

`curves` on numbers over time, `meshes` on vertices, `mouth` on the mouth's opening, `codes` on what heads predict,
`streams` the same of long clips a block at a time, `registry` the list that reports and docs are made of.
"""

from __future__ import annotations

from unitalker.evaluation.metrics.codes import lips_of_codes, lve_of_codes
from unitalker.evaluation.metrics.curves import (
    LAGS,
    amplitude,
    best_lag,
    loudness,
    pooled_correlation,
    sample_at,
    twin_energy,
)
from unitalker.evaluation.metrics.meshes import (
    diversity,
    dynamics,
    fdd,
    jitter,
    lvd,
    lve,
    mve,
    squared_norms,
    velocity_maps,
)
from unitalker.evaluation.metrics.mouth import inner_lips, moments, opening, opening_difference
from unitalker.evaluation.metrics.phones import closures

__all__ = [
    "LAGS",
    "amplitude",
    "best_lag",
    "closures",
    "diversity",
    "dynamics",
    "fdd",
    "inner_lips",
    "jitter",
    "lips_of_codes",
    "loudness",
    "lvd",
    "lve",
    "lve_of_codes",
    "moments",
    "mve",
    "opening",
    "opening_difference",
    "pooled_correlation",
    "sample_at",
    "squared_norms",
    "twin_energy",
    "velocity_maps",
]
