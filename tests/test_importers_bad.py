"""What lies broken in real folders, for every layout alike: a sentence with the file's name, everything else imported,
exit code 1. A new layout joins by a row of LAYOUTS."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unitalker.cli import main
from unitalker.data.dataset import open_dataset
from unitalker.data.likes import Size, make_like

SECONDS, RATE = 1.6, 16000
ALIGN = "0 5000 sil|5000 30000 bin|30000 40000 sil"


@dataclass(frozen=True)
class Layout:
    """A layout to break. make: writes it. motion, sound: globs of files of which each belongs to one take, "" where
    there are none. needed: globs of files without which nothing can be read. args: flags of its import. reshape: makes
    a motion file hold another number of channels; twin: adds a take of a subject whose name differs in case alone.
    spare: sounds without motion are usual there, and only noted."""

    kind: str
    make: Callable[[Path], object]
    motion: str
    sound: str
    needed: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    reshape: Callable[[Path], None] | None = None
    twin: Callable[[Path], None] | None = None
    spare: bool = False


def like(name: str) -> Callable[[Path], object]:
    return lambda folder: make_like(name, folder, Size(people=1, takes=3, seconds=SECONDS))


def tone(path: Path, seconds: float = SECONDS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(np.arange(round(seconds * RATE)) * 0.1), RATE)


def make_folder(folder: Path) -> None:
    for name in ("anna/one", "anna/two", "bert/three"):
        tone(folder / f"{name}.wav")
        np.save(folder / f"{name}.npy", np.full((round(30 * SECONDS), 2), 0.25, np.float32))
    (folder / "names.txt").write_text("jawOpen\nmouthSmileLeft")


def make_grid(folder: Path) -> None:
    ids, frames = [f"clip{i}" for i in range(3)], round(25 * SECONDS)
    for name in ids:
        tone(folder / "audio" / f"{name}.flac")
    facts = {"clip": np.array(ids), "names": np.array(["jawOpen", "mouthClose"]), "fps": np.float32(25)}
    facts |= {"valid": np.ones((3, frames), bool), "arkit_mp": np.full((3, frames, 2), 0.2, np.float16)}
    texts = {"align": np.array([ALIGN] * 3), "transcript": np.array(["sil bin sil"] * 3)}
    np.savez(folder / "grid_s1.npz", allow_pickle=False, **facts, **texts)


def make_facegood(folder: Path) -> None:
    folder.mkdir()
    for name in ("1114_2_01", "1114_2_02", "1114_2_03"):
        tone(folder / f"{name}.flac")
        frames = round(30 * SECONDS)
        numbers = {"raw116": np.full((frames, 2), 0.2), "arkit": np.full((frames, 2), 0.2)}
        names = {
            "raw_names": np.array(["jaw_open_c", "mouth_up_l"]),
            "names": np.array(["jawOpen", "mouthClose"]),
        }
        np.savez(folder / f"{name}.npz", allow_pickle=False, fps=np.float32(30), **numbers, **names)


def fewer_columns(path: Path) -> None:
    np.save(path, np.load(path)[:, :-30])


def one_column(path: Path) -> None:
    np.save(path, np.load(path)[:, :1])


def fewer_channels(path: Path) -> None:
    held = dict(np.load(path))
    np.savez(path, allow_pickle=False, **held | {"raw116": held["raw116"][:, :1]})


def no_mesh(path: Path) -> None:
    for mesh in path.parent.glob("*.bin"):
        mesh.write_bytes(mesh.read_bytes()[:-12])


def twin_of_anna(folder: Path) -> None:
    for suffix in (".wav", ".npy"):
        (folder / "Anna").mkdir(exist_ok=True)
        (folder / "Anna" / f"four{suffix}").write_bytes((folder / "anna" / f"one{suffix}").read_bytes())


ARRAYS = {"motion": "vertices_npy/*.npy", "sound": "wav/*.wav", "needed": ("templates.pkl",)}
MESHES = "*/tracked_mesh/SEN_*/000102.bin"
PARTS = ("raw_audio_fixed.pkl", "subj_seq_to_idx.pkl", "templates.pkl")
LAYOUTS = {
    "biwi": Layout("biwi", like("biwi"), reshape=fewer_columns, **ARRAYS),
    "vocaset": Layout("vocaset", like("vocaset"), reshape=fewer_columns, **ARRAYS),
    "vocaset-raw": Layout("vocaset", like("vocaset-raw"), "", "", needed=PARTS),
    "meshtalk": Layout("multiface", like("meshtalk"), reshape=fewer_columns, **ARRAYS),
    "multiface": Layout("multiface", like("multiface"), MESHES, "*/audio/SEN_*.wav", reshape=no_mesh),
    "folder": Layout(
        "folder",
        make_folder,
        "*/*.npy",
        "*/*.wav",
        args=("--fps", "30"),
        reshape=one_column,
        twin=twin_of_anna,
    ),
    "3detf-hdtf": Layout("3detf-hdtf", like("3detf-hdtf"), "**/*.npy", "**/*.wav", reshape=one_column),
    "beat": Layout("beat", like("beat"), "**/*.json", "**/*.wav"),
    "beat2": Layout("beat2", like("beat2"), "**/*.npz", "**/*.wav"),
    "talkshow": Layout("talkshow", like("talkshow"), "**/*.pkl", "**/*.wav"),
    "grid": Layout("grid", make_grid, "", "audio/*.flac", needed=("grid_s1.npz",)),
    "3detf-ravdess": Layout(
        "3detf-ravdess", like("3detf-ravdess"), "**/*.npy", "**/*.wav", reshape=fewer_columns
    ),
    "audio2face": Layout("audio2face", like("audio2face"), "speaker1/*.json", "speaker1/*.wav", spare=True),
    "mediapipe": Layout("mediapipe", like("mediapipe"), "speaker1/*.json", "speaker1/*.wav", spare=True),
    "flame-npz": Layout("flame-npz", like("flame-npz"), "M003/*.npz", "M003/*.wav", spare=True),
    "unitalker-v1": Layout(
        "unitalker-v1",
        like("unitalker-v1"),
        "*/D1_vocaset/*/*.npy",
        "*/D1_vocaset/*/*.wav",
        reshape=fewer_columns,
    ),
    "facegood": Layout("facegood", make_facegood, "*.npz", "*.flac", reshape=fewer_channels),
}
"""Layout → how it is made and what is in it."""


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Layout → its whole folder, made once."""
    room, made = tmp_path_factory.mktemp("corpora"), dict[str, Path]()

    def corpus(name: str) -> Path:
        if name not in made:
            made[name] = room / name
            LAYOUTS[name].make(made[name])
        return made[name]

    return corpus


def copied(source: Path, target: Path) -> Path:
    """The folder with hard links in place of its files; `spoil` unties those that it changes."""
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, place)
    return target


def imported(layout: Layout, source: Path, out: Path) -> tuple[int, set[str]]:
    """Exit code, and the clips of all datasets that were made, each readable."""
    code = main(["data", "import", layout.kind, str(source), str(out), *layout.args])
    found = set()
    for manifest in out.rglob("dataset.json"):
        dataset = open_dataset(manifest.parent)
        for clip in dataset.clips:
            samples, rate = dataset.sound(clip)
            assert abs(len(samples) / rate - clip.seconds) < 1e-3 and len(dataset.motion(clip)) >= 2
            found.add(f"{dataset.annotation}/{clip.id}")
    return code, found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def short(path: Path) -> None:
    tone(path, 0.3)


SPOILS: dict[str, tuple[str, Callable[[Path], None] | None]] = {
    "half of the motion": ("motion", cut),
    "motion of no bytes": ("motion", empty),
    "no motion": ("motion", Path.unlink),
    "another shape": ("motion", None),
    "half of the sound": ("sound", cut),
    "sound of no bytes": ("sound", empty),
    "no sound": ("sound", Path.unlink),
    "motion longer than its sound by seconds": ("sound", short),
}
"""Fault → which file, and what is done to it; None for the layout's own `reshape`."""


def faults() -> list[tuple[str, str]]:
    """Layout and fault, where the layout has such a file. Of meshes in a file a frame each only all can be broken."""
    found = []
    for name, layout in LAYOUTS.items():
        for fault, (which, spoil) in SPOILS.items():
            a_frame = which == "motion" and getattr(layout, which).endswith(".bin")
            if getattr(layout, which) and (layout.reshape if spoil is None else not a_frame):
                found.append((name, fault))
    return found


def untied(path: Path) -> Path:
    """The file, and its neighbours of one suffix, no longer linked to the whole corpus."""
    for each in sorted(path.parent.glob(f"*{path.suffix}")):
        held = each.read_bytes()
        each.unlink()
        each.write_bytes(held)
    return path


@pytest.mark.parametrize("name, fault", faults())
def test_one_broken_file_is_named_and_everything_else_imported(
    corpora: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    fault: str,
) -> None:
    layout, (which, spoil) = LAYOUTS[name], SPOILS[fault]
    source = copied(corpora(name), tmp_path / "source")
    files = sorted(source.glob(getattr(layout, which)))
    broken = untied(files[1])
    (spoil or layout.reshape)(broken)  # type: ignore[misc]
    code, found = imported(layout, source, tmp_path / "made")
    told = capsys.readouterr().err
    noted = layout.spare and fault == "no motion"
    assert code == (0 if noted else 1) and ("Partly imported" in told) != noted
    assert name_of(broken) in told
    kept = {clip.split("/")[1] for clip in found}
    assert all(any(name_of(path) in clip for clip in kept) for path in files if path != broken)


def name_of(path: Path) -> str:
    """What a take's clips are called after."""
    return path.parent.name if path.suffix == ".bin" else path.stem.removesuffix("_bsweight")


@pytest.mark.parametrize("name", LAYOUTS)
def test_names_with_blanks_and_other_letters(
    corpora: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    source = copied(corpora(name), tmp_path / "Zoë’s daten 数据" / f"{name} ß")
    plain = imported(LAYOUTS[name], source, tmp_path / "sets of mine" / "größe")
    assert plain[0] == 0 and len(plain[1]) >= 3


NEEDED = [(name, file) for name, layout in LAYOUTS.items() for file in layout.needed]


@pytest.mark.parametrize("lost", [False, True], ids=["cut", "lost"])
@pytest.mark.parametrize("name, file", NEEDED, ids=[f"{name}: {file}" for name, file in NEEDED])
def test_without_what_all_takes_need_nothing_is_made(
    corpora: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    file: str,
    lost: bool,
) -> None:
    source = copied(corpora(name), tmp_path / "source")
    held = (source / file).read_bytes()
    (source / file).unlink()
    if not lost:
        (source / file).write_bytes(held[: len(held) // 2])
    assert imported(LAYOUTS[name], source, tmp_path / "made") == (2, set())
    assert file in capsys.readouterr().err


TWINS = [name for name, layout in LAYOUTS.items() if layout.twin]


@pytest.mark.parametrize("name", TWINS)
def test_two_subjects_of_one_name_are_told(
    corpora: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    source = copied(corpora(name), tmp_path / "source")
    twin = LAYOUTS[name].twin
    assert twin is not None
    twin(source)
    code, found = imported(LAYOUTS[name], source, tmp_path / "made")
    assert code == 1 and len(found) >= 2
    assert "have one name" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["doctor", "shard", "evaluate"])
def test_a_manifest_that_points_outside_its_folder_reads_nothing_there(
    corpora: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    code, _ = imported(LAYOUTS["folder"], corpora("folder"), tmp_path / "made")
    assert code == 0
    manifest = tmp_path / "made" / "dataset.json"
    manifest.write_text(manifest.read_text().replace("motion/anna-one.npy", "../secret.npy"))
    np.save(tmp_path / "secret.npy", np.zeros((48, 2)))
    capsys.readouterr()
    verbs = {
        "doctor": ["data", "doctor", str(manifest.parent)],
        "shard": ["data", "shard", str(manifest.parent), "-o", str(tmp_path / "shards")],
        "evaluate": ["evaluate", "mini", str(manifest.parent)],
    }
    assert main(verbs[verb]) == (1 if verb == "doctor" else 2)
    told = capsys.readouterr()
    assert "points outside its folder: '../secret.npy'" in told.out + told.err
