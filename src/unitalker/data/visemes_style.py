"""Speaking styles: how far, how fast and with which habits one (synthetic) person moves the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitalker.errors import ConfigError, unknown

EMOTIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {
        "mouthSmile": 0.42,
        "cheekSquint": 0.3,
        "eyeSquint": 0.15,
        "mouthDimple": 0.1,
        "browInnerUp": 0.08,
    },
    "sad": {
        "mouthFrown": 0.35,
        "browInnerUp": 0.45,
        "eyeBlink": 0.12,
        "mouthShrugLower": 0.15,
        "eyeLookDown": 0.15,
    },
    "angry": {"browDown": 0.6, "eyeSquint": 0.25, "noseSneer": 0.25, "mouthPress": 0.15, "mouthFrown": 0.15},
    "surprised": {"browInnerUp": 0.6, "browOuterUp": 0.5, "eyeWide": 0.5, "jawOpen": 0.08},
    "fear": {"browInnerUp": 0.5, "browOuterUp": 0.2, "eyeWide": 0.4, "mouthStretch": 0.25, "browDown": 0.1},
    "disgust": {
        "noseSneer": 0.5,
        "mouthUpperUp": 0.2,
        "browDown": 0.35,
        "eyeSquint": 0.2,
        "mouthFrown": 0.12,
    },
    "contempt": {"mouthSmileLeft": 0.25, "mouthDimpleLeft": 0.3, "eyeSquint": 0.12, "browDown": 0.1},
}
"""Offsets at full strength; a name without side stands for both sides."""


@dataclass(frozen=True)
class Style:
    """A way of speaking. Gains multiply the common targets; 1 is an average speaker.

    articulation: all of the mouth; jaw, rounding, spreading: those gestures. coarticulation: width of each
    sound's influence (above 1 slurs). asymmetry: -1 … 1, left stronger when positive. upper_lip: activity of
    the upper lip. press: firmness of closed lips. smile: standing smile while speaking. brows: brow activity.
    blink_rate: blinks a minute. head: head activity. emotion, emotion_level: one of EMOTIONS and how strong.
    """

    articulation: float = 1.0
    jaw: float = 1.0
    rounding: float = 1.0
    spreading: float = 1.0
    coarticulation: float = 1.0
    asymmetry: float = 0.0
    upper_lip: float = 1.0
    press: float = 1.0
    smile: float = 0.0
    brows: float = 1.0
    blink_rate: float = 15.0
    head: float = 1.0
    emotion: str = "neutral"
    emotion_level: float = 1.0

    def __post_init__(self) -> None:
        if self.emotion not in EMOTIONS:
            raise ConfigError(unknown("emotion", self.emotion, EMOTIONS))
        for name in ("articulation", "jaw", "rounding", "coarticulation"):
            if not 0 < getattr(self, name) <= 4:
                raise ConfigError(
                    f"A style's {name} must be above 0 and at most 4, not {getattr(self, name)}."
                )


def random_style(rng: np.random.Generator, emotion: str = "neutral") -> Style:
    """A plausible speaker: gains spread log-normally around 1, small asymmetry, own habits of brow and head."""

    def gain(sigma: float, low: float = 0.5, high: float = 1.9) -> float:
        return float(np.clip(np.exp(rng.normal(0, sigma)), low, high))

    return Style(
        articulation=gain(0.15, 0.65, 1.4),
        jaw=gain(0.22, 0.6, 1.6),
        rounding=gain(0.2, 0.6, 1.5),
        spreading=gain(0.35, 0.3, 2.2),
        coarticulation=gain(0.18, 0.65, 1.5),
        asymmetry=float(np.clip(rng.normal(0, 0.12), -0.35, 0.35)),
        upper_lip=gain(0.3, 0.4, 2.0),
        press=gain(0.3),
        smile=float(max(0.0, rng.normal(0.0, 0.05))),
        brows=gain(0.5, 0.2, 2.5),
        blink_rate=float(rng.uniform(6, 28)),
        head=gain(0.4, 0.3, 2.5),
        emotion=emotion,
        emotion_level=1.0 if emotion == "neutral" else float(rng.uniform(0.6, 1.2)),
    )
