"""What `animate` will write, worked out and checked before any model is loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unitalker.errors import ConfigError
from unitalker.export import WRITERS, check, format_of

SPOKEN = "speech"
"""File name, without suffix, of spoken text in an output folder."""


@dataclass(frozen=True)
class Job:
    """One sound and the files to make of it. source: a path, or None for the text of --say."""

    source: str | None
    outputs: tuple[Path, ...]

    @property
    def name(self) -> str:
        """How messages call this job."""
        return self.source or "--say"

    def named(self, annotation: str, several: bool) -> tuple[Path, ...]:
        """The output paths of one annotation: `out.<annotation>.npz` where there are several."""
        if not several:
            return self.outputs
        return tuple(path.with_name(f"{path.stem}.{annotation}{path.suffix}") for path in self.outputs)


def plan(
    inputs: Sequence[str], say: str | None, outputs: Sequence[str], formats: Sequence[str]
) -> tuple[Job, ...]:
    """One job for each input. An output that ends with "/" or is a folder gets one file for each input.

    Raises ConfigError or ExportError, before anything is written, for a choice that cannot work.
    """
    sources = _sources(inputs, say)
    if not outputs:
        raise ConfigError("Say where the motion goes, for example -o face.glb or -o face.csv.")
    folders = [text for text in dict.fromkeys(outputs) if _is_folder(text)]
    files = [Path(text) for text in dict.fromkeys(outputs) if text not in folders]
    suffixes = _suffixes(formats, folders)
    if files and len(sources) > 1:
        raise ConfigError(
            f"{len(sources)} inputs cannot all become {files[0]}; give a folder, -o {files[0].parent}/, "
            "and --format, and each input gets its own file there."
        )
    jobs = []
    for source in sources:
        stem = Path(source).stem if source else SPOKEN
        inside = [Path(folder) / f"{stem}{suffix}" for folder in folders for suffix in suffixes]
        jobs.append(Job(source, (*files, *inside)))
    _check_clashes(jobs)
    for path in dict.fromkeys(path for job in jobs for path in job.outputs):
        check(path if path in files else _beside(path))
    return tuple(jobs)


def _sources(inputs: Sequence[str], say: str | None) -> list[str | None]:
    """The inputs, or None for the text of --say. Raises ConfigError for neither or both."""
    if say is not None and inputs:
        raise ConfigError(f"Give either a sound file or --say, not both ({inputs[0]} and --say).")
    if say is not None:
        if not say.strip():
            raise ConfigError("The text of --say is empty; give it words to speak.")
        return [None]
    if not inputs:
        raise ConfigError('Give a sound file to animate, or a text: --say "Hello there".')
    return [*dict.fromkeys(inputs)]


def _is_folder(text: str) -> bool:
    return text.endswith(("/", os.sep)) or Path(text).is_dir()


def _suffixes(formats: Sequence[str], folders: Sequence[str]) -> list[str]:
    """Suffixes of --format json,csv. Raises where --format and an output folder do not go together."""
    listed = [
        part.strip().lstrip(".").lower() for text in formats for part in text.split(",") if part.strip()
    ]
    if folders and not listed:
        known = ", ".join(suffix[1:] for suffix in WRITERS)
        raise ConfigError(f"Say what to write into {folders[0]} with --format: {known}.")
    if listed and not folders:
        raise ConfigError("--format says what to write into a folder; end the output with a slash, -o out/.")
    for name in listed:
        format_of(f"--format .{name}")
    return [f".{name}" for name in dict.fromkeys(listed)]


def _check_clashes(jobs: Sequence[Job]) -> None:
    """Raises ConfigError where two inputs would write one file, or an output would replace an input."""
    sources = {Path(job.source).resolve() for job in jobs if job.source}
    owner: dict[Path, str] = {}
    for job in jobs:
        for path in job.outputs:
            whole = path.resolve()
            if whole in sources:
                raise ConfigError(f"{path} is an input; it would be overwritten. Choose another output.")
            if owner.setdefault(whole, job.name) != job.name:
                raise ConfigError(
                    f"{owner[whole]} and {job.name} would both write {path}; rename one of them."
                )


def _beside(path: Path) -> Path:
    """The path itself; where its folder is still to be made, the same name in the nearest folder there is."""
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder / path.name
