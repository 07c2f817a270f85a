"""What makes a plain rendering look finished: contact shade from the depth, and smooth edges."""

from __future__ import annotations

import numpy as np

from unitalker.export.raster import Corners

_GRID = 128
_TILE = 4
_RADII = (0.016, 0.05)
_DARKEST = 0.35


def contact_shade(near: np.ndarray, size: int, reach: float) -> np.ndarray:
    """(size, size) float32 factors in (0, 1]: dark where a point lies behind its surroundings.

    near: (size · size,) nearness in 1 / m, -inf for none, which counts as far behind the head.
    reach: metres behind that are fully dark.
    Luft, Colditz, Deussen: Image Enhancement by Unsharp Masking the Depth Buffer (2006); only its dark side,
    on a grid of about 128 points.
    """
    step = max(size // _GRID, 1)
    grid = near.reshape(size, size)[step // 2 :: step, step // 2 :: step]
    there = np.isfinite(grid)
    if not there.any():
        return np.ones((size, size), np.float32)
    depth = 1.0 / np.where(there, grid, 1.0)
    nearest, farthest = depth[there].min(), depth[there].max()
    depth[~there] = 2 * farthest - nearest + reach
    behind = np.zeros_like(depth)
    for radius in _RADII:
        around = _blur(depth, max(round(radius * len(grid)), 1))
        behind += np.clip(depth - around, 0.0, reach)
    behind[~there] = 0.0
    shade = 1.0 - (1.0 - _DARKEST) * np.minimum(behind / (reach * len(_RADII)), 1.0)
    return _enlarged(_blur(shade, 1), step, size)


def _blur(values: np.ndarray, radius: int) -> np.ndarray:
    """(H, W) float32 under a tent that reaches 2 · radius to each side, edges repeated."""
    last, reach = len(values) - 1, 2 * radius
    rows = np.minimum(np.maximum(np.arange(-reach, last + reach + 1), 0), last)
    tent = np.arange(1, 2 * radius + 2, dtype=np.float32)
    tent = np.concatenate([tent, tent[-2::-1]]) / tent[-1] ** 2
    for _ in range(2):
        padded = values[rows]
        total = tent[0] * padded[: last + 1]
        for step, weight in enumerate(tent[1:], 1):
            total += weight * padded[step : step + last + 1]
        values = np.ascontiguousarray(total.T)
    return values


def _enlarged(values: np.ndarray, step: int, size: int) -> np.ndarray:
    """Square grid values at every pixel (size, size), linearly along both axes."""
    if step == 1:
        return values
    where = np.clip((np.arange(size, dtype=np.float32) - step // 2) / step, 0, len(values) - 1)
    low = where.astype(np.intp)
    high = np.minimum(low + 1, len(values) - 1)
    part = (where - low).astype(np.float32)[:, None]
    for _ in range(2):
        values = np.ascontiguousarray(values.T)
        values = values[low] + (values[high] - values[low]) * part
    return values


def edge_pixels(near: np.ndarray, kind: np.ndarray, size: int, jump: float) -> np.ndarray:
    """(size, size) bool: pixels beside another material, the background or a jump in nearness."""
    near, kind = near.reshape(size, size), kind.reshape(size, size)
    flat = np.where(kind < 0, np.float32(0), near)
    marked = np.zeros((size, size), bool)
    for a, b in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        edge = (kind[a] != kind[b]) | (np.abs(flat[a] - flat[b]) > jump)
        marked[a] |= edge
        marked[b] |= edge
    return marked


def touching(corners: Corners, marked: np.ndarray) -> np.ndarray:
    """(N,) the triangles that may touch a marked pixel: their bounding box, in tiles of pixels, holds one.

    The tiles are counted through a summed-area table.
    """
    tiles = -(-len(marked) // _TILE)
    padded = np.zeros((tiles * _TILE, tiles * _TILE), bool)
    padded[: len(marked), : len(marked)] = marked
    filled = np.logical_or.reduce([padded[row::_TILE] for row in range(_TILE)])
    filled = np.logical_or.reduce([filled[:, column::_TILE] for column in range(_TILE)])
    sums = np.zeros((tiles + 1, tiles + 1), np.int32)
    np.cumsum(np.cumsum(filled, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
    left, right = _bounds(corners.x, tiles)
    top, bottom = _bounds(corners.y, tiles)
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.flatnonzero(inside)


def _bounds(values: np.ndarray, tiles: int) -> tuple[np.ndarray, np.ndarray]:
    """First tile of each triangle (3, F) along one axis and the one after its last, inside the picture."""
    a, b, c = np.minimum(np.maximum(values * np.float32(1 / _TILE), 0), np.float32(tiles))
    low = np.minimum(np.minimum(a, b), c).astype(np.intp)
    high = np.maximum(np.maximum(a, b), c).astype(np.intp) + 1
    return np.minimum(low, tiles), np.minimum(high, tiles)
