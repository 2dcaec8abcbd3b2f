"""Known reasons why demonstrations of some of RLBench's tasks fail often."""

_LATER_ROUNDS = (
    "the waypoints are repeated for several objects, which are placed at random; before the start "
    "only the first round is checked, and later objects may be out of reach"
)

KNOWN_GAPS: dict[str, str] = {
    "empty_container": (
        "the objects fall to random places in the container, and the arm cannot reach all of them"
    ),
    "empty_dishwasher": "when the arm moves away, it pushes the tray back in, under the lid",
    "lamp_on": "the forearm touches the bulb on the way to the button",
    "light_bulb_out": "some bulbs end on the rim of their holder",
    "open_wine_bottle": "the cap is held only by friction and slips out of the closing fingers",
    "place_cups": _LATER_ROUNDS,
    "push_buttons": _LATER_ROUNDS,
    "put_knife_in_knife_block": (
        "the knife is released above its slot and stops on the rim, or falls beside it"
    ),
    "put_money_in_safe": "the hand touches the safe or its door at the last waypoint",
    "put_plate_in_colored_dish_rack": (
        "beside the pillars of the rack, the arm has no pose without a collision"
    ),
    "scoop_with_spatula": (
        "the spatula is pressed 3 mm into the table, and friction holds it back"
    ),
    "setup_checkers": _LATER_ROUNDS,
    "setup_chess": _LATER_ROUNDS,
    "stack_blocks": _LATER_ROUNDS,
    "stack_cups": "the cups stand so close together that the hand has no room, or grasps two",
    "toilet_seat_up": "the second half of the path in the scene is out of the arm's reach",
}
"""By task: one line, the cause seen in failing demonstrations."""
