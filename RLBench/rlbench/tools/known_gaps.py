"""Why demonstrations of some of RLBench's tasks fail more often than others, as far as we know."""

_LATER_ROUNDS = (
    "what later rounds of the waypoints aim at is placed at random, and may lie beyond the arm; "
    "only the first round can be checked before"
)

KNOWN_GAPS: dict[str, str] = {
    "empty_container": (
        "the objects fall to random places of the container, some beyond the arm's reach"
    ),
    "empty_dishwasher": "the arm on its way out pushes the tray back in, under the lid",
    "lamp_on": "the forearm touches the bulb on the way to the button",
    "light_bulb_out": "some bulbs end on the rim of their holder",
    "open_wine_bottle": "the cap, which friction alone holds, spins out of the closing fingers",
    "place_cups": _LATER_ROUNDS,
    "push_buttons": _LATER_ROUNDS,
    "put_knife_in_knife_block": (
        "the knife, let go above its slot, rests on the rim or falls beside"
    ),
    "put_money_in_safe": "the hand touches the safe or its door at the last waypoint",
    "put_plate_in_colored_dish_rack": "no pose of the arm is free beside the pillars of the rack",
    "scoop_with_spatula": (
        "the spatula is pressed 3 mm into the table, where friction holds it back"
    ),
    "setup_checkers": _LATER_ROUNDS,
    "setup_chess": _LATER_ROUNDS,
    "stack_blocks": _LATER_ROUNDS,
    "stack_cups": "cups stand so near to each other that the hand has no room, or takes two",
    "toilet_seat_up": "the path that the scene draws leaves the arm's reach after half its length",
}
"""By task: one line, the cause seen in failing demonstrations."""
