"""Channel layouts: facts of the formats written down by hand, real captured data, and round trips."""

import doctest
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitalker.annotations import layouts
from unitalker.annotations.layouts import LAYOUTS, channel_key, convert, layout, mirror, mirrored_name
from unitalker.errors import AnnotationError
from unitalker.motion import Motion

SHARED = Path(__file__).parents[2] / "shared"
FACEGOOD = sorted((SHARED / "assets/pairs_train/facegood").glob("*.npz"))
ORDER51 = SHARED / "assets/index_lists/unitalker_D6D7_51_order.txt"
ARKIT_LIKE = ["arkit52", "3detf52", "livelink_csv", "livelink_udp"]

# The Live Link Face CSV header of the 2021 app, typed from the format's description.
SIDES = ["EyeBlink", "EyeLookDown", "EyeLookIn", "EyeLookOut", "EyeLookUp", "EyeSquint", "EyeWide"]
CSV_HEADER = (
    [f"{n}Left" for n in SIDES]
    + [f"{n}Right" for n in SIDES]
    + [
        "JawForward",
        "JawRight",
        "JawLeft",
        "JawOpen",
        "MouthClose",
        "MouthFunnel",
        "MouthPucker",
        "MouthRight",
        "MouthLeft",
    ]
    + [f"Mouth{n}{s}" for n in ("Smile", "Frown", "Dimple", "Stretch") for s in ("Left", "Right")]
    + ["MouthRollLower", "MouthRollUpper", "MouthShrugLower", "MouthShrugUpper"]
    + [f"Mouth{n}{s}" for n in ("Press", "LowerDown", "UpperUp") for s in ("Left", "Right")]
    + ["BrowDownLeft", "BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight", "CheekPuff"]
    + ["CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft", "NoseSneerRight", "TongueOut"]
    + [f"{p}{t}" for p in ("Head", "LeftEye", "RightEye") for t in ("Yaw", "Pitch", "Roll")]
)


def motion_of(name: str, frames: int = 5, seed: int = 0) -> Motion:
    """Random weights in a layout."""
    names = layout(name).names
    values = np.random.default_rng(seed).random((frames, len(names)), np.float32)
    return Motion(values, names, 30, name, "weight")


def test_sizes():
    sizes = {name: len(entry.names) for name, entry in LAYOUTS.items()}
    assert sizes == {
        "arkit52": 52, "3detf52": 52, "arkit51": 51, "livelink_csv": 61, "livelink_udp": 61,
        "mediapipe": 52, "beat51": 51, "facegood116": 116, "oculus15": 15,
    }  # fmt: skip
    assert all(len(set(entry.names)) == len(entry.names) and entry.description for entry in LAYOUTS.values())


def test_live_link_csv_order():
    names = layout("livelink_csv").names
    assert [n[0].upper() + n[1:] for n in names] == CSV_HEADER


def test_live_link_udp_differs_from_csv_in_two_pairs():
    csv, udp = layout("livelink_csv").names, layout("livelink_udp").names
    assert {a for a, b in zip(csv, udp, strict=True) if a != b} == {
        "jawLeft",
        "jawRight",
        "mouthLeft",
        "mouthRight",
    }
    assert udp.index("jawLeft") + 1 == udp.index("jawRight")
    assert udp[:52] == layout("arkit52").names


def test_arkit_order():
    names = layout("arkit52").names
    assert (names[0], names[7], names[14:18], names[-1]) == (
        "eyeBlinkLeft",
        "eyeBlinkRight",
        ("jawForward", "jawLeft", "jawRight", "jawOpen"),
        "tongueOut",
    )


def test_alphabetical_layouts():
    etf = layout("3detf52").names
    assert etf[:3] == ("browDownLeft", "browDownRight", "browInnerUp") and etf[-1] == "tongueOut"
    assert etf[22:26] == ("jawForward", "jawLeft", "jawOpen", "jawRight")
    mediapipe = layout("mediapipe").names
    assert mediapipe[0] == "_neutral" and "tongueOut" not in mediapipe
    assert mediapipe[1:] == layout("beat51").names == etf[:-1]


@pytest.mark.skipif(not ORDER51.exists(), reason="needs ../shared/assets/index_lists")
def test_release_order():
    listed = [line for line in ORDER51.read_text().split("\n") if line and not line.startswith("#")]
    assert [n[0].lower() + n[1:] for n in listed] == list(layout("arkit51").names)


def test_release_order_by_hand():
    names = layout("arkit51").names
    assert names[:4] == ("eyeBlinkLeft", "eyeBlinkRight", "eyeSquintLeft", "eyeSquintRight")
    assert names[19:24] == ("jawOpen", "mouthClose", "jawLeft", "jawRight", "jawForward")
    assert set(names) == set(layout("arkit52").names) - {"tongueOut"}


@pytest.mark.skipif(not FACEGOOD, reason="needs ../shared/assets/pairs_train/facegood")
@pytest.mark.parametrize("path", FACEGOOD, ids=lambda p: p.stem)
def test_facegood_map_gives_the_corpus_own_arkit_columns(path):
    with np.load(path) as z:
        assert layout("facegood116").names == tuple(z["raw_names"])
        assert layout("arkit52").names == tuple(z["names"])
        raw = Motion(z["raw116"], tuple(z["raw_names"]), float(z["fps"]), "facegood116", "weight")
        got = convert(raw, "arkit52")
        np.testing.assert_array_equal(got.values, z["arkit"])
    note = got.provenance["conversions"][-1]
    assert note["missing"] == ["tongueOut"] and {"mouth_oh_c", "mouth_oo_c"} <= set(note["dropped"])
    assert got.annotation == "arkit52" and got.fps == 30


def test_facegood_reaches_other_layouts_through_arkit():
    raw = motion_of("facegood116")
    csv = convert(raw, "livelink_csv")
    np.testing.assert_array_equal(csv.channel("jawOpen"), raw.channel("mouth_stretch_c"))
    assert [n["to"] for n in csv.provenance["conversions"]] == ["arkit52", "livelink_csv"]
    assert "headYaw" in csv.provenance["conversions"][-1]["missing"]


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(ARKIT_LIKE), st.sampled_from(ARKIT_LIKE), st.integers(0, 99))
def test_round_trip_keeps_every_arkit_channel(a, b, seed):
    start = motion_of(a, seed=seed)
    back = convert(convert(start, b), a)
    shared = layout("arkit52").names
    np.testing.assert_array_equal(back.select(shared), start.select(shared))
    assert back.names == start.names


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["arkit51", "beat51", "mediapipe"]), st.sampled_from(ARKIT_LIKE), st.integers(0, 99))
def test_round_trip_of_the_tongueless_layouts(a, b, seed):
    start = motion_of(a, seed=seed)
    there = convert(start, b)
    assert not there.channel("tongueOut").any()
    assert "tongueOut" in there.provenance["conversions"][-1]["missing"]
    names = layout("beat51").names
    np.testing.assert_array_equal(convert(there, a).select(names), start.select(names))


@settings(deadline=None, max_examples=30)
@given(
    st.permutations(list(layout("arkit52").names)), st.sampled_from(["Left", "L", "_L", "_l"]), st.booleans()
)
def test_order_and_spelling_do_not_matter(names, left, upper):
    right = left.replace("Left", "Right").replace("L", "R").replace("l", "r") if left != "Left" else "Right"
    spelt = [
        n.removesuffix("Left") + left if n.endswith("Left") and n[:-4] not in ("jaw", "mouth")
        else n.removesuffix("Right") + right if n.endswith("Right") and n[:-5] not in ("jaw", "mouth")
        else n
        for n in names
    ]  # fmt: skip
    spelt = [n[0].upper() + n[1:] if upper else n for n in spelt]
    values = np.arange(52, dtype=np.float32)[None]
    got = convert(Motion(values, spelt, 25, "mine", "weight"), "arkit52")
    assert got.values[0].tolist() == [names.index(n) for n in layout("arkit52").names]


@pytest.mark.parametrize("name", [n for n in LAYOUTS if n != "oculus15"])
def test_mirror_twice_is_the_same(name):
    start = motion_of(name)
    np.testing.assert_array_equal(mirror(mirror(start)).values, start.values)
    assert all(mirrored_name(mirrored_name(n)) == n for n in start.names)


def test_mirror_swaps_pairs_and_keeps_the_middle():
    start = motion_of("arkit52")
    got = mirror(start)
    np.testing.assert_array_equal(got.channel("mouthSmileLeft"), start.channel("mouthSmileRight"))
    np.testing.assert_array_equal(got.channel("jawLeft"), start.channel("jawRight"))
    np.testing.assert_array_equal(got.channel("eyeLookInLeft"), start.channel("eyeLookInRight"))
    np.testing.assert_array_equal(got.channel("jawOpen"), start.channel("jawOpen"))
    assert sum(mirrored_name(n) != n for n in start.names) == 36 + 4


def test_mirror_turns_angles_round():
    start = motion_of("livelink_csv")
    got = mirror(start)
    np.testing.assert_array_equal(got.channel("headYaw"), -start.channel("headYaw"))
    np.testing.assert_array_equal(got.channel("headPitch"), start.channel("headPitch"))
    np.testing.assert_array_equal(got.channel("leftEyeRoll"), -start.channel("rightEyeRoll"))


def test_doctest():
    assert doctest.testmod(layouts).failed == 0


def test_channel_key_leaves_other_names_alone():
    for name in ("_neutral", "cheek_UP", "mouth_oh_c", "RR", "sil", "tongue_Rot__1X"):
        assert channel_key(name) == name[0].lower() + name[1:]


@pytest.mark.parametrize("function", [lambda x: convert(x, "arkit52"), mirror])
def test_bare_arrays_are_refused(function):
    with pytest.raises(AnnotationError, match="told apart by name"):
        function(np.zeros((3, 52)))


def test_errors_are_sentences():
    with pytest.raises(AnnotationError, match="did you mean 'arkit52'"):
        layout("arkit25")
    with pytest.raises(AnnotationError, match="no rule leads"):
        convert(motion_of("arkit52"), "facegood116")
    with pytest.raises(AnnotationError, match="is in 'm'"):
        convert(Motion(np.zeros((1, 3)), ("v0.x", "v0.y", "v0.z"), 25, "mesh", "m"), "arkit52")
    with pytest.raises(AnnotationError, match="spelt twice"):
        convert(Motion(np.zeros((1, 2)), ("eyeBlinkLeft", "EyeBlink_L"), 25, "x", "weight"), "arkit52")
    with pytest.raises(AnnotationError, match="has no partner 'jawRight'"):
        mirror(Motion(np.zeros((1, 1)), ("jawLeft",), 25, "x", "weight"))
