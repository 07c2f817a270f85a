"""Datasets in shards: the clips of a dataset in a few large tar files that are read in place.

A sharded dataset is a dataset folder. Its clips lie in `shards/<split>-00000.tar`, uncompressed, each as
`<number>.json` (its line of the manifest), `<number>.flac` and `<number>.npy`, one clip after the other: what
WebDataset and `tar` read as well. Beside each tar an index of the same name, `.json`, has the clips and where the bytes
of their files begin: `shards/train-00000.tar@1536+40960` is 40,960 bytes from byte 1,536 on. Motion is memory-mapped in
the tar itself. dataset.json holds the rest of the manifest and the list of shards.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unitalker.data.dataset import MANIFEST_LIMIT, Clip, Dataset, from_manifest, read_manifest, write_manifest
from unitalker.data.placing import placed
from unitalker.data.positions import SUFFIX as POSITIONS
from unitalker.errors import DataError
from unitalker.files import atomic, mapped_array

FORMAT = "unitalker.shard"
FOLDER = "shards"
FILES = ("audio", "motion", "residual")
"""Fields of a clip that name files."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.tar")
PLACE = re.compile(rf"({FOLDER}/{NAME.pattern})@(\d{{1,18}})\+(\d{{1,18}})")
Tell = Callable[[str, int], None]
"""Called with a shard's name and the clips written so far."""


@dataclass(frozen=True)
class ShardedDataset(Dataset):
    """A dataset whose clips' files are places in shards."""

    def recording(self, clip: Clip) -> Path | tuple[np.ndarray, int]:
        """See Dataset.recording."""
        return self.sound(clip)

    def open(self, relative: str) -> BinaryIO:
        """See Dataset.open; a place in a shard gives its bytes."""
        found = self._place(relative)
        if found is None:
            return super().open(relative)
        path, start, size = found
        with path.open("rb") as file:
            file.seek(start)
            return io.BytesIO(file.read(size))

    def array(self, relative: str) -> np.ndarray:
        """See Dataset.array; a place in a shard is memory-mapped there."""
        found = self._place(relative)
        if found is None:
            return super().array(relative)
        path, start, size = found
        try:
            return mapped_array(path, start, size)
        except (OSError, ValueError, EOFError, TypeError) as fault:
            raise DataError(f"{self.name}: {relative} is not a readable npy array: {fault}.") from None

    def _place(self, relative: str) -> tuple[Path, int, int] | None:
        """Shard, first byte and size of a place; None for the name of a file. Raises DataError outside the shard."""
        told = PLACE.fullmatch(relative)
        if told is None:
            return None
        path, start, size = self.path(told[1]), int(told[2]), int(told[3])
        if start + size > path.stat().st_size:
            raise DataError(
                f"{self.name}: {relative} lies behind the end of its shard; copy the shard again."
            )
        return path, start, size


def sharded(folder: Path, data: dict[str, Any], chosen: Sequence[int] | None = None) -> Dataset:
    """The dataset of a manifest that lists shards, or of some of them by number. Raises DataError."""
    names = shard_names(folder, data)
    clips = [c for i in (range(len(names)) if chosen is None else chosen) for c in _index(folder, names[i])]
    base = from_manifest(folder, data | {"clips": clips})
    return ShardedDataset(**{key: getattr(base, key) for key in Dataset.__dataclass_fields__})


def shard_names(folder: Path, data: dict[str, Any]) -> list[str]:
    """File names of the shards that a manifest lists. Raises DataError for one that is no plain name."""
    names = data.get("shards")
    if not isinstance(names, list):
        raise DataError(f"{folder} is not in shards: its dataset.json lists none.")
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise DataError(
                f"{folder}/dataset.json: {name!r} is no name of a shard, such as train-00000.tar."
            )
    return names


def open_share(folder: str | Path, seed: int, epoch: int, rank: int, world: int) -> Dataset:
    """The part of a sharded dataset that one of `world` processes reads in an epoch; see `share`."""
    data = read_manifest(Path(folder))
    count = len(shard_names(Path(folder), data))
    return sharded(Path(folder), data, share(count, seed, epoch, rank, world))


def share(count: int, seed: int, epoch: int, rank: int, world: int) -> list[int]:
    """Numbers of the shards that process `rank` of `world` reads in an epoch, in that order.

    A pure function of its arguments: the shards are shuffled by (seed, epoch) and dealt like cards, so every shard is
    some process's, no shard two processes', and their numbers differ by one at most.
    """
    if not 0 <= rank < world:
        raise DataError(f"The process's number must lie between 0 and {world - 1}, not be {rank}.")
    return np.random.default_rng((seed, epoch)).permutation(count)[rank::world].tolist()


def _index(folder: Path, name: str) -> list[dict[str, Any]]:
    """A shard's lines of the manifest. Raises DataError where its index or one of its places is another's."""
    path = folder / FOLDER / name.replace(".tar", ".json")
    try:
        if path.stat().st_size > MANIFEST_LIMIT:
            raise DataError(f"{path} is larger than {MANIFEST_LIMIT // 1_000_000} MB; make smaller shards.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise DataError(f"{path} is not a readable index of a shard: {fault}.") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("clips"), list):
        raise DataError(f"{path} is not the index of a shard: its format must be {FORMAT!r}, with clips.")
    return data["clips"]


def write_shards(
    dataset: Dataset, folder: Path, clips: int = 500, seed: int = 0, tell: Tell | None = None
) -> Path:
    """Write a dataset as shards of so many clips, drawn at random, into `folder`; returns the folder.

    Templates and annotation cards are copied. Raises DataError where the folder is a dataset already, where a
    file of a clip is missing, and for a dataset in shards.
    """
    if clips < 1:
        raise DataError(f"A shard holds at least 1 clip, not {clips}.")
    if isinstance(dataset, ShardedDataset):
        raise DataError(f"{dataset.folder} is in shards already; give the dataset that it was made of.")
    if (folder / "dataset.json").exists():
        raise DataError(f"{folder} holds a dataset already; give a new folder.")
    with placed(folder) as draft:
        _write(dataset, draft.folder, clips, seed, tell)
    return folder


def _write(dataset: Dataset, folder: Path, clips: int, seed: int, tell: Tell | None) -> None:
    """Every file of the sharded dataset, the manifest last."""
    (folder / FOLDER).mkdir()
    names, done = [], 0
    for split in sorted({c.split for c in dataset.clips}):
        own = dataset.split(split)
        order = np.random.default_rng(seed).permutation(len(own))
        for first in range(0, len(own), clips):
            names.append(f"{split}-{first // clips:05d}.tar")
            part = {f"{first + n:08d}": own[i] for n, i in enumerate(order[first : first + clips])}
            _write_shard(dataset, folder / FOLDER / names[-1], part)
            done += len(part)
            if tell:
                tell(names[-1], done)
    templates = _copy_rest(dataset, folder)
    extra = dataset.extra | {"shards": names}
    write_manifest(replace(dataset, folder=folder, clips=(), templates=templates, extra=extra))


def _write_shard(dataset: Dataset, path: Path, clips: dict[str, Clip]) -> None:
    """A tar and its index. clips: by the first part of their files' names."""
    with atomic(path, DataError) as draft:
        with tarfile.open(draft, "w", format=tarfile.GNU_FORMAT) as tar:
            for key, clip in clips.items():
                _add(tar, dataset, clip, key)
        with tarfile.open(draft) as tar:
            places = {m.name: f"{FOLDER}/{path.name}@{m.offset_data}+{m.size}" for m in tar}
    lines = [_line(clip, places.__getitem__, key) for key, clip in clips.items()]
    with atomic(path.with_suffix(".json"), DataError) as draft:
        text = json.dumps({"format": FORMAT, "version": 1, "clips": lines}, ensure_ascii=False)
        draft.write_text(text, encoding="utf-8")


def _line(clip: Clip, place: Callable[[str], str], key: str) -> dict[str, Any]:
    """A clip's line of the manifest, its files where `place` says that they are."""
    line = {k: v for k, v in asdict(clip).items() if v not in ("", ())}
    return line | {part: place(name) for part, _, name in _files(clip, key)}


def _files(clip: Clip, key: str) -> Iterator[tuple[str, str, str]]:
    """(field, where it is now, name in the shard) of a clip's files."""
    for part in FILES:
        relative = getattr(clip, part, "")
        if relative:
            suffix = Path(relative).suffix
            yield part, relative, f"{key}.residual{suffix}" if part == "residual" else key + suffix


def _add(tar: tarfile.TarFile, dataset: Dataset, clip: Clip, key: str) -> None:
    """A clip's line and files, one after the other."""
    line = json.dumps(_line(clip, lambda name: name, key), ensure_ascii=False).encode()
    _add_file(tar, f"{key}.json", io.BytesIO(line))
    for _, relative, name in _files(clip, key):
        with _stored(dataset, clip, relative) as file:
            _add_file(tar, name, file)


def _stored(dataset: Dataset, clip: Clip, relative: str) -> BinaryIO:
    """A file's bytes; of one with vertices, their displacements, since places in shards have no names of their own."""
    if not relative.endswith(POSITIONS):
        return dataset.open(relative)
    file = io.BytesIO()
    np.save(file, np.asarray(dataset.motion(clip), np.float32), allow_pickle=False)
    return file


def _add_file(tar: tarfile.TarFile, name: str, file: BinaryIO) -> None:
    about = tarfile.TarInfo(name)
    about.size = file.seek(0, io.SEEK_END)
    file.seek(0)
    tar.addfile(about, file)


def _copy_rest(dataset: Dataset, folder: Path) -> str | None:
    """Copies annotation cards and templates; the templates' place in the folder."""
    if (dataset.folder / "annotations").is_dir():
        shutil.copytree(dataset.folder / "annotations", folder / "annotations", dirs_exist_ok=True)
    if dataset.templates is None:
        return None
    templates = dataset.path(dataset.templates).relative_to(dataset.folder.resolve())
    (folder / templates).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(dataset.folder / templates, folder / templates)
    return templates.as_posix()
