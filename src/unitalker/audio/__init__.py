"""Reading any media file as 16 kHz mono sound, and writing sound."""

from unitalker.audio.reading import Probe, probe, read, stream
from unitalker.audio.sound import RATE, Sound, digest, from_array
from unitalker.audio.writing import write_sound, write_wav

__all__ = [
    "RATE",
    "Probe",
    "Sound",
    "digest",
    "from_array",
    "probe",
    "read",
    "stream",
    "write_sound",
    "write_wav",
]
