"""The protocols by name."""

from __future__ import annotations

from functools import partial

from unitalker.data.dataset import Clip
from unitalker.data.importers import biwi, multiface_facts, ravdess, vocaset_facts
from unitalker.evaluation.predictions import OWN, TRAINING
from unitalker.evaluation.protocols.base import Mask, Part, Protocol

_BIWI_MASKS = {
    "lips": Mask(
        "CodeTalker's BIWI/regions/lve.txt",
        biwi.REGIONS["lips"],
        "eaf331891311a6f8fa7299ed741e5a3e8bf095029be6dea109b32e25562a9146",
    ),
    "upper_face": Mask(
        "CodeTalker's BIWI/regions/fdd.txt",
        biwi.REGIONS["upper_face"],
        "a9be39dda465bb05b69644f7973d47312f363456816c14fe2dc050f36ccd607b",
    ),
}
_MULTIFACE_MASKS = {
    "lips": Mask(
        "FaceDiffuser's data/multiface/regions/lve.txt (UniTalker's own list has 926)",
        1035,
        "c3dc45e8380b7892b3841796088973ba50605664ea8ec23236203a57cc5c8d67",
    ),
    "upper_face": Mask(
        "FaceDiffuser's data/multiface/regions/fdd.txt",
        1529,
        "2593d43e222472e8761d4075786679f3efd7efa427709a97a761f0e44eabdcc0",
    ),
}
_TALKER_MESH_MASKS = {
    "lips": Mask("UniTalker's own list for Multiface (FaceDiffuser's has 1035)", 926),
    "upper_face": Mask(
        "no list of UniTalker's is known; FaceDiffuser's data/multiface/regions/fdd.txt has 1529"
    ),
}
_PAPER_MASKS = {
    "lips": Mask("UniTalker's resources, 02_flame_mouth_idx.npy", 107),
    "upper_face": Mask("UniTalker's list for VOCASET, of 1017 vertices (804 without the eyes)", 1017),
}
_FLAME_MASKS = {
    "lips": Mask("FLAME's own mask of the lips, 254 vertices (papers also use lists of 250 and 428)", 254),
    "upper_face": Mask("none is agreed on"),
}
_HEAD_MASKS = {
    region: Mask("the built-in head, which weights and FLAME numbers move; the paper's rigs are others")
    for region in ("lips", "upper_face")
}


def _vocaset_split(way: str, clip: Clip) -> str:
    """A clip's split by its name, however the copy was split at import; the manifest's for other names."""
    match = vocaset_facts.TAKE.fullmatch(clip.id)
    return vocaset_facts.split_of(way, match["subject"], int(match["number"])) if match else clip.split


def _biwi(name: str, split: str) -> Part:
    return Part(
        name,
        keys=("biwi", "syn-d0", "d0"),
        annotation=biwi.EXPECTED.annotation,
        split=split,
        fps=biwi.EXPECTED.fps,
        unit="U",
        size=biwi.EXPECTED.scale,
        unit_about="U is CodeTalker's unit, 0.2 u of the annotation; its tables say mm",
        sequences=biwi.EXPECTED.clips[split],
        frames=biwi.EXPECTED.frames.get(split),
        masks=_BIWI_MASKS,
        subjects=biwi.SEEN,
    )


def _vocaset_absent(way: str) -> tuple[str, ...]:
    """Test sequences of a way to split that no copy has."""
    named = [(take, vocaset_facts.TAKE.fullmatch(take)) for take in vocaset_facts.EXPECTED.missing]
    return tuple(
        take
        for take, match in named
        if match and vocaset_facts.split_of(way, match["subject"], int(match["number"])) == "test"
    )


def _vocaset(name: str, way: str, masks: dict[str, Mask]) -> Part:
    return Part(
        name,
        keys=("vocaset", "syn-d1", "d1"),
        annotation=vocaset_facts.EXPECTED.annotation,
        split_of=partial(_vocaset_split, way),
        fps=30.0,
        unit="m",
        sequences=vocaset_facts.SPLITS[way]["test"],
        absent=_vocaset_absent(way),
        masks=masks,
        subjects=vocaset_facts.TRAIN,
    )


def _multiface(name: str, masks: dict[str, Mask], sequences: int | None = None) -> Part:
    return Part(
        name,
        keys=("multiface", "syn-d2", "d2"),
        annotation=multiface_facts.EXPECTED.annotation,
        fps=multiface_facts.EXPECTED.fps,
        unit="m",
        sequences=sequences,
        masks=masks,
    )


def _numbers(name: str, keys: tuple[str, ...], annotation: str, sequences: int | None = None) -> Part:
    return Part(
        name,
        keys=keys,
        annotation=annotation,
        fps=30.0,
        sequences=sequences,
        counted_by="by `unitalker data import`",
        masks=_HEAD_MASKS,
    )


BENCH = (
    _biwi("D0 BIWI", "test"),
    _vocaset("D1 VOCASET", "unitalker", _PAPER_MASKS),
    _multiface("D2 Multiface", _TALKER_MESH_MASKS),
    _numbers("D3 3D-ETF HDTF", ("3detf-hdtf", "hdtf", "syn-d3", "d3"), "3DETF_blendshape_weight"),
    _numbers(
        "D4 3D-ETF RAVDESS",
        (ravdess.EXPECTED.corpus, "ravdess", "syn-d4", "d4"),
        ravdess.EXPECTED.annotation,
        ravdess.EXPECTED.clips["test"],
    ),
    _numbers("D5 FaceForensics++", ("faceforensics", "syn-d5", "d5"), "flame_params_from_dadhead"),
    _numbers("D6 Chinese speech", ("chinese_speech", "syn-d6", "d6"), "inhouse_blendshape_weight"),
    _numbers("D7 song", ("song", "syn-d7", "d7"), "inhouse_blendshape_weight"),
)

PROTOCOLS: dict[str, Protocol] = {
    one.name: one
    for one in (
        Protocol(
            "biwi-testA",
            "BIWI-Test-A: six training subjects, sentences 37–40",
            (_biwi("BIWI-Test-A", "test"),),
            OWN,
            "CodeTalker; UniTalker, Tab. 2",
        ),
        Protocol(
            "biwi-testB",
            "BIWI-Test-B: eight unseen subjects, sentences 37–40, in the style of every training subject",
            (_biwi("BIWI-Test-B", "test_b"),),
            TRAINING,
            "CodeTalker, where it is looked at, not measured; figures on it are this project's",
        ),
        Protocol(
            "vocaset-unitalker-resplit",
            "VOCASET split anew within each subject, 32 / 4 / 4 sentences",
            (_vocaset("VOCASET, re-split", "unitalker", _PAPER_MASKS),),
            OWN,
            "UniTalker, Tab. 2; the paper's own draw of sentences is not published",
        ),
        Protocol(
            "vocaset-faceformer",
            "VOCASET-Test: two unseen subjects, sentences 21–40, in the style of every training subject",
            (_vocaset("VOCASET-Test", "faceformer", _FLAME_MASKS),),
            TRAINING,
            "FaceFormer; tables since, such as KMTalk's and StreamingTalker's",
        ),
        Protocol(
            "multiface",
            "Multiface: every subject's last five sentences, 46–50",
            (_multiface("Multiface", _MULTIFACE_MASKS, multiface_facts.EXPECTED.clips["test"]),),
            OWN,
            "FaceDiffuser's split; UniTalker's 8 : 1 : 1 of 612 sequences is not published",
        ),
        Protocol(
            "a2f-bench",
            "A2F-Bench: the test splits of the paper's eight datasets, D0 to D7, as far as they are given",
            BENCH,
            OWN,
            "UniTalker, Tab. 5",
        ),
        Protocol(
            "open",
            "the test splits of the open benchmark of real recordings, or of any datasets",
            (Part("open"),),
            OWN,
            "unitalker data build-open",
            each=True,
        ),
    )
}
