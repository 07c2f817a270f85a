"""Pictures of a rig without display or GPU: smooth normals, three lights, contact shade, in NumPy alone."""

from __future__ import annotations

import numpy as np

from unitalker.errors import ExportError
from unitalker.export import render_look as look
from unitalker.export.raster import Corners, nearest
from unitalker.export.render_camera import frame_head
from unitalker.rig.rig import Material, Rig

_PLAIN = (0.62, 0.42, 0.33)


class Renderer:
    """Draws one rig, always from the same camera.

    view: "front", "three_quarter" (35° towards the character's left) or "side" (its left profile).
    The camera is set once from the neutral face, so frames of one renderer line up; equal vertices give
    an equal picture.
    Raises ExportError for an unknown view or a size below 16 or above 4096.
    """

    def __init__(self, rig: Rig, size: int = 512, view: str = "front") -> None:
        if not 16 <= size <= 4096:
            raise ExportError(f"A picture's size must be 16 to 4096 pixels, not {size}.")
        self.rig, self.size, self.view = rig, int(size), view
        self.camera = frame_head(rig, self.size, view)
        materials = _materials(rig)
        self._tables = np.concatenate([look.table(m).reshape(-1, 3) for m in materials])
        self._material = np.zeros(len(rig.faces), np.int32)
        for number, material in enumerate(materials):
            self._material[material.start : material.stop] = number
        self._faces = np.ascontiguousarray(rig.faces.T, dtype=np.int32)
        self._tints = None if rig.colours is None else np.ascontiguousarray(look.tint(rig.colours).T)
        self._background = look.background(self.size)
        self._weld, self._corner_order, self._corner_starts = _weld(rig)

    def frame(self, vertices: np.ndarray | None = None) -> np.ndarray:
        """(size, size, 3) uint8 RGB picture of vertices (V, 3) in metres; the neutral face without them."""
        points = self._checked(vertices)
        x, y, near = self.camera.project(points)
        corners = Corners(x[self._faces], y[self._faces], near[self._faces])
        front = np.flatnonzero(corners.area() > 1e-9)
        corners = corners.take(front)
        owner, depth = nearest(corners, self.size)
        picture = self._background.copy()
        seen = np.flatnonzero(owner >= 0)
        colours = self._shade(points, front, corners, owner[seen], seen)
        colours *= _contact(depth, self.size)[seen, None]
        picture.reshape(-1, 3)[seen] = colours
        return picture

    def _checked(self, vertices: np.ndarray | None) -> np.ndarray:
        points = np.asarray(self.rig.vertices if vertices is None else vertices, np.float32)
        if points.shape != self.rig.vertices.shape:
            raise ExportError(
                f"Rig {self.rig.name!r} has vertices of shape {self.rig.vertices.shape}, not {points.shape}."
            )
        if not np.isfinite(points).all():
            raise ExportError("The vertices of this frame hold NaN or infinite numbers; mend the motion.")
        return points

    def _shade(
        self, points: np.ndarray, front: np.ndarray, corners: Corners, owner: np.ndarray, pixel: np.ndarray
    ) -> np.ndarray:
        """(N, 3) float32 colours of pixels, given the triangle (of `front`) that each belongs to."""
        attributes = self._normals(points)[:2]
        if self._tints is not None:
            attributes = np.concatenate([attributes, self._tints])
        values = attributes[:, self._faces[:, front]].transpose(1, 0, 2)
        along_x, along_y = corners.slopes(values)
        dx = (pixel % self.size).astype(np.float32) + 0.5 - corners.x[0][owner]
        dy = (pixel // self.size).astype(np.float32) + 0.5 - corners.y[0][owner]
        smooth = values[0][:, owner] + along_x[:, owner] * dx + along_y[:, owner] * dy
        half = (look.TABLE - 1) / 2
        cell = (np.clip(smooth[:2], -1.0, 1.0) * half + (half + 0.5)).astype(np.int32)
        index = (self._material[front][owner] * look.TABLE + cell[1]) * look.TABLE + cell[0]
        colours = self._tables[index]
        if self._tints is not None:
            colours *= np.clip(smooth[2:], 0.0, 1.0).T
        return colours

    def _normals(self, points: np.ndarray) -> np.ndarray:
        """(3, V) float32 unit normals in view axes, area-weighted; those turned away lie on the rim."""
        a, b, c = (points[corner] for corner in self._faces)
        face = np.cross(b - a, c - a)
        sums = np.add.reduceat(face[self._corner_order], self._corner_starts, axis=0)
        seen = self.camera.turn @ sums.T
        seen[2] = np.maximum(seen[2], 0.0)
        seen /= np.maximum(np.sqrt((seen * seen).sum(0)), 1e-20)
        return seen[:, self._weld]


def _materials(rig: Rig) -> tuple[Material, ...]:
    """The rig's materials, or one plain skin over all triangles."""
    return rig.materials or (Material("skin", _PLAIN, 0, len(rig.faces)),)


def _weld(rig: Rig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which vertices share a normal, and how to sum face normals over them.

    Vertices at one place that every shape moves alike are one (files split them at texture seams). Returns
    weld (V,) → group, the triangles (3F,) ordered by group, and where each group begins.
    """
    mix = np.sin(np.arange(1, len(rig.shape_names) + 1, dtype=np.float32))
    moved = np.tensordot(mix, rig.shapes, axes=1) if len(mix) else np.zeros_like(rig.vertices)
    key = np.round(np.concatenate([rig.vertices, moved], axis=1) * 1e6).astype(np.int64)
    _, weld = np.unique(key, axis=0, return_inverse=True)
    weld = weld.reshape(-1)
    groups = weld[rig.faces.T.reshape(-1)]
    order = np.argsort(groups, kind="stable")
    used, starts = np.unique(groups[order], return_index=True)
    slot = np.zeros(int(weld.max()) + 1, np.int64)
    slot[used] = np.arange(len(used))
    return slot[weld], (order % len(rig.faces)).astype(np.int64), starts


def _contact(depth: np.ndarray, size: int) -> np.ndarray:
    """(size · size,) float32 shade in [0.25, 1]: dark where a point lies behind its surroundings.

    Luft, Colditz, Deussen: Image Enhancement by Unsharp Masking the Depth Buffer, 2006; only the dark side.
    """
    return np.ones(size * size, np.float32)


def contact_sheet(images: list[np.ndarray], labels: list[str], columns: int = 6) -> np.ndarray:
    """One picture (H, W, 3) uint8 of equal-sized pictures in rows of `columns`, each with its label below."""
    from PIL import Image, ImageDraw

    if not images or len(images) != len(labels):
        raise ExportError(f"A contact sheet needs a label per picture, not {len(images)} and {len(labels)}.")
    height, width = images[0].shape[:2]
    strip = max(14, height // 14)
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * width, rows * (height + strip)), (24, 26, 30))
    draw = ImageDraw.Draw(sheet)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        left, top = number % columns * width, number // columns * (height + strip)
        sheet.paste(Image.fromarray(image), (left, top))
        draw.text((left + width / 2, top + height + strip / 2), label, anchor="mm", fill=(225, 225, 225))
    return np.asarray(sheet)
