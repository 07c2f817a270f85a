"""Phone labels of clips, for the auxiliary classifier that training learns beside the face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unitalker.config import FEATURE_RATE


class PhoneTable:
    """Phone symbol → class, in order of first sight. Class 0 is the pause."""

    def __init__(self, symbols: Sequence[str] = ("",)) -> None:
        self.index = {s: i for i, s in enumerate(symbols)}

    def __len__(self) -> int:
        return len(self.index)

    def learn(self, phones: Sequence[tuple[float, float, str]]) -> None:
        """Give every symbol of a clip its class."""
        for _, _, symbol in phones:
            self.index.setdefault(plain(symbol), len(self.index))

    def labels(self, phones: Sequence[tuple[float, float, str]], frames: int) -> np.ndarray:
        """(frames,) int16 at 50 Hz of symbols that were learned; frames that no phone covers are pauses."""
        out = np.zeros(frames, np.int16)
        for start, end, symbol in phones:
            out[round(start * FEATURE_RATE) : round(end * FEATURE_RATE)] = self.index[plain(symbol)]
        return out


def plain(symbol: str) -> str:
    """Phone symbol without stress and length marks."""
    return "".join(c for c in symbol if c not in "ˈˌː'ˑ")
