"""How surfaces look: lights, gloss and tone, baked into one small table of colours per material.

All lights are far away and stand still beside the camera, and the lens is long. The colour of a point then
depends only on its normal as the camera sees it, so a table over (normal x, normal y) serves every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitalker.rig.rig import Material

TABLE = 256
"""Entries of a look-up table along each axis of the normal."""

_GAMMA = 2.2
_EXPOSURE = 1.15
_SKY = np.array([0.36, 0.40, 0.47])
_GROUND = np.array([0.20, 0.15, 0.12])
_WRAP = np.array([0.32, 0.20, 0.15])
_MIRROR = 0.04


@dataclass(frozen=True)
class Light:
    """A light far away. towards: direction to it in view axes (any length). colour: linear RGB strength."""

    towards: tuple[float, float, float]
    colour: tuple[float, float, float]


LIGHTS = (
    Light((-0.50, 0.55, 0.75), (1.20, 1.08, 0.95)),
    Light((0.80, 0.05, 0.55), (0.26, 0.31, 0.38)),
    Light((0.70, 0.45, -0.50), (0.75, 0.82, 0.95)),
)
"""Key (warm, upper left), fill (cool, right) and rim (from behind, upper right)."""


def encode(linear: np.ndarray) -> np.ndarray:
    """Linear light → picture values in [0, 255], by a soft shoulder and a power law."""
    return 255.0 * np.power(1.0 - np.exp(-_EXPOSURE * np.maximum(linear, 0.0)), 1.0 / _GAMMA)


def tint(colours: np.ndarray) -> np.ndarray:
    """Linear factors → factors for encoded colours: under a power law a product stays a product."""
    return np.power(np.clip(colours, 0.0, 1.0), 1.0 / _GAMMA).astype(np.float32)


def _normals() -> np.ndarray:
    """(TABLE, TABLE, 3) unit normals; entries outside the disc lie on its rim."""
    axis = np.linspace(-1.0, 1.0, TABLE)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    length = np.maximum(np.hypot(x, y), 1e-9)
    inside = np.minimum(length, 1.0) / length
    x, y = x * inside, y * inside
    return np.stack([x, y, np.sqrt(np.maximum(1.0 - x * x - y * y, 0.0))], axis=-1)


def table(material: Material) -> np.ndarray:
    """(TABLE, TABLE, 3) float32 picture values over normal y and normal x.

    Diffuse light wraps a little past the terminator, red furthest, as in skin (a half-Lambert curve). Gloss
    is normalised Blinn-Phong, its exponent 2 / roughness⁴ - 2, under Schlick's Fresnel term.
    """
    normal = _normals()
    up = normal[..., 1:2] * 0.5 + 0.5
    light = _GROUND + (_SKY - _GROUND) * up
    gloss = np.zeros_like(normal)
    for lamp in LIGHTS:
        towards = np.array(lamp.towards) / np.linalg.norm(lamp.towards)
        cosine = (normal @ towards)[..., None]
        light = light + np.square(np.maximum((cosine + _WRAP) / (1 + _WRAP), 0.0)) * lamp.colour
        gloss = gloss + _gloss(normal, towards, material.roughness) * np.maximum(cosine, 0.0) * lamp.colour
    return encode(light * np.asarray(material.colour) + gloss).astype(np.float32)


def _gloss(normal: np.ndarray, towards: np.ndarray, roughness: float) -> np.ndarray:
    """(…, 1) mirrored share of a light for a viewer straight ahead."""
    half = towards + np.array([0.0, 0.0, 1.0])
    half = half / np.linalg.norm(half)
    exponent = max(2.0 / max(roughness, 0.12) ** 4 - 2.0, 1.0)
    lobe = np.power(np.maximum(normal @ half, 0.0), exponent) * (exponent + 8.0) / 8.0
    fresnel = _MIRROR + (1.0 - _MIRROR) * (1.0 - half[2]) ** 5
    return (lobe * fresnel)[..., None]


def background(size: int) -> np.ndarray:
    """(size, size, 3) uint8: a calm grey-blue, lighter behind the head, dithered against bands."""
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")
    glow = np.exp(-(x * x + (y + 0.1) ** 2) / 1.1)[..., None]
    edge, middle = np.array([52.0, 57.0, 66.0]), np.array([132.0, 140.0, 150.0])
    grain = np.random.default_rng(0).random((size, size, 1))
    return np.floor(edge + (middle - edge) * glow + grain).astype(np.uint8)
