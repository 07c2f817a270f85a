"""What Multiface holds: subjects, sentences, splits and meshes."""

from __future__ import annotations

from pathlib import Path

from unitalker.annotations.vertices import HEAD_WEIGHT, VertexAnnotation, vertex_names
from unitalker.data.importers.corpus import UNUSED
from unitalker.data.importers.expected import Expected
from unitalker.data.importers.regions import find_regions

RAW, REDUCED = 7306, 6172
"""Vertices of the published meshes, and of MeshTalk's, which are a part of them."""
KEPT = "meshtalk_vertices.txt"
"""List of the 6172 vertices of the 7306 that MeshTalk keeps, in --regions."""
SENTENCES = (
    "alfalfa_is_healthy_for_you",
    "allow_each_child_to_have_an_ice_pop",
    "all_your_wishful_thinking_wont_change_that",
    "and_you_think_you_have_language_problems",
    "approach_your_interview_with_statuesque_composure",
    "are_you_looking_for_employment",
    "as_she_drove_she_thought_about_her_plan",
    "a_good_morrow_to_you_my_boy",
    "a_voice_spoke_near-at-hand",
    "both_figures_would_go_higher_in_later_years",
    "boy_youre_stirrin_early_a_sleepy_voice_said",
    "by_eating_yogurt_you_may_live_longer",
    "cliff_was_soothed_by_the_luxurious_massage",
    "did_Shawn_catch_that_big_goose_without_help",
    "do_they_make_class_biased_decisions",
    "drop_five_forms_in_the_box_before_you_go_out",
    "george_is_paranoid_about_a_future_gas_shortage",
    "go_change_your_shoes_before_you_turn_around",
    "greg_buys_fresh_milk_each_weekday_morning",
    "have_you_got_our_keys_handy",
    "however_a_boys_lively_eyes_might_rove",
    "how_do_oysters_make_pearls",
    "how_long_would_it_be_occupied",
    "how_ya_gonna_keep_em_down_on_the_farm",
    "id_rather_not_buy_these_shoes_than_be_overcharged",
    "if_dark_came_they_would_lose_her",
    "im_going_to_search_this_house",
    "its_healthier_to_cook_without_sugar",
    "jeffs_toy_go_cart_never_worked",
    "more_he_could_take_at_leisure",
    "nobody_else_showed_pleasure",
    "oh_we_managed_she_said",
    "she_always_jokes_about_too_much_garlic_in_his_food",
    "take_charge_of_choosing_her_bridesmaids_gowns",
    "thank_you_she_said_dusting_herself_off",
    "then_he_thought_me_more_perverse_than_ever",
    "theyre_going_to_louse_me_up_good",
    "theyve_never_met_you_know",
    "they_all_like_long_hot_showers",
    "they_are_both_trend_following_methods",
    "they_enjoy_it_when_I_audition",
    "they_had_slapped_their_thighs",
    "they_werent_as_well_paid_as_they_should_have_been",
    "the_small_boy_put_the_worm_on_the_hook",
    "when_she_awoke_she_was_the_ship",
    "why_buy_oil_when_you_always_use_mine",
    "why_charge_money_for_such_garbage",
    "why_put_such_a_high_value_on_being_top_dog",
    "with_each_song_he_gave_verbal_footnotes",
    "youre_boiling_milk_aint_you",
)
"""What is said, in the order in which FaceDiffuser numbers it from 1; segments are called SEN_ and this."""
LOWEST, HIGHEST = (-117.798, -213.735, -177.091), (125.922, 185.796, 75.365)
"""Millimetres that FaceDiffuser maps to -1 and 1, by axis."""
EXPECTED = Expected(
    corpus="multiface",
    annotation=f"meshtalk_{REDUCED}_vertices",
    unit="m",
    fps=30.0,
    width=3 * REDUCED,
    scale=0.001,
    subjects=(
        "002757580",
        "002539136",
        "6674443",
        "6795937",
        "8870559",
        "2183941",
        "002643814",
        "5372021",
        "7889059",
        "002914589",
        "5067077",
        "002421669",
        "002645310",
    ),
    clips={"train": 520, "val": 65, "test": 65},
    licence="Multiface: CC BY-NC 4.0",
    source="Multiface",
)


def split_of(number: int) -> str:
    """Split of a sentence by its number, 1–50, as FaceDiffuser does; the UniTalker paper's 8:1:1 is not published."""
    if not 1 <= number <= len(SENTENCES):
        return UNUSED
    return "train" if number <= 40 else "val" if number <= 45 else "test"


def card_of(vertices: int, regions: tuple[Path | None, ...], notes: list[str]) -> VertexAnnotation:
    """The annotation of meshes of so many vertices. Region lists are of MeshTalk's; those that are not found are noted."""
    name = EXPECTED.annotation if vertices == REDUCED else f"multiface_{vertices}_vertices"
    listed = find_regions(regions, vertices, notes) if vertices == REDUCED else {}
    names = vertex_names(vertices)
    axes = "as in the dataset"
    return VertexAnnotation(
        name, EXPECTED.fps, EXPECTED.unit, names, axes=axes, regions=listed, head_weight=HEAD_WEIGHT
    )
