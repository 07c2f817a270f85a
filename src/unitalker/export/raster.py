"""A scan-line rasteriser in NumPy: triangles on a pixel grid → the nearest triangle at each pixel.

Every triangle is cut into rows, every row into pixels, all triangles at once. A pixel belongs to a triangle
when its centre lies in the half-open span [left edge, right edge); edges are always walked from their upper
to their lower end, so two triangles that share an edge leave no gap and no double pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Corners:
    """Screen triangles. x, y: (3, F) float32 pixels (y down); near: (3, F) float32, larger is nearer.

    `near` must be linear on the screen, as the inverse of the distance along the view axis is.
    """

    x: np.ndarray
    y: np.ndarray
    near: np.ndarray

    def take(self, which: np.ndarray) -> Corners:
        """The triangles `which`, (N,) indices."""
        return Corners(self.x[:, which], self.y[:, which], self.near[:, which])

    def area(self) -> np.ndarray:
        """(F,) twice the signed area: above 0 when the corners run counter-clockwise on the screen."""
        (x0, x1, x2), (y0, y1, y2) = self.x, self.y
        return (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)

    def slopes(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slopes along x and y, each (..., F), of corner values (3, ..., F)."""
        (x0, x1, x2), (y0, y1, y2) = self.x, self.y
        scale = -1.0 / self.area()
        one, two = values[1] - values[0], values[2] - values[0]
        along_x = (one * (y2 - y0) - two * (y1 - y0)) * scale
        along_y = (two * (x1 - x0) - one * (x2 - x0)) * scale
        return along_x, along_y


def _steps(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For counts (N,): owner (sum,) of each step and its number (sum,) within the owner."""
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    starts = np.cumsum(counts) - counts
    return owner, np.arange(len(owner), dtype=np.int32) - starts.astype(np.int32)[owner]


def _by_height(corners: Corners) -> tuple[np.ndarray, np.ndarray]:
    """x and y, each (3, F), with the corners of every triangle ordered from the top down."""
    x, y = corners.x.copy(), corners.y.copy()
    for a, b in ((0, 1), (1, 2), (0, 1)):
        swap = y[a] > y[b]
        for values in (x, y):
            low = np.where(swap, values[b], values[a])
            values[b] = np.where(swap, values[a], values[b])
            values[a] = low
    return x, y


def _slope(x: np.ndarray, y: np.ndarray, a: int, b: int) -> np.ndarray:
    """Pixels of x per pixel of y along the edge from corner a down to corner b; 0 for a level edge."""
    height = y[b] - y[a]
    return np.divide(x[b] - x[a], height, out=np.zeros_like(height), where=height > 0)


def _spans(corners: Corners, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of all triangles: owner triangle, row number, first pixel and pixel count, each (R,)."""
    x, y = _by_height(corners)
    first = np.clip(np.ceil(y[0] - 0.5), 0, size).astype(np.int32)
    stop = np.clip(np.ceil(y[2] - 0.5), 0, size).astype(np.int32)
    tri, step = _steps(np.maximum(stop - first, 0))
    row = first[tri] + step
    centre = row.astype(np.float32) + 0.5
    edges = np.stack([x[0], y[0], _slope(x, y, 0, 2), _slope(x, y, 0, 1), x[1], y[1], _slope(x, y, 1, 2)])
    top_x, top_y, long, upper, mid_x, mid_y, lower = edges.take(tri, axis=1)
    one = top_x + (centre - top_y) * long
    two = np.where(centre < mid_y, top_x + (centre - top_y) * upper, mid_x + (centre - mid_y) * lower)
    left = np.clip(np.ceil(np.minimum(one, two) - 0.5), 0, size).astype(np.int32)
    right = np.clip(np.ceil(np.maximum(one, two) - 0.5), 0, size).astype(np.int32)
    count = right - left
    full = count > 0
    return tri[full], row[full], left[full], count[full]


def nearest(corners: Corners, size: int) -> tuple[np.ndarray, np.ndarray]:
    """What is nearest at each pixel centre, row by row.

    Returns the triangle (size · size,) int32, -1 for none, and its nearness (size · size,) float32, -inf for none.
    At equal nearness the triangle that comes last wins, so the picture is the same on every run.
    """
    tri, row, left, count = _spans(corners, size)
    span, step, near = _pixels(corners, tri, row, left, count)
    return _resolve((row * size + left)[span] + step, near, tri[span], size * size)


def nearest_inside(corners: Corners, marked: np.ndarray, fine: int) -> np.ndarray:
    """What is nearest at a grid of fine × fine points inside each marked pixel.

    corners: in pixels. marked: (size, size) bool with M marks. Returns (M, fine · fine) int32 triangles, -1 for
    none, marks in row-major order.
    """
    size = len(marked)
    corners = Corners(corners.x * np.float32(fine), corners.y * np.float32(fine), corners.near)
    tri, row, left, count = _spans(corners, size * fine)
    ahead = np.zeros((size, size + 1), np.int32)
    np.cumsum(marked, axis=1, out=ahead[:, 1:])
    line, begin, last = row // fine, left // fine, (left + count - 1) // fine
    useful = np.flatnonzero(ahead[line, last + 1] > ahead[line, begin])
    tri, row, left, count = tri[useful], row[useful], left[useful], count[useful]
    span, step, near = _pixels(corners, tri, row, left, count)
    down, across = row[span], left[span] + step
    slot = np.full((size, size), -1, np.int32)
    total = int(np.count_nonzero(marked))
    slot[marked] = np.arange(total, dtype=np.int32)
    mark = slot[down // fine, across // fine]
    point = mark * (fine * fine) + down % fine * fine + across % fine
    kept = np.flatnonzero(mark >= 0)
    owner, _ = _resolve(point[kept], near[kept], tri[span[kept]], total * fine * fine)
    return owner.reshape(total, fine * fine)


def _pixels(
    corners: Corners, tri: np.ndarray, row: np.ndarray, left: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows cut into pixels: the row's number, steps from its first pixel, and nearness, each (N,)."""
    along_x, along_y = corners.slopes(corners.near)
    dx = left.astype(np.float32) + 0.5 - corners.x[0][tri]
    dy = row.astype(np.float32) + 0.5 - corners.y[0][tri]
    slope = along_x[tri]
    begin = corners.near[0][tri] + dx * slope + dy * along_y[tri]
    span, step = _steps(count)
    return span, step, begin[span] + slope[span] * step.astype(np.float32)


def _resolve(
    pixel: np.ndarray, near: np.ndarray, tri: np.ndarray, pixels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Z-buffer: write all candidates, then again those nearer than what stands there, until none is."""
    near = near.astype(np.float32, copy=False)
    depth = np.full(pixels, -np.inf, np.float32)
    owner = np.full(pixels, -1, np.int32)
    while len(pixel):
        depth[pixel] = near
        owner[pixel] = tri
        hidden = np.flatnonzero(near > depth[pixel])
        pixel, near, tri = pixel[hidden], near[hidden], tri[hidden]
    return owner, depth
