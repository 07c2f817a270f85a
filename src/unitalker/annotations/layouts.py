"""Named channel layouts of blendshape weights, and conversions between them, strictly by name.

Orders: Apple's ARFaceAnchor order (`arkit52`), the Live Link Face CSV and UDP orders (which differ),
MediaPipe's face landmarker, 3D-ETF, BEAT, the UniTalker release's D6/D7, FACEGOOD's 116 channels and
Oculus' 15 visemes. House spelling is lowerCamelCase (`mouthSmileLeft`) wherever the names are ARKit's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unitalker.errors import AnnotationError, unknown
from unitalker.motion import Motion

_DATA = Path(__file__).parent / "data"
_ANGLES = tuple(
    f"{part}{turn}" for part in ("head", "leftEye", "rightEye") for turn in ("Yaw", "Pitch", "Roll")
)


@dataclass(frozen=True)
class Layout:
    """An ordered list of channel names. unit: what one number is; description: where the order comes from."""

    name: str
    names: tuple[str, ...]
    unit: str
    description: str


@dataclass(frozen=True)
class Rule:
    """A conversion between layouts that share no names: a target channel is the largest of its sources."""

    source: str
    target: str
    channels: dict[str, tuple[str, ...]]


def _swapped(names: tuple[str, ...], *pairs: tuple[str, str]) -> tuple[str, ...]:
    """The same names with the members of each pair changing places."""
    other = dict(pairs) | {b: a for a, b in pairs}
    return tuple(other.get(n, n) for n in names)


def _layouts() -> dict[str, Layout]:
    """Every known layout, by name."""
    data: dict[str, dict[str, Any]] = json.loads((_DATA / "layouts.json").read_text(encoding="utf-8"))
    names = {name: tuple(listed) for name, listed in data["names"].items()}
    arkit = names["arkit52"]
    tongueless = tuple(sorted(n for n in arkit if n != "tongueOut"))
    names |= {
        "3detf52": tuple(sorted(arkit)),
        "livelink_csv": _swapped(arkit, ("jawLeft", "jawRight"), ("mouthLeft", "mouthRight")) + _ANGLES,
        "livelink_udp": arkit + _ANGLES,
        "mediapipe": ("_neutral", *tongueless),
        "beat51": tongueless,
    }
    return {name: Layout(name, names[name], "weight", about) for name, about in data["about"].items()}


def _rules() -> tuple[Rule, ...]:
    """The shipped conversions between layouts that share no names."""
    rows: list[dict[str, Any]] = json.loads((_DATA / "conversions.json").read_text(encoding="utf-8"))
    return tuple(
        Rule(row["from"], row["to"], {to: tuple(sources) for to, sources in row["channels"].items()})
        for row in rows
    )


LAYOUTS: dict[str, Layout] = _layouts()
RULES: tuple[Rule, ...] = _rules()


def layout(name: str) -> Layout:
    """The layout of that name. Raises AnnotationError with the nearest names for an unknown one."""
    if name not in LAYOUTS:
        raise AnnotationError(unknown("channel layout", name, LAYOUTS, limit=len(LAYOUTS)))
    return LAYOUTS[name]


def channel_key(name: str) -> str:
    """One spelling for the many of a channel: `EyeBlink_L`, `eyeBlinkL`, `EyeBlinkLeft` → `eyeBlinkLeft`.

    Only the first letter's case and the way of writing the side are forgiven; all else must agree.
    """
    name = name.strip()
    name = re.sub(r"(?:_[Ll]|(?<=[a-z])L)$", "Left", name)
    name = re.sub(r"(?:_[Rr]|(?<=[a-z])R)$", "Right", name)
    return name[:1].lower() + name[1:]


def _keys(motion: Motion) -> dict[str, int]:
    """Column of each channel key. Raises AnnotationError where two channels are spellings of one name."""
    if not isinstance(motion, Motion):
        raise AnnotationError(
            "Channels are told apart by name, so a Motion is needed here, not a bare "
            f"{type(motion).__name__}; wrap the numbers as Motion(values, names, fps, annotation, unit)."
        )
    if motion.unit != "weight":
        raise AnnotationError(
            f"Only blendshape weights have a channel layout; the motion of {motion.annotation} "
            f"is in {motion.unit!r}."
        )
    keys: dict[str, int] = {}
    for column, name in enumerate(motion.names):
        first = keys.setdefault(channel_key(name), column)
        if first != column:
            raise AnnotationError(
                f"Channels {motion.names[first]!r} and {name!r} are the same one, spelt twice."
            )
    return keys


def _by_name(motion: Motion, target: Layout) -> Motion:
    """Target channels picked by name; missing ones are 0 and listed in the provenance."""
    keys = _keys(motion)
    values = np.zeros((len(motion), len(target.names)), np.float32)
    missing: list[str] = []
    wanted = {channel_key(name) for name in target.names}
    for j, name in enumerate(target.names):
        column = keys.get(channel_key(name))
        if column is None:
            missing.append(name)
        else:
            values[:, j] = motion.values[:, column]
    if len(missing) == len(target.names):
        raise AnnotationError(
            f"The motion of {motion.annotation} shares no channel name with {target.name}, and no rule leads "
            f"from one to the other; it has {', '.join(motion.names[:4])}, …"
        )
    dropped = [motion.names[column] for key, column in keys.items() if key not in wanted]
    return _converted(motion, target, values, "by name", missing, dropped)


def _by_rule(motion: Motion, rule: Rule) -> Motion:
    """Target channels as the largest of the source channels that the rule names."""
    keys = _keys(motion)
    target = layout(rule.target)
    values = np.zeros((len(motion), len(target.names)), np.float32)
    missing: list[str] = []
    used: set[int] = set()
    for j, name in enumerate(target.names):
        columns = [keys[k] for s in rule.channels.get(name, ()) if (k := channel_key(s)) in keys]
        if columns:
            values[:, j] = motion.values[:, columns].max(axis=1)
            used.update(columns)
        else:
            missing.append(name)
    dropped = [name for column, name in enumerate(motion.names) if column not in used]
    return _converted(motion, target, values, f"largest of, {rule.source} to {rule.target}", missing, dropped)


def _converted(
    motion: Motion, target: Layout, values: np.ndarray, how: str, missing: list[str], dropped: list[str]
) -> Motion:
    """The new motion, with a note of what was done in `provenance["conversions"]`."""
    note = {"from": motion.annotation, "to": target.name, "how": how, "missing": missing, "dropped": dropped}
    provenance = {**motion.provenance, "conversions": [*motion.provenance.get("conversions", ()), note]}
    return motion.with_values(
        values, names=target.names, annotation=target.name, unit=target.unit, provenance=provenance
    )


def rule_for(motion: Motion) -> Rule | None:
    """The shipped rule whose source layout has all of the motion's channels, if there is one.

    Raises AnnotationError for a bare array or numbers that are not weights.
    """
    keys = set(_keys(motion))
    for rule in RULES:
        if keys and keys <= {channel_key(name) for name in layout(rule.source).names}:
            return rule
    return None


def convert(motion: Motion, to: str) -> Motion:
    """The motion in another layout, matched strictly by name, never by position.

    First letters may differ in case and sides may be spelt Left/L/_L/_l. Channels that the motion lacks
    are 0; they and the ones left out are listed in `provenance["conversions"]`. A motion in `facegood116`
    goes to `arkit52` by the shipped map, each weight the largest of its sources (this reproduces the
    corpus' own ARKit columns exactly), and from there on by name. Values are not clipped.

    Raises AnnotationError for an unknown layout, a bare array, numbers that are not weights, or a motion
    that shares no channel with the layout.
    """
    target = layout(to)
    rule = rule_for(motion)
    if motion.annotation == to and motion.names == target.names:
        return motion
    if rule is None or rule.source == to:
        return _by_name(motion, target)
    middle = _by_rule(motion, rule)
    return middle if rule.target == to else _by_name(middle, target)


def mirrored_name(name: str) -> str:
    """The same channel on the other side of the face, spelt the same way; one without a side stays.

    >>> [mirrored_name(n) for n in ("mouthSmileLeft", "eye_lookLeft_l", "mouth_funnel_dr", "jawOpen")]
    ['mouthSmileRight', 'eye_lookRight_r', 'mouth_funnel_dl', 'jawOpen']
    """
    other = {"Left": "Right", "Right": "Left", "left": "right", "right": "left"}
    other |= {"l": "r", "r": "l", "L": "R", "R": "L"}
    name = re.sub(r"Left|Right|^left(?=[A-Z])|^right(?=[A-Z])", lambda m: other[m.group()], name)
    return re.sub(r"(?:(?<=_)|(?<=_[ud]))[lrLR]$|(?<=[a-z])[LR]$", lambda m: other[m.group()], name)


def mirror(motion: Motion) -> Motion:
    """The motion with left and right exchanged, by name; yaw and roll angles change sign as well.

    Raises AnnotationError for a bare array, numbers that are not weights, or a sided channel whose partner
    is absent (its curve would be lost).
    """
    _keys(motion)
    column = {name: i for i, name in enumerate(motion.names)}
    partners = [mirrored_name(name) for name in motion.names]
    alone = [name for name, partner in zip(motion.names, partners, strict=True) if partner not in column]
    if alone:
        raise AnnotationError(
            f"The motion of {motion.annotation} cannot be mirrored: {alone[0]!r} has no partner "
            f"{mirrored_name(alone[0])!r} among its channels."
        )
    values = motion.values[:, [column[p] for p in partners]]
    turns = {key for key in _ANGLES if key.endswith(("Yaw", "Roll"))}
    signs = np.array([-1.0 if channel_key(n) in turns else 1.0 for n in motion.names], np.float32)
    return motion.with_values(values * signs)
