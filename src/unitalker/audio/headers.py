"""What a file's own header promises about its length, where FFmpeg does not tell."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_UNKNOWN = 0x7FFFF000
_LONGEST_PAGE = 27 + 255 + 255 * 255


def wav_missing_bytes(path: Path) -> int:
    """Bytes that the header of a RIFF wav file promises beyond the end of the file; 0 for other files.

    Writers that stream leave 0 or a huge number as the length: that promises nothing.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return 0
        size = _data_chunk(file)
        left = path.stat().st_size - file.tell()
    return size - left if left < size < _UNKNOWN else 0


def _data_chunk(file: BinaryIO) -> int:
    """Moves to the first byte of the data chunk and returns its stated length; 0 if there is none."""
    while len(chunk := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            return size
        file.seek(size + size % 2, 1)
    return 0


def ogg_missing_bytes(path: Path) -> int:
    """Bytes by which the last page of an ogg file passes the end of the file; 0 for other and whole files."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return 0
        size = path.stat().st_size
        start = max(size - _LONGEST_PAGE, 0)
        file.seek(start)
        tail = file.read()
    where = tail.rfind(b"OggS")
    page = tail[where:]
    if where < 0 or len(page) < 27 or len(page) < 27 + page[26]:
        return 27 if where >= 0 else 0
    return max(27 + page[26] + sum(page[27 : 27 + page[26]]) - len(page), 0)


def mp3_counts_frames(path: Path) -> bool:
    """Whether an mp3 file starts with a Xing or Info frame, which states its exact length."""
    with path.open("rb") as file:
        head = file.read(10)
        start = 0
        if head[:3] == b"ID3" and len(head) == 10:
            a, b, c, d = head[6:10]
            start = 10 + (a << 21 | b << 14 | c << 7 | d)
        file.seek(start)
        frame = file.read(256)
    return b"Xing" in frame or b"Info" in frame
