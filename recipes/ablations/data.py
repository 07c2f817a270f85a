"""The eight synthetic twins at a quarter of the paper's hours, their cards, and what they say about rest."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from pathlib import Path

import numpy as np

from unitalker.annotations.builtin import MESHES, mesh_annotation
from unitalker.annotations.cards import load_card, save_card
from unitalker.annotations.vertices import VertexAnnotation
from unitalker.data.dataset import Clip, Dataset, motion_blocks, open_dataset, write_manifest
from unitalker.data.synthesize import synthesize
from unitalker.files import atomic
from unitalker.rig import builtin_head
from unitalker.training.session import make_annotations

PAPER_HOURS = {"d0": 0.33, "d1": 0.56, "d2": 0.67, "d3": 5.49, "d4": 1.48, "d5": 3.65, "d6": 1.24, "d7": 5.11}
"""Hours of the paper's D0 … D7 (Tab. 5); ours have a quarter."""
SHARE = 0.25
NAMES = tuple(PAPER_HOURS)
TOPOLOGIES = {"d0": ("head", "head", 0.2), "d1": ("face", "face", 1.0), "d2": ("plate", "face", 0.001)}
"""Mesh sets: annotation, built-in topology, metres in a stored unit. d2 has a head of its own, as in the paper."""
PAPER_NUMBERS = {"d0": 70110, "d1": 15069, "d2": 18516}
PAPER_COMPONENTS = 512
CM2 = 1e4
PCA_LAMBDA, WEIGHT_LAMBDA = 0.01, 1e-4
"""λ of Eq. 2 in the release, whose vertices are in metres."""
HELD_SECONDS = 90.0
SPEECH = "speech"
"""What the encoder learns phones from: other people, other clips."""
SPEECH_SEED = 100
SPEECH_SECONDS = 5400.0
FASTEST = 30.0
"""Frames a second; motion recorded at twice that keeps every second frame, as in the paper."""


def make_data(root: Path) -> None:
    """Write what is missing of the twins, the speech for the encoder, and the cards, below `root`."""
    raw = root / "raw"
    for name in NAMES:
        if not (root / "data" / name / "dataset.json").is_file():
            seconds = 3600 * SHARE * PAPER_HOURS[name]
            (made,) = synthesize(raw, kinds=[f"syn-{name}"], seconds=seconds)
            settle(open_dataset(made), root / "data" / name)
            print(f"{name}: {open_dataset(root / 'data' / name).seconds() / 60:.1f} min", file=sys.stderr)
    if not (root / SPEECH / "dataset.json").is_file():
        (made,) = synthesize(raw, kinds=["syn-d3"], seconds=SPEECH_SECONDS, seed=SPEECH_SEED)
        settle(open_dataset(made), root / SPEECH)
    if not (root / "cards-vanilla" / "flame413.json").is_file():
        make_cards(root)
    for name in TOPOLOGIES:
        if not (root / "data-metres" / name / "dataset.json").is_file():
            make_metres(root, name)


def make_metres(root: Path, name: str) -> None:
    """A second manifest of a mesh set whose annotation counts in metres, and its card; the clips are the same files."""
    made, (annotation, _, metres) = open_dataset(root / "data" / name), TOPOLOGIES[name]
    folder = root / "data-metres" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made.folder, folder, copy_function=os.link, ignore=lambda *_: ["dataset.json"])
    write_manifest(dataclasses.replace(made, folder=folder, scale=metres))
    card = load_card(root / "cards-vanilla" / f"{annotation}.json")
    templates = {k: v / 100 for k, v in card.templates.items()}
    save_card(dataclasses.replace(card, unit="m", metres=1.0, templates=templates), root / "cards-metres")


def settle(made: Dataset, folder: Path) -> None:
    """Move a fresh dataset to `folder`, named after it, at no more than 30 frames a second; meshes count in cm."""
    if made.fps > FASTEST:
        for clip in made.clips:
            kept = np.array(made.motion(clip)[::2])
            with atomic(made.path(clip.motion)) as draft:
                np.save(draft, kept, allow_pickle=False)
        made = dataclasses.replace(made, fps=made.fps / 2)
    if folder.name in TOPOLOGIES:
        annotation, _, metres = TOPOLOGIES[folder.name]
        made = dataclasses.replace(made, annotation=annotation, scale=100 * metres)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(str(made.folder), str(folder))
    write_manifest(dataclasses.replace(made, folder=folder, name=folder.name))


def make_cards(root: Path) -> None:
    """Cards of every annotation, with the paper's loss (Eq. 2) in cm²; `cards-vanilla` has no bases."""
    sets = {name: open_dataset(root / "data" / name) for name in NAMES}
    rest = make_annotations([d for name, d in sets.items() if name not in TOPOLOGIES])
    annotations = [mesh_card(sets[name]) for name in TOPOLOGIES]
    for annotation in annotations:
        save_card(annotation, root / "cards")
        save_card(dataclasses.replace(annotation, basis=None, head_weight=PCA_LAMBDA), root / "cards-vanilla")
    for annotation in rest.values():
        weight = WEIGHT_LAMBDA * CM2 if annotation.kind == "blendshapes" else 0.0
        for folder in ("cards", "cards-vanilla", "cards-metres"):
            save_card(dataclasses.replace(annotation, head_weight=weight), root / folder)


def mesh_card(dataset: Dataset) -> VertexAnnotation:
    """A mesh annotation in centimetres with a basis of the dataset's own training motion; its codes are in metres.

    Its λ lets the coefficients' error weigh against the vertices' as in the paper: λ · numbers / components times, which
    fewer components would raise.
    """
    name, topology, _ = TOPOLOGIES[dataset.name]
    unit = MESHES[topology][2]
    blocks = (block[::2] * (dataset.scale / 100 / unit) for block in motion_blocks(dataset))
    made = mesh_annotation(topology, builtin_head(), blocks)
    assert made.basis is not None
    templates = {k: 100 * unit * v for k, v in made.templates.items()}
    basis = dataclasses.replace(made.basis, scale=100.0)
    balance = PCA_LAMBDA * PAPER_NUMBERS[dataset.name] / PAPER_COMPONENTS
    weight = balance * basis.scale**2 * basis.size / made.dim
    facts = {"name": name, "unit": "cm", "metres": 0.01, "templates": templates, "basis": basis}
    return dataclasses.replace(made, **facts, head_weight=weight)


def held_out(dataset: Dataset) -> list[Clip]:
    """Clips that no model trains on and nothing is chosen by: validation and test, at most HELD_SECONDS of them."""
    chosen, seconds = [], 0.0
    for clip in dataset.clips:
        if clip.split in ("val", "test") and seconds < HELD_SECONDS:
            chosen.append(clip)
            seconds += clip.seconds
    return chosen
