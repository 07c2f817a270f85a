"""A number a vertex as colours on a head: shaded where triangles are known, else as a cloud of points, from the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial import KDTree

from unitalker.errors import DataError
from unitalker.evaluation.plots.colours import Scale, colours
from unitalker.export.raster import Corners, nearest

FINE = 2
"""Points a pixel along each axis."""
MARGIN = 0.03
GRID = 4
"""Points whose vertices count as one place where the width of discs is chosen."""
SHADE = 0.38
"""How much darker a surface is that is seen edgewise."""
STANDARD = "+X left, +Y up, +Z front"
INK, PAPER = (34, 34, 34), (255, 255, 255)
OUTLINE = (30, 90, 160)


@dataclass(frozen=True)
class Mesh:
    """A face. vertices: (V, 3). faces: (F, 3), None for points alone. axes: as an annotation says them. regions: name →
    vertices, for outlines and for finding the front of a mesh of unknown axes."""

    vertices: np.ndarray
    faces: np.ndarray | None = None
    axes: str = STANDARD
    regions: Mapping[str, np.ndarray] = field(default_factory=dict)


def turn_of(mesh: Mesh) -> np.ndarray:
    """(3, 3) from the mesh's axes to right on the picture, up, and towards the viewer.

    Of unknown axes: up is the axis from the lips to the upper face, the front is where the lips lie from the middle; where
    those are not known either, the mesh is taken as it is.
    """
    lips, upper = (mesh.regions.get(name) for name in ("lips", "upper_face"))
    if mesh.axes == STANDARD or lips is None or upper is None or not len(lips) or not len(upper):
        return np.eye(3)
    points = np.asarray(mesh.vertices, float)
    up = _axis(points[upper].mean(0) - points[lips].mean(0))
    ahead = points[lips].mean(0) - (points.min(0) + points.max(0)) / 2
    front = _axis(np.where(up != 0, 0.0, ahead))
    return np.stack([np.cross(up, front), up, front])


def _axis(direction: np.ndarray) -> np.ndarray:
    """The coordinate axis, with its sign, nearest to a direction."""
    out, number = np.zeros(3), int(np.abs(direction).argmax())
    out[number] = 1.0 if direction[number] >= 0 else -1.0
    return out


class View:
    """A mesh from the front, size × size pixels; what lies on each pixel is worked out once for any number of maps.

    shaded: surfaces turned away are darker. Raises DataError for a mesh without extent and for NaN.
    """

    def __init__(self, mesh: Mesh, size: int = 320, shaded: bool = True) -> None:
        points = np.asarray(mesh.vertices, float) @ turn_of(mesh).T
        low, high = points.min(0), points.max(0)
        wide = float((high - low)[:2].max())
        if not (np.isfinite(wide) and wide > 0):
            raise DataError(
                "A head without extent, or with NaN, cannot be drawn; look at the dataset's neutral face."
            )
        self.mesh, self.size, self.shaded, self._wide = mesh, size, shaded, size * FINE
        scale = self._wide * (1 - 2 * MARGIN) / wide
        middle = (low + high) / 2
        self.x = (self._wide / 2 + scale * (points[:, 0] - middle[0])).astype(np.float32)
        self.y = (self._wide / 2 - scale * (points[:, 1] - middle[1])).astype(np.float32)
        self.near = (scale * (points[:, 2] - low[2])).astype(np.float32)
        if mesh.faces is not None and len(mesh.faces):
            self._surface(np.asarray(mesh.faces))
        else:
            self._cloud()

    def _surface(self, faces: np.ndarray) -> None:
        corners = Corners(*(axis[faces.T] for axis in (self.x, self.y, self.near)))
        kept = np.flatnonzero(np.abs(corners.area()) > 1e-6)
        corners, faces = corners.take(kept), faces[kept]
        owner, _ = nearest(corners, self._wide)
        self._seen = np.flatnonzero(owner >= 0)
        mine = owner[self._seen]
        row, column = np.divmod(self._seen, self._wide)
        unit = np.broadcast_to(np.eye(3, dtype=np.float32)[:, :, None], (3, 3, len(kept)))
        along_x, along_y = corners.slopes(unit)
        dx, dy = column + 0.5 - corners.x[0][mine], row + 0.5 - corners.y[0][mine]
        shares = unit[0][:, mine] + along_x[:, mine] * dx + along_y[:, mine] * dy
        self._shares = np.clip(shares, 0, 1)
        self._shares /= self._shares.sum(0)
        self._corners = faces[mine].T
        self._faces, self._owner = faces, mine
        self._light = self._lit(faces) if self.shaded else np.ones(len(mine))

    def _lit(self, faces: np.ndarray) -> np.ndarray:
        """Brightness of each seen point, by how far its smooth normal is turned away."""
        points = np.stack([self.x, -self.y, self.near], 1).astype(float)
        a, b, c = points[faces].transpose(1, 0, 2)
        normal = np.cross(b - a, c - a)
        normal *= np.where(normal[:, 2:] < 0, -1.0, 1.0)
        smooth = np.zeros_like(points)
        for corner in faces.T:
            np.add.at(smooth, corner, normal)
        smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
        ahead = (smooth[self._corners, 2] * self._shares).sum(0)
        return 1 - SHADE * (1 - np.clip(ahead, 0, 1))

    def _cloud(self) -> None:
        """Points as discs wide enough to touch, the nearer over the farther."""
        places = np.unique(np.stack([self.x, self.y], 1) // GRID, axis=0) * GRID
        apart = KDTree(places).query(places, k=min(3, len(places)))[0][:, -1]
        reach = min(max(1.0, 0.75 * float(np.percentile(apart, 90))), self._wide / 16)
        steps = np.arange(-int(np.ceil(reach)), int(np.ceil(reach)) + 1)
        across, down = (axis.reshape(-1) for axis in np.meshgrid(steps, steps))
        disc = across**2 + down**2 <= reach**2
        order = np.argsort(self.near, kind="stable")
        column = (self.x[order].astype(int)[:, None] + across[disc]).reshape(-1)
        row = (self.y[order].astype(int)[:, None] + down[disc]).reshape(-1)
        inside = (column >= 0) & (column < self._wide) & (row >= 0) & (row < self._wide)
        owner = np.full(self._wide**2, -1)
        owner[(row * self._wide + column)[inside]] = np.repeat(order, int(disc.sum()))[inside]
        self._seen = np.flatnonzero(owner >= 0)
        self._corners, self._shares = owner[self._seen][None], np.ones((1, len(self._seen)))
        depth = np.ptp(self.near) or 1.0
        light = 1 - SHADE * (1 - (self.near[self._corners[0]] - self.near.min()) / depth)
        self._light = light if self.shaded else np.ones(len(light))

    def draw(self, values: np.ndarray, scale: Scale, outlined: Sequence[str] = ()) -> np.ndarray:
        """(size, size, 4) uint8 RGBA of numbers (V,), transparent where there is no head. outlined: regions whose edge is
        drawn, those that the mesh has. Raises DataError for another number of vertices."""
        given = np.asarray(values, float)
        if given.shape != (len(self.x),):
            raise DataError(
                f"The mesh has {len(self.x)} vertices, the map {given.shape}; they are of two meshes."
            )
        smooth = (given[self._corners] * self._shares).sum(0)
        picture = np.zeros((self._wide**2, 4))
        picture[self._seen, :3] = colours(smooth, scale) * self._light[:, None]
        picture[self._seen, 3] = 255
        for name in outlined:
            if name in self.mesh.regions:
                picture[self._edge(np.asarray(self.mesh.regions[name])), :3] = OUTLINE
        return _halved(picture.reshape(self._wide, self._wide, 4))

    def _edge(self, region: np.ndarray) -> np.ndarray:
        """Points of a region with a neighbour on the head that lies outside the region."""
        member = np.zeros(len(self.x), bool)
        member[region] = True
        inside = (member[self._corners] * self._shares).sum(0) > 0.5
        plane = np.zeros(self._wide**2, np.int8)
        plane[self._seen] = np.where(inside, 1, -1)
        square = plane.reshape(self._wide, self._wide)
        around = np.pad(square, FINE)
        beside = np.zeros(square.shape, bool)
        for down, across in ((0, FINE), (FINE, 0), (2 * FINE, FINE), (FINE, 2 * FINE)):
            beside |= around[down : down + self._wide, across : across + self._wide] < 0
        return np.flatnonzero((square > 0) & beside)


def _halved(picture: np.ndarray) -> np.ndarray:
    """Means of FINE × FINE points, colours weighted by how opaque they are."""
    size = len(picture) // FINE
    blocks = picture.reshape(size, FINE, size, FINE, 4)
    alpha = blocks[..., 3:].sum((1, 3))
    colour = (blocks[..., :3] * blocks[..., 3:]).sum((1, 3)) / np.maximum(alpha, 1e-9)
    return np.concatenate([colour, alpha / FINE**2], -1).round().astype(np.uint8)


def sheet(
    view: View,
    rows: Sequence[tuple[str, str, Mapping[str, np.ndarray | None]]],
    outlined: Sequence[str] = (),
    ends: Sequence[float] = (),
) -> Image.Image:
    """One picture of several maps. rows: (title, unit, {label: (V,) numbers, or None for an empty place}), each row with one
    scale and its legend. ends: of each row's scale, where it is not what the numbers themselves tell; larger ones are told.
    """
    size, head, foot = view.size, 26, 44
    columns = max(len(maps) for _, _, maps in rows)
    image = Image.new("RGB", (columns * size, len(rows) * (head + size + foot)), PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    for number, (title, unit, maps) in enumerate(rows):
        top, scale = number * (head + size + foot), Scale.of([v for v in maps.values() if v is not None])
        scale = replace(scale, high=ends[number]) if ends else scale
        for column, (label, values) in enumerate(maps.items()):
            if values is None:
                continue
            shown = Image.fromarray(view.draw(values, scale, outlined))
            image.paste(shown, (column * size, top + head), shown)
            pen.text(((column + 0.5) * size, top + 6), f"{title}, {label}", INK, font, anchor="ma")
        _legend(image, (12, top + head + size + 4), columns * size - 24, scale, unit)
    return image


def _legend(image: Image.Image, place: tuple[int, int], width: int, scale: Scale, unit: str) -> None:
    pen, font, (left, top) = ImageDraw.Draw(image), ImageFont.load_default(12), place
    ramp = colours(np.linspace(scale.low, scale.high, width), scale).round().astype(np.uint8)
    image.paste(Image.fromarray(np.repeat(ramp[None], 10, axis=0)), place)
    more = f" (largest {scale.largest:.3g})" if scale.cut else ""
    for x, text, anchor in (
        (left, f"{scale.low:.3g}", "la"),
        (left + width / 2, unit, "ma"),
        (left + width, f"{scale.high:.3g}{more}", "ra"),
    ):
        pen.text((x, top + 14), text, INK, font, anchor=anchor)
