"""The head at rest as one body, with the measures that the shapes need: lip and lid columns, soft spreading."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import SuperLU, splu
from scipy.spatial import KDTree

from unitalker.rig.head import layout
from unitalker.rig.head import outlines as line
from unitalker.rig.head.extras import extras
from unitalker.rig.head.eyes import eyes
from unitalker.rig.head.mesh import Part, joined, mirror_twins
from unitalker.rig.head.skin import build_skin
from unitalker.rig.head.surface import smoothstep
from unitalker.rig.head.teeth import mouth_parts

MATERIALS = ("skin", "mouth", "gums", "teeth", "tongue", "sclera", "iris", "pupil", "brows", "hair")
_POUCH_FOLLOW = np.array([1.0, 1.0, 0.95, 0.8, 0.5, 0.2, 0.06, 0.0])  # by ring of the mouth's inside


def _cotangents(vertices: np.ndarray, faces: np.ndarray) -> sp.csr_matrix:
    """Stiffness matrix (V, V) of linear triangles; obtuse corners count as right ones."""
    out = sp.csr_matrix((len(vertices), len(vertices)))
    for k in range(3):
        i, j, o = faces[:, (k + 1) % 3], faces[:, (k + 2) % 3], faces[:, k]
        u, v = vertices[i] - vertices[o], vertices[j] - vertices[o]
        sine = np.linalg.norm(np.cross(u, v), axis=1)
        weight = np.clip(np.einsum("ij,ij->i", u, v) / np.maximum(sine, 1e-9), 0.05, 8.0) / 2
        out = (
            out
            + sp.coo_matrix((weight, (i, j)), shape=out.shape)
            + sp.coo_matrix((weight, (j, i)), shape=out.shape)
        )
    return sp.csr_matrix(sp.diags(np.asarray(out.sum(axis=1)).ravel()) - out)


@dataclass
class Body:
    """Everything in mm. `part` holds the mesh; the rest is derived from its tags.

    t: 0 at the middle of the lips … 1 at the corner (lip rings and mouth inside). f: 0 at the contact line … 1 at
    the border of the red. side: +1 upper, -1 lower, 0 corner. twins: mirror vertex of each vertex.
    """

    part: Part
    twins: np.ndarray
    kind: np.ndarray
    ring: np.ndarray
    column: np.ndarray
    side: np.ndarray
    t: np.ndarray
    f: np.ndarray
    stiffness: sp.csr_matrix
    mass: np.ndarray
    _solvers: dict[bytes, SuperLU] = field(default_factory=dict)

    @property
    def rest(self) -> np.ndarray:
        """(V, 3) vertices at rest, mm."""
        return self.part.vertices

    def tagged(self, name: str) -> np.ndarray:
        """Mask (V,) of the vertices of one piece: "eye", "teeth" (gums included), "tongue", "ear", "brow", "hair"."""
        made_of = {"eye": ("sclera", "iris", "pupil"), "teeth": ("teeth", "gums")}.get(name)
        if made_of is None:
            return self.part.tags[name] != -1
        used = np.zeros(len(self.rest), bool)
        used[self.part.faces[np.isin(self.part.material, made_of)]] = True
        return used

    def spread(self, handles: np.ndarray, values: np.ndarray, smooth: int = 2) -> np.ndarray:
        """Smoothest field over the skin (V, C) that has `values` (V, C) at the masked `handles`.

        smooth: 1 solves the membrane (harmonic), 2 the thin plate (biharmonic). Zero off the skin.
        """
        skin = np.nonzero(self.kind >= 0)[0]
        skin = skin[self.kind[skin] < 3]
        fixed = handles[skin]
        key = np.packbits(fixed).tobytes() + bytes([smooth])
        stiff = self.stiffness[skin][:, skin]
        energy = stiff if smooth == 1 else stiff @ sp.diags(1.0 / self.mass[skin]) @ stiff
        energy = sp.csr_matrix(energy)
        if key not in self._solvers:
            self._solvers[key] = splu(sp.csc_matrix(energy[~fixed][:, ~fixed]))
        out = np.zeros_like(values)
        out[skin[fixed]] = values[skin[fixed]]
        out[skin[~fixed]] = self._solvers[key].solve(-(energy[~fixed][:, fixed] @ values[skin[fixed]]))
        return out

    def with_inside(self, move: np.ndarray, rigid: bool = False) -> np.ndarray:
        """Let the mouth's inside (less with depth, unless `rigid`) and the lids' inner faces follow their edge."""
        out = move.copy()
        for inside, edge, follow in ((3, 1, np.ones(8) if rigid else _POUCH_FOLLOW), (4, 2, np.ones(8))):
            first = np.nonzero((self.kind == edge) & (self.ring == 0))[0]
            keys = self._columns(first)
            here = np.nonzero(self.kind == inside)[0]
            source = dict(zip(keys, first, strict=True))
            rows = np.array([source[k] for k in self._columns(here)])
            out[here] = move[rows] * follow[self.ring[here].astype(int)][:, None]
        return out

    def facing_contacts(self) -> tuple[np.ndarray, np.ndarray]:
        """For each lip vertex the upper and the lower contact vertex of its column (the corner twice), (V,) each."""
        first = np.nonzero((self.kind == 1) & (self.ring == 0))[0]
        at = dict(zip(self._columns(first), first, strict=True))
        upper, lower = np.zeros(len(self.rest), int), np.zeros(len(self.rest), int)
        here = np.nonzero((self.kind == 1) & (self.ring < len(layout.LIP_PARTS)))[0]
        for i, (column, side, sign) in zip(here, self._columns(here), strict=True):
            upper[i] = at[column, 1 if side else 0, sign]
            lower[i] = at[column, -1 if side else 0, sign]
        return upper, lower

    def _columns(self, index: np.ndarray) -> list[tuple[int, int, int]]:
        sign = np.sign(np.round(self.rest[index, 0], 6)).astype(int)
        return list(zip(self.column[index].astype(int), self.side[index].astype(int), sign, strict=True))

    def ride(self, move: np.ndarray, names: tuple[str, ...] = ("brow", "ear", "hair")) -> np.ndarray:
        """Pieces on the skin take the mean movement of the skin vertices nearest to them."""
        out = move.copy()
        skin = np.nonzero((self.kind >= 0) & (self.kind < 3))[0]
        for name in names:
            here = np.nonzero(self.tagged(name))[0]
            away, near = KDTree(self.rest[skin]).query(self.rest[here], k=5)
            weight = 1.0 / (away + 0.5) ** 2
            weight /= weight.sum(axis=1, keepdims=True)
            out[here] = np.einsum("nk,nkc->nc", weight, move[skin[near]])
        return out

    def left(self, width: float = 9.0) -> np.ndarray:
        """(V, 1) share of the character's left side: 0 … 1 over ±width mm; with its mirror image it sums to 1."""
        return smoothstep(self.rest[:, 0], -width, width)[:, None]

    def mirror(self, move: np.ndarray) -> np.ndarray:
        """The movement of the other side."""
        return move[self.twins] * np.array([-1.0, 1.0, 1.0])


def build_body() -> Body:
    """Join all parts and measure them."""
    skin = build_skin()
    part = joined([skin, mouth_parts(), eyes(), extras()])
    order = np.argsort([MATERIALS.index(m) for m in part.material], kind="stable")
    part.faces, part.material = part.faces[order], part.material[order]
    tags = part.tags
    kind, ring, column, side = (tags[k] for k in ("kind", "ring", "column", "side"))
    group = np.unique(np.stack([kind, ring, column, side], -1), axis=0, return_inverse=True)[1].ravel()
    pieces = sum((10 * k + 1) * (tags[n] != -1) for k, n in enumerate(("tongue", "ear", "brow", "hair")))
    twins = mirror_twins(part.vertices, group * 1000 + pieces)
    t = np.clip(column / layout.LIP_COLUMNS, 0, 1)
    f = np.array(layout.LIP_PARTS)[np.clip(ring, 0, len(layout.LIP_PARTS) - 1).astype(int)]
    a, b, c = (part.vertices[skin.faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    mass = sum(np.bincount(skin.faces[:, k], area, len(part.vertices)) for k in range(3))
    stiff = _cotangents(part.vertices, skin.faces[skin.material == "skin"])
    return Body(part, twins, kind, ring, column, side, t, f, stiff, np.maximum(mass, 1e-3))


def rotate_x(points: np.ndarray, centre: np.ndarray, angle: np.ndarray | float) -> np.ndarray:
    """Points (N, 3) turned by `angle` radians about the x axis through `centre`; positive turns +y towards +z."""
    c, s = np.cos(angle), np.sin(angle)
    y, z = points[:, 1] - centre[1], points[:, 2] - centre[2]
    return np.stack([points[:, 0], centre[1] + c * y - s * z, centre[2] + s * y + c * z], -1)


def mouth_distance(points: np.ndarray) -> np.ndarray:
    """How far (N,) in mm a point lies outside the lips, by an oval around them."""
    x, y = np.abs(points[:, 0]), points[:, 1] - line.MOUTH_Y - 1.5
    return np.hypot(np.maximum(x - 14.0, 0), y) - 10.0
