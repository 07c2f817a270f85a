"""Files of a corpus that a dataset uses in place: a second name (hard link) in the dataset's folder, not a copy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unitalker.config import SAMPLE_RATE
from unitalker.data.dataset import link
from unitalker.data.importers.rows import Frames
from unitalker.data.positions import SUFFIX

FORMATS = {"WAV": ".wav", "FLAC": ".flac"}
"""Formats of sound that datasets hold, as soundfile calls them → suffix."""


@dataclass
class Links:
    """The linked files of a dataset in `out`. made, copied: their number, and how many of them had to be copied."""

    out: Path
    made: int = 0
    copied: int = 0

    def sound(self, source: object, goal: int, slack: int, name: str) -> tuple[str, int, int] | None:
        """Link a file that is what a dataset holds: 16 kHz mono, wav or flac of integers, `goal` samples up to `slack`. Gives
        its name and samples twice, as written and as found; None for any other."""
        import soundfile

        if not isinstance(source, Path):
            return None
        try:
            about = soundfile.info(str(source))
        except (soundfile.LibsndfileError, OSError):
            return None
        plain = about.samplerate == SAMPLE_RATE and about.channels == 1 and about.format in FORMATS
        if not plain or not about.subtype.startswith("PCM_") or abs(about.frames - goal) > slack:
            return None
        relative = f"audio/{name}{FORMATS[about.format]}"
        self._link(source, relative)
        return relative, about.frames, about.frames

    def motion(self, frames: Frames, name: str) -> str:
        """Link the file whose rows the frames are. Gives its name in the dataset."""
        assert frames.file is not None
        relative = f"motion/{name}{SUFFIX if frames.positions else '.npy'}"
        self._link(frames.file, relative)
        return relative

    def _link(self, source: Path, relative: str) -> None:
        target = self.out / relative
        link(source, target)
        self.made += 1
        self.copied += not target.samefile(source)

    def text(self) -> str:
        """A sentence on what was done."""
        if not self.copied:
            return f"{self.made} files are used in place: hard links, which take no room."
        return (
            f"{self.copied} of {self.made} files were copied, since a link cannot reach another disk; with the output on "
            "the disk of the source they take no room."
        )
