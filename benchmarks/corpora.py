"""Importing made-up corpora in the published layouts: memory at its most, and seconds of sound a second (Linux), by the
clock and by processor time, which other work on the machine and its disk do not change.

Each import runs in a process of its own. Motion comes from files with holes, so that ten gigabytes are read without
being written first; what is imported is written in full, but for the paper's data release, which is used in place.
Needs as much free disk as `--gb`.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import Row, Setting, plain_environment, voice

from unitalker.audio import write_sound
from unitalker.data.importers.biwi import SEEN, VERTICES
from unitalker.data.importers.vocaset_facts import EXPECTED
from unitalker.data.likes.beat import STORED

CHILD = """
import json, sys
from pathlib import Path
from unitalker.data.importers import import_corpus
(made,) = import_corpus(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([int(most.split()[1]) / 1024, len(made.problems)]))
"""
TAKE_SECONDS, TALK_SECONDS = 5.0, 600.0


def rows(setting: Setting) -> list[Row]:
    """A prepared corpus of arrays, one in a single array with pickles, and one that is linked."""
    gigabytes = 0.3 if setting.quick else 2.0
    return [measured(kind, make, gigabytes) for kind, make in CORPORA.items()]


def measured(kind: str, make: Callable[[Path, float], float], gigabytes: float) -> Row:
    """Import a corpus of so many gigabytes of motion."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "source", Path(folder) / "out"
        source.mkdir()
        seconds = make(source, gigabytes)
        begun, used = time.perf_counter(), processor()
        command = [sys.executable, "-c", CHILD, kind, str(source), str(out)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=plain_environment())
        spent, busy = time.perf_counter() - begun, processor() - used
    memory, broken = json.loads(done.stdout)
    assert broken == 0
    return Row(
        f"importing {kind}, {gigabytes:g} GB of motion, {seconds / 60:.0f} min",
        f"{memory:.0f} MB at its most",
        f"{seconds / spent:.0f} × real time by the clock, {seconds / busy:.0f} × by processor time, "
        f"{1000 * gigabytes / spent:.0f} MB/s",
    )


def processor() -> float:
    """Seconds of processor time that child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def holes(path: Path, shape: tuple[int, ...]) -> None:
    """An npy file of zeros that takes no room."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4 * int(np.prod(shape)))


def biwi(folder: Path, gigabytes: float) -> float:
    """CodeTalker's layout at 25 fps. Gives the seconds of it."""
    for room in ("wav", "vertices_npy"):
        (folder / room).mkdir()
    frames = round(TAKE_SECONDS * 25)
    count = max(1, round(gigabytes * 1e9 / (frames * 12 * VERTICES)))
    for number in range(count):
        name = f"{SEEN[number % 6]}_e{number // 6 + 1:02d}" if number < 594 else f"X{number}_e01"
        write_sound(folder / "wav" / f"{name}.wav", voice(TAKE_SECONDS), 16000)
        holes(folder / "vertices_npy" / f"{name}.npy", (frames, 3 * VERTICES))
    face = np.random.default_rng(0).random((VERTICES, 3), np.float32) * np.array([0.7, 1, 0.8], np.float32)
    people = dict.fromkeys((*SEEN, *(f"X{n}" for n in range(594, count))), face)
    (folder / "templates.pkl").write_bytes(pickle.dumps(people, 2))
    return count * TAKE_SECONDS


def vocaset(folder: Path, gigabytes: float) -> float:
    """The published files at 60 fps. Gives the seconds of it."""
    frames = round(TAKE_SECONDS * 60)
    count = max(1, round(gigabytes * 1e9 / (frames * 4 * EXPECTED.width)))
    holes(folder / "data_verts.npy", (count * frames, EXPECTED.width // 3, 3))
    places: dict[str, dict[str, dict[int, int]]] = {}
    heard: dict[str, dict[str, dict[str, object]]] = {}
    said = (voice(TAKE_SECONDS) * 32767).astype(np.int16)
    for number in range(count):
        subject, sequence = EXPECTED.subjects[number % 12], f"sentence{number // 12 + 1:02d}"
        rows = {i: number * frames + i for i in range(frames)}
        places.setdefault(subject, {})[sequence] = rows
        heard.setdefault(subject, {})[sequence] = {"audio": said.copy(), "sample_rate": 16000}
    face = np.random.default_rng(0).random((EXPECTED.width // 3, 3), np.float32) * 0.25
    held = {
        "subj_seq_to_idx": places,
        "raw_audio_fixed": heard,
        "templates": dict.fromkeys(EXPECTED.subjects, face),
    }
    for name, one in held.items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(one, 2))
    return count * TAKE_SECONDS


def release(folder: Path, gigabytes: float) -> float:
    """Vertices in a folder of the paper's data release, 30 fps. Gives the seconds of it."""
    place, frames = folder / "D1_vocaset", round(TAKE_SECONDS * 30)
    place.mkdir()
    count = max(1, round(gigabytes * 1e9 / (frames * 4 * EXPECTED.width)))
    entry = {"annot_type": "FLAME_5023_vertices", "fps": 30, "dataset": "D1"}
    data = []
    for number in range(count):
        files = {"annot_path": f"{number}.npy", "audio_path": f"{number}.wav"}
        write_sound(place / files["audio_path"], voice(TAKE_SECONDS), 16000)
        holes(place / files["annot_path"], (frames, EXPECTED.width // 3, 3))
        data.append(entry | files | {"id": number % 12})
    np.save(
        place / "id_template.npy", np.random.default_rng(0).random((12, EXPECTED.width // 3, 3), np.float32)
    )
    (place / "train.json").write_text(json.dumps({"info": {"id_list": EXPECTED.subjects}, "data": data}))
    return count * TAKE_SECONDS


def beat(folder: Path, gigabytes: float) -> float:
    """Conversations of ten minutes as JSON at 60 fps, one of them under many names. Gives the seconds of it."""
    weights = np.random.default_rng(0).random((64, len(STORED))).tolist()
    frames = [
        {"weights": weights[t % 64], "time": t / 60, "rotation": []} for t in range(round(60 * TALK_SECONDS))
    ]
    first = folder / "1_wayne_1_1_1.json"
    first.write_text(json.dumps({"names": STORED, "frames": frames}))
    return linked(folder, first, first.stat().st_size, gigabytes)


def beat2(folder: Path, gigabytes: float) -> float:
    """The same as a body's numbers at 30 fps. Gives the seconds of it."""
    root, count = folder / "beat_english_v2.0.0", round(30 * TALK_SECONDS)
    for room in ("smplxflame_30", "wave16k"):
        (root / room).mkdir(parents=True)
    rng = np.random.default_rng(0)
    first = root / "smplxflame_30" / "1_wayne_1_1_1.npz"
    np.savez(first, poses=rng.random((count, 165)), expressions=rng.random((count, 100)))
    return linked(root / "wave16k", first, first.stat().st_size, gigabytes)


def linked(sounds: Path, first: Path, size: int, gigabytes: float) -> float:
    """A sequence and its sound under so many names that they are as large as told. Gives the seconds of it."""
    count = max(1, round(gigabytes * 1e9 / size))
    sound = sounds / f"{first.stem}.wav"
    write_sound(sound, voice(TALK_SECONDS), 16000)
    for number in range(2, count + 1):
        name = f"1_wayne_1_{number}_{number}"
        os.link(first, first.with_name(name + first.suffix))
        os.link(sound, sounds / f"{name}.wav")
    return count * TALK_SECONDS


CORPORA = {"beat": beat, "beat2": beat2, "biwi": biwi, "vocaset": vocaset, "unitalker-v1": release}
"""Kind → what makes a corpus in a folder."""

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=10.0, help="Gigabytes of motion of each corpus.")
    parser.add_argument("--only", choices=CORPORA, help="Only this corpus.")
    given = parser.parse_args()
    for kind, make in CORPORA.items():
        if given.only not in (None, kind):
            continue
        row = measured(kind, make, given.gb)
        print(" | ".join((row.what, row.figure, row.ratio)))
