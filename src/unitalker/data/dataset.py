"""Our dataset on disk: dataset.json (manifest and card), 16 kHz audio files, motion as memory-mappable npy.

Motion files hold float arrays (T, D): the annotation's values in the dataset's unit, or, with `"stored": "codes"`, the
coefficients of the annotation's basis. Vertex motion is displacement over the subject's template; files whose names end
in `.positions.npy` hold the vertices themselves, and the template is taken away when they are read. A dataset may carry
its own annotation cards in `annotations/`; one that stores codes of a basis does.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from unitalker.data.positions import SUFFIX as POSITIONS
from unitalker.data.positions import Displacements
from unitalker.errors import DataError, unknown
from unitalker.files import atomic

FORMAT = "unitalker.dataset"
MANIFEST_LIMIT = 256_000_000
ANY = "any"
"""Subject name of clips that fit every identity and every annotation: sounds that are no voice, faces at rest."""


@dataclass(frozen=True)
class Clip:
    """One recording: files relative to the dataset's folder, subject, split, length in seconds, and what is said.

    residual: npy (T,) float32, energy of each frame outside the basis whose codes are stored: the sum of squares over
    all coordinates in the annotation's unit².
    """

    id: str
    subject: str
    audio: str
    motion: str
    split: str
    seconds: float
    text: str = ""
    language: str = ""
    phones: tuple[tuple[float, float, str], ...] = ()
    words: tuple[tuple[float, float, str], ...] = ()
    notes: str = ""
    residual: str = ""


@dataclass(frozen=True)
class Dataset:
    """A dataset's manifest. See the module's text; `known` names the channels whose numbers can be trusted."""

    folder: Path
    name: str
    annotation: str
    fps: float
    unit: str
    names: tuple[str, ...]
    subjects: tuple[str, ...]
    clips: tuple[Clip, ...]
    known: tuple[str, ...] | None = None
    scale: float = 1.0
    templates: str | None = None
    stored: str = "values"
    licence: str = ""
    source: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def split(self, name: str) -> list[Clip]:
        """Clips of one split. Raises DataError with the splits that there are."""
        found = [c for c in self.clips if c.split == name]
        if not found:
            raise DataError(f"{self.name}: " + unknown("split", name, sorted({c.split for c in self.clips})))
        return found

    def path(self, relative: str) -> Path:
        """A file of the dataset. Raises DataError for one outside the folder or missing."""
        path = (self.folder / relative).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise DataError(f"{self.name}: the manifest points outside its folder: {relative!r}.")
        if not path.is_file():
            raise DataError(f"{self.name}: the file {relative!r} of the manifest is missing.")
        return path

    def open(self, relative: str) -> BinaryIO:
        """A file of the dataset, open for reading. Raises DataError as `path` does."""
        return self.path(relative).open("rb")

    def array(self, relative: str) -> np.ndarray:
        """Memory-mapped array of an npy file of the dataset. Raises DataError for what is none."""
        path = self.path(relative)
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError, TypeError) as fault:
            raise DataError(f"{self.name}: {path} is not a readable npy array: {fault}.") from None

    def recording(self, clip: Clip) -> Path | tuple[np.ndarray, int]:
        """A clip's sound as an animator takes it: its file, or what `sound` gives where it has none of its own."""
        return self.path(clip.audio)

    def sound(self, clip: Clip) -> tuple[np.ndarray, int]:
        """Samples (N,) float32 of a clip and their rate. Raises DataError for a file that is no sound."""
        import soundfile

        try:
            with self.open(clip.audio) as file:
                return soundfile.read(file, dtype="float32")
        except soundfile.LibsndfileError as fault:
            raise DataError(f"{self.name}/{clip.id}: its audio cannot be read: {fault}") from None

    def motion(self, clip: Clip) -> np.ndarray:
        """Memory-mapped motion of a clip as stored, (T, D), vertices as displacements that are computed as they are asked
        for. Raises DataError for another shape."""
        values = self.array(clip.motion)
        try:
            values = values.reshape(len(values), -1)
        except (ValueError, TypeError, AttributeError) as fault:
            raise DataError(f"{self.name}/{clip.id}: {clip.motion} holds no frames: {fault}.") from None
        if self.stored == "values" and values.shape[1] != len(self.names):
            raise DataError(
                f"{self.name}/{clip.id}: motion of shape {values.shape} does not have the {len(self.names)} channels "
                "of the manifest."
            )
        return self._displacements(values, clip) if clip.motion.endswith(POSITIONS) else values

    def _displacements(self, values: np.ndarray, clip: Clip) -> np.ndarray:
        """Vertices of a clip over its subject's template. Raises DataError where that is missing or of another mesh."""
        neutral = self.template(clip.subject)
        if neutral is None or neutral.size != values.shape[1]:
            has = "no template" if neutral is None else f"a template of {neutral.size} numbers"
            raise DataError(
                f"{self.name}/{clip.id}: vertices of {values.shape[1]} numbers need one of their subject's; it has {has}."
            )
        return cast(np.ndarray, Displacements(values, neutral.reshape(-1)))

    def residual(self, clip: Clip) -> np.ndarray | None:
        """Memory-mapped energy (T,) of a clip's frames outside the basis, None where it is not stored. Raises DataError
        where it does not fit the motion."""
        if not clip.residual:
            return None
        values, frames = self.array(clip.residual), len(self.motion(clip))
        if values.shape != (frames,):
            raise DataError(
                f"{self.name}/{clip.id}: {frames} frames of motion need a residual of ({frames},), not {values.shape}."
            )
        return values

    @property
    def cards(self) -> Path | None:
        """Folder of the dataset's own annotation cards, None where it has none."""
        folder = self.folder / "annotations"
        return folder if folder.is_dir() else None

    def template(self, subject: str) -> np.ndarray | None:
        """(V, 3) neutral vertices of a subject, None where the dataset has none."""
        if self.templates is None:
            return None
        with np.load(self.path(self.templates), allow_pickle=False) as data:
            if subject not in data.files:
                raise DataError(f"{self.name}: " + unknown("template", subject, data.files))
            return data[subject]

    def seconds(self) -> float:
        """Length of all clips."""
        return sum(c.seconds for c in self.clips)


def open_dataset(folder: str | Path, *, strict: bool = True) -> Dataset:
    """A dataset from its manifest, in shards or not. Raises DataError that says what is missing or wrong.

    strict: clips whose files' names lead out of the folder are refused at once, not when they are read.
    """
    data = read_manifest(Path(folder))
    if "shards" in data:
        from unitalker.data.shards import sharded

        return sharded(Path(folder), data)
    made = from_manifest(Path(folder), data)
    if strict:
        _check_names(made)
        for clip in made.clips:
            _check_inside(made.folder, clip)
    return made


def dataset_folders(folders: Sequence[Path]) -> list[Path]:
    """The folders, one that is no dataset but holds some replaced by those."""
    out: list[Path] = []
    for folder in folders:
        inside = sorted(path.parent for path in folder.glob("*/dataset.json"))
        out += [folder] if (folder / "dataset.json").is_file() or not inside else inside
    return out


def read_manifest(folder: Path) -> dict[str, Any]:
    """What dataset.json holds, its format checked. Raises DataError that says what is missing or wrong."""
    path = folder / "dataset.json"
    if not path.is_file():
        raise DataError(_no_dataset(folder))
    if path.stat().st_size > MANIFEST_LIMIT:
        raise DataError(f"{path} is larger than {MANIFEST_LIMIT // 1_000_000} MB; split the dataset.")
    try:
        data = json.loads(path.read_text())
    except ValueError as fault:
        raise DataError(f"{path} is not valid JSON: {fault}.") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DataError(f"{path} is not a dataset manifest: its format must be {FORMAT!r}.")
    return data


def _no_dataset(folder: Path) -> str:
    """Sentence for a folder without a manifest: what it lacks, and where datasets are or come from."""
    make = "make one with 'unitalker data synthesize' or 'unitalker data import'."
    if not folder.is_dir():
        return f"There is no dataset folder {folder}; {make}"
    inside = [str(found.parent) for found in sorted(folder.glob("*/dataset.json"))]
    way = f"but these in it are datasets: {', '.join(inside[:8])}." if inside else make
    return f"{folder} is not a dataset: it has no dataset.json; {way}"


def from_manifest(folder: Path, data: dict[str, Any]) -> Dataset:
    """The dataset that a manifest describes. Raises DataError for a manifest that lacks something."""
    fields = {"name", "annotation", "fps", "unit", "names", "subjects", "clips"}
    missing = fields - set(data)
    if missing:
        raise DataError(f"{folder}/dataset.json lacks {', '.join(sorted(missing))}.")
    known = set(Dataset.__dataclass_fields__) - {"folder", "extra"}
    clip_fields = set(Clip.__dataclass_fields__)
    try:
        clips = tuple(
            Clip(**{k: _tuples(v) for k, v in c.items() if k in clip_fields}) for c in data["clips"]
        )
    except (TypeError, AttributeError):
        raise DataError(
            f"{folder}/dataset.json: every clip needs id, subject, audio, motion, split and seconds."
        ) from None
    plain = {k: _tuples(v) for k, v in data.items() if k in known and k != "clips"}
    extra = {k: v for k, v in data.items() if k not in known and k not in ("format", "version")}
    return Dataset(folder=folder, clips=clips, extra=extra, **plain)


def _check_names(dataset: Dataset) -> None:
    """Raises DataError for a dataset or a clip whose name cannot be part of a file's."""
    for what, name in (("name", dataset.name), *(("clip", clip.id) for clip in dataset.clips)):
        if not isinstance(name, str) or not name.strip() or name.startswith(".") or set(name) & set("/\\\0"):
            raise DataError(
                f"{dataset.folder}/dataset.json: the {what} {name!r} cannot be part of a file's name; it must not be empty, "
                "begin with a dot or have slashes in it."
            )


def _check_inside(folder: Path, clip: Clip) -> None:
    """Raises DataError for a clip whose files' names lead out of the folder; links are looked at when they are read."""
    for name in (clip.audio, clip.motion, clip.residual):
        if str(name).startswith("/") or ".." in str(name).split("/"):
            raise DataError(
                f"{folder}/dataset.json: the clip {clip.id!r} points outside its folder: {name!r}."
            )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def write_manifest(dataset: Dataset) -> Path:
    """Write dataset.json, whole or not at all."""
    data: dict[str, Any] = {"format": FORMAT, "version": 1}
    for key in Dataset.__dataclass_fields__:
        if key not in ("folder", "extra", "clips"):
            data[key] = getattr(dataset, key)
    data |= dataset.extra
    data["clips"] = [{k: v for k, v in asdict(c).items() if v not in ("", ())} for c in dataset.clips]
    path = dataset.folder / "dataset.json"
    with atomic(path, DataError) as draft:
        draft.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return path


def motion_blocks(dataset: Dataset, split: str = "train", frames: int = 4096) -> Iterator[np.ndarray]:
    """Blocks (n, D) float32 of stored motion in the dataset's clips, at most `frames` rows at a time."""
    for clip in dataset.split(split):
        values = dataset.motion(clip)
        for start in range(0, len(values), frames):
            yield np.asarray(values[start : start + frames], np.float32)


@dataclass(frozen=True)
class MotionBlocks:
    """Blocks (n, D) float32 of a split's motion in the annotation's unit, clips one after the other.

    Every iteration starts anew. A block has `rows` rows, the last fewer, and is overwritten by the next one. step: of
    each clip only every so many frames. tell: called with the number of rows of each block.
    """

    datasets: Sequence[Dataset]
    rows: int
    split: str = "train"
    step: int = 1
    tell: Callable[[int], None] | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        room, filled = np.zeros((0, 0), np.float32), 0
        for values, scale in self._clips():
            if not room.size:
                room = np.empty((self.rows, values.shape[1]), np.float32)
            while len(values):
                part, values = values[: self.rows - filled], values[self.rows - filled :]
                np.multiply(part, scale, out=room[filled : filled + len(part)], casting="unsafe")
                filled += len(part)
                if filled == self.rows:
                    yield self._told(room)
                    filled = 0
        if filled:
            yield self._told(room[:filled])

    def _clips(self) -> Iterator[tuple[np.ndarray, np.float32]]:
        for dataset in self.datasets:
            for clip in dataset.split(self.split):
                yield dataset.motion(clip)[:: self.step], np.float32(dataset.scale)

    def _told(self, block: np.ndarray) -> np.ndarray:
        if self.tell:
            self.tell(len(block))
        return block


def link(source: Path, target: Path) -> None:
    """A file under another name as well: a hard link, or a copy where links cannot be made. Replaces the target."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
