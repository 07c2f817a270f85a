"""The release's datasets and annotations as data: the one table of their folders, sizes, scales and frame rates.

Order and numbers are those of the published code; the identity table of a published checkpoint follows the order.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReleasedSet:
    """One dataset. folder: inside the data folder. subjects: the published number. scale: the model's units in one
    unit of the files (its motion and templates are multiplied by it)."""

    id: str
    folder: str
    annotation: str
    subjects: int
    scale: float = 1.0


@dataclass(frozen=True)
class ReleasedAnnotation:
    """One annotation. kind: "vertices", "blendshapes" or "flame". dim: numbers in a frame. unit: of the scaled values.
    layout: channel names of weights. head_weight: λ of the paper's Eq. 2 in the release's settings. lips, rig,
    rows: files of the release's resources, indices of the lip vertices, the shapes that weights drive and indices of the
    vertices that FLAME's loss looks at."""

    name: str
    kind: str
    dim: int
    fps: float
    unit: str
    head_weight: float
    lips: str
    layout: str = ""
    rig: str = ""
    rows: str = ""
    axes: str = "+X left, +Y up, +Z front"


SETS: tuple[ReleasedSet, ...] = (
    ReleasedSet("D0", "D0_BIWI", "BIWI_23370_vertices", 6, 0.2),
    ReleasedSet("D1", "D1_vocaset", "FLAME_5023_vertices", 12),
    ReleasedSet("D2", "D2_meshtalk", "meshtalk_6172_vertices", 13, 0.001),
    ReleasedSet("D3", "D3D4_3DETF/D3_HDTF", "3DETF_blendshape_weight", 141),
    ReleasedSet("D4", "D3D4_3DETF/D4_RAVDESS", "3DETF_blendshape_weight", 24),
    ReleasedSet("D5", "D5_unitalker_faceforensics++", "flame_params_from_dadhead", 719),
    ReleasedSet("D6", "D6_unitalker_Chinese_speech", "inhouse_blendshape_weight", 8),
    ReleasedSet("D7", "D7_unitalker_song", "inhouse_blendshape_weight", 11),
)

_AS_PUBLISHED = "as in the dataset"

_FLAME_LIPS = "02_flame_mouth_idx.npy"

ANNOTATIONS: dict[str, ReleasedAnnotation] = {
    a.name: a
    for a in (
        ReleasedAnnotation(
            "3DETF_blendshape_weight",
            "blendshapes",
            52,
            30.0,
            "weight",
            1e-4,
            "03_emo_talk_mouth_idx.npy",
            layout="3detf52",
            rig="EmoTalk.npz",
        ),
        ReleasedAnnotation(
            "inhouse_blendshape_weight",
            "blendshapes",
            51,
            30.0,
            "weight",
            1e-4,
            "05_inhouse_arkit_mouth_idx.npy",
            layout="arkit51",
            rig="inhouse_arkit.npz",
        ),
        ReleasedAnnotation(
            "BIWI_23370_vertices",
            "vertices",
            70110,
            25.0,
            "u",
            0.01,
            "04_BIWI_mouth_idx.npy",
            axes=_AS_PUBLISHED,
        ),
        ReleasedAnnotation("FLAME_5023_vertices", "vertices", 15069, 30.0, "m", 0.01, _FLAME_LIPS),
        ReleasedAnnotation(
            "meshtalk_6172_vertices",
            "vertices",
            18516,
            30.0,
            "m",
            0.01,
            "06_mesh_talk_mouth_idx.npy",
            axes=_AS_PUBLISHED,
        ),
        ReleasedAnnotation(
            "flame_params_from_dadhead",
            "flame",
            413,
            30.0,
            "flame",
            0.0,
            _FLAME_LIPS,
            rows="flame_humanface_index.npy",
        ),
    )
}
"""By name; a model's default annotation is the first of them that it has a head for."""
