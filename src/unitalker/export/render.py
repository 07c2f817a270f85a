"""Pictures of a rig without display or GPU: smooth normals, three lights, contact shade, in NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitalker.errors import ExportError
from unitalker.export import render_look as look
from unitalker.export.raster import Corners, nearest, nearest_inside
from unitalker.export.render_camera import frame_head
from unitalker.export.render_edges import contact_shade, edge_pixels, touching
from unitalker.rig.rig import Material, Rig

_PLAIN = (0.62, 0.42, 0.33)
_HALF = np.float32(0.5)
_RUN = 8192
_SHADE_WARMTH = (0.85, 1.0, 1.05)
_REACH = 0.035
_JUMP_PIXELS = 8.0


@dataclass(frozen=True)
class _Scene:
    """One frame's triangles (F,) on the screen. values: (A, F) at corner 0, with slopes along x and y."""

    corners: Corners
    material: np.ndarray
    values: np.ndarray
    along_x: np.ndarray
    along_y: np.ndarray


class Renderer:
    """Draws one rig, always from the same camera.

    view: "front", "three_quarter" (35° towards the character's left) or "side" (its left profile).
    fine: edges are drawn with fine × fine points a pixel, 1 to 8; surfaces between them with one.
    The camera is set once from the neutral face, so frames of one renderer line up; equal vertices give
    an equal picture.
    Raises ExportError for an unknown view or a size below 16 or above 4096.
    """

    def __init__(self, rig: Rig, size: int = 512, view: str = "front", fine: int = 3) -> None:
        if not 16 <= size <= 4096:
            raise ExportError(f"A picture's size must be 16 to 4096 pixels, not {size}.")
        if not 1 <= fine <= 8:
            raise ExportError(f"Edges take 1 to 8 points a pixel along each axis, not {fine}.")
        self.rig, self.size, self.view, self.fine = rig, int(size), view, int(fine)
        self.camera = frame_head(rig, self.size, view)
        materials = _materials(rig)
        self._tables = np.concatenate([look.table(m).reshape(-1, 3) for m in materials])
        self._material = np.zeros(len(rig.faces), np.int32)
        for number, material in enumerate(materials):
            self._material[material.start : material.stop] = number
        self._faces = np.ascontiguousarray(rig.faces.T, dtype=np.int32)
        self._tints = None if rig.colours is None else np.ascontiguousarray(look.tint(rig.colours).T)
        self._background = look.background(self.size)
        height = self.camera.distance * self.size / self.camera.focal
        self._reach = _REACH * height
        self._jump = _JUMP_PIXELS * height / self.size / self.camera.distance**2
        self._weld, self._corner_order, self._corner_starts = _weld(rig)

    def frame(self, vertices: np.ndarray | None = None) -> np.ndarray:
        """(size, size, 3) uint8 RGB picture of vertices (V, 3) in metres; the neutral face without them."""
        scene = self._scene(self._checked(vertices))
        owner, near = nearest(scene.corners, self.size)
        picture = self._background.copy()
        shade = contact_shade(near, self.size, self._reach).reshape(-1)
        seen = np.flatnonzero(owner >= 0)
        owned = owner[seen]
        y, x = np.divmod(seen.astype(np.int32), np.int32(self.size))
        picture.reshape(-1, 3)[seen] = self._colours(scene, owned, x + _HALF, y + _HALF, shade[seen])
        kind = np.full(len(owner), -1, np.int32)
        kind[seen] = scene.material[owned]
        self._smooth_edges(picture, scene, edge_pixels(near, kind, self.size, self._jump), shade)
        return picture

    def _smooth_edges(
        self, picture: np.ndarray, scene: _Scene, marked: np.ndarray, shade: np.ndarray
    ) -> None:
        """Draws the marked pixels anew as the mean of a grid of points inside each."""
        fine = self.fine
        points = ((np.arange(fine) + 0.5) / fine).astype(np.float32)
        which = touching(scene.corners, marked)
        owner = nearest_inside(scene.corners.take(which), marked, fine)
        row, column = np.nonzero(marked)
        colours = np.repeat(self._background[row, column].astype(np.float32), fine**2, axis=0)
        mark, point = np.nonzero(owner >= 0)
        x = column[mark].astype(np.float32) + points[point % fine]
        y = row[mark].astype(np.float32) + points[point // fine]
        dark = shade[row[mark] * self.size + column[mark]]
        colours[mark * fine**2 + point] = self._colours(scene, which[owner[mark, point]], x, y, dark)
        picture[row, column] = colours.reshape(-1, fine**2, 3).mean(axis=1)

    def _scene(self, points: np.ndarray) -> _Scene:
        """The triangles that face the camera, with what is to be interpolated over them."""
        x, y, near = self.camera.project(points)
        corners = Corners(x[self._faces], y[self._faces], near[self._faces])
        front = np.flatnonzero(corners.area() > 1e-9)
        corners = corners.take(front)
        attributes = self._normals(points)[:2]
        if self._tints is not None:
            attributes = np.concatenate([attributes, self._tints])
        values = attributes[:, self._faces[:, front]].transpose(1, 0, 2)
        return _Scene(corners, self._material[front], values[0], *corners.slopes(values))

    def _checked(self, vertices: np.ndarray | None) -> np.ndarray:
        points = np.asarray(self.rig.vertices if vertices is None else vertices, np.float32)
        if points.shape != self.rig.vertices.shape:
            raise ExportError(
                f"Rig {self.rig.name!r} has vertices of shape {self.rig.vertices.shape}, not {points.shape}."
            )
        if not np.isfinite(points).all():
            raise ExportError("The vertices of this frame hold NaN or infinite numbers; mend the motion.")
        return points

    def _colours(
        self, scene: _Scene, owner: np.ndarray, x: np.ndarray, y: np.ndarray, shade: np.ndarray
    ) -> np.ndarray:
        """(N, 3) float32 colours at screen points, given the triangle each lies on and its contact shade.

        Points go in runs short enough for all temporaries to stay in the processor's cache.
        """
        colours = np.empty((len(owner), 3), np.float32)
        for start in range(0, len(owner), _RUN):
            run = slice(start, start + _RUN)
            self._colour_run(scene, owner[run].astype(np.intp), x[run], y[run], shade[run], colours[run])
        return colours

    def _colour_run(
        self,
        scene: _Scene,
        owner: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        shade: np.ndarray,
        colours: np.ndarray,
    ) -> None:
        dx, dy = x - scene.corners.x[0][owner], y - scene.corners.y[0][owner]
        planes = zip(scene.values, scene.along_x, scene.along_y, strict=True)
        smooth = [value[owner] + by_x[owner] * dx + by_y[owner] * dy for value, by_x, by_y in planes]
        half = np.float32((look.TABLE - 1) / 2)
        column, row = ((np.clip(n, -1, 1) * half + (half + _HALF)).astype(np.intp) for n in smooth[:2])
        np.take(self._tables, (scene.material[owner] * look.TABLE + row) * look.TABLE + column, 0, colours)
        for channel, factor in enumerate(smooth[2:]):
            colours[:, channel] *= np.clip(factor, 0, 1)
        for channel, warmth in enumerate(_SHADE_WARMTH):
            colours[:, channel] *= 1 - (1 - shade) * np.float32(warmth)

    def _normals(self, points: np.ndarray) -> np.ndarray:
        """(3, V) float32 unit normals in view axes, area-weighted; those turned away lie on the rim."""
        x, y, z = self.camera.turned(points)
        a, b, c = self._faces
        (ux, uy, uz), (vx, vy, vz) = ([axis[corner] - axis[a] for axis in (x, y, z)] for corner in (b, c))
        face = (uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx)
        seen = np.stack([np.add.reduceat(n[self._corner_order], self._corner_starts) for n in face])
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


def contact_sheet(images: list[np.ndarray], labels: list[str], columns: int = 6) -> np.ndarray:
    """One picture (H, W, 3) uint8 of equal-sized pictures in rows of `columns`, each with its label below."""
    from PIL import Image, ImageDraw, ImageFont

    if not images or len(images) != len(labels):
        raise ExportError(f"A contact sheet needs a label per picture, not {len(images)} and {len(labels)}.")
    height, width = images[0].shape[:2]
    strip = max(14, height // 14)
    font = ImageFont.load_default(size=0.62 * strip)
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * width, rows * (height + strip)), (24, 26, 30))
    draw = ImageDraw.Draw(sheet)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        left, top = number % columns * width, number // columns * (height + strip)
        sheet.paste(Image.fromarray(image), (left, top))
        draw.text(
            (left + width / 2, top + height + strip / 2), label, anchor="mm", fill=(225, 225, 225), font=font
        )
    return np.asarray(sheet)
